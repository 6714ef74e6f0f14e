//! The stand-in answers as a real daemon does: one suite of builds, pushes and errors runs over both.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Context, Recorder, env, unique};
use pipeops_buildkit::{Address, Cause, Client, ConnectOptions, Error, ImageRef, Solve, Solved};
use pipeops_core::event::VertexState;
use pipeops_core::{BuildRequest, Credential, CredentialProvider, Failure, RegistryScope};
use pipeops_testkit::buildkit::{BuildkitDaemon, BuildkitOptions};
use pipeops_testkit::fault::{Fault, Matcher};
use pipeops_testkit::registry::{BaseImage, Registry, RegistryOptions, User};

/// A daemon, and a registry where everybody may push.
struct Setup {
    client: Client,
    registry: String,
}

impl Setup {
    async fn new(address: &str, registry: String) -> Self {
        let address = Address::parse(address).unwrap();
        let client = Client::connect(&address, ConnectOptions::default());
        Self {
            client: client.await.unwrap(),
            registry,
        }
    }

    /// A request to build this, under a name that no other build has.
    fn request(&self, context: &Context) -> BuildRequest {
        let image = format!("{}/{}:1", self.registry, unique("conformance"));
        BuildRequest::new(context.path(), image.parse().unwrap())
    }

    async fn push(&self, request: BuildRequest, events: &Recorder) -> Result<Solved, Error> {
        let solve = Solve::new(request).timeout(Duration::from_secs(120));
        self.client.solve(solve, events).await
    }

    async fn build(&self, request: BuildRequest, events: &Recorder) -> Result<Solved, Error> {
        let solve = Solve::new(request).timeout(Duration::from_secs(120));
        self.client.solve(solve.without_push(), events).await
    }

    /// The failure of a build of this Dockerfile, which is the context's only file.
    async fn failure(&self, dockerfile: &str) -> pipeops_buildkit::BuildFailure {
        let context = Context::new(&[("Dockerfile", dockerfile)]);
        let built = self
            .build(self.request(&context), &Recorder::default())
            .await;
        failure(built)
    }
}

fn failure(built: Result<Solved, Error>) -> pipeops_buildkit::BuildFailure {
    let error = built.expect_err("the build fails");
    let failure = error.build_failure().cloned();
    failure.unwrap_or_else(|| panic!("another error: {error:?}"))
}

/// A registry with busybox, and a daemon that takes Docker Hub's images from it.
async fn stand_ins() -> (Registry, BuildkitDaemon) {
    let registry = Registry::start(RegistryOptions::default()).await.unwrap();
    registry
        .seed("library/busybox", "latest", &BaseImage::new())
        .unwrap();
    let options = BuildkitOptions::default().mirror("docker.io", registry.host());
    let daemon = BuildkitDaemon::start(options).await.unwrap();
    (registry, daemon)
}

#[tokio::test]
async fn the_stand_in_passes_the_suite() {
    let (registry, daemon) = stand_ins().await;
    run(&Setup::new(&daemon.address(), registry.host()).await).await;
}

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn a_real_daemon_passes_the_same_suite() {
    run(&Setup::new(&env("BUILDKIT_HOST"), env("REGISTRY")).await).await;
}

async fn run(setup: &Setup) {
    an_image_is_built_and_pushed(setup).await;
    images_are_built_on_and_copied_from(setup).await;
    only_needed_stages_are_built(setup).await;
    steps_are_cached_by_content(setup).await;
    unchanged_files_are_not_sent_again(setup).await;
    bad_dockerfiles_are_pointed_at(setup).await;
    required_secrets_must_be_given(setup).await;
    logins_are_answered(setup).await;
    refused_pushes_have_containerds_words(setup).await;
    refused_pulls_have_containerds_words(setup).await;
}

