//! Command lines, as a POSIX shell reads them.

/// A command line: commands with the operators between them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) steps: Vec<Step>,
    /// Whether only a shell can evaluate it: `$(…)`, redirections, patterns, keywords.
    complex: bool,
}

/// One command of a line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Step {
    /// The variables that are set for this command only.
    pub(crate) assignments: Vec<(String, Word)>,
    pub(crate) words: Vec<Word>,
    /// The operator behind it: `&&`, `||`, `|`, `;`, `&`, or none at the end.
    pub(crate) then: &'static str,
}

/// A word: as it is written, and its parts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) raw: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    /// A variable, and the value that `${NAME:-value}` has without it.
    Variable(String, Option<String>),
}

/// Words with which a shell begins more than one command.
const KEYWORDS: &[&str] = &[
    "!", "{", "case", "for", "function", "if", "trap", "until", "while",
];

impl Line {
    /// Reads a line; `None` where a quote or a bracket isn't closed.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut reader = Reader::new(text);
        while reader.step()? {}
        Some(reader.line)
    }

    /// A line of commands that need no more than operators.
    pub(crate) fn of(steps: Vec<Step>) -> Self {
        Self {
            steps,
            complex: false,
        }
    }

    /// The only command, if no shell is needed to run it.
    pub(crate) fn simple(&self) -> Option<&Step> {
        match self.steps.as_slice() {
            [step] if !self.complex && step.then.is_empty() => Some(step),
            _ => None,
        }
    }

    /// Whether only a shell can evaluate its words.
    pub(crate) fn is_complex(&self) -> bool {
        self.complex
    }

    /// The text as it is written.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for step in &self.steps {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(&step.text());
            if !step.then.is_empty() {
                text.push(' ');
                text.push_str(step.then);
            }
        }
        text
    }

    /// The text for a shell. The last command replaces the shell where nothing forbids it, so signals reach it.
    pub(crate) fn shell(&self) -> String {
        let sequence = self
            .steps
            .iter()
            .all(|step| matches!(step.then, "" | "&&" | ";"));
        let mut text = String::new();
        for (index, step) in self.steps.iter().enumerate() {
            let last = index + 1 == self.steps.len();
            let name = step.words.first().map_or("", |word| word.raw.as_str());
            let replaces = last
                && sequence
                && !self.complex
                && !name.is_empty()
                && !["exec", "cd", "export", "set", "."].contains(&name);
            if !text.is_empty() {
                text.push(' ');
            }
            // Behind assignments `exec` would be a command of its own.
            if replaces && step.assignments.is_empty() {
                text.push_str("exec ");
            }
            text.push_str(&step.text());
            if !step.then.is_empty() {
                text.push_str(if step.then == ";" { "" } else { " " });
                text.push_str(step.then);
            }
        }
        text
    }
}

impl Step {
    /// A command of words that need no quotes.
    pub(crate) fn of(text: &str) -> Self {
        Self {
            words: text.split_whitespace().map(Word::plain).collect(),
            ..Self::default()
        }
    }

    /// The command as it is written, without the operator behind it.
    pub(crate) fn text(&self) -> String {
        let assignments = self
            .assignments
            .iter()
            .map(|(name, value)| format!("{name}={}", value.raw));
        let words = self.words.iter().map(|word| word.raw.clone());
        assignments.chain(words).collect::<Vec<_>>().join(" ")
    }

    /// The word at `index` without quotes; empty where there is none, or where it has variables.
    pub(crate) fn word(&self, index: usize) -> &str {
        self.words.get(index).map_or("", Word::text)
    }

    /// The program's name, without its path.
    pub(crate) fn name(&self) -> &str {
        self.word(0).rsplit('/').next().unwrap_or_default()
    }
}

impl Word {
    /// A word that needs no quotes.
    pub(crate) fn plain(text: &str) -> Self {
        Self {
            raw: text.to_owned(),
            parts: Reader::parts(text),
        }
    }

    /// The text without quotes; empty where it has variables.
    pub(crate) fn text(&self) -> &str {
        match self.parts.as_slice() {
            [Part::Text(text)] => text,
            _ => "",
        }
    }

