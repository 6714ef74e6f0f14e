//! Settings in files that are programs themselves: `next.config.js`, `vite.config.ts`.

use crate::repository::folder::Folder;
use crate::repository::relaxed::without_comments;

/// Endings of such files, the usual ones first.
const ENDINGS: &[&str] = &["ts", "js", "mjs", "mts", "cjs", "cts"];

/// A file of settings, without its comments.
#[derive(Debug, Default)]
pub(crate) struct Config {
    /// Its name; empty when there is none.
    pub(crate) file: String,
    text: String,
}

impl Config {
    /// The file of this name with any ending: `vite.config`.
    pub(crate) fn read(folder: &Folder<'_>, stem: &str) -> Self {
        let file = ENDINGS
            .iter()
            .map(|end| format!("{stem}.{end}"))
            .find(|file| folder.has(file));
        let Some(file) = file else {
            return Self::default();
        };
        let text = folder.text(&file).unwrap_or_default();
        Self {
            text: without_comments(&text),
            file,
        }
    }

    pub(crate) fn is_there(&self) -> bool {
        !self.file.is_empty()
    }

    pub(crate) fn contains(&self, text: &str) -> bool {
        self.text.contains(text)
    }

    /// The text that a setting is given directly, or as the last argument of a call: `outDir: 'x'`,
    /// `outDir: path.resolve(__dirname, 'x')`.
    pub(crate) fn text(&self, key: &str) -> Option<String> {
        self.values(key).find_map(|value| {
            let end = value.find(['\n', '}', ';']).unwrap_or(value.len());
            let value = value[..end].trim();
            if value.starts_with(['\'', '"', '`']) {
                return literal(value);
            }
            let open = value.find('(')?;
            let inside = &value[open..value.find(')').unwrap_or(value.len()).max(open)];
            let last = inside.rsplit(',').next()?.trim_start_matches('(').trim();
            literal(last)
        })
    }

    /// Whether a setting has this value: `ssr: false`.
    pub(crate) fn is(&self, key: &str, expected: &str) -> bool {
        self.values(key).any(|value| {
            let value = value.trim_start().trim_start_matches(['\'', '"', '`']);
            value.strip_prefix(expected).is_some_and(|rest| {
                !rest.starts_with(|ch: char| ch.is_alphanumeric() || ch == '_' || ch == '-')
            })
        })
    }

    /// What stands behind `key:` or `key =`, as a word of its own.
    fn values<'c>(&'c self, key: &'c str) -> impl Iterator<Item = &'c str> {
        self.text.match_indices(key).filter_map(move |(at, _)| {
            let before = self.text[..at].chars().next_back();
            if before.is_some_and(|ch| ch.is_alphanumeric() || ch == '_') {
                return None;
            }
            let after = self.text[at + key.len()..]
                .trim_start_matches(['\'', '"'])
                .trim_start();
            let after = after
                .strip_prefix(':')
                .or_else(|| after.strip_prefix('='))?;
            Some(after)
        })
    }
}

fn literal(text: &str) -> Option<String> {
    let quote = text.chars().next().filter(|ch| "'\"`".contains(*ch))?;
    let rest = &text[1..];
    let value = &rest[..rest.find(quote)?];
    (!value.contains("${")).then(|| value.to_owned())
}

/// A path below the folder, without `.` and `..`; `None` when it leads out.
pub(crate) fn inside(base: &str, path: &str) -> Option<String> {
    if path.starts_with('/') {
        return None;
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in base.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    (!parts.is_empty()).then(|| parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipeops_core::source::MemTree;

    #[test]
    fn settings_are_found_in_programs() {
        let text = "export default {\n // output: 'export',\n output: \"standalone\", build: { outDir: path.resolve(__dirname, '../x/public') },\n root: './client', ssr: false, other: fn(1)\n}";
        let tree = MemTree::from([("next.config.mjs", text)]);
        let config = Config::read(&Folder::open(&tree, ""), "next.config");
        assert!(config.is("output", "standalone") && !config.is("output", "export"));
        assert!(config.is("ssr", "false") && !config.is("ssr", "fals"));
        assert_eq!(config.text("outDir").as_deref(), Some("../x/public"));
        assert_eq!(config.text("root").as_deref(), Some("./client"));
        assert_eq!(config.text("other"), None);
        assert_eq!(inside("client", "../dist/x").as_deref(), Some("dist/x"));
        assert_eq!(inside("", "../dist"), None);
    }
}
