//! The commit that `pipeops deploy` deploys.

use std::process::{Command, Stdio};

use pipeops::core::Diagnose;
use pipeops::runner::CommitSha;
use pipeops::runner::Project;
use pipeops::runner::clone::{CloneError, GitFetcher};

use crate::near::nearest;
use crate::output::CommandError;

/// A commit, and how it was chosen.
pub struct Revision {
    /// The commit.
    pub commit: CommitSha,
    /// How it was chosen, such as `the head of main`; empty for a full SHA.
    pub origin: String,
}

impl Revision {
    /// The commit that `wanted` names. By default, the HEAD of the checkout in the current folder, or else of `branch`.
    ///
    /// Names are resolved at the git server. In a checkout, the local repository resolves HEAD, and what the server doesn't know
    /// as a branch or tag, such as a short SHA.
    pub async fn find(
        project: &Project,
        branch: &str,
        wanted: Option<&str>,
    ) -> Result<Self, CommandError> {
        let name = wanted.unwrap_or("HEAD");
        let local = || commit_in_checkout(project, name);
        if is_head(name)
            && let Some(commit) = local()
        {
            return Ok(Self::new(commit, format!("{name} of this checkout")));
        }
        let name = wanted.unwrap_or(branch);
        let error = match GitFetcher.resolve(project, name).await {
            Ok(commit) if commit.as_str() == name => return Ok(Self::new(commit, String::new())),
            Ok(commit) => return Ok(Self::new(commit, format!("{name} at the git server"))),
            Err(error) => error,
        };
        match (&error, local()) {
            (CloneError::UnknownRevision { .. }, Some(commit)) => {
                Ok(Self::new(commit, format!("{name} of this checkout")))
            }
            (CloneError::UnknownRevision { .. }, None) => Err(unknown(project, name, &error).await),
            (CloneError::AmbiguousRevision { .. }, _) => {
                Err(CommandError::bad_input(error.diagnosis()))
            }
            _ => Err(error.into()),
        }
    }

    fn new(commit: CommitSha, origin: String) -> Self {
        Self { commit, origin }
    }
}

/// Whether a name means the HEAD of a checkout or a commit before it: `HEAD`, `HEAD~2`, `HEAD^`, `HEAD@{1}`.
fn is_head(name: &str) -> bool {
    let rest = name.strip_prefix("HEAD");
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['~', '^', '@']))
}

/// The error for a name that the git server doesn't have, with the nearest names that it has.
async fn unknown(project: &Project, name: &str, error: &CloneError) -> CommandError {
    let mut diagnosis = error.diagnosis();
    let known = GitFetcher.refs(project).await.unwrap_or_default();
    let near = nearest(name, known);
    if !near.is_empty() {
        let near = format!("Use one of the nearest names: {}", near.join(", "));
        diagnosis.fixes.insert(0, near);
    }
    CommandError::not_found(diagnosis)
}

/// The commit that the repository of the current folder has under a name, if it is a clone of the project's repository.
fn commit_in_checkout(project: &Project, name: &str) -> Option<CommitSha> {
    let wanted = place(project.repository.as_ref()?.as_str())?;
    let remotes = git(&["config", "--get-regexp", r"^remote\..*\.url$"])?;
    let mut urls = remotes.lines().filter_map(|line| line.split_once(' '));
    if !urls.any(|(_, url)| place(url).as_ref() == Some(&wanted)) {
        return None;
    }
    let name = format!("{name}^{{commit}}");
    let commit = git(&[
        "rev-parse",
        "--quiet",
        "--verify",
        "--end-of-options",
        &name,
    ])?;
    commit.trim().parse().ok()
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then_some(text)
}

/// Host and path of a repository's URL: `https://git.example.com/a/b.git` and `git@git.example.com:a/b` are one place.
fn place(url: &str) -> Option<(String, String)> {
    let (authority, path) = match url.split_once("://") {
        Some((_, rest)) => rest.split_once('/')?,
        None => url.split_once(':')?,
    };
    let host = authority.rsplit('@').next()?;
    let host = host.split(':').next()?.to_lowercase();
    let path = path.trim_matches('/');
    Some((host, path.strip_suffix(".git").unwrap_or(path).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_one_repository_are_one_place() {
        let place = |url| place(url).unwrap();
        let https = place("https://git.example.com/team/shop.git");
        for same in [
            "https://bob:token@Git.Example.com/team/shop",
            "ssh://git@git.example.com:2222/team/shop.git",
            "git@git.example.com:team/shop.git",
        ] {
            assert_eq!(place(same), https, "{same}");
        }
        assert_ne!(place("https://git.example.com/team/shop2.git"), https);
        assert_ne!(place("https://example.com/team/shop.git"), https);
    }
}
