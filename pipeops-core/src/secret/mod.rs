//! Secrets that can't be printed by accident, and redaction of text from other programs.

use std::borrow::Cow;
use std::fmt;

use zeroize::Zeroize;

mod suspicion;

pub use suspicion::{Suspicion, suspicion};

/// Replaces a secret in redacted text.
pub const REDACTED: &str = "[redacted]";

/// A secret text: its `Debug` and `Display` never show it, and its memory is cleared on drop.
///
/// It doesn't implement `Serialize`: code that writes a secret must call [`SecretString::expose`].
///
/// ```
/// use pipeops_core::SecretString;
///
/// let token = SecretString::new("s3cr3t");
/// assert_eq!(format!("{token} {token:?}"), "[redacted] [redacted]");
/// assert_eq!(token.expose(), "s3cr3t");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct SecretString(String);

impl SecretString {
    /// Wraps a secret.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The secret itself. Call it only where the secret is sent.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether the secret is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Drop for SecretString {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for SecretString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl fmt::Display for SecretString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl From<String> for SecretString {
    fn from(secret: String) -> Self {
        Self(secret)
    }
}

impl From<&str> for SecretString {
    fn from(secret: &str) -> Self {
        Self(secret.to_owned())
    }
}

/// Removes known secrets, and user information in URLs, from text.
///
/// Build logs, registry messages and cluster events can repeat a secret. Pass each such text through a `Redactor` before you
/// store or show it.
///
/// ```
/// use pipeops_core::{Redactor, SecretString};
///
/// let redactor = Redactor::new([SecretString::new("hunter22")]);
/// assert_eq!(redactor.redact("login with hunter22"), "login with [redacted]");
/// assert_eq!(redactor.redact("GET https://bob:pw@host/x"), "GET https://[redacted]@host/x");
/// ```
#[derive(Clone, Default)]
pub struct Redactor {
    /// Longest first, so a secret that contains another one leaves no remainder.
    secrets: Vec<SecretString>,
}

impl Redactor {
    /// Shorter secrets aren't searched for: they would redact ordinary words.
    pub const SHORTEST: usize = 4;

    /// A redactor for these secrets. It also looks for each line of a multi-line secret, because logs show lines.
    pub fn new(secrets: impl IntoIterator<Item = SecretString>) -> Self {
        let mut all = Vec::new();
        for secret in secrets {
            let lines = secret
                .expose()
                .lines()
                .filter(|line| line.len() < secret.expose().len());
            all.extend(lines.map(SecretString::from));
            all.push(secret);
        }
        all.retain(|secret| secret.expose().trim().len() >= Self::SHORTEST);
        all.sort_by(|a, b| b.0.len().cmp(&a.0.len()).then_with(|| a.0.cmp(&b.0)));
        all.dedup();
        Self { secrets: all }
    }

    /// The text without secrets; borrowed if it contains none.
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut clean = redact_urls(text);
        for secret in &self.secrets {
            if clean.contains(secret.expose()) {
                clean = Cow::Owned(clean.replace(secret.expose(), REDACTED));
            }
        }
        clean
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redactor({} secrets)", self.secrets.len())
    }
}

/// Replaces `user:password@` after every `://`.
fn redact_urls(text: &str) -> Cow<'_, str> {
    if !text.contains("://") {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("://") {
        let (before, after) = rest.split_at(start + 3);
        clean.push_str(before);
        let authority_end = after
            .find(|c: char| c.is_whitespace() || "/?#\"'<>".contains(c))
            .unwrap_or(after.len());
        rest = match after[..authority_end].rfind('@') {
            Some(at) => {
                clean.push_str(REDACTED);
                &after[at..]
            }
            None => after,
        };
    }
    clean.push_str(rest);
    if clean == text {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(clean)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redact(secrets: &[&str], text: &str) -> String {
        Redactor::new(secrets.iter().map(|s| SecretString::from(*s)))
            .redact(text)
            .into_owned()
    }

    #[test]
    fn a_longer_secret_goes_before_the_one_inside_it() {
        assert_eq!(
            redact(&["abcd", "abcdefgh"], "x abcdefgh y abcd"),
            "x [redacted] y [redacted]"
        );
    }

    #[test]
    fn each_line_of_a_key_is_a_secret() {
        assert_eq!(
            redact(&["-----BEGIN-----\nMIIEabc\n"], "cat: MIIEabc"),
            "cat: [redacted]"
        );
    }

    #[test]
    fn short_secrets_do_not_blank_out_words() {
        assert_eq!(redact(&["a", ""], "banana"), "banana");
    }

    #[test]
    fn only_the_user_information_of_a_url_goes() {
        assert_eq!(
            redact(&[], "http://h/a@b ssh://git@h:22/x"),
            "http://h/a@b ssh://[redacted]@h:22/x"
        );
        assert_eq!(redact(&[], "https://u:p@ss@h/"), "https://[redacted]@h/");
    }
}
