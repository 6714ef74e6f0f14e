//! Crystal.

use serde_json::Value;

use crate::Language;
use crate::findings::{Findings, Role, weight};
use crate::plan::Command;
use crate::repository::folder::Folder;
use crate::repository::version::{managed, number};

const FRAMEWORKS: &[(&str, &str)] = &[
    ("lucky", "lucky"),
    ("amber", "amber"),
    ("marten", "marten"),
    ("athena", "athena"),
    ("spider-gazelle", "spider-gazelle"),
    ("grip", "grip"),
    ("kemal", "kemal"),
];

/// The port of a server whose source says none.
const USUAL_PORT: u16 = 3000;

/// Looks for a shard.
pub(crate) fn detect(folder: &Folder<'_>) -> Findings {
    let mut found = Findings::none(Language::Crystal);
    if !folder.has("shard.yml") {
        return found;
    }
    let shard = folder.yaml("shard.yml");
    found.add(weight::MANIFEST, folder, "shard.yml", "a Crystal shard");
    found.lockfile(folder, &["shard.lock"], "Shards");
    let depends = |name: &str| shard["dependencies"].get(name).is_some();
    found.framework(folder, "shard.yml", FRAMEWORKS, depends);
    found.version(folder, version(folder, &shard));
    found.package_manager = Some("shards".to_owned());
    found.plan.install = Some(Command::new("shards install --production"));
    program(&mut found, folder, &shard);
    found
}

fn version(folder: &Folder<'_>, shard: &Value) -> Option<(&'static str, String)> {
    if let Some(told) = folder
        .text(".crystal-version")
        .and_then(|text| number(&text))
    {
        return Some((".crystal-version", told));
    }
    let asked = || Some(("shard.yml", number(shard["crystal"].as_str()?)?));
    managed(folder, &["crystal"]).or_else(asked)
}

/// The first target, the one named as the shard before others; or the file of the shard's name, if it serves.
fn program(found: &mut Findings, folder: &Folder<'_>, shard: &Value) {
    let name = shard["name"].as_str().unwrap_or("app");
    let targets = shard["targets"].as_object();
    let own = targets.and_then(|targets| targets.get_key_value(name));
    if let Some((target, settings)) = own.or_else(|| targets?.iter().next()) {
        let main = settings["main"].as_str();
        let file = main.map_or_else(|| format!("src/{target}.cr"), str::to_owned);
        let says = format!("builds the program `{target}`");
        found.add(weight::ENTRY, folder, "shard.yml", says);
        found.plan.build = Some(
            Command::new("shards build")
                .target(target)
                .args("--release --production")
                .into(),
        );
        runs(found, folder, target, &file);
        return;
    }
    let file = format!("src/{name}.cr");
    if found.framework.is_some() && folder.has(&file) {
        found.add(weight::ENTRY, folder, &file, "the program");
        found.plan.build = Some(
            Command::new("crystal build --release")
                .target(&file)
                .arg("-o")
                .arg(format!("bin/{name}"))
                .into(),
        );
        runs(found, folder, name, &file);
    } else {
        found.role = Role::Library;
    }
}

fn runs(found: &mut Findings, folder: &Folder<'_>, name: &str, file: &str) {
    found.plan.start = Some(Command::program(format!("./bin/{name}")));
    let serves = found.framework.is_some()
        || folder
            .text(file)
            .is_some_and(|text| text.contains("HTTP::Server"));
    found.listens_or(folder, file, serves.then_some(USUAL_PORT));
}

#[cfg(test)]
mod tests {
    use super::detect;
    use crate::languages::layouts::{Layout, check};

    // One line per layout.
    #[rustfmt::skip]
    const LAYOUTS: &[Layout] = &[
        (&[("shard.yml", "name: shop\ncrystal: '>= 1.4.1'\ntargets:\n  shop:\n    main: src/shop.cr\n"), ("src/shop.cr", "puts 1")], &["start ./bin/shop", "port", "version 1.4.1"]),
        (&[("shard.yml", "name: shop\ndependencies:\n  kemal:\n    github: kemalcr/kemal\n"), ("src/shop.cr", "Kemal.run")], &["framework kemal", "port 3000"]),
        (&[("shard.yml", "name: shop\n"), ("src/shop.cr", "")], &["role Library"]),
    ];

    #[test]
    fn layouts() {
        check(detect, LAYOUTS);
    }
}
