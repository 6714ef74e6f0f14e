//! Flags of instructions and the values that they take.

use super::super::ast::Word;

/// A flag that an instruction knows.
pub(super) type Flag = (&'static str, Kind);

/// What a flag takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing, `=true` or `=false`; once.
    Bool,
    /// A value; once.
    Text,
    /// A value; as often as you like.
    Texts,
}

/// The flags of one instruction, names known and values there.
#[derive(Debug)]
pub(super) struct Flags<'a> {
    found: &'a [Word<'a>],
}

impl<'a> Flags<'a> {
    /// Checks flags (`--name[=value]`) of an instruction that knows these ones.
    #[inline]
    pub(super) fn read(found: &'a [Word<'a>], known: &[Flag]) -> Result<Self, String> {
        if !found.is_empty() {
            check_all(found, known)?;
        }
        Ok(Self { found })
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The value of a flag that stands there once.
    pub(super) fn value(&self, name: &str) -> Option<&'a str> {
        self.values(name).next()
    }

    /// The values of a flag.
    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.found
            .iter()
            .map(split)
            .filter(move |(found, _)| *found == name)
            .filter_map(|(_, value)| value)
    }
}

fn check_all(flags: &[Word<'_>], known: &[Flag]) -> Result<(), String> {
    for (at, flag) in flags.iter().enumerate() {
        let (name, value) = split(flag);
        let Some((_, kind)) = known.iter().find(|(known, _)| *known == name) else {
            return Err(unknown(name, known));
        };
        if *kind != Kind::Texts && flags[..at].iter().any(|earlier| split(earlier).0 == name) {
            return Err(format!("duplicate flag: --{name}"));
        }
        check_value(name, *kind, value)?;
    }
    Ok(())
}

/// The name of a flag, and its value where it has one.
fn split<'a>(flag: &'a Word<'_>) -> (&'a str, Option<&'a str>) {
    let (name, value) = match flag.text.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (&*flag.text, None),
    };
    (name.strip_prefix("--").unwrap_or(name), value)
}

fn check_value(name: &str, kind: Kind, value: Option<&str>) -> Result<(), String> {
    match (kind, value) {
        (Kind::Bool, None) => Ok(()),
        (Kind::Bool, Some(value)) => match value.to_ascii_lowercase().as_str() {
            "true" | "false" => Ok(()),
            "" => Err(format!("missing a value on flag: --{name}")),
            _ => Err(format!("--{name} must be true or false, not `{value}`")),
        },
        (Kind::Text | Kind::Texts, Some(_)) => Ok(()),
        (Kind::Text | Kind::Texts, None) => Err(format!("missing a value on flag: --{name}")),
    }
}

fn unknown(name: &str, known: &[Flag]) -> String {
    let known: Vec<String> = known.iter().map(|(name, _)| format!("--{name}")).collect();
    if known.is_empty() {
        return format!("unknown flag: --{name} (this instruction has no flags)");
    }
    format!("unknown flag: --{name} (known flags: {})", known.join(", "))
}

/// Checks a `--mount` as far as it can be before variables are replaced.
pub(super) fn mount(value: &str) -> Result<(), String> {
    for field in comma_separated(value)? {
        let Some((key, value)) = field.split_once('=') else {
            continue;
        };
        let variable = value.find('$').is_some_and(|at| at + 1 != value.len());
        if key.eq_ignore_ascii_case("from") && variable {
            return Err("--mount: `from` can't contain variables; name a stage instead".to_owned());
        }
    }
    Ok(())
}

/// What a `--mount` takes its files from, if it says so. The last one counts.
pub(in super::super) fn mount_from(value: &str) -> Option<String> {
    let fields = comma_separated(value).ok()?;
    let from = |field: &String| {
        let (key, value) = field.split_once('=')?;
        key.eq_ignore_ascii_case("from").then(|| value.to_owned())
    };
    let from = fields.iter().rev().find_map(from);
    from.filter(|from| !from.is_empty())
}

