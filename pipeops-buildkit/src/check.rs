//! Checks of a request that need no daemon.

use std::path::Path;

use pipeops_core::BuildRequest;
use pipeops_core::build::DockerfileSource;
use pipeops_core::source::{DirTree, SourceTree, SourceTreeExt};
use pipeops_dockerfile::Dockerfile;

use crate::error::Error;
use crate::session::patterns::{PatternError, Patterns, clean};

/// Rejects names that the daemon would misread.
pub(crate) fn check_names(request: &BuildRequest, push: bool) -> Result<(), Error> {
    let refuse = |field, why: String| Err(Error::Invalid { field, why });
    if push && request.image.tag().is_none() {
        return refuse("image", format!("{} has no tag", request.image));
    }
    if request.image.digest().is_some() {
        return refuse(
            "image",
            format!(
                "{} has a digest, which is unknown before the build",
                request.image
            ),
        );
    }
    if let Some(key) = request
        .build_args
        .keys()
        .find(|key| key.is_empty() || key.contains(['=', '\0']))
    {
        return refuse("build_args", format!("{key:?} is not a valid name"));
    }
    let platform = |name: &&String| name.is_empty() || name.contains([',', ' ']);
    if let Some(name) = request.platforms.iter().find(platform) {
        return refuse(
            "platforms",
            format!("{name:?} is not of the form os/arch[/variant]"),
        );
    }
    Ok(())
}

/// Fails when the context has no Dockerfile at `path`. The daemon's own message names no path of the repository.
pub(crate) fn find_dockerfile(context: &Path, path: &str) -> Result<(), Error> {
    if path.starts_with('/') || path == ".." || path.starts_with("../") {
        return Err(Error::Invalid {
            field: "dockerfile",
            why: format!("{path} is outside the build context"),
        });
    }
    let there = |path: &str| {
        std::fs::symlink_metadata(context.join(path)).is_ok_and(|metadata| !metadata.is_dir())
    };
    if there(path) || lower_case(path).is_some_and(|path| there(&path)) {
        Ok(())
    } else {
        Err(Error::DockerfileMissing {
            path: path.to_owned(),
        })
    }
}

/// The Dockerfile of a request, truncated as the frontend does; empty if there is none.
pub(crate) fn dockerfile_text(request: &BuildRequest) -> Vec<u8> {
    match &request.dockerfile {
        DockerfileSource::Inline(text) => text.clone().into_bytes(),
        DockerfileSource::Path(path) => {
            let path = clean(path);
            let Ok(tree) = DirTree::new(&request.context) else {
                return Vec::new();
            };
            let read = |path: &str| tree.read(path, Dockerfile::MAX_SIZE).ok().flatten();
            let lower = || read(&lower_case(&path)?);
            read(&path).or_else(lower).unwrap_or_default()
        }
        _ => Vec::new(),
    }
}

/// The frontend also accepts a file named `dockerfile`.
fn lower_case(path: &str) -> Option<String> {
    let folder = path.strip_suffix("Dockerfile")?;
    Some(format!("{folder}dockerfile"))
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
    check_ignore_text(name, &text)
}

/// Reads the text of the ignore file of this name.
pub(crate) fn check_ignore_text(name: &str, text: &str) -> Result<(), Error> {
    let refuse = |error: PatternError| Error::Invalid {
        field: ".dockerignore",
        why: format!("{name}: {error}"),
    };
    Patterns::from_dockerignore(text.as_bytes())
        .map(drop)
        .map_err(refuse)
}
