//! A project, its repository, and `pipeops serve` processes that can be killed.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use k8s_openapi::api::apps::v1::ReplicaSet;
use kube::Api;
use kube::api::ListParams;
use pipeops::testkit::git::{GitOptions, GitServer, Repo};
use pipeops::testkit::webhook::{Push, Sender};
use serde_json::Value;
use tempfile::TempDir;

mod namespace;

use namespace::Namespace;

/// Longer than the slowest deployment of a test, which ends at the deadline of a rollout.
const LIMIT: Duration = Duration::from_secs(900);

/// The binary.
pub fn pipeops() -> Command {
    Command::new(env!("CARGO_BIN_EXE_pipeops"))
}

/// Whether this is a deployment's last event.
pub fn is_final(event: &Value) -> bool {
    ["succeeded", "failed", "cancelled"].contains(&event["type"].as_str().unwrap_or_default())
}

/// A project in a namespace of its own, and its repository.
pub struct Scene {
    name: String,
    environment: Vec<(String, String)>,
    data: TempDir,
    git: GitServer,
    repository: Repo,
    namespace: Namespace,
}

impl Scene {
    /// A project that is complete, its database and an empty repository. `environment` is for the servers' processes.
    pub async fn new(name: &str, environment: &[(&str, String)]) -> Self {
        let id = uuid::Uuid::now_v7().simple().to_string();
        let name = format!("{name}-{}", &id[id.len() - 12..]);
        let environment: Vec<(String, String)> = environment
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.clone()))
            .collect();
        let git = GitServer::start(GitOptions::default()).await.unwrap();
        let repository = git.create(&format!("team/{name}"));
        let scene = Self {
            namespace: Namespace::named(&name).await,
            name,
            environment,
            data: tempfile::tempdir().unwrap(),
            git,
            repository,
        };
        scene.create_project();
        scene
    }

    fn create_project(&self) {
        let own = self.environment.iter().find(|(key, _)| key == "REGISTRY");
        let registry = own.map(|(_, value)| value.clone());
        let registry = registry.unwrap_or_else(|| std::env::var("REGISTRY").expect("REGISTRY"));
        let url = self.git.url(&format!("team/{}", self.name));
        let image = format!("{registry}/tests/{}", self.name);
        let create = format!(
            "project create {} --repository {url} --image {image} --replicas 1 --webhook-secret-file -",
            self.name
        );
        let mut child = self
            .command()
            .args(create.split(' '))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(b"secret\n").unwrap();
        assert!(child.wait().unwrap().success());
    }

    fn command(&self) -> Command {
        let mut command = pipeops();
        command
            .args(["--output", "json"])
            .envs(self.environment.iter().cloned())
            .env("PIPEOPS_DATA", self.data.path());
        command
    }

    /// Starts a server on the project's database.
    pub fn serve(&self) -> Server {
        let mut child = self
            .command()
            .args(["serve", "--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let announced: Value =
            serde_json::from_str(&line).expect("the server announces its address");
        Server {
            child,
            url: format!("http://{}", announced["listening"].as_str().unwrap()),
        }
    }

    /// Commits and sends GitHub's webhook for it; the deployment's id.
    pub async fn push(&self, server: &Server, files: &[(&str, String)]) -> String {
        let files: Vec<(&str, &str)> = files
            .iter()
            .map(|(path, text)| (*path, text.as_str()))
            .collect();
        let sha = self.repository.commit(&files, "A commit").unwrap();
        let push = Push::new(format!("team/{}", self.name), "main", sha);
        let (headers, body) = push.signed(Sender::GitHub, "secret");
        let request = reqwest::Client::new().post(format!("{}/webhooks/{}", server.url, self.name));
        let response = request.headers(headers).body(body).send().await.unwrap();
        let reply: Value = response.json().await.unwrap();
        reply["deployments"][0]["id"]
            .as_str()
            .unwrap_or_else(|| panic!("{reply}"))
            .to_owned()
    }

    /// Pushes, and waits for the last event of the deployment.
    pub async fn deploy(&self, server: &Server, files: &[(&str, String)]) -> Value {
        let id = self.push(server, files).await;
        server.events(&id).until(is_final).await.pop().unwrap()
    }

    /// How many revisions of the app there are in the cluster.
    pub async fn replica_sets(&self) -> usize {
        let sets: Api<ReplicaSet> = Api::namespaced(self.namespace.client.clone(), &self.name);
        sets.list(&ListParams::default()).await.unwrap().items.len()
    }

    /// Asks the app through the API server until the answer contains this text.
    pub async fn expect_answer(&self, wanted: &str) {
        self.namespace.expect_answer(&self.name, wanted).await;
    }
}

/// A running `pipeops serve`.
pub struct Server {
    child: Child,
    url: String,
}

impl Server {
    /// `kill -9`.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The events of a deployment, from its first one.
    pub fn events(&self, id: &str) -> Events {
        Events {
            url: format!("{}/api/deployments/{id}/events?follow=true", self.url),
        }
    }

    /// All deployments.
    pub async fn deployments(&self) -> Vec<Value> {
        let list: Value = reqwest::get(format!("{}/api/deployments", self.url))
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        list["deployments"].as_array().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The stream of a deployment's events.
pub struct Events {
    url: String,
}

impl Events {
    /// Reads up to the first event of which `wanted` is true, which is the last one of the answer.
    pub async fn until(self, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
        let mut seen = Vec::new();
        let read = tokio::time::timeout(LIMIT, self.read(&wanted, &mut seen)).await;
        assert!(read.is_ok(), "it did not come: {:?}", seen.last());
        seen
    }

    async fn read(self, wanted: &impl Fn(&Value) -> bool, seen: &mut Vec<Value>) {
        let mut response = reqwest::get(self.url).await.unwrap();
        let mut buffer = Vec::new();
        while let Some(chunk) = response.chunk().await.unwrap() {
            buffer.extend_from_slice(&chunk);
            while let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = buffer.drain(..=end).collect();
                seen.push(serde_json::from_slice(&line).unwrap());
                if wanted(&seen[seen.len() - 1]) {
                    return;
                }
            }
        }
        panic!("the stream ended at {:?}", seen.last());
    }
}
