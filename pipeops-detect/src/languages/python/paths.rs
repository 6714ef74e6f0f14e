//! Folders that a source of Python makes by names whose values it sets itself.

use std::collections::BTreeMap;

/// How many lines a statement has at most.
const LINES: usize = 20;

/// How long a statement is at most.
const LENGTH: usize = 2000;

/// How deep calls are read.
const DEPTH: usize = 12;

/// The folders that a source makes, from the app's folder. `file` is the path of the source.
pub(crate) fn made(file: &str, text: &str) -> Vec<String> {
    let mut source = Source {
        file,
        values: BTreeMap::new(),
    };
    let mut found = Vec::new();
    for statement in statements(text).filter(|statement| statement.len() < LENGTH) {
        if let Some((name, value)) = assignment(&statement)
            && let Some(path) = source.path(value, DEPTH)
        {
            source.values.insert(name.to_owned(), path);
        }
        let made = source
            .made(&statement)
            .filter(|path| !path.is_empty() && !found.contains(path));
        found.extend(made);
    }
    found
}

struct Source<'a> {
    file: &'a str,
    /// Paths by the names that hold them.
    values: BTreeMap<String, String>,
}

impl Source<'_> {
    /// The folder that a statement makes.
    fn made(&self, statement: &str) -> Option<String> {
        let argument = ["makedirs(", "os.mkdir("]
            .iter()
            .find_map(|call| Some(statement.split_once(call)?.1));
        if let Some(rest) = argument {
            return self.path(arguments(rest).first()?, DEPTH);
        }
        let (path, _) = statement.split_once(".mkdir(")?;
        self.path(path, DEPTH)
    }

    /// The path that an expression is, if it's one below the app's folder.
    fn path(&self, expression: &str, depth: usize) -> Option<String> {
        let expression = expression.trim();
        let depth = depth.checked_sub(1)?;
        if let Some(path) = self.values.get(expression) {
            return Some(path.clone());
        }
        if expression == "__file__" {
            return Some(self.file.to_owned());
        }
        if let Some(text) = literal(expression) {
            return is_below(text).then(|| text.trim_end_matches('/').to_owned());
        }
        let ends = |end: &str| expression.strip_suffix(end);
        if let Some(inner) = ends(".resolve()").or_else(|| ends(".absolute()")) {
            return self.path(inner, depth);
        }
        if let Some(inner) = ends(".parent") {
            return self.path(inner, depth).map(parent);
        }
        if let Some((left, right)) = split_last(expression, " / ") {
            return Some(join(self.path(left, depth)?, &self.path(right, depth)?));
        }
        if let Some((_, right)) = split_last(expression, " or ") {
            return self.path(right, depth);
        }
        let (function, rest) = expression.split_once('(')?;
        let inside = rest.strip_suffix(')')?;
        let arguments = arguments(inside);
        match function {
            "os.path.join" | "join" | "path.join" => {
                let mut parts = arguments.iter();
                let mut path = self.path(parts.next()?, depth)?;
                for part in parts {
                    path = join(path, &self.path(part, depth)?);
                }
                Some(path)
            }
            "os.path.dirname" | "dirname" | "path.dirname" => {
                self.path(arguments.first()?, depth).map(parent)
            }
            "os.getenv" | "os.environ.get" | "getenv" | "environ.get" => {
                self.path(arguments.get(1)?, depth)
            }
            "str" | "Path" | "pathlib.Path" | "os.path.abspath" | "os.path.realpath"
            | "os.path.normpath" | "abspath" => self.path(arguments.first()?, depth),
            _ => None,
        }
    }
}

/// The statements of a source, those of several lines in one.
fn statements(text: &str) -> impl Iterator<Item = String> {
    let mut lines = text.lines();
    std::iter::from_fn(move || {
        let mut statement = lines.next()?.trim().to_owned();
        for _ in 0..LINES {
            if !is_open(&statement) {
                break;
            }
            let Some(next) = lines.next() else { break };
            statement.push(' ');
            statement.push_str(next.trim());
        }
        Some(statement)
    })
}