async fn an_image_is_built_and_pushed(setup: &Setup) {
    let file =
        "FROM scratch\nCOPY hello.txt /greetings/\nENV A=1\nWORKDIR /app\nCMD [\"/hello\"]\n";
    let context = Context::new(&[("Dockerfile", file), ("hello.txt", &unique("hello"))]);
    let (request, events) = (setup.request(&context), Recorder::default());
    let image = request.image.to_string();
    let solved = setup.push(request, &events).await.unwrap();
    assert_eq!(solved.response["image.name"], image);
    for key in ["containerimage.config.digest", "containerimage.descriptor"] {
        assert!(solved.response.contains_key(key), "{key}");
    }
    let done = events.ended(VertexState::Done);
    for name in [
        "[internal] load build definition from Dockerfile",
        "[internal] load .dockerignore",
        "[internal] load build context",
        "[1/2] COPY hello.txt /greetings/",
        "[2/2] WORKDIR /app",
        "exporting to image",
    ] {
        assert!(done.iter().any(|seen| seen == name), "{name} in {done:#?}");
    }
}

/// The steps that ran or came from the daemon's cache, which other builds fill as well.
fn ran(events: &Recorder) -> Vec<String> {
    let mut names = events.ended(VertexState::Done);
    names.extend(events.ended(VertexState::Cached));
    names
}

async fn images_are_built_on_and_copied_from(setup: &Setup) {
    let context = Context::new(&[("Dockerfile", "FROM scratch\nCOPY Dockerfile /base/\n")]);
    let request = setup.request(&context);
    let image = request.image.to_string();
    let base = setup.push(request, &Recorder::default()).await.unwrap();
    let base = base.digest.unwrap();
    let file = format!("FROM {image}\nCOPY --from={image} /base/Dockerfile /copy\n");
    let context = Context::new(&[("Dockerfile", &file)]);
    let events = Recorder::default();
    let above = setup.push(setup.request(&context), &events).await.unwrap();
    assert_ne!(above.digest, Some(base.clone()));
    let names = ran(&events);
    for name in [
        format!("[internal] load metadata for {image}"),
        format!("[stage-0 2/2] COPY --from={image} /base/Dockerfile /copy"),
    ] {
        assert!(names.contains(&name), "{name} in {names:#?}");
    }
    let file = format!("FROM {image}\nCOPY Dockerfile /\n");
    let context = Context::new(&[("Dockerfile", &file)]);
    let events = Recorder::default();
    setup.build(setup.request(&context), &events).await.unwrap();
    let from = format!("[1/2] FROM {image}@{base}");
    let names = ran(&events);
    assert!(names.contains(&from), "{from} in {names:#?}");
}

async fn only_needed_stages_are_built(setup: &Setup) {
    let file = "ARG DIR=default\nFROM scratch AS build\nARG DIR\nCOPY Dockerfile /$DIR/\n\
                FROM scratch AS unused\nCOPY nothing /\n\
                FROM scratch\nCOPY --from=build /given/Dockerfile /\n";
    let file = format!("{file}# {}\n", unique("fresh"));
    let context = Context::new(&[("Dockerfile", &file)]);
    let mut request = setup.request(&context);
    request.build_args.insert("DIR".into(), "given".into());
    let events = Recorder::default();
    setup.build(request.clone(), &events).await.unwrap();
    let names = events.ended(VertexState::Done);
    for name in [
        "[build 1/1] COPY Dockerfile /given/",
        "[stage-2 1/1] COPY --from=build /given/Dockerfile /",
    ] {
        assert!(
            names.iter().any(|seen| seen == name),
            "{name} in {names:#?}"
        );
    }
    request.target = Some("zz".into());
    let failure = failure(setup.build(request, &Recorder::default()).await);
    assert_eq!(failure.message, "target stage \"zz\" could not be found");
}

async fn steps_are_cached_by_content(setup: &Setup) {
    let content = unique("content");
    let cached = async |content: &str, no_cache: bool| {
        let files = [("Dockerfile", "FROM scratch\nCOPY a /a\n"), ("a", content)];
        let context = Context::new(&files);
        let mut request = setup.request(&context);
        request.no_cache = no_cache;
        let solved = setup.build(request, &Recorder::default()).await.unwrap();
        (solved.steps, solved.cached)
    };
    assert_eq!(cached(&content, false).await, (1, 0));
    assert_eq!(cached(&content, false).await, (1, 1));
    assert_eq!(cached(&unique("content"), false).await, (1, 0));
    assert_eq!(cached(&content, true).await, (1, 0));
}

