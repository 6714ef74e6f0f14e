//! `pipeops deploy PROJECT`: a deployment that a person asks for, on the same way as every other.

use std::time::Duration;

use pipeops::core::{EventKind, Failure};
use pipeops::runner::{CommitSha, Deployment, GitRef, Hub};

use super::base_images::BaseImagesArg;
use super::{DataArgs, project};
use crate::backends::Backends;
use crate::environment::Environment;
use crate::output::{CommandError, Format};
use crate::progress::Progress;

/// Deploys a commit of a project and shows it happen.
#[derive(Debug, clap::Args)]
pub struct Deploy {
    /// The project's name
    project: String,
    /// The commit's full SHA; an older one is a rollback
    #[arg(long)]
    commit: CommitSha,
    /// The environment; needed when the project has several
    #[arg(long)]
    environment: Option<String>,
    /// The branch that the commit is on; the environment's by default
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
        let reference: GitRef =
            format!("refs/heads/{}", branch.as_deref().unwrap_or("main")).parse()?;
        let backends = Backends::from_environment(Environment::read())
            .await?
            .base_images(self.images.load()?);
        // Its own runner: a deployment does not need a running server, and a lease keeps two from acting on it.
        let service = backends
            .service(store)?
            .workspaces(data.dir()?.join("workspaces"))
            .workers(1)
            .start()
            .await?;
        let after = service.store().last_event().await?;
        let deployment = service
            .controller()
            .deploy(&self.project, environment, reference, self.commit.clone())
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
                    println!("\n{timeline}");
                }
                return outcome(&event.kind);
            }
        }
    }
}

fn outcome(kind: &EventKind) -> Result<(), CommandError> {
    match kind {
        // The view has shown the diagnosis; only the exit code is left to say.
        EventKind::Failed { diagnosis, .. } => {
            Err(CommandError::from_failure(&Failure::from_diagnosis(diagnosis.clone())).shown())
        }
        _ => Ok(()),
    }
}
