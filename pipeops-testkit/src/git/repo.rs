//! A repository: its commits, branches and tags, created without a git binary.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;

use super::objects::{Files, Mode, Objects, Oid};
use crate::serve::lock;

/// A repository of a [`GitServer`](super::GitServer). Clones of this value refer to the same repository.
#[derive(Clone)]
pub struct Repo {
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

    fn find_commit(&self, sha: &str) -> Result<Oid, CommitError> {
        let oid: Option<Oid> = sha.parse().ok();
        let oid = oid.filter(|oid| self.objects.commit(*oid).is_some());
        oid.ok_or_else(|| CommitError::UnknownCommit {
            sha: sha.to_owned(),
        })
    }
}

/// A change that can't be committed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// The path isn't valid in a tree.
    #[error("{path:?} is not a valid path: {why}")]
    Path {
        /// The path.
        path: String,
        /// Which rule it breaks.
        why: &'static str,
    },
    /// The repository doesn't have the commit.
    #[error("there is no commit {sha}")]
    UnknownCommit {
        /// The SHA that was given.
        sha: String,
    },
}

impl Repo {
    pub(super) fn new(url: String, state: Arc<Mutex<RepoState>>) -> Self {
        Self { url, state }
    }

    /// The URL to clone from.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Commits these files on top of `main` and returns the commit's SHA. Other files are kept.
    ///
    /// # Errors
    /// When one of the paths isn't valid in a tree: empty parts or NUL.
    pub fn commit<P, C>(&self, files: &[(P, C)], message: &str) -> Result<String, CommitError>
    where
        P: AsRef<str>,
        C: AsRef<[u8]>,
    {
        let add =
            |change: Change, (path, content): &(P, C)| change.file(path.as_ref(), content.as_ref());
        files.iter().fold(self.change(), add).commit(message)
    }

    /// Starts a change that can also contain executables and symlinks, or go to another branch.
    pub fn change(&self) -> Change {
        Change {
            repo: self.clone(),
            edits: Vec::new(),
            branch: "main".to_owned(),
            time: None,
        }
    }

    /// The SHA of a branch's last commit.
    pub fn branch(&self, name: &str) -> Option<String> {
        let oid = lock(&self.state).branch(name);
        oid.map(|oid| oid.to_string())
    }

    /// Sets a lightweight tag.
    ///
    /// # Errors
    /// When the repository doesn't have the commit.
    pub fn tag(&self, name: &str, sha: &str) -> Result<(), CommitError> {
        let mut state = lock(&self.state);
        let commit = state.find_commit(sha)?;
        state.refs.insert(tag_ref(name), commit);
        Ok(())
    }

    /// Sets an annotated tag, as `git tag --annotate` does: an object with a message that points to the commit.
    ///
    /// # Errors
    /// When the repository doesn't have the commit.
    pub fn annotated_tag(&self, name: &str, sha: &str, message: &str) -> Result<(), CommitError> {
        let mut state = lock(&self.state);
        let commit = state.find_commit(sha)?;
        let header = format!("tagger {}\n\n{message}\n", signature(state.next_time));
        let tag = state.objects.add_tag(name, commit, &header);
        state.refs.insert(tag_ref(name), tag);
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

/// A commit that is being prepared.
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
    edits: Vec<(String, Mode, Vec<u8>)>,
    branch: String,
    time: Option<Timestamp>,
}

impl Change {
    /// Writes a file. `..` and `.git` are allowed in the path, because a hostile server could send them.
    pub fn file(self, path: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        self.edit(path, Mode::File, content)
    }

    /// Writes an executable file.
    pub fn executable(self, path: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        self.edit(path, Mode::Executable, content)
    }

    /// Writes a symlink. The target isn't checked.
    pub fn symlink(self, path: impl Into<String>, target: impl Into<Vec<u8>>) -> Self {
        self.edit(path, Mode::Symlink, target)
    }