    /// The word as a shell evaluates it; `None` where a variable is unknown.
    pub(crate) fn value(&self, known: impl Fn(&str) -> Option<String>) -> Option<String> {
        let parts = self.parts.iter().map(|part| match part {
            Part::Text(text) => Some(text.clone()),
            Part::Variable(name, default) => known(name).or_else(|| default.clone()),
        });
        parts.collect()
    }

    /// The word for a Dockerfile's `ENV`; `None` where it needs a variable that is neither `known` nor has a default.
    pub(crate) fn env(&self, known: impl Fn(&str) -> bool) -> Option<String> {
        let mut value = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => {
                    for ch in text.chars().filter(|ch| !ch.is_control()) {
                        if "\"\\$".contains(ch) {
                            value.push('\\');
                        }
                        value.push(ch);
                    }
                }
                Part::Variable(name, _) if known(name) => value.push_str(&format!("${{{name}}}")),
                Part::Variable(_, Some(default)) if !default.contains(['"', '\\', '$']) => {
                    value.push_str(default);
                }
                Part::Variable(..) => return None,
            }
        }
        if let [Part::Variable(name, _)] = self.parts.as_slice()
            && known(name)
        {
            return Some(format!("${name}"));
        }
        let plain = |ch: char| ch.is_ascii_alphanumeric() || "_-./:=,@+%${}".contains(ch);
        Some(match value.chars().all(plain) {
            true => value,
            false => format!("\"{value}\""),
        })
    }
}

/// Reads a line from left to right.
struct Reader<'t> {
    rest: &'t str,
    line: Line,
}

impl<'t> Reader<'t> {
    fn new(text: &'t str) -> Self {
        Self {
            rest: text.trim(),
            line: Line::default(),
        }
    }

    /// The parts of one word.
    fn parts(text: &'t str) -> Vec<Part> {
        let mut reader = Self::new(text);
        reader
            .word()
            .map(|word| word.parts)
            .unwrap_or_else(|| vec![Part::Text(text.to_owned())])
    }

    /// Reads one command and the operator behind it; false at the end.
    fn step(&mut self) -> Option<bool> {
        let mut step = Step::default();
        loop {
            self.rest = self.rest.trim_start_matches([' ', '\t', '\r']);
            if self.rest.is_empty() || self.rest.starts_with('#') {
                let end = self.rest.find('\n').unwrap_or(self.rest.len());
                self.rest = &self.rest[end..];
                if self.rest.is_empty() {
                    break;
                }
            }
            let operators = ["&&", "||", ";", "|", "&", "\n"];
            let found = operators.iter().find(|op| self.rest.starts_with(**op));
            if let Some(&operator) = found {
                self.rest = &self.rest[operator.len()..];
                step.then = if operator == "\n" { ";" } else { operator };
                break;
            }
            let word = self.word()?;
            let assigned = word.raw.split_once('=').filter(|(name, _)| is_name(name));
            match assigned {
                Some((name, _)) if step.words.is_empty() => {
                    let value = word.behind(name.len() + 1);
                    step.assignments.push((name.to_owned(), value));
                }
                _ => step.words.push(word),
            }
        }
        let name = step.words.first().map_or("", |word| word.raw.as_str());
        self.line.complex |= KEYWORDS.contains(&name);
        let empty = step.words.is_empty() && step.assignments.is_empty();
        let more = !self.rest.trim().is_empty();
        if !empty {
            if !more && step.then == ";" {
                step.then = "";
            }
            self.line.steps.push(step);
        } else if !step.then.is_empty() && step.then != ";" {
            self.line.complex = true;
        }
        Some(more)
    }

