//! The sources of an app, as far as a bounded search reads them.

use super::folder::{Folder, is_beside};

/// How many sources are read, and how deep they are.
const FILES: usize = 200;
const DEPTH: usize = 4;

/// Calls `read` with the path and the text of each file of the app whose name ends so. Files that build or test are left out.
pub(crate) fn read(folder: &Folder<'_>, ends: &[&str], mut read: impl FnMut(&str, &str)) {
    let mut left = FILES;
    walk(folder, "", ends, DEPTH, &mut left, &mut read);
}

fn walk(
    folder: &Folder<'_>,
    dir: &str,
    ends: &[&str],
    depth: usize,
    left: &mut usize,
    read: &mut dyn FnMut(&str, &str),
) {
    let inside = folder.sub(dir);
    let at = |name: &str| match dir {
        "" => name.to_owned(),
        dir => format!("{dir}/{name}"),
    };
    let is_source = |name: &&str| ends.iter().any(|end| name.ends_with(end)) && !is_tool(name);
    for name in inside.ending("").filter(is_source) {
        if *left == 0 {
            return;
        }
        *left -= 1;
        if let Some(text) = inside.text(name) {
            read(&at(name), &text);
        }
    }
    if depth == 0 {
        return;
    }
    for name in inside.own_dirs().filter(|name| !is_beside(name)) {
        walk(folder, &at(name), ends, depth - 1, left, read);
    }
}

/// Whether a file of this name builds, tests or is for browsers.
fn is_tool(name: &str) -> bool {
    const PARTS: &[&str] = &[
        ".config.",
        ".min.",
        ".spec.",
        ".test.",
        "_test.",
        "build.",
        "gulpfile",
        "gruntfile",
        "test_",
        "webpack",
    ];
    let name = name.to_ascii_lowercase();
    PARTS.iter().any(|part| name.contains(part))
}

/// Whether a line is a comment, in most languages.
pub(crate) fn is_comment(line: &str) -> bool {
    let line = line.trim_start();
    // An attribute of Rust is none.
    if line.starts_with("#[") {
        return false;
    }
    ["//", "#", "*", "/*", "--"]
        .iter()
        .any(|mark| line.starts_with(mark))
}
