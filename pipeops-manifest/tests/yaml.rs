//! Strings come back as strings from every reader of YAML.
//!
//! `cargo test -p pipeops-manifest --test yaml -- --ignored` asks `sigs.k8s.io/yaml`, which is `kubectl`'s reader, and PyYAML. It needs
//! Go, and a Python with PyYAML: `PYTHON` names it, by default `python3`. `SEED` and `STRINGS` choose the random strings (10,000 without
//! them).

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot talk to a reader fails"
)]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use pipeops_manifest::{Object, Revision, SecretValues, Stack, to_yaml_with};
use serde_json::{Value, json};

/// Strings that at least one reader takes for something else if they are plain.
#[rustfmt::skip]
const OTHERWISE: &[&str] = &[
    // Booleans and null, in every case that a reader knows.
    "y", "Y", "n", "N", "yes", "Yes", "YES", "no", "No", "NO", "on", "On", "ON", "off", "Off", "OFF",
    "true", "True", "TRUE", "false", "False", "FALSE", "null", "Null", "NULL", "~", "",
    // Integers: octal, hexadecimal, binary, with underscores, of base 60.
    "0", "-1", "+1", "010", "0o7", "0O7", "0x1F", "0X1f", "0b1", "-0b1", "1_000", "1_", "0_7", "1:20", "190:20:30", "-1:20", "08", "12e03",
    "18446744073709551616", "0x", "0b", "0o",
    // Floating-point numbers.
    "1.0", ".5", "1.", "-.5", "1e3", "1E3", "1e+3", "6.8523015e+5", "685.230_15e+03", "1_0.5", "190:20:30.15", ".inf", "-.inf", "+.Inf",
    ".INF", ".nan", ".NaN", "NaN", "nan", "inf", "1.2.3", "._", ".", "-.", "+", "-", "1e", ".e1",
    // Dates and times.
    "2026-01-31", "2026-1-3", "2001-12-14t21:59:43.10-05:00", "2001-12-14 21:59:43.10 -5", "2001-12-15 2:59:43.10", "2026-01-31T10:00:00Z",
    // Merge and value keys, aliases, anchors, tags, directives, markers, comments.
    "<<", "=", "&a", "*a", "!", "!!str", "!!binary", "%YAML 1.1", "---", "...", "--- a", "# a", "a #b", "#", "a\t#b", "@a", "`a`",
    // Collections and blocks.
    "- a", "-", "? a", "?", ": a", ":", "a: b", "a:", "{", "}", "[", "]", "{}", "[]", "{a: b}", "[a]", ",", "|", ">", "|-", ">\n", "\"", "'", "\"a\"", "'a'",
    // White space, line breaks and characters that are not shown.
    " ", "  a", "a ", "\t", "\ta", "a\t", "\n", "\na", "a\n", "a\n\n", "a\r\nb", "\r", "a\u{85}b", "a\u{2028}b", "a\u{2029}", "\u{feff}a", "\u{a0}", "a\u{a0}",
    "\0", "\u{7}", "\u{1b}[31m", "\u{7f}", "\u{9b}", "\u{202e}a", "\u{fffe}", "\u{fffd}", "\u{10ffff}", "é", "☕", "\\", "a\\nb",
];

/// Strings that are several lines of text.
const LINES: &[&str] = &[
    "a\nb",
    "a\nb\n",
    "a\n\n  b\n",
    "server {\n  listen 80; # port\n}\n",
    "---\na: b\n---\n",
    "a\n\tb",
    "a \nb",
    " a\nb",
    "a\n \nb",
    "\n\na",
    "a\n\n\n",
    "- a\n- b",
    "a: b\nc: d",
    "# a\nb",
    "%a\nb",
    "...\n",
    "é\n☕\n",
    "a\nb\u{2028}c",
    "a\r\nb\r\n",
    "key: |\n  x\n",
];

fn table() -> Vec<String> {
    [OTHERWISE, LINES]
        .concat()
        .into_iter()
        .map(str::to_owned)
        .collect()
}

