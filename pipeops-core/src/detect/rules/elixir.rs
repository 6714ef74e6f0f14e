//! Elixir.

use super::DEFAULT_PORT;
use crate::detect::Language;
use crate::detect::findings::{Findings, weight};
use crate::detect::folder::Folder;
use crate::detect::version::{number, tool};

/// Looks for a Mix project.
pub(super) fn look(folder: &Folder<'_>) -> Findings {
    let mut found = Findings::none(Language::Elixir);
    if found
        .add_file(weight::MANIFEST, folder, &["mix.exs"], "a Mix project")
        .is_none()
    {
        return found;
    }
    let text = folder.text("mix.exs").unwrap_or_default();
    found.add_file(weight::LOCKFILE, folder, &["mix.lock"], "written by Mix");
    for (mark, name) in [
        ("{:phoenix,", "phoenix"),
        ("{:plug_cowboy,", "plug"),
        ("{:bandit,", "plug"),
    ] {
        if text.contains(mark) {
            found.add(
                weight::FRAMEWORK,
                folder,
                "mix.exs",
                format!("depends on {}", &mark[2..mark.len() - 1]),
            );
            found.framework = Some(name.to_owned());
            break;
        }
    }
    let asked = text
        .split("elixir:")
        .nth(1)
        .and_then(|rest| number(rest.lines().next()?));
    let told = folder
        .text(".tool-versions")
        .and_then(|text| tool(&text, &["elixir"]));
    found.version(
        folder,
        told.map(|version| (".tool-versions", version))
            .or(asked.map(|version| ("mix.exs", version))),
    );
    found.package_manager = Some("mix".to_owned());
    found.install = Some("mix deps.get --only prod".to_owned());
    found.build = Some("mix release".to_owned());
    found.start = Some(match found.framework.as_deref() {
        Some("phoenix") => "mix phx.server".to_owned(),
        _ => "mix run --no-halt".to_owned(),
    });
    found.port = Some(DEFAULT_PORT);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::MemTree;

    #[test]
    fn phoenix() {
        let tree = MemTree::from([
            ("mix.exs", "elixir: \"~> 1.15\",\n {:phoenix, \"~> 1.7\"}"),
            ("mix.lock", ""),
        ]);
        let found = look(&Folder::open(&tree, ""));
        assert_eq!(found.framework.as_deref(), Some("phoenix"));
        assert_eq!(found.version.as_deref(), Some("1.15"));
    }
}
