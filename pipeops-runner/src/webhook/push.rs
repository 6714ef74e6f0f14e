//! A push, the same type for all forges.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::BodyError;
use crate::git::GitRef;
use pipeops_core::CommitSha;

/// Markers in a commit's message that prevent a deployment.
const SKIP_MARKERS: [&str; 4] = ["[skip ci]", "[ci skip]", "[no ci]", "[skip deploy]"];

/// Longer lists of changed paths count as unknown.
const MAX_PATHS: usize = 10_000;

/// The longest first line of a commit's message that is kept, in characters.
const MAX_MESSAGE: usize = 200;

/// One ref that moved. All its text comes from the forge, with bounded lengths.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct PushEvent {
    /// The repository's path inside the forge: `team/shop`.
    pub repository: String,
    /// Where the forge says that it can be cloned from. For people: the configured URL is the one that is used.
    pub clone_url: Option<String>,
    /// The branch or tag.
    pub reference: GitRef,
    /// Where it was; `None` when it is new.
    pub before: Option<CommitSha>,
    /// The commit where it is now; `None` when it was deleted.
    pub after: Option<CommitSha>,
    /// Whether history was rewritten; `None` when the forge does not say.
    pub forced: Option<bool>,
    /// Who pushed.
    pub pusher: Option<String>,
    /// The first line of the newest commit's message.
    pub message: Option<String>,
    /// Paths that were added, changed or removed; `None` when the forge does not list all of them.
    pub changed: Option<Vec<String>>,
    /// The marker in the newest commit's message that asks for no deployment: `[skip ci]`.
    pub skip: Option<String>,
}

impl PushEvent {
    /// True when the ref did not exist before.
    pub fn is_new(&self) -> bool {
        self.before.is_none()
    }

    /// True when the ref is gone.
    pub fn is_deleted(&self) -> bool {
        self.after.is_none()
    }
}

/// The raw values that the forges' own structures are read into, before they are checked and cut.
#[derive(Debug, Default)]
pub(super) struct RawPush {
    pub(super) repository: String,
    pub(super) clone_url: Option<String>,
    pub(super) reference: String,
    pub(super) before: Option<String>,
    pub(super) after: Option<String>,
    pub(super) forced: Option<bool>,
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
            repository: cut_bytes(&raw.repository, 255),
            clone_url: raw.clone_url.map(|url| cut_bytes(&url, 1024)),
            reference: raw.reference.parse()?,
            before: sha(raw.before)?,
            after: sha(raw.after)?,
            forced: raw.forced,
            pusher: raw.pusher.map(|name| one_line(&name)),
            skip: raw.message.as_deref().and_then(skip_marker),
            message: raw.message.map(|text| one_line(&text)),
            changed: raw.changed.filter(|paths| paths.len() <= MAX_PATHS),
        })
    }
}

/// A commit as GitHub, GitLab and Gitea list it in a push event.
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

/// The paths of all commits together, each once; `None` where they cannot be all that differs from `before`: the forge
/// cut the list, or the branch is new.
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

/// The first line without control characters, cut.
fn one_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.chars()
        .filter(|c| !c.is_control())
        .take(MAX_MESSAGE)
        .collect()
}

fn cut_bytes(text: &str, longest: usize) -> String {
    let mut end = text.len().min(longest);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
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
        assert!(new.is_new() && !new.is_deleted());
        let raw = RawPush {
            before: Some("a".repeat(40)),
            after: Some("0".repeat(40)),
            ..raw()
        };
        let deleted: PushEvent = raw.try_into().unwrap();
        assert!(deleted.is_deleted() && !deleted.is_new());
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
