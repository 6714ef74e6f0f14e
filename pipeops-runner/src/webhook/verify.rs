//! Checks who sent a webhook.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use jiff::Timestamp;
use pipeops_core::diagnosis::codes;
use pipeops_core::{Diagnose, Diagnosis, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::Forge;

/// The accepted age of a signature, in seconds either way, as Standard Webhooks recommends.
const TOLERANCE: i64 = 5 * 60;

/// How many signatures of a `webhook-signature` header are tried. A rotation of keys sends several, one of them valid.
const MAX_SIGNATURES: usize = 8;

/// The longest accepted header value, in bytes: room for eight signatures.
const MAX_HEADER: usize = 1024;

/// A webhook with a valid signature.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// The forge that sent it.
    pub forge: Forge,
    /// The event, in the forge's words: `push`, `Push Hook`, `repo:push`.
    pub event: String,
    /// The forge's id of this delivery, which stays the same when the forge sends it again.
    pub delivery: Option<String>,
}

/// Checks that the sender of a webhook knows `secret`. Comparisons take constant time.
///
/// Signatures that carry a time (GitLab's signed webhooks) must be at most five minutes from `now`, either way.
///
/// # Errors
/// When the headers are of no known forge, or the signature is missing, malformed, wrong or stale.
pub fn verify(
    headers: &HeaderMap,
    body: &[u8],
    secret: &SecretString,
    now: Timestamp,
) -> Result<Verified, VerifyError> {
    if secret.is_empty() {
        return Err(VerifyError::EmptySecret);
    }
    let names = FORGES
        .iter()
        .find(|names| headers.contains_key(names.event));
    let names = names.ok_or(VerifyError::UnknownForge)?;
    let forge = names.forge;
    match forge {
        Forge::GitLab if headers.contains_key("webhook-signature") => {
            check_standard_webhooks(headers, body, secret, now)?;
        }
        Forge::GitLab => check_token(headers, secret)?,
        _ => check_hex_hmac(names, headers, body, secret)?,
    }
    Ok(Verified {
        forge,
        event: header(forge, headers, names.event)?.to_owned(),
        delivery: names
            .delivery
            .iter()
            .find_map(|name| header(forge, headers, name).ok())
            .map(str::to_owned),
    })
}

/// The headers of one forge.
struct Names {
    forge: Forge,
    event: &'static str,
    signature: &'static str,
    /// In order of preference.
    delivery: &'static [&'static str],
}

/// Gitea and Forgejo come first, because they also send GitHub's headers.
#[rustfmt::skip]
const FORGES: [Names; 5] = [
    Names { forge: Forge::Forgejo, event: "x-forgejo-event", signature: "x-forgejo-signature", delivery: &["x-forgejo-delivery"] },
    Names { forge: Forge::Gitea, event: "x-gitea-event", signature: "x-gitea-signature", delivery: &["x-gitea-delivery"] },
    Names { forge: Forge::GitLab, event: "x-gitlab-event", signature: "x-gitlab-token", delivery: &["webhook-id", "idempotency-key"] },
    Names { forge: Forge::GitHub, event: "x-github-event", signature: "x-hub-signature-256", delivery: &["x-github-delivery"] },
    Names { forge: Forge::Bitbucket, event: "x-event-key", signature: "x-hub-signature", delivery: &["x-request-id"] },
];

/// A header's only value. With two values, this check and another program could read different ones.
fn header<'a>(
    forge: Forge,
    headers: &'a HeaderMap,
    name: &'static str,
) -> Result<&'a str, VerifyError> {
    let mut values = headers.get_all(name).iter();
    let value = values
        .next()
        .ok_or(VerifyError::MissingHeader { forge, name })?;
    let text = value
        .to_str()
        .ok()
        .filter(|text| values.next().is_none() && text.len() <= MAX_HEADER);
    text.ok_or(VerifyError::MalformedHeader { forge, name })
}

