//! The `pipeops` command: thin compositions of the PipeOps crates.
#![expect(
    unreachable_pub,
    reason = "a binary has no public API: `pub` marks what its modules share"
)]

mod backends;
mod cluster;
mod commands;
mod demo;
mod environment;
mod output;
mod progress;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use commands::{
    DataArgs, build, cache, deploy, detect, dockerfile, doctor, manifests, project, rollout, serve,
};
use output::{CommandError, Format};

/// From a signed webhook to a healthy rollout on Kubernetes.
///
/// Exit codes: 0 done, 2 bad input or usage, 3 nothing found, 1 everything else.
#[derive(Debug, Parser)]
#[command(name = "pipeops", version, arg_required_else_help = true)]
struct Cli {
    /// Text for people or JSON for programs
    #[arg(long, short, global = true, value_enum, default_value_t)]
    output: Format,
    #[command(flatten)]
    data: DataArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Takes webhooks, runs deployments and serves the dashboard
    Serve(serve::Serve),
    /// Shows the whole way of a commit on this machine
    Demo(demo::Demo),
    /// Deploys a commit of a project now
    Deploy(deploy::Deploy),
    /// Says what is in a folder: language, framework, start command, port
    Detect(detect::Detect),
    /// Reads and writes Dockerfiles
    #[command(subcommand)]
    Dockerfile(dockerfile::Command),
    /// Builds a folder on BuildKit and pushes the image
    Build(build::Build),
    /// Lists and collects build caches in S3
    #[command(subcommand)]
    Cache(cache::Command),
    /// Prints an app's Kubernetes objects
    Manifests(manifests::Manifests),
    /// Looks at rollouts and undoes them
    #[command(subcommand)]
    Rollout(rollout::Command),
    /// Creates, lists and changes projects
    #[command(subcommand)]
    Project(project::Command),
    /// Checks each server that the environment names, and says the fix
    Doctor(doctor::Doctor),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    init_tracing();
    // Only the binary chooses the process default; the libraries pass ring explicitly.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.report(cli.output),
    }
}

#[tokio::main]
async fn run(cli: &Cli) -> Result<(), CommandError> {
    let format = cli.output;
    match &cli.command {
        Command::Serve(serve) => serve.run(&cli.data, format).await,
        Command::Demo(demo) => demo.run(format).await,
        Command::Deploy(deploy) => deploy.run(&cli.data, format).await,
        Command::Detect(detect) => detect.run(format),
        Command::Dockerfile(dockerfile) => dockerfile.run(format).await,
        Command::Build(build) => build.run(format).await,
        Command::Cache(cache) => cache.run(format).await,
        Command::Manifests(manifests) => manifests.run(format),
        Command::Rollout(rollout) => rollout.run(format).await,
        Command::Project(project) => project.run(&cli.data, format).await,
        Command::Doctor(doctor) => doctor.run(format).await,
    }
}

/// Logs of the libraries go to standard error; `RUST_LOG` chooses them, warnings are shown by default.
fn init_tracing() {
    let filter =
        tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn".into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
}
