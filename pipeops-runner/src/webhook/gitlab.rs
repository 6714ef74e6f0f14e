//! Push events of GitLab.

use serde::Deserialize;

use super::body::{BodyError, from_json, or, or_default};
use super::payload::Payload;
use super::push::{Commit, PushEvent, RawPush, changed_paths};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Push {
    #[serde(rename = "ref", deserialize_with = "or_default")]
    reference: String,
    #[serde(deserialize_with = "or_default")]
    before: String,
    #[serde(deserialize_with = "or_default")]
    after: String,
    /// The commit, even if `after` is an annotated tag; null for a deleted ref.
    #[serde(deserialize_with = "or_default")]
    checkout_sha: String,
    #[serde(deserialize_with = "or_default")]
    user_username: String,
    #[serde(deserialize_with = "or_default")]
    user_name: String,
    #[serde(deserialize_with = "or_default")]
    project: Project,
    #[serde(deserialize_with = "or_default")]
    commits: Vec<Commit>,
    /// GitLab lists only the newest 20 commits.
    /// <https://docs.gitlab.com/user/project/integrations/webhook_events/#push-events>
    total_commits_count: Option<usize>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Project {
    #[serde(deserialize_with = "or_default")]
    path_with_namespace: String,
}

pub(super) fn parse(event: &str, body: &[u8]) -> Result<Payload, BodyError> {
    match event {
        "Push Hook" | "Tag Push Hook" => {
            let push = PushEvent::try_from(RawPush::from(from_json::<Push>(body)?))?;
            Ok(Payload::Push(vec![push]))
        }
        other => Ok(Payload::Other(other.to_owned())),
    }
}

impl From<Push> for RawPush {
    fn from(push: Push) -> Self {
        let listed_all = push.total_commits_count == Some(push.commits.len());
        let changed = changed_paths(&push.before, &push.commits, listed_all);
        let tag = push.reference.starts_with("refs/tags/");
        let after = if tag {
            or(push.checkout_sha, push.after)
        } else {
            push.after
        };
        let newest = push.commits.iter().find(|commit| commit.id == after);
        let message = newest
            .or(push.commits.last())
            .map(|commit| commit.message.clone())
            .unwrap_or_default();
        Self {
            repository: push.project.path_with_namespace,
            reference: push.reference,
            before: push.before,
            after,
            pusher: or(push.user_username, push.user_name),
            message,
            changed,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::payload::only_push;
    use super::*;

    const OLD: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const NEW: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    fn push(event: &str, changes: Value) -> PushEvent {
        let body = json!({
            "object_kind": "push", "ref": "refs/heads/main", "before": OLD, "after": NEW, "checkout_sha": NEW,
            "user_username": "ada", "user_name": "Ada L.",
            "project": {"path_with_namespace": "team/sub/shop"},
            "commits": [
                {"id": OLD, "message": "First", "added": ["x"], "modified": [], "removed": []},
                {"id": NEW, "message": "Second [ci skip]", "added": [], "modified": ["y"], "removed": []},
            ],
            "total_commits_count": 2,
        });
        only_push(parse, event, body, changes)
    }

    #[test]
    fn the_message_is_that_of_the_newest_commit() {
        let push = push("Push Hook", json!({}));
        assert_eq!(push.message.as_deref(), Some("Second [ci skip]"));
        assert_eq!(push.skip.as_deref(), Some("[ci skip]"));
        assert_eq!(push.changed.unwrap(), ["x", "y"]);
        assert_eq!(push.pusher.as_deref(), Some("ada"));
    }

    #[test]
    fn a_cut_list_of_commits_hides_paths() {
        let push = push("Push Hook", json!({"total_commits_count": 21}));
        assert_eq!(push.changed, None);
    }

    #[test]
    fn a_tag_is_the_commit_that_is_checked_out() {
        let changes = json!({"ref": "refs/tags/v1", "after": "c".repeat(40), "commits": []});
        let push = push("Tag Push Hook", changes);
        assert_eq!(push.after.unwrap().as_str(), NEW);
        assert_eq!(push.reference.branch(), None);
    }

    #[test]
    fn a_deleted_branch_has_no_commit() {
        let changes = json!({"after": "0".repeat(40), "checkout_sha": null, "commits": [], "total_commits_count": 0});
        assert_eq!(push("Push Hook", changes).after, None);
    }
}