/// `sha256=HEX` (GitHub, Bitbucket) or bare `HEX` (Gitea, Forgejo) of the HMAC-SHA256 of the body.
fn check_hex_hmac(
    names: &Names,
    headers: &HeaderMap,
    body: &[u8],
    secret: &SecretString,
) -> Result<(), VerifyError> {
    let (forge, name) = (names.forge, names.signature);
    let malformed = VerifyError::MalformedHeader { forge, name };
    let text = header(forge, headers, name)?;
    let digits = match forge {
        Forge::GitHub | Forge::Bitbucket => text.strip_prefix("sha256="),
        _ => Some(text),
    };
    let Some(signature) = digits.and_then(|digits| hex::decode(digits).ok()) else {
        return Err(malformed);
    };
    let right = hmac(secret.expose().as_bytes(), &[body])
        .verify_slice(&signature)
        .is_ok();
    if right {
        Ok(())
    } else {
        Err(VerifyError::WrongSignature { forge })
    }
}

/// GitLab's plain token. Both sides are hashed, so the time of the comparison doesn't even reveal the length.
fn check_token(headers: &HeaderMap, secret: &SecretString) -> Result<(), VerifyError> {
    let forge = Forge::GitLab;
    let token = header(forge, headers, "x-gitlab-token")?;
    let given = Sha256::digest(token.as_bytes());
    let wanted = Sha256::digest(secret.expose().as_bytes());
    if given.ct_eq(&wanted).into() {
        Ok(())
    } else {
        Err(VerifyError::WrongSignature { forge })
    }
}

/// `webhook-signature: v1,BASE64 [v1,BASE64 …]` over `id.timestamp.body`.
fn check_standard_webhooks(
    headers: &HeaderMap,
    body: &[u8],
    secret: &SecretString,
    now: Timestamp,
) -> Result<(), VerifyError> {
    let forge = Forge::GitLab;
    let key = signing_key(secret).ok_or(VerifyError::NotASigningKey)?;
    let id = header(forge, headers, "webhook-id")?;
    let time = header(forge, headers, "webhook-timestamp")?;
    let signatures = header(forge, headers, "webhook-signature")?;

    let sent: i64 = time.parse().map_err(|_| VerifyError::MalformedHeader {
        forge,
        name: "webhook-timestamp",
    })?;
    let mac = hmac(&key, &[id.as_bytes(), b".", time.as_bytes(), b".", body]);
    let right = signatures
        .split(' ')
        .take(MAX_SIGNATURES)
        .filter_map(|signature| STANDARD.decode(signature.strip_prefix("v1,")?).ok())
        .any(|signature| mac.clone().verify_slice(&signature).is_ok());
    if !right {
        return Err(VerifyError::WrongSignature { forge });
    }
    let age = now.as_second().saturating_sub(sent);
    if age.saturating_abs() > TOLERANCE {
        return Err(VerifyError::Stale { age });
    }
    Ok(())
}

fn signing_key(secret: &SecretString) -> Option<Vec<u8>> {
    let key = STANDARD
        .decode(secret.expose().strip_prefix("whsec_")?)
        .ok()?;
    (!key.is_empty()).then_some(key)
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of every length");
    parts.iter().for_each(|part| mac.update(part));
    mac
}

/// Why the sender of a webhook can't be verified. No message repeats a signature or the secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The headers are of no known forge.
    #[error("the request has no webhook headers of GitHub, GitLab, Gitea, Forgejo or Bitbucket")]
    UnknownForge,
    /// The project's webhook secret is empty, so anyone could sign with it.
    #[error("the project's webhook secret is empty")]
    EmptySecret,
    /// A header of the signature is missing.
    #[error("{forge}'s webhook has no header {name}")]
    MissingHeader {
        /// The forge that the headers name.
        forge: Forge,
        /// The header.
        name: &'static str,
    },
    /// A header is present twice, too long or malformed.
    #[error("the header {name} of {forge}'s webhook is malformed")]
    MalformedHeader {
        /// The forge that the headers name.
        forge: Forge,
        /// The header.
        name: &'static str,
    },
    /// It was signed with another secret or changed in transit.
    #[error("the signature of {forge}'s webhook does not match its body")]
    WrongSignature {
        /// The forge that the headers name.
        forge: Forge,
    },
    /// It was signed too long ago or in the future.
    #[error("the webhook was signed {age} s ago; at most {TOLERANCE} s are accepted")]
    Stale {
        /// Seconds since it was signed; negative for a time in the future.
        age: i64,
    },
    /// It is signed with a key, but the project's secret is not a key of the form `whsec_…`.
    #[error("the webhook is signed, but the project's webhook secret is not a signing key")]
    NotASigningKey,
}

