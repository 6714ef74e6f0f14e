//! Deno.

use super::DEFAULT_PORT;
use crate::detect::Language;
use crate::detect::findings::{Findings, Role, weight};
use crate::detect::folder::Folder;
use crate::detect::source_port::{Port, port};

const PROGRAMS: &[&str] = &[
    "main.ts",
    "server.ts",
    "mod.ts",
    "index.ts",
    "app.ts",
    "src/main.ts",
    "main.tsx",
    "main.js",
];

/// Looks for Deno's configuration, and for programs that only Deno runs.
pub(super) fn look(folder: &Folder<'_>) -> Findings {
    let mut found = Findings::none(Language::Deno);
    let config = found.add_file(
        weight::MANIFEST,
        folder,
        &["deno.json", "deno.jsonc"],
        "a Deno project",
    );
    found.add_file(weight::LOCKFILE, folder, &["deno.lock"], "written by Deno");
    let program = folder.first(PROGRAMS);
    let text = program
        .and_then(|file| folder.text(file))
        .unwrap_or_default();
    let only_deno = [
        "https://deno.land/",
        "Deno.",
        "from \"jsr:",
        "from 'jsr:",
        "from \"npm:",
        "from 'npm:",
    ];
    if let Some(file) = program {
        if only_deno.iter().any(|mark| text.contains(mark)) {
            found.add(weight::ENTRY, folder, file, "a program for Deno");
        } else if config.is_some() {
            found.add(weight::LOCKFILE, folder, file, "the program");
        }
    }
    if !found.found() {
        return found;
    }
    describe(&mut found, folder, config, program, &text);
    found
}

fn describe(
    found: &mut Findings,
    folder: &Folder<'_>,
    config: Option<&str>,
    program: Option<&str>,
    text: &str,
) {
    let json = config.and_then(|file| folder.json(file));
    let task = json.as_ref().and_then(|json| json.pointer("/tasks/start"));
    found.package_manager = Some("deno".to_owned());
    found.port = Some(DEFAULT_PORT);
    if text.contains("$fresh") || folder.has("fresh.gen.ts") {
        found.framework = Some("fresh".to_owned());
    }
    if task.is_some() {
        found.start = Some("deno task start".to_owned());
    } else if let Some(file) = program {
        found.start = Some(format!(
            "deno run --allow-net --allow-env --allow-read {file}"
        ));
    } else {
        found.role = Role::Library;
        found.port = None;
    }
    if let Some(Port::Fixed(port)) = port(text) {
        found.port = Some(port);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::MemTree;

    #[test]
    fn only_denos_own_programs_count() {
        let look = |file: &str, text: &str| {
            look(&Folder::open(
                &[(file, text)].into_iter().collect::<MemTree>(),
                "",
            ))
        };
        assert!(look("main.ts", "Deno.serve(() => new Response())").found());
        assert!(!look("main.ts", "import express from 'express'").found());
        assert_eq!(
            look("deno.json", r#"{"tasks": {"start": "x"}}"#)
                .start
                .as_deref(),
            Some("deno task start")
        );
    }
}
