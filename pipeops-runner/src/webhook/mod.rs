//! Verifies and reads webhooks of git forges.
//!
//! [`verify`] checks the signature of a request first. [`parse`] then turns the body into [`PushEvent`]s, one type for all
//! forges.
//!
//! | Forge | Signature | Event | Delivery id |
//! |---|---|---|---|
//! | GitHub | `X-Hub-Signature-256` | `X-GitHub-Event` | `X-GitHub-Delivery` |
//! | GitLab | `X-Gitlab-Token`, or `webhook-signature` ([Standard Webhooks]) | `X-Gitlab-Event` | `webhook-id`, `Idempotency-Key` |
//! | Gitea, Forgejo | `X-Gitea-Signature`, `X-Forgejo-Signature` | `X-Gitea-Event`, … | `X-Gitea-Delivery`, … |
//! | Bitbucket Cloud, Data Center | `X-Hub-Signature` | `X-Event-Key` | `X-Request-Id` |
//!
//! [Standard Webhooks]: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md

mod bitbucket;
mod body;
mod forge;
mod github;
mod gitlab;
mod payload;
mod push;
#[cfg(test)]
mod shapes;
mod verify;

use std::borrow::Cow;

use pipeops_core::diagnosis::codes;
use pipeops_core::{Diagnose, Diagnosis};

pub use body::BodyError;
pub use forge::Forge;
pub use payload::Payload;
pub use push::PushEvent;
pub use verify::{Verified, VerifyError, verify};

/// Reads the body of a verified webhook.
///
/// `content_type` is the request's header of that name. GitHub's default wraps the JSON in a form field named `payload`.
///
/// ```
/// use pipeops_runner::webhook::{self, Payload};
/// use pipeops_core::SecretString;
/// use http::HeaderMap;
/// use jiff::Timestamp;
///
/// let mut headers = HeaderMap::new();
/// headers.insert("x-gitlab-event", "Push Hook".parse()?);
/// headers.insert("x-gitlab-token", "s3cr3t".parse()?);
/// let body = r#"{"ref":"refs/heads/main","before":"0000000000000000000000000000000000000000",
///     "after":"1f7a7a472abf3dd9643fd615f6da379c4acb3e3a","project":{"path_with_namespace":"team/shop"}}"#;
///
/// let verified = webhook::verify(&headers, body.as_bytes(), &SecretString::new("s3cr3t"), Timestamp::now())?;
/// let Payload::Push(pushes) = webhook::parse(&verified, None, body.as_bytes())? else { panic!() };
/// assert_eq!(pushes[0].reference.branch(), Some("main"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// When the body isn't the JSON that this forge sends for this event.
pub fn parse(
    verified: &Verified,
    content_type: Option<&str>,
    body: &[u8],
) -> Result<Payload, ParseError> {
    let forge = verified.forge;
    let body = json_of(content_type, body).ok_or(ParseError::NoPayloadField { forge })?;
    let read = match forge {
        Forge::GitHub | Forge::Gitea | Forge::Forgejo => github::parse(&verified.event, &body),
        Forge::GitLab => gitlab::parse(&verified.event, &body),
        Forge::Bitbucket => bitbucket::parse(&verified.event, &body),
    };
    match read.map_err(|source| ParseError::Body { forge, source })? {
        Payload::Push(pushes) if is_test(&pushes) => Ok(Payload::Ping),
        payload => Ok(payload),
    }
}

/// Whether a push only tests the webhook, as Gitea's, Forgejo's and GitLab's test deliveries do.
fn is_test(pushes: &[PushEvent]) -> bool {
    !pushes.is_empty() && pushes.iter().all(PushEvent::moves_nothing)
}

/// Why a webhook can't be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// The body isn't a push event of this forge.
    #[error("the body is not a push event of {forge}")]
    Body {
        /// The forge that the headers name.
        forge: Forge,
        /// The reason.
        source: BodyError,
    },
    /// The body is a form without the field `payload`.
    #[error("the webhook of {forge} is a form without the field `payload`")]
    NoPayloadField {
        /// The forge that the headers name.
        forge: Forge,
    },
}

impl Diagnose for ParseError {
    fn diagnosis(&self) -> Diagnosis {
        let diagnosis = Diagnosis::new(&codes::webhook::INVALID_PAYLOAD).error(self.to_string());
        match self {
            Self::Body { source, .. } => diagnosis.reason(source.to_string()),
            Self::NoPayloadField { .. } => diagnosis,
        }
    }
}

