//! The configuration of a deployment, checked before its first step.

use std::sync::Arc;

use pipeops_core::diagnosis::codes;
use pipeops_core::{Credential, CredentialProvider, Diagnosis, ImageRef};
use pipeops_registry::{Chain, StaticCredentials};

use super::{Deployer, PipelineParts, StepFailure};
use crate::git::RepositoryUrl;
use crate::project::{Environment, Missing, Project};
use crate::queue::Claim;

/// The complete configuration of one deployment.
pub(super) struct Job<'a> {
    pub(super) repository: &'a RepositoryUrl,
    pub(super) environment: &'a Environment,
    pub(super) deployer: &'a dyn Deployer,
    /// The name of the image, with the commit as its tag.
    pub(super) image: ImageRef,
    /// The project's login first, then the credentials of the service.
    pub(super) credentials: Arc<dyn CredentialProvider>,
}

impl<'a> Job<'a> {
    /// # Errors
    /// When the project lacks a setting, which only happens in manual deployments.
    pub(super) fn new(claim: &'a Claim, parts: &'a PipelineParts) -> Result<Self, StepFailure> {
        let project = &claim.project;
        let lacks = |missing| incomplete(project, &missing);
        let repository = project.repository.as_ref();
        let image = project.image.as_ref();
        let image = image.ok_or_else(|| lacks(Missing::Registry))?;
        let environment = project.find_environment(&claim.deployment.environment);
        let environment = environment.ok_or_else(|| lacks(Missing::Environment))?;
        Ok(Self {
            repository: repository.ok_or_else(|| lacks(Missing::Repository))?,
            environment,
            deployer: deployer(parts, environment).map_err(lacks)?,
            image: image.with_tag(claim.deployment.commit.as_str())?,
            credentials: credentials(parts, project, image),
        })
    }
}

fn deployer<'a>(
    parts: &'a PipelineParts,
    environment: &Environment,
) -> Result<&'a dyn Deployer, Missing> {
    let name = environment.cluster.as_deref().unwrap_or_default();
    match parts.clusters.get(name) {
        Some(deployer) => Ok(&**deployer),
        None => Err(Missing::UnknownCluster {
            environment: environment.name.clone(),
            cluster: name.to_owned(),
            known: parts.clusters.keys().cloned().collect(),
        }),
    }
}

fn credentials(
    parts: &PipelineParts,
    project: &Project,
    image: &ImageRef,
) -> Arc<dyn CredentialProvider> {
    let shared = Arc::clone(&parts.credentials);
    let Some(login) = &project.secrets.registry else {
        return shared;
    };
    let credential = Credential::basic(&login.username, login.password.clone());
    let own = StaticCredentials::new().with(image.host(), credential);
    Arc::new(Chain::new().with(own).with_shared(shared))
}

fn incomplete(project: &Project, missing: &Missing) -> StepFailure {
    StepFailure::from_diagnosis(
        Diagnosis::new(&codes::project::INCOMPLETE)
            .title("Deployment failed: ProjectIncomplete")
            .error(format!("project {} lacks {missing}", project.name))
            .reason("the project is incomplete")
            .fixes([missing.fix()]),
    )
}
