//! Rust.

use toml::Table;

use super::manifest::{Package, packages};
use super::port::listens;
use super::{subcommand, toolchain};
use crate::Language;
use crate::choice::{self, Reason};
use crate::encoding;
use crate::findings::{Findings, Role, weight};
use crate::plan::Command;
use crate::repository::folder::Folder;
use crate::repository::port::DEFAULT_PORT;
use crate::repository::version::{compare, managed, number};
use crate::servers;

const FRAMEWORKS: &[(&str, &str)] = &[
    ("leptos", "leptos"),
    ("dioxus", "dioxus"),
    ("yew", "yew"),
    ("loco-rs", "loco"),
    ("axum", "axum"),
    ("actix-web", "actix"),
    ("rocket", "rocket"),
    ("warp", "warp"),
    ("poem", "poem"),
    ("salvo", "salvo"),
    ("tide", "tide"),
    ("gotham", "gotham"),
    ("ntex", "ntex"),
    ("tonic", "tonic"),
    ("hyper", "hyper"),
];

/// How many programs are named, where nothing says which one is the app.
const PROGRAMS: usize = 20;

/// Looks for a Cargo package or workspace.
pub(crate) fn detect(folder: &Folder<'_>) -> Findings {
    let mut found = Findings::none(Language::Rust);
    if !folder.has("Cargo.toml") {
        return found;
    }
    let manifest = folder.toml("Cargo.toml").unwrap_or_default();
    let packages = packages(folder);
    found.add(weight::MANIFEST, folder, "Cargo.toml", "a Cargo manifest");
    found.lockfile(folder, &["Cargo.lock"], "Cargo");
    version(&mut found, folder, &manifest);
    found.package_manager = Some("cargo".to_owned());
    found.plan.install = Some(Command::new("cargo fetch --locked"));
    workspace(&mut found, folder, &manifest, &packages);
    program(&mut found, folder, &manifest, &packages);
    found
}

/// Channels are no versions: rustup reads the file in the build, and takes what it names.
fn version(found: &mut Findings, folder: &Folder<'_>, manifest: &Table) {
    if let Some((file, channel)) = toolchain::channel(folder) {
        if let Some(encoding) = encoding::of(folder, file) {
            let says = format!(
                "is {encoding}, which rustup can't read: the image says the toolchain instead. Save it as UTF-8"
            );
            found.add(weight::NONE, folder, file, says);
        }
        if channel.starts_with(|ch: char| ch.is_ascii_digit()) {
            found.version(folder, number(&channel).map(|version| (file, version)));
        } else {
            let says = format!("asks for the toolchain `{channel}`, which rustup fetches");
            found.add(weight::HINT, folder, file, says);
        }
        return;
    }
    let shared = |table: &Table| Some(table.get("workspace")?.get("package")?.clone());
    let package = manifest.get("package").cloned();
    let least = [package, shared(manifest)]
        .into_iter()
        .flatten()
        .find_map(|table| number(table.get("rust-version")?.as_str()?));
    let allowed =
        |(_, told): &(&str, String)| !compare(told, least.as_deref().unwrap_or_default()).is_lt();
    let told = managed(folder, &["rust"]).filter(allowed);
    found.version(
        folder,
        told.or_else(|| Some(("Cargo.toml", least.clone()?))),
    );
}

fn workspace(found: &mut Findings, folder: &Folder<'_>, manifest: &Table, packages: &[Package]) {
    if manifest.get("workspace").is_none() {
        return;
    }
    found.add(weight::LOCKFILE, folder, "Cargo.toml", "a workspace root");
    let with_programs = packages
        .iter()
        .filter(|package| !package.dir.is_empty() && !package.programs.is_empty());
    found.members = with_programs.map(|package| package.dir.clone()).collect();
}

/// One program of one package.
struct Program<'p> {
    package: &'p Package,
    name: &'p str,
    file: String,
}

