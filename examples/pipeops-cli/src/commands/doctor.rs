//! `pipeops doctor`: checks every server that the environment names.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use pipeops::buildkit::{Address, Client, ConnectOptions};
use pipeops::core::credential::Anonymous;
use pipeops::core::{Credential, CredentialProvider, Diagnosis, ImageRef};
use pipeops::registry::{ClientOptions, RegistryClient, StaticCredentials};
use serde::Serialize;

use crate::cluster;
use crate::environment::{Environment, Gitea, Registry, S3};
use crate::output::{CommandError, Format};
use crate::pages::{BUCKET_MISSING, NO_ANSWER, SERVERS_BROKEN};

/// The time limit of each check.
const LIMIT: Duration = Duration::from_secs(15);

/// Check BuildKit, the registry, the cluster, the cache bucket and Gitea, and print a fix for each failure
#[derive(Debug, clap::Args)]
pub struct Doctor {}

/// The findings about all servers.
#[derive(Debug, Serialize)]
struct Report {
    servers: Vec<Finding>,
}

/// The finding about one server.
#[derive(Debug, Serialize)]
struct Finding {
    server: &'static str,
    /// `ok`, `missing` or `broken`.
    state: &'static str,
    /// The server's answer, or the missing variable.
    says: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    diagnosis: Option<Diagnosis>,
}

impl Doctor {
    pub async fn run(&self, format: Format) -> Result<(), CommandError> {
        let environment = Environment::read();
        let (buildkit, registry, cluster, cache, forge) = tokio::join!(
            check(
                "BuildKit",
                "BUILDKIT_HOST",
                environment.buildkit.clone().map(buildkit)
            ),
            check(
                "registry",
                "REGISTRY",
                environment.registry.clone().map(registry)
            ),
            check(
                "cluster",
                "KUBECONFIG",
                environment.kubernetes.then(kubernetes)
            ),
            check("S3 cache", "S3_BUCKET", environment.s3.clone().map(s3)),
            check(
                "Gitea",
                "GITEA_URL, GITEA_USERNAME and GITEA_TOKEN",
                environment.gitea.clone().map(gitea)
            ),
        );
        let report = Report {
            servers: vec![buildkit, registry, cluster, cache, forge],
        };
        format.print(&report);
        let broken = report
            .servers
            .iter()
            .filter(|finding| finding.state == "broken")
            .count();
        match broken {
            0 => Ok(()),
            count => {
                let diagnosis = Diagnosis::new(&SERVERS_BROKEN);
                let title = format!("{count} server(s) failed the check");
                Err(CommandError::failed(diagnosis.title(title)).printed())
            }
        }
    }
}

/// Runs one check within the limit.
async fn check(
    server: &'static str,
    variable: &str,
    asked: Option<impl Future<Output = Result<String, CommandError>>>,
) -> Finding {
    let finding = |state, says, diagnosis| Finding {
        server,
        state,
        says,
        diagnosis,
    };
    let Some(asked) = asked else {
        return finding("missing", format!("not set: {variable}"), None);
    };
    let answer = tokio::time::timeout(LIMIT, asked)
        .await
        .unwrap_or_else(|_| {
            let diagnosis = Diagnosis::new(&NO_ANSWER)
                .title(format!("{server} does not answer"))
                .error(format!("no answer within {} s", LIMIT.as_secs()))
                .fixes([format!(
                    "Check that the server runs, and that {variable} has its address"
                )]);
            Err(CommandError::failed(diagnosis))
        });
    match answer.map_err(CommandError::into_diagnosis) {
        Ok(says) => finding("ok", says, None),
        Err(diagnosis) => finding("broken", diagnosis.title.clone(), Some(diagnosis)),
    }
}

/// Each daemon of the pool, if several are named.
async fn buildkit(addresses: String) -> Result<String, CommandError> {
    let daemons = addresses
        .split(',')
        .map(|address| daemon(address.trim().to_owned()));
    Ok(futures::future::try_join_all(daemons).await?.join("; "))
}

async fn daemon(address: String) -> Result<String, CommandError> {
    let client = Client::connect(&Address::parse(&address)?, ConnectOptions::default()).await?;
    let info = client.info().await?;
    let workers = client.workers().await?;
    let platforms: Vec<String> = workers
        .iter()
        .flat_map(|worker| worker.platforms.iter().cloned())
        .collect();
    Ok(format!(
        "{} at {address}, builds {}",
        info.version,
        platforms.join(", ")
    ))
}

async fn registry(registry: Registry) -> Result<String, CommandError> {
    let image: ImageRef = format!("{}/pipeops-doctor:check", registry.prefix).parse()?;
    let credentials: Arc<dyn CredentialProvider> = match &registry.login {
        Some((username, password)) => {
            let credential = Credential::basic(username, password.clone());
            Arc::new(StaticCredentials::new().with(image.host(), credential))
        }
        None => Arc::new(Anonymous),
    };
    RegistryClient::new(credentials, ClientOptions::default())?
        .check_push(&image)
        .await?;
    Ok(format!("{} accepts pushes", registry.prefix))
}

async fn kubernetes() -> Result<String, CommandError> {
    let client = cluster::client().await?;
    let version = client.apiserver_version().await.map_err(|error| {
        let diagnosis = Diagnosis::new(&NO_ANSWER)
            .title("The cluster does not answer")
            .error(error.to_string())
            .fixes(["Check that the API server runs and that the kubeconfig's credentials are valid: kubectl version"]);
        CommandError::failed(diagnosis)
    })?;
    Ok(format!("Kubernetes {}", version.git_version))
}

async fn s3(s3: S3) -> Result<String, CommandError> {
    let endpoint = s3
        .endpoint
        .clone()
        .unwrap_or_else(|| format!("https://s3.{}.amazonaws.com", s3.region));
    let url = format!("{endpoint}/{}/", s3.bucket);
    let status = get(&url).await?;
    // Without a signature a bucket that is there answers 403, and one that is not 404.
    if status == 404 {
        let diagnosis = Diagnosis::new(&BUCKET_MISSING).error(format!("{url}: 404"));
        return Err(CommandError::failed(diagnosis));
    }
    Ok(format!("{url} answers"))
}

async fn gitea(gitea: Gitea) -> Result<String, CommandError> {
    let status = get(&format!("{}/api/v1/version", gitea.url)).await?;
    Ok(format!("{} answers {status}", gitea.url))
}

async fn get(url: &str) -> Result<u16, CommandError> {
    let unreachable = |error: reqwest::Error| {
        CommandError::failed(
            Diagnosis::new(&NO_ANSWER)
                .error(error.without_url().to_string())
                .reason(url),
        )
    };
    let client = reqwest::Client::builder()
        .timeout(LIMIT)
        .build()
        .map_err(unreachable)?;
    Ok(client
        .get(url)
        .send()
        .await
        .map_err(unreachable)?
        .status()
        .as_u16())
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.servers {
            let sign = match finding.state {
                "ok" => "✓",
                "missing" => "–",
                _ => "✗",
            };
            writeln!(f, "{sign} {:<10} {}", finding.server, finding.says)?;
        }
        for diagnosis in self
            .servers
            .iter()
            .filter_map(|finding| finding.diagnosis.as_ref())
        {
            write!(f, "\n{diagnosis}")?;
        }
        Ok(())
    }
}