async fn unchanged_files_are_not_sent_again(setup: &Setup) {
    let context = Context::new(&[("Dockerfile", "FROM scratch\nCOPY . /\n"), ("a", "same")]);
    // The same repository, so that the daemon knows the context.
    let request = setup.request(&context);
    let sent = async || {
        let events = Recorder::default();
        let built = setup.build(request.clone(), &events).await;
        built.unwrap().context.files
    };
    let first = sent().await;
    // The Dockerfile itself is sent for each build, outside of the context.
    let second = sent().await;
    assert!(second < first, "{second} of {first}");
    context.write("a", b"another size");
    assert_eq!(sent().await, second + 1);
}

async fn bad_dockerfiles_are_pointed_at(setup: &Setup) {
    let missing = format!("{}/no/such:1", setup.registry);
    let unknown = "unknown instruction: COPPY (did you mean COPY?)";
    let cases = [
        (
            "FROM scratch\nCOPPY x\n".to_owned(),
            format!("dockerfile parse error on line 2: {unknown}"),
            Some(2),
        ),
        (
            "ARG X=1\n".to_owned(),
            "dockerfile contains no stages to build".to_owned(),
            None,
        ),
        (
            "FROM scratch\nCOPY nope /x\n".to_owned(),
            "failed to compute cache key: *\"/nope\": not found".to_owned(),
            Some(2),
        ),
        (
            format!("FROM {missing}\nCOPY a /\n"),
            format!(
                "{missing}: failed to resolve source metadata for {missing}: {missing}: not found"
            ),
            Some(1),
        ),
        (
            "FROM 127.0.0.1:1/x:1\nCOPY a /\n".to_owned(),
            "*dial tcp 127.0.0.1:1: connect: connection refused".to_owned(),
            Some(1),
        ),
    ];
    for (dockerfile, message, line) in cases {
        let failure = setup.failure(&dockerfile).await;
        // A `*` stands for what differs from daemon to daemon.
        let (start, end) = message.split_once('*').unwrap_or((&message, ""));
        let (starts, ends) = (
            failure.message.starts_with(start),
            failure.message.ends_with(end),
        );
        assert!(starts && ends, "{}", failure.message);
        assert_eq!(failure.source.map(|source| source.line), line, "{message}");
    }
}

async fn required_secrets_must_be_given(setup: &Setup) {
    let build = async |mounts: &str, secrets: &[&str]| {
        // Commands of their own: a step from the cache asks for no secrets.
        let command = format!("echo {}", unique("run"));
        let file = format!(
            "FROM busybox AS unused\nRUN --mount=type=secret,id=none,required false\n\
             FROM busybox\nRUN {mounts} {command}\n"
        );
        let context = Context::new(&[("Dockerfile", &file)]);
        let mut request = setup.request(&context);
        for id in secrets {
            request = request.secret(*id, "s3cr3t");
        }
        setup.build(request, &Recorder::default()).await
    };
    let required = "--mount=type=secret,id=npm_token,required=true";
    let optional = "--mount=type=secret,id=npm_token";
    let cases: [(&str, &[&str], Option<&str>); 6] = [
        (required, &["npm_token"], None),
        (required, &["npm-token"], Some("npm_token")),
        (required, &[], Some("npm_token")),
        (optional, &[], None),
        (
            "--mount=type=secret,target=/root/.npmrc,required",
            &["npmrc"],
            Some(".npmrc"),
        ),
        (
            "--mount=type=secret,id=a,required --mount=type=secret,id=b,env=B,required=true",
            &["a"],
            Some("b"),
        ),
    ];
    for (mounts, secrets, missing) in cases {
        let built = build(mounts, secrets).await;
        let Some(id) = missing else {
            built.unwrap_or_else(|error| panic!("{mounts} with {secrets:?}: {error:?}"));
            continue;
        };
        let failure = failure(built);
        assert_eq!(failure.message, format!("secret {id}: not found"));
        assert_eq!(failure.cause, Cause::SecretMissing { id: id.to_owned() });
        assert_eq!(failure.source.map(|source| source.line), Some(4));
    }
}

