//! Writes JSON values as YAML that every reader understands the same way.
//!
//! Readers of YAML 1.1 (`kubectl`, PyYAML) and 1.2 disagree on what a plain `yes`, `0o7`, `1:20` or `<<` is. So a string is plain
//! only if no reader can take it for anything else; all others are quoted, keys included.

use pipeops_core::text;
use serde_json::{Map, Number, Value};

/// Keys that are longer, as they are written, stand behind a `?`: YAML limits the others to 1024 characters.
const LONGEST_KEY: usize = 1000;

/// Text that YAML readers take for a boolean or null, in lower case.
const WORDS: [&str; 11] = [
    "y", "yes", "n", "no", "on", "off", "true", "false", "null", "nan", "inf",
];

/// The entries of an object in the order in which they are written, each with the `top` of its value.
pub(crate) type Entries<'a> = Vec<(&'a String, &'a Value, bool)>;

/// Writes `value` as one YAML document. `entries` gives the entries of an object for its `top`, which is `top` for the value itself.
pub(crate) fn document<'a>(
    value: &'a Value,
    top: bool,
    entries: &dyn Fn(&'a Map<String, Value>, bool) -> Entries<'a>,
) -> String {
    let mut writer = Writer {
        out: String::new(),
        entries,
    };
    match value {
        Value::Object(map) if !map.is_empty() => writer.object(map, top, 0),
        Value::Array(items) if !items.is_empty() => writer.array(items, top, 0),
        scalar => {
            writer.scalar(scalar, 1);
            writer.out.push('\n');
        }
    }
    writer.out
}

struct Writer<'a, 'b> {
    out: String,
    entries: &'b dyn Fn(&'a Map<String, Value>, bool) -> Entries<'a>,
}

impl<'a> Writer<'a, '_> {
    /// Writes the entries, each but the first behind its indentation.
    fn object(&mut self, map: &'a Map<String, Value>, top: bool, depth: usize) {
        for (index, (key, value, top)) in (self.entries)(map, top).into_iter().enumerate() {
            if index > 0 {
                self.indent(depth);
            }
            self.key(key, depth);
            match value {
                Value::Object(map) if !map.is_empty() => {
                    self.out.push('\n');
                    self.indent(depth + 1);
                    self.object(map, top, depth + 1);
                }
                Value::Array(items) if !items.is_empty() => {
                    self.out.push('\n');
                    self.indent(depth);
                    self.array(items, top, depth);
                }
                scalar => {
                    self.out.push(' ');
                    self.scalar(scalar, depth + 1);
                    self.out.push('\n');
                }
            }
        }
    }

    /// Writes the items, each but the first behind its indentation.
    fn array(&mut self, items: &'a [Value], top: bool, depth: usize) {
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.indent(depth);
            }
            self.out.push_str("- ");
            match item {
                Value::Object(map) if !map.is_empty() => self.object(map, top, depth + 1),
                Value::Array(items) if !items.is_empty() => self.array(items, top, depth + 1),
                scalar => {
                    self.scalar(scalar, depth + 1);
                    self.out.push('\n');
                }
            }
        }
    }

    fn indent(&mut self, depth: usize) {
        self.out.extend(std::iter::repeat_n("  ", depth));
    }

    fn key(&mut self, key: &str, depth: usize) {
        let written = string(key);
        if written.len() <= LONGEST_KEY {
            self.out.push_str(&written);
        } else {
            self.out.push_str("? ");
            self.out.push_str(&written);
            self.out.push('\n');
            self.indent(depth);
        }
        self.out.push(':');
    }

    /// Writes a value on the same line; the lines of a long text at this depth.
    fn scalar(&mut self, value: &Value, depth: usize) {
        match value {
            Value::Null => self.out.push_str("null"),
            Value::Bool(value) => self.out.push_str(if *value { "true" } else { "false" }),
            Value::Number(value) => self.out.push_str(&number(value)),
            Value::String(text) if is_block(text) => self.block(text, depth),
            Value::String(text) => self.out.push_str(&string(text)),
            Value::Array(_) => self.out.push_str("[]"),
            Value::Object(_) => self.out.push_str("{}"),
        }
    }

    /// Writes a text of several lines as it is.
    fn block(&mut self, text: &str, depth: usize) {
        let (mark, text) = match text.strip_suffix('\n') {
            Some(text) => ("|", text),
            None => ("|-", text),
        };
        self.out.push_str(mark);
        for line in text.split('\n') {
            self.out.push('\n');
            if !line.is_empty() {
                self.indent(depth);
                self.out.push_str(line);
            }
        }
    }
}

