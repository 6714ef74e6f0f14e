//! Haskell, built by Stack or Cabal.

use serde_json::Map;

use crate::Language;
use crate::findings::{Findings, Role, weight};
use crate::plan::Command;
use crate::repository::folder::Folder;
use crate::repository::version::{managed, number};
use crate::repository::yaml;

const FRAMEWORKS: &[(&str, &str)] = &[
    ("yesod", "yesod"),
    ("yesod-core", "yesod"),
    ("ihp", "ihp"),
    ("servant-server", "servant"),
    ("scotty", "scotty"),
    ("spock", "spock"),
    ("Spock", "spock"),
    ("snap-server", "snap"),
    ("happstack-server", "happstack"),
    ("warp", "wai"),
];

/// The compiler of each series of Stackage's long-term support.
const LTS: &[(&str, &str)] = &[
    ("24", "9.10"),
    ("23", "9.8"),
    ("22", "9.6"),
    ("21", "9.4"),
    ("20", "9.2"),
    ("19", "9.0"),
    ("18", "8.10"),
    ("17", "8.10"),
    ("16", "8.8"),
];

/// The port of a server whose source says none.
const USUAL_PORT: u16 = 3000;

/// Looks for a package of Haskell.
pub(crate) fn detect(folder: &Folder<'_>) -> Findings {
    let mut found = Findings::none(Language::Haskell);
    let cabal = folder.ending(".cabal").next();
    let hpack = folder.text("package.yaml").filter(|text| is_hpack(text));
    let stack = folder.text("stack.yaml");
    if let Some(file) = cabal {
        found.add(weight::MANIFEST, folder, file, "a Haskell package");
    } else if hpack.is_some() {
        let says = "a Haskell package";
        found.add(weight::MANIFEST, folder, "package.yaml", says);
    }
    if stack.is_some() {
        found.add(weight::MANIFEST, folder, "stack.yaml", "built by Stack");
    }
    found.add_file(
        weight::MANIFEST,
        folder,
        &["cabal.project"],
        "built by Cabal",
    );
    if !found.found() {
        return found;
    }
    let files = ["stack.yaml.lock", "cabal.project.freeze"];
    found.add_file(weight::LOCKFILE, folder, &files, "pins packages");
    let package = match (cabal, &hpack) {
        (Some(file), _) => Package::cabal(file, &folder.text(file).unwrap_or_default()),
        (None, Some(text)) => Package::hpack(text),
        (None, None) => member(folder).unwrap_or_default(),
    };
    found.version(folder, version(folder, stack.as_deref()));
    describe(&mut found, folder, &package, stack.is_some());
    found
}

/// `package.yaml` is a name that others use as well.
fn is_hpack(text: &str) -> bool {
    let yaml = yaml::read(text);
    [
        "library",
        "executable",
        "executables",
        "ghc-options",
        "internal-libraries",
    ]
    .iter()
    .any(|key| yaml.get(key).is_some())
}

/// The package in the first folder below that has one with a program.
fn member(folder: &Folder<'_>) -> Option<Package> {
    let packages = folder.own_dirs().filter_map(|dir| {
        let inside = folder.sub(dir);
        let file = inside.ending(".cabal").next()?;
        Some(Package::cabal(
            &format!("{dir}/{file}"),
            &inside.text(file)?,
        ))
    });
    packages
        .into_iter()
        .find(|package| !package.programs.is_empty())
}

/// What a package says about itself.
#[derive(Default)]
struct Package {
    file: String,
    programs: Vec<String>,
    dependencies: Vec<String>,
}

impl Package {
    fn cabal(file: &str, text: &str) -> Self {
        let lines = || {
            text.lines()
                .map(|line| line.split("--").next().unwrap_or(""))
        };
        let programs = lines().filter_map(|line| line.trim_end().strip_prefix("executable "));
        // Commas stand before or behind names, on one line or on many: a name is a word of its own.
        let words = lines().flat_map(|line| line.split([',', ' ', '\t', ':']));
        Self {
            file: file.to_owned(),
            programs: programs.map(|name| name.trim().to_owned()).collect(),
            dependencies: words.map(str::to_owned).collect(),
        }
    }

    fn hpack(text: &str) -> Self {
        let yaml = yaml::read(text);
        let programs = yaml["executables"].as_object();
        let single = yaml.get("executable").and(yaml["name"].as_str());
        let single = single.map(str::to_owned);
        let of_programs = programs.into_iter().flat_map(Map::values);
        let parts = of_programs.chain(yaml.get("library")).chain([&yaml]);
        let dependencies = parts
            .filter_map(|part| part["dependencies"].as_array())
            .flatten();
        let dependencies = dependencies.filter_map(|item| item.as_str()?.split(' ').next());
        Self {
            file: "package.yaml".to_owned(),
            dependencies: dependencies.map(str::to_owned).collect(),
            programs: programs
                .into_iter()
                .flat_map(Map::keys)
                .cloned()
                .chain(single)
                .collect(),
        }
    }

