//! Clones from, and webhooks of, a real forge.
#![expect(clippy::unwrap_used, reason = "in tests a panic is the message")]

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pipeops_core::{EventSink, Stack};
use pipeops_runner::clone::{CloneError, CloneRequest, clone, source_folder};
use pipeops_runner::project::Login;
use pipeops_runner::store::DeploymentFilter;
use pipeops_runner::workspace::Workspaces;
use pipeops_runner::{
    Deployer, Deployment, Environment, Project, RolledOut, Service, SqliteStore, StepFailure, Store,
};
use serde_json::{Value, json};

const SECRET: &str = "the secret of the hook";

/// A new private repository at the forge that the environment names.
struct Repository {
    forge: String,
    username: String,
    token: String,
    name: String,
    client: reqwest::Client,
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: run `cargo testbed up gitea` and `cargo testbed env`")
    })
}

impl Repository {
    async fn create() -> Self {
        let repository = Self {
            forge: variable("GITEA_URL"),
            username: variable("GITEA_USERNAME"),
            token: variable("GITEA_TOKEN"),
            name: format!("runner-{}", uuid::Uuid::now_v7().simple()),
            client: client(),
        };
        let body = json!({"name": repository.name, "private": true, "default_branch": "main"});
        repository.post("user/repos", &body).await;
        repository
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        let url = format!("{}/api/v1/{path}", self.forge);
        let request = self.client.post(url).bearer_auth(&self.token).json(body);
        let response = request.send().await.unwrap();
        assert!(
            response.status().is_success(),
            "{path}: {}",
            response.status()
        );
        response.json().await.unwrap()
    }

    fn path(&self) -> String {
        format!("{}/{}", self.username, self.name)
    }

    fn url(&self) -> String {
        format!("{}/{}.git", self.forge, self.path())
    }

    /// Commits a file to main. Returns the commit's SHA.
    async fn commit(&self, path: &str, content: &str) -> String {
        let body = json!({"content": STANDARD.encode(content), "message": format!("Add {path}"), "branch": "main"});
        let answer = self
            .post(&format!("repos/{}/contents/{path}", self.path()), &body)
            .await;
        answer["commit"]["sha"].as_str().unwrap().to_owned()
    }

    fn request(&self, sha: &str) -> CloneRequest {
        CloneRequest::new(self.url().parse().unwrap(), sha.parse().unwrap())
    }

    fn login(&self, token: &str) -> Option<Login> {
        Some(Login::new(&self.username, token))
    }
}

fn client() -> reqwest::Client {
    // The forge is on loopback and speaks plain HTTP, but the client wants to know how it would speak TLS.
    let roots = rustls::RootCertStore::empty();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .build()
        .unwrap()
}

#[tokio::test]
#[ignore = "needs testbed: gitea"]
async fn a_private_repository_is_cloned_by_token_and_each_refusal_has_its_name() {
    let repository = Repository::create().await;
    let first = repository.commit("first.txt", "1").await;
    repository.commit("second.txt", "2").await;
    let folder = tempfile::tempdir().unwrap();
    let workspaces = Workspaces::open(folder.path()).unwrap();
    let attempt = async |request: CloneRequest| {
        let workspace = Arc::new(workspaces.create().unwrap());
        let cloned = clone(&workspace, &request).await?;
        let second = source_folder(&workspace).join("second.txt").exists();
        Ok::<_, CloneError>((cloned.files, second))
    };

    let request = repository.request(&first);
    let right = repository.login(&repository.token);
    let cloned = attempt(request.clone().login(right.clone())).await;
    assert_eq!(cloned.unwrap(), (1, false), "the first commit alone");

    let error = attempt(request.clone()).await.unwrap_err();
    assert!(matches!(error, CloneError::LoginNeeded { .. }), "{error:?}");
    let error = attempt(request.login(repository.login("wrong")))
        .await
        .unwrap_err();
    assert!(
        matches!(error, CloneError::LoginRefused { .. }),
        "{error:?}"
    );
    let missing = repository.request(&"d".repeat(40)).login(right.clone());
    let error = attempt(missing).await.unwrap_err();
    assert!(
        matches!(error, CloneError::MissingCommit { .. }),
        "{error:?}"
    );
    let elsewhere = format!("{}/{}-other.git", repository.forge, repository.path());
    let elsewhere = CloneRequest::new(elsewhere.parse().unwrap(), first.parse().unwrap());
    let error = attempt(elsewhere.login(right)).await.unwrap_err();
    assert!(
        matches!(error, CloneError::NoRepository { .. }),
        "{error:?}"
    );
}

#[tokio::test]
#[ignore = "needs testbed: gitea"]
async fn a_real_push_is_verified_and_stored_once() {
    let repository = Repository::create().await;
    let store = SqliteStore::in_memory().unwrap();
    let environment = Environment::new("production")
        .unwrap()
        .branch("main")
        .cluster("default");
    let project = Project::new("shop")
        .unwrap()
        .repository(repository.url().parse().unwrap())
        .image("127.0.0.1:1/team/shop".parse().unwrap())
        .webhook_secret(SECRET)
        .environment(environment);
    store.put_project(&project).await.unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = Service::builder(store)
        .cluster("default", NoCluster)
        .start()
        .await
        .unwrap();
    tokio::spawn(axum::serve(listener, service.router()).into_future());

    let hook = json!({"type": "gitea", "active": true, "events": ["push"], "config": {
        "url": format!("http://{address}/webhooks/shop"), "content_type": "json", "secret": SECRET}});
    repository
        .post(&format!("repos/{}/hooks", repository.path()), &hook)
        .await;
    let sha = repository.commit("app.py", "print(1)").await;

    let deployment = first_deployment(&service).await;
    assert_eq!(deployment.commit.as_str(), sha);
    assert_eq!(deployment.message.as_deref(), Some("Add app.py"));
    assert_eq!(deployment.repository, repository.path());
}

async fn first_deployment(service: &Service) -> Deployment {
    let mut stream = service.hub().subscribe(0, None);
    let event = tokio::time::timeout(Duration::from_secs(60), stream.next()).await;
    event.expect("no webhook within a minute").unwrap();
    let filter = DeploymentFilter::default();
    service
        .store()
        .deployments(&filter)
        .await
        .unwrap()
        .remove(0)
}

/// Takes nothing: the service of this test has no runner.
#[derive(Debug)]
struct NoCluster;

#[async_trait::async_trait]
impl Deployer for NoCluster {
    async fn deploy(
        &self,
        _: &str,
        _: &Stack,
        _: &dyn EventSink,
    ) -> Result<RolledOut, StepFailure> {
        Ok(RolledOut::new("nothing to do"))
    }
}
