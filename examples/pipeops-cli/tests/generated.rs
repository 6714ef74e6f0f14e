//! Generated Dockerfiles on real servers: a typical application of each language is linted, built, run in restricted pods and
//! asked for an answer. After a change of its sources it is built again from the cache.
//!
//! `testbed/README.md` describes the base images.
#![expect(
    clippy::unwrap_used,
    reason = "a test that panics has failed, as it should"
)]
#![expect(
    unreachable_pub,
    reason = "a test has no public API: `pub` marks what its modules share"
)]

#[path = "common/namespace.rs"]
mod namespace;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use namespace::Namespace;
use pipeops::buildkit::{Address, Builder, BuilderOptions};
use pipeops::core::build::DockerfileSource;
use pipeops::core::event::{Discard, EventKind, EventSink, VertexState};
use pipeops::core::source::DirTree;
use pipeops::core::{BuildRequest, BuiltImage, Failure, ImageRef};
use pipeops::detect::{BaseImages, Generated, generate};
use pipeops::detect::{Detection, Detector};
use pipeops::manifest::{App, HealthCheck, ManifestGenerator, StandardManifests};
use pipeops::rollout::{Rollout, RolloutOptions};
use tempfile::TempDir;

/// More than the slowest build takes on two cores without cache.
const BUILD_LIMIT: Duration = Duration::from_secs(900);

/// The word in the sources and in the answer. Each test replaces it with another one.
const VERSION: &str = "version one";

/// Any finding of hadolint fails the build.
const LINT: &str =
    "FROM hadolint/hadolint:v2.15.1\nCOPY Dockerfile /\nRUN [\"/bin/hadolint\", \"/Dockerfile\"]\n";

// needs testbed: hadolint/hadolint:v2.15.1, node:22-slim, python:3.13, python:3.13-slim
// needs testbed: golang:1.26, gcr.io/distroless/static-debian12:nonroot, maven:3.9-eclipse-temurin-17, eclipse-temurin:17-jre, rust:1.95-slim-bookworm, gcr.io/distroless/cc-debian12:nonroot, ruby:3.3, ruby:3.3-slim, composer:2, php:8.4-apache, nginxinc/nginx-unprivileged:1.28-alpine
macro_rules! apps {
    ($($app:ident, $source:literal, $dependencies:literal;)*) => {$(
        #[tokio::test]
        #[ignore = "needs testbed: buildkit, registry, kubernetes"]
        async fn $app() {
            deploy(stringify!($app), $source, $dependencies).await;
        }
    )*};
}

apps! {
    nodejs, "server.js", "npm ci";
    vite, "index.html", "npm ci";
    python, "app.py", "pip install";
    go, "main.go", "go mod download";
    java, "src/main/java/com/example/Shop.java", "mvn";
    rust, "src/main.rs", "cargo";
    ruby, "app.rb", "bundle install";
    php, "src/Page.php", "composer install";
    // It has no dependencies: what is before its files is the server's configuration.
    page, "index.html", "RUN";
}

/// Deploys the app of a folder, changes one of its sources, and deploys it again. `dependencies` is in the command that
/// fetches what the app depends on.
async fn deploy(app: &str, source: &str, dependencies: &str) {
    let project = Project::copy(app, source);
    project.set_version(VERSION, "first");
    let plan = project.plan();
    println!("{}", plan.generated.dockerfile);
    timed(app, "hadolint", project.lint(&plan.generated.dockerfile)).await;

    let namespace = Namespace::named(&format!("generated-{}", project.id)).await;
    namespace
        .create(&[("pod-security.kubernetes.io/enforce", "restricted")])
        .await;
    for version in ["first", "second"] {
        if version == "second" {
            project.set_version(&project.version("first"), version);
        }
        let (built, steps) = timed(app, "build", project.build(&plan)).await;
        let cached = |step: &(String, VertexState)| {
            step.1 == VertexState::Cached && step.0.contains(dependencies)
        };
        assert!(
            version == "first" || steps.iter().any(cached),
            "dependencies come from cache: {steps:#?}"
        );
        let rollout = roll_out(&namespace, &project, &plan, &built);
        timed(app, "rollout", rollout).await;
        let wanted = project.version(version);
        let answer = namespace.expect_answer("shop", &wanted);
        timed(app, "answer", answer).await;
    }
}

