//! A repository: its commits, branches and tags, made without a git binary.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;

use super::objects::{CommitInfo, Files, Mode, Objects, Oid};
use crate::serve::lock;

/// A repository of a [`GitServer`](super::GitServer). Clones are the same repository.
#[derive(Clone)]
pub struct Repo {
    name: String,
    url: String,
    state: Arc<Mutex<RepoState>>,
}

/// What the server reads.
#[derive(Debug)]
pub(super) struct RepoState {
    pub(super) objects: Objects,
    /// All references but HEAD, by full name.
    pub(super) refs: BTreeMap<String, Oid>,
    /// The branch that HEAD stands for.
    pub(super) head_ref: String,
    /// Seconds since 1970 of the next commit for which no time is set.
    next_time: i64,
}

impl Default for RepoState {
    fn default() -> Self {
        Self {
            objects: Objects::default(),
            refs: BTreeMap::new(),
            head_ref: "refs/heads/main".to_owned(),
            next_time: FIRST_COMMIT,
        }
    }
}

/// 2026-01-01T00:00:00Z: without times set, equal commits have equal names in every run.
const FIRST_COMMIT: i64 = 1_767_225_600;

impl RepoState {
    pub(super) fn head(&self) -> Option<Oid> {
        self.refs.get(&self.head_ref).copied()
    }

    fn branch(&self, name: &str) -> Option<Oid> {
        self.refs.get(&branch_ref(name)).copied()
    }
}

/// A change that cannot be committed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// A path that no tree can hold.
    #[error("a tree cannot hold the path {path:?}: {why}")]
    Path {
        /// The path.
        path: String,
        /// Which rule it breaks.
        why: &'static str,
    },
    /// The parent is not in the repository.
    #[error("there is no commit {sha}")]
    UnknownCommit {
        /// What was given as its SHA.
        sha: String,
    },
}

impl Repo {
    pub(super) fn new(name: String, url: String, state: Arc<Mutex<RepoState>>) -> Self {
        Self { name, url, state }
    }

    /// The name under which it was created.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it is cloned from.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Commits these files on top of `main` and answers the commit's SHA. Files that are not named stay as they are.
    ///
    /// # Errors
    /// When a tree cannot hold one of the paths.
    pub fn commit<P, C>(&self, files: &[(P, C)], message: &str) -> Result<String, CommitError>
    where
        P: AsRef<str>,
        C: AsRef<[u8]>,
    {
        let add =
            |change: Change, (path, content): &(P, C)| change.file(path.as_ref(), content.as_ref());
        files.iter().fold(self.change(), add).commit(message)
    }

    /// A change with more to it: executables, symlinks, deletions, another branch.
    pub fn change(&self) -> Change {
        Change {
            repo: self.clone(),
            edits: Vec::new(),
            branch: "main".to_owned(),
            onto: None,
            time: None,
        }
    }

    /// The SHA of a branch's last commit.
    pub fn branch(&self, name: &str) -> Option<String> {
        let oid = lock(&self.state).branch(name);
        oid.map(|oid| oid.to_string())
    }

    /// Names a commit by a light-weight tag.
    ///
    /// # Errors
    /// When the repository has no such commit.
    pub fn tag(&self, name: &str, sha: &str) -> Result<(), CommitError> {
        let mut state = lock(&self.state);
        let oid = find(&state, sha)?.0;
        state.refs.insert(format!("refs/tags/{name}"), oid);
        Ok(())
    }
}

impl fmt::Debug for Repo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Repo")
            .field("url", &self.url)
            .field("refs", &lock(&self.state).refs)
            .finish_non_exhaustive()
    }
}

/// A commit in the making.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = pipeops_testkit::git::GitServer::start(Default::default()).await?;
/// let repo = server.create("team/app");
/// let sha = repo
///     .change()
///     .executable("start.sh", "#!/bin/sh\n")
///     .symlink("latest", "start.sh")
///     .commit("First")?;
/// assert_eq!(repo.branch("main"), Some(sha));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
#[must_use = "nothing changes until `commit` is called"]
pub struct Change {
    repo: Repo,
    edits: Vec<(String, Edit)>,
    branch: String,
    onto: Option<String>,
    time: Option<Timestamp>,
}

#[derive(Debug, Clone)]
enum Edit {
    Write(Mode, Vec<u8>),
    Remove,
}

impl Change {
    /// Writes a file. Paths are taken as they are: `..` and `.git` are what a hostile server could send.
    pub fn file(self, path: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        self.edit(path, Edit::Write(Mode::File, content.into()))
    }

    /// Writes a file that may be executed.
    pub fn executable(self, path: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        self.edit(path, Edit::Write(Mode::Executable, content.into()))
    }

    /// Writes a symlink. Its target is not checked.
    pub fn symlink(self, path: impl Into<String>, target: impl Into<Vec<u8>>) -> Self {
        self.edit(path, Edit::Write(Mode::Symlink, target.into()))
    }

    /// Removes a file, or a folder with all that is in it.
    pub fn remove(self, path: impl Into<String>) -> Self {
        self.edit(path, Edit::Remove)
    }

    /// Commits to this branch, which begins at `main` when it is new. Default: `main`.
    pub fn branch(mut self, name: impl Into<String>) -> Self {
        self.branch = name.into();
        self
    }

