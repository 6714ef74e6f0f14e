//! Parser directives: `# escape=`, `# syntax=`, `# check=`.

use serde_json::Value;

use super::bytes::{lossy, trim_start};

/// The directives that exist. Another name ends the directives.
const NAMES: &[&str] = &["syntax", "escape", "check"];

/// What one line says while directives are still possible.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A directive: its name and value.
    Directive(&'static str, String),
    /// A directive that was there before.
    Duplicate(&'static str),
    /// Something else: no directive can follow.
    End,
}

/// Reads lines for as long as they are directives.
#[derive(Debug, Default)]
pub(super) struct Reader {
    seen: Vec<&'static str>,
    done: bool,
}

impl Reader {
    /// Whether the directives are over.
    pub(super) fn done(&self) -> bool {
        self.done
    }

    /// Reads the next line, given without its line end; `comment` is what directives start with.
    pub(super) fn read(&mut self, line: &[u8], comment: &[u8]) -> Line {
        let found = line
            .strip_prefix(comment)
            .filter(|_| !self.done)
            .and_then(|line| assignment(trim_start(line)));
        let Some((name, value)) = found else {
            self.done = true;
            return Line::End;
        };
        if self.seen.contains(&name) {
            return Line::Duplicate(name);
        }
        self.seen.push(name);
        Line::Directive(name, lossy(value).into_owned())
    }
}

/// `name = value` where the name is a directive's.
fn assignment(line: &[u8]) -> Option<(&'static str, &[u8])> {
    let end = line.iter().position(|byte| !byte.is_ascii_alphanumeric())?;
    let name = std::str::from_utf8(&line[..end]).ok()?;
    let name = NAMES
        .iter()
        .find(|known| known.eq_ignore_ascii_case(name))?;
    let value = skip_space(&line[end..]).strip_prefix(b"=")?;
    let trimmed = skip_space(value);
    let blank = value.len().checked_sub(1)?;
    let end = trimmed.iter().rposition(|&byte| !is_space(byte));
    // A value of nothing but blanks is its last blank.
    Some((name, end.map_or(&value[blank..], |end| &trimmed[..=end])))
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b'\t' | b'\n' | 0x0C | b'\r' | b' ')
}

fn skip_space(bytes: &[u8]) -> &[u8] {
    let blanks = bytes.iter().take_while(|&&byte| is_space(byte)).count();
    &bytes[blanks..]
}

/// What directives say to others than the parser.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ForOthers {
    /// The frontend image that the file asks for, looked for as the daemon does before it parses anything: in `#` directives,
    /// in `//` directives, and as a key of a JSON document, each also behind a `#!` line.
    pub(super) syntax: Option<String>,
    /// The lint rules that the file sets: `#` directives only, but also behind a `#!` line.
    pub(super) check: Option<String>,
}

impl ForOthers {
    /// Reads them from the start of a file.
    pub(super) fn read(bytes: &[u8]) -> Self {
        let bytes = behind_shebang(strip_bom(bytes));
        let mut found = commented(bytes, b"#");
        if found.syntax.is_none() {
            let syntax = commented(bytes, b"//").syntax;
            found.syntax = syntax.or_else(|| in_json(bytes));
        }
        found
    }
}

fn behind_shebang(bytes: &[u8]) -> &[u8] {
    let Some(line) = bytes.strip_prefix(b"#!") else {
        return bytes;
    };
    let end = line.iter().position(|&byte| byte == b'\n');
    end.map_or(&[], |end| &line[end + 1..])
}

/// The first words of the directives that start with `comment`.
fn commented(bytes: &[u8], comment: &[u8]) -> ForOthers {
    let mut found = ForOthers::default();
    if !bytes.starts_with(comment) {
        return found;
    }
    let mut reader = Reader::default();
    for line in bytes.split(|&byte| byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let Line::Directive(name, value) = reader.read(line, comment) else {
            break;
        };
        let word = || value.split(' ').next().map(str::to_owned);
        match name {
            "syntax" => found.syntax = word(),
            "check" => found.check = word(),
            _ => {}
        }
    }
    found
}

fn in_json(bytes: &[u8]) -> Option<String> {
    // Cheap first: nearly every Dockerfile ends here.
    if skip_space(bytes).first() != Some(&b'{') {
        return None;
    }
    let json: Value = serde_json::from_slice(bytes).ok()?;
    Some(json.get("syntax")?.as_str()?.to_owned())
}

/// Without the byte order mark at the start.
pub(super) fn strip_bom(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_until_the_first_that_is_none() {
        let mut reader = Reader::default();
        let mut read = |line: &str| reader.read(line.as_bytes(), b"#");
        assert_eq!(read("# escape=`"), Line::Directive("escape", "`".into()));
        assert_eq!(
            read("#SYNTAX = a b \t"),
            Line::Directive("syntax", "a b".into())
        );
        assert_eq!(read("# escape=\\"), Line::Duplicate("escape"));
        assert_eq!(read("# other=x"), Line::End);
        assert_eq!(read("# check=x"), Line::End, "too late");
    }

    #[test]
    fn a_value_of_blanks_is_its_last_blank() {
        let read = |line: &str| Reader::default().read(line.as_bytes(), b"#");
        assert_eq!(read("# escape= \t"), Line::Directive("escape", "\t".into()));
        assert_eq!(read("# escape="), Line::End);
        assert_eq!(read("# escape"), Line::End);
    }

    #[test]
    fn check_is_found_behind_a_shebang_only() {
        for (file, expected) in [
            ("# check=skip=all x\nFROM a", Some("skip=all")),
            ("#!/bin/sh\n# check=a\n", Some("a")),
            ("// check=a\n", None),
        ] {
            let found = ForOthers::read(file.as_bytes()).check;
            assert_eq!(found.as_deref(), expected, "{file}");
        }
    }

    #[test]
    fn syntax_is_found_in_each_of_its_places() {
        for (file, expected) in [
            (
                "# syntax=docker/dockerfile:1\nFROM a",
                Some("docker/dockerfile:1"),
            ),
            ("\u{FEFF}# check=x\n#syntax = a b\r\n", Some("a")),
            ("#!/usr/bin/env x\n# syntax=a\n", Some("a")),
            ("// syntax=a\n", Some("a")),
            ("{\"syntax\": \"a\"}", Some("a")),
            ("\n# syntax=a\n", None),
            ("FROM a\n# syntax=a\n", None),
            ("#!", None),
        ] {
            let found = ForOthers::read(file.as_bytes()).syntax;
            assert_eq!(found.as_deref(), expected, "{file}");
        }
    }
}
