//! Finds secrets in text and in streams of bytes: plain, in base64 and percent-encoded.

use std::collections::BTreeSet;

use aho_corasick::AhoCorasick;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use pipeops_core::Redactor;

use super::search::Secret;

/// A form of at least this length counts everywhere. A shorter one counts only as a separate word, and not in files, which
/// contain any few bytes by chance.
const LONG: usize = 8;

/// Only this many bytes of a longer secret are searched for.
const LONGEST: usize = 4096;

/// The search patterns.
pub(crate) struct Needles {
    secrets: Vec<Secret>,
    forms: AhoCorasick,
    /// For each form, the index of its secret and its length.
    owners: Vec<(usize, usize)>,
    longest: usize,
    redactor: Redactor,
}

impl Needles {
    /// Returns `None` if the secrets are too large to search for: billions of bytes.
    pub(super) fn new(secrets: &[Secret]) -> Option<Self> {
        let mut forms = Vec::new();
        let mut owners = Vec::new();
        for (index, secret) in secrets.iter().enumerate() {
            for form in self::forms(secret.value.expose()) {
                owners.push((index, form.len()));
                forms.push(form);
            }
        }
        Some(Self {
            redactor: Redactor::new(secrets.iter().map(|secret| secret.value.clone())),
            secrets: secrets.to_vec(),
            longest: owners.iter().map(|(_, length)| *length).max().unwrap_or(0),
            forms: AhoCorasick::new(&forms).ok()?,
            owners,
        })
    }

    /// The text without the secrets.
    pub(super) fn clean(&self, text: &str) -> String {
        self.redactor.redact(text).into_owned()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.secrets.is_empty()
    }

    pub(super) fn secret(&self, index: usize) -> &Secret {
        &self.secrets[index]
    }

    /// The names of the secrets that are searched for.
    pub(super) fn names(&self) -> Vec<String> {
        self.named(|index| self.owners.iter().any(|(owner, _)| *owner == index))
    }

    /// The names of the secrets that are too short to search for.
    pub(super) fn too_short(&self) -> Vec<String> {
        self.named(|index| self.owners.iter().all(|(owner, _)| *owner != index))
    }

    /// The names of the secrets that are too short to search for in files.
    #[cfg(any(test, feature = "layers"))]
    pub(super) fn too_short_for_files(&self) -> Vec<String> {
        self.named(|index| {
            let mut forms = self
                .owners
                .iter()
                .filter(|(owner, _)| *owner == index)
                .peekable();
            forms.peek().is_some() && forms.all(|(_, length)| *length < LONG)
        })
    }

    fn named(&self, wanted: impl Fn(usize) -> bool) -> Vec<String> {
        let all = self.secrets.iter().enumerate();
        all.filter(|(index, _)| wanted(*index))
            .map(|(_, secret)| secret.name.clone())
            .collect()
    }

    /// The secrets in a text.
    pub(super) fn in_text(&self, text: &str) -> BTreeSet<usize> {
        let bytes = text.as_bytes();
        let word = |at: Option<&u8>| at.is_some_and(u8::is_ascii_alphanumeric);
        let alone = |start: usize, end: usize| {
            !word(start.checked_sub(1).and_then(|before| bytes.get(before)))
                && !word(bytes.get(end))
        };
        let found = self.forms.find_overlapping_iter(text);
        found
            .filter(|hit| hit.len() >= LONG || alone(hit.start(), hit.end()))
            .map(|hit| self.owners[hit.pattern().as_usize()].0)
            .collect()
    }

    /// A search through bytes that come in pieces.
    pub(super) fn scanner(&self) -> Scanner<'_> {
        Scanner {
            needles: self,
            window: Vec::new(),
        }
    }
}

/// Searches a stream of pieces, also across their boundaries.
pub(super) struct Scanner<'a> {
    needles: &'a Needles,
    /// The end of what came before.
    window: Vec<u8>,
}

impl Scanner<'_> {
    /// Takes a piece and adds what it ends or holds to `found`.
    pub(super) fn feed(&mut self, piece: &[u8], found: &mut BTreeSet<usize>) {
        self.window.extend_from_slice(piece);
        for hit in self.needles.forms.find_overlapping_iter(&self.window) {
            if hit.len() >= LONG {
                found.insert(self.needles.owners[hit.pattern().as_usize()].0);
            }
        }
        let keep = self
            .needles
            .longest
            .saturating_sub(1)
            .min(self.window.len());
        self.window.drain(..self.window.len() - keep);
    }
}

