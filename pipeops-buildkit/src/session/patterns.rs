//! `.dockerignore` patterns, with Docker's rules.
//!
//! The rules are those of [moby/patternmatcher], which Docker and BuildKit use. They differ from `.gitignore`. A pattern matches
//! a path or one of its parents, a pattern with `!` reverts a match, and the last matching pattern decides.
//!
//! [moby/patternmatcher]: https://github.com/moby/patternmatcher

use std::fmt::Write as _;

use regex::Regex;

/// A list of `.dockerignore` patterns, with Docker's rules. A pattern matches a path or one of its parents, and the last matching
/// pattern decides.
///
/// | Pattern | Matches |
/// |---|---|
/// | `target` | `target` at the root, and everything in it |
/// | `*.log` | any characters except `/`: log files at the root |
/// | `**/*.log` | log files in any folder |
/// | `a?c` | one character except `/` |
/// | `[a-c]x`, `[^a]x` | a character in or not in the range |
/// | `!target/keep` | reverts a match of an earlier pattern |
///
/// ```
/// use pipeops_buildkit::Patterns;
///
/// let ignore = Patterns::from_dockerignore(b"# comment\n**/*.log\n/target\n!target/keep\n")?;
/// assert!(ignore.matches("a/b/c.log"));
/// assert!(ignore.matches("target/debug/app"));
/// assert!(!ignore.matches("target/keep"));
/// # Ok::<(), pipeops_buildkit::PatternError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Patterns {
    list: Vec<Pattern>,
}

/// Invalid pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid pattern {pattern:?}: {why}")]
#[non_exhaustive]
pub struct PatternError {
    /// The pattern.
    pub pattern: String,
    /// The rule that it breaks.
    pub why: String,
}

/// The patterns that a folder matched. Its entries match them too.
pub(crate) type Matched = Vec<bool>;

impl Patterns {
    /// Parses a list of patterns.
    ///
    /// # Errors
    /// If a pattern is invalid.
    pub fn parse<S: AsRef<str>>(
        patterns: impl IntoIterator<Item = S>,
    ) -> Result<Self, PatternError> {
        let list = patterns
            .into_iter()
            .filter_map(|text| Pattern::parse(text.as_ref()).transpose())
            .collect::<Result<_, _>>()?;
        Ok(Self { list })
    }

    /// Parses a `.dockerignore` file. Comments, blank lines, a byte order mark and leading slashes are ignored.
    ///
    /// # Errors
    /// If a pattern is invalid.
    pub fn from_dockerignore(file: &[u8]) -> Result<Self, PatternError> {
        Self::parse(ignored(file))
    }

    /// Returns whether a path or one of its parents matches. The path is relative and separated by `/`.
    pub fn matches(&self, path: &str) -> bool {
        let mut matched = false;
        for pattern in &self.list {
            // Only the pattern that would change the outcome needs a look.
            if pattern.exception == matched && pattern.matches_path_or_parent(path) {
                matched = !pattern.exception;
            }
        }
        matched
    }

    /// Returns whether there are no patterns.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Like [`Patterns::matches`] while a tree is walked: `parent` is what this function gave for the folder around `path`.
    pub(crate) fn matches_below(&self, path: &str, parent: Option<&Matched>) -> (bool, Matched) {
        let mut matched = false;
        let mut seen = vec![false; self.list.len()];
        for (index, pattern) in self.list.iter().enumerate() {
            let inherited = parent.is_some_and(|parent| parent.get(index) == Some(&true));
            if !inherited && pattern.exception != matched {
                continue;
            }
            let hit = inherited
                || pattern.matches(path)
                || (parent.is_none() && pattern.matches_parent(path));
            seen[index] = hit;
            if hit {
                matched = !pattern.exception;
            }
        }
        (matched, seen)
    }

    /// Whether any pattern begins with `!`.
    pub(crate) fn has_exceptions(&self) -> bool {
        self.list.iter().any(|pattern| pattern.exception)
    }

    /// The patterns with (`true`) or without (`false`) a `!` before them.
    pub(crate) fn texts(&self, exceptions: bool) -> impl Iterator<Item = &str> {
        self.list
            .iter()
            .filter(move |pattern| pattern.exception == exceptions)
            .map(|pattern| pattern.text.as_str())
    }
}

/// The patterns in the text of a `.dockerignore` file, as the daemon sends them back.
pub(crate) fn ignored(file: &[u8]) -> Vec<String> {
    let file = file.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(file);
    let text = String::from_utf8_lossy(file);
    text.lines().filter_map(dockerignore_line).collect()
}

/// Whether a name has characters that stand for others, outside of escapes.
pub(crate) fn has_wildcards(name: &str) -> bool {
    let mut chars = name.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => drop(chars.next()),
            '*' | '?' | '[' => return true,
            _ => {}
        }
    }
    false
}

