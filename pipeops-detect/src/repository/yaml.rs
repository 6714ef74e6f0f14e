//! Reads YAML of manifests and settings into JSON values.

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Value};

/// How deep values are nested at most: the text is untrusted.
const DEPTH: usize = 32;

/// Reads the first document. Every scalar stays a text, so that a version `1.10` does not become the number 1.1. Aliases are
/// left out, and so is what follows a mistake: manifests are hints here, not contracts.
pub(crate) fn read(text: &str) -> Value {
    // Until the first mistake: the parser would repeat it for ever.
    let mut events =
        Parser::new_from_str(text).map_while(|event| event.ok().map(|(event, _)| event));
    let start = events.by_ref().find(|event| {
        !matches!(
            event,
            Event::StreamStart | Event::DocumentStart(_) | Event::Nothing
        )
    });
    start.map_or(Value::Null, |start| value(start, &mut events, DEPTH))
}

fn value<'a>(
    start: Event<'a>,
    events: &mut impl Iterator<Item = Event<'a>>,
    depth: usize,
) -> Value {
    match start {
        Event::Scalar(text, style, ..) => scalar(&text, style),
        Event::SequenceStart(..) => sequence(events, depth),
        Event::MappingStart(..) => mapping(events, depth),
        _ => Value::Null,
    }
}

fn scalar(text: &str, style: ScalarStyle) -> Value {
    let is_null = style == ScalarStyle::Plain && matches!(text, "" | "~" | "null");
    if is_null {
        Value::Null
    } else {
        Value::from(text)
    }
}

fn sequence<'a>(events: &mut impl Iterator<Item = Event<'a>>, depth: usize) -> Value {
    let mut items = Vec::new();
    while let Some(start) = next(events, depth, &Event::SequenceEnd) {
        items.push(value(start, events, depth - 1));
    }
    Value::Array(items)
}

fn mapping<'a>(events: &mut impl Iterator<Item = Event<'a>>, depth: usize) -> Value {
    let mut entries = Map::new();
    while let Some(start) = next(events, depth, &Event::MappingEnd) {
        let key = value(start, events, depth - 1);
        let Some(start) = events.next() else { break };
        let value = value(start, events, depth - 1);
        if let Value::String(key) = key {
            entries.entry(key).or_insert(value);
        }
    }
    Value::Object(entries)
}

/// The next event inside, unless it is the end or all is nested too deeply.
fn next<'a>(
    events: &mut impl Iterator<Item = Event<'a>>,
    depth: usize,
    end: &Event<'a>,
) -> Option<Event<'a>> {
    events.next().filter(|event| depth > 0 && event != end)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn scalars_stay_texts() {
        let text = "# x\npackages:\n- 'apps/*' # here\n- \"!**/test/**\"\nversion: 1.10\nb:\n  c: yes\nflow: [a, {d: e}]\nempty:\n\
                    url: \"a: b\"\ntagged: !!python/name:x.y ''\nlong: |\n  one\n  two\n";
        let expected = json!({
            "packages": ["apps/*", "!**/test/**"],
            "version": "1.10",
            "b": {"c": "yes"},
            "flow": ["a", {"d": "e"}],
            "empty": null,
            "url": "a: b",
            "tagged": "",
            "long": "one\ntwo\n",
        });
        assert_eq!(read(text), expected);
    }

    #[test]
    fn what_was_read_before_a_mistake_counts() {
        assert_eq!(read("a: 1\nb: [\n")["a"], "1");
        assert_eq!(
            read("a: &x 1\nb: *x\n---\na: 2\n"),
            json!({"a": "1", "b": null})
        );
        assert_eq!(read(""), Value::Null);
        read(&"[".repeat(10_000));
        read(&"a: {".repeat(10_000));
    }
}
