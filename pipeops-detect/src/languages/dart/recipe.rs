//! Dart: one program with its runtime inside; and Flutter's web apps.

use crate::generate::app::App;
use crate::generate::error::GenerateError;
use crate::generate::program::{self, Launch};
use crate::generate::script::{Script, quote};
use crate::languages::static_site::recipe as static_site;

const PACKAGES: &str = "/root/.pub-cache";

pub(crate) fn write(app: &App<'_>, script: &mut Script) -> Result<(), GenerateError> {
    if let Some(output) = &app.detection.output {
        browser(app, script);
        static_site::serve(app, script, &format!("/src/{output}"));
        return Ok(());
    }
    program::compiler(app, script, "dart.build");
    fetch(app, script, "dart");
    script.sources();
    let frog = app.framework() == "dart_frog";
    let launch = match frog {
        true => Launch::alone(app, program::PATH)?,
        false => Launch::of(app, program::PATH)?,
    };
    let file = app.target(|text| text.split_whitespace().find(|word| word.ends_with(".dart")));
    let compile = "dart compile exe";
    let command = match (frog, file) {
        (true, _) => format!(
            "dart pub global activate dart_frog_cli '^1.2.0' \\\n && dart pub global run dart_frog_cli:dart_frog build \\\n && dart pub get --directory build \\\n && mkdir /out \\\n && {compile} build/bin/server.dart -o /out/app"
        ),
        (false, file) => format!(
            "dart pub get --offline \\\n && mkdir /out \\\n && {compile} {} -o /out/app",
            quote(file.unwrap_or("bin/server.dart"))
        ),
    };
    script.run(
        &[PACKAGES],
        &command,
        "compiled ahead of time, so the image needs no Dart",
    );
    let image = (
        "dart.run",
        "the C library and certificates; no shell, no packages",
    );
    program::last_stage(app, script, &launch, image, ".dart", &[]);
    launch.run(app, script);
    Ok(())
}

fn fetch(app: &App<'_>, script: &mut Script, tool: &str) {
    // Packages beside this one in the repository are there only when everything is.
    let text = app.folder.text("pubspec.yaml").unwrap_or_default();
    if text.contains("path:") {
        script.sources();
    } else {
        program::manifests(app, script, &["pubspec.yaml", "pubspec.lock"]);
    }
    let locked = match app.folder.has("pubspec.lock") {
        true => " --enforce-lockfile",
        false => "",
    };
    script.fetch(&[PACKAGES], &format!("{tool} pub get{locked}"));
}

fn browser(app: &App<'_>, script: &mut Script) {
    let flutter = app.framework() == "flutter";
    let (role, tool) = match flutter {
        true => ("dart.build.flutter", "flutter"),
        false => ("dart.build", "dart"),
    };
    program::compiler(app, script, role);
    fetch(app, script, tool);
    script.sources();
    let build = app.detection.build.as_deref().unwrap_or_default();
    script.run(&[PACKAGES], build, "builds the browser assets");
}
