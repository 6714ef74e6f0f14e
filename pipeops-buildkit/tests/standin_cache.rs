//! Builds with caches in S3, over stand-ins of daemon, registry and bucket: what is done without a cache that fails.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Mutex;
use std::time::Duration;

use pipeops_buildkit::{
    Address, Builder, BuilderOptions, Client, ConnectOptions, Error, Solve, Solved,
};
use pipeops_core::cache::{CacheNamespace, S3Cache};
use pipeops_core::event::EventKind;
use pipeops_core::{Backoff, BuildRequest, BuiltImage, EventSink};
use pipeops_testkit::buildkit::{BuildkitDaemon, BuildkitOptions};
use pipeops_testkit::fault::{Fault, Matcher};
use pipeops_testkit::registry::{BaseImage, Registry, RegistryOptions};
use pipeops_testkit::s3::{S3Options, S3Server};

/// No test needs as long; one that hangs fails here.
const LIMIT: Duration = Duration::from_secs(60);

struct World {
    daemon: BuildkitDaemon,
    registry: Registry,
    bucket: S3Server,
    context: tempfile::TempDir,
}

/// Keeps the warnings.
#[derive(Default)]
struct Warnings(Mutex<Vec<String>>);

impl EventSink for Warnings {
    fn emit(&self, kind: EventKind) {
        if let EventKind::Warning { message } = kind {
            self.0.lock().unwrap().push(message);
        }
    }
}

impl Warnings {
    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl World {
    async fn new() -> Self {
        let registry = Registry::start(RegistryOptions::default()).await.unwrap();
        registry
            .seed("library/base", "1", &BaseImage::new())
            .unwrap();
        let options = BuildkitOptions::default().mirror("docker.io", registry.host());
        let world = Self {
            daemon: BuildkitDaemon::start(options).await.unwrap(),
            registry,
            bucket: S3Server::start(S3Options::default().bucket("cache"))
                .await
                .unwrap(),
            context: tempfile::tempdir().unwrap(),
        };
        world.write("Dockerfile", "FROM base:1\nCOPY a /a\nCOPY b /b\n");
        world.write("a", "content of a");
        world.write("b", "content of b");
        world
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.context.path().join(name), text).unwrap();
    }

    fn place(&self) -> S3Cache {
        let mut s3 = S3Cache::new("cache", "us-east-1", "");
        s3.endpoint = Some(self.bucket.endpoint());
        s3.keys = Some(("testkit".to_owned(), "testkit-secret".into()));
        s3
    }

    fn request(&self, branch: &str) -> BuildRequest {
        let image = format!("{}/team/app:{branch}", self.registry.host());
        let mut request = BuildRequest::new(self.context.path(), image.parse().unwrap());
        let namespace = CacheNamespace::new("team/app", branch, "Dockerfile");
        let (from, to) = namespace.in_bucket(&self.place(), &["main"]);
        request.cache_from = from;
        request.cache_to = vec![to];
        request
    }

    fn address(&self) -> Address {
        Address::parse(&self.daemon.address()).unwrap()
    }

    async fn build(&self, request: BuildRequest, warnings: &Warnings) -> Result<BuiltImage, Error> {
        let backoff = Backoff::default().base(Duration::from_millis(20));
        let options = BuilderOptions::default().backoff(backoff).timeout(LIMIT);
        Builder::new(self.address(), options)
            .build(request, warnings)
            .await
    }

    async fn solve(&self, request: BuildRequest, warnings: &Warnings) -> Solved {
        let client = Client::connect(&self.address(), ConnectOptions::default())
            .await
            .unwrap();
        client
            .solve(Solve::new(request).timeout(LIMIT), warnings)
            .await
            .unwrap()
    }

    /// The daemon forgets what it has.
    fn empty_daemon(&self) {
        self.daemon.prune();
    }

    fn blobs(&self, branch: &str) -> Vec<String> {
        let key = format!("manifests/team__app_-_{branch}_-_Dockerfile");
        let manifest = self.bucket.object("cache", &key).unwrap();
        let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
        let layers = manifest["layers"].as_array().unwrap().iter();
        layers
            .map(|layer| layer["blob"].as_str().unwrap().to_owned())
            .collect()
    }

    /// The names of the caches that the last builds read.
    fn imports(&self) -> Vec<Vec<String>> {
        let names = |imports: &Vec<(String, std::collections::BTreeMap<String, String>)>| {
            let branch = |name: &str| name.split("_-_").nth(1).unwrap_or(name).to_owned();
            imports
                .iter()
                .map(|(_, attrs)| branch(&attrs["name"]))
                .collect()
        };
        self.daemon
            .builds()
            .iter()
            .map(|build| names(&build.cache_imports))
            .collect()
    }
}

#[tokio::test]
async fn an_empty_daemon_takes_all_from_its_own_or_the_default_branchs_cache() {
    let world = World::new().await;
    let warnings = Warnings::default();
    world.build(world.request("main"), &warnings).await.unwrap();
    world.empty_daemon();
    let again = world.build(world.request("main"), &warnings).await.unwrap();
    assert_eq!((again.steps, again.cached), (2, 2));
    world.empty_daemon();
    let branch = world.build(world.request("fix"), &warnings).await.unwrap();
    assert_eq!(
        (branch.steps, branch.cached),
        (2, 2),
        "a new branch begins with the default branch's"
    );
    assert_eq!(warnings.all(), Vec::<String>::new());
}