    /// Commits to this branch. A new branch starts at `main`. Default: `main`.
    pub fn branch(mut self, name: impl Into<String>) -> Self {
        self.branch = name.into();
        self
    }

    /// Sets the commit's time, to the second. Default: 2026-01-01T00:00:00Z, plus one minute for each earlier commit.
    pub fn time(mut self, time: Timestamp) -> Self {
        self.time = Some(time);
        self
    }

    /// Creates the commit, moves the branch to it, and returns its SHA.
    ///
    /// # Errors
    /// When one of the paths isn't valid in a tree: empty parts or NUL.
    pub fn commit(self, message: &str) -> Result<String, CommitError> {
        let mut state = lock(&self.repo.state);
        let tip = state.branch(&self.branch).or_else(|| state.branch("main"));
        let parent = tip.and_then(|oid| Some((oid, state.objects.commit(oid)?)));
        let parents: Vec<Oid> = parent.iter().map(|(oid, _)| *oid).collect();
        let mut files = parent
            .map(|(_, info)| info.files.clone())
            .unwrap_or_default();
        for (path, mode, content) in &self.edits {
            make_room(&mut files, path)?;
            let oid = state.objects.add_blob(content.clone().into());
            files.insert(path.clone(), (*mode, oid));
        }
        let seconds = self.time.map_or(state.next_time, Timestamp::as_second);
        state.next_time += 60;
        let who = signature(seconds);
        let header = format!("author {who}\ncommitter {who}\n\n{message}\n");
        let oid = state.objects.add_commit(files, parents, &header);
        state.refs.insert(branch_ref(&self.branch), oid);
        Ok(oid.to_string())
    }

    fn edit(mut self, path: impl Into<String>, mode: Mode, content: impl Into<Vec<u8>>) -> Self {
        self.edits.push((path.into(), mode, content.into()));
        self
    }
}

fn branch_ref(name: &str) -> String {
    format!("refs/heads/{name}")
}

fn tag_ref(name: &str) -> String {
    format!("refs/tags/{name}")
}

/// Who committed or tagged at this time.
fn signature(seconds: i64) -> String {
    format!("PipeOps Testkit <testkit@example.invalid> {seconds} +0000")
}

/// Removes what a new file takes the place of: a file, or a folder.
fn make_room(files: &mut Files, path: &str) -> Result<(), CommitError> {
    check_path(path)?;
    let inside = format!("{path}/");
    files.retain(|other, _| {
        other != path && !other.starts_with(&inside) && !path.starts_with(&format!("{other}/"))
    });
    Ok(())
}

fn check_path(path: &str) -> Result<(), CommitError> {
    let why = if path.contains('\0') {
        "it contains NUL"
    } else if path.split('/').any(str::is_empty) {
        "it has an empty part"
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
        Repo::new(String::new(), Arc::default())
    }

    fn paths(repo: &Repo, sha: &str) -> Vec<String> {
        let state = lock(&repo.state);
        let commit = state.objects.commit(sha.parse().unwrap()).unwrap();
        commit.files.keys().cloned().collect()
    }

    #[test]
    fn a_commit_changes_what_it_names_and_keeps_the_rest() {
        let repo = repo();
        repo.commit(&[("a", "1"), ("d/x", "2"), ("d/y", "3")], "one")
            .unwrap();
        let change = repo.change().file("d", "4").file("e", "5");
        let sha = change.commit("two").unwrap();
        assert_eq!(paths(&repo, &sha), ["a", "d", "e"]);
        let sha = repo
            .commit(&[("a/b", "6")], "a file becomes a folder")
            .unwrap();
        assert_eq!(paths(&repo, &sha), ["a/b", "d", "e"]);
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
    fn impossible_paths_are_errors() {
        let repo = repo();
        for path in ["", "/a", "a//b", "a/", "a\0b"] {
            assert!(repo.commit(&[(path, "")], "x").is_err(), "{path:?}");
        }
    }
}
