//! All of PipeOps on stand-ins: git server, registry, BuildKit daemon, Kubernetes cluster.

use axum::Router;
use axum::body::{Body, to_bytes};
use http::{Request, StatusCode};
use pipeops_buildkit::{Address, Builder, BuilderOptions};
use pipeops_core::{Diagnosis, Event, EventKind};
use pipeops_rollout::{Rollout, RolloutOptions, client_from, kube};
use pipeops_runner::{Environment, Project, Service, SqliteStore};
use pipeops_testkit::buildkit::BuildkitDaemon;
use pipeops_testkit::git::{GitServer, Repo};
use pipeops_testkit::kubernetes::Cluster;
use pipeops_testkit::registry::Registry;
use pipeops_testkit::webhook::{Push, Sender};
use serde_json::Value;
use tower::ServiceExt;

pub(crate) const DOCKERFILE: &str =
    "FROM scratch\nCOPY app /app\nUSER 1000\nENTRYPOINT [\"/app\"]\n";

const SECRET: &str = "hunter22-of-the-forge";

pub(crate) struct World {
    _git: GitServer,
    repo: Repo,
    pub(crate) registry: Registry,
    pub(crate) buildkit: BuildkitDaemon,
    pub(crate) cluster: Cluster,
    store: SqliteStore,
    folder: tempfile::TempDir,
    head: String,
}

impl World {
    pub(crate) async fn new() -> Self {
        let git = GitServer::start(Default::default()).await.unwrap();
        Self {
            repo: git.create("team/shop"),
            _git: git,
            registry: Registry::start(Default::default()).await.unwrap(),
            buildkit: BuildkitDaemon::start(Default::default()).await.unwrap(),
            cluster: Cluster::start(Default::default()).await.unwrap(),
            store: SqliteStore::in_memory().unwrap(),
            folder: tempfile::tempdir().unwrap(),
            head: "0".repeat(40),
        }
    }

    /// Starts a service on the stand-ins; several can run on the same store.
    pub(crate) async fn service(&self) -> Service {
        let address = Address::parse(&self.buildkit.address()).unwrap();
        let config = kube::Config::new(self.cluster.url().parse().unwrap());
        let client = client_from(config).unwrap();
        let options = RolloutOptions::default().create_namespace(true);
        self.store.put_project(&self.project()).await.unwrap();
        Service::builder(self.store.clone())
            .image_builder(Builder::new(address, BuilderOptions::default()))
            .cluster("default", Rollout::new(client, options))
            .workspaces(self.folder.path())
            .start()
            .await
            .unwrap()
    }

    /// A host that mounts the routes and keeps nothing else of the service.
    pub(crate) async fn host(&self) -> Router {
        let service = self.service().await;
        Router::new().nest_service("/deploy", service.router())
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
            .secret_variable("production", "DATABASE_URL", "postgres://u:s3cr3t@db/shop")
    }

    /// Commits an app. Returns the commit's SHA.
    pub(crate) fn commit(&self, dockerfile: &str, version: &str) -> String {
        let app = format!("#!/bin/sh\necho {version}\n");
        let files = [("Dockerfile", dockerfile), ("app", &app)];
        self.repo.commit(&files, version).unwrap()
    }

    /// Sends the signed webhook that a forge would send. Returns the deployment's id.
    pub(crate) async fn push(&mut self, host: &Router, commit: &str) -> String {
        let before = std::mem::replace(&mut self.head, commit.to_owned());
        let push = Push::new("team/shop", "main", commit).before(before);
        let (headers, body) = push.message("Sell more").signed(Sender::GitHub, SECRET);
        let mut request = Request::post("/deploy/webhooks/shop");
        *request.headers_mut().unwrap() = headers;
        let request = request.body(Body::from(body)).unwrap();
        let (status, body) = send(host, request).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{body}");
        let answer: Value = serde_json::from_str(&body).unwrap();
        answer["deployments"][0]["id"].as_str().unwrap().to_owned()
    }

    /// The image that the Deployment names; `None` when there is no Deployment.
    pub(crate) fn deployed_image(&self) -> Option<String> {
        let deployment = self
            .cluster
            .object("apps/v1", "Deployment", "shop", "shop")?;
        let container = &deployment["spec"]["template"]["spec"]["containers"][0];
        container["image"].as_str().map(str::to_owned)
    }
}

async fn send(host: &Router, request: Request<Body>) -> (StatusCode, String) {
    let response = host.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let body = to_bytes(response.into_body(), 1 << 24).await.unwrap();
    (status, String::from_utf8(body.into()).unwrap())
}

pub(crate) async fn get(host: &Router, path: &str) -> (StatusCode, String) {
    let request = Request::get(path).header("host", "localhost");
    send(host, request.body(Body::empty()).unwrap()).await
}

/// All events of a deployment, as a client of the API follows them.
pub(crate) async fn events_of(host: &Router, id: &str) -> Vec<Event> {
    let path = format!("/deploy/api/deployments/{id}/events?follow=true");
    let (_, lines) = get(host, &path).await;
    let event = |line: &str| serde_json::from_str(line).unwrap();
    lines.lines().map(event).collect()
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
