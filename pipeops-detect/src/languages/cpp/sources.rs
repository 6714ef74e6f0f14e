//! The sources of C and C++.

use crate::repository::folder::Folder;

/// The sources at the root and in `src`, as far as one needs to see them.
pub(crate) fn sources(folder: &Folder<'_>) -> Vec<String> {
    const ENDS: &[&str] = &[".c", ".cc", ".cpp", ".cxx"];
    let mut files = Vec::new();
    for dir in ["", "src", "app", "source", "server"] {
        let inside = folder.sub(dir);
        for name in ENDS.iter().flat_map(|end| inside.ending(end)) {
            let at = if dir.is_empty() { "" } else { "/" };
            files.push(format!("{dir}{at}{name}"));
        }
    }
    // A file named `main` is likely to hold it.
    files.sort_by_key(|file| !file.contains("main."));
    files.truncate(30);
    files
}

pub(crate) fn is_main(folder: &Folder<'_>, file: &str) -> bool {
    let text = folder.text(file).unwrap_or_default();
    ["int main(", "int main (", "auto main("]
        .iter()
        .any(|mark| text.contains(mark))
}