    fn word(&mut self) -> Option<Word> {
        let start = self.rest;
        let mut parts = Parts::default();
        let mut chars = start.char_indices().peekable();
        let mut quoted = false;
        let mut end = start.len();
        while let Some((at, ch)) = chars.next() {
            let next = chars.peek().map(|(_, ch)| *ch);
            match ch {
                '\'' if !quoted => {
                    let inside = &start[at + 1..];
                    let length = inside.find('\'')?;
                    parts.text(&inside[..length]);
                    while chars
                        .next_if(|(next, _)| *next <= at + 1 + length)
                        .is_some()
                    {}
                }
                '"' => {
                    quoted = !quoted;
                    parts.text("");
                }
                '\\' if !quoted || next.is_some_and(|next| "$`\"\\\n".contains(next)) => {
                    let (_, escaped) = chars.next()?;
                    if escaped != '\n' {
                        parts.text(escaped.encode_utf8(&mut [0; 4]));
                    }
                }
                '$' if next == Some('(') => {
                    self.line.complex = true;
                    let length = closing(&start[at + 1..])?;
                    while chars
                        .next_if(|(next, _)| *next <= at + 1 + length)
                        .is_some()
                    {}
                }
                '$' => match variable(&start[at + 1..]) {
                    Some((part, length)) => {
                        parts.all.push(part);
                        while chars.next_if(|(next, _)| *next <= at + length).is_some() {}
                    }
                    None if next
                        .is_some_and(|next| "{?#*@!$-".contains(next) || next.is_ascii_digit()) =>
                    {
                        self.line.complex = true;
                    }
                    None => parts.text("$"),
                },
                '`' => {
                    self.line.complex = true;
                    let inside = &start[at + 1..];
                    let length = inside.find('`')?;
                    while chars
                        .next_if(|(next, _)| *next <= at + 1 + length)
                        .is_some()
                    {}
                }
                _ if quoted => parts.text(ch.encode_utf8(&mut [0; 4])),
                ' ' | '\t' | '\r' | '\n' | ';' | '|' => {
                    end = at;
                    break;
                }
                '&' if !start[..at].ends_with(['<', '>']) => {
                    end = at;
                    break;
                }
                '<' | '>' | '(' | ')' | '*' | '?' | '[' | '&' => {
                    self.line.complex = true;
                    parts.text(ch.encode_utf8(&mut [0; 4]));
                }
                '~' if at == 0 => {
                    self.line.complex = true;
                    parts.text("~");
                }
                _ => parts.text(ch.encode_utf8(&mut [0; 4])),
            }
        }
        if quoted {
            return None;
        }
        self.rest = &start[end..];
        Some(Word {
            raw: start[..end].to_owned(),
            parts: parts.all,
        })
    }
}

impl Word {
    /// What stands behind the first `length` characters, which are plain ones.
    fn behind(&self, length: usize) -> Word {
        let mut parts = self.parts.clone();
        if let Some(Part::Text(first)) = parts.first_mut() {
            *first = first.get(length..).unwrap_or_default().to_owned();
        }
        if parts.len() > 1 {
            parts.retain(|part| *part != Part::Text(String::new()));
        }
        Word {
            raw: self.raw.get(length..).unwrap_or_default().to_owned(),
            parts,
        }
    }
}

/// The parts of a word while it is read.
#[derive(Default)]
struct Parts {
    all: Vec<Part>,
}

impl Parts {
    fn text(&mut self, more: &str) {
        let first = self.all.is_empty();
        match self.all.last_mut() {
            Some(Part::Text(text)) => text.push_str(more),
            // Quotes alone are an empty word.
            _ if more.is_empty() && !first => {}
            _ => self.all.push(Part::Text(more.to_owned())),
        }
    }
}

/// A variable behind its `$`, and the length of that text.
fn variable(text: &str) -> Option<(Part, usize)> {
    if let Some(inside) = text.strip_prefix('{') {
        let end = inside.find('}')?;
        let inside = &inside[..end];
        let (name, default) = match inside.split_once(":-").or_else(|| inside.split_once('-')) {
            Some((name, default)) => (name, Some(default.to_owned())),
            None => (inside, None),
        };
        let plain = |text: &String| !text.contains(['$', '`', '"', '\'', '\\']);
        let readable = is_name(name) && default.as_ref().is_none_or(plain);
        return readable.then(|| (Part::Variable(name.to_owned(), default), end + 2));
    }
    let is_part = |ch: char| ch.is_ascii_alphanumeric() || ch == '_';
    let end = text.find(|ch| !is_part(ch)).unwrap_or(text.len());
    let name = &text[..end];
    is_name(name).then(|| (Part::Variable(name.to_owned(), None), end))
}

