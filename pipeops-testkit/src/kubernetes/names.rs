//! Generated names and UIDs.

use rand::RngExt;

/// No vowels and nothing that looks like something else: what Kubernetes writes names with.
const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// A name with this prefix and five more characters. The same seed makes the same name: names of one cluster are the
/// same in every run of a test.
pub(crate) fn generate(prefix: &str, seed: u64) -> String {
    // The longest prefix that leaves room in a label of 63.
    let mut end = prefix.len().min(58);
    while !prefix.is_char_boundary(end) {
        end -= 1;
    }
    let hash = fnv(&[prefix.as_bytes(), &seed.to_le_bytes()].concat());
    format!("{}{}", &prefix[..end], encode(hash, 5))
}

/// The hash of a pod template, as it is written into names and labels.
pub(crate) fn template_hash(template: &[u8], collisions: i64) -> String {
    let mut bytes = template.to_vec();
    if collisions > 0 {
        bytes.extend(collisions.to_le_bytes());
    }
    let hash = fnv(&bytes);
    encode(hash ^ (hash >> 32), 10)
}

/// A new unique identity.
pub(crate) fn uid() -> String {
    let mut bytes: [u8; 16] = rand::rng().random();
    // RFC 9562: version 4, variant 1.
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex = hex::encode(bytes);
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}

fn encode(mut number: u64, length: usize) -> String {
    let base = ALPHABET.len() as u64;
    (0..length)
        .map(|_| {
            let digit = (number % base) as usize;
            number /= base;
            char::from(ALPHABET[digit])
        })
        .collect()
}

/// FNV-1a with 64 bits.
pub(crate) fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_differ_by_seed_and_repeat_with_it() {
        assert_eq!(generate("app-", 7), generate("app-", 7));
        assert_ne!(generate("app-", 7), generate("app-", 8));
        assert_eq!(generate(&"a".repeat(100), 1).len(), 63);
    }

    #[test]
    fn identities_are_version_four() {
        let uid = uid();
        assert_eq!((uid.len(), uid.as_bytes()[14]), (36, b'4'));
        assert_ne!(uid, super::uid());
    }
}
