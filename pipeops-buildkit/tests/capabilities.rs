//! What other Rust clients of BuildKit (bollard 0.21, buildkit-client 0.1.4; November 2026) lack, and this one has: one row, one
//! test, with the smallest check that can fail. Other files of this folder look closer.
//!
//! | | bollard | buildkit-client | here | row |
//! |---|---|---|---|---|
//! | FileSync | whole tar in memory | one file after the other | yes | `files_are_sent_one_by_one_and_on_demand` |
//! | `.dockerignore` | caller's | ignored | yes | `dockerignore_is_read` |
//! | followpaths | – | literal | yes | `copied_links_are_followed` |
//! | incremental context | no | no | yes | `only_what_changed_is_sent` |
//! | S3 cache import | without effect | no | yes | `a_cache_in_s3_is_imported` |
//! | secrets | yes | yes | yes | `a_secret_is_mounted` |
//! | SSH | default agent | no | yes, any agent by id | `an_agent_is_forwarded_by_its_id` |
//! | token authority | no | no | yes | `tokens_are_fetched_here` |
//! | progress | separate call | only after Solve | yes | `progress_comes_while_it_builds` |
//! | digest of the result | discarded | yes | yes | `the_digest_is_the_registrys` |
//! | several exporters | no | no | yes | `an_image_is_pushed_and_written_to_a_file` |
//! | typed errors | no | no | yes | `a_failure_has_a_type` |
//! | retry | no | no | yes | `what_may_pass_is_tried_again` |
//! | pool | no | no | yes | `a_pool_goes_on_without_a_daemon` |
//! | tracing | no | no | yes | `a_subscriber_of_tracing_hears_what_is_no_error` |
//! | history | no | no | yes | `a_build_is_in_the_history` |
//! | prune | no | no | yes | `what_a_build_kept_is_pruned` |

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::daemons::Daemon;
use common::{Context, Recorder, client, env, registry_get, solve, unique};
use futures::TryStreamExt;
use pipeops_buildkit::{
    Address, Builder, BuilderOptions, Cause, Client, ConnectOptions, Member, Output, OutputTarget,
    Pool, PoolOptions, PruneOptions, Solve, StaticMembers,
};
use pipeops_core::build::{BuildCache, S3Cache};
use pipeops_core::event::{Discard, EventKind};
use pipeops_core::{
    Backoff, BuildRequest, Credential, CredentialProvider, Failure, RegistryScope, SecretString,
};
use pipeops_testkit::buildkit::{BuildkitDaemon, BuildkitOptions};
use pipeops_testkit::fault::{Fault, Matcher};
use pipeops_testkit::registry::{Registry, RegistryOptions, User};

const ALL: &str = "FROM scratch\nCOPY . /\n";

/// FileSync
#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn files_are_sent_one_by_one_and_on_demand() {
    let context = Context::new(&[
        ("Dockerfile", "FROM scratch\nCOPY wanted /\n"),
        ("wanted/a", &unique("a")),
        ("wanted/b", &unique("b")),
        ("other", &"x".repeat(1 << 20)),
    ]);
    let sent = solve(context.request(), &Discard).await.unwrap().context;
    // With the Dockerfile.
    assert_eq!((sent.files, sent.bytes < 1_000), (3, true), "{sent:?}");
}

/// .dockerignore
#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn dockerignore_is_read() {
    let context = Context::new(&[
        ("Dockerfile", "FROM busybox\nCOPY . /ctx\nRUN ls /ctx\n"),
        (".dockerignore", "*\n!k*\n"),
        ("kept", ""),
        ("left", ""),
    ]);
    let events = Recorder::default();
    solve(context.fresh_request(), &events).await.unwrap();
    assert_eq!(events.logs(), ["kept"]);
}

/// followpaths
#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn copied_links_are_followed() {
    let context = Context::new(&[
        ("Dockerfile", "FROM busybox\nCOPY link/a /\nRUN cat /a\n"),
        ("real/a", "content"),
    ]);
    std::os::unix::fs::symlink("real", context.path().join("link")).unwrap();
    let events = Recorder::default();
    solve(context.fresh_request(), &events).await.unwrap();
    assert_eq!(events.logs(), ["content"]);
}

/// incremental context
#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn only_what_changed_is_sent() {
    let context = Context::new(&[
        ("Dockerfile", ALL),
        ("a", &unique("a")),
        ("b", &unique("b")),
    ]);
    let request = context.request();
    solve(request.clone(), &Discard).await.unwrap();
    context.write("b", unique("b").as_bytes());
    let second = solve(request, &Discard).await.unwrap();
    // With the Dockerfile, which the frontend fetches without comparing.
    assert_eq!(second.context.files, 2, "{second:?}");
}

