//! Dart and Flutter.

use serde_json::Value;

use crate::Language;
use crate::findings::{Findings, Role, weight};
use crate::plan::Command;
use crate::repository::folder::Folder;
use crate::repository::port::DEFAULT_PORT;
use crate::repository::version::{managed, resolve};

/// The version where the project only asks for a least one.
const DEFAULT_VERSION: &str = "3.9";

const SERVERS: &[(&str, &str)] = &[
    ("serverpod", "serverpod"),
    ("dart_frog", "dart_frog"),
    ("conduit", "conduit"),
    ("conduit_core", "conduit"),
    ("angel3_framework", "angel3"),
    ("alfred", "alfred"),
    ("shelf", "shelf"),
];

/// Looks for a package of Dart.
pub(crate) fn detect(folder: &Folder<'_>) -> Findings {
    let mut found = Findings::none(Language::Dart);
    if !folder.has("pubspec.yaml") {
        return found;
    }
    let pubspec = folder.yaml("pubspec.yaml");
    found.add(weight::MANIFEST, folder, "pubspec.yaml", "a Dart package");
    found.lockfile(folder, &["pubspec.lock"], "pub");
    found.version(folder, version(folder, &pubspec));
    let depends = |name: &str| depends(&pubspec, "dependencies", name);
    let of = if depends("flutter") {
        "flutter"
    } else {
        "dart"
    };
    found.package_manager = Some("pub".to_owned());
    found.plan.install = Some(Command::program(of).args("pub get"));
    if depends("flutter") {
        flutter(&mut found, folder);
        return found;
    }
    found.framework(folder, "pubspec.yaml", SERVERS, depends);
    program(&mut found, folder, &pubspec);
    found
}

fn depends(pubspec: &Value, list: &str, name: &str) -> bool {
    pubspec[list].get(name).is_some()
}

fn version(folder: &Folder<'_>, pubspec: &Value) -> Option<(&'static str, String)> {
    let asked = || {
        let sdk = pubspec["environment"]["sdk"].as_str()?;
        // A caret stands for a least version of the same major one: its packages may need a later one.
        let spec = match sdk.strip_prefix("^3.") {
            Some(least) => format!(">=3.{least} <4.0.0"),
            None => sdk.to_owned(),
        };
        Some(("pubspec.yaml", resolve(&spec, DEFAULT_VERSION)?))
    };
    managed(folder, &["dart"]).or_else(asked)
}

/// Of what Flutter builds only the web app can be served. Where phones are aimed at as well, it is a guess that the web
/// app is meant: `flutter create` makes the folders of all platforms.
fn flutter(found: &mut Findings, folder: &Folder<'_>) {
    found.framework = Some("flutter".to_owned());
    let mobile = folder.has_dir("android") || folder.has_dir("ios");
    if !folder.has_dir("web") {
        let says = "a phone or desktop app, which can't run in a cluster";
        found.add(weight::NONE, folder, "pubspec.yaml", says);
        found.role = Role::Tools;
        return;
    }
    found.role = if mobile { Role::Tools } else { Role::Frontend };
    found.add(weight::ENTRY, folder, "web", "built for the browser");
    found.plan.build = Some(Command::new("flutter build web --release").into());
    found.output = Some("build/web".to_owned());
    found.port = Some(DEFAULT_PORT);
}

fn program(found: &mut Findings, folder: &Folder<'_>, pubspec: &Value) {
    if found.framework.as_deref() == Some("dart_frog") && folder.has_dir("routes") {
        found.add(weight::ENTRY, folder, "routes", "Dart Frog routes");
        found.plan.build = Some(Command::new("dart_frog build").into());
        found.plan.start = Some(Command::new("dart build/bin/server.dart"));
        found.port = Some(DEFAULT_PORT);
        return;
    }
    let name = pubspec["name"].as_str();
    if let Some(file) = entry(folder, name.unwrap_or_default()) {
        found.add(weight::ENTRY, folder, &file, "the program");
        let program = file.trim_end_matches(".dart");
        found.plan.build = Some(
            Command::new("dart compile exe")
                .target(&file)
                .arg("-o")
                .arg(program)
                .into(),
        );
        found.plan.start = Some(Command::program(format!("./{program}")));
        let source = folder.text(&file).unwrap_or_default();
        let serves = found.framework.is_some() || source.contains("HttpServer.bind");
        found.listens_or(folder, &file, serves.then_some(DEFAULT_PORT));
    } else if depends(pubspec, "dev_dependencies", "build_web_compilers") && folder.has_dir("web") {
        found.add(weight::ENTRY, folder, "web", "built for the browser");
        found.role = Role::Frontend;
        found.plan.build =
            Some(Command::new("dart run build_runner build --release --output web:build").into());
        found.output = Some("build".to_owned());
        found.port = Some(DEFAULT_PORT);
    } else {
        found.role = Role::Library;
    }
}

/// The program of `bin`: by the names that servers have, or the only one.
fn entry(folder: &Folder<'_>, name: &str) -> Option<String> {
    let bin = folder.sub("bin");
    let own = format!("{name}.dart");
    if let Some(file) = bin.first(&["server.dart", "main.dart", &own]) {
        return Some(format!("bin/{file}"));
    }
    let mut files = bin.ending(".dart");
    match (files.next(), files.next()) {
        (Some(file), None) => Some(format!("bin/{file}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::detect;
    use crate::languages::layouts::{Layout, check};

    const FLUTTER: (&str, &str) = (
        "pubspec.yaml",
        "dependencies:\n  flutter:\n    sdk: flutter\n",
    );

    // One line per layout.
    #[rustfmt::skip]
    const LAYOUTS: &[Layout] = &[
        (&[("pubspec.yaml", "name: api\nenvironment:\n  sdk: ^3.4.0\ndependencies:\n  shelf: ^1.4.0\n"), ("bin/server.dart", "Platform.environment['PORT']")], &["start ./bin/server", "port 8080", "version 3.9"]),
        (&[("pubspec.yaml", "name: x"), ("bin/x.dart", ""), ("bin/y.dart", "")], &["start ./bin/x", "port"]),
        // Of Flutter only the web is served.
        (&[FLUTTER, ("ios/Runner/x", "")], &["output", "role Tools"]),
        (&[FLUTTER, ("web/index.html", "")], &["output build/web", "role Frontend"]),
    ];

    #[test]
    fn layouts() {
        check(detect, LAYOUTS);
    }
}