/// Where the bracket that opens `text` is closed.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, ch) in text.char_indices() {
        match ch {
            '(' => depth += 1,
            ')' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

/// Whether a variable may be called so.
pub(crate) fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|ch: char| ch.is_ascii_digit())
        && name
            .chars()
            .all(|ch| ch.is_ascii_alphanumeric() || ch == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(name: &str) -> Option<String> {
        (name == "PORT").then(|| "8080".to_owned())
    }

    #[test]
    fn simple_commands_need_no_shell() {
        for (text, environment, words) in [
            (
                "shop serve --addr :$PORT",
                &[] as &[_],
                &["shop", "serve", "--addr", ":8080"] as &[_],
            ),
            (
                "A=1 B='2 3' C=\"$PORT x\" bin/x a",
                &[("A", "1"), ("B", "2 3"), ("C", "8080 x")],
                &["bin/x", "a"],
            ),
            (
                "x ${PORT:-3000} ${HOST:-0.0.0.0} ${A-}",
                &[],
                &["x", "8080", "0.0.0.0", ""],
            ),
            (
                "x \"a b\" 'c $PORT' d\\ e f=\"g\" ''",
                &[],
                &["x", "a b", "c $PORT", "d e", "f=g", ""],
            ),
            ("  x  # a note", &[], &["x"]),
            ("x \"\" $", &[], &["x", "", "$"]),
            ("X= y;", &[("X", "")], &["y"]),
        ] {
            let line = Line::parse(text).unwrap();
            let step = line.simple().unwrap_or_else(|| panic!("{line:?}"));
            let found: Vec<_> = step
                .assignments
                .iter()
                .map(|(name, value)| (name.as_str(), value.value(port).unwrap()))
                .collect();
            let found: Vec<_> = found
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .collect();
            assert_eq!(found, environment, "{text}");
            let found: Vec<_> = step
                .words
                .iter()
                .map(|word| word.value(port).unwrap())
                .collect();
            assert_eq!(found, words, "{text}");
        }
        let unknown = Line::parse("java $JAVA_OPTS").unwrap();
        assert_eq!(unknown.simple().unwrap().words[1].value(port), None);
    }

    #[test]
    fn what_needs_a_shell_is_known() {
        for (text, steps) in [
            ("a && b", 2),
            ("a; b", 2),
            ("a | b", 2),
            ("a &", 1),
            ("x $(cat y z) \"$(a \"b\")\"", 1),
            ("x `y`", 1),
            ("x 2>&1 > z", 1),
            ("x *.js", 1),
            ("~/x", 1),
            ("if a; then b; fi", 3),
            ("x ${A%b} $1", 1),
        ] {
            let line = Line::parse(text).unwrap();
            assert_eq!(
                (line.simple(), line.steps.len()),
                (None, steps),
                "{text}: {line:?}"
            );
        }
        for text in ["a 'b", "a \"b", "a $(b", "a `b", "a \\"] {
            assert_eq!(Line::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_last_command_replaces_the_shell() {
        for (text, expected) in [
            ("a && b \"c d\"", "a && exec b \"c d\""),
            ("a; exec b", "a; exec b"),
            ("a | b", "a | b"),
            ("a & b", "a & b"),
            ("a && X=1 b", "a && X=1 b"),
            ("a $PORT", "exec a $PORT"),
        ] {
            assert_eq!(Line::parse(text).unwrap().shell(), expected);
        }
    }

    #[test]
    fn values_are_quoted_for_dockerfiles() {
        for (text, expected) in [
            ("A=1", Some("1")),
            ("A=$PORT", Some("$PORT")),
            ("A=0.0.0.0:$PORT", Some("0.0.0.0:${PORT}")),
            ("A='b c'", Some("\"b c\"")),
            ("A='$b \"c\" \\'", Some("\"\\$b \\\"c\\\" \\\\\"")),
            ("A=", Some("")),
            ("A=$B", None),
            ("A=${B:-c}", Some("c")),
        ] {
            let line = Line::parse(&format!("{text} x")).unwrap();
            let (_, value) = &line.steps[0].assignments[0];
            assert_eq!(
                value.env(|name| name == "PORT").as_deref(),
                expected,
                "{text}"
            );
        }
    }
}