/// S3 cache import
#[tokio::test]
#[ignore = "needs testbed: buildkit, registry, s3"]
async fn a_cache_in_s3_is_imported() {
    let name = unique("table");
    let mut s3 = S3Cache::new(env("S3_BUCKET"), env("S3_REGION"), &name);
    s3.endpoint = Some(env("S3_ENDPOINT"));
    let secret = SecretString::from(env("S3_SECRET_ACCESS_KEY"));
    s3.keys = Some((env("S3_ACCESS_KEY_ID"), secret));
    let context = Context::new(&[("Dockerfile", &format!("FROM busybox\nRUN echo {name}\n"))]);
    let mut request = context.request();
    request.cache_to = vec![BuildCache::S3(s3.clone())];
    let written = solve(request.clone(), &Discard).await.unwrap();
    assert_eq!((written.steps, written.cached), (1, 0));
    request.cache_to.clear();
    request.cache_from = vec![BuildCache::S3(s3)];
    let empty = Daemon::start("empty").await;
    let client = Client::connect(&empty.address(), ConnectOptions::default())
        .await
        .unwrap();
    let solve = Solve::new(request).timeout(Duration::from_secs(120));
    let read = client.solve(solve, &Discard).await.unwrap();
    assert_eq!((read.steps, read.cached), (1, 1));
}

/// secrets
#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn a_secret_is_mounted() {
    let run = "RUN --mount=type=secret,id=tok,required wc -c < /run/secrets/tok\n";
    let context = Context::new(&[("Dockerfile", &format!("FROM busybox\n{run}"))]);
    let mut request = context.fresh_request();
    request
        .secrets
        .insert("tok".into(), SecretString::from("twelve-bytes"));
    let events = Recorder::default();
    solve(request, &events).await.unwrap();
    assert_eq!(events.logs(), ["12"]);
}

/// SSH
#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn an_agent_is_forwarded_by_its_id() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("sock");
    let _agent = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let run = "RUN --mount=type=ssh,id=deploy,required test -S $SSH_AUTH_SOCK\n";
    let context = Context::new(&[("Dockerfile", &format!("FROM busybox\n{run}"))]);
    let solve = Solve::new(context.fresh_request())
        .without_push()
        .timeout(Duration::from_secs(120))
        .ssh_agent("deploy", &socket);
    client().await.solve(solve, &Discard).await.unwrap();
}

/// The login of one registry.
#[derive(Debug)]
struct Login;

#[async_trait::async_trait]
impl CredentialProvider for Login {
    async fn credential(&self, _: &str, _: &RegistryScope) -> Result<Credential, Failure> {
        Ok(Credential::basic("ci", "a-password"))
    }
}

/// token authority
#[tokio::test]
#[ignore = "needs testbed: buildkit"]
async fn tokens_are_fetched_here() {
    let options = RegistryOptions::default().token_auth(Duration::from_secs(60));
    let options = options.user(User::new("ci", "a-password"));
    let registry = Registry::start(options).await.unwrap();
    let context = Context::new(&[("Dockerfile", ALL), ("a", &unique("a"))]);
    let image = format!("{}/team/app:1", registry.host());
    let mut request = BuildRequest::new(context.path(), image.parse().unwrap());
    request.credentials = Arc::new(Login);
    solve(request, &Discard).await.unwrap();
    let asked: Vec<String> = registry
        .requests()
        .into_iter()
        .filter(|seen| seen.operation == "token")
        .map(|seen| seen.method)
        .collect();
    // The daemon would begin with GET.
    assert!(!asked.is_empty() && asked.iter().all(|method| method == "POST"));
}

/// progress
#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn progress_comes_while_it_builds() {
    let context = Context::new(&[("Dockerfile", "FROM busybox\nRUN echo begun; sleep 600\n")]);
    let heard = tokio::sync::Notify::new();
    let listen = |event: EventKind| {
        if matches!(event, EventKind::Log { line, .. } if line == "begun") {
            heard.notify_one();
        }
    };
    tokio::select! {
        result = solve(context.fresh_request(), &listen) => panic!("it ended: {result:?}"),
        () = heard.notified() => {}
    }
}

/// digest of the result
#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn the_digest_is_the_registrys() {
    let context = Context::new(&[("Dockerfile", ALL), ("a", &unique("a"))]);
    let request = context.request();
    let solved = solve(request.clone(), &Discard).await.unwrap();
    let path = format!("{}/manifests/1", request.image.repository());
    let (digest, _) = registry_get(&path).await;
    assert_eq!(digest, solved.digest.map(|digest| digest.to_string()));
}

/// several exporters
#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn an_image_is_pushed_and_written_to_a_file() {
    let context = Context::new(&[("Dockerfile", ALL), ("a", &unique("a"))]);
    let request = context.request();
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("out.tar");
    let solve = Solve::new(request.clone())
        .timeout(Duration::from_secs(120))
        .output(Output::tar(OutputTarget::file(&archive)));
    client().await.solve(solve, &Discard).await.unwrap();
    registry_get(&format!("{}/manifests/1", request.image.repository())).await;
    assert!(std::fs::metadata(&archive).unwrap().len() > 0);
}

/// typed errors
#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn a_failure_has_a_type() {
    let context = Context::new(&[("Dockerfile", "FROM busybox\nRUN exit 7\n")]);
    let error = solve(context.fresh_request(), &Discard).await.unwrap_err();
    let failure = error.build_failure().unwrap();
    assert_eq!(
        (&failure.cause, failure.exit_code),
        (&Cause::Instruction, Some(7))
    );
}

