//! Stand-ins of pipeops-testkit: daemons, a registry with base images, and a build context.

use std::time::Duration;

use pipeops_buildkit::{
    Address, Builder, BuilderOptions, Client, ConnectOptions, Error, Solve, Solved,
};
use pipeops_core::{Backoff, BuildRequest, EventSink};
use pipeops_testkit::buildkit::{BuildkitDaemon, BuildkitOptions, RunRule, RunScript};
use pipeops_testkit::registry::{BaseImage, Registry, RegistryOptions};

use super::{Context, until};

/// No test needs as long; one that hangs fails here.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

pub(crate) struct World {
    pub(crate) daemons: Vec<BuildkitDaemon>,
    pub(crate) registry: Registry,
    pub(crate) context: Context,
}

/// A daemon whose `RUN make` follows a rule.
pub(crate) fn make(rule: impl FnOnce(RunRule) -> RunRule) -> BuildkitOptions {
    let script = RunScript::default().rule(rule(RunRule::matching("make")));
    BuildkitOptions::default().run(script)
}

/// Builds that don't wait long before a retry.
pub(crate) fn hasty() -> BuilderOptions {
    let backoff = Backoff::default().base(Duration::from_millis(20));
    BuilderOptions::default().backoff(backoff).timeout(LIMIT)
}

impl World {
    /// One daemon.
    pub(crate) async fn new() -> Self {
        Self::of([BuildkitOptions::default()]).await
    }

    pub(crate) async fn of(daemons: impl IntoIterator<Item = BuildkitOptions>) -> Self {
        Self::with(RegistryOptions::default(), daemons).await
    }

    pub(crate) async fn with(
        registry: RegistryOptions,
        daemons: impl IntoIterator<Item = BuildkitOptions>,
    ) -> Self {
        let registry = Registry::start(registry).await.unwrap();
        let base = BaseImage::new();
        registry.seed("library/base", "1", &base).unwrap();
        for architecture in ["amd64", "arm64"] {
            let base = BaseImage::new().architecture(architecture);
            registry.seed("library/base", architecture, &base).unwrap();
        }
        let mut world = Self {
            daemons: Vec::new(),
            registry,
            context: Context::new(&[
                ("Dockerfile", "FROM base:1\nCOPY a /a\nRUN make\n"),
                ("a", "content of a"),
            ]),
        };
        for options in daemons {
            let options = options.mirror("docker.io", world.registry.host());
            let daemon = BuildkitDaemon::start(options).await.unwrap();
            world.daemons.push(daemon);
        }
        world
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        self.context.write(name, text.as_bytes());
    }

    /// The first daemon.
    pub(crate) fn daemon(&self) -> &BuildkitDaemon {
        &self.daemons[0]
    }

    /// A request to push `team/APP:1`.
    pub(crate) fn request(&self, app: &str) -> BuildRequest {
        let image = format!("{}/team/{app}:1", self.registry.host());
        BuildRequest::new(self.context.path(), image.parse().unwrap())
    }

    pub(crate) fn builder(&self) -> Builder {
        self.builder_with(hasty())
    }

    pub(crate) fn builder_with(&self, options: BuilderOptions) -> Builder {
        let address = Address::parse(&self.daemon().address()).unwrap();
        Builder::new(address, options)
    }

    pub(crate) async fn client(&self) -> Client {
        let address = Address::parse(&self.daemon().address()).unwrap();
        Client::connect(&address, ConnectOptions::default())
            .await
            .unwrap()
    }

    pub(crate) async fn solve(
        &self,
        request: BuildRequest,
        events: &dyn EventSink,
    ) -> Result<Solved, Error> {
        let solve = Solve::new(request).timeout(LIMIT);
        self.client().await.solve(solve, events).await
    }
}

/// Runs a client against stand-ins of another runtime, and waits until no task of the client is left.
pub(crate) fn leaves_no_task(daemon: BuildkitOptions, client: impl AsyncFnOnce(&World)) {
    let servers = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let world = servers.block_on(World::of([daemon]));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        client(&world).await;
        let metrics = tokio::runtime::Handle::current().metrics();
        until(|| metrics.num_alive_tasks() == 0).await;
    });
}