#[tokio::test]
async fn only_the_cache_with_the_hole_is_left_out() {
    for (bad, attempts, cached) in [
        // The hole is in a blob that only the branch has: its own cache is left out, and the default branch's serves.
        ("fix", vec![vec!["fix", "main"], vec!["main"]], 1),
        // The default branch has it: it is left out after the own one was tried.
        (
            "main",
            vec![vec!["fix", "main"], vec!["main"], vec!["fix"]],
            1,
        ),
    ] {
        let world = World::new().await;
        let warnings = Warnings::default();
        world.build(world.request("main"), &warnings).await.unwrap();
        // The branch changes the second file: it has one blob that main has not, and main has one that it has not.
        world.write("b", "another content");
        world.empty_daemon();
        let mut alone = world.request("fix");
        alone.cache_from.truncate(1);
        world.build(alone, &warnings).await.unwrap();
        let other = if bad == "fix" { "main" } else { "fix" };
        let kept = world.blobs(other);
        let hole = world
            .blobs(bad)
            .into_iter()
            .find(|blob| !kept.contains(blob))
            .unwrap();
        let fault = world.bucket.faults().add(
            Fault::status(404)
                .body("<Error><Code>NoSuchKey</Code></Error>")
                .on(Matcher::operation("object.get").and_path(format!("*{}*", &hole[7..])))
                .always(),
        );
        if bad == "main" {
            world.write("b", "content of b");
        }
        world.empty_daemon();
        let before = world.imports().len();
        let mut request = world.request("fix");
        request.cache_to.clear();
        let built = world.build(request, &warnings).await.unwrap();
        assert_eq!(world.imports()[before..], attempts, "{:?}", warnings.all());
        assert!(fault.fired() > 0);
        assert_eq!(
            (built.steps, built.cached),
            (2, cached),
            "{:?}",
            warnings.all()
        );
        let told = warnings.all();
        assert!(
            told[0].contains("without the cache \"team__app_-_fix_-_Dockerfile\""),
            "{told:?}"
        );
        assert!(
            told[0].contains("were lost"),
            "it says what it cost: {told:?}"
        );
    }
}

#[tokio::test]
async fn a_bucket_that_refuses_costs_its_cache_and_is_reported() {
    let world = World::new().await;
    let warnings = Warnings::default();
    world.build(world.request("main"), &warnings).await.unwrap();
    world.empty_daemon();
    world
        .bucket
        .faults()
        .add(Fault::forbidden().on(Matcher::any()).always());
    let solved = world.solve(world.request("main"), &warnings).await;
    assert_eq!((solved.steps, solved.cached), (2, 0));
    assert_eq!(
        (solved.caches.unread.len(), solved.caches.unwritten.len()),
        (1, 1)
    );
    let told = warnings.all();
    assert!(
        told[0].starts_with("The build continues without its cache: ")
            && told[0].contains("refuses the keys"),
        "{told:?}"
    );
    assert!(
        told[1].starts_with("The cache is not written, "),
        "{told:?}"
    );
    assert!(
        told.iter().all(|text| !text.contains("testkit-secret")),
        "{told:?}"
    );
}

#[tokio::test]
async fn keys_that_expire_in_the_middle_cost_the_cache_and_not_the_build() {
    let world = World::new().await;
    let warnings = Warnings::default();
    world.build(world.request("main"), &warnings).await.unwrap();
    world.empty_daemon();
    // The manifest is read; the blobs are refused.
    world.bucket.faults().add(
        Fault::forbidden()
            .on(Matcher::operation("object.get").and_path("*blobs*"))
            .always(),
    );
    let built = world.build(world.request("main"), &warnings).await.unwrap();
    assert_eq!((built.steps, built.cached), (2, 0));
    assert!(
        warnings.all()[0].contains("CacheUnreadable"),
        "{:?}",
        warnings.all()
    );
}

#[tokio::test]
async fn a_bucket_that_is_gone_costs_its_cache() {
    let world = World::new().await;
    let warnings = Warnings::default();
    world.bucket.crash();
    let solved = world.solve(world.request("main"), &warnings).await;
    assert_eq!(solved.steps, 2);
    assert!(
        solved.caches.unread[0].why.contains("cannot be reached"),
        "{:?}",
        solved.caches
    );
    assert_eq!(solved.caches.unwritten.len(), 1);
}

#[tokio::test]
async fn a_manifest_that_is_damaged_costs_its_cache() {
    let world = World::new().await;
    let warnings = Warnings::default();
    world.bucket.put(
        "cache",
        "manifests/team__app_-_main_-_Dockerfile",
        "{\"layers\":",
    );
    let built = world.build(world.request("main"), &warnings).await.unwrap();
    assert_eq!(built.cached, 0);
    assert!(
        warnings.all()[0].contains("its manifest is damaged"),
        "{:?}",
        warnings.all()
    );
    // And was written anew.
    world.empty_daemon();
    assert_eq!(
        world
            .build(world.request("main"), &warnings)
            .await
            .unwrap()
            .cached,
        2
    );
}
