//! Rust: one program on an image with libc and nothing else.

use super::manifest::{Package, foreign, packages};
use super::system::System;
use super::{sqlx, toolchain};
use crate::encoding;
use crate::generate::app::App;
use crate::generate::error::GenerateError;
use crate::generate::program::Launch;
use crate::generate::script::{Script, quote};
use crate::generate::{data, debian, program};
use crate::languages::assets;
use crate::languages::static_site::recipe as static_site;
use crate::plan::Build;

const REGISTRY: &str = "/usr/local/cargo/registry";
const GIT: &str = "/usr/local/cargo/git";

/// Files that decide how Cargo builds, beside the manifests.
const SETTINGS: &[&str] = &["Cargo.lock", "rust-toolchain", "rust-toolchain.toml"];

pub(crate) fn write(app: &App<'_>, script: &mut Script) -> Result<(), GenerateError> {
    let mut system = System::of(app);
    let build = app.plan.build.as_ref().and_then(Build::last);
    let for_browsers = build.is_some_and(|build| !build.calls("cargo build"));
    // Tools for browsers are compiled here too, and some of them link to OpenSSL.
    system.headers |= for_browsers;
    let why = match system.headers {
        true => "a separate stage keeps the compiler, C libraries and headers out of the image",
        false => "a separate stage keeps the compiler out of the image",
    };
    let node = assets::own_build(app);
    if let Some(node) = &node {
        assets::runtime(app, script, Some(node));
    }
    script.stage(&app.image(system.build_role()), Some("build"), why);
    debian::install(
        script,
        &system.tools,
        "tools that build scripts of the dependencies call",
    );
    script.line("WORKDIR /src", "the source directory");
    if let Some(node) = &node {
        assets::beside(script, node);
    }
    if let Some((file, channel)) = toolchain::channel(&app.folder)
        && encoding::of(&app.folder, file).is_some()
    {
        script.environment(
            &[("RUSTUP_TOOLCHAIN", &channel)],
            "keeps rustup from reading the file, whose encoding it doesn't know",
        );
    }
    if sqlx::is_prepared(app)? {
        script.environment(
            &[("SQLX_OFFLINE", "true")],
            "checks queries against the prepared ones, without a database",
        );
    }
    if let Some(output) = &app.detection.output {
        browser_tool(app, script, "trunk", "^0.21");
        script.run(
            &[REGISTRY, "/src/target"],
            app.detection
                .build
                .as_deref()
                .unwrap_or("trunk build --release"),
            "builds the browser assets",
        );
        static_site::serve(app, script, &format!("/src/{output}"));
        return Ok(());
    }
    let launch = Launch::of(app, program::PATH)?;
    let packages = packages(&app.folder);
    let is_program = |name: &str| {
        let mut programs = packages.iter().flat_map(|package| &package.programs);
        programs.any(|(program, _)| program == name)
    };
    let name = program::name(app, is_program)?;
    let leptos = build.is_some_and(|build| build.calls("cargo leptos"));
    if leptos {
        browser_tool(app, script, "cargo-leptos", "^0.2");
        let command = format!(
            "cargo leptos build --release \\\n && cp target/release/{} /usr/local/bin/app \\\n && cp -r target/site /site",
            quote(name)
        );
        script.run(
            &[REGISTRY, "/src/target"],
            &command,
            "builds the program and its browser assets, and copies them out of the mount in the same step",
        );
    } else {
        compile(app, script, name, &packages);
    }
    run_stage(app, script, &system, &launch);
    if leptos {
        script.line("COPY --from=build /site ./site", "browser assets");
    }
    script.line(
        "COPY --from=build /usr/local/bin/app /usr/local/bin/app",
        "the program",
    );
    launch.run(app, script);
    Ok(())
}

/// A tool that builds for browsers, in a layer of its own, and the sources.
fn browser_tool(app: &App<'_>, script: &mut Script, tool: &str, version: &str) {
    let files = app.present(&SETTINGS[1..]);
    if !files.is_empty() {
        script.line(
            &format!("COPY {} ./", files.join(" ")),
            "the toolchain that the project asks for",
        );
    }
    script.run(
        &[REGISTRY],
        &format!("rustup target add wasm32-unknown-unknown \\\n && cargo install --locked {tool}@{version}"),
        "a separate layer, because compiling the tool takes minutes",
    );
    script.sources();
}

