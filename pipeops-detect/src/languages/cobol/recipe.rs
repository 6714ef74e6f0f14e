//! COBOL, by GnuCOBOL. There is no official image: Debian has both the compiler and the run-time library.

use crate::generate::app::App;
use crate::generate::error::GenerateError;
use crate::generate::program::Launch;
use crate::generate::script::{Script, quote};
use crate::generate::{debian, program};

pub(crate) fn write(app: &App<'_>, script: &mut Script) -> Result<(), GenerateError> {
    let launch = Launch::of(app, program::PATH)?;
    program::compiler(app, script, "cobol.build");
    debian::install(script, &["gnucobol3"], "the compiler");
    script.sources();
    let file = app
        .target(|text| text.split_whitespace().next_back())
        .unwrap_or_default();
    let build = app.plan.build.as_ref();
    let free = match build.is_some_and(|build| build.has("-free")) {
        true => " -free",
        false => "",
    };
    script.run(
        &[],
        &format!(
            "mkdir /out \\\n && cobc -x{free} -o /out/app {}",
            quote(file)
        ),
        "builds one program",
    );
    script.stage(
        &app.image("cobol.run"),
        None,
        "the same Debian, without the compiler",
    );
    debian::install(
        script,
        &["libcob4"],
        "the library that every GnuCOBOL program links to",
    );
    app.environment(script, &[]);
    script.line("WORKDIR /app", "the program's relative paths start here");
    program::copy(script);
    launch.run(app, script);
    Ok(())
}
