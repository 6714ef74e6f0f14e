//! The book of codes in `docs/codes.md` is complete and current, and the libraries use every code that it has.
#![expect(
    clippy::unwrap_used,
    reason = "a test that panics has failed, as it should"
)]

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

use pipeops::core::diagnosis::{Page, codes};

const INTRO: &str = "# Codes

Every diagnosis of PipeOps has a stable code. The code is in the JSON of events, the HTTP API and the command line, and a program
can rely on it; titles and texts may change. `pipeops explain CODE` prints one of these pages, `pipeops explain` lists them all.
In Rust, `diagnosis.code.page()` returns the page.

`UPDATE_BOOK=1 cargo test -p pipeops --no-default-features --test codes` writes this file from `pipeops-core/src/diagnosis/codes`.
";

#[test]
fn the_book_is_current() {
    let path = root().join("docs/codes.md");
    let book = book();
    if env::var_os("UPDATE_BOOK").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &book).unwrap();
    }
    assert!(
        fs::read_to_string(&path).is_ok_and(|written| written == book),
        "docs/codes.md is stale: UPDATE_BOOK=1 cargo test -p pipeops --no-default-features --test codes"
    );
}

#[test]
fn libraries_use_every_code_and_no_others() {
    let table = root().join("pipeops-core/src/diagnosis");
    let sources: Vec<(PathBuf, String)> = rust_files(&root())
        .into_iter()
        .filter(|(path, _)| !path.starts_with(&table))
        .collect();
    for (path, text) in &sources {
        let place = path.display();
        assert!(
            !text.contains(" meaning: "),
            "{place} defines a page outside of the book"
        );
        assert!(
            !text.contains("\"pipeops "),
            "{place} names a command of the example program"
        );
    }
    let mut pages = 0;
    for (path, text) in rust_files(&table.join("codes")) {
        let module = path.file_stem().unwrap().to_str().unwrap();
        let defined = text.lines().filter_map(|line| line.split_once(" = \""));
        for (name, _) in defined.filter(|(_, code)| code.ends_with("\" {")) {
            pages += 1;
            let (used, renamed) = (name.trim(), format!("{module} as codes"));
            let uses = |text: &str| {
                has_word(text, &format!("{module}::{used}"))
                    || text.contains(&renamed) && has_word(text, used)
            };
            assert!(
                sources.iter().any(|(_, text)| uses(text)),
                "no library uses codes::{module}::{used}"
            );
        }
    }
    // The page of diagnoses without a code is not in an area.
    assert_eq!(pages + 1, codes::all().count());
}

fn book() -> String {
    let area = |page: &&Page| page.code.split('/').next();
    let mut pages: Vec<&Page> = codes::all().collect();
    pages.sort_by_key(area);
    let mut book = INTRO.to_owned();
    for pages in pages.chunk_by(|one, other| area(one) == area(other)) {
        writeln!(book, "\n## {}", area(&pages[0]).unwrap()).unwrap();
        for page in pages {
            let Page {
                code,
                title,
                meaning,
                fixes,
            } = page;
            writeln!(book, "\n### {code}\n\n**{title}.** {meaning}\n").unwrap();
            for (index, fix) in fixes.iter().enumerate() {
                writeln!(book, "{}. {fix}", index + 1).unwrap();
            }
        }
    }
    book
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// All Rust files of the libraries' `src` folders, without their unit tests.
fn rust_files(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            let library = path.join("src");
            if folder != root() {
                files.extend(rust_files(&path));
            } else if name.starts_with("pipeops-") && library.is_dir() {
                files.extend(rust_files(&library));
            }
        } else if name.ends_with(".rs") && name != "tests.rs" && folder != root() {
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
            files.push((path, code.to_owned()));
        }
    }
    files
}

fn has_word(text: &str, word: &str) -> bool {
    let inner = |next: Option<char>| next.is_some_and(|next| next.is_alphanumeric() || next == '_');
    text.match_indices(word).any(|(start, _)| {
        let after = &text[start + word.len()..];
        !inner(text[..start].chars().next_back()) && !inner(after.chars().next())
    })
}