/// The JSON, unwrapped from the form that GitHub may send.
fn json_of<'a>(content_type: Option<&str>, body: &'a [u8]) -> Option<Cow<'a, [u8]>> {
    let form = content_type
        .is_some_and(|kind| kind.trim().starts_with("application/x-www-form-urlencoded"));
    if !form {
        return Some(Cow::Borrowed(body));
    }
    form_urlencoded::parse(body)
        .find(|(key, _)| key == "payload")
        .map(|(_, value)| Cow::Owned(value.into_owned().into_bytes()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn verified(forge: Forge, event: &str) -> Verified {
        Verified {
            forge,
            event: event.into(),
            delivery: None,
        }
    }

    #[test]
    fn a_form_carries_the_payload_in_a_field() {
        let body = b"a=1&payload=%7B%22zen%22%3A1%7D";
        let form = Some("application/x-www-form-urlencoded; charset=utf-8");
        assert_eq!(json_of(form, body).unwrap().as_ref(), br#"{"zen":1}"#);
        let error = parse(&verified(Forge::GitHub, "push"), form, b"a=1").unwrap_err();
        assert!(matches!(error, ParseError::NoPayloadField { .. }));
    }

    #[test]
    fn pushes_of_the_testkit_are_read() {
        use pipeops_testkit::webhook::{Push, Sender};

        let (old, new) = ("a".repeat(40), "b".repeat(40));
        let push = Push::new("team/sub/shop", "main", &new).before(&old);
        let push = push.message("Sell more").pusher("eve");
        let forges = [
            (Sender::GitHub, Forge::GitHub, "push"),
            (Sender::GitLab, Forge::GitLab, "Push Hook"),
            (Sender::Gitea, Forge::Gitea, "push"),
        ];
        for (sender, forge, event) in forges {
            let read = |push: &Push| {
                let body = push.body(sender);
                let payload = parse(&verified(forge, event), None, body.as_bytes());
                match payload.unwrap() {
                    Payload::Push(mut pushes) => pushes.remove(0),
                    other => panic!("{other:?}"),
                }
            };
            let pushed = read(&push);
            assert_eq!(pushed.repository, "team/sub/shop");
            assert_eq!(pushed.reference.branch(), Some("main"));
            assert_eq!(pushed.before.unwrap().as_str(), old);
            assert_eq!(pushed.after.unwrap().as_str(), new);
            assert_eq!(pushed.message.as_deref(), Some("Sell more"));
            assert_eq!(pushed.pusher.as_deref(), Some("eve"));
            assert_eq!(pushed.changed, None);
            let changed = read(&push.clone().changed(["src/a", "b"])).changed;
            assert_eq!(changed.unwrap(), ["b", "src/a"]);
            let deleted = Push::new("team/shop", "main", "0".repeat(40)).before(&old);
            assert_eq!(read(&deleted).after, None);
        }
    }

    proptest! {
        /// JSON of the right shape with wrong values reaches further into the code than noise does.
        #[test]
        fn no_push_shaped_json_makes_it_panic(
            reference in "(refs/(heads|tags)/)?\\PC{0,20}",
            sha in "[0-9a-g]{38,41}|0{40}",
            name in "\\PC{0,300}",
            message in "\\PC{0,300}",
        ) {
            let body = serde_json::json!({
                "ref": reference, "before": sha, "after": sha, "forced": true,
                "repository": {"full_name": name, "clone_url": name, "slug": name, "project": {"key": name}},
                "project": {"path_with_namespace": name},
                "head_commit": {"id": sha, "message": message},
                "commits": [{"id": sha, "message": message, "added": [name]}],
                "push": {"changes": [{"new": {"type": "branch", "name": reference, "target": {"hash": sha, "message": message}}}]},
                "changes": [{"ref": {"id": reference}, "fromHash": sha, "toHash": sha, "type": "UPDATE"}],
            });
            let body = body.to_string();
            for (forge, event) in [
                (Forge::GitHub, "push"), (Forge::GitLab, "Push Hook"),
                (Forge::Bitbucket, "repo:push"), (Forge::Bitbucket, "repo:refs_changed"),
            ] {
                if let Ok(Payload::Push(pushes)) = parse(&verified(forge, event), None, body.as_bytes()) {
                    for push in pushes {
                        prop_assert!(push.repository.chars().count() <= 255);
                        prop_assert!(push.message.is_none_or(|text| text.chars().count() <= 200));
                    }
                }
            }
        }
    }
}
