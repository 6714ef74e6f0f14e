//! Shell scripts. They accompany every other language, so they are an app only on their own, with low confidence.

use crate::Language;
use crate::findings::{Findings, Role, weight};
use crate::plan::Command;
use crate::repository::folder::Folder;

/// Names that scripts have which are the app, the likeliest first.
const SCRIPTS: &[&str] = &["start.sh", "main.sh", "run.sh", "entrypoint.sh"];

/// Looks for a script that starts something.
pub(crate) fn detect(folder: &Folder<'_>) -> Findings {
    let mut found = Findings::none(Language::Shell);
    let Some(file) = found.add_file(weight::LOCKFILE, folder, SCRIPTS, "a start script") else {
        return found;
    };
    found.role = Role::Tools;
    let text = folder.text(file).unwrap_or_default();
    found.plan.start = Some(Command::new(shell(&text)).arg(file));
    found.listens_or(folder, file, None);
    found
}

/// The shell that the first line asks for.
fn shell(script: &str) -> &'static str {
    let first = script.lines().next().unwrap_or_default();
    let asked = first.strip_prefix("#!").unwrap_or_default();
    let words = asked.split(['/', ' ']).map(str::trim);
    let known = ["bash", "zsh", "sh"];
    let of = |word: &str| known.into_iter().find(|known| *known == word);
    words.filter_map(of).next_back().unwrap_or("sh")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_names_the_shell() {
        for (script, expected) in [
            ("#!/bin/bash\n", "bash"),
            ("#!/usr/bin/env bash\n", "bash"),
            ("#!/bin/sh -eu\n", "sh"),
            ("#!/usr/bin/zsh", "zsh"),
            ("echo bash", "sh"),
            ("", "sh"),
        ] {
            assert_eq!(shell(script), expected, "{script}");
        }
    }
}
