//! Swift, built by its package manager.

use crate::Language;
use crate::findings::{Findings, Role, weight};
use crate::plan::Command;
use crate::repository::folder::Folder;
use crate::repository::port::DEFAULT_PORT;
use crate::repository::version::{managed, number};

/// Addresses of packages that answer requests.
const FRAMEWORKS: &[(&str, &str)] = &[
    ("vapor/vapor", "vapor"),
    ("hummingbird-project/hummingbird", "hummingbird"),
    ("Kitura/Kitura", "kitura"),
    ("PerfectlySoft/Perfect-HTTPServer", "perfect"),
];

/// Looks for a Swift package.
pub(crate) fn detect(folder: &Folder<'_>) -> Findings {
    let mut found = Findings::none(Language::Swift);
    let Some(text) = folder.text("Package.swift") else {
        return found;
    };
    let manifest = without_comments(&text);
    found.add(weight::MANIFEST, folder, "Package.swift", "a Swift package");
    found.lockfile(folder, &["Package.resolved"], "the Swift package manager");
    let requires = |address: &str| requires(&manifest, address);
    found.framework(folder, "Package.swift", FRAMEWORKS, requires);
    found.version(folder, version(folder, &text));
    found.package_manager = Some("swiftpm".to_owned());
    found.plan.install = Some(Command::new("swift package resolve"));
    program(&mut found, folder, &manifest);
    found
}

/// Without whole lines of `//`: the template of a package has examples in them.
fn without_comments(text: &str) -> String {
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// Whether a dependency has this address, with or without `.git`.
fn requires(manifest: &str, address: &str) -> bool {
    [format!("/{address}\""), format!("/{address}.git\"")]
        .iter()
        .any(|end| manifest.contains(end))
}

fn version(folder: &Folder<'_>, manifest: &str) -> Option<(&'static str, String)> {
    let told = folder.text(".swift-version");
    if let Some(version) = told.and_then(|text| number(&text)) {
        return Some((".swift-version", version));
    }
    if let Some(told) = managed(folder, &["swift"]) {
        return Some(told);
    }
    let (_, rest) = manifest.lines().next()?.split_once("swift-tools-version")?;
    Some(("Package.swift", number(rest)?))
}

/// The product or target that is run; among several one that a server is called.
fn program(found: &mut Findings, folder: &Folder<'_>, manifest: &str) {
    let mut names = names(manifest, ".executable(");
    names.extend(self::names(manifest, ".executableTarget("));
    // Before Swift 5.4 a target with a `main.swift` was a program.
    let runs = |name: &String| folder.has(&format!("Sources/{name}/main.swift"));
    names.extend(self::names(manifest, ".target(").into_iter().filter(runs));
    const SERVERS: &[&str] = &["App", "Run", "Server", "server", "Api", "API"];
    let server = names
        .iter()
        .find(|name| SERVERS.contains(&name.as_str()) || name.ends_with("Server"));
    let Some(name) = server.or(names.first()) else {
        found.role = Role::Library;
        return;
    };
    let says = format!("the program `{name}`");
    found.add(weight::ENTRY, folder, "Package.swift", says);
    found.plan.build = Some(
        Command::new("swift build -c release --product")
            .target(name)
            .into(),
    );
    let program = Command::program(format!("./.build/release/{name}"));
    let main = format!("Sources/{name}/main.swift");
    let usual = found.framework.as_ref().map(|_| DEFAULT_PORT);
    found.listens_or(folder, &main, usual);
    found.plan.start = Some(match found.framework.as_deref() {
        Some("vapor") => program.args("serve --env production --hostname 0.0.0.0 --port $PORT"),
        _ => program,
    });
}

/// The names of the products or targets of a kind.
fn names(manifest: &str, kind: &str) -> Vec<String> {
    let behind = manifest.split(kind).skip(1);
    let name = |text: &str| {
        let (_, rest) = text.split_once("name:")?;
        let (_, rest) = rest.split_once('"')?;
        Some(rest.split_once('"')?.0.to_owned())
    };
    behind.filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::detect;
    use crate::languages::layouts::{Layout, check};

    // One line per layout.
    #[rustfmt::skip]
    const LAYOUTS: &[Layout] = &[
        (&[("Package.swift", "// swift-tools-version:5.9\n.package(url: \"https://github.com/vapor/vapor.git\", from: \"4\"),\n.executableTarget(\n  name: \"App\"),\n.testTarget(name: \"T\")")], &["version 5.9", "framework vapor", "port 8080", "start ./.build/release/App serve --env production --hostname 0.0.0.0 --port $PORT"]),
        (&[("Package.swift", "// .executableTarget(name: \"x\")\n.target(name: \"Kit\")")], &["role Library", "port"]),
    ];

    #[test]
    fn layouts() {
        check(detect, LAYOUTS);
    }
}
