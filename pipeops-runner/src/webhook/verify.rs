//! Who sent a webhook.

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

/// How far a signed time may be from ours, in seconds, as Standard Webhooks recommends.
const TOLERANCE: i64 = 5 * 60;

/// Signatures in one `webhook-signature` header, of which one must be right (keys are rotated that way).
const MAX_SIGNATURES: usize = 8;

/// The longest value of a header that is read, in bytes: room for eight signatures.
const MAX_HEADER: usize = 1024;

/// A webhook whose signature is right.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// Who sent it.
    pub forge: Forge,
    /// What happened, as the forge names it: `push`, `Push Hook`, `repo:push`.
    pub event: String,
    /// The forge's own id for this delivery: the same when it is sent again.
    pub delivery: Option<String>,
}

/// Checks that a webhook was sent by someone who knows `secret`. Comparisons take constant time.
///
/// `now` bounds the age of signatures that carry a time (GitLab's signed webhooks): five minutes either way.
///
/// # Errors
/// When no known forge's headers are there, or the signature is missing, malformed, wrong or stale.
pub fn verify(
    headers: &HeaderMap,
    body: &[u8],
    secret: &SecretString,
    now: Timestamp,
) -> Result<Verified, VerifyError> {
    if secret.is_empty() {
        return Err(VerifyError::EmptySecret);
    }
    let forge = detect(headers).ok_or(VerifyError::UnknownForge)?;
    let names = Names::of(forge);
    match forge {
        Forge::GitLab if headers.contains_key("webhook-signature") => {
            check_standard_webhooks(headers, body, secret, now)?;
        }
        Forge::GitLab => check_token(headers, secret)?,
        _ => check_hex_hmac(forge, headers, body, secret)?,
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

/// Gitea and Forgejo come first: they also send GitHub's headers, for receivers that know only those.
fn detect(headers: &HeaderMap) -> Option<Forge> {
    let forges = [
        ("x-forgejo-event", Forge::Forgejo),
        ("x-gitea-event", Forge::Gitea),
        ("x-gitlab-event", Forge::GitLab),
        ("x-github-event", Forge::GitHub),
        ("x-event-key", Forge::Bitbucket),
    ];
    forges
        .into_iter()
        .find(|(name, _)| headers.contains_key(*name))
        .map(|(_, forge)| forge)
}

/// The names of one forge's headers.
struct Names {
    signature: &'static str,
    event: &'static str,
    /// The best one first.
    delivery: &'static [&'static str],
}

impl Names {
    fn of(forge: Forge) -> Self {
        let (signature, event, delivery): (_, _, &'static [&'static str]) = match forge {
            Forge::GitHub => (
                "x-hub-signature-256",
                "x-github-event",
                &["x-github-delivery"],
            ),
            Forge::GitLab => (
                "x-gitlab-token",
                "x-gitlab-event",
                &["webhook-id", "idempotency-key"],
            ),
            Forge::Gitea => ("x-gitea-signature", "x-gitea-event", &["x-gitea-delivery"]),
            Forge::Forgejo => (
                "x-forgejo-signature",
                "x-forgejo-event",
                &["x-forgejo-delivery"],
            ),
            Forge::Bitbucket => ("x-hub-signature", "x-event-key", &["x-request-id"]),
        };
        Self {
            signature,
            event,
            delivery,
        }
    }
}

/// A header's only value. Two values would let a sender show us one and somebody else another.
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
    forge: Forge,
    headers: &HeaderMap,
    body: &[u8],
    secret: &SecretString,
) -> Result<(), VerifyError> {
    let name = Names::of(forge).signature;
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

/// GitLab's plain token. Both sides are hashed, so that not even the length is learnt from the time it takes.
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

/// A webhook is not from whom it should be from. None of these repeats a signature or the secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// No headers of a forge that is known.
    #[error("the request has no webhook headers of GitHub, GitLab, Gitea, Forgejo or Bitbucket")]
    UnknownForge,
    /// The project's webhook secret is empty: everybody could sign with it.
    #[error("the project's webhook secret is empty")]
    EmptySecret,
    /// A header that the signature needs is not there.
    #[error("{forge}'s webhook has no header {name}")]
    MissingHeader {
        /// Who seems to have sent it.
        forge: Forge,
        /// The header.
        name: &'static str,
    },
    /// A header is there twice, is too long, or is not written as it must be.
    #[error("the header {name} of {forge}'s webhook cannot be read")]
    MalformedHeader {
        /// Who seems to have sent it.
        forge: Forge,
        /// The header.
        name: &'static str,
    },
    /// It was signed with another secret, or changed on its way.
    #[error("the signature of {forge}'s webhook does not fit its body")]
    WrongSignature {
        /// Who seems to have sent it.
        forge: Forge,
    },
    /// It was signed too long ago, or in the future.
    #[error("the webhook was signed {age} seconds ago; at most {TOLERANCE} are accepted")]
    Stale {
        /// Seconds since it was signed; negative when it comes from the future.
        age: i64,
    },
    /// Signed webhooks need a key of the form `whsec_…`.
    #[error("the webhook is signed, but the project's webhook secret is no signing key")]
    NotASigningKey,
}

