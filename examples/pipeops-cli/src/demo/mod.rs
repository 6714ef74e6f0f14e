//! `pipeops demo`: the whole way of a commit, on what this machine has.

mod answer;
mod forge;
mod sample;
mod servers;
mod stage;

use std::net::{Ipv4Addr, SocketAddr};

use crate::commands::serve::{listen, told_to_stop};
use crate::environment::Environment;
use crate::output::{CommandError, Format};
use sample::Commit;
use servers::Servers;
use stage::Stage;

/// Shows the whole way of a commit on this machine: a sample repository, a signed webhook, a build, a rollout.
///
/// Servers that BUILDKIT_HOST, REGISTRY, KUBECONFIG, S3_BUCKET and GITEA_URL name are used; for the others in-process
/// stand-ins serve, and the first lines say which.
#[derive(Debug, clap::Args)]
pub struct Demo {
    /// Three commits: one that works, a second deployed over it without a failed request, a third that is rolled back
    #[arg(long)]
    story: bool,
    /// What is wrong with the third commit of the story
    #[arg(long, value_enum, default_value_t)]
    broken: Broken,
    /// Stays up, with the dashboard, until Ctrl-C
    #[arg(long)]
    serve: bool,
    /// The address of the dashboard; a free port by default
    #[arg(long, default_value_t = SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))]
    listen: SocketAddr,
}

/// What is wrong with a commit.
#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
enum Broken {
    /// Its process ends at the start
    #[default]
    Crash,
    /// It runs and never says that it is healthy: takes as long as its start-up budget
    Readiness,
}

impl Demo {
    pub async fn run(&self, format: Format) -> Result<(), CommandError> {
        let environment = Environment::read();
        let servers = Servers::start(&environment).await?;
        let listener = listen(self.listen).await?;
        let mut stage = Stage::set(servers, &environment, listener, format).await?;
        stage.deploy("A first commit", Commit::Good("v1")).await?;
        if self.story {
            stage
                .deploy_under_load("A second commit, over the first", Commit::Good("v2"))
                .await?;
            stage
                .break_and_roll_back("A third commit, which is broken", self.broken.commit())
                .await?;
        }
        stage.farewell(self.serve);
        if self.serve {
            told_to_stop().await;
        }
        stage.close().await;
        Ok(())
    }
}

impl Broken {
    fn commit(self) -> Commit {
        match self {
            Self::Crash => Commit::Crash,
            Self::Readiness => Commit::NeverReady,
        }
    }
}