/// A stand-in for a daemon, a registry for it, and a context.
async fn stand_in() -> (BuildkitDaemon, Registry, Context) {
    let registry = Registry::start(RegistryOptions::default()).await.unwrap();
    let daemon = BuildkitDaemon::start(BuildkitOptions::default()).await;
    let context = Context::new(&[("Dockerfile", ALL), ("a", "a")]);
    (daemon.unwrap(), registry, context)
}

fn to(registry: &Registry, context: &Context) -> BuildRequest {
    let image = format!("{}/team/app:1", registry.host());
    BuildRequest::new(context.path(), image.parse().unwrap())
}

fn hasty() -> BuilderOptions {
    let backoff = Backoff::default().base(Duration::from_millis(20));
    BuilderOptions::default()
        .backoff(backoff)
        .timeout(Duration::from_secs(60))
}

/// retry
#[tokio::test]
async fn what_may_pass_is_tried_again() {
    let (daemon, registry, context) = stand_in().await;
    let throttle = Fault::too_many_requests(1).on(Matcher::operation("manifest.put"));
    let throttled = registry.faults().add(throttle);
    let address = Address::parse(&daemon.address()).unwrap();
    let builder = Builder::new(address, hasty());
    builder
        .build(to(&registry, &context), &Discard)
        .await
        .unwrap();
    assert_eq!(throttled.fired(), 1);
}

/// pool
#[tokio::test]
async fn a_pool_goes_on_without_a_daemon() {
    let (one, registry, context) = stand_in().await;
    let (two, _, _) = stand_in().await;
    let crash = || Fault::Crash.on(Matcher::operation("build.step"));
    let crashes = [one.faults().add(crash()), two.faults().add(crash())];
    let once = AtomicBool::new(false);
    // Whichever gets the build is the only one that falls.
    let spare = |event: EventKind| {
        if matches!(event, EventKind::Warning { .. }) && !once.swap(true, Ordering::Relaxed) {
            for daemon in [&one, &two] {
                daemon.faults().clear();
            }
        }
    };
    let member = |daemon: &BuildkitDaemon| Member::new(Address::parse(&daemon.address()).unwrap());
    let options = PoolOptions::default().builder(hasty());
    let pool = Pool::start(StaticMembers::new([member(&one), member(&two)]), options);
    pool.build(to(&registry, &context), &spare).await.unwrap();
    let fallen: u32 = crashes.iter().map(|crash| crash.fired()).sum();
    assert_eq!(fallen, 1);
}

/// Keeps the messages of this crate.
#[derive(Clone, Default)]
struct Journal(Arc<Mutex<Vec<String>>>, Arc<AtomicUsize>);

impl tracing::Subscriber for Journal {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("pipeops_buildkit")
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(self.1.fetch_add(1, Ordering::Relaxed) as u64 + 1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        struct Message<'a>(&'a mut String);
        impl tracing::field::Visit for Message<'_> {
            fn record_debug(&mut self, _: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                *self.0 += &format!("{value:?} ");
            }
        }
        let mut text = String::new();
        event.record(&mut Message(&mut text));
        self.0.lock().unwrap().push(text);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

/// tracing
#[tokio::test]
async fn a_subscriber_of_tracing_hears_what_is_no_error() {
    let journal = Journal::default();
    let _guard = tracing::subscriber::set_default(journal.clone());
    let (daemon, registry, context) = stand_in().await;
    daemon
        .faults()
        .add(Fault::status(500).on(Matcher::operation("status")));
    let address = Address::parse(&daemon.address()).unwrap();
    let client = Client::connect(&address, ConnectOptions::default())
        .await
        .unwrap();
    let solve = Solve::new(to(&registry, &context));
    client.solve(solve, &Discard).await.unwrap();
    let heard = journal.0.lock().unwrap().join("\n");
    assert!(
        heard.contains("the report of a build ended early"),
        "{heard}"
    );
}

/// history
#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn a_build_is_in_the_history() {
    let context = Context::new(&[("Dockerfile", ALL), ("a", &unique("a"))]);
    let solved = solve(context.request(), &Discard).await.unwrap();
    let record = client().await.history_record(&solved.id).await.unwrap();
    let record = record.expect("the daemon remembers it");
    assert!(record.steps > 0 && record.error.is_none(), "{record:?}");
}

/// prune
#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn what_a_build_kept_is_pruned() {
    let id = unique("pruned");
    let run = format!("RUN --mount=type=cache,id={id},target=/{id} echo > /{id}/x\n");
    let context = Context::new(&[("Dockerfile", &format!("FROM busybox\n{run}"))]);
    solve(context.request(), &Discard).await.unwrap();
    let filter = format!("type==exec.cachemount,description~={id}");
    let options = PruneOptions::default().all().filter(filter);
    let removed = client().await.prune(options).await.unwrap();
    let removed: Vec<_> = removed.try_collect().await.unwrap();
    assert_eq!(removed.len(), 1, "{removed:?}");
}
