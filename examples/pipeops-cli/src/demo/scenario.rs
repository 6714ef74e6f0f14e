//! The demo's service with one project and its repository, and what the demo prints.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use pipeops::core::{Diagnosis, EventKind, SecretString};
use pipeops::runner::{Deployment, Environment as Target, Project, Service, SqliteStore};
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::failed::failed;
use super::forge::{Forge, GiteaForge, REPOSITORY, StandInForge};
use super::prober::{Endpoint, Probed, Prober};
use super::sample::Commit;
use super::servers::{Row, Servers};
use crate::backends::CLUSTER;
use crate::commands::deploy::follow;
use crate::commands::project::new_secret;
use crate::environment::Environment;
use crate::output::{CommandError, Format, print_json};
use crate::pages::DEMO_WEBHOOK;

/// The project, its app and its namespace.
const NAME: &str = REPOSITORY;
/// How long the demo waits for a webhook.
const WEBHOOK_LIMIT: Duration = Duration::from_secs(60);

/// Everything that the demo needs.
pub struct Scenario {
    service: Service,
    servers: Servers,
    forge: Box<dyn Forge>,
    address: SocketAddr,
    format: Format,
    /// The version that is expected to answer.
    version: &'static str,
    http: JoinHandle<()>,
    /// The database and the workspaces.
    _data: TempDir,
}

impl Scenario {
    /// Starts the service, creates project and repository, and prints which servers are real.
    pub async fn start(
        servers: Servers,
        environment: &Environment,
        listener: TcpListener,
        format: Format,
    ) -> Result<Self, CommandError> {
        let data =
            tempfile::tempdir().map_err(|error| failed("no folder for the database", &error))?;
        let address = listener
            .local_addr()
            .map_err(|error| failed("no address", &error))?;
        let secret = new_secret();
        let hook_url = format!("http://{address}/webhooks/{NAME}");

        let store = SqliteStore::open(data.path().join("pipeops.db"))?;
        let builder = servers
            .backends
            .service(store)?
            .workspaces(data.path().join("workspaces"));
        let service = builder.start().await?;
        let router = service.router();
        let http = tokio::spawn(async move {
            // Ends with the task: an error here would be a listener that broke.
            let _ = axum::serve(listener, router).await;
        });
        let forge: Box<dyn Forge> = match &environment.gitea {
            Some(gitea) => Box::new(GiteaForge::create(gitea.clone(), &hook_url, &secret).await?),
            None => Box::new(StandInForge::start(&hook_url, secret.clone()).await?),
        };
        let scenario = Self {
            service,
            servers,
            forge,
            address,
            format,
            version: "",
            http,
            _data: data,
        };
        scenario
            .service
            .store()
            .put_project(&scenario.project(environment, secret)?)
            .await?;
        scenario.print_servers(environment);
        Ok(scenario)
    }

    /// Pushes a commit and shows its deployment.
    pub async fn deploy(&mut self, title: &str, commit: Commit) -> Result<(), CommandError> {
        self.say(&format!("\n── {title}"));
        let begin = Instant::now();
        let deployment = self.push(commit).await?;
        follow(self.service.hub(), 0, &deployment, self.format).await?;
        self.say(&format!(
            "Rollout complete: {NAME} runs {} ({:.1} s)",
            deployment.commit,
            begin.elapsed().as_secs_f32()
        ));
        if let Commit::Good(version) = commit {
            self.version = version;
        }
        self.ask().await
    }

    /// Deploys while a prober sends requests to the app, if pods are real.
    pub async fn deploy_under_load(
        &mut self,
        title: &str,
        commit: Commit,
    ) -> Result<(), CommandError> {
        let prober = self.prober().await?;
        self.deploy(title, commit).await?;
        match prober {
            Some(prober) => self.report(&prober.stop().await, 0),
            None => Ok(()),
        }
    }

    /// Pushes a commit that cannot run: PipeOps has to diagnose it and roll it back while the old version keeps answering.
    pub async fn break_and_roll_back(
        &mut self,
        title: &str,
        commit: Commit,
    ) -> Result<(), CommandError> {
        let prober = self.prober().await?;
        self.say(&format!("\n── {title}"));
        let deployment = self.push(commit).await?;
        let followed = follow(self.service.hub(), 0, &deployment, self.format).await;
        let ended = self.service.store().deployment(&deployment.id).await?;
        if followed.is_ok() || !ended.is_some_and(|deployment| deployment.rolled_back) {
            let status = followed.map_or("it failed", |()| "it succeeded");
            return Err(failed("the broken commit was not rolled back", status));
        }
        self.say("Rolled back: the old version is serving");
        self.ask().await?;
        match prober {
            Some(prober) => self.report(&prober.stop().await, 0),
            None => Ok(()),
        }
    }

    /// The last lines.
    pub fn print_end(&self, stays: bool) {
        if stays {
            self.say(&format!(
                "\nThe dashboard stays at http://{}/ until Ctrl-C.",
                self.address
            ));
        }
        if self.servers.has_real_pods() {
            self.say(&format!(
                "\nThe app stays in the cluster. To remove it: kubectl delete namespace {NAME}"
            ));
        } else if !stays {
            self.say("\nTo see the dashboard: cargo demo --serve. To use real servers: cargo testbed up demo (Linux, root, Go).");
        }
    }

