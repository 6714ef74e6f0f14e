//! Searches for bytes of a kind, eight bytes at a time: most of a Dockerfile is words that nothing has to be done with.

/// The white space that separates words: not line feeds, and nothing beyond ASCII.
#[inline]
pub(super) fn is_separator(byte: u8) -> bool {
    matches!(byte, b'\t' | 0x0B | 0x0C | b'\r' | b' ')
}

/// Where the first separator stands.
#[inline]
pub(super) fn separator(bytes: &[u8]) -> Option<usize> {
    find(bytes, |eight| below(eight, 0x21), is_separator)
}

/// Where the first byte stands that may not be a part of a word like any other: white space, quotes, both escape characters,
/// and all beyond ASCII.
#[inline]
pub(super) fn special(bytes: &[u8]) -> Option<usize> {
    let marks = |eight| {
        let quotes = equal(eight, b'\'') | equal(eight, b'"');
        let escapes = equal(eight, b'\\') | equal(eight, b'`');
        below(eight, 0x21) | quotes | escapes | eight & HIGHEST
    };
    find(bytes, marks, |byte| {
        matches!(
            byte,
            b'\t'..=b'\r' | b' ' | b'\'' | b'"' | b'\\' | b'`' | 0x80..
        )
    })
}

/// Where this byte stands first.
#[inline]
pub(super) fn byte(bytes: &[u8], byte: u8) -> Option<usize> {
    find(bytes, |eight| equal(eight, byte), |found| found == byte)
}

const ONES: u64 = u64::from_ne_bytes([1; 8]);
const HIGHEST: u64 = ONES << 7;

/// The highest bit of each byte that is less than `limit`, for limits and bytes of ASCII. Bits above the first one may be set
/// without reason: a subtraction borrows.
#[inline]
fn below(eight: u64, limit: u8) -> u64 {
    eight.wrapping_sub(ONES * u64::from(limit)) & !eight & HIGHEST
}

/// The highest bit of each byte that is this one; as above.
#[inline]
fn equal(eight: u64, byte: u8) -> u64 {
    below(eight ^ (ONES * u64::from(byte)), 1)
}

/// Where the first byte stands for which `is` holds. Of eight bytes, `marks` sets the highest bit of each that may be one.
#[inline]
fn find(bytes: &[u8], marks: impl Fn(u64) -> u64, is: impl Fn(u8) -> bool) -> Option<usize> {
    let mut rest = bytes;
    while let Some((eight, behind)) = rest.split_first_chunk() {
        let marked = marks(u64::from_le_bytes(*eight));
        if marked == 0 {
            rest = behind;
            continue;
        }
        let first = marked.trailing_zeros() as usize / 8;
        if is(eight[first]) {
            return Some(bytes.len() - rest.len() + first);
        }
        rest = &rest[first + 1..];
    }
    let found = rest.iter().position(|&byte| is(byte))?;
    Some(bytes.len() - rest.len() + found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each search against one byte at a time, with each byte at each place.
    #[test]
    fn searches_find_what_stands_first() {
        let is_special = |byte: u8| {
            char::from(byte).is_ascii_whitespace()
                || byte == 0x0B
                || b"'\"\\`".contains(&byte)
                || !byte.is_ascii()
        };
        for value in 0..=255_u8 {
            for at in 0..20 {
                for behind in [0, 1, 9] {
                    let mut bytes = vec![b'x'; at];
                    bytes.extend([0, value, value.wrapping_add(1)]);
                    bytes.extend(vec![b'y'; behind]);
                    let slow = |is: &dyn Fn(u8) -> bool| bytes.iter().position(|&byte| is(byte));
                    assert_eq!(separator(&bytes), slow(&is_separator), "{bytes:?}");
                    assert_eq!(special(&bytes), slow(&is_special), "{bytes:?}");
                    let equal = slow(&|byte| byte == value);
                    assert_eq!(super::byte(&bytes, value), equal, "{bytes:?}");
                }
            }
        }
    }
}
