//! The deployment pipeline, step by step.
//!
//! | Step | Input | Output |
//! |---|---|---|
//! | clone | the commit | [`Cloned`] |
//! | detect | the source tree | [`Detection`] |
//! | plan | tree and detection | [`Plan`] |
//! | build | tree and plan | [`BuiltImage`] |
//! | manifests | plan and image | [`Stack`] |
//! | rollout | the stack | [`RolledOut`] |
//!
//! Each output is written to the journal before the next step starts. After a crash, the next runner reads the journal and
//! resumes after the last finished step, so a finished build isn't repeated. A workspace doesn't outlive its process, so the
//! source is fetched again for the steps that read it.

mod build;
mod deployer;
mod detect;
mod failure;
mod job;
mod journal;
mod manifests;
mod options;
mod plan;
mod source;

use std::sync::Arc;

use pipeops_core::{BuiltImage, Detection, EventKind, EventSink, Stack, Step};
use pipeops_dockerfile::BuildMetadata;

pub use deployer::{Deployer, RolledOut};
pub use failure::StepFailure;
pub use options::{PipelineOptions, PipelineParts, StepLimits};
pub use plan::{Plan, PlannedDockerfile};

use crate::clone::{CloneRequest, Cloned};
use crate::deployment::{Deployment, Ending, Status};
use crate::hub::DeploymentEvents;
use crate::queue::Claim;
use crate::store::{DeploymentFilter, StoreError};
use failure::StepsError;
use job::Job;
use journal::Journal;
use plan::PlanRequest;
use source::Source;

/// Runs the steps of claimed deployments.
#[derive(Debug)]
pub struct Pipeline {
    parts: PipelineParts,
    options: PipelineOptions,
}

impl Pipeline {
    /// A pipeline of these parts.
    pub fn new(parts: PipelineParts, options: PipelineOptions) -> Self {
        Self { parts, options }
    }

    /// Runs a deployment from the last finished step to its end, and returns the [`Ending`] for [`Store::finish`].
    ///
    /// Dropping the future stops the current step. Another call resumes the deployment.
    ///
    /// [`Store::finish`]: crate::Store::finish
    ///
    /// # Errors
    /// When the store doesn't answer or the lease is lost. A failed deployment is an [`Ending`], not an error.
    pub async fn run(
        &self,
        claim: &Claim,
        events: &DeploymentEvents,
    ) -> Result<Ending, StoreError> {
        let failure = match self.steps(claim, events).await {
            Ok(image) => return Ok(Ending::Succeeded { image }),
            Err(StepsError::Store(error)) => return Err(error),
            Err(StepsError::Failed(failure)) => failure,
        };
        let rolled_back = match failure.rolled_back() {
            Some(known) => known,
            None => self.has_succeeded_before(&claim.deployment).await?,
        };
        Ok(Ending::Failed {
            diagnosis: events.explain(failure.diagnosis()),
            rolled_back,
        })
    }

    /// Runs all steps in order. Returns the deployed image.
    async fn steps(&self, claim: &Claim, events: &DeploymentEvents) -> Result<String, StepsError> {
        let Self { parts, options } = self;
        let (deployment, project) = (&claim.deployment, &claim.project);
        let journal = Journal::open(&*parts.store, options, claim, events).await?;
        let job = Job::new(claim, parts).map_err(StepsError::Failed)?;
        let clone = CloneRequest::new(job.repository.clone(), deployment.commit.clone())
            .login(project.secrets.git.clone())
            .limits(options.clone);
        let source = Source::new(&parts.workspaces, &*parts.fetcher, clone);

        let cloned: Cloned = journal.step(Step::Clone, || source.cloned()).await?;
        let detect = async || {
            let detector = parts.detector.as_ref().map(Arc::clone);
            let detector = detector.unwrap_or_else(|| detect::built_in(&project.build));
            detect::detect(source.folder().await?, detector).await
        };
        let detection: Detection = journal.step(Step::Detect, detect).await?;
        let plan = async || {
            let request = PlanRequest {
                detection: detection.clone(),
                dockerfile: project.build.dockerfile.clone(),
                args: project.build.args.clone(),
                metadata: BuildMetadata::new(deployment.commit.clone(), &deployment.id)
                    .commit_time(cloned.commit_time),
                images: options.base_images.clone(),
                target: project.build.target.clone(),
                secrets: project.secrets.build.keys().cloned().collect(),
            };
            let (plan, warnings) = request.run(source.folder().await?).await?;
            for message in warnings {
                events.emit(EventKind::Warning { message });
            }
            Ok(plan)
        };
        let plan: Plan = journal.step(Step::Plan, plan).await?;
        let build = async || {
            let (image, credentials) = (&job.image, &job.credentials);
            let registry = options.registry.clone();
            build::check_push(image, credentials, registry, project.insecure_registry).await?;
            let folder = build::context(source.folder().await?, plan.context.clone()).await?;
            let time = cloned.commit_time;
            let mut request = build::request(project, &plan, folder, image.clone(), time);
            request.credentials = Arc::clone(credentials);
            request.labels = build::labels(deployment, job.repository);
            if let Some(cache) = &options.cache {
                build::set_cache(&mut request, cache, deployment, &plan);
            }
            let built = parts.builder.build(request, events).await;
            built.map_err(StepFailure::new)
        };
        let built: BuiltImage = journal.step(Step::Build, build).await?;
        let manifests = async || {
            let commit = &deployment.commit;
            let mut app = manifests::app(project, job.environment, commit, &plan, &built)?;
            app.pull_secret = manifests::pull_secret(&*job.credentials, &built.image).await?;
            for warning in app.warnings() {
                let message = warning.to_string();
                events.emit(EventKind::Warning { message });
            }
            Ok(parts.manifests.generate(&app)?)
        };
        let stack: Stack = journal.step(Step::Manifests, manifests).await?;
        let rollout = || job.deployer.deploy(&deployment.id, &stack, events);
        let _: RolledOut = journal.step(Step::Rollout, rollout).await?;
        Ok(built.image.to_string())
    }

    /// Whether an earlier deployment of this environment succeeded. Its revision still serves if the cluster wasn't changed.
    async fn has_succeeded_before(&self, deployment: &Deployment) -> Result<bool, StoreError> {
        let filter = DeploymentFilter::default().project(&deployment.project);
        let recent = self.parts.store.deployments(&filter).await?;
        Ok(recent.iter().any(|other| {
            other.environment == deployment.environment && other.status == Status::Succeeded
        }))
    }
}

#[cfg(test)]
#[cfg(all(feature = "git", feature = "sqlite"))]
mod tests;