/// The program that is run, and what it is.
fn program(found: &mut Findings, folder: &Folder<'_>, manifest: &Table, packages: &[Package]) {
    let asked = |package: &&Package| folder.member().is_none_or(|member| package.dir == member);
    let programs: Vec<Program<'_>> = packages
        .iter()
        .filter(asked)
        .flat_map(|package| {
            package.programs.iter().map(move |(name, file)| Program {
                package,
                name,
                file: package.at(file),
            })
        })
        .collect();
    let chosen = choose(folder, &programs);
    let package = chosen.map(|program| program.package).or(packages.first());
    describe(found, folder, package, manifest);
    let Some(program) = chosen else {
        if programs.is_empty() {
            found.role = Role::Library;
        } else {
            several(found, folder, &programs);
        }
        return;
    };
    found.add(
        weight::ENTRY,
        folder,
        &program.file,
        format!("the program `{}`", program.name),
    );
    if let [_, _, ..] = programs.as_slice() {
        let others = programs.iter().map(|other| other.name);
        let others: Vec<&str> = others.filter(|name| *name != program.name).collect();
        let says = format!("preferred over {}", others.join(", "));
        found.add(weight::NONE, folder, &program.file, says);
    }
    if browser(found, folder, manifest, program) {
        return;
    }
    let features = program.package.features_option(folder, program.name);
    let guarded = program.package.guarded(folder, program.name);
    if let [first, ..] = guarded.as_slice() {
        let says = format!(
            "needs one of the features {}: built with {first}",
            guarded.join(", ")
        );
        let file = program.package.at("Cargo.toml");
        found.add(weight::NONE, folder, &file, says);
    }
    let build = Command::new("cargo build --release --locked").args(&features);
    let build = match programs.len() {
        1 if folder.member().is_none() => build,
        _ => build.arg("--bin").arg(program.name),
    };
    found.plan.build = Some(build.into());
    found.plan.start = Some(Command::program(format!(
        "./target/release/{}",
        program.name
    )));
    listens(found, folder, &program.file);
    if let Some((command, file)) = subcommand::find(folder, &program.file) {
        let says = format!("serves with the command `{command}`");
        found.add(weight::NONE, folder, &file, says);
        let start = found.plan.start.take();
        found.plan.start = start.map(|start| start.arg(command));
    }
    if found.framework.as_deref() == Some("loco") {
        // Its program has several commands, and listens on localhost unless it is told otherwise.
        found.port = Some(DEFAULT_PORT);
        let start = found.plan.start.take();
        found.plan.start = start.map(|start| {
            start
                .args("start --environment production --binding 0.0.0.0 --port")
                .arg(DEFAULT_PORT.to_string())
        });
    }
}

/// Says which programs there are: how each is started, and which packages have one.
fn several(found: &mut Findings, folder: &Folder<'_>, programs: &[Program<'_>]) {
    let says = format!(
        "{} programs, and nothing says which one to deploy",
        programs.len()
    );
    found.stops(weight::NONE, folder, "Cargo.toml", says);
    for program in programs.iter().take(PROGRAMS) {
        let says = format!("started by `./target/release/{}`", program.name);
        found.add(weight::NONE, folder, &program.file, says);
    }
}

/// Which of several programs is the app: the first reason that leaves one.
fn choose<'p>(folder: &Folder<'_>, programs: &'p [Program<'p>]) -> Option<&'p Program<'p>> {
    if let [only] = programs {
        return Some(only);
    }
    let serves = |program: &Program<'_>| {
        FRAMEWORKS
            .iter()
            .any(|(name, _)| program.package.depends(name))
    };
    let named_so = |program: &Program<'_>| {
        program.package.default_run() == Some(program.name)
            // The name of the package is the program's that `cargo install` users know.
            || (program.package.dir.is_empty() && program.package.default_run().is_none()
                && program.package.name == program.name)
    };
    let is_server = |program: &Program<'_>| {
        servers::is_one(program.name) || servers::is_one(&program.package.name)
    };
    let listens = |program: &Program<'_>| {
        let text = folder.text(&program.file).unwrap_or_default();
        ["TcpListener", "HttpServer", "rocket::", "::serve("]
            .iter()
            .any(|mark| text.contains(mark))
    };
    let reasons: [Reason<'_, Program<'p>>; 4] = [&named_so, &serves, &listens, &is_server];
    Some(choice::choose(programs, &reasons)?.0)
}

fn describe(
    found: &mut Findings,
    folder: &Folder<'_>,
    package: Option<&Package>,
    manifest: &Table,
) {
    let shared = |name: &str| {
        let shared = manifest
            .get("workspace")
            .and_then(|table| table.get("dependencies"));
        shared.is_some_and(|table| table.get(name).is_some())
    };
    // What the whole workspace shares counts where no package is the app.
    let depends =
        |name: &str| package.map_or_else(|| shared(name), |package| package.depends(name));
    let file = package.map_or("Cargo.toml".to_owned(), |package| package.at("Cargo.toml"));
    found.framework(folder, &file, FRAMEWORKS, depends);
}

