//! Push events of GitHub, Gitea and Forgejo, which have the same format.

use serde::Deserialize;

use super::body::{BodyError, from_json, or, or_default};
use super::payload::Payload;
use super::push::{Commit, PushEvent, RawPush, changed_paths};

/// The most commits that GitHub lists in one event.
/// <https://docs.github.com/en/webhooks/webhook-events-and-payloads#push>
const MAX_COMMITS: usize = 2048;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Push {
    #[serde(rename = "ref", deserialize_with = "or_default")]
    reference: String,
    #[serde(deserialize_with = "or_default")]
    before: String,
    #[serde(deserialize_with = "or_default")]
    after: String,
    #[serde(deserialize_with = "or_default")]
    forced: bool,
    #[serde(deserialize_with = "or_default")]
    deleted: bool,
    #[serde(deserialize_with = "or_default")]
    repository: Repository,
    #[serde(deserialize_with = "or_default")]
    pusher: User,
    #[serde(deserialize_with = "or_default")]
    head_commit: Commit,
    #[serde(deserialize_with = "or_default")]
    commits: Vec<Commit>,
    /// Gitea's count of all commits. It lists only the newest ones.
    total_commits: Option<usize>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Repository {
    #[serde(deserialize_with = "or_default")]
    full_name: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct User {
    #[serde(deserialize_with = "or_default")]
    name: String,
    #[serde(deserialize_with = "or_default")]
    login: String,
}

pub(super) fn parse(event: &str, body: &[u8]) -> Result<Payload, BodyError> {
    match event {
        "push" => {
            let push = PushEvent::try_from(RawPush::from(from_json::<Push>(body)?))?;
            Ok(Payload::Push(vec![push]))
        }
        "ping" => Ok(Payload::Ping),
        other => Ok(Payload::Other(other.to_owned())),
    }
}

impl From<Push> for RawPush {
    fn from(push: Push) -> Self {
        let changed = changed_paths(&push.before, &push.commits, lists_all(&push));
        let tag = push.reference.starts_with("refs/tags/");
        let first = push.commits.into_iter().next().unwrap_or_default();
        let after = match push.head_commit.id {
            _ if push.deleted => String::new(),
            // The `after` of an annotated tag is the tag object, not its commit.
            commit if tag && !commit.is_empty() => commit,
            _ => push.after,
        };
        Self {
            repository: push.repository.full_name,
            reference: push.reference,
            before: push.before,
            after,
            pusher: or(push.pusher.login, push.pusher.name),
            message: or(push.head_commit.message, first.message),
            changed,
        }
    }
}

/// Whether the listed commits are all that differ from `before`. After a forced push they aren't.
fn lists_all(push: &Push) -> bool {
    let listed = push.commits.len();
    let total = push.total_commits.unwrap_or(listed);
    listed < MAX_COMMITS && total == listed && !push.forced
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::payload::only_push;
    use super::*;

    const OLD: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const NEW: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    fn push(changes: Value) -> PushEvent {
        let body = json!({
            "ref": "refs/heads/main", "before": OLD, "after": NEW, "forced": false, "deleted": false,
            "repository": {"full_name": "team/shop"},
            "pusher": {"name": "ada", "email": "ada@example.com"},
            "head_commit": {"id": NEW, "message": "Sell more\n\nMuch more"},
            "commits": [{"id": NEW, "message": "Sell more", "added": ["b"], "modified": ["a"], "removed": ["b"]}],
        });
        only_push(parse, "push", body, changes)
    }

    #[test]
    fn a_push_says_who_what_and_where() {
        let push = push(json!({}));
        assert_eq!(push.repository, "team/shop");
        assert_eq!(push.after.unwrap().as_str(), NEW);
        assert_eq!(push.message.as_deref(), Some("Sell more"));
        assert_eq!(push.pusher.as_deref(), Some("ada"));
        assert_eq!(push.changed.unwrap(), ["a", "b"]);
    }

    #[test]
    fn changed_paths_of_rewritten_history_are_not_known() {
        assert_eq!(push(json!({"forced": true})).changed, None);
        assert_eq!(push(json!({"before": "0".repeat(40)})).changed, None);
        assert_eq!(push(json!({"total_commits": 9})).changed, None);
    }

    #[test]
    fn a_deleted_branch_has_no_commit() {
        let push = push(json!({"deleted": true, "head_commit": null, "commits": []}));
        assert_eq!(push.after, None);
    }

    #[test]
    fn an_annotated_tag_is_the_commit_that_it_points_at() {
        let tag_object = "c".repeat(40);
        let push = push(json!({"ref": "refs/tags/v1", "after": tag_object}));
        assert_eq!(push.after.unwrap().as_str(), NEW);
    }

    #[test]
    fn giteas_pusher_has_a_login() {
        let push = push(json!({"pusher": {"login": "ada", "full_name": "Ada L."}}));
        assert_eq!(push.pusher.as_deref(), Some("ada"));
    }

    #[test]
    fn other_events_are_named() {
        assert_eq!(
            parse("issues", b"{}").unwrap(),
            Payload::Other("issues".into())
        );
        assert_eq!(parse("ping", b"{}").unwrap(), Payload::Ping);
    }
}
