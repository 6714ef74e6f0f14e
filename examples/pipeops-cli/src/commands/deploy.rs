//! `pipeops deploy PROJECT`: a manual deployment, through the same pipeline as every other one.

use std::time::Duration;

use pipeops::core::{EventKind, Failure};
use pipeops::runner::{Deployment, GitRef, Hub};

use super::base_images::BaseImagesArg;
use super::project;
use super::revision::Revision;
use crate::backends::Backends;
use crate::data::DataArgs;
use crate::environment::Environment;
use crate::output::{CommandError, Format};
use crate::progress::Progress;

/// Deploy a commit of a project and show the progress
///
/// In a checkout of the project's repository, the default commit is its HEAD. Elsewhere, it is the head of the environment's branch.
#[derive(Debug, clap::Args)]
pub struct Deploy {
    /// Name of the project
    project: String,
    /// Commit to deploy: a SHA, short SHA, branch or tag. An older commit is a rollback
    #[arg(long, value_name = "REVISION")]
    commit: Option<String>,
    /// Environment; required if the project has several
    #[arg(long)]
    environment: Option<String>,
    /// Branch of the commit [default: the environment's branch]
    #[arg(long)]
    branch: Option<String>,
    #[command(flatten)]
    images: BaseImagesArg,
}

impl Deploy {
    pub async fn run(&self, data: &DataArgs, format: Format) -> Result<(), CommandError> {
        let store = data.open()?;
        let project = project::find(&store, &self.project).await?;
        let environment = self.environment.as_deref();
        let branch = self.branch.clone().or_else(|| {
            let wanted = |name: &str| environment.is_none_or(|wanted| wanted == name);
            project
                .environments
                .iter()
                .find(|found| wanted(&found.name))?
                .branch
                .clone()
        });
        let branch = branch.as_deref().unwrap_or("main");
        let reference: GitRef = format!("refs/heads/{branch}").parse()?;
        // A branch that was asked for is the server's, also in a checkout of another one.
        let wanted = self.commit.as_deref().or(self.branch.as_deref());
        let revision = Revision::find(&project, branch, wanted).await?;
        if format == Format::Text && !revision.origin.is_empty() {
            outln!("deploying  {}, {}", revision.commit, revision.origin);
        }
        let backends = Backends::from_environment(Environment::read())
            .await?
            .base_images(self.images.load()?);
        // It has its own runner, so it needs no running server. A lease keeps two runners from acting on one deployment.
        let service = backends
            .service(store)?
            .workspaces(data.dir()?.join("workspaces"))
            .workers(1)
            .start()
            .await?;
        let after = service.store().last_event().await?;
        let deployment = service
            .controller()
            .deploy(&self.project, environment, reference, revision.commit)
            .await?;
        let ended = follow(service.hub(), after, &deployment, format).await;
        service.shutdown(Duration::from_secs(5)).await;
        ended
    }
}

/// Shows the deployment's events until it ends; an error unless it succeeded.
pub async fn follow(
    hub: &Hub,
    after: u64,
    deployment: &Deployment,
    format: Format,
) -> Result<(), CommandError> {
    let mut progress = Progress::new(format);
    let mut subscription = hub.subscribe(after, Some(deployment.id.clone()));
    loop {
        for event in subscription.next().await? {
            progress.show(&event);
            if event.kind.is_final() {
                let timeline = progress.finish();
                if format == Format::Text {
                    outln!("\n{timeline}");
                }
                return outcome(&event.kind);
            }
        }
    }
}

fn outcome(kind: &EventKind) -> Result<(), CommandError> {
    match kind {
        // The view has shown the diagnosis.
        EventKind::Failed { diagnosis, .. } => {
            Err(CommandError::from_failure(&Failure::from_diagnosis(diagnosis.clone())).shown())
        }
        _ => Ok(()),
    }
}
