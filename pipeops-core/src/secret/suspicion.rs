//! Detects values that look like secrets but are stored where they stay readable.

use std::fmt;

/// Why a named value looks like a secret. Its `Display` completes the sentence "it looks like a secret …": `by its name`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Suspicion {
    /// Its name.
    Name,
    /// Its value has the format of a known kind of secret.
    Format(&'static str),
    /// Its value is as random as a key.
    Entropy,
}

impl fmt::Display for Suspicion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "by its name",
            Self::Format(format) => format,
            Self::Entropy => "by its randomness",
        })
    }
}

/// Prefixes that issuers chose so that their tokens can be recognized.
const PREFIXES: &[(&str, &str)] = &[
    ("sk-ant-", "an Anthropic key"),
    ("sk-proj-", "an OpenAI key"),
    ("SG.", "a SendGrid key"),
    ("shpat_", "a Shopify token"),
    ("dop_v1_", "a DigitalOcean token"),
    ("glrt-", "a GitLab token"),
    ("ATATT", "an Atlassian token"),
    ("ya29.", "a Google access token"),
    ("AGE-SECRET-KEY-1", "an age key"),
    ("hvs.", "a Vault token"),
    ("whsec_", "a webhook's secret"),
    ("xapp-", "a Slack token"),
    ("rubygems_", "a RubyGems key"),
    ("github_pat_", "a GitHub token"),
    ("ghp_", "a GitHub token"),
    ("gho_", "a GitHub token"),
    ("ghs_", "a GitHub token"),
    ("ghu_", "a GitHub token"),
    ("ghr_", "a GitHub token"),
    ("glpat-", "a GitLab token"),
    ("dckr_pat_", "a Docker Hub token"),
    ("npm_", "an npm token"),
    ("pypi-", "a PyPI token"),
    ("xoxb-", "a Slack token"),
    ("xoxp-", "a Slack token"),
    ("sk_live_", "a Stripe key"),
    ("rk_live_", "a Stripe key"),
    ("hf_", "a Hugging Face token"),
    ("AIza", "a Google API key"),
    ("AKIA", "an AWS access key"),
    ("ASIA", "an AWS access key"),
    ("eyJ", "a JSON web token"),
];

/// The characters that must follow a prefix: fewer could be a word.
const MIN_SECRET: usize = 12;

/// Why a named value, such as a build argument or an environment variable, looks like a secret; `None` if it doesn't.
///
/// Checks the name, the known formats of tokens, and the randomness of the value. Commits, digests, switches (`true`) and
/// names that only refer to a secret (`TOKEN_FILE`, `AUTH_VERSION`, `PUBLIC_KEY`) pass, unless the value itself looks like one.
///
/// ```
/// use pipeops_core::secret::suspicion;
///
/// assert_eq!(suspicion("DB_PASSWORD", "x").unwrap().to_string(), "by its name");
/// assert!(suspicion("COMMIT", "4b825dc642cb6eb9a060e54bf8d69288fbee4904").is_none());
/// ```
pub fn suspicion(key: &str, value: &str) -> Option<Suspicion> {
    if value.is_empty() {
        return None;
    }
    if let Some(format) = known_format(value) {
        return Some(Suspicion::Format(format));
    }
    if is_secret_name(key) && !is_switch(value) {
        return Some(Suspicion::Name);
    }
    is_random(value).then_some(Suspicion::Entropy)
}

fn known_format(value: &str) -> Option<&'static str> {
    if value.contains("-----BEGIN ") && value.contains("PRIVATE KEY") {
        return Some("a private key");
    }
    if has_url_password(value) {
        return Some("a URL with a password");
    }
    let follows = |prefix: &str| {
        let rest = value.strip_prefix(prefix)?;
        let plain = |ch: char| ch.is_ascii_alphanumeric() || matches!(ch, '-' | '_' | '.');
        (rest.len() >= MIN_SECRET && rest.chars().all(plain)).then_some(())
    };
    let known = PREFIXES
        .iter()
        .find(|(prefix, _)| follows(prefix).is_some());
    known.map(|&(_, format)| format)
}

