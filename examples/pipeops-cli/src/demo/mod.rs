//! `pipeops demo`: the full deployment pipeline on one machine.

mod failed;
mod forge;
mod prober;
mod sample;
mod scenario;
mod servers;

use std::net::{Ipv4Addr, SocketAddr};

use crate::commands::serve::{listen, told_to_stop};
use crate::environment::Environment;
use crate::output::{CommandError, Format};
use sample::Commit;
use scenario::Scenario;
use servers::Servers;

/// Run the full deployment pipeline on this machine: a sample repository, a signed webhook, a build and a rollout
///
/// BUILDKIT_HOST, REGISTRY, KUBECONFIG, S3_BUCKET and GITEA_URL select real servers. In-process stand-ins replace all others. The
/// first lines of the output list both.
#[derive(Debug, clap::Args)]
pub struct Demo {
    /// Deploy three commits: one that works, an update under load, and a broken one that is rolled back
    #[arg(long)]
    story: bool,
    /// How the third commit of the story fails
    #[arg(long, value_enum, default_value_t)]
    broken: Broken,
    /// Keep the dashboard running until Ctrl-C
    #[arg(long)]
    serve: bool,
    /// Address of the dashboard; port 0 selects a free one
    #[arg(long, default_value_t = SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))]
    listen: SocketAddr,
}

/// How a commit fails.
#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
enum Broken {
    /// The process crashes at start
    #[default]
    Crash,
    /// The process runs but never becomes ready, until its start-up time is over
    Readiness,
}

impl Demo {
    pub async fn run(&self, format: Format) -> Result<(), CommandError> {
        let environment = Environment::read();
        let servers = Servers::start(&environment).await?;
        let listener = listen(self.listen).await?;
        let mut scenario = Scenario::start(servers, &environment, listener, format).await?;
        scenario
            .deploy("A first commit", Commit::Good("v1"))
            .await?;
        if self.story {
            scenario
                .deploy_under_load("A second commit, over the first", Commit::Good("v2"))
                .await?;
            scenario
                .break_and_roll_back("A third commit, which is broken", self.broken.commit())
                .await?;
        }
        scenario.print_end(self.serve);
        if self.serve {
            told_to_stop().await;
        }
        scenario.close().await;
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
