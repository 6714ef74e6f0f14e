//! The step that builds and pushes the image.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use pipeops_core::build::{DockerfileSource, S3Cache};
use pipeops_core::diagnosis::codes;
use pipeops_core::{BuildRequest, CacheNamespace, CredentialProvider, Diagnosis, ImageRef};
use pipeops_registry::{ClientOptions, RegistryClient};

use super::source::{blocking, unreadable};
use super::{Plan, PlannedDockerfile, StepFailure};
use crate::deployment::Deployment;
use crate::git::{GitRef, RepositoryUrl};
use crate::project::Project;

/// The branches whose caches a new branch starts with. A push doesn't name the default branch, and a missing cache costs only
/// one request.
const DEFAULT_BRANCHES: [&str; 2] = ["main", "master"];

/// Checks that the registry accepts the push before the build starts.
pub(super) async fn check_push(
    image: &ImageRef,
    credentials: &Arc<dyn CredentialProvider>,
    mut options: ClientOptions,
    plain_http: bool,
) -> Result<(), StepFailure> {
    if plain_http {
        options = options.plain_http(image.host());
    }
    let client = RegistryClient::new(Arc::clone(credentials), options)?;
    Ok(client.check_push(image).await?)
}

/// The request to the builder, without credentials and cache.
pub(super) fn request(
    project: &Project,
    plan: &Plan,
    folder: PathBuf,
    image: ImageRef,
    commit_time: Timestamp,
) -> BuildRequest {
    let mut request = BuildRequest::new(folder, image);
    request.dockerfile = match &plan.dockerfile {
        PlannedDockerfile::Own(path) => DockerfileSource::Path(path.clone()),
        PlannedDockerfile::Generated { text, ignore } => {
            request.dockerignore = Some(ignore.clone());
            DockerfileSource::Inline(text.clone())
        }
    };
    request.build_args = plan.build_args.clone();
    request.target = project.build.target.clone();
    request.platforms = project.build.platforms.clone();
    request.secrets = project.secrets.build.clone();
    request.commit_time = Some(commit_time);
    request.insecure_registry = project.insecure_registry;
    request
}

/// <https://github.com/opencontainers/image-spec/blob/main/annotations.md>
pub(super) fn labels(
    deployment: &Deployment,
    repository: &RepositoryUrl,
) -> BTreeMap<String, String> {
    [
        ("revision", deployment.commit.to_string()),
        ("source", repository.to_string()),
    ]
    .map(|(name, value)| (format!("org.opencontainers.image.{name}"), value))
    .into()
}

/// Sets the cache of the build. Each branch, tag, Dockerfile and target has its own.
pub(super) fn set_cache(
    request: &mut BuildRequest,
    cache: &S3Cache,
    deployment: &Deployment,
    plan: &Plan,
) {
    let branch = match &deployment.reference {
        GitRef::Branch(name) => name.clone(),
        other => other.to_string(),
    };
    let file = match &plan.dockerfile {
        PlannedDockerfile::Own(path) => path.as_str(),
        PlannedDockerfile::Generated { .. } => "generated",
    };
    let dockerfile = dockerfile_key(&plan.context, file, request.target.as_deref());
    let namespace = CacheNamespace::new(&deployment.repository, branch, dockerfile);
    let (from, to) = namespace.in_bucket(cache, &DEFAULT_BRANCHES);
    request.cache_from = from;
    request.cache_to = vec![to];
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

/// The folder of the app on disk.
pub(super) async fn context(source: PathBuf, path: String) -> Result<PathBuf, StepFailure> {
    blocking(move || folder_inside(&source, &path)).await?
}

/// A folder of the source. Refuses symlinks that lead out of the repository.
fn folder_inside(source: &Path, path: &str) -> Result<PathBuf, StepFailure> {
    let root = fs::canonicalize(source).map_err(unreadable)?;
    match fs::canonicalize(root.join(path.trim_start_matches('/'))) {
        Ok(folder) if folder.starts_with(&root) && folder.is_dir() => Ok(folder),
        _ => Err(StepFailure::from_diagnosis(
            Diagnosis::new(&codes::deployment::FOLDER_NOT_FOUND)
                .error(format!("the app folder {path:?} is not in the commit"))
                .reason("the folder does not exist, or is a symlink out of the repository"),
        )),
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
    fn a_generated_dockerfile_has_its_own_ignore_file_and_the_repository_is_not_changed() {
        let folder = tempfile::tempdir().unwrap();
        let project = Project::new("shop").unwrap();
        let image: ImageRef = "r.io/shop:1".parse().unwrap();
        let mut plan: Plan = serde_json::from_value(serde_json::json!({
            "context": ".", "buildArgs": {}, "dockerfile": {"generated": {"text": "FROM scratch", "ignore": "a"}},
            "language": null, "port": null, "uid": null,
        }))
        .unwrap();
        let request = |plan: &Plan| {
            request(
                &project,
                plan,
                folder.path().to_owned(),
                image.clone(),
                Timestamp::UNIX_EPOCH,
            )
        };
        assert_eq!(request(&plan).dockerignore.as_deref(), Some("a"));
        plan.dockerfile = PlannedDockerfile::Own("Dockerfile".to_owned());
        assert_eq!(request(&plan).dockerignore, None);
    }
}