/// A string at every place of an object.
fn object(text: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "a", "annotations": {text: text}},
        "data": {text: text},
        "lists": [[text, [text]], [{text: text}], text, {"a": {text: {text: [text]}}}],
    })
}

fn yaml(object: &Value) -> String {
    let revision: Revision = "1".parse().unwrap();
    let stack = Stack::new(
        "a",
        "a",
        revision,
        vec![Object::new(object.clone()).unwrap()],
    );
    to_yaml_with(&stack, SecretValues::Shown)
}

#[test]
fn what_could_be_something_else_is_quoted() {
    for text in OTHERWISE {
        let yaml = yaml(&object(text));
        let data = yaml.split_once("\ndata:\n  ").unwrap().1;
        assert!(data.starts_with(['\'', '"']), "{text:?}: {yaml}");
        let value = data.lines().next().unwrap();
        assert!(
            value.ends_with(['\'', '"', '|']) || value.ends_with("|-"),
            "{text:?}: {yaml}"
        );
    }
}

#[test]
fn a_reader_of_yaml_1_2_reads_the_same() {
    for text in table() {
        let object = object(&text);
        let read: Value = serde_norway::from_str(&yaml(&object)).unwrap();
        assert_eq!(read, object, "{text:?}");
    }
}

#[test]
#[ignore = "needs Go and PyYAML"]
fn the_readers_of_kubernetes_and_python_read_the_same() {
    let seed = number("SEED", 1);
    let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let mut texts = table();
    texts.extend((0..number("STRINGS", 10_000)).map(|_| random.text()));
    let mut differences = Vec::new();
    for (name, mut reader) in [
        ("sigs.k8s.io/yaml", Reader::go()),
        ("PyYAML", Reader::python()),
    ] {
        for text in &texts {
            let object = object(text);
            let yaml = yaml(&object);
            let read = reader.ask(&yaml);
            if read != object {
                differences.push(format!("{name} reads {text:?} as {read}\n{yaml}"));
            }
        }
    }
    println!(
        "seed {seed}: {} strings, {} different",
        texts.len(),
        differences.len()
    );
    differences.sort_by_key(String::len);
    let shown: Vec<_> = differences.iter().take(5).map(String::as_str).collect();
    assert!(
        differences.is_empty(),
        "{} differences:\n{}",
        differences.len(),
        shown.join("\n")
    );
}

/// A program that reads YAML: a document in a line, as a JSON string, and a line of JSON back.
struct Reader {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Reader {
    fn go() -> Self {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/yaml_readers");
        let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("yaml_reader");
        let built = Command::new("go")
            .args(["build", "-o"])
            .arg(&program)
            .arg(".")
            .current_dir(source)
            .status();
        assert!(built.unwrap().success(), "go build failed");
        Self::start(&mut Command::new(program))
    }

    fn python() -> Self {
        let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/yaml_readers/reader.py");
        Self::start(Command::new(python).arg("-u").arg(script))
    }

    fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            input: child.stdin.take().unwrap(),
            output: BufReader::new(child.stdout.take().unwrap()),
            child,
        }
    }

    fn ask(&mut self, yaml: &str) -> Value {
        writeln!(self.input, "{}", json!(yaml)).unwrap();
        self.input.flush().unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % below as u64).unwrap()
    }

    /// Pieces of the table, characters of numbers and dates, and any characters.
    fn text(&mut self) -> String {
        let mut text = String::new();
        for _ in 0..=self.next(4) {
            match self.next(4) {
                0 => text.push_str(OTHERWISE[self.next(OTHERWISE.len())]),
                1 => {
                    let near: Vec<char> = "0123456789_:.+-eExXobTZ nyNY~<=aflsu".chars().collect();
                    (0..self.next(6)).for_each(|_| text.push(near[self.next(near.len())]));
                }
                2 => {
                    (0..self.next(6)).for_each(|_| text.push(char::from(32 + self.next(95) as u8)))
                }
                _ => text.extend(char::from_u32(self.next(0x11_0000) as u32)),
            }
        }
        text
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}