fn compile(app: &App<'_>, script: &mut Script, name: &str, packages: &[Package]) {
    let package = packages
        .iter()
        .find(|package| package.programs.iter().any(|(program, _)| program == name));
    let of_member = package.filter(|package| !package.dir.is_empty());
    let member = of_member.map_or(String::new(), |package| {
        format!(" --package {}", quote(&package.name))
    });
    let lock = app.folder.text("Cargo.lock");
    let locked = if lock.is_some() { " --locked" } else { "" };
    let features = package
        .map(|package| package.features_option(&app.folder, name))
        .unwrap_or_default();
    let build = format!(
        "cargo build --release{locked}{member}{features} --bin {}",
        quote(name)
    );
    let from_git = lock.as_deref().is_some_and(|lock| lock.contains("\"git+"));
    let caches: &[&str] = if from_git {
        &[REGISTRY, GIT]
    } else {
        &[REGISTRY]
    };
    let copy = format!("cp target/release/{} /usr/local/bin/app", quote(name));
    if lock.is_some() && stubs(app, script, packages) {
        script.run(
            caches,
            &build,
            "compiles the dependencies: this layer stays cached until a manifest changes",
        );
        script.sources();
        let touch = "find . -name '*.rs' -not -path './target/*' -exec touch {} +";
        script.run(
            caches,
            &format!("{touch} \\\n && {build} \\\n && {copy}"),
            "Cargo compares modification times, so the sources must be newer than the stubs that they replace",
        );
        return;
    }
    script.line(
        "COPY . .",
        "all sources, because the manifests alone don't determine the dependencies; the mounts below cache them",
    );
    script.results(|_| true);
    let mut caches = caches.to_vec();
    caches.push("/src/target");
    script.run(
        &caches,
        &format!("{build} \\\n && {copy}"),
        "builds the program and copies it out in the same step, because the mount isn't part of the image",
    );
}

/// Copies the manifests, and writes an empty source for each target: enough to compile the dependencies. Not where a
/// dependency is a folder outside of the workspace: its sources would be missing.
fn stubs(app: &App<'_>, script: &mut Script, packages: &[Package]) -> bool {
    if packages.is_empty() {
        return false;
    }
    let Some(foreign) = foreign(&app.folder, packages) else {
        return false;
    };
    let files = app.present(SETTINGS);
    script.manifests(&format!("Cargo.toml {}", files.join(" ")), "./");
    if app.folder.has_dir(".cargo") {
        script.line("COPY .cargo ./.cargo", "Cargo settings");
    }
    for package in packages.iter().filter(|package| !package.dir.is_empty()) {
        let dir = quote(&package.dir);
        script.line(
            &format!("COPY {dir}/Cargo.toml ./{dir}/"),
            "the manifest of a workspace member",
        );
    }
    for dir in &foreign {
        let dir = quote(dir);
        script.line(
            &format!("COPY {dir} ./{dir}"),
            "a dependency that is a folder of the repository",
        );
    }
    let (libraries, programs): (Vec<_>, Vec<_>) = packages
        .iter()
        .flat_map(targets)
        .partition(|(_, library)| *library);
    let mut steps = Vec::new();
    for (targets, text) in [
        (programs, "//! Stub.\\nfn main() {}\\n"),
        (libraries, "//! Stub.\\n"),
    ] {
        let files: Vec<String> = targets.iter().map(|(file, _)| quote(file)).collect();
        match files.as_slice() {
            [] => {}
            [file] => {
                let dir = file.rsplit_once('/').map_or(".", |(dir, _)| dir);
                steps.push(format!("mkdir -p {dir} \\\n && printf '{text}' > {file}"));
            }
            files => steps.push(format!(
                "for file in {}; do \\\n      mkdir -p \"$(dirname \"$file\")\" && printf '{text}' > \"$file\" || exit 1; \\\n    done",
                files.join(" ")
            )),
        }
    }
    script.run(
        &[],
        &steps.join(" \\\n && "),
        "an empty source for each target, so that Cargo accepts the manifests",
    );
    true
}

/// The files of a package's targets, and whether each is a library.
fn targets(package: &Package) -> impl Iterator<Item = (String, bool)> {
    let programs = package
        .programs
        .iter()
        .map(|(_, file)| (package.at(file), false));
    let library = package.library();
    let others = package
        .others
        .iter()
        .map(move |file| (package.at(file), *file == library));
    programs.chain(others)
}

fn run_stage(app: &App<'_>, script: &mut Script, system: &System, launch: &Launch) {
    if system.libraries.is_empty() {
        let image = ("rust.run", "libc, OpenSSL and certificates; no shell");
        launch.stage(app, script, image);
    } else {
        script.stage(
            &app.image("rust.run.debian"),
            None,
            "a small Debian for the C libraries that the program links to",
        );
        let mut libraries = vec!["ca-certificates", "libssl3"];
        libraries.extend(&system.libraries);
        debian::install(script, &libraries, "the libraries, without their headers");
    }
    let port = app
        .detection
        .port
        .map(|port| port.to_string())
        .unwrap_or_default();
    let address = format!("0.0.0.0:{port}");
    let own: &[(&str, &str)] = match app.framework() {
        "rocket" => &[("ROCKET_ADDRESS", "0.0.0.0"), ("ROCKET_PORT", &port)],
        "leptos" => &[("LEPTOS_SITE_ADDR", &address), ("LEPTOS_SITE_ROOT", "site")],
        _ => &[],
    };
    app.environment(script, if port.is_empty() { &[] } else { own });
    script.line("WORKDIR /app", "the program's relative paths start here");
    data::copy(app, script, ".rs", |_| false);
    for file in app.present(&["Rocket.toml"]) {
        script.line(
            &format!("COPY {file} ./"),
            "settings that the framework reads",
        );
    }
}
