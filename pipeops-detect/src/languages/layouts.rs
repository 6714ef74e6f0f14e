//! Layouts of projects and what the rules of a language find in them, for tests.

use super::Detect;
use crate::findings::Findings;
use crate::repository::folder::Folder;
use pipeops_core::source::MemTree;

/// The files of a project, and what is found: the fact's name and its value (`start ./bin/api`), or the name alone where
/// there is none.
pub(crate) type Layout = (
    &'static [(&'static str, &'static str)],
    &'static [&'static str],
);

/// What is found at the root of these files.
pub(crate) fn found(detect: Detect, files: &[(&str, &str)]) -> Findings {
    let tree: MemTree = files.iter().copied().collect();
    detect(&Folder::open(&tree, ""))
}

/// Asserts that the rules find in each layout what it says.
pub(crate) fn check(detect: Detect, layouts: &[Layout]) {
    for (files, expected) in layouts {
        let found = found(detect, files);
        for &expected in *expected {
            let name = expected.split(' ').next().unwrap_or_default();
            let fact = format!("{name} {}", fact(&found, name).unwrap_or_default());
            assert_eq!(fact.trim_end(), expected, "{files:?}");
        }
    }
}

fn fact(found: &Findings, name: &str) -> Option<String> {
    match name {
        "found" => Some(found.found().to_string()),
        "confidence" => Some(found.confidence().to_string()),
        "role" => Some(format!("{:?}", found.role)),
        "framework" => found.framework.clone(),
        "version" => found.version.clone(),
        "manager" => found.package_manager.clone(),
        "install" => found.install(),
        "build" => found.build(),
        "start" => found.start(),
        "port" => found.port.map(|port| port.to_string()),
        "output" => found.output.clone(),
        "members" => Some(found.members.join(" ")),
        _ => panic!("no fact is called {name}"),
    }
}