    fn depends(&self, name: &str) -> bool {
        self.dependencies
            .iter()
            .any(|dependency| dependency == name)
    }
}

fn version(folder: &Folder<'_>, stack: Option<&str>) -> Option<(&'static str, String)> {
    if let Some(told) = managed(folder, &["ghc", "haskell"]) {
        return Some(told);
    }
    if let Some(version) = stack.and_then(by_resolver) {
        return Some(("stack.yaml", version));
    }
    let project = folder.text("cabal.project").unwrap_or_default();
    let asked = project
        .lines()
        .find_map(|line| line.trim().strip_prefix("with-compiler:"));
    Some(("cabal.project", number(asked?)?))
}

/// The compiler of `lts-22.7`, `lts/22/7.yaml`, `ghc-9.6.4`.
fn by_resolver(stack: &str) -> Option<String> {
    let yaml = yaml::read(stack);
    let resolver = yaml.get("resolver").or_else(|| yaml.get("snapshot"))?;
    let text = resolver.as_str().or_else(|| resolver["url"].as_str())?;
    if let Some(version) = text.strip_prefix("ghc-") {
        return number(version);
    }
    let (_, series) = text.rsplit_once("lts")?;
    let series = number(series.trim_start_matches(['-', '/']))?;
    let series = series.split('.').next()?;
    let known = LTS.iter().find(|(known, _)| *known == series)?;
    Some(known.1.to_owned())
}

fn describe(found: &mut Findings, folder: &Folder<'_>, package: &Package, stack: bool) {
    found.framework(folder, &package.file, FRAMEWORKS, |name| {
        package.depends(name)
    });
    let (manager, install, build) = match stack {
        true => (
            "stack",
            "stack build --only-dependencies",
            "stack install --local-bin-path bin",
        ),
        false => (
            "cabal",
            "cabal build --only-dependencies",
            "cabal install exe:NAME --install-method=copy --installdir=bin",
        ),
    };
    found.package_manager = Some(manager.to_owned());
    found.plan.install = Some(Command::new(install));
    let Some(name) = package.programs.first() else {
        found.role = Role::Library;
        return;
    };
    let says = format!("the program `{name}`");
    found.add(weight::ENTRY, folder, &package.file, says);
    found.plan.build = Some(Command::new(&build.replace("NAME", name)).into());
    found.plan.start = Some(Command::program(format!("./bin/{name}")));
    let mains = ["app/Main.hs", "app/main.hs", "src/Main.hs", "Main.hs"];
    let usual = found.framework.as_ref().map(|_| USUAL_PORT);
    match folder.first(&mains) {
        Some(main) => {
            let told = folder.text(main).as_deref().and_then(run_port);
            found.listens_or(folder, main, told.or(usual));
        }
        None => found.port = usual,
    }
}

/// The port of Warp's `run 8081 app`.
fn run_port(source: &str) -> Option<u16> {
    let mut words = source.split_whitespace();
    words.find(|word| *word == "run" || word.ends_with(".run"))?;
    words.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::languages::layouts::{Layout, check};

    // One line per layout.
    #[rustfmt::skip]
    const LAYOUTS: &[Layout] = &[
        (&[("stack.yaml", "resolver: lts-22.7\n"), ("package.yaml", "name: shop\ndependencies:\n- base >= 4.7\n- scotty\nexecutables:\n  shop-exe:\n    main: Main.hs\n")], &["start ./bin/shop-exe", "framework scotty", "port 3000", "version 9.6"]),
        (&[("x.cabal", "executable x\n  build-depends: base, servant-server >= 0.19\n")], &["framework servant"]),
        (&[("x.cabal", "library\n")], &["role Library"]),
        (&[("package.yaml", "name: x\n")], &["found false"]),
    ];

    #[test]
    fn layouts() {
        check(detect, LAYOUTS);
        assert_eq!(run_port("main = Warp.run 8081 app"), Some(8081));
    }

    #[test]
    fn compilers_of_snapshots() {
        for (stack, expected) in [
            ("snapshot: lts-23.1", Some("9.8")),
            ("resolver:\n  url: https://x/lts/19/6.yaml", Some("9.0")),
            ("resolver: ghc-9.4.8", Some("9.4.8")),
            ("resolver: nightly-2024-01-01", None),
        ] {
            assert_eq!(by_resolver(stack).as_deref(), expected, "{stack}");
        }
    }
}
