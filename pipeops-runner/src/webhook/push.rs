//! A push, as one type for all forges.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::BodyError;
use super::body::or_default;
use crate::git::GitRef;
use pipeops_core::CommitSha;
use pipeops_core::text::one_line;

/// Markers that prevent a deployment, in lower case.
const SKIP_MARKERS: [&str; 4] = ["[skip ci]", "[ci skip]", "[no ci]", "[skip deploy]"];

/// Longer lists of changed paths are dropped.
const MAX_PATHS: usize = 10_000;

/// How much of the first line of a commit message is kept, in characters.
const MAX_MESSAGE: usize = 200;

/// A ref that was created, moved or deleted. Its texts come from the forge. All but [`changed`](Self::changed) are cut to a bounded
/// length, without characters that control the display.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct PushEvent {
    /// The path of the repository at the forge: `team/shop`.
    pub repository: String,
    /// The branch or tag.
    pub reference: GitRef,
    /// The commit before the push; `None` for a new ref.
    pub before: Option<CommitSha>,
    /// The commit after the push; `None` for a deleted ref.
    pub after: Option<CommitSha>,
    /// The user who pushed.
    pub pusher: Option<String>,
    /// The first line of the newest commit's message.
    pub message: Option<String>,
    /// The paths that were added, changed or removed, as the forge wrote them; `None` when it doesn't list all of them.
    pub changed: Option<Vec<String>>,
    /// The marker in the newest commit's message that prevents a deployment: `[skip ci]`, `[ci skip]`, `[no ci]` or
    /// `[skip deploy]`.
    pub skip: Option<String>,
}

/// The values of a forge's payload, before they are checked and cut. An empty text is a missing one.
#[derive(Debug, Default)]
pub(super) struct RawPush {
    pub(super) repository: String,
    pub(super) reference: String,
    pub(super) before: String,
    pub(super) after: String,
    pub(super) pusher: String,
    pub(super) message: String,
    pub(super) changed: Option<Vec<String>>,
}

impl TryFrom<RawPush> for PushEvent {
    type Error = BodyError;

    fn try_from(raw: RawPush) -> Result<Self, BodyError> {
        let sha = |text: &str| match text {
            "" => Ok(None),
            text => CommitSha::parse_or_zero(text),
        };
        if raw.repository.is_empty() {
            return Err(BodyError::Missing("the repository"));
        }
        if raw.reference.is_empty() {
            return Err(BodyError::Missing("the branch or tag"));
        }
        Ok(Self {
            repository: one_line(&raw.repository).chars().take(255).collect(),
            reference: raw.reference.parse()?,
            before: sha(&raw.before)?,
            after: sha(&raw.after)?,
            pusher: first_line(&raw.pusher),
            skip: skip_marker(&raw.message),
            message: first_line(&raw.message),
            changed: raw.changed.filter(|paths| paths.len() <= MAX_PATHS),
        })
    }
}

impl PushEvent {
    /// Whether the ref stays as it is, as in the test deliveries of Gitea, Forgejo and GitLab.
    pub(super) fn moves_nothing(&self) -> bool {
        self.before == self.after
    }
}

/// A commit in a push event of GitHub, GitLab, Gitea and Forgejo.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Commit {
    #[serde(deserialize_with = "or_default")]
    pub(super) id: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) message: String,
    #[serde(deserialize_with = "or_default")]
    added: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    modified: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    removed: Vec<String>,
}

/// The changed paths of all commits, each once; `None` when they may be incomplete, because the forge cut the list, listed no
/// path at all, or the branch is new.
pub(super) fn changed_paths(
    before: &str,
    commits: &[Commit],
    listed_all: bool,
) -> Option<Vec<String>> {
    let known = before.bytes().any(|digit| digit != b'0');
    if !known || !listed_all {
        return None;
    }
    let paths = commits
        .iter()
        .flat_map(|c| c.added.iter().chain(&c.modified).chain(&c.removed));
    let unique: BTreeSet<&String> = paths.filter(|path| !path.is_empty()).collect();
    // Some forges list no path of a merge.
    (!unique.is_empty()).then(|| unique.into_iter().cloned().collect())
}

fn skip_marker(message: &str) -> Option<String> {
    let message = message.to_ascii_lowercase();
    let found = SKIP_MARKERS
        .iter()
        .find(|marker| message.contains(**marker))?;
    Some((*found).to_owned())
}

/// The first line that shows something, cut to [`MAX_MESSAGE`]; `None` if there is none.
fn first_line(text: &str) -> Option<String> {
    let line = text.lines().map(one_line).find(|line| !line.is_empty())?;
    Some(line.chars().take(MAX_MESSAGE).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw() -> RawPush {
        RawPush {
            repository: "team/shop".into(),
            reference: "refs/heads/main".into(),
            before: "0".repeat(40),
            after: "a".repeat(40),
            ..RawPush::default()
        }
    }

    #[test]
    fn zeros_mean_new_and_deleted() {
        let new: PushEvent = raw().try_into().unwrap();
        assert!(new.before.is_none() && new.after.is_some());
        let raw = RawPush {
            before: "a".repeat(40),
            after: "0".repeat(40),
            ..raw()
        };
        let deleted: PushEvent = raw.try_into().unwrap();
        assert!(deleted.before.is_some() && deleted.after.is_none());
    }

    #[test]
    fn the_whole_message_is_searched_for_a_marker_and_one_line_is_kept() {
        let message = "Fix\u{1b}[31m the till\n\nNothing to see. [Skip CI]".to_owned();
        let push: PushEvent = RawPush { message, ..raw() }.try_into().unwrap();
        assert_eq!(push.skip.as_deref(), Some("[skip ci]"));
        assert_eq!(push.message.as_deref(), Some("Fix the till"));
    }

    #[test]
    fn texts_are_cleaned_before_anything_stores_them() {
        for (text, expected) in [
            (
                "Café ☕ \u{1b}[31mred\u{1b}[0m \u{202e}detrevni\u{202c} \u{2028}still the title\n\nsecond line",
                Some("Café ☕ red detrevni still the title"),
            ),
            ("\n \u{2067}\n\nTitle", Some("Title")),
            ("\u{9b}2J\u{85}a\u{2029}b\tc\0", Some("a b c")),
            ("\u{200f}\u{7}", None),
        ] {
            let push: PushEvent = RawPush {
                message: text.into(),
                pusher: text.into(),
                repository: format!("team/shop{}", &text[text.len() - 1..]),
                ..raw()
            }
            .try_into()
            .unwrap();
            assert_eq!(push.message.as_deref(), expected);
            assert_eq!(push.pusher.as_deref(), expected);
            assert!(!push.repository.contains(pipeops_core::text::is_control));
        }
        let reference = "refs/heads/\u{202e}niam".to_owned();
        assert!(PushEvent::try_from(RawPush { reference, ..raw() }).is_err());
    }

    #[test]
    fn what_a_push_must_say_is_asked_for_by_name() {
        let (repository, reference) = (String::new(), String::new());
        let error = PushEvent::try_from(RawPush {
            repository,
            ..raw()
        })
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            "the payload does not name the repository"
        );
        let error = PushEvent::try_from(RawPush { reference, ..raw() }).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the payload does not name the branch or tag"
        );
    }

    #[test]
    fn too_many_paths_are_not_known() {
        let changed = Some(vec!["x".to_owned(); MAX_PATHS + 1]);
        let push: PushEvent = RawPush { changed, ..raw() }.try_into().unwrap();
        assert_eq!(push.changed, None);
    }
}
