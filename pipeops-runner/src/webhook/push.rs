//! A push, as one type for all forges.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::BodyError;
use crate::git::GitRef;
use pipeops_core::CommitSha;

/// Markers that prevent a deployment, in lower case.
const SKIP_MARKERS: [&str; 4] = ["[skip ci]", "[ci skip]", "[no ci]", "[skip deploy]"];

/// Longer lists of changed paths are dropped.
const MAX_PATHS: usize = 10_000;

/// How much of the first line of a commit message is kept, in characters.
const MAX_MESSAGE: usize = 200;

/// A ref that was created, moved or deleted. Its texts come from the forge and are cut to a bounded length.
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
    /// The paths that were added, changed or removed; `None` when the forge doesn't list all of them.
    pub changed: Option<Vec<String>>,
    /// The marker in the newest commit's message that prevents a deployment: `[skip ci]`, `[ci skip]`, `[no ci]` or
    /// `[skip deploy]`.
    pub skip: Option<String>,
}

/// The values of a forge's payload, before they are checked and cut.
#[derive(Debug, Default)]
pub(super) struct RawPush {
    pub(super) repository: String,
    pub(super) reference: String,
    pub(super) before: Option<String>,
    pub(super) after: Option<String>,
    pub(super) pusher: Option<String>,
    pub(super) message: Option<String>,
    pub(super) changed: Option<Vec<String>>,
}

impl TryFrom<RawPush> for PushEvent {
    type Error = BodyError;

    fn try_from(raw: RawPush) -> Result<Self, BodyError> {
        let sha = |text: Option<String>| match text {
            Some(text) => CommitSha::parse_or_zero(&text),
            None => Ok(None),
        };
        Ok(Self {
            repository: raw.repository.chars().take(255).collect(),
            reference: raw.reference.parse()?,
            before: sha(raw.before)?,
            after: sha(raw.after)?,
            pusher: raw.pusher.map(|name| one_line(&name)),
            skip: raw.message.as_deref().and_then(skip_marker),
            message: raw.message.map(|text| one_line(&text)),
            changed: raw.changed.filter(|paths| paths.len() <= MAX_PATHS),
        })
    }
}

/// A commit in a push event of GitHub, GitLab, Gitea and Forgejo.
#[derive(Deserialize)]
pub(super) struct Commit {
    pub(super) id: String,
    pub(super) message: Option<String>,
    #[serde(default)]
    added: Vec<String>,
    #[serde(default)]
    modified: Vec<String>,
    #[serde(default)]
    removed: Vec<String>,
}

/// The changed paths of all commits, each once; `None` when they may be incomplete, because the forge cut the list or the
/// branch is new.
pub(super) fn changed_paths(
    before: Option<&str>,
    commits: &[Commit],
    listed_all: bool,
) -> Option<Vec<String>> {
    let known = before.is_some_and(|sha| sha.bytes().any(|digit| digit != b'0'));
    let complete = known && listed_all && !commits.is_empty();
    complete.then(|| {
        let paths = commits
            .iter()
            .flat_map(|c| c.added.iter().chain(&c.modified).chain(&c.removed));
        let unique: BTreeSet<&String> = paths.collect();
        unique.into_iter().cloned().collect()
    })
}

fn skip_marker(message: &str) -> Option<String> {
    let message = message.to_ascii_lowercase();
    let found = SKIP_MARKERS
        .iter()
        .find(|marker| message.contains(**marker))?;
    Some((*found).to_owned())
}

/// The first line without control characters, cut to [`MAX_MESSAGE`].
fn one_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.chars()
        .filter(|c| !c.is_control())
        .take(MAX_MESSAGE)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw() -> RawPush {
        RawPush {
            repository: "team/shop".into(),
            reference: "refs/heads/main".into(),
            before: Some("0".repeat(40)),
            after: Some("a".repeat(40)),
            ..RawPush::default()
        }
    }

    #[test]
    fn zeros_mean_new_and_deleted() {
        let new: PushEvent = raw().try_into().unwrap();
        assert!(new.before.is_none() && new.after.is_some());
        let raw = RawPush {
            before: Some("a".repeat(40)),
            after: Some("0".repeat(40)),
            ..raw()
        };
        let deleted: PushEvent = raw.try_into().unwrap();
        assert!(deleted.before.is_some() && deleted.after.is_none());
    }

    #[test]
    fn the_whole_message_is_searched_for_a_marker_and_one_line_is_kept() {
        let message = Some("Fix\u{1b}[31m the till\n\nNothing to see. [Skip CI]".to_owned());
        let push: PushEvent = RawPush { message, ..raw() }.try_into().unwrap();
        assert_eq!(push.skip.as_deref(), Some("[skip ci]"));
        assert_eq!(push.message.as_deref(), Some("Fix[31m the till"));
    }

    #[test]
    fn too_many_paths_are_not_known() {
        let changed = Some(vec!["x".to_owned(); MAX_PATHS + 1]);
        let push: PushEvent = RawPush { changed, ..raw() }.try_into().unwrap();
        assert_eq!(push.changed, None);
    }
}
