//! Clones from, and webhooks of, a real forge.
#![expect(clippy::unwrap_used, reason = "in tests a panic is the message")]

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pipeops_rollout::{Rollout, RolloutOptions, client_from, kube};
use pipeops_runner::clone::{CloneError, CloneRequest, clone, source_folder};
use pipeops_runner::project::Login;
use pipeops_runner::store::DeploymentFilter;
use pipeops_runner::workspace::Workspaces;
use pipeops_runner::{Deployment, Environment, Project, Service, SqliteStore};
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

/// The forge is on loopback with plain HTTP, but a client without a TLS provider cannot be built.
fn client() -> reqwest::Client {
    let tls = pipeops_core::tls::client_config(&[]).unwrap();
    let client = reqwest::Client::builder().tls_backend_preconfigured(tls);
    client.build().unwrap()
}

macro_rules! assert_is {
    ($error:expr, $variant:ident) => {
        assert!(
            matches!($error, CloneError::$variant { .. }),
            "{:?}",
            $error
        )
    };
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
    assert_is!(error, LoginNeeded);
    let wrong = request.login(repository.login("wrong"));
    let error = attempt(wrong).await.unwrap_err();
    assert_is!(error, LoginRefused);
    let missing = repository.request(&"d".repeat(40)).login(right.clone());
    let error = attempt(missing).await.unwrap_err();
    assert_is!(error, MissingCommit);
    let elsewhere = format!("{}/{}-other.git", repository.forge, repository.path());
    let elsewhere = CloneRequest::new(elsewhere.parse().unwrap(), first.parse().unwrap());
    let error = attempt(elsewhere.login(right)).await.unwrap_err();
    assert_is!(error, NoRepository);
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
    // Without an image builder, the service runs no deployment and needs no cluster.
    let nowhere = kube::Config::new("http://127.0.0.1:1".parse().unwrap());
    let nowhere = client_from(nowhere).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = Service::builder(store)
        .cluster("default", Rollout::new(nowhere, RolloutOptions::default()))
        .start()
        .await
        .unwrap();
    tokio::spawn(axum::serve(listener, service.router()).into_future());

    let url = format!("http://{address}/webhooks/shop");
    let config = json!({"url": url, "content_type": "json", "secret": SECRET});
    let hook = json!({"type": "gitea", "active": true, "events": ["push"], "config": config});
    let path = format!("repos/{}/hooks", repository.path());
    repository.post(&path, &hook).await;
    let sha = repository.commit("app.py", "print(1)").await;

    let deployment = first_deployment(&service).await;
    assert_eq!(deployment.commit.as_str(), sha);
    assert_eq!(deployment.message.as_deref(), Some("Add app.py"));
    assert_eq!(deployment.repository, repository.path());
}

async fn first_deployment(service: &Service) -> Deployment {
    let mut stream = service.hub().subscribe(0, None);
    stream.next().await.unwrap();
    let filter = DeploymentFilter::default();
    let deployments = service.store().deployments(&filter).await;
    deployments.unwrap().remove(0)
}
