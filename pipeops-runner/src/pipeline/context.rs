//! What the steps of one deployment share.

use std::path::PathBuf;
use std::sync::Arc;

use pipeops_core::{Credential, CredentialProvider, Diagnosis, EventKind, EventSink, ImageRef};
use pipeops_registry::{Chain, StaticCredentials};
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;

use super::{Pipeline, PipelineOptions, PipelineParts, StepFailure};
use crate::clone::{CloneRequest, Cloned, source_folder};
use crate::deployment::Status;
use crate::hub::DeploymentEvents;
use crate::project::{Environment, Missing, Project};
use crate::queue::Claim;
use crate::store::{DeploymentFilter, StoreError};
use crate::workspace::Workspace;

/// The command that diagnoses of registry logins name; it takes the project's name.
const UPDATE_LOGIN: &str = "pipeops project registry update";

/// Everything that the steps of one deployment share.
pub(super) struct Context<'a> {
    pub(super) parts: &'a PipelineParts,
    pub(super) options: &'a PipelineOptions,
    pub(super) claim: &'a Claim,
    pub(super) events: &'a DeploymentEvents,
    /// The project's own login first, then the service's credentials.
    pub(super) credentials: Arc<dyn CredentialProvider>,
    source: OnceCell<Source>,
}

/// The source of the commit, in a workspace that lives as long as this.
struct Source {
    workspace: Arc<Workspace>,
    cloned: Cloned,
}

impl<'a> Context<'a> {
    pub(super) fn new(
        pipeline: &'a Pipeline,
        claim: &'a Claim,
        events: &'a DeploymentEvents,
    ) -> Self {
        Self {
            parts: &pipeline.parts,
            options: &pipeline.options,
            credentials: credentials(&pipeline.parts, &claim.project),
            claim,
            events,
            source: OnceCell::new(),
        }
    }

    pub(super) fn project(&self) -> &Project {
        &self.claim.project
    }

    pub(super) fn environment(&self) -> Result<&Environment, StepFailure> {
        let name = &self.claim.deployment.environment;
        self.project()
            .find_environment(name)
            .ok_or_else(|| self.incomplete(&Missing::Environment))
    }

    /// The image's name with the commit as its tag.
    pub(super) fn image(&self) -> Result<ImageRef, StepFailure> {
        let image = self.project().image.as_ref();
        let image = image.ok_or_else(|| self.incomplete(&Missing::Registry))?;
        Ok(image.with_tag(self.claim.deployment.commit.as_str())?)
    }

    /// Fetches the commit, once for each process that works on the deployment.
    pub(super) async fn fetch_source(&self) -> Result<Cloned, StepFailure> {
        Ok(self.source().await?.cloned.clone())
    }

    /// The folder with the commit's files; fetched when this process does not have them yet.
    pub(super) async fn source_folder(&self) -> Result<PathBuf, StepFailure> {
        Ok(source_folder(&self.source().await?.workspace))
    }

    async fn source(&self) -> Result<&Source, StepFailure> {
        self.source.get_or_try_init(|| self.make_source()).await
    }

    async fn make_source(&self) -> Result<Source, StepFailure> {
        let project = self.project();
        let url = project.repository.clone();
        let url = url.ok_or_else(|| self.incomplete(&Missing::Repository))?;
        let workspaces = self.parts.workspaces.clone();
        let workspace = blocking(move || workspaces.create()).await??;
        let workspace = Arc::new(workspace);
        let request = CloneRequest::new(url, self.claim.deployment.commit.clone())
            .login(project.secrets.git.clone())
            .limits(self.options.clone);
        let fetched = self.parts.fetcher.fetch(&workspace, &request).await;
        let cloned = fetched.map_err(StepFailure::new)?;
        Ok(Source { workspace, cloned })
    }

    pub(super) fn warn(&self, message: impl Into<String>) {
        let message = message.into();
        self.events.emit(EventKind::Warning { message });
    }

    /// Something that was configured when the deployment was stored is not: only possible when it was made by hand.
    pub(super) fn incomplete(&self, missing: &Missing) -> StepFailure {
        let project = &self.project().name;
        StepFailure::from_diagnosis(
            Diagnosis::new("Deployment failed: ProjectIncomplete")
                .error(format!("project {project} lacks {missing}"))
                .reason("it is not configured")
                .fix(missing.fix())
                .run(format!("pipeops project show {project}")),
        )
    }

    /// A failure as people see it: secrets redacted, the command complete.
    pub(super) fn explain(&self, failure: &StepFailure) -> Diagnosis {
        let mut diagnosis = failure.diagnosis();
        let redact = |text: &mut String| {
            *text = self.events.redactor().redact(text).into_owned();
        };
        redact(&mut diagnosis.title);
        redact(&mut diagnosis.error);
        redact(&mut diagnosis.reason);
        diagnosis.fixes.iter_mut().for_each(redact);
        diagnosis.log.iter_mut().for_each(redact);
        if diagnosis.run.as_deref() == Some(UPDATE_LOGIN) {
            diagnosis.run = Some(format!("{UPDATE_LOGIN} {}", self.project().name));
        }
        diagnosis
    }

    /// Whether an earlier deployment of this environment succeeded: its revision still serves when the cluster was not
    /// touched.
    pub(super) async fn is_serving_already(&self) -> Result<bool, StoreError> {
        let deployment = &self.claim.deployment;
        let filter = DeploymentFilter::default().project(&deployment.project);
        let recent = self.parts.store.deployments(&filter).await?;
        Ok(recent.iter().any(|other| {
            other.environment == deployment.environment && other.status == Status::Succeeded
        }))
    }
}

fn credentials(parts: &PipelineParts, project: &Project) -> Arc<dyn CredentialProvider> {
    let shared = Arc::clone(&parts.credentials);
    match (&project.image, &project.secrets.registry) {
        (Some(image), Some(login)) => {
            let credential = Credential::basic(&login.username, login.password.clone());
            let own = StaticCredentials::new().with(image.host(), credential);
            Arc::new(Chain::new().with(own).with_shared(shared))
        }
        _ => shared,
    }
}

/// Runs work that blocks on a thread of its own.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StepFailure> {
    spawn_blocking(work).await.map_err(|error| {
        StepFailure::from_diagnosis(
            Diagnosis::new("Deployment failed: InternalError")
                .error(error.to_string())
                .reason("the step crashed: this is a defect of PipeOps")
                .fix("Report it with the deployment's log"),
        )
    })
}
