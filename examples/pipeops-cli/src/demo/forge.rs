//! The server of the sample repository: a real Gitea, which sends its own webhook, or a stand-in git server, for which the demo
//! signs and sends the webhook.

use std::path::Path;
use std::process::Stdio;

use async_trait::async_trait;
use pipeops::core::{Diagnosis, SecretString};
use pipeops::testkit::git::{GitOptions, GitServer, Repo};
use pipeops::testkit::webhook::{Push, Sender};
use reqwest::Method;
use serde_json::{Value, json};

use super::failed::failed;
use super::sample::Commit;
use crate::environment::Gitea;
use crate::output::CommandError;
use crate::pages::DEMO_GITEA;

/// The sample repository's name.
pub const REPOSITORY: &str = "pipeops-demo";

/// git without the user's own settings, and with one that gets its value for each call.
const GIT_SETTINGS: [(&str, &str); 9] = [
    ("GIT_CONFIG_NOSYSTEM", "1"),
    ("GIT_CONFIG_GLOBAL", "/dev/null"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_AUTHOR_NAME", "demo"),
    ("GIT_AUTHOR_EMAIL", "demo@example.com"),
    ("GIT_COMMITTER_NAME", "demo"),
    ("GIT_COMMITTER_EMAIL", "demo@example.com"),
    ("GIT_CONFIG_COUNT", "1"),
    ("GIT_CONFIG_KEY_0", "http.extraHeader"),
];

/// The server of the sample repository.
#[async_trait]
pub trait Forge: Send {
    /// The address that the pipeline clones from.
    fn clone_url(&self) -> String;

    /// Commits and returns the SHA of the commit.
    async fn commit(&mut self, commit: Commit) -> Result<String, CommandError>;

    /// Pushes the commits, which causes a signed webhook.
    async fn push(&mut self) -> Result<(), CommandError>;
}

/// A repository on a real Gitea and its local clone.
pub struct GiteaForge {
    gitea: Gitea,
    http: reqwest::Client,
    work: tempfile::TempDir,
}

impl GiteaForge {
    /// Creates the repository, replacing an older one, with a webhook to `hook_url` that is signed with `secret`.
    pub async fn create(
        gitea: Gitea,
        hook_url: &str,
        secret: &SecretString,
    ) -> Result<Self, CommandError> {
        let work = tempfile::tempdir()
            .map_err(|error| failed("cannot create a folder for the sample repository", &error))?;
        let forge = Self {
            gitea,
            http: http_client()?,
            work,
        };
        let repository = format!("repos/{}/{REPOSITORY}", forge.gitea.username);
        forge
            .call(Method::DELETE, &repository, None, &[404])
            .await?;
        let new = json!({ "name": REPOSITORY, "default_branch": "main", "auto_init": false });
        forge
            .call(Method::POST, "user/repos", Some(new), &[])
            .await?;
        let hook = json!({
            "type": "gitea", "active": true, "events": ["push"],
            "config": { "url": hook_url, "content_type": "json", "secret": secret.expose() },
        });
        let hooks = format!("{repository}/hooks");
        forge.call(Method::POST, &hooks, Some(hook), &[]).await?;
        forge
            .git(&["init", "--quiet", "--initial-branch", "main"])
            .await?;
        Ok(forge)
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        accepted: &[u16],
    ) -> Result<(), CommandError> {
        let url = format!("{}/api/v1/{path}", self.gitea.url);
        let authorization = format!("token {}", self.gitea.token.expose());
        let mut request = self
            .http
            .request(method, &url)
            .header("Authorization", authorization);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request
            .send()
            .await
            .map_err(|error| failed("Gitea does not answer", &error))?;
        let status = response.status();
        if status.is_success() || accepted.contains(&status.as_u16()) {
            return Ok(());
        }
        let text: String = response
            .text()
            .await
            .unwrap_or_default()
            .chars()
            .take(300)
            .collect();
        Err(CommandError::failed(
            Diagnosis::new(&DEMO_GITEA).error(format!("{url}: {status} {text}")),
        ))
    }

    /// Runs git in the local clone. The token goes through the environment, because every user can read arguments.
    async fn git(&self, arguments: &[&str]) -> Result<String, CommandError> {
        let header = format!("Authorization: token {}", self.gitea.token.expose());
        let output = tokio::process::Command::new("git")
            .args(arguments)
            .current_dir(self.work.path())
            .envs(GIT_SETTINGS)
            .env("GIT_CONFIG_VALUE_0", &header)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .map_err(|error| failed("cannot run git", &error))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(failed(&format!("git {} failed", arguments[0]), &message))
    }
}

#[async_trait]
impl Forge for GiteaForge {
    fn clone_url(&self) -> String {
        format!(
            "{}/{}/{REPOSITORY}.git",
            self.gitea.url, self.gitea.username
        )
    }

    async fn commit(&mut self, commit: Commit) -> Result<String, CommandError> {
        write_files(self.work.path(), commit)
            .map_err(|error| failed("cannot write the sample repository", &error))?;
        self.git(&["add", "--all"]).await?;
        self.git(&["commit", "--quiet", "--message", &commit.message()])
            .await?;
        Ok(self.git(&["rev-parse", "HEAD"]).await?.trim().to_owned())
    }

    /// A real `git push`: Gitea sends its webhook by itself.
    async fn push(&mut self) -> Result<(), CommandError> {
        self.git(&["push", "--quiet", &self.clone_url(), "main"])
            .await
            .map(drop)
    }
}

/// A repository on an in-process git server, which sends no webhooks: the demo signs and sends those of GitHub.
pub struct StandInForge {
    _server: GitServer,
    repository: Repo,
    url: String,
    hook_url: String,
    secret: SecretString,
    http: reqwest::Client,
    /// The last pushed commit, or 40 zeros.
    pushed: String,
    /// The newest commit with its message and changed paths.
    head: Option<(String, String, Vec<&'static str>)>,
}

impl StandInForge {
    /// Starts the server with an empty repository.
    pub async fn start(hook_url: &str, secret: SecretString) -> Result<Self, CommandError> {
        let server = GitServer::start(GitOptions::default())
            .await
            .map_err(|error| failed("cannot start a git server", &error))?;
        let repository = server.create(&format!("demo/{REPOSITORY}"));
        let url = repository.url().to_owned();
        let (hook_url, pushed) = (hook_url.to_owned(), "0".repeat(40));
        Ok(Self {
            _server: server,
            repository,
            url,
            hook_url,
            secret,
            http: http_client()?,
            pushed,
            head: None,
        })
    }

    /// Signs and sends the webhook as GitHub does.
    async fn send(&self, push: Push) -> Result<(), CommandError> {
        let (headers, body) = push.signed(Sender::GitHub, self.secret.expose());
        let response = self
            .http
            .post(&self.hook_url)
            .headers(headers)
            .body(body)
            .send()
            .await
            .map_err(|error| failed("the webhook was not answered", &error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let text = response.text().await.unwrap_or_default();
        let answer = format!("{status} {text}");
        Err(failed("the webhook was refused", &answer))
    }
}

#[async_trait]
impl Forge for StandInForge {
    fn clone_url(&self) -> String {
        self.url.clone()
    }

    async fn commit(&mut self, commit: Commit) -> Result<String, CommandError> {
        let files = commit.files();
        let texts: Vec<(&str, &str)> = files
            .iter()
            .map(|(path, text)| (*path, text.as_str()))
            .collect();
        let sha = self
            .repository
            .commit(&texts, &commit.message())
            .map_err(|error| failed("cannot commit", &error))?;
        let changed = files.iter().map(|(path, _)| *path).collect();
        self.head = Some((sha.clone(), commit.message(), changed));
        Ok(sha)
    }

    /// Sends GitHub's webhook for a push.
    async fn push(&mut self) -> Result<(), CommandError> {
        let Some((sha, message, changed)) = self.head.take() else {
            return Ok(());
        };
        let before = std::mem::replace(&mut self.pushed, sha.clone());
        let push = Push::new(format!("demo/{REPOSITORY}"), "main", sha).before(before);
        let push = push.message(message).pusher("demo").changed(changed);
        self.send(push).await
    }
}

fn write_files(dir: &Path, commit: Commit) -> std::io::Result<()> {
    commit
        .files()
        .iter()
        .try_for_each(|(path, text)| std::fs::write(dir.join(path), text))
}

fn http_client() -> Result<reqwest::Client, CommandError> {
    reqwest::Client::builder()
        .timeout(std::time::Duration::from_secs(30))
        .build()
        .map_err(|error| failed("cannot create an HTTP client", &error))
}