/// A string on one line: plain if it can be nothing else, otherwise quoted.
fn string(text: &str) -> String {
    if is_plain(text) {
        text.to_owned()
    } else if text.chars().all(is_shown) {
        format!("'{}'", text.replace('\'', "''"))
    } else {
        escaped(text)
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if is_shown(c) => out.push(c),
            c => match u32::from(c) {
                code @ 0..=0xff => out.push_str(&format!("\\x{code:02X}")),
                code @ 0x100..=0xffff => out.push_str(&format!("\\u{code:04X}")),
                code => out.push_str(&format!("\\U{code:08X}")),
            },
        }
    }
    out.push('"');
    out
}

/// Whether a character can stand in a quoted text as it is: YAML readers accept it, and people see it.
fn is_shown(c: char) -> bool {
    !text::is_control(c)
        && !matches!(
            c,
            '\u{a0}' | '\u{ad}' | '\u{200b}'..='\u{200d}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
        )
        && u32::from(c) & 0xfffe != 0xfffe
}

/// Whether a text can stand in a block: of several lines that are shown as they are, the first of them not indented.
fn is_block(text: &str) -> bool {
    let body = text.strip_suffix('\n').unwrap_or(text);
    text.contains('\n')
        && !body.starts_with([' ', '\n'])
        && !body.is_empty()
        && !body.ends_with('\n')
        && body.chars().all(|c| c == '\n' || is_shown(c))
        && body
            .split('\n')
            .all(|line| line.is_empty() || !line.trim().is_empty())
}

/// Whether a plain scalar with this text is a string for every reader.
fn is_plain(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || "_-./@+:,=() ".contains(c);
    // Numbers, dates and times never contain one of these.
    let no_number = |c: char| c.is_ascii_alphabetic() && !"abcdefABCDEFinoxtzINOXTZ".contains(c);
    // An option such as `--port`: a letter behind the dashes makes it no list, document or number.
    let option = text.trim_start_matches('-').len() < text.len();
    let starts = match text.trim_start_matches('-').chars().next() {
        Some(c) if c.is_ascii_alphabetic() => true,
        _ if option => false,
        Some('/') => true,
        Some(c) if c.is_ascii_digit() => text.contains(no_number),
        _ => false,
    };
    starts
        && text.chars().all(inner)
        && !text.ends_with([':', ' '])
        && !text.contains(": ")
        && !WORDS.contains(&&*text.to_ascii_lowercase())
}

