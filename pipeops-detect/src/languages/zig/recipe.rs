//! The Zig recipe. There is no official image, so pip installs the compiler, pinned and verified.

use crate::generate::app::App;
use crate::generate::error::GenerateError;
use crate::generate::program::{self, Launch};
use crate::generate::script::{Script, quote};

/// The compiler where the project asks for none.
const VERSION: &str = "0.15.2";

pub(crate) fn write(app: &App<'_>, script: &mut Script) -> Result<(), GenerateError> {
    let launch = Launch::of(app, program::PATH)?;
    let name = program::name(app, |name| program::mentions(app, &["build.zig"], name))?;
    program::compiler(app, script, "zig.build");
    let asked = app.detection.version.as_deref().unwrap_or(VERSION);
    // `0.14` is no release: its first is `0.14.0`.
    let version = match asked.matches('.').count() {
        1 => format!("{asked}.0"),
        _ => asked.to_owned(),
    };
    script.run(
        &["/root/.cache/pip"],
        &format!("pip install {}", quote(&format!("ziglang=={version}"))),
        "the compiler version that the sources are written for, because Zig isn't stable yet",
    );
    script.sources();
    let command = format!(
        "python -m ziglang build -Doptimize=ReleaseSafe \\\n && install -D {} /out/app",
        quote(&format!("zig-out/bin/{name}"))
    );
    script.run(
        &["/root/.cache/zig"],
        &command,
        "keeps safety checks; the cache mount keeps packages and objects across builds",
    );
    let image = (
        "zig.run",
        "the C library and certificates; no shell, no packages",
    );
    program::last_stage(app, script, &launch, image, ".zig", &[]);
    launch.run(app, script);
    Ok(())
}