/// Whether brackets are still open. Those in texts count too, which ends a statement later at most.
fn is_open(statement: &str) -> bool {
    let count = |mark: char| statement.matches(mark).count();
    !statement.starts_with('#') && count('(') > count(')')
}

/// A name and what is assigned to it: `DATA`, `app.config['DATA']`.
fn assignment(statement: &str) -> Option<(&str, &str)> {
    let (name, value) = statement.split_once(" = ")?;
    let part = |ch: char| ch.is_ascii_alphanumeric() || "_.[]'\"".contains(ch);
    name.chars().all(part).then_some((name, value))
}

/// What is in quotes, if that is all.
fn literal(expression: &str) -> Option<&str> {
    let quoted = |mark| expression.strip_prefix(mark)?.strip_suffix(mark);
    let text: &str = quoted('"').or_else(|| quoted('\''))?;
    (!text.contains(['"', '\''])).then_some(text)
}

/// Whether a text is a path that stays below its folder.
fn is_below(text: &str) -> bool {
    let plain = |ch: char| ch.is_ascii_alphanumeric() || "_-./".contains(ch);
    !text.is_empty()
        && text.chars().all(plain)
        && !text.starts_with('/')
        && text.split('/').all(|part| !matches!(part, "." | ".."))
}

/// The arguments in front of the bracket that closes their call.
fn arguments(text: &str) -> Vec<&str> {
    let mut all = Vec::new();
    let (mut depth, mut from) = (0_usize, 0);
    for (at, ch) in text.char_indices() {
        match ch {
            '(' | '[' => depth += 1,
            ')' | ']' if depth == 0 => {
                all.push(&text[from..at]);
                return all;
            }
            ')' | ']' => depth -= 1,
            ',' if depth == 0 => {
                all.push(&text[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    all.push(&text[from..]);
    all
}

/// The sides of the last operator that is in no brackets.
fn split_last<'a>(expression: &'a str, operator: &str) -> Option<(&'a str, &'a str)> {
    let mut all = expression.rmatch_indices(operator);
    all.find_map(|(at, _)| {
        let (left, right) = (&expression[..at], &expression[at + operator.len()..]);
        let even = |side: &str| side.matches('(').count() == side.matches(')').count();
        (even(left) && even(right)).then_some((left, right))
    })
}

fn parent(path: String) -> String {
    path.rsplit_once('/')
        .map_or_else(String::new, |(parent, _)| parent.to_owned())
}

fn join(left: String, right: &str) -> String {
    match left.as_str() {
        "" => right.to_owned(),
        left => format!("{left}/{right}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_followed_through_names() {
        for (text, expected) in [
            (
                "app.config['ROOT'] = os.getenv(\n    'ROOT',\n    os.path.dirname(os.path.abspath(__file__)))\napp.config['DATA'] = os.path.join(\n    app.config['ROOT'], 'static', 'config')\nif not os.path.exists(app.config['DATA']):\n    os.makedirs(app.config['DATA'])\n",
                &["shop/static/config"][..],
            ),
            (
                "BASE_DIR = Path(__file__).resolve().parent.parent\nMEDIA = BASE_DIR / \"media\" / \"in\"\nMEDIA.mkdir(parents=True, exist_ok=True)\n",
                &["media/in"],
            ),
            (
                "DIR = os.environ.get(\"SHOP_DIR\") or \"var/shop\"\nos.makedirs(os.path.join(DIR, \"index\"), exist_ok=True)\n",
                &["var/shop/index"],
            ),
            (
                "here = os.path.dirname(__file__)\nos.mkdir(os.path.join(here, name))\nos.makedirs(unknown)\nos.makedirs(os.path.join(here, '..', 'x'))\n",
                &[],
            ),
            ("DIR = '/data'\nos.makedirs(DIR)\n", &[]),
            ("os.makedirs(((((", &[]),
        ] {
            assert_eq!(made("shop/app.py", text), expected, "{text}");
        }
        let deep = format!(
            "x = {}'a'{}\nos.makedirs(x)",
            "str(".repeat(99),
            ")".repeat(99)
        );
        assert_eq!(made("a.py", &deep), [""; 0]);
    }
}
