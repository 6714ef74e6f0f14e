//! Go: one static program on an image with nothing else.

use super::script::{Script, quote};
use super::{App, GenerateError};

const MODULES: &str = "/go/pkg/mod";
const BUILDS: &str = "/root/.cache/go-build";

/// Folders whose files programs read by these names.
const DATA: &[&str] = &[
    "assets",
    "config",
    "configs",
    "migrations",
    "public",
    "static",
    "templates",
    "views",
    "web",
];

pub(super) fn write(app: &App<'_>, script: &mut Script) -> Result<(), GenerateError> {
    let start = app.start()?;
    let module = app.folder.text("go.mod").unwrap_or_default();
    let cgo = [
        "github.com/mattn/go-sqlite3",
        "github.com/confluentinc/confluent-kafka-go",
    ]
    .iter()
    .any(|name| module.contains(name));
    build(app, script, &module, cgo);
    let (role, why) = match cgo {
        true => (
            "go.run.cgo",
            "a C library is linked: an image with libc, and without a shell",
        ),
        false => (
            "go.run",
            "a static program needs nothing: no shell, no packages",
        ),
    };
    script.stage(&app.image(role), None, why);
    app.environment(script, &[]);
    script.line("WORKDIR /app", "paths of the program start here");
    for data in DATA.iter().filter(|data| app.folder.has_dir(data)) {
        let target = format!("COPY {data} ./{data}");
        script.line(&target, "files that programs read at run time");
    }
    script.line(
        "COPY --from=build /out/app /usr/local/bin/app",
        "the program",
    );
    let arguments = start.strip_prefix("./app").unwrap_or_default();
    let program = start.split(' ').next().unwrap_or_default();
    // A Procfile may call the program by another name: there is one program only, and no shell.
    let arguments = if program == "./app" {
        arguments
    } else {
        start.split_once(' ').map_or("", |(_, rest)| rest)
    };
    app.run(script, &format!("/usr/local/bin/app {}", arguments.trim()));
    Ok(())
}

fn build(app: &App<'_>, script: &mut Script, module: &str, cgo: bool) {
    let role = if cgo { "go.build.cgo" } else { "go.build" };
    script.stage(
        &app.image(role),
        Some("build"),
        "the compiler stays in a stage of its own",
    );
    script.line("WORKDIR /src", "outside of GOPATH: modules are used");
    let vendored = app.folder.has("vendor/modules.txt");
    let local = module.contains("=> ./") || module.contains("=> ../") || app.folder.has("go.work");
    if !module.is_empty() && !vendored && !local {
        let sums = if app.folder.has("go.sum") {
            "go.mod go.sum"
        } else {
            "go.mod"
        };
        script.line(
            &format!("COPY {sums} ./"),
            "only what decides the dependencies: a change of sources keeps the next layer cached",
        );
        script.run(
            &[MODULES],
            "go mod download",
            "the cache mount keeps modules between builds, outside of the image",
        );
    }
    script.line("COPY . .", "the sources last: they change most often");
    let build = app.detection.build.as_deref().unwrap_or_default();
    let package = build.strip_prefix("go build -o app ").unwrap_or(".");
    // Without a module a package is named by its file.
    let package = if module.is_empty() && !app.folder.has("go.work") {
        "main.go"
    } else {
        package
    };
    let command = format!(
        "CGO_ENABLED={} go build -trimpath -ldflags='-s -w' -o /out/app {}",
        u8::from(cgo),
        quote(package)
    );
    script.run(
        &[MODULES, BUILDS],
        &command,
        "static, without paths of this machine and without debugging tables",
    );
}