impl Diagnose for VerifyError {
    fn diagnosis(&self) -> Diagnosis {
        let (page, reason) = match self {
            Self::UnknownForge => (
                &codes::webhook::UNKNOWN_FORGE,
                "only webhooks of known forges are accepted",
            ),
            Self::EmptySecret => (
                &codes::webhook::EMPTY_SECRET,
                "an empty secret protects nothing",
            ),
            Self::MissingHeader { .. } => (
                &codes::webhook::UNSIGNED,
                "the forge does not sign this webhook",
            ),
            Self::MalformedHeader { .. } => (
                &codes::webhook::MALFORMED_HEADER,
                "something between the forge and this server changes headers",
            ),
            Self::WrongSignature { .. } => (
                &codes::webhook::WRONG_SIGNATURE,
                "the secrets differ, or the body was changed in transit",
            ),
            Self::Stale { .. } => (
                &codes::webhook::STALE,
                "it is a replay, or the clocks differ",
            ),
            Self::NotASigningKey => (
                &codes::webhook::NOT_A_SIGNING_KEY,
                "a signing key begins with whsec_",
            ),
        };
        Diagnosis::new(page).error(self.to_string()).reason(reason)
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    const GITHUB_SECRET: &str = "It's a Secret to Everybody";
    const GITHUB_DIGITS: &str = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    const HELLO: &[u8] = b"Hello, World!";

    const STANDARD_KEY: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    const STANDARD_BODY: &[u8] = br#"{"email":"test@example.com","username":"test_user"}"#;
    const STANDARD_SIGNATURE: &str = "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=";
    const STANDARD_TIME: i64 = 1_649_367_553;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            let name: HeaderName = name.parse().unwrap();
            map.append(name, HeaderValue::from_str(value).unwrap());
        }
        map
    }

    fn check(pairs: &[(&str, &str)], body: &[u8], secret: &str) -> Result<Verified, VerifyError> {
        let now = Timestamp::from_second(STANDARD_TIME).unwrap();
        verify(&headers(pairs), body, &SecretString::from(secret), now)
    }

    #[test]
    fn githubs_published_vector_passes() {
        let signature = format!("sha256={GITHUB_DIGITS}");
        let pairs = [
            ("x-github-event", "push"),
            ("x-github-delivery", "72d3162e"),
            ("x-hub-signature-256", signature.as_str()),
        ];
        let verified = check(&pairs, HELLO, GITHUB_SECRET).unwrap();
        assert_eq!(verified.forge, Forge::GitHub);
        assert_eq!(verified.event, "push");
        assert_eq!(verified.delivery.as_deref(), Some("72d3162e"));
        let wrong = Err(VerifyError::WrongSignature {
            forge: Forge::GitHub,
        });
        assert_eq!(check(&pairs, b"Hello, World?", GITHUB_SECRET), wrong);
        assert_eq!(check(&pairs, HELLO, "another secret"), wrong);
    }

    #[test]
    fn a_sha1_signature_is_not_enough() {
        let pairs = [("x-github-event", "push"), ("x-hub-signature", "sha1=00")];
        let error = check(&pairs, HELLO, GITHUB_SECRET).unwrap_err();
        assert!(
            matches!(error, VerifyError::MissingHeader { name, .. } if name == "x-hub-signature-256")
        );
    }

    #[test]
    fn gitea_is_itself_although_it_sends_githubs_headers() {
        for (forge, prefix) in [(Forge::Gitea, "x-gitea"), (Forge::Forgejo, "x-forgejo")] {
            let event = format!("{prefix}-event");
            let signature = format!("{prefix}-signature");
            let delivery = format!("{prefix}-delivery");
            let pairs = [
                ("x-github-event", "push"),
                ("x-hub-signature-256", "sha256=00"),
                (event.as_str(), "push"),
                (signature.as_str(), GITHUB_DIGITS),
                (delivery.as_str(), "d1"),
            ];
            let verified = check(&pairs, HELLO, GITHUB_SECRET).unwrap();
            assert_eq!(verified.forge, forge);
            assert_eq!(verified.delivery.as_deref(), Some("d1"));
        }
    }

    #[test]
    fn bitbucket_signs_in_the_old_header() {
        let signature = format!("sha256={GITHUB_DIGITS}");
        let pairs = [
            ("x-event-key", "repo:push"),
            ("x-hub-signature", signature.as_str()),
            ("x-request-id", "r1"),
        ];
        let verified = check(&pairs, HELLO, GITHUB_SECRET).unwrap();
        assert_eq!(
            (verified.forge, verified.event.as_str()),
            (Forge::Bitbucket, "repo:push")
        );
    }

    #[test]
    fn gitlabs_token_must_be_equal() {
        let pairs = |token| [("x-gitlab-event", "Push Hook"), ("x-gitlab-token", token)];
        assert!(check(&pairs("s3cr3t"), b"{}", "s3cr3t").is_ok());
        for token in ["s3cr3", "s3cr3t ", "S3cr3t", ""] {
            assert!(
                check(&pairs(token), b"{}", "s3cr3t").is_err(),
                "{token:?} was accepted"
            );
        }
        assert!(check(&[("x-gitlab-event", "Push Hook")], b"{}", "s3cr3t").is_err());
    }

    fn standard<'a>(time: &'a str, signature: &'a str) -> [(&'a str, &'a str); 4] {
        [
            ("x-gitlab-event", "Push Hook"),
            ("webhook-id", "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk"),
            ("webhook-timestamp", time),
            ("webhook-signature", signature),
        ]
    }

    #[test]
    fn the_standard_webhooks_vector_passes() {
        let verified = check(
            &standard("1649367553", STANDARD_SIGNATURE),
            STANDARD_BODY,
            STANDARD_KEY,
        )
        .unwrap();
        assert_eq!(
            verified.delivery.as_deref(),
            Some("msg_27UH4WbU6Z5A5EzD8u03UvzRbpk")
        );
        let rotated = format!("v1,AAAA v2,xyz {STANDARD_SIGNATURE}");
        assert!(
            check(
                &standard("1649367553", &rotated),
                STANDARD_BODY,
                STANDARD_KEY
            )
            .is_ok()
        );
        assert_eq!(
            check(
                &standard("1649367554", STANDARD_SIGNATURE),
                STANDARD_BODY,
                STANDARD_KEY
            ),
            Err(VerifyError::WrongSignature {
                forge: Forge::GitLab
            })
        );
    }

    #[test]
    fn a_plain_token_does_not_replace_a_wrong_signature() {
        let mut pairs = standard("1649367553", "v1,AAAA").to_vec();
        pairs.push(("x-gitlab-token", STANDARD_KEY));
        assert!(check(&pairs, STANDARD_BODY, STANDARD_KEY).is_err());
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
    fn a_header_that_stands_twice_is_refused() {
        let signature = format!("sha256={GITHUB_DIGITS}");
        let pairs = [
            ("x-github-event", "push"),
            ("x-hub-signature-256", signature.as_str()),
            ("x-hub-signature-256", "sha256=00"),
        ];
        let error = check(&pairs, HELLO, GITHUB_SECRET).unwrap_err();
        assert!(matches!(error, VerifyError::MalformedHeader { .. }));
    }

    #[test]
    fn nobody_signs_with_an_empty_secret_or_without_headers() {
        assert_eq!(
            check(&[("x-github-event", "push")], HELLO, ""),
            Err(VerifyError::EmptySecret)
        );
        assert_eq!(check(&[], HELLO, "s"), Err(VerifyError::UnknownForge));
    }
}
