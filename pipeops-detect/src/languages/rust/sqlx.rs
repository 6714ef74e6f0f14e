//! Queries that SQLx checks while the program is compiled.

use super::manifest::packages;
use crate::generate::app::App;
use crate::generate::error::GenerateError;
use crate::repository::folder::Folder;

/// How many sources are read.
const SOURCES: usize = 500;

const MACROS: &[&str] = &[
    "query!(",
    "query_as!(",
    "query_scalar!(",
    "query_file!(",
    "query_file_as!(",
    "query_file_scalar!(",
];

/// Whether queries were checked before, and what was found is in the repository; false where none is checked.
///
/// # Errors
/// If there are queries to check, and nothing to check them with: the compiler would ask for a database.
pub(crate) fn is_prepared(app: &App<'_>) -> Result<bool, GenerateError> {
    let mut left = SOURCES;
    let packages = packages(&app.folder);
    let checks = packages
        .iter()
        .filter(|package| package.depends("sqlx"))
        .find_map(|package| source(&app.folder.sub(&package.at("src")), &mut left));
    let Some(file) = checks else {
        return Ok(false);
    };
    let mut dirs = packages.iter().map(|package| app.folder.sub(&package.dir));
    let here = |folder: &Folder<'_>| folder.has_dir(".sqlx") || folder.has("sqlx-data.json");
    if here(&app.folder) || dirs.any(|dir| here(&dir)) {
        return Ok(true);
    }
    Err(GenerateError::Incomplete {
        path: app.detection.path.clone(),
        reason: format!(
            "{file} has queries that SQLx checks against a database while it compiles, and the repository has no .sqlx folder"
        ),
        fix: "Run `cargo sqlx prepare` (in a workspace with `--workspace`) and commit the folder .sqlx".to_owned(),
    })
}

/// The first source with such a query.
fn source(folder: &Folder<'_>, left: &mut usize) -> Option<String> {
    for name in folder.ending(".rs") {
        *left = left.checked_sub(1)?;
        let text = folder.text(name).unwrap_or_default();
        let lines = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        let mut lines = lines.filter(|_| text.contains("sqlx"));
        if lines.any(|line| MACROS.iter().any(|name| calls(line, name))) {
            return Some(folder.at(name));
        }
    }
    let dirs: Vec<&str> = folder.own_dirs().filter(|dir| *dir != "tests").collect();
    dirs.iter().find_map(|dir| source(&folder.sub(dir), left))
}

/// Whether a line calls the macro, and not one whose name only ends so.
fn calls(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|ch| !ch.is_ascii_alphanumeric() && ch != '_')
    })
}
