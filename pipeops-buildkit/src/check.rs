//! What can be seen to be wrong with a build before any daemon is asked.

use std::path::Path;

use pipeops_core::BuildRequest;
use pipeops_core::source::{DirTree, SourceTree, SourceTreeExt};
use pipeops_dockerfile::Dockerfile;

use crate::error::Error;
use crate::session::patterns::{PatternError, Patterns};

/// Refuses names that the daemon would misread.
pub(crate) fn check_names(request: &BuildRequest, push: bool) -> Result<(), Error> {
    let refuse = |field, why: String| Err(Error::Invalid { field, why });
    if push && request.image.tag().is_none() {
        return refuse("image", format!("{} has no tag", request.image));
    }
    if request.image.digest().is_some() {
        return refuse(
            "image",
            format!(
                "{} is pinned to a digest, which the build cannot know",
                request.image
            ),
        );
    }
    if let Some(key) = request
        .build_args
        .keys()
        .find(|key| key.is_empty() || key.contains(['=', '\0']))
    {
        return refuse("build_args", format!("{key:?} is not a name"));
    }
    let platform = |name: &&String| name.is_empty() || name.contains([',', ' ']);
    if let Some(name) = request.platforms.iter().find(platform) {
        return refuse("platforms", format!("{name:?} is not of the form os/arch"));
    }
    Ok(())
}

/// Looks before the daemon does: its own message names no path of the repository.
pub(crate) fn find_dockerfile(context: &Path, path: &str) -> Result<(), Error> {
    if path.starts_with('/') || path == ".." || path.starts_with("../") {
        return Err(Error::Invalid {
            field: "dockerfile",
            why: format!("{path} is outside of the build context"),
        });
    }
    let there = |path: &str| {
        std::fs::symlink_metadata(context.join(path)).is_ok_and(|metadata| !metadata.is_dir())
    };
    // The frontend also takes a file in lower case.
    let lower = path
        .strip_suffix("Dockerfile")
        .map(|folder| format!("{folder}dockerfile"));
    if there(path) || lower.is_some_and(|path| there(&path)) {
        Ok(())
    } else {
        Err(Error::DockerfileMissing {
            path: path.to_owned(),
        })
    }
}

/// The text of a Dockerfile, as far as the frontend reads it; empty when there is none.
pub(crate) fn read_dockerfile(context: &Path, path: &str) -> Vec<u8> {
    let Ok(tree) = DirTree::new(context) else {
        return Vec::new();
    };
    // The frontend also takes a file in lower case.
    let lower = path
        .strip_suffix("Dockerfile")
        .map(|folder| format!("{folder}dockerfile"));
    let read = |path: &str| tree.read(path, Dockerfile::MAX_SIZE).ok().flatten();
    read(path).or_else(|| read(&lower?)).unwrap_or_default()
}

/// Reads the first of these files that is there, as the frontend does: the daemon's own error does not say which pattern is
/// wrong.
pub(crate) fn check_ignore_file(context: &Path, names: &[&str]) -> Result<(), Error> {
    let Ok(tree) = DirTree::new(context) else {
        return Ok(());
    };
    let found = names.iter().find_map(|name| Some((name, tree.text(name)?)));
    let Some((name, text)) = found else {
        return Ok(());
    };
    let refuse = |error: PatternError| Error::Invalid {
        field: ".dockerignore",
        why: format!("{name}: {error}"),
    };
    Patterns::from_dockerignore(text.as_bytes())
        .map(drop)
        .map_err(refuse)
}
