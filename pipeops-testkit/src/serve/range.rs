//! `Range` headers.

use std::ops::Range;

/// What a `Range` header asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Requested {
    /// A form that a server may ignore: several ranges, another unit.
    Ignored,
    Part(Range<usize>),
    /// Nothing that there is.
    Nothing,
}

/// `bytes=5-9`, `bytes=5-`, `bytes=-5`.
pub(crate) fn parse_range(header: &str, length: usize) -> Requested {
    let range = header
        .strip_prefix("bytes=")
        .and_then(|range| range.split_once('-'));
    let Some((first, last)) = range else {
        return Requested::Ignored;
    };
    let range = match (first.parse::<usize>(), last.parse::<usize>()) {
        (Ok(first), Ok(last)) if first <= last => first..last.saturating_add(1).min(length),
        (Ok(first), Err(_)) if last.is_empty() => first..length,
        (Err(_), Ok(suffix)) if first.is_empty() => length.saturating_sub(suffix)..length,
        _ => return Requested::Ignored,
    };
    match range.is_empty() {
        true => Requested::Nothing,
        false => Requested::Part(range),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        for (header, expected) in [
            ("bytes=0-3", Requested::Part(0..4)),
            ("bytes=8-99", Requested::Part(8..10)),
            ("bytes=4-", Requested::Part(4..10)),
            ("bytes=-3", Requested::Part(7..10)),
            ("bytes=10-", Requested::Nothing),
            ("bytes=-0", Requested::Nothing),
            ("bytes=3-1", Requested::Ignored),
            ("bytes=0-1,3-4", Requested::Ignored),
            ("lines=1-2", Requested::Ignored),
        ] {
            assert_eq!(parse_range(header, 10), expected, "{header}");
        }
    }
}
