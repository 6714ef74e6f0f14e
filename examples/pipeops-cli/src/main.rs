//! The `pipeops` command: thin compositions of the PipeOps crates.
#![expect(
    unreachable_pub,
    reason = "a binary has no public API: `pub` marks what its modules share"
)]
// They panic when the reader is gone: `output` has macros that don't.
#![deny(clippy::print_stdout, clippy::print_stderr)]

// First, because the others use its macros.
#[macro_use]
mod output;

mod backends;
mod cluster;
mod commands;
mod data;
mod demo;
mod environment;
mod near;
mod pages;
mod progress;
mod remedy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use commands::{
    build, cache, deploy, detect, dockerfile, doctor, explain, manifests, project, rollout, serve,
};
use data::DataArgs;
use output::{CommandError, Format};

/// From a signed webhook to a healthy rollout on Kubernetes
///
/// Exit codes: 0 success, 2 invalid input or usage, 3 not found, 1 any other failure. If the reader of standard output closes it, as
/// in `pipeops detect | head -1`, the command runs to its end, and its exit code is the same.
#[derive(Debug, Parser)]
#[command(name = "pipeops", version, arg_required_else_help = true)]
struct Cli {
    /// Output format
    #[arg(long, short, global = true, value_enum, default_value_t)]
    output: Format,
    #[command(flatten)]
    data: DataArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    Demo(demo::Demo),
    Deploy(deploy::Deploy),
    Detect(detect::Detect),
    #[command(subcommand)]
    Dockerfile(dockerfile::Command),
    Build(build::Build),
    #[command(subcommand)]
    Cache(cache::Command),
    Manifests(manifests::Manifests),
    #[command(subcommand)]
    Rollout(rollout::Command),
    #[command(subcommand)]
    Project(project::Command),
    Doctor(doctor::Doctor),
    Explain(explain::Explain),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    init_tracing();
    // Only the binary chooses the process default; the libraries pass ring explicitly.
    pipeops::install_ring();
    let code = match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.report(cli.output),
    };
    output::finish(code)
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
        Command::Explain(explain) => explain.run(format),
    }
}

/// Writes the libraries' logs to standard error. `RUST_LOG` selects them; the default is warnings.
fn init_tracing() {
    let filter =
        tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn".into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
}