/// Apps for browsers: their tools build more than the program. Whether it is one.
fn browser(
    found: &mut Findings,
    folder: &Folder<'_>,
    manifest: &Table,
    program: &Program<'_>,
) -> bool {
    let leptos = manifest
        .get("workspace")
        .and_then(|table| table.get("metadata")?.get("leptos"));
    let own = program.package.manifest.get("package");
    let leptos = own
        .and_then(|table| table.get("metadata")?.get("leptos"))
        .or(leptos);
    if leptos.is_some() {
        found.add(weight::HINT, folder, "Cargo.toml", "cargo-leptos settings");
        found.plan.build = Some(Command::new("cargo leptos build --release").into());
        found.plan.start = Some(Command::program(format!(
            "./target/release/{}",
            program.name
        )));
        found.port = Some(DEFAULT_PORT);
        return true;
    }
    let page = folder.text("index.html").unwrap_or_default();
    if folder.has("Trunk.toml") || page.contains("data-trunk") {
        let file = if folder.has("Trunk.toml") {
            "Trunk.toml"
        } else {
            "index.html"
        };
        found.add(weight::HINT, folder, file, "Trunk builds browser assets");
        found.plan.build = Some(Command::new("trunk build --release").into());
        let settings = folder.toml("Trunk.toml").unwrap_or_default();
        let dist = settings
            .get("build")
            .and_then(|build| build.get("dist")?.as_str());
        found.output = Some(dist.unwrap_or("dist").to_owned());
        found.role = Role::Frontend;
        found.port = Some(DEFAULT_PORT);
        return true;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::detect;
    use crate::languages::layouts::{Layout, check};

    const SHOP: (&str, &str) = (
        "Cargo.toml",
        "[package]\nname = \"shop\"\nrust-version = \"1.85\"\n[dependencies]\naxum = \"0.8\"\n",
    );
    const BARE: (&str, &str) = ("Cargo.toml", "[package]\nname='shop'");
    const MAIN: (&str, &str) = ("src/main.rs", "");
    const API: (&str, &str) = ("src/bin/api.rs", "");
    const MIGRATE: (&str, &str) = ("src/bin/migrate.rs", "");

    // One line per layout.
    #[rustfmt::skip]
    const LAYOUTS: &[Layout] = &[
        (&[SHOP, ("src/main.rs", "env::var(\"PORT\")")], &["start ./target/release/shop", "framework axum", "version 1.85"]),
        (&[SHOP, ("src/lib.rs", "")], &["role Library"]),
        // A workspace with one program is that program.
        (&[("Cargo.toml", "[workspace]\nmembers = [\"crates/*\"]"), ("crates/a/Cargo.toml", "[package]\nname = \"server\""), ("crates/a/src/main.rs", ""), ("crates/b/src/lib.rs", "")], &["members crates/a", "start ./target/release/server"]),
        // Channels are no versions.
        (&[BARE, MAIN, ("rust-toolchain.toml", "[toolchain]\nchannel = \"nightly-2024-08-12\"")], &["version"]),
        (&[BARE, MAIN, ("rust-toolchain.toml", "[toolchain]\nchannel = \"1.88.0\"")], &["version 1.88.0"]),
        (&[BARE, MAIN, ("rust-toolchain", "stable\n")], &["version"]),
        (&[BARE, MAIN, ("rust-toolchain", "1.80\n")], &["version 1.80"]),
        (&[BARE, MAIN, ("rust-toolchain", "[toolchain]\nchannel = \"1.81\"")], &["version 1.81"]),
        (&[SHOP, MAIN, (".tool-versions", "rust 1.90.0")], &["version 1.90.0"]),
        (&[SHOP, MAIN, ("mise.toml", "[tools]\nrust = \"1.80\"")], &["version 1.85"]),
        // Modules beside the program name the port as well.
        (&[SHOP, ("src/main.rs", "mod config;"), ("src/config.rs", "#[arg(long, default_value_t = 7000)]\n    port: u16,")], &["port 7000"]),
        (&[SHOP, ("src/main.rs", ""), ("src/startup.rs", "TcpListener::bind(\"0.0.0.0:4000\")"), ("src/db.rs", "127.0.0.1:5432")], &["port 4000"]),
        (&[SHOP, ("src/main.rs", ""), ("src/settings/mod.rs", "env::var(\"PORT\")")], &["port 8080"]),
        // One of several programs is the app.
        (&[BARE, API, MIGRATE], &["start ./target/release/api"]),
        (&[("Cargo.toml", "[package]\nname='shop'\ndefault-run='migrate'"), API, MIGRATE], &["start ./target/release/migrate"]),
        (&[BARE, MAIN, API], &["start ./target/release/shop"]),
        (&[BARE, ("src/bin/x.rs", ""), ("src/bin/y.rs", "")], &["start"]),
    ];

    #[test]
    fn layouts() {
        check(detect, LAYOUTS);
    }
}