#[tokio::test]
async fn the_stand_in_records_the_secrets_that_steps_fetch() {
    let (registry, daemon) = stand_ins().await;
    let setup = Setup::new(&daemon.address(), registry.host()).await;
    let file = "FROM busybox\nRUN --mount=type=secret,id=a --mount=type=secret,id=b true\n";
    let context = Context::new(&[("Dockerfile", file)]);
    for _ in 0..2 {
        let request = setup.request(&context);
        let request = request.secret("a", "s3cr3t").secret("unused", "s3cr3t");
        setup.build(request, &Recorder::default()).await.unwrap();
    }
    let fetched = daemon.builds().into_iter().map(|build| build.secrets);
    assert_eq!(Vec::from_iter(fetched), [vec!["a".to_owned()], vec![]]);
}

/// A registry of the test's own, with a user who may push and one who may not.
async fn registry(options: RegistryOptions) -> Registry {
    let options = options.user(User::new("ci", "right-password"));
    let options = options.user(User::new("reader", "right-password").read_only());
    Registry::start(options).await.unwrap()
}

/// The same credential for every registry.
#[derive(Debug)]
struct Login(Credential);

#[async_trait::async_trait]
impl CredentialProvider for Login {
    async fn credential(&self, _: &str, _: &RegistryScope) -> Result<Credential, Failure> {
        Ok(self.0.clone())
    }
}

/// Pushes a new image, and returns the error without the prefix that all of these errors share.
async fn push_to(setup: &Setup, registry: &Registry, login: Credential) -> Result<(), String> {
    let context = Context::new(&[
        ("Dockerfile", "FROM scratch\nCOPY a /\n"),
        ("a", &unique("a")),
    ]);
    let image: ImageRef = format!("{}/team/app:1", registry.host()).parse().unwrap();
    let start = format!("failed to push {image}: ");
    let mut request = BuildRequest::new(context.path(), image);
    request.credentials = Arc::new(Login(login));
    let Err(error) = setup.push(request, &Recorder::default()).await else {
        return Ok(());
    };
    let failure = error.build_failure().cloned();
    let message = failure.unwrap_or_else(|| panic!("{error:?}")).message;
    let rest = message.strip_prefix(&start);
    let rest = rest.unwrap_or_else(|| panic!("{message}"));
    Err(rest.replace(&registry.host(), "HOST"))
}

async fn logins_are_answered(setup: &Setup) {
    let basic = registry(RegistryOptions::default().basic_auth()).await;
    let token = RegistryOptions::default().token_auth(Duration::from_secs(60));
    let token = registry(token).await;
    for registry in [&basic, &token] {
        let right = Credential::basic("ci", "right-password");
        push_to(setup, registry, right).await.unwrap();
    }
    // The client fetches the tokens: the password stays with it.
    let asked = token.requests().into_iter();
    let asked = asked.filter(|seen| seen.operation == "token");
    let asked = Vec::from_iter(asked);
    assert!(!asked.is_empty() && asked.iter().all(|seen| seen.method == "POST"));
    for wrong in [
        Credential::anonymous(),
        Credential::basic("ci", "wrong-password"),
    ] {
        let error = push_to(setup, &basic, wrong).await.unwrap_err();
        assert!(is_unexpected_head(&error, "401 Unauthorized"), "{error}");
    }
    let reader = Credential::basic("reader", "right-password");
    let error = push_to(setup, &token, reader).await.unwrap_err();
    assert_eq!(
        error,
        "push access denied, repository does not exist or may require authorization: server message: \
         insufficient_scope: authorization failed"
    );
}

