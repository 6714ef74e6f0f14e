//! `pipeops rollout status|watch|undo`: how an app is doing in the cluster, and back to the revision before.

use std::io::Write;

use pipeops::core::Diagnosis;
use pipeops::rollout::{Outcome, Rollout, RolloutOptions, RolloutPhase, RolloutStatus};

use crate::cluster;
use crate::output::{CommandError, Format, print_json};
use crate::progress::Live;

/// Looks at rollouts and undoes them.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Says how an app is doing
    Status(Target),
    /// Goes back to the healthy revision before the current one; twice returns
    Undo(Target),
}

/// An app in the cluster.
#[derive(Debug, clap::Args)]
pub struct Target {
    /// The app's name
    app: String,
    /// Its namespace; the app's name by default
    #[arg(long, short)]
    namespace: Option<String>,
}

impl Target {
    fn namespace(&self) -> &str {
        self.namespace.as_deref().unwrap_or(&self.app)
    }
}

impl Command {
    pub async fn run(&self, format: Format) -> Result<(), CommandError> {
        let rollout = Rollout::new(cluster::client().await?, RolloutOptions::default());
        match self {
            Self::Status(target) => status(&rollout, target, format).await,
            Self::Undo(target) => undo(&rollout, target, format).await,
        }
    }
}

async fn status(rollout: &Rollout, target: &Target, format: Format) -> Result<(), CommandError> {
    let Some(status) = rollout.status(target.namespace(), &target.app).await? else {
        return Err(no_such_app(target));
    };
    match format {
        Format::Json => print_json(&status),
        Format::Text => print_status(&status),
    }
    Ok(())
}

async fn undo(rollout: &Rollout, target: &Target, format: Format) -> Result<(), CommandError> {
    let progress = Live::new(format);
    let outcome = rollout
        .undo(target.namespace(), &target.app, &progress)
        .await;
    progress.finish();
    let outcome = outcome?;
    match (&outcome, format) {
        (_, Format::Json) => print_json(&outcome),
        (Outcome::Complete { revision, .. }, Format::Text) => {
            println!("{} runs {revision} again", target.app)
        }
        _ => {}
    }
    outcome.diagnosis().map_or(Ok(()), |diagnosis| {
        Err(CommandError::failed(diagnosis.clone()).printed())
    })
}

fn print_status(status: &RolloutStatus) {
    let mut out = std::io::stdout().lock();
    // Standard output that is gone leaves nobody to tell.
    let _ = write_status(&mut out, status);
}

fn write_status(out: &mut impl Write, status: &RolloutStatus) -> std::io::Result<()> {
    writeln!(
        out,
        "{}/{}  {}",
        status.namespace,
        status.app,
        phase(status.phase)
    )?;
    let revision = status.revision.as_deref().unwrap_or("?");
    writeln!(out, "  revision  {revision}")?;
    writeln!(
        out,
        "  pods      {}/{} ready, {} available",
        status.ready, status.desired, status.available
    )?;
    for image in &status.images {
        writeln!(out, "  image     {image}")?;
    }
    if let Some(previous) = &status.previous_revision {
        writeln!(out, "  undo to   {previous}")?;
    }
    for pod in &status.pods {
        let age = if pod.current { "new" } else { "old" };
        let ready = if pod.ready { "ready" } else { "not ready" };
        writeln!(
            out,
            "  {age}  {}  {}, {ready}, {} restart(s)",
            pod.name, pod.status, pod.restarts
        )?;
    }
    if let Some(diagnosis) = &status.diagnosis {
        writeln!(out, "\n{diagnosis}")?;
    }
    Ok(())
}

fn phase(phase: RolloutPhase) -> &'static str {
    match phase {
        RolloutPhase::Progressing => "progressing",
        RolloutPhase::Complete => "complete",
        RolloutPhase::RollingBack => "rolling back",
        RolloutPhase::RolledBack => "rolled back",
        RolloutPhase::Failed => "failed",
        _ => "in a phase that this command does not know",
    }
}

fn no_such_app(target: &Target) -> CommandError {
    CommandError::not_found(
        Diagnosis::new("No such app")
            .error(format!(
                "there is no Deployment {:?} in namespace {:?}",
                target.app,
                target.namespace()
            ))
            .fix("Name the namespace: pipeops rollout status APP --namespace NAMESPACE")
            .fix("Look at what was deployed: pipeops project list"),
    )
}