async fn timed<T>(app: &str, what: &str, work: impl Future<Output = T>) -> T {
    let started = Instant::now();
    // On the heap: in a debug build the futures of a rollout and of a build are too long for a test's stack.
    let result = Box::pin(work).await;
    println!("{app}: {what}: {:.1} s", started.elapsed().as_secs_f32());
    result
}

/// A copy of one of the apps beside this file.
struct Project {
    id: String,
    folder: TempDir,
    source: PathBuf,
}

/// What becomes of it.
struct Plan {
    detection: Detection,
    generated: Generated,
}

impl Project {
    fn copy(app: &str, source: &str) -> Self {
        let id = uuid::Uuid::now_v7().simple().to_string();
        let folder = tempfile::tempdir().unwrap();
        let apps = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/apps");
        let copied = Command::new("cp")
            .arg("-rT")
            .arg(apps.join(app))
            .arg(folder.path())
            .status();
        assert!(copied.unwrap().success());
        Self {
            id: format!("{app}-{}", &id[id.len() - 12..]),
            source: folder.path().join(source),
            folder,
        }
    }

    /// A text that no other build has.
    fn version(&self, name: &str) -> String {
        format!("version {name} {}", self.id)
    }

    /// Changes the one source.
    fn set_version(&self, from: &str, name: &str) {
        let text = fs::read_to_string(&self.source).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(&self.source, text.replace(from, &self.version(name))).unwrap();
    }

    fn plan(&self) -> Plan {
        let tree = DirTree::new(self.folder.path()).unwrap();
        let detection = Detector::new().detect(&tree);
        let generated = generate(&tree, &detection, &BaseImages::default());
        let generated = generated.unwrap_or_else(|error| panic!("{error}: {detection:?}"));
        fs::write(
            self.folder.path().join(&generated.dockerignore_name),
            &generated.dockerignore,
        )
        .unwrap();
        Plan {
            detection,
            generated,
        }
    }

    async fn lint(&self, dockerfile: &str) {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("Dockerfile"), dockerfile).unwrap();
        let request = self.request(folder.path(), "lint", LINT);
        build(request, &Discard).await.unwrap_or_else(|failure| {
            panic!("hadolint: {}", failure.diagnosis());
        });
    }

    /// Builds and pushes; the image, and how each step ended.
    async fn build(&self, plan: &Plan) -> (BuiltImage, Vec<(String, VertexState)>) {
        let steps = Mutex::new(Vec::new());
        let watch = |event: EventKind| {
            if let EventKind::Vertex { name, state, .. } = event
                && state != VertexState::Started
            {
                steps.lock().unwrap().push((name, state));
            }
        };
        let request = self.request(self.folder.path(), "app", &plan.generated.dockerfile);
        let built = build(request, &watch).await.unwrap_or_else(|failure| {
            panic!("{}", failure.diagnosis());
        });
        (built, steps.into_inner().unwrap())
    }

    fn request(&self, context: &Path, tag: &str, dockerfile: &str) -> BuildRequest {
        let image = format!("{}/generated/{}:{tag}", environment("REGISTRY"), self.id);
        let image: ImageRef = image.parse().unwrap();
        let mut request = BuildRequest::new(context, image);
        request.dockerfile = DockerfileSource::Inline(dockerfile.to_owned());
        request
    }
}

async fn build(request: BuildRequest, events: &dyn EventSink) -> Result<BuiltImage, Failure> {
    let address = Address::parse(&environment("BUILDKIT_HOST")).unwrap();
    let options = BuilderOptions::default().timeout(BUILD_LIMIT);
    Ok(Builder::new(address, options)
        .build(request, events)
        .await?)
}

async fn roll_out(namespace: &Namespace, project: &Project, plan: &Plan, built: &BuiltImage) {
    let revision = built.digest.to_string().replace("sha256:", "");
    let mut app = App::new("shop", &project.id, &revision[..12], built.image.clone())
        .replicas(1)
        .uid(plan.generated.uid)
        .health(HealthCheck::http("/"));
    app.namespace.clone_from(&namespace.name);
    app.language = plan.detection.language;
    app.port = plan.generated.port.unwrap_or(app.port);
    app.writable_paths
        .extend(plan.generated.writable_paths.iter().cloned());
    let stack = StandardManifests::default().generate(&app).unwrap();
    let rollout = Rollout::new(namespace.client.clone(), RolloutOptions::default());
    let outcome = rollout.run(&stack, &Discard).await.unwrap();
    assert!(outcome.is_complete(), "{outcome:#?}");
}

fn environment(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: see `cargo testbed env`"))
}