async fn refused_pushes_have_containerds_words(setup: &Setup) {
    let registry = registry(RegistryOptions::default()).await;
    let expired = "denied: Your authorization token has expired. Reauthenticate and try again.";
    let eof = "failed to do request: Post \"http://HOST/v2/team/app/blobs/uploads/\": EOF";
    for (operation, fault, expected) in [
        (
            "manifest.put",
            Fault::too_many_requests(1),
            "toomanyrequests",
        ),
        (
            "upload.start",
            Fault::too_many_requests(1),
            "toomanyrequests",
        ),
        ("upload.finish", Fault::status(400), "unknown: Bad Request"),
        ("upload.start", Fault::unauthorized(), "unauthorized"),
        ("manifest.put", Fault::forbidden(), expired),
        ("blob.get", Fault::forbidden(), expired),
        ("upload.start", Fault::Refuse, eof),
        (
            "blob.get",
            Fault::too_many_requests(1),
            "429 Too Many Requests",
        ),
    ] {
        let rule = fault.on(Matcher::operation(operation)).always();
        let rule = registry.faults().add(rule);
        let error = push_to(setup, &registry, Credential::anonymous()).await;
        let error = error.unwrap_err();
        let same = error == expected || is_unexpected_head(&error, expected);
        assert!(same, "{operation}: {error}");
        rule.remove();
    }
}

async fn refused_pulls_have_containerds_words(setup: &Setup) {
    let registry = registry(RegistryOptions::default()).await;
    let image = format!("{}/team/base:1", registry.host());
    let start = format!("{image}: failed to resolve source metadata for {image}: ");
    let url = "http://HOST/v2/team/base/manifests/1";
    let head = format!("unexpected status from HEAD request to {url}");
    let expired = "denied: Your authorization token has expired. Reauthenticate and try again.";
    for (fault, expected) in [
        (
            Fault::too_many_requests(1),
            format!("{head}: 429 Too Many Requests"),
        ),
        (Fault::unauthorized(), format!("{head}: 401 Unauthorized")),
        (
            Fault::forbidden(),
            format!("{head}: 403 Forbidden\n{expired}"),
        ),
        (
            Fault::Refuse,
            format!("failed to do request: Head \"{url}\": EOF"),
        ),
    ] {
        let rule = fault.on(Matcher::operation("manifest.get")).always();
        let rule = registry.faults().add(rule);
        let failure = setup
            .failure(&format!("FROM {image}\nCOPY Dockerfile /\n"))
            .await;
        let rest = failure.message.strip_prefix(&start);
        let rest = rest.unwrap_or_else(|| panic!("{}", failure.message));
        assert_eq!(rest.replace(&registry.host(), "HOST"), expected);
        rule.remove();
    }
}

/// The error of a HEAD that asks for a blob, whose digest differs from run to run.
fn is_unexpected_head(error: &str, status: &str) -> bool {
    let head = "unexpected status from HEAD request to http://HOST/v2/team/app/blobs/sha256:";
    error.starts_with(head) && error.ends_with(status)
}

#[tokio::test]
async fn what_the_stand_in_does_not_know_is_an_error_that_names_it() {
    let daemon = BuildkitDaemon::start(BuildkitOptions::default())
        .await
        .unwrap();
    let setup = Setup::new(&daemon.address(), "127.0.0.1:1".to_owned()).await;
    for dockerfile in [
        "# syntax=example.com/other\nFROM scratch\n",
        "FROM scratch\nADD Dockerfile /\n",
        "FROM scratch\nCOPY --chown=1 Dockerfile /\n",
        "FROM scratch\nCOPY Docker* /\n",
        "FROM scratch\nCOPY <<a /\nb\na\n",
        "FROM scratch\nHEALTHCHECK NONE\n",
    ] {
        let message = setup.failure(dockerfile).await.message;
        assert!(message.contains("stand-in"), "{dockerfile}: {message}");
    }
    assert!(setup.client.disk_usage(&[]).await.is_err());
}
