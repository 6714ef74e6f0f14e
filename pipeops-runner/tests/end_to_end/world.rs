//! All of PipeOps on stand-ins: git server, registry, BuildKit daemon, Kubernetes cluster.

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use pipeops_buildkit::{Address, Builder, BuilderOptions};
use pipeops_core::{Diagnosis, Event, EventKind};
use pipeops_rollout::{Rollout, RolloutOptions};
use pipeops_runner::{Environment, Project, Service, SqliteStore, Store};
use pipeops_testkit::buildkit::{BuildkitDaemon, BuildkitOptions};
use pipeops_testkit::git::{GitOptions, GitServer, Repo};
use pipeops_testkit::kubernetes::{Cluster, ClusterOptions};
use pipeops_testkit::registry::{Registry, RegistryOptions};
use serde_json::{Value, json};
use sha2::Sha256;
use tower::ServiceExt;

const SECRET: &str = "hunter22-of-the-forge";

pub(crate) struct World {
    _git: GitServer,
    pub(crate) repo: Repo,
    pub(crate) registry: Registry,
    pub(crate) buildkit: BuildkitDaemon,
    pub(crate) cluster: Cluster,
    pub(crate) store: SqliteStore,
    folder: tempfile::TempDir,
    head: String,
}

impl World {
    pub(crate) async fn new() -> Self {
        let git = GitServer::start(GitOptions::default()).await.unwrap();
        Self {
            repo: git.create("team/shop"),
            _git: git,
            registry: Registry::start(RegistryOptions::default()).await.unwrap(),
            buildkit: BuildkitDaemon::start(BuildkitOptions::default())
                .await
                .unwrap(),
            cluster: Cluster::start(ClusterOptions::default()).await.unwrap(),
            store: SqliteStore::in_memory().unwrap(),
            folder: tempfile::tempdir().unwrap(),
            head: "0".repeat(40),
        }
    }

    /// Starts a service on the stand-ins; several may run on the same store.
    pub(crate) async fn service(&self) -> Service {
        let address = Address::parse(&self.buildkit.address()).unwrap();
        let config = kube::Config::new(self.cluster.url().parse().unwrap());
        let client = kube::Client::try_from(config).unwrap();
        let options = RolloutOptions::default()
            .create_namespace(true)
            .deadline(Duration::from_secs(30));
        self.store.put_project(&self.project()).await.unwrap();
        Service::builder(self.store.clone())
            .image_builder(Builder::new(address, BuilderOptions::default()))
            .cluster("default", Rollout::new(client, options))
            .workspaces(self.folder.path())
            .start()
            .await
            .unwrap()
    }

    fn project(&self) -> Project {
        let image = format!("{}/team/shop", self.registry.host());
        let environment = Environment::new("production")
            .unwrap()
            .branch("main")
            .cluster("default")
            .port(8080)
            .replicas(2);
        Project::new("shop")
            .unwrap()
            .repository(self.repo.url().parse().unwrap())
            .image(image.parse().unwrap())
            .webhook_secret(SECRET)
            .environment(environment)
            .secret_variable(
                "production",
                "DATABASE_URL",
                "postgres://shop:s3cr3t@db/shop",
            )
    }

    /// Commits these files. Returns the commit's SHA.
    pub(crate) fn commit(&self, files: &[(&str, &str)], message: &str) -> String {
        self.repo.commit(files, message).unwrap()
    }

    /// Sends the signed webhook that a forge would send, and returns its status and the deployment's id.
    pub(crate) async fn push(
        &mut self,
        service: &Service,
        commit: &str,
        message: &str,
    ) -> (u16, String) {
        let body = json!({
            "ref": "refs/heads/main", "before": self.head, "after": commit,
            "repository": {"full_name": "team/shop"},
            "pusher": {"name": "ada"},
            "head_commit": {"id": commit, "message": message},
        })
        .to_string();
        self.head = commit.to_owned();
        let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
        mac.update(body.as_bytes());
        let signature = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
        let request = http::Request::post("/webhooks/shop")
            .header("x-github-event", "push")
            .header("x-hub-signature-256", signature)
            .body(axum::body::Body::from(body))
            .unwrap();
        let response = service.router().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 1 << 20)
            .await
            .unwrap();
        let answer: Value = serde_json::from_slice(&body).unwrap();
        let id = answer["deployments"][0]["id"].as_str();
        (status, id.unwrap_or_else(|| panic!("{answer}")).to_owned())
    }
}

/// All events of a deployment, up to its last one.
pub(crate) async fn events_of(service: &Service, id: &str) -> Vec<Event> {
    let mut stream = service.hub().subscribe(0, Some(id.to_owned()));
    let mut all: Vec<Event> = Vec::new();
    while !all.last().is_some_and(|event| event.kind.is_final()) {
        all.extend(
            stream
                .next()
                .await
                .unwrap()
                .iter()
                .map(|event| (**event).clone()),
        );
    }
    all
}

/// Why a deployment failed, and whether the old revision serves.
pub(crate) fn failure(events: &[Event]) -> (&Diagnosis, bool) {
    match &events.last().unwrap().kind {
        EventKind::Failed {
            diagnosis,
            rolled_back,
        } => (diagnosis, *rolled_back),
        other => panic!("{other:?}"),
    }
}
