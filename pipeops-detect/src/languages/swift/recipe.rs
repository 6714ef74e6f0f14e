//! Swift: one program, on an image with Swift's run-time libraries.

use crate::generate::app::App;
use crate::generate::error::GenerateError;
use crate::generate::program::Launch;
use crate::generate::script::{Script, quote};
use crate::generate::{data, program};

const BUILDS: &[&str] = &["/root/.cache", "/src/.build"];

pub(crate) fn write(app: &App<'_>, script: &mut Script) -> Result<(), GenerateError> {
    let launch = Launch::of(app, "/app/app")?;
    let name = program::name(app, |name| program::mentions(app, &["Package.swift"], name))?;
    program::compiler(app, script, "swift.build");
    program::manifests(app, script, &["Package.swift", "Package.resolved"]);
    script.fetch(BUILDS, "swift package resolve");
    script.sources();
    let command = format!(
        "swift build -c release --product {0} --static-swift-stdlib \\\n && mkdir /out \\\n && cp \"$(swift build -c release --show-bin-path)/{0}\" /out/app \\\n && find -L \"$(swift build -c release --show-bin-path)\" -maxdepth 1 -name '*.resources' -exec cp -R {{}} /out/ \\;",
        quote(name)
    );
    script.run(
        BUILDS,
        &command,
        "builds the program and copies it out with its resources in the same step, because the mounts aren't part of the image",
    );
    let image = (
        "swift.run",
        "the libraries that Swift needs, without the compiler",
    );
    launch.stage(app, script, image);
    app.environment(script, &[]);
    script.line("WORKDIR /app", "the program's relative paths start here");
    data::folders(app, script, &["Public", "Resources"]);
    // Packages look for their resources beside the program.
    script.line("COPY --from=build /out ./", "the program and its resources");
    launch.run(app, script);
    Ok(())
}