/// The shortest path that means the same, without touching a disk: Go's `path.Clean`.
pub(crate) fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

fn dockerignore_line(line: &str) -> Option<String> {
    if line.starts_with('#') {
        return None;
    }
    let (mark, pattern) = match line.trim().strip_prefix('!') {
        Some(rest) => ("!", rest.trim()),
        None => ("", line.trim()),
    };
    if pattern.is_empty() {
        // A lone `!` stays, so that it is refused.
        return (!mark.is_empty()).then(|| mark.to_owned());
    }
    let cleaned = clean(pattern);
    let relative = match cleaned.strip_prefix('/') {
        Some(rest) if !rest.is_empty() => rest,
        _ => &cleaned,
    };
    Some(format!("{mark}{relative}"))
}

#[derive(Debug, Clone)]
struct Pattern {
    text: String,
    exception: bool,
    kind: Kind,
}

/// How a pattern is compared; most are plain text, which is much faster than an expression.
#[derive(Debug, Clone)]
enum Kind {
    Exact,
    /// Begins with this: the pattern ended in `**`.
    Prefix(String),
    /// Ends in this: the pattern began with `**`.
    Suffix(String),
    Regex(Regex),
}

impl Pattern {
    /// `None` for a blank pattern.
    fn parse(text: &str) -> Result<Option<Self>, PatternError> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(None);
        }
        let cleaned = clean(text);
        let (exception, body) = match cleaned.strip_prefix('!') {
            Some(rest) => (true, rest.to_owned()),
            None => (false, cleaned),
        };
        let refuse = |why: &str| PatternError {
            pattern: text.chars().take(200).collect(),
            why: why.to_owned(),
        };
        if body.is_empty() {
            return Err(refuse("nothing follows the !"));
        }
        let kind = compile(&body).map_err(refuse)?;
        Ok(Some(Self {
            text: body,
            exception,
            kind,
        }))
    }

    fn matches(&self, path: &str) -> bool {
        match &self.kind {
            Kind::Exact => path == self.text,
            Kind::Prefix(prefix) => path.starts_with(prefix.as_str()),
            // `**/x` matches `x` too.
            Kind::Suffix(suffix) => {
                path.ends_with(suffix.as_str()) || suffix.strip_prefix('/') == Some(path)
            }
            Kind::Regex(regex) => regex.is_match(path),
        }
    }

    fn matches_parent(&self, path: &str) -> bool {
        path.match_indices('/')
            .any(|(at, _)| self.matches(&path[..at]))
    }

    fn matches_path_or_parent(&self, path: &str) -> bool {
        self.matches(path) || self.matches_parent(path)
    }
}

/// Longest expression that is compiled; a pattern that needs more is refused instead of eating memory.
const REGEX_LIMIT: usize = 1 << 20;

fn compile(pattern: &str) -> Result<Kind, &'static str> {
    let mut translation = Translation::default();
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        let at_start = rest.len() == pattern.len();
        rest = &rest[c.len_utf8()..];
        match c {
            '*' if rest.starts_with('*') => {
                rest = &rest[1..];
                let after = rest.strip_prefix('/').unwrap_or(rest);
                translation.double_star(at_start, after.is_empty());
                rest = after;
            }
            '*' => translation.special("[^/]*"),
            '?' => translation.special("[^/]"),
            '[' => {
                let (class, after) = class(rest)?;
                translation.special(&class);
                rest = after;
            }
            '\\' => {
                let escaped = rest.chars().next().ok_or("a trailing \\ escapes nothing")?;
                rest = &rest[escaped.len_utf8()..];
                translation.special(&regex::escape(escaped.encode_utf8(&mut [0; 4])));
            }
            c => translation
                .expression
                .push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
        }
    }
    translation.finish(pattern)
}

/// A pattern on its way to an expression.
#[derive(Default)]
struct Translation {
    expression: String,
    shape: Shape,
}

#[derive(Default, PartialEq)]
enum Shape {
    #[default]
    Exact,
    Prefix,
    Suffix,
    Regex,
}

impl Translation {
    fn special(&mut self, expression: &str) {
        self.expression.push_str(expression);
        self.shape = Shape::Regex;
    }

    /// `**`, with the slash after it already taken.
    fn double_star(&mut self, at_start: bool, at_end: bool) {
        if at_end && self.shape == Shape::Exact {
            self.shape = Shape::Prefix;
        } else if at_end {
            self.special(".*");
        } else {
            self.special("(?:.*/)?");
        }
        if at_start {
            self.shape = Shape::Suffix;
        }
    }

