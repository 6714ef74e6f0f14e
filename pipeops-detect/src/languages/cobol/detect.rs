//! COBOL.

use crate::Language;
use crate::findings::{Findings, weight};
use crate::plan::Command;
use crate::repository::folder::Folder;

const ENDS: &[&str] = &[".cbl", ".cob", ".cobol", ".CBL", ".COB"];

/// Names that programs have, without their ending.
const PROGRAMS: &[&str] = &["index", "main", "app"];

/// Looks for programs at the root and in `src`.
pub(crate) fn detect(folder: &Folder<'_>) -> Findings {
    let mut found = Findings::none(Language::Cobol);
    let mut files: Vec<String> = programs(folder, "");
    files.extend(programs(folder, "src/"));
    let stem = |file: &str| {
        let name = file.rsplit('/').next().unwrap_or_default();
        name.rsplit_once('.')
            .map(|(stem, _)| stem.to_ascii_lowercase())
    };
    let named = files
        .iter()
        .position(|file| stem(file).is_some_and(|stem| PROGRAMS.contains(&stem.as_str())));
    let Some(file) = files.get(named.unwrap_or(0)) else {
        return found;
    };
    found.add(weight::ENTRY, folder, file, "a COBOL program");
    let name = stem(file).unwrap_or_default();
    let free = folder.text(file).is_some_and(|text| is_free(&text));
    let options = if free { "-x -free -o" } else { "-x -o" };
    let build = Command::new("cobc").args(options);
    found.plan.build = Some(build.arg(format!("bin/{name}")).target(file).into());
    found.plan.start = Some(Command::program(format!("./bin/{name}")));
    found
}

fn programs(folder: &Folder<'_>, dir: &str) -> Vec<String> {
    let inside = folder.sub(dir);
    let names = ENDS.iter().flat_map(|end| inside.ending(end));
    names.map(|name| format!("{dir}{name}")).collect()
}

/// In the fixed format a division never starts in the first seven columns; in the free format it mostly does.
fn is_free(source: &str) -> bool {
    let free = [">>SOURCE FORMAT FREE", ">>SOURCE FREE", "$SET SOURCEFORMAT"];
    let text = source.to_ascii_uppercase();
    free.iter().any(|mark| text.contains(mark))
        || text
            .lines()
            .any(|line| line.trim_end().ends_with("DIVISION.") && !line.starts_with("       "))
}

#[cfg(test)]
mod tests {
    use super::detect;
    use crate::languages::layouts::{Layout, check};

    // One line per layout.
    #[rustfmt::skip]
    const LAYOUTS: &[Layout] = &[
        // Fixed columns, and free format.
        (&[("a.cbl", ""), ("main.cbl", "       IDENTIFICATION DIVISION.")], &["build cobc -x -o bin/main main.cbl"]),
        (&[("src/pay.cob", "IDENTIFICATION DIVISION.\n")], &["build cobc -x -free -o bin/pay src/pay.cob"]),
        (&[("x.c", "")], &["found false"]),
    ];

    #[test]
    fn layouts() {
        check(detect, LAYOUTS);
    }
}
