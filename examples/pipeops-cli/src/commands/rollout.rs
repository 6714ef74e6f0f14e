//! `pipeops rollout status|undo`: the state of an app in the cluster, and the way back to its previous revision.

use std::fmt::Write;

use pipeops::core::{Diagnosis, Revision};
use pipeops::rollout::{Outcome, Rollout, RolloutOptions, RolloutPhase, RolloutStatus};

use crate::cluster;
use crate::output::{CommandError, Format, print_json};
use crate::pages::NO_SUCH_APP;
use crate::progress::Live;
use crate::remedy;

/// Show and undo rollouts
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Show the state of an app and its pods, and diagnose problems
    Status(Target),
    /// Roll back to the previous healthy revision. A second run returns to the current one
    Undo(Target),
}

/// An app in the cluster.
#[derive(Debug, clap::Args)]
pub struct Target {
    /// Name of the app
    app: String,
    /// Namespace [default: the name of the app]
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
    let Some(mut status) = rollout.status(target.namespace(), &target.app).await? else {
        return Err(no_such_app(target));
    };
    status.diagnosis.as_mut().map(remedy::add);
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
    let mut outcome = outcome?;
    if let Outcome::RolledBack { diagnosis, .. } | Outcome::Failed { diagnosis } = &mut outcome {
        remedy::add(diagnosis);
    }
    match (&outcome, format) {
        (_, Format::Json) => print_json(&outcome),
        (Outcome::Complete { revision, .. }, Format::Text) => {
            outln!("{} runs {revision} again", target.app)
        }
        _ => {}
    }
    outcome.diagnosis().map_or(Ok(()), |diagnosis| {
        Err(CommandError::failed(diagnosis.clone()).printed())
    })
}

fn print_status(status: &RolloutStatus) {
    let mut text = String::new();
    // Never fails: a string takes everything.
    let _ = write_status(&mut text, status);
    out!("{text}");
}

fn write_status(out: &mut impl Write, status: &RolloutStatus) -> std::fmt::Result {
    writeln!(
        out,
        "{}/{}  {}",
        status.namespace,
        status.app,
        phase(status.phase)
    )?;
    let revision = status.revision.as_ref().map_or("?", Revision::as_str);
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
        _ => "unknown phase",
    }
}

fn no_such_app(target: &Target) -> CommandError {
    CommandError::not_found(Diagnosis::new(&NO_SUCH_APP).error(format!(
        "namespace {1:?} has no Deployment {0:?}",
        target.app,
        target.namespace()
    )))
}
