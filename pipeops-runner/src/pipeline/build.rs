//! The step that builds and pushes the image.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pipeops_core::build::{BuildCache, DockerfileSource, S3Cache};
use pipeops_core::{BuildRequest, BuiltImage, Diagnosis, ImageRef};
use pipeops_registry::RegistryClient;
use sha2::{Digest, Sha256};

use super::context::{Context, blocking};
use super::plan::unreadable;
use super::{Plan, PlannedDockerfile, StepFailure};
use crate::clone::Cloned;
use crate::git::GitRef;

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
    if let Some(cache) = &context.options.cache {
        let cache = named_cache(context, plan, cache);
        request.cache_from = vec![BuildCache::S3(cache.clone())];
        request.cache_to = vec![BuildCache::S3(cache)];
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

/// One cache for each repository, branch and Dockerfile: branches do not push out each other's layers.
fn named_cache(context: &Context<'_>, plan: &Plan, cache: &S3Cache) -> S3Cache {
    let deployment = &context.claim.deployment;
    let dockerfile = match &plan.dockerfile {
        PlannedDockerfile::Own(path) => path.as_str(),
        PlannedDockerfile::Generated { .. } => "",
    };
    let mut cache = cache.clone();
    cache.name = cache_name(
        &deployment.repository,
        &deployment.reference,
        &format!("{}/{dockerfile}", plan.context),
    );
    cache
}

/// A name for people to recognize and a hash that tells apart what looks alike; BuildKit splits names at `;`.
fn cache_name(repository: &str, reference: &GitRef, dockerfile: &str) -> String {
    let readable: String = format!("{repository}-{}", reference.name())
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .take(80)
        .collect();
    let hash = Sha256::digest(format!("{repository}\n{reference}\n{dockerfile}"));
    format!("{readable}-{}", hex::encode(&hash[..6]))
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
    fn caches_of_branches_differ_and_their_names_are_safe() {
        let name =
            |branch: &str, file| cache_name("team/shop", &GitRef::Branch(branch.into()), file);
        assert_ne!(name("a/b", "f"), name("a-b", "f"));
        assert_ne!(name("main", "f"), name("main", "g"));
        let odd = name("x;y/../é", "f");
        assert!(
            odd.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'),
            "{odd}"
        );
        assert!(name(&"x".repeat(300), "f").len() < 100);
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
