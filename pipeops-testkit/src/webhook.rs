//! Webhooks of pushes: the bodies that GitHub, GitLab and Gitea send, and the headers with which they sign them.
//!
//! [`Push`] writes the body of an ordinary push. [`sign`] returns the headers for any body. A test posts both to its own service.
//!
//! ```
//! use pipeops_testkit::webhook::{Push, Sender};
//!
//! # let commit = "5b0c2a33ac95a5b0cf5d8cf7bd7d9e4a0de8a2a1";
//! let push = Push::new("team/shop", "main", commit).message("Sell more");
//! let (headers, body) = push.signed(Sender::GitHub, "the project's webhook secret");
//! assert_eq!(headers["x-github-event"], "push");
//! assert!(headers["x-hub-signature-256"].to_str().unwrap().starts_with("sha256="));
//! // reqwest: client.post(url).headers(headers).body(body).send().await?
//! # assert!(body.contains(commit));
//! ```
//!
//! If `reqwest::Client::new()` panics because no crypto provider is configured, call `pipeops_runner::install_ring()` first: see "TLS"
//! in the README of that crate.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;
use serde_json::{Value, json};
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

/// A push to a branch, as a forge reports it.
///
/// Its bodies have the fields that receivers read: the ref, both commits, the repository, who pushed, and the newest commit with
/// its message. They leave out URLs, numbers and settings of the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    repository: String,
    branch: String,
    before: String,
    after: String,
    message: String,
    pusher: String,
    changed: Option<Vec<String>>,
}

impl Push {
    /// A push of the commit `after` to a branch of `repository`, such as `team/shop`. A commit of zeros deletes the branch.
    pub fn new(
        repository: impl Into<String>,
        branch: impl Into<String>,
        after: impl Into<String>,
    ) -> Self {
        Self {
            repository: repository.into(),
            branch: branch.into(),
            before: NO_COMMIT.to_owned(),
            after: after.into(),
            message: "A commit".to_owned(),
            pusher: "ada".to_owned(),
            changed: None,
        }
    }

    /// Sets the commit that the branch had before. Default: zeros, as for a new branch.
    #[must_use]
    pub fn before(mut self, commit: impl Into<String>) -> Self {
        self.before = commit.into();
        self
    }

    /// Sets the message of the newest commit. Default: `A commit`.
    #[must_use]
    pub fn message(mut self, message: impl Into<String>) -> Self {
        self.message = message.into();
        self
    }

    /// Sets the name of the user who pushed. Default: `ada`.
    #[must_use]
    pub fn pusher(mut self, name: impl Into<String>) -> Self {
        self.pusher = name.into();
        self
    }

    /// Sets the paths that the push modified. By default the list of commits is incomplete, as in a large push, so receivers
    /// can't know them.
    #[must_use]
    pub fn changed(mut self, paths: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.changed = Some(paths.into_iter().map(Into::into).collect());
        self
    }

    /// The body that this forge sends.
    pub fn body(&self, sender: Sender) -> String {
        let deleted = self.after == NO_COMMIT;
        let commit = json!({
            "id": self.after, "message": self.message, "added": [], "removed": [],
            "modified": self.changed.as_deref().unwrap_or_default(),
        });
        let head = if deleted { Value::Null } else { commit.clone() };
        // An incomplete list has fewer commits than its total. GitHub sends no total: it lists none.
        let listed = !deleted && (sender != Sender::GitHub || self.changed.is_some());
        let commits = if listed { vec![commit] } else { Vec::new() };
        let total = commits.len()
            + if self.changed.is_none() && listed {
                20
            } else {
                0
            };
        let name = self.repository.rsplit('/').next();
        let (reference, pusher) = (format!("refs/heads/{}", self.branch), &self.pusher);
        let mut body = json!({
            "ref": reference, "before": self.before, "after": self.after, "commits": commits,
        });
        let fields = match sender {
            Sender::GitLab => json!({
                "object_kind": "push", "event_name": "push",
                "checkout_sha": (!deleted).then_some(&self.after),
                "user_username": pusher, "user_name": pusher,
                "project": {"name": name, "path_with_namespace": self.repository},
                "total_commits_count": total,
            }),
            Sender::GitHub => json!({
                "created": self.before == NO_COMMIT, "deleted": deleted, "forced": false,
                "repository": {"name": name, "full_name": self.repository},
                "pusher": {"name": pusher}, "sender": {"login": pusher},
                "head_commit": head,
            }),
            Sender::Gitea => json!({
                "repository": {"name": name, "full_name": self.repository},
                "pusher": {"login": pusher, "username": pusher}, "sender": {"login": pusher},
                "head_commit": head, "total_commits": total,
            }),
        };
        if let (Value::Object(body), Value::Object(fields)) = (&mut body, fields) {
            body.extend(fields);
        }
        body.to_string()
    }

    /// The headers and the body that this forge sends, signed with the webhook's secret.
    ///
    /// # Panics
    /// As [`sign`].
    pub fn signed(&self, sender: Sender, secret: &str) -> (HeaderMap, String) {
        let body = self.body(sender);
        (sign(sender, secret, &body), body)
    }
}

/// What forges write for a commit that doesn't exist.
const NO_COMMIT: &str = "0000000000000000000000000000000000000000";

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