/// The forms of one secret. A trailing line break is dropped, as commands do. Of several lines only the longest counts,
/// because the first and last lines of all keys are equal.
fn forms(secret: &str) -> BTreeSet<Vec<u8>> {
    let whole = secret.trim();
    let longest = whole
        .lines()
        .map(str::trim)
        .max_by_key(|line| line.len())
        .unwrap_or_default();
    let mut forms = BTreeSet::new();
    for plain in [whole, longest] {
        if plain.len() < Redactor::SHORTEST {
            continue;
        }
        let plain = cut(plain.as_bytes());
        forms.insert(plain.to_vec());
        if plain.len() >= LONG {
            forms.insert(percent_encoded(plain));
            forms.extend((0..3).flat_map(|offset| base64(plain, offset)));
        }
    }
    forms
}

fn cut(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len().min(LONGEST)]
}

/// The part that all base64 texts share which contain these bytes `offset` bytes after a multiple of three, in both alphabets.
fn base64(bytes: &[u8], offset: usize) -> [Vec<u8>; 2] {
    let padded = [&vec![0; offset], bytes].concat();
    let begin = [0, 2, 3][offset];
    // The last character of an unfinished group also holds bits of what follows.
    let drop_end = usize::from(!padded.len().is_multiple_of(3));
    [STANDARD_NO_PAD, URL_SAFE_NO_PAD].map(|alphabet| {
        let text = alphabet.encode(&padded).into_bytes();
        text[begin..text.len() - drop_end].to_vec()
    })
}

fn percent_encoded(bytes: &[u8]) -> Vec<u8> {
    let mut text = String::new();
    for byte in bytes {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                text.push(char::from(*byte))
            }
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    use super::*;

    fn needles(values: &[&str]) -> Needles {
        let secrets: Vec<Secret> = values
            .iter()
            .map(|value| Secret {
                name: format!("s{}", value.len()),
                value: (*value).into(),
                suspicion: None,
            })
            .collect();
        Needles::new(&secrets).unwrap()
    }

    fn has(needles: &Needles, text: &str) -> bool {
        !needles.in_text(text).is_empty()
    }

    #[test]
    fn a_secret_is_found_in_the_forms_in_which_it_travels() {
        let needles = needles(&["p@ss/word+1\n"]);
        for text in [
            "T=p@ss/word+1".to_owned(),
            "https://u:p%40ss%2Fword%2B1@host".to_owned(),
            format!("Basic {}", STANDARD.encode("bob:p@ss/word+1")),
            format!(
                "{{\"auth\":\"{}\"}}",
                STANDARD.encode("ab:p@ss/word+1 and more")
            ),
        ] {
            assert!(has(&needles, &text), "{text}");
        }
        assert!(!has(&needles, "p@ss/word"));
    }

    #[test]
    fn a_short_secret_is_found_as_a_word_and_never_among_bytes() {
        let needles = needles(&["test", "abc"]);
        assert!(has(&needles, "PASSWORD=test"));
        assert!(!has(&needles, "RUN make latest"));
        let mut found = BTreeSet::new();
        needles.scanner().feed(b" test ", &mut found);
        assert_eq!(
            (
                found.len(),
                needles.too_short(),
                needles.too_short_for_files()
            ),
            (0, vec!["s3".to_owned()], vec!["s4".to_owned()])
        );
    }

    #[test]
    fn a_key_of_several_lines_is_known_by_its_longest_one() {
        let needles = needles(&["-----BEGIN K-----\nMIIEvQIBADANBgkqhkiG9w0\nEND\n"]);
        assert!(has(&needles, "x MIIEvQIBADANBgkqhkiG9w0 y"));
        assert!(!has(&needles, "-----BEGIN K-----"));
    }

    proptest! {
        #[test]
        fn it_is_found_however_its_bytes_are_cut(before in "[a-z]{0,40}", secret in "[!-~]{8,40}", after in "[a-z]{0,40}", cuts in prop::collection::vec(0..120_usize, 0..9)) {
            let needles = needles(&[&secret]);
            let base64 = STANDARD.encode(format!("{before}{secret}{after}"));
            for text in [format!("{before}{secret}{after}"), base64] {
                let mut cuts: Vec<usize> = cuts.iter().map(|cut| (*cut).min(text.len())).chain([0, text.len()]).collect();
                cuts.sort_unstable();
                let (mut scanner, mut found) = (needles.scanner(), BTreeSet::new());
                for pair in cuts.windows(2) {
                    scanner.feed(&text.as_bytes()[pair[0]..pair[1]], &mut found);
                }
                prop_assert!(found.contains(&0), "{}", text);
            }
        }
    }
}