/// Checks a `--device`.
pub(super) fn device(value: &str) -> Result<(), String> {
    let mut name = String::new();
    for field in comma_separated(value)? {
        let (key, value) = match field.split_once('=') {
            Some((key, value)) => (key.to_lowercase(), Some(value)),
            None => (field.to_lowercase(), None),
        };
        match (key.as_str(), value) {
            ("required", None) => {}
            ("required", Some(value)) if is_bool(value) => {}
            ("required", Some(value)) => {
                return Err(format!(
                    "--device: `required` must be a boolean, not `{value}`"
                ));
            }
            ("name", Some(value)) if name.is_empty() => name = value.to_owned(),
            (key, _) if name.is_empty() && key != "name" => name = field,
            (_, None) if name.is_empty() => name = field,
            _ => return Err(format!("--device: unexpected `{field}`")),
        }
    }
    Ok(())
}

/// Go's booleans.
fn is_bool(value: &str) -> bool {
    matches!(
        value,
        "1" | "t" | "T" | "true" | "TRUE" | "True" | "0" | "f" | "F" | "false" | "FALSE" | "False"
    )
}

/// One line of comma-separated values, which may be quoted.
fn comma_separated(line: &str) -> Result<Vec<String>, String> {
    if line.is_empty() {
        return Err("the value is empty".to_owned());
    }
    let mut fields = Vec::new();
    let mut rest = Some(line);
    while let Some(text) = rest {
        let (field, behind) = match text.strip_prefix('"') {
            Some(text) => quoted_field(text)?,
            None => bare_field(text)?,
        };
        fields.push(field);
        rest = behind;
    }
    Ok(fields)
}

fn bare_field(text: &str) -> Result<(String, Option<&str>), String> {
    let (field, behind) = match text.split_once(',') {
        Some((field, behind)) => (field, Some(behind)),
        None => (text, None),
    };
    if field.contains('"') {
        return Err(format!("unexpected quote in `{field}`"));
    }
    Ok((field.to_owned(), behind))
}

/// Behind the opening quote.
fn quoted_field(mut text: &str) -> Result<(String, Option<&str>), String> {
    let mut field = String::new();
    loop {
        let (part, behind) = text.split_once('"').ok_or("a quote is not closed")?;
        field.push_str(part);
        if let Some(behind) = behind.strip_prefix('"') {
            field.push('"');
            text = behind;
        } else if let Some(behind) = behind.strip_prefix(',') {
            return Ok((field, Some(behind)));
        } else if behind.is_empty() {
            return Ok((field, None));
        } else {
            return Err("unexpected text after a closing quote".to_owned());
        }
    }
}

/// Checks a duration of a health check: Go's notation (`1h30m`, `1.5s`), none at all, zero, or at least a millisecond.
pub(super) fn duration(value: &str) -> Result<(), String> {
    if value.is_empty() {
        return Ok(());
    }
    let negative = value.starts_with('-');
    let digits = value.strip_prefix(['-', '+']).unwrap_or(value);
    let Some(nanoseconds) = nanoseconds(digits) else {
        return Err(format!("must be a duration such as `30s`, not `{value}`"));
    };
    if nanoseconds != 0 && (negative || nanoseconds < 1_000_000) {
        return Err(format!("must be at least 1ms, not `{value}`"));
    }
    Ok(())
}

