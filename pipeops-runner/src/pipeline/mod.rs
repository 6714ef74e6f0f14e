//! The way of a commit, step by step.
//!
//! | Step | From | To |
//! |---|---|---|
//! | clone | the commit | [`Cloned`] |
//! | detect | the source tree | [`Detection`] |
//! | plan | tree and detection | [`Plan`] |
//! | build | tree and plan | [`BuiltImage`] |
//! | manifests | plan and image | [`Stack`] |
//! | rollout | the stack | [`RolledOut`] |
//!
//! Each output is written to the journal before the next step begins. Whoever runs the deployment after a crash reads
//! the journal and begins where it ends: a finished build is not built again. A workspace does not outlive its process,
//! so the source is fetched again for the steps that read it.

mod build;
mod cluster;
mod context;
mod detect;
mod failure;
mod journal;
mod manifests;
mod options;
mod plan;

use pipeops_core::{BuiltImage, Detection, Stack, Step};

pub use cluster::{Deployer, RolledOut};
pub use failure::StepFailure;
pub use options::{PipelineOptions, PipelineParts, StepLimits};
pub use plan::{Plan, PlannedDockerfile};

use crate::clone::Cloned;
use crate::deployment::Ending;
use crate::hub::DeploymentEvents;
use crate::queue::Claim;
use crate::store::StoreError;
use context::Context;
use failure::Stop;
use journal::Journal;

/// Carries claimed deployments through all their steps.
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

    /// Runs a deployment from the last step in its journal to its end, which the caller writes.
    ///
    /// Dropping the future stops the step that is under way; another call goes on with it.
    ///
    /// # Errors
    /// When the store does not answer or the lease is lost. That the deployment failed is an [`Ending`], not an error.
    pub async fn run(
        &self,
        claim: &Claim,
        events: &DeploymentEvents,
    ) -> Result<Ending, StoreError> {
        let journal = Journal::open(self, claim, events).await?;
        let context = Context::new(self, claim, events);
        match walk(&journal, &context).await {
            Ok(image) => Ok(Ending::Succeeded { image }),
            Err(Stop::Store(error)) => Err(error),
            Err(Stop::Failed(failure)) => {
                let rolled_back = match failure.rolled_back() {
                    Some(known) => known,
                    None => context.is_serving_already().await?,
                };
                Ok(Ending::Failed {
                    diagnosis: context.explain(&failure),
                    rolled_back,
                })
            }
        }
    }
}

/// All steps in their order; the answer is the image that runs.
async fn walk(journal: &Journal<'_>, context: &Context<'_>) -> Result<String, Stop> {
    let cloned: Cloned = journal.step(Step::Clone, || context.fetch_source()).await?;
    let detection: Detection = journal
        .step(Step::Detect, || detect::detect(context))
        .await?;
    let plan: Plan = journal
        .step(Step::Plan, || plan::plan(context, &cloned, &detection))
        .await?;
    let built: BuiltImage = journal
        .step(Step::Build, || build::build(context, &cloned, &plan))
        .await?;
    let stack: Stack = journal
        .step(Step::Manifests, || {
            manifests::generate(context, &plan, &built)
        })
        .await?;
    let _: RolledOut = journal
        .step(Step::Rollout, || cluster::roll_out(context, &stack))
        .await?;
    Ok(built.image.to_string())
}

#[cfg(all(test, feature = "git", feature = "sqlite"))]
mod tests;
