//! The step that builds and pushes the image.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pipeops_core::build::DockerfileSource;
use pipeops_core::{BuildRequest, BuiltImage, CacheNamespace, Diagnosis, ImageRef};
use pipeops_registry::RegistryClient;

use super::context::{Context, blocking};
use super::plan::unreadable;
use super::{Plan, PlannedDockerfile, StepFailure};
use crate::clone::Cloned;
use crate::git::GitRef;

/// The branches whose caches a new branch starts with. A push does not say which one is the repository's default; asking for
/// a cache that is not there costs one request.
const DEFAULT_BRANCHES: [&str; 2] = ["main", "master"];

pub(super) async fn build(
    context: &Context<'_>,
    cloned: &Cloned,
    plan: &Plan,
) -> Result<BuiltImage, StepFailure> {
    let image = context.image()?;
    // Before minutes are spent on a build whose push is refused.
    check_push(context, &image).await?;
    let folder = build_context(context.source_folder().await?, plan.clone()).await?;
    let request = request(context, cloned, plan, folder, image);
    let built = context.parts.builder.build(request, context.events);
    built.await.map_err(StepFailure::new)
}

async fn check_push(context: &Context<'_>, image: &ImageRef) -> Result<(), StepFailure> {
    let credentials = Arc::clone(&context.credentials);
    let mut options = context.options.registry.clone();
    if context.project().insecure_registry {
        options = options.plain_http(image.host());
    }
    RegistryClient::new(credentials, options)?
        .check_push(image)
        .await?;
    Ok(())
}

fn request(
    context: &Context<'_>,
    cloned: &Cloned,
    plan: &Plan,
    folder: PathBuf,
    image: ImageRef,
) -> BuildRequest {
    let project = context.project();
    let mut request = BuildRequest::new(folder, image);
    request.dockerfile = match &plan.dockerfile {
        PlannedDockerfile::Own(path) => DockerfileSource::Path(path.clone()),
        PlannedDockerfile::Generated { text, .. } => DockerfileSource::Inline(text.clone()),
    };
    request.build_args = plan.build_args.clone();
    request.labels = labels(context);
    request.target = project.build.target.clone();
    request.platforms = project.build.platforms.clone();
    request.secrets = project.secrets.build.clone();
    request.commit_time = Some(cloned.commit_time);
    request.credentials = Arc::clone(&context.credentials);
    request.insecure_registry = project.insecure_registry;
    if let Some(place) = &context.options.cache {
        let (from, to) = cache_namespace(context, plan).in_bucket(place, &DEFAULT_BRANCHES);
        request.cache_from = from;
        request.cache_to = vec![to];
    }
    request
}

/// <https://github.com/opencontainers/image-spec/blob/main/annotations.md>
fn labels(context: &Context<'_>) -> BTreeMap<String, String> {
    let deployment = &context.claim.deployment;
    let repository = context.project().repository.as_ref();
    BTreeMap::from([
        (
            "org.opencontainers.image.revision".to_owned(),
            deployment.commit.to_string(),
        ),
        (
            "org.opencontainers.image.source".to_owned(),
            repository.map(ToString::to_string).unwrap_or_default(),
        ),
    ])
}

/// Whose cache a deployment's build uses. A tag has its own, and another target of the same Dockerfile too.
fn cache_namespace(context: &Context<'_>, plan: &Plan) -> CacheNamespace {
    let deployment = &context.claim.deployment;
    let branch = match &deployment.reference {
        GitRef::Branch(name) => name.clone(),
        other => other.to_string(),
    };
    let file = match &plan.dockerfile {
        PlannedDockerfile::Own(path) => path.as_str(),
        PlannedDockerfile::Generated { .. } => "generated",
    };
    let target = context.project().build.target.as_deref();
    let dockerfile = dockerfile_key(&plan.context, file, target);
    CacheNamespace::new(&deployment.repository, branch, dockerfile)
}

fn dockerfile_key(folder: &str, file: &str, target: Option<&str>) -> String {
    let target = target
        .map(|target| format!(":{target}"))
        .unwrap_or_default();
    match folder.trim_matches('/') {
        "" | "." => format!("{file}{target}"),
        folder => format!("{folder}/{file}{target}"),
    }
}

/// The app's folder on disk, with the `.dockerignore` of a generated Dockerfile in it.
async fn build_context(source: PathBuf, plan: Plan) -> Result<PathBuf, StepFailure> {
    blocking(move || {
        let folder = folder_inside(&source, &plan.context)?;
        if let PlannedDockerfile::Generated { ignore, .. } = &plan.dockerfile {
            write_unless_there(&folder.join(".dockerignore"), ignore).map_err(unreadable)?;
        }
        Ok(folder)
    })
    .await?
}

/// A folder of the source. A symlink in the repository must not lead the build out of it.
fn folder_inside(source: &Path, path: &str) -> Result<PathBuf, StepFailure> {
    let root = fs::canonicalize(source).map_err(unreadable)?;
    match fs::canonicalize(root.join(path.trim_start_matches('/'))) {
        Ok(folder) if folder.starts_with(&root) && folder.is_dir() => Ok(folder),
        _ => Err(StepFailure::from_diagnosis(
            Diagnosis::new("Build failed: FolderNotFound")
                .error(format!("the app's folder {path:?} is not in the commit"))
                .reason("there is no such folder, or it is a link out of the repository")
                .fix("Correct the app's folder in the project"),
        )),
    }
}

/// `create_new` follows no symlink, and what the repository brings stays as it is.
fn write_unless_there(path: &Path, text: &str) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(mut file) => file.write_all(text.as_bytes()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apps_and_targets_of_a_repository_have_caches_of_their_own() {
        for (folder, file, target, key) in [
            (".", "Dockerfile", None, "Dockerfile"),
            ("", "deploy/Dockerfile", None, "deploy/Dockerfile"),
            ("api/", "generated", None, "api/generated"),
            ("api", "Dockerfile", Some("prod"), "api/Dockerfile:prod"),
        ] {
            assert_eq!(dockerfile_key(folder, file, target), key);
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_link_does_not_lead_the_build_out() {
        let source = tempfile::tempdir().unwrap();
        fs::create_dir(source.path().join("api")).unwrap();
        std::os::unix::fs::symlink("/etc", source.path().join("out")).unwrap();
        assert!(folder_inside(source.path(), "api").is_ok());
        assert!(folder_inside(source.path(), ".").is_ok());
        for path in ["out", "..", "/etc", "api/../..", "nothing"] {
            assert!(folder_inside(source.path(), path).is_err(), "{path}");
        }
    }

    #[test]
    fn a_dockerignore_of_the_repository_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".dockerignore");
        write_unless_there(&path, "first").unwrap();
        write_unless_there(&path, "second").unwrap();
        assert_eq!(fs::read_to_string(path).unwrap(), "first");
    }
}