impl Diagnose for VerifyError {
    fn diagnosis(&self) -> Diagnosis {
        #[rustfmt::skip]
        let (page, reason) = match self {
            Self::UnknownForge => (&codes::webhook::UNKNOWN_FORGE, "only webhooks of GitHub, GitLab, Gitea, Forgejo and Bitbucket are accepted"),
            Self::EmptySecret => (&codes::webhook::EMPTY_SECRET, "anyone could sign with an empty secret"),
            Self::MissingHeader { .. } => (&codes::webhook::UNSIGNED, "the forge does not sign this webhook"),
            Self::MalformedHeader { .. } => (&codes::webhook::MALFORMED_HEADER, "a proxy between the forge and this server may change headers"),
            Self::WrongSignature { .. } => (&codes::webhook::WRONG_SIGNATURE, "the secrets differ, or the body was changed in transit"),
            Self::Stale { .. } => (&codes::webhook::STALE, "the webhook was replayed, or the clocks differ"),
            Self::NotASigningKey => (&codes::webhook::NOT_A_SIGNING_KEY, "a signing key begins with whsec_"),
        };
        Diagnosis::new(page).error(self.to_string()).reason(reason)
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    const GITHUB_SECRET: &str = "It's a Secret to Everybody";
    const DIGITS: &str = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    const HELLO: &[u8] = b"Hello, World!";

    const STANDARD_KEY: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    const STANDARD_BODY: &[u8] = br#"{"email":"test@example.com","username":"test_user"}"#;
    const STANDARD_SIGNATURE: &str = "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=";
    const STANDARD_TIME: i64 = 1_649_367_553;

    /// Headers as they stand in a request.
    fn headers(text: &str) -> HeaderMap {
        let mut map = HeaderMap::new();
        for line in text.lines() {
            let (name, value) = line.split_once(": ").unwrap();
            map.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        map
    }

    fn check(text: &str, body: &[u8], secret: &str) -> Result<Verified, VerifyError> {
        let now = Timestamp::from_second(STANDARD_TIME).unwrap();
        verify(&headers(text), body, &SecretString::from(secret), now)
    }

    /// GitHub's published vector, in the headers of each forge that signs the same way.
    #[test]
    fn each_forge_is_known_by_its_headers_and_signs_in_one_of_them() {
        let github = format!("x-github-event: push\nx-hub-signature-256: sha256={DIGITS}");
        // They also send GitHub's headers, here with a signature that is wrong.
        let gitea = "x-github-event: push\nx-hub-signature-256: sha256=00\nx-gitea-event: push";
        let gitea = format!("{gitea}\nx-gitea-signature: {DIGITS}");
        let bitbucket = format!("x-event-key: repo:push\nx-hub-signature: sha256={DIGITS}");
        for (forge, text, event, delivery) in [
            (Forge::GitHub, &github, "push", "x-github-delivery"),
            (Forge::Gitea, &gitea, "push", "x-gitea-delivery"),
            (
                Forge::Forgejo,
                &gitea.replace("gitea", "forgejo"),
                "push",
                "x-forgejo-delivery",
            ),
            (Forge::Bitbucket, &bitbucket, "repo:push", "x-request-id"),
        ] {
            let text = format!("{text}\n{delivery}: 72d3162e");
            let verified = check(&text, HELLO, GITHUB_SECRET).unwrap();
            assert_eq!((verified.forge, &*verified.event), (forge, event));
            assert_eq!(verified.delivery.as_deref(), Some("72d3162e"));
            let wrong = Err(VerifyError::WrongSignature { forge });
            assert_eq!(check(&text, b"Hello, World?", GITHUB_SECRET), wrong);
            assert_eq!(check(&text, HELLO, "another secret"), wrong);
        }
    }

    #[test]
    fn gitlabs_token_must_be_equal() {
        let with = |token| format!("x-gitlab-event: Push Hook\nx-gitlab-token: {token}");
        assert!(check(&with("s3cr3t"), b"{}", "s3cr3t").is_ok());
        for token in ["s3cr3", "s3cr3t ", "S3cr3t", ""] {
            let answer = check(&with(token), b"{}", "s3cr3t");
            assert!(answer.is_err(), "{token:?} was accepted");
        }
    }

    fn standard(time: &str, signature: &str) -> String {
        format!(
            "x-gitlab-event: Push Hook\nwebhook-id: msg_27UH4WbU6Z5A5EzD8u03UvzRbpk\n\
             webhook-timestamp: {time}\nwebhook-signature: {signature}"
        )
    }

    #[test]
    fn the_standard_webhooks_vector_passes() {
        let check = |text: &str| check(text, STANDARD_BODY, STANDARD_KEY);
        let verified = check(&standard("1649367553", STANDARD_SIGNATURE)).unwrap();
        let delivery = verified.delivery.as_deref();
        assert_eq!(delivery, Some("msg_27UH4WbU6Z5A5EzD8u03UvzRbpk"));
        let rotated = format!("v1,AAAA v2,xyz {STANDARD_SIGNATURE}");
        assert!(check(&standard("1649367553", &rotated)).is_ok());
        let wrong = VerifyError::WrongSignature {
            forge: Forge::GitLab,
        };
        let shifted = check(&standard("1649367554", STANDARD_SIGNATURE));
        assert_eq!(shifted.unwrap_err(), wrong);
        // A plain token doesn't replace a wrong signature.
        let token = format!("x-gitlab-token: {STANDARD_KEY}");
        let both = format!("{}\n{token}", standard("1649367553", "v1,AAAA"));
        assert_eq!(check(&both).unwrap_err(), wrong);
    }

    #[test]
    fn a_stale_signature_is_refused() {
        let headers = headers(&standard("1649367553", STANDARD_SIGNATURE));
        let key = SecretString::from(STANDARD_KEY);
        for (shift, accepted) in [(300, true), (301, false), (-300, true), (-301, false)] {
            let now = Timestamp::from_second(STANDARD_TIME + shift).unwrap();
            let answer = verify(&headers, STANDARD_BODY, &key, now);
            assert_eq!(answer.is_ok(), accepted, "{shift} s: {answer:?}");
        }
    }

    #[test]
    fn missing_doubled_and_weak_signatures_are_refused() {
        let push = "x-github-event: push\n";
        let right = format!("x-hub-signature-256: sha256={DIGITS}");
        let doubled = format!("{push}{right}\nx-hub-signature-256: sha256=00");
        let (forge, name) = (Forge::GitHub, "x-hub-signature-256");
        let missing = VerifyError::MissingHeader { forge, name };
        let sha1 = format!("{push}x-hub-signature: sha1=00");
        for (text, secret, error) in [
            (&sha1, GITHUB_SECRET, missing),
            (
                &doubled,
                GITHUB_SECRET,
                VerifyError::MalformedHeader { forge, name },
            ),
            (&format!("{push}{right}"), "", VerifyError::EmptySecret),
            (&String::new(), GITHUB_SECRET, VerifyError::UnknownForge),
        ] {
            assert_eq!(check(text, HELLO, secret), Err(error));
        }
        let unsigned = check("x-gitlab-event: Push Hook", b"{}", "s3cr3t");
        assert!(matches!(unsigned, Err(VerifyError::MissingHeader { .. })));
    }

    #[test]
    fn what_the_testkit_signs_is_accepted() {
        use pipeops_testkit::webhook::{Sender, sign};

        for (sender, forge, secret) in [
            (Sender::GitHub, Forge::GitHub, "s3cr3t"),
            (Sender::Gitea, Forge::Gitea, "s3cr3t"),
            (Sender::GitLab, Forge::GitLab, "s3cr3t"),
            (Sender::GitLab, Forge::GitLab, STANDARD_KEY),
        ] {
            let headers = sign(sender, secret, HELLO);
            let check = |secret| {
                let secret = SecretString::from(secret);
                verify(&headers, HELLO, &secret, Timestamp::now())
            };
            let verified = check(secret).unwrap();
            assert!(verified.forge == forge && verified.delivery.is_some());
            assert!(check("another secret").is_err());
        }
    }
}
