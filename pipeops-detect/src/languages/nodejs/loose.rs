//! Programs without a package.

use super::entry::PROGRAMS;
use super::package::FILES;
use super::package::Package;
use super::ports;
use super::site::Site;
use super::version;
use crate::Language;
use crate::findings::{Findings, weight};
use crate::plan::Command;
use crate::repository::folder::Folder;
use crate::repository::port::DEFAULT_PORT;

/// What only a program outside of browsers says.
const MARKS: &[&str] = &[
    "require(",
    "process.",
    "from \"node:",
    "from 'node:",
    "from \"http\"",
    "from 'http'",
    "from \"fs\"",
    "from 'fs'",
    "from \"express\"",
    "from 'express'",
    "Bun.",
    "#!/usr/bin/env node",
    "#!/usr/bin/env bun",
];

/// Looks for a program of a usual name.
pub(crate) fn detect(folder: &Folder<'_>) -> Findings {
    let mut found = Findings::none(Language::Nodejs);
    if let Some(file) = folder.first(&FILES[..2]) {
        found.add(
            weight::MANIFEST,
            folder,
            file,
            "a Node.js package that can't be parsed",
        );
        found.package_manager = Some("npm".to_owned());
    }
    let typescript = [
        "index.ts",
        "server.ts",
        "app.ts",
        "main.ts",
        "bot.ts",
        "src/index.ts",
        "src/server.ts",
    ];
    let names = PROGRAMS.iter().copied().chain(typescript);
    let programs = names.filter_map(|file| Some((file, folder.text(file)?)));
    let mut programs = programs.filter(|(_, text)| MARKS.iter().any(|mark| text.contains(mark)));
    // A script for browsers, or a program for Deno, has such a name as well.
    let program = programs.find(|(_, text)| {
        !["Deno.", "https://deno.land/", "\"jsr:", "'jsr:"]
            .iter()
            .any(|mark| text.contains(mark))
    });
    let Some((file, text)) = program else {
        return found;
    };
    let bun = text.contains("Bun.") || text.contains("env bun") || text.contains("from \"bun\"");
    found.add(
        weight::ENTRY,
        folder,
        file,
        "a Node.js program without package.json",
    );
    found.package_manager = Some(if bun { "bun" } else { "npm" }.to_owned());
    found.plan.start = Some(Command::new(if bun { "bun run" } else { "node" }).arg(file));
    let package = Package::default();
    let version = match bun {
        true => version::bun(folder, &package),
        false => version::version(folder, &package),
    };
    found.version(folder, version);
    found.port = match ports::of_sources(
        &Site {
            folder,
            package: &package,
        },
        Some(file),
    ) {
        ports::Port::Fixed(port, file) => {
            found.listens_on(folder, &file, port);
            Some(port)
        }
        ports::Port::Silent => None,
        ports::Port::FromEnvironment(file) => {
            found.listens_on_variable(folder, &file);
            found.port
        }
        ports::Port::Unknown => Some(DEFAULT_PORT),
    };
    found
}