/// A number that every reader takes for one: YAML 1.1 wants a point and a sign of the exponent.
fn number(number: &Number) -> String {
    let text = number.to_string();
    let Some((digits, exponent)) = text.split_once(['e', 'E']) else {
        return text;
    };
    let point = if digits.contains('.') { "" } else { ".0" };
    let sign = if exponent.starts_with(['-', '+']) {
        ""
    } else {
        "+"
    };
    format!("{digits}{point}e{sign}{exponent}")
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;
    use regex::RegexSet;
    use serde_json::json;

    use super::*;

    fn written(value: &Value) -> String {
        document(value, false, &|map, _| {
            map.iter().map(|(key, value)| (key, value, false)).collect()
        })
    }

    fn read(yaml: &str) -> Value {
        serde_norway::from_str(yaml).unwrap_or_else(|error| panic!("{error}: {yaml}"))
    }

    #[test]
    fn ordinary_strings_are_plain() {
        for text in [
            "shop",
            "/healthz",
            "registry.example.com:5000/team/shop:1.2@sha256:ab",
            "100m",
            "128Mi",
            "30s",
            "http://a.b/c",
            "app.kubernetes.io/name",
            "LOG_LEVEL",
            "Two words, a comma",
            "-c",
            "--listen=0.0.0.0:80",
            "RuntimeDefault",
            "nobody",
            "yesterday",
        ] {
            assert_eq!(written(&json!({"a": text})), format!("a: {text}\n"));
        }
    }

    #[test]
    fn the_form_is_kubectls() {
        let value = json!({"a": [{"b": 1, "c": ["x", []]}, {}], "d": {"e": null, "f": true}, "g": "l1\n\n  l2 # no comment\n", "h": [["i"]]});
        assert_eq!(
            written(&value),
            "a:\n- b: 1\n  c:\n  - x\n  - []\n- {}\nd:\n  e: null\n  f: true\ng: |\n  l1\n\n    l2 # no comment\nh:\n- - i\n"
        );
        assert_eq!(read(&written(&value)), value);
        for (text, expected) in [
            ("a\nb", "|-\n  a\n  b"),
            ("a\n\n", "\"a\\n\\n\""),
            (" a\nb", "\" a\\nb\""),
            ("a\n \nb", "\"a\\n \\nb\""),
            ("a\r\nb", "\"a\\r\\nb\""),
            ("\n", "\"\\n\""),
            ("it's", "'it''s'"),
            (
                "\u{202e}x\u{85}\u{2028}\u{feff}",
                "\"\\u202Ex\\x85\\u2028\\uFEFF\"",
            ),
            ("☕🎂", "'☕🎂'"),
            ("\u{1fffe}", "\"\\U0001FFFE\""),
            ("", "''"),
        ] {
            assert_eq!(written(&json!({"k": text})), format!("k: {expected}\n"));
            assert_eq!(read(&written(&json!({"k": text}))), json!({"k": text}));
        }
    }

    #[test]
    fn numbers_stay_numbers_and_long_keys_are_keys() {
        for value in [
            json!(0),
            json!(-7),
            json!(1.5),
            json!(1e30),
            json!(1e-7),
            json!(u64::MAX),
        ] {
            assert_eq!(read(&written(&value)), value);
        }
        assert_eq!(number(&Number::from_f64(1e30).unwrap()), "1.0e+30");
        let value = json!({"k".repeat(2000): {"b": [1]}, "\u{1}".repeat(400): "x", "z": [{"é".repeat(900): 1, "y": 2}]});
        assert_eq!(read(&written(&value)), value);
    }

    /// Whether a plain scalar matches an implicit type of YAML 1.1, by the regular expressions of <https://yaml.org/type/>, or of the
    /// core schema of YAML 1.2.
    fn is_implicit(text: &str) -> bool {
        const TYPES: &[&str] = &[
            // bool, null, merge, value
            "y|Y|yes|Yes|YES|n|N|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF",
            "~|null|Null|NULL|",
            "<<",
            "=",
            // int, float
            "[-+]?0b[0-1_]+|[-+]?0[0-7_]+|[-+]?(0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+|[-+]?[1-9][0-9_]*(:[0-5]?[0-9])+",
            "[-+]?([0-9][0-9_]*)?\\.[0-9.]*([eE][-+][0-9]+)?|[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+\\.[0-9_]*|[-+]?\\.(inf|Inf|INF)|\\.(nan|NaN|NAN)",
            // timestamp
            "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]|[0-9][0-9][0-9][0-9]-[0-9][0-9]?-[0-9][0-9]?([Tt]|[ \\t]+)[0-9][0-9]?:[0-9][0-9]:[0-9][0-9](\\.[0-9]*)?(([ \\t]*)Z|[-+][0-9][0-9]?(:[0-9][0-9])?)?",
            // YAML 1.2
            "[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+|[-+]?(\\.[0-9]+|[0-9]+(\\.[0-9]*)?)([eE][-+]?[0-9]+)?",
        ];
        static WHOLE: LazyLock<RegexSet> = LazyLock::new(|| {
            RegexSet::new(TYPES.iter().map(|kind| format!("^(?:{kind})$"))).unwrap()
        });
        WHOLE.is_match(text)
    }

    /// Texts near the forms of numbers, dates and words.
    fn near() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<String>(),
            "[-+.]?[0-9]{1,3}[0-9_:.,eExXoObB+-]{0,8}",
            "[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ][0-9:.]{0,9}[Zz]?)?",
            "(?i)(y|n|yes|no|on|off|true|false|null|~|nan|inf|\\.inf|<<|=)[ :#]{0,2}",
            "[ -~]{0,6}",
            "[a-z]{0,3}[ \\t\\n\\r\u{85}\u{a0}\u{2028}\u{2029}\u{feff}:#'\"|>&*!%@`{}\\[\\],?-]{0,6}[a-z]{0,3}",
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn every_string_comes_back(key in near(), text in near()) {
            let value = json!({&*key: text, "list": [{&*text: &*key}, [&*text]]});
            prop_assert_eq!(read(&written(&value)), value);
        }

        #[test]
        fn a_plain_string_is_of_no_implicit_type(text in near()) {
            prop_assert!(!is_plain(&text) || !is_implicit(&text), "{text:?}");
        }
    }
}