fn has_url_password(value: &str) -> bool {
    let Some((_, rest)) = value.split_once("://") else {
        return false;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let user = authority.rsplit_once('@').map(|(user, _)| user);
    let password = user.and_then(|user| user.split_once(':'));
    password.is_some_and(|(_, password)| !password.is_empty() && !password.starts_with('$'))
}

/// Words for keys that everybody may know.
const PUBLIC: &[&str] = &["pub", "public", "publishable", "pubkey"];

/// Last words, in the singular, of names that say something about a secret: where it is, what it is called, how long it lasts.
#[rustfmt::skip]
const ABOUT: &[&str] = &[
    "age", "alg", "algorithm", "arn", "audience", "backend", "class", "count", "dir", "directory", "domain", "enabled", "endpoint", "expiration",
    "expire", "expiry", "file", "filename", "folder", "format", "header", "host", "hostname", "id", "image", "issuer", "length", "lifetime", "limit", "location",
    "method", "mode", "module", "name", "namespace", "path", "plugin", "port", "prefix", "provider", "realm", "ref", "region", "scope", "server", "service",
    "size", "store", "strategy", "timeout", "ttl", "type", "uri", "url", "user", "username", "version",
];

/// The words that BuildKit's lint rule treats as secrets, between underscores, dashes or dots.
fn is_secret_name(key: &str) -> bool {
    const WORDS: &[&str] = &[
        "apikey",
        "auth",
        "credential",
        "credentials",
        "key",
        "passphrase",
        "passwd",
        "password",
        "pat",
        "pword",
        "secret",
        "secrets",
        "token",
    ];
    let key = key.to_ascii_lowercase();
    let words: Vec<&str> = key.split(['_', '-', '.']).collect();
    // `PUBLIC_KEY`, `PASSWORD_FILE`, `TOKEN_URLS`: not the secret itself.
    let about = |word: &&str| {
        ABOUT.contains(word)
            || word
                .strip_suffix('s')
                .is_some_and(|word| ABOUT.contains(&word))
    };
    let innocent =
        words.iter().any(|word| PUBLIC.contains(word)) || words.last().is_some_and(about);
    // `NPMTOKEN`: too long to be a word's end by chance, as `key` is of `monkey`.
    let ends_so = |word: &str| {
        let mark = |mark: &&str| mark.len() >= 5 && word.ends_with(*mark);
        WORDS.iter().any(mark)
    };
    !innocent
        && words
            .iter()
            .any(|word| WORDS.contains(word) || ends_so(word))
}

fn is_switch(value: &str) -> bool {
    matches!(
        value,
        "0" | "1" | "true" | "false" | "yes" | "no" | "on" | "off"
    )
}

/// As long and as mixed as a key, and neither a commit nor a digest.
fn is_random(value: &str) -> bool {
    const MIN_LENGTH: usize = 24;
    const MIN_BITS: f64 = 4.2;
    let digest = value.rsplit(':').next().unwrap_or(value);
    let is_hash =
        matches!(digest.len(), 40 | 64) && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mixed = value.bytes().any(|byte| byte.is_ascii_digit())
        && value.bytes().any(|byte| byte.is_ascii_alphabetic())
        && value
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+/=_-".contains(&byte));
    value.len() >= MIN_LENGTH && mixed && !is_hash && bits_per_character(value) >= MIN_BITS
}

/// The Shannon entropy of the characters.
fn bits_per_character(value: &str) -> f64 {
    let mut counts = [0_u32; 256];
    value
        .bytes()
        .for_each(|byte| counts[usize::from(byte)] += 1);
    let length = value.len() as f64;
    let part = |&count: &u32| {
        let share = f64::from(count) / length;
        -share * share.log2()
    };
    counts.iter().filter(|&&count| count > 0).map(part).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_by_name_format_and_randomness() {
        // Put together here, so that no scanner takes the test for a leak.
        let token = |prefix: &str| format!("{prefix}{}", "a1B2c3D4e5F6g7H8");
        for (key, value, expected) in [
            ("NPM_TOKEN", "x", Suspicion::Name),
            ("db-password", "x", Suspicion::Name),
            ("NPMTOKEN", "x", Suspicion::Name),
            ("GITHUB_PAT", "x", Suspicion::Name),
            ("SENTRY_AUTH_TOKEN", "x", Suspicion::Name),
            ("PATH_SECRET", "x", Suspicion::Name),
            ("VERSION_API_KEY_2", "x", Suspicion::Name),
            ("spring.datasource.password", "x", Suspicion::Name),
            (
                "GITHUB_TOKEN_PATH",
                &token("ghp_"),
                Suspicion::Format("a GitHub token"),
            ),
            (
                "AUTH_NAME",
                "q8Zr1Lk0Vw7Xn3Bt6Yp2Hs9Dm4",
                Suspicion::Entropy,
            ),
            ("X", &token("ghp_"), Suspicion::Format("a GitHub token")),
            ("X", &token("glpat-"), Suspicion::Format("a GitLab token")),
            (
                "X",
                "https://me:word@example.com/x",
                Suspicion::Format("a URL with a password"),
            ),
            (
                "X",
                "-----BEGIN RSA PRIVATE KEY-----",
                Suspicion::Format("a private key"),
            ),
            ("X", "q8Zr1Lk0Vw7Xn3Bt6Yp2Hs9Dm4", Suspicion::Entropy),
        ] {
            assert_eq!(suspicion(key, value), Some(expected), "{key}={value}");
        }
    }

    #[test]
    fn ordinary_values_are_left_alone() {
        for (key, value) in [
            ("VERSION", "1.2.3"),
            ("PUBLIC_KEY", "abc"),
            ("AUTH_MODULE_VERSION", "1.4.2"),
            ("TOKEN_FILE_PATH", "/run/token"),
            ("SECRET_PASSPHRASE_FILE", "passphrase.txt"),
            ("NEXT_PUBLIC_API_KEY", "x"),
            ("STRIPE_PUBLISHABLE_KEY", "pk"),
            ("AUTH_URL", "https://auth.example.com"),
            ("AWS_ACCESS_KEY_ID", "x"),
            ("SECRET_NAME", "shop"),
            ("TOKEN_URLS", "https://a.example.com"),
            ("KEYCLOAK_AUTH_REALM", "shop"),
            ("ACCESS_TOKEN_TTL", "3600"),
            ("spring.security.token.type", "bearer"),
            ("TOKEN_FILE", "/run/secrets/token"),
            ("USE_AUTH", "true"),
            ("KEYBOARD", "de"),
            ("MONKEY", "x"),
            ("NODE_ENV", "production"),
            ("TOKEN", ""),
            ("COMMIT", "4b825dc642cb6eb9a060e54bf8d69288fbee4904"),
            (
                "BASE",
                "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            ),
            ("URL", "https://example.com/path?x=1"),
            (
                "REPOSITORY",
                "registry.example.com/team/some-long-application-name",
            ),
            ("LABEL", "ghp_short"),
        ] {
            assert_eq!(suspicion(key, value), None, "{key}={value}");
        }
    }
}