    fn finish(self, pattern: &str) -> Result<Kind, &'static str> {
        match self.shape {
            Shape::Exact => Ok(Kind::Exact),
            // Cut from the text itself: what stands before `**/` at the end keeps no slash of its own.
            Shape::Prefix => Ok(Kind::Prefix(pattern[..pattern.len() - 2].to_owned())),
            Shape::Suffix => Ok(Kind::Suffix(pattern[2..].to_owned())),
            Shape::Regex => regex::RegexBuilder::new(&format!("^(?:{})$", self.expression))
                .size_limit(REGEX_LIMIT)
                .build()
                .map(Kind::Regex)
                .map_err(|_| "it is too complex"),
        }
    }
}

/// Parses `[…]` after its bracket. Returns the expression and the rest.
fn class(text: &str) -> Result<(String, &str), &'static str> {
    const OPEN: &str = "a [ is not closed";
    let mut rest = text;
    let mut expression = String::from("[");
    if let Some(after) = rest.strip_prefix('^') {
        expression.push('^');
        rest = after;
    }
    let mut ranges = 0;
    loop {
        if let (Some(after), true) = (rest.strip_prefix(']'), ranges > 0) {
            expression.push(']');
            return Ok((expression, after));
        }
        let (low, after) = class_char(rest).ok_or(OPEN)?;
        let (high, after) = match after.strip_prefix('-') {
            Some(after) => class_char(after).ok_or(OPEN)?,
            None => (low, after),
        };
        rest = after;
        ranges += 1;
        if low > high {
            return Err("a range is in the wrong order");
        }
        let _ = write!(
            expression,
            "\\x{{{:X}}}-\\x{{{:X}}}",
            low as u32, high as u32
        );
    }
}

/// One character inside brackets; `-` and `]` need a `\` there.
fn class_char(text: &str) -> Option<(char, &str)> {
    let mut chars = text.chars();
    match chars.next()? {
        '-' | ']' => None,
        '\\' => chars.next().map(|c| (c, chars.as_str())),
        c => Some((c, chars.as_str())),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What moby/patternmatcher v0.6.1 answered: patterns, path, matches (`null`: a pattern is refused).
    const VECTORS: &str = include_str!("../../tests/data/patterns.json");

    #[test]
    fn answers_are_those_of_moby_patternmatcher() {
        let vectors: Vec<(Vec<String>, String, Option<bool>)> =
            serde_json::from_str(VECTORS).unwrap();
        assert!(vectors.len() > 500);
        for (patterns, path, expected) in vectors {
            let answer = Patterns::parse(&patterns)
                .ok()
                .map(|list| list.matches(&path));
            assert_eq!(answer, expected, "{patterns:?} on {path:?}");
        }
    }

    #[test]
    fn dockerignore_lines_are_cleaned_as_docker_does() {
        let lines = "#c\n  # kept \n\n/a/\n ! /b/../c \n./d\n/\n!";
        let cleaned: Vec<String> = lines.lines().filter_map(dockerignore_line).collect();
        assert_eq!(cleaned, ["# kept", "a", "!c", "d", "/", "!"]);
    }

    #[test]
    fn a_refused_pattern_says_why() {
        for (pattern, why) in [
            ("[a", "not closed"),
            ("a\\", "escapes nothing"),
            ("!", "follows"),
            ("[b-a]", "wrong order"),
        ] {
            let error = Patterns::parse([pattern]).unwrap_err();
            assert!(error.to_string().contains(why), "{error}");
        }
    }

    #[test]
    fn paths_are_cleaned_as_go_does() {
        for (path, cleaned) in [
            ("", "."),
            ("a/../..", ".."),
            ("/../a//b/.", "/a/b"),
            ("./a", "a"),
            ("a/..", "."),
            ("/", "/"),
        ] {
            assert_eq!(clean(path), cleaned, "{path:?}");
        }
    }

    proptest! {
        /// Walking a tree from the top answers as looking at each path alone does, when the list has no exceptions.
        #[test]
        fn a_walk_answers_as_single_looks_do(
            patterns in prop::collection::vec("[ab*?./]{1,6}", 1..4),
            path in "[ab.]{1,2}(/[ab.]{1,2}){0,3}",
        ) {
            let Ok(list) = Patterns::parse(&patterns) else { return Ok(()) };
            let mut parent = None;
            let mut answer = false;
            for (end, _) in path.match_indices('/').chain([(path.len(), "")]) {
                let (matched, seen) = list.matches_below(&path[..end], parent.as_ref());
                answer = matched;
                parent = Some(seen);
            }
            prop_assert_eq!(answer, list.matches(&path));
        }

        #[test]
        fn no_text_panics(patterns in prop::collection::vec(".{0,20}", 0..4), path in ".{0,20}") {
            if let Ok(list) = Patterns::parse(&patterns) {
                list.matches(&path);
            }
            let _ = Patterns::from_dockerignore(patterns.join("\n").as_bytes());
        }
    }
}