    /// Stops the service; running deployments get a few seconds.
    pub async fn close(self) {
        self.service.shutdown(Duration::from_secs(5)).await;
        self.http.abort();
    }

    fn project(
        &self,
        environment: &Environment,
        secret: SecretString,
    ) -> Result<Project, CommandError> {
        let image = format!("{}/{NAME}", self.servers.images).parse()?;
        let target = Target::new("production")?
            .branch("main")
            .cluster(CLUSTER)
            .namespace(NAME)
            .replicas(2);
        let mut project = Project::new(NAME)?
            .repository(self.forge.clone_url().parse()?)
            .image(image)
            .webhook_secret(secret)
            .environment(target);
        if let Some(gitea) = &environment.gitea {
            project = project.git_login(&gitea.username, gitea.token.clone());
        }
        Ok(project)
    }

    fn print_servers(&self, environment: &Environment) {
        let forge = match &environment.gitea {
            Some(gitea) => Row::new("git", true, &gitea.url),
            None => Row::new("git", false, &self.forge.clone_url()),
        };
        let rows: Vec<&Row> = self.servers.rows.iter().chain([&forge]).collect();
        if self.format == Format::Json {
            return print_json(
                &json!({ "servers": rows, "dashboard": format!("http://{}/", self.address) }),
            );
        }
        for row in rows {
            let kind = if row.real { "real" } else { "stand-in" };
            outln!("{:<11} {kind:<9} {}", row.server, row.address);
        }
        outln!("{:<11} {:<9} http://{}/", "dashboard", "", self.address);
    }

    /// Commits, pushes, and waits for the deployment that the webhook starts.
    async fn push(&mut self, commit: Commit) -> Result<Deployment, CommandError> {
        let after = self.service.store().last_event().await?;
        let sha = self.forge.commit(commit).await?;
        self.servers.expect(commit, &sha);
        self.forge.push().await?;
        match tokio::time::timeout(WEBHOOK_LIMIT, self.queued(after, &sha)).await {
            Ok(found) => found,
            Err(_) => Err(CommandError::failed(
                Diagnosis::new(&DEMO_WEBHOOK)
                    .error(format!(
                        "no deployment of {sha} was queued within {} s",
                        WEBHOOK_LIMIT.as_secs()
                    ))
                    .reason(format!(
                        "the git server must be able to reach http://{}/",
                        self.address
                    )),
            )),
        }
    }

    async fn queued(&self, after: u64, sha: &str) -> Result<Deployment, CommandError> {
        let mut events = self.service.hub().subscribe(after, None);
        loop {
            for event in events.next().await? {
                let is_ours = matches!(&event.kind, EventKind::Queued { commit, .. } if commit.as_str() == sha);
                if let (true, Some(found)) = (
                    is_ours,
                    self.service.store().deployment(&event.deployment).await?,
                ) {
                    return Ok(found);
                }
            }
        }
    }

    async fn endpoint(&self) -> Result<Option<Endpoint>, CommandError> {
        if !self.servers.has_real_pods() {
            return Ok(None);
        }
        let endpoint = Endpoint::find(&self.servers.backends.cluster, NAME, NAME).await;
        endpoint
            .map(Some)
            .map_err(|error| failed("the app cannot be reached", &error))
    }

    async fn prober(&self) -> Result<Option<Prober>, CommandError> {
        Ok(self.endpoint().await?.map(Prober::start))
    }

    /// Prints the app's answer, if pods are real.
    async fn ask(&self) -> Result<(), CommandError> {
        let Some(endpoint) = self.endpoint().await? else {
            self.say("The pods are simulated, so no app can answer.");
            return Ok(());
        };
        let answer = endpoint.ask_for(self.version).await;
        let answer = answer.map_err(|error| failed("the app does not answer", &error))?;
        match self.format {
            Format::Json => print_json(&json!({ "address": endpoint.address(), "answer": answer })),
            Format::Text => outln!("{} answers: {}", endpoint.address(), answer.trim_end()),
        }
        Ok(())
    }

    /// Prints what the prober saw. More failed requests than allowed fail the demo.
    fn report(&self, probed: &Probed, allowed: usize) -> Result<(), CommandError> {
        let lost: usize = probed.failed.values().sum();
        let answered: usize = probed.answered.values().sum();
        match self.format {
            Format::Json => print_json(probed),
            Format::Text => {
                let versions: Vec<String> = probed
                    .answered
                    .iter()
                    .map(|(version, count)| format!("{version} {count}×"))
                    .collect();
                outln!(
                    "{} requests during the rollout, {lost} failed: {}",
                    answered + lost,
                    versions.join(", ")
                );
            }
        }
        if lost > allowed || answered == 0 {
            return Err(failed(
                "requests were lost",
                &format!("{:?}", probed.failed),
            ));
        }
        Ok(())
    }

    fn say(&self, line: &str) {
        if self.format == Format::Text {
            outln!("{line}");
        }
    }
}
