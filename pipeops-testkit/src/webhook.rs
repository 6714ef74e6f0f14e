//! Webhooks of pushes, signed as GitHub, GitLab and Gitea sign them.
//!
//! [`sign`] returns the headers that a forge sends with a body. A test posts the body with these headers to its own service.
//!
//! ```
//! use pipeops_testkit::webhook::{Sender, sign};
//!
//! let body = r#"{"ref": "refs/heads/main", "after": "5b0c2a…"}"#;
//! let headers = sign(Sender::GitHub, "the project's webhook secret", body);
//! assert_eq!(headers["x-github-event"], "push");
//! assert!(headers["x-hub-signature-256"].to_str().unwrap().starts_with("sha256="));
//! // reqwest: client.post(url).headers(headers).body(body).send().await?
//! ```

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;
use sha2::Sha256;

/// The forge that sends a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Sender {
    /// GitHub: `X-Hub-Signature-256`.
    GitHub,
    /// GitLab: the secret itself in `X-Gitlab-Token`. A secret of the form `whsec_BASE64` is a signing key: the body is signed
    /// as [Standard Webhooks](https://www.standardwebhooks.com) specifies, with the current time.
    GitLab,
    /// Gitea: `X-Gitea-Signature`, and GitHub's headers for receivers that only know those.
    Gitea,
}

/// Returns the headers that a forge sends with the body of a push event, `Content-Type: application/json` included. Each call
/// returns a new delivery ID.
///
/// # Panics
/// If the secret can't be the value of a header (GitLab's token), or isn't valid Base64 after `whsec_`.
pub fn sign(sender: Sender, secret: &str, body: impl AsRef<[u8]>) -> HeaderMap {
    let body = body.as_ref();
    let delivery = format!("{:032x}", rand::random::<u128>());
    let digits = || hex::encode(hmac(secret.as_bytes(), &[body]));
    let mut pairs = vec![("content-type", "application/json".to_owned())];
    if sender != Sender::GitLab {
        pairs.extend([
            ("x-github-event", "push".to_owned()),
            ("x-github-delivery", delivery.clone()),
            ("x-hub-signature-256", format!("sha256={}", digits())),
        ]);
    }
    match (sender, secret.strip_prefix("whsec_")) {
        (Sender::GitHub, _) => {}
        (Sender::Gitea, _) => pairs.extend([
            ("x-gitea-event", "push".to_owned()),
            ("x-gitea-delivery", delivery),
            ("x-gitea-signature", digits()),
        ]),
        (Sender::GitLab, None) => pairs.extend([
            ("x-gitlab-event", "Push Hook".to_owned()),
            ("x-gitlab-token", secret.to_owned()),
            ("webhook-id", delivery),
        ]),
        (Sender::GitLab, Some(key)) => {
            let key = STANDARD.decode(key).expect("a signing key is Base64");
            let time = Timestamp::now().as_second().to_string();
            let signed = [delivery.as_bytes(), b".", time.as_bytes(), b".", body];
            let signature = format!("v1,{}", STANDARD.encode(hmac(&key, &signed)));
            pairs.extend([
                ("x-gitlab-event", "Push Hook".to_owned()),
                ("webhook-id", delivery),
                ("webhook-timestamp", time),
                ("webhook-signature", signature),
            ]);
        }
    }
    let value = |text: &str| HeaderValue::from_str(text).expect("the secret fits a header");
    let headers = pairs.iter();
    headers
        .map(|(name, text)| (http::HeaderName::from_static(name), value(text)))
        .collect()
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector of GitHub's documentation, "Validating webhook deliveries".
    #[test]
    fn signatures_match_githubs_published_vector() {
        let digits = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        let headers = |sender| sign(sender, "It's a Secret to Everybody", "Hello, World!");
        let github = headers(Sender::GitHub);
        assert_eq!(github["x-hub-signature-256"], format!("sha256={digits}"));
        assert_eq!(headers(Sender::Gitea)["x-gitea-signature"], digits);
    }

    #[test]
    fn gitlab_sends_the_token_or_signs_with_a_key() {
        assert_eq!(
            sign(Sender::GitLab, "s3cr3t", "{}")["x-gitlab-token"],
            "s3cr3t"
        );
        let headers = sign(
            Sender::GitLab,
            "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
            "{}",
        );
        assert!(
            headers.contains_key("webhook-signature") && !headers.contains_key("x-gitlab-token")
        );
    }
}