/// The length of `1h30m` without sign; `None` if it is none, or longer than Go can hold.
fn nanoseconds(text: &str) -> Option<u64> {
    const UNITS: &[(&str, u64)] = &[
        ("ns", 1),
        ("us", 1_000),
        ("µs", 1_000),
        ("μs", 1_000),
        ("ms", 1_000_000),
        ("s", 1_000_000_000),
        ("m", 60 * 1_000_000_000),
        ("h", 3600 * 1_000_000_000),
    ];
    const LIMIT: u64 = 1 << 63;
    if text == "0" {
        return Some(0);
    }
    let mut total: u64 = 0;
    let mut rest = text;
    loop {
        let number = rest.len()
            - rest
                .trim_start_matches(|ch: char| ch.is_ascii_digit())
                .len();
        let whole: u64 = match number {
            0 => 0,
            _ => rest[..number]
                .parse()
                .ok()
                .filter(|whole| *whole <= LIMIT)?,
        };
        let behind = &rest[number..];
        let fraction = behind.strip_prefix('.').map_or("", |behind| {
            &behind[..behind.len()
                - behind
                    .trim_start_matches(|ch: char| ch.is_ascii_digit())
                    .len()]
        });
        if number == 0 && fraction.is_empty() {
            return None;
        }
        let behind = behind.strip_prefix('.').unwrap_or(behind);
        let behind = &behind[fraction.len()..];
        let end = behind
            .find(|ch: char| ch == '.' || ch.is_ascii_digit())
            .unwrap_or(behind.len());
        let (_, unit) = UNITS.iter().find(|(name, _)| *name == &behind[..end])?;
        let part = whole
            .checked_mul(*unit)?
            .checked_add(part_of(fraction, *unit))?;
        total = total.checked_add(part).filter(|total| *total <= LIMIT)?;
        rest = &behind[end..];
        if rest.is_empty() {
            return (total < LIMIT).then_some(total);
        }
    }
}

/// `0.fraction` of a unit.
fn part_of(fraction: &str, unit: u64) -> u64 {
    let mut scale = 1.0_f64;
    let mut value: u64 = 0;
    for digit in fraction.bytes() {
        match value
            .checked_mul(10)
            .and_then(|value| value.checked_add(u64::from(digit - b'0')))
        {
            Some(next) if next < 1 << 63 => value = next,
            _ => break,
        }
        scale *= 10.0;
    }
    // Go computes in the same floating point.
    (value as f64 * (unit as f64 / scale)) as u64
}

#[cfg(test)]
mod tests {
    use super::super::super::span::Span;
    use super::*;

    #[test]
    fn flags_are_known_given_once_and_have_their_values() {
        let known: &[Flag] = &[("a", Kind::Text), ("b", Kind::Bool), ("c", Kind::Texts)];
        let words = |flags: &[&'static str]| {
            let word = |&flag: &&'static str| Word::new(flag.into(), Span::default());
            Vec::from_iter(flags.iter().map(word))
        };
        let flags = words(&["--a=", "--b", "--c=1", "--c=2"]);
        let read = Flags::read(&flags, known).unwrap();
        assert_eq!((read.value("a"), read.value("x")), (Some(""), None));
        assert_eq!(Vec::from_iter(read.values("c")), ["1", "2"]);
        for flags in [
            &["--x"] as &[_],
            &["--a"],
            &["--a=1", "--a=2"],
            &["--b="],
            &["--b=yes"],
            &["--c"],
        ] {
            assert!(Flags::read(&words(flags), known).is_err(), "{flags:?}");
        }
    }

    #[test]
    fn mounts_are_comma_separated_values() {
        for value in [
            "type=cache,target=/a",
            "a",
            "\"a,b\",c",
            "from=x$",
            "\"a\"\"b\"",
        ] {
            assert_eq!(mount(value), Ok(()), "{value}");
        }
        for value in ["", "a\"b", "\"a", "\"a\"b", "from=$x", "FROM=a${b}"] {
            assert!(mount(value).is_err(), "{value}");
        }
    }

    #[test]
    fn devices_have_one_name() {
        for value in [
            "vendor/dev=x",
            "vendor/dev,required",
            "name=x,required=true",
            "a",
        ] {
            assert_eq!(device(value), Ok(()), "{value}");
        }
        for value in ["a,b", "a,name=b", "a,required=maybe", "a,b=c", ""] {
            assert!(device(value).is_err(), "{value}");
        }
    }

    #[test]
    fn durations_are_written_as_in_go() {
        for value in [
            "",
            "0",
            "0s",
            "30s",
            "1h30m",
            "1.5s",
            ".5s",
            "1.s",
            "+1ms",
            "-0s",
            "1µs999us1s",
        ] {
            assert_eq!(duration(value), Ok(()), "{value}");
        }
        for value in [
            "1",
            "s",
            "1x",
            "-1s",
            "999us",
            ".s",
            "1 s",
            "9999999999999999999s",
            "2562048h",
        ] {
            assert!(duration(value).is_err(), "{value}");
        }
    }
}
