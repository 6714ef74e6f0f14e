//! Builds with caches in S3, over stand-ins of daemon, registry and bucket: what is done without a cache that fails.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::Recorder;
use common::standin::World;
use pipeops_buildkit::Solved;
use pipeops_core::cache::{CacheNamespace, S3Cache};
use pipeops_core::{BuildRequest, BuiltImage};
use pipeops_testkit::fault::{Fault, Matcher};
use pipeops_testkit::s3::{S3Options, S3Server};

/// A stand-in of a daemon whose builds have caches in a bucket.
struct Cached {
    world: World,
    bucket: S3Server,
    events: Recorder,
}

impl Cached {
    async fn new() -> Self {
        let world = World::new().await;
        world.write("Dockerfile", "FROM base:1\nCOPY a /a\nCOPY b /b\n");
        world.write("b", "content of b");
        let options = S3Options::default().bucket("cache");
        Self {
            world,
            bucket: S3Server::start(options).await.unwrap(),
            events: Recorder::default(),
        }
    }

    fn request(&self, branch: &str) -> BuildRequest {
        let mut s3 = S3Cache::new("cache", "us-east-1", "");
        s3.endpoint = Some(self.bucket.endpoint());
        s3.keys = Some(("testkit".to_owned(), "testkit-secret".into()));
        let mut request = self.world.request("app");
        request.image = request.image.with_tag(branch).unwrap();
        let namespace = CacheNamespace::new("team/app", branch, "Dockerfile");
        let (from, to) = namespace.in_bucket(&s3, &["main"]);
        request.cache_from = from;
        request.cache_to = vec![to];
        request
    }

    async fn build(&self, request: BuildRequest) -> BuiltImage {
        let builder = self.world.builder();
        builder.build(request, &self.events).await.unwrap()
    }

    /// The daemon forgets what it has, after a build that filled the cache.
    async fn filled() -> Self {
        let cached = Self::new().await;
        cached.build(cached.request("main")).await;
        cached.world.daemon().prune();
        cached
    }

    async fn solve(&self) -> Solved {
        let request = self.request("main");
        self.world.solve(request, &self.events).await.unwrap()
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

    /// The branches whose caches each build read.
    fn imports(&self) -> Vec<Vec<String>> {
        let branch = |name: &str| name.split("_-_").nth(1).unwrap_or(name).to_owned();
        let builds = self.world.daemon().builds();
        let imports = builds.iter().map(|build| build.cache_imports.iter());
        imports
            .map(|imports| imports.map(|(_, attrs)| branch(&attrs["name"])).collect())
            .collect()
    }
}

#[tokio::test]
async fn an_empty_daemon_takes_all_from_its_own_or_the_default_branchs_cache() {
    let cached = Cached::filled().await;
    let again = cached.build(cached.request("main")).await;
    assert_eq!((again.steps, again.cached), (2, 2));
    cached.world.daemon().prune();
    let branch = cached.build(cached.request("fix")).await;
    assert_eq!(
        (branch.steps, branch.cached),
        (2, 2),
        "a new branch begins with the default branch's"
    );
    assert_eq!(cached.events.warnings(), Vec::<String>::new());
}

#[tokio::test]
async fn only_the_cache_with_the_hole_is_left_out() {
    for (bad, attempts, hits) in [
        // The hole is in a blob that only the branch has: its own cache is left out, and the default branch's serves.
        ("fix", vec![vec!["fix", "main"], vec!["main"]], 1),
        // The default branch has it: it is left out after the own one was tried.
        (
            "main",
            vec![vec!["fix", "main"], vec!["main"], vec!["fix"]],
            1,
        ),
    ] {
        let cached = Cached::filled().await;
        // The branch changes the second file: it has one blob that main has not, and main has one that it has not.
        cached.world.write("b", "another content");
        let mut alone = cached.request("fix");
        alone.cache_from.truncate(1);
        cached.build(alone).await;
        let kept = cached.blobs(if bad == "fix" { "main" } else { "fix" });
        let mut blobs = cached.blobs(bad).into_iter();
        let hole = blobs.find(|blob| !kept.contains(blob)).unwrap();
        let fault = cached.bucket.faults().add(
            Fault::status(404)
                .body("<Error><Code>NoSuchKey</Code></Error>")
                .on(Matcher::operation("object.get").and_path(format!("*{}*", &hole[7..])))
                .always(),
        );
        if bad == "main" {
            cached.world.write("b", "content of b");
        }
        cached.world.daemon().prune();
        let before = cached.imports().len();
        let mut request = cached.request("fix");
        request.cache_to.clear();
        let built = cached.build(request).await;
        assert_eq!(cached.imports()[before..], attempts);
        assert!(fault.fired() > 0);
        assert_eq!((built.steps, built.cached), (2, hits));
        // It says what it cost.
        let left_out = "without the cache \"team__app_-_fix_-_Dockerfile\"";
        cached.events.assert_warned(&[left_out, "were lost"]);
    }
}

#[tokio::test]
async fn a_bucket_that_refuses_costs_its_cache_and_is_reported() {
    let cached = Cached::filled().await;
    let refused = Fault::forbidden().on(Matcher::any()).always();
    cached.bucket.faults().add(refused);
    let solved = cached.solve().await;
    assert_eq!((solved.steps, solved.cached), (2, 0));
    let caches = &solved.caches;
    assert_eq!((caches.unread.len(), caches.unwritten.len()), (1, 1));
    cached.events.assert_warned(&[
        "The build continues without its cache: ",
        "refuses the keys",
    ]);
    cached
        .events
        .assert_warned(&["The cache couldn't be written, "]);
    assert_eq!(cached.events.about("testkit-secret"), 0);
}

#[tokio::test]
async fn keys_that_expire_in_the_middle_cost_the_cache_and_not_the_build() {
    let cached = Cached::filled().await;
    // The manifest is read; the blobs are refused.
    let blobs = Matcher::operation("object.get").and_path("*blobs*");
    let refused = Fault::forbidden().on(blobs).always();
    cached.bucket.faults().add(refused);
    let built = cached.build(cached.request("main")).await;
    assert_eq!((built.steps, built.cached), (2, 0));
    cached.events.assert_warned(&["CacheUnreadable"]);
}

#[tokio::test]
async fn a_bucket_that_is_gone_costs_its_cache() {
    let cached = Cached::new().await;
    cached.bucket.crash();
    let solved = cached.solve().await;
    assert_eq!(solved.steps, 2);
    assert!(
        solved.caches.unread[0].why.contains("cannot be reached"),
        "{:?}",
        solved.caches
    );
    assert_eq!(solved.caches.unwritten.len(), 1);
}

#[tokio::test]
async fn a_manifest_that_is_damaged_costs_its_cache_and_is_written_anew() {
    let cached = Cached::new().await;
    let key = "manifests/team__app_-_main_-_Dockerfile";
    cached.bucket.put("cache", key, "{\"layers\":");
    assert_eq!(cached.build(cached.request("main")).await.cached, 0);
    cached.events.assert_warned(&["its manifest is damaged"]);
    cached.world.daemon().prune();
    assert_eq!(cached.build(cached.request("main")).await.cached, 2);
}
