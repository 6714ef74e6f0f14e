//! Redacts secrets in the daemon's output, including those that become known during the build.

use std::sync::{Arc, PoisonError, RwLock};

use pipeops_core::{Redactor, SecretString};

/// A [`Redactor`] that learns secrets. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct LiveRedactor(Arc<RwLock<Known>>);

#[derive(Debug, Default)]
struct Known {
    secrets: Vec<SecretString>,
    redactor: Redactor,
}

impl LiveRedactor {
    /// Hides these from now on.
    pub(crate) fn hide(&self, secrets: impl IntoIterator<Item = SecretString>) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let before = known.secrets.len();
        for secret in secrets {
            if secret.expose().len() >= Redactor::SHORTEST && !known.secrets.contains(&secret) {
                known.secrets.push(secret);
            }
        }
        if known.secrets.len() > before {
            known.redactor = Redactor::new(known.secrets.iter().cloned());
        }
    }

    /// The text without secrets.
    pub(crate) fn clean(&self, text: &str) -> String {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .redactor
            .redact(text)
            .into_owned()
    }

    /// How many bytes at the end of `text` may be the beginning of a secret whose rest is still to come.
    pub(crate) fn open_end(&self, text: &[u8]) -> usize {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let lines = known
            .secrets
            .iter()
            .flat_map(|secret| secret.expose().lines());
        lines
            .map(|line| overlap(text, line.as_bytes()))
            .max()
            .unwrap_or(0)
    }
}

/// The length of the longest end of `text` with which `secret` begins, the whole secret excluded.
fn overlap(text: &[u8], secret: &[u8]) -> usize {
    let longest = text.len().min(secret.len().saturating_sub(1));
    (1..=longest)
        .rev()
        .find(|length| secret.starts_with(&text[text.len() - length..]))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_learned_on_the_way() {
        let redactor = LiveRedactor::default();
        assert_eq!(redactor.clean("hunter22"), "hunter22");
        redactor
            .clone()
            .hide([SecretString::from("hunter22"), SecretString::from("x")]);
        assert_eq!(redactor.clean("x hunter22"), "x [redacted]");
    }

    #[test]
    fn the_beginning_of_a_secret_at_the_end_is_found() {
        let redactor = LiveRedactor::default();
        redactor.hide([SecretString::from("abcabd")]);
        assert_eq!(redactor.open_end(b"..abcab"), 5);
        assert_eq!(redactor.open_end(b"..ab."), 0);
        assert_eq!(
            redactor.open_end(b"abcabd"),
            0,
            "a whole secret is not open"
        );
    }
}
