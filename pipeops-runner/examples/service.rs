//! A whole PipeOps in one process: the service on in-process stand-ins, three pushes, and the dashboard to watch them.
//!
//! `cargo run -p pipeops-runner --example service -- 127.0.0.1:8080`, then open the address. Ctrl-C ends it.

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use pipeops_buildkit::{Address, Builder, BuilderOptions};
use pipeops_rollout::{Rollout, RolloutOptions};
use pipeops_runner::{Environment, Project, Service, SqliteStore, Store};
use pipeops_testkit::buildkit::{BuildkitDaemon, BuildkitOptions, RunRule, RunScript};
use pipeops_testkit::git::{GitOptions, GitServer, Repo};
use pipeops_testkit::kubernetes::{Cluster, ClusterOptions, PodBehaviour};
use pipeops_testkit::registry::{BaseImage, Registry, RegistryOptions};
use serde_json::json;
use sha2::Sha256;
use tower::ServiceExt;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const SECRET: &str = "the secret that the forge signs with";

const DOCKERFILE: &str = "\
FROM python:3.12-slim
WORKDIR /app
COPY requirements.txt ./
RUN pip install -r requirements.txt
COPY . .
USER 10001
EXPOSE 8080
CMD [\"python\", \"app.py\"]
";

#[tokio::main]
async fn main() -> Result<()> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let git = GitServer::start(GitOptions::default()).await?;
    let registry = Registry::start(RegistryOptions::default()).await?;
    registry.seed("library/python", "3.12-slim", &BaseImage::new())?;
    let buildkit = buildkit(&registry).await?;
    let cluster = Cluster::start(ClusterOptions::default().speed(1)).await?;
    let repo = git.create("team/shop");

    let store = SqliteStore::in_memory()?;
    store.put_project(&project(&repo, &registry)?).await?;
    let client = kube::Client::try_from(kube::Config::new(cluster.url().parse()?))?;
    let options = RolloutOptions::default().create_namespace(true);
    let service = Service::builder(store)
        .image_builder(Builder::new(
            Address::parse(&buildkit.address())?,
            BuilderOptions::default(),
        ))
        .cluster("default", Rollout::new(client, options))
        .start()
        .await?;

    let listener = tokio::net::TcpListener::bind(&address).await?;
    println!("dashboard  http://{}/", listener.local_addr()?);
    let server = tokio::spawn(axum::serve(listener, service.router()).into_future());
    let pushes = async {
        push(&service, &repo, "Open the shop", None, &cluster).await?;
        push(&service, &repo, "Show prices with taxes", None, &cluster).await?;
        let crash = PodBehaviour::crash(1)
            .crash_after(Duration::from_secs(1))
            .log([
                "Traceback (most recent call last):",
                "  File \"/app/app.py\", line 7, in <module>",
                "    db.connect(os.environ[\"DATABASE_HOST\"])",
                "KeyError: 'DATABASE_HOST'",
            ]);
        push(
            &service,
            &repo,
            "Read prices from the database",
            Some(crash),
            &cluster,
        )
        .await
    };
    pushes.await?;
    tokio::signal::ctrl_c().await?;
    server.abort();
    service.shutdown(Duration::from_secs(5)).await;
    Ok(())
}

/// A daemon that takes its time, so that there is something to see.
async fn buildkit(registry: &Registry) -> Result<BuildkitDaemon> {
    let output: String = [
        "Flask",
        "Werkzeug",
        "Jinja2",
        "click",
        "itsdangerous",
        "blinker",
        "MarkupSafe",
        "gunicorn",
    ]
    .map(|name| format!("Collecting {name}\n  Downloading {name}-3.1.whl\n"))
    .concat();
    let pip = RunRule::matching("*pip install*")
        .stdout(output)
        .takes(Duration::from_secs(2));
    let options = BuildkitOptions::default()
        .mirror("docker.io", registry.host())
        .run(RunScript::default().rule(pip));
    Ok(BuildkitDaemon::start(options).await?)
}

fn project(repo: &Repo, registry: &Registry) -> Result<Project> {
    let environment = Environment::new("production")?
        .branch("main")
        .cluster("default")
        .replicas(3);
    let image = format!("{}/team/shop", registry.host()).parse()?;
    Ok(Project::new("shop")?
        .repository(repo.url().parse()?)
        .image(image)
        .webhook_secret(SECRET)
        .environment(environment))
}

/// Commits, sends the forge's webhook, and waits for the end of the deployment.
async fn push(
    service: &Service,
    repo: &Repo,
    message: &str,
    behaviour: Option<PodBehaviour>,
    cluster: &Cluster,
) -> Result<()> {
    let before = repo.branch("main").unwrap_or_else(|| "0".repeat(40));
    let app = format!("print({message:?})\n");
    let files = [
        ("Dockerfile", DOCKERFILE),
        ("requirements.txt", "flask\n"),
        ("app.py", app.as_str()),
    ];
    let commit = repo.commit(&files, message)?;
    let pods =
        behaviour.unwrap_or_else(|| PodBehaviour::ready().ready_after(Duration::from_secs(3)));
    cluster.behaviour(&format!("*{commit}*"), pods);

    let after = service.store().last_event().await?;
    let body = json!({
        "ref": "refs/heads/main", "before": before, "after": commit, "pusher": {"name": "ada"},
        "repository": {"full_name": "team/shop"}, "head_commit": {"id": commit, "message": message},
    });
    let body = body.to_string();
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes())?;
    mac.update(body.as_bytes());
    let request = http::Request::post("/webhooks/shop")
        .header("x-github-event", "push")
        .header(
            "x-hub-signature-256",
            format!("sha256={}", hex::encode(mac.finalize().into_bytes())),
        )
        .body(axum::body::Body::from(body))?;
    let response = service.router().oneshot(request).await?;
    println!("{} {message}: {}", &commit[..7], response.status());
    let mut stream = service.hub().subscribe(after, None);
    loop {
        for event in stream.next().await? {
            if event.kind.is_final() {
                return Ok(());
            }
        }
    }
}