    /// Commits on top of this commit, whatever the branch holds: what a forced push does.
    pub fn onto(mut self, sha: impl Into<String>) -> Self {
        self.onto = Some(sha.into());
        self
    }

    /// The commit's time, to the second. Default: 2026-01-01, and a minute later for each commit of the repository.
    pub fn time(mut self, time: Timestamp) -> Self {
        self.time = Some(time);
        self
    }

    /// Makes the commit, moves the branch to it, and answers its SHA.
    ///
    /// # Errors
    /// When a tree cannot hold one of the paths, or the parent is not in the repository.
    pub fn commit(self, message: &str) -> Result<String, CommitError> {
        let mut state = lock(&self.repo.state);
        let parent = match &self.onto {
            Some(sha) => Some(find(&state, sha)?),
            None => {
                let tip = state.branch(&self.branch).or_else(|| state.branch("main"));
                tip.and_then(|oid| Some((oid, state.objects.commit(oid)?)))
            }
        };
        let parents: Vec<Oid> = parent.iter().map(|(oid, _)| *oid).collect();
        let mut files = parent
            .map(|(_, info)| info.files.clone())
            .unwrap_or_default();
        for (path, edit) in &self.edits {
            apply(&mut state.objects, &mut files, path, edit)?;
        }
        let seconds = self.time.map_or(state.next_time, Timestamp::as_second);
        state.next_time += 60;
        let who = format!("PipeOps Testkit <testkit@example.invalid> {seconds} +0000");
        let header = format!("author {who}\ncommitter {who}\n\n{message}\n");
        let oid = state.objects.add_commit(files, parents, &header);
        state.refs.insert(branch_ref(&self.branch), oid);
        Ok(oid.to_string())
    }

    fn edit(mut self, path: impl Into<String>, edit: Edit) -> Self {
        self.edits.push((path.into(), edit));
        self
    }
}

fn branch_ref(name: &str) -> String {
    format!("refs/heads/{name}")
}

fn find<'a>(state: &'a RepoState, sha: &str) -> Result<(Oid, &'a CommitInfo), CommitError> {
    let oid = sha.parse::<Oid>().ok();
    oid.and_then(|oid| Some((oid, state.objects.commit(oid)?)))
        .ok_or_else(|| CommitError::UnknownCommit {
            sha: sha.to_owned(),
        })
}

fn apply(
    objects: &mut Objects,
    files: &mut Files,
    path: &str,
    edit: &Edit,
) -> Result<(), CommitError> {
    check_path(path)?;
    // A file takes the place of a folder, and a folder that of a file.
    let inside = format!("{path}/");
    files.retain(|other, _| {
        other != path && !other.starts_with(&inside) && !path.starts_with(&format!("{other}/"))
    });
    if let Edit::Write(mode, content) = edit {
        let oid = objects.add_blob(content.clone().into());
        files.insert(path.to_owned(), (*mode, oid));
    }
    Ok(())
}

fn check_path(path: &str) -> Result<(), CommitError> {
    let why = if path.contains('\0') {
        "it holds a NUL"
    } else if path.split('/').any(str::is_empty) {
        "a part of it is empty"
    } else {
        return Ok(());
    };
    Err(CommitError::Path {
        path: path.to_owned(),
        why,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repo() -> Repo {
        Repo::new("r".to_owned(), String::new(), Arc::default())
    }

    fn paths(repo: &Repo, sha: &str) -> Vec<String> {
        let state = lock(&repo.state);
        find(&state, sha).unwrap().1.files.keys().cloned().collect()
    }

    #[test]
    fn a_commit_changes_what_it_names_and_keeps_the_rest() {
        let repo = repo();
        repo.commit(&[("a", "1"), ("d/x", "2"), ("d/y", "3")], "one")
            .unwrap();
        let change = repo.change().remove("d").file("a", "4").file("e", "5");
        let sha = change.commit("two").unwrap();
        assert_eq!(paths(&repo, &sha), ["a", "e"]);
        let sha = repo
            .commit(&[("a/b", "6")], "a file becomes a folder")
            .unwrap();
        assert_eq!(paths(&repo, &sha), ["a/b", "e"]);
    }

    #[test]
    fn equal_histories_have_equal_names() {
        let history = || {
            let repo = repo();
            repo.commit(&[("a", "1")], "one").unwrap();
            repo.commit(&[("a", "2")], "two").unwrap()
        };
        assert_eq!(history(), history());
    }

    #[test]
    fn a_forced_push_leaves_the_old_commit_reachable_by_name() {
        let repo = repo();
        let first = repo.commit(&[("a", "1")], "one").unwrap();
        let lost = repo.commit(&[("a", "2")], "two").unwrap();
        let new = repo
            .change()
            .onto(&first)
            .file("a", "3")
            .commit("three")
            .unwrap();
        assert_eq!(repo.branch("main"), Some(new));
        assert_eq!(paths(&repo, &lost), ["a"]);
    }

    #[test]
    fn impossible_paths_and_parents_are_errors() {
        let repo = repo();
        for path in ["", "/a", "a//b", "a/", "a\0b"] {
            assert!(repo.commit(&[(path, "")], "x").is_err(), "{path:?}");
        }
        let unknown = repo.change().onto("1234").commit("x");
        assert!(matches!(unknown, Err(CommitError::UnknownCommit { .. })));
    }
}
