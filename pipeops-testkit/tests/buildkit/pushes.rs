//! Pushes and logins, and how they fail: the same words from the stand-in and from a real daemon.

use std::time::Duration;

use pipeops_testkit::fault::{Fault, Matcher};
use pipeops_testkit::registry::{Registry, RegistryOptions, User};

use crate::client::{Client, Job, fresh};
use crate::session::Authority;

const DENIED: &str = "access denied, repository does not exist or may require authorization";

/// The whole suite, each case with a registry of its own.
pub(crate) async fn run(client: &Client) {
    logins(client).await;
    token_authority(client).await;
    refused_pushes(client).await;
    refused_pulls(client).await;
}

async fn registry(options: RegistryOptions) -> Registry {
    let readers = User::new("reader", "pw").read_only();
    let options = options.user(User::new("ci", "secret")).user(readers);
    Registry::start(options).await.unwrap()
}

/// An image that nobody has built before.
fn job(registry: &Registry) -> Job {
    let file = format!("FROM scratch\nCOPY Dockerfile /\n# {}\n", fresh("build"));
    Job::new(&file).push(&format!("{}/team/app:1", registry.host()))
}

/// The error of a push, behind the words that each one begins with.
async fn push_error(client: &Client, registry: &Registry, job: Job) -> String {
    let outcome = client.build(job).await;
    let start = format!("failed to push {}/team/app:1: ", registry.host());
    let message = outcome.error().message();
    let rest = message.strip_prefix(&start);
    let vertex = outcome.vertex("exporting to image");
    assert_eq!(vertex.error, message);
    rest.unwrap_or_else(|| panic!("{message}"))
        .replace(&registry.host(), "HOST")
}

async fn logins(client: &Client) {
    let lifetime = Duration::from_secs(60);
    let insufficient =
        format!("push {DENIED}: server message: insufficient_scope: authorization failed");
    let wrong = "failed to authorize: failed to fetch oauth token: unauthorized: incorrect username or password";
    for (options, expected) in [
        (RegistryOptions::default().basic_auth(), ["401", "401"]),
        (
            RegistryOptions::default().token_auth(lifetime),
            [insufficient.as_str(), wrong],
        ),
    ] {
        let registry = registry(options).await;
        let outcome = client.build(job(&registry).login("ci", "secret")).await;
        outcome.digest();
        assert!(
            outcome
                .asked
                .lock()
                .unwrap()
                .credentials
                .contains(&registry.host())
        );
        for (login, expected) in [None, Some(("ci", "wrong"))].into_iter().zip(expected) {
            let mut job = job(&registry);
            if let Some((name, password)) = login {
                job = job.login(name, password);
            }
            let error = push_error(client, &registry, job).await;
            match expected {
                "401" => assert!(is_unexpected_head(&error, "401 Unauthorized"), "{error}"),
                expected => assert_eq!(error, expected),
            }
        }
    }
    let registry = registry(RegistryOptions::default().token_auth(lifetime)).await;
    let job = job(&registry).login("reader", "pw");
    assert_eq!(push_error(client, &registry, job).await, insufficient);
}

async fn token_authority(client: &Client) {
    let registry = registry(RegistryOptions::default().token_auth(Duration::from_secs(60))).await;
    let mut job = job(&registry).login("ci", "secret");
    job.offer.authority = Some(Authority::Honest);
    let outcome = client.build(job).await;
    outcome.digest();
    let asked = outcome.asked.lock().unwrap();
    assert!(
        asked.credentials.is_empty(),
        "the secret stays with the client"
    );
    assert!(
        asked
            .tokens
            .contains(&"repository:team/app:pull,push".to_owned()),
        "{:?}",
        asked.tokens
    );
}

async fn refused_pushes(client: &Client) {
    let registry = registry(RegistryOptions::default()).await;
    let expired = "denied: Your authorization token has expired. Reauthenticate and try again.";
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
        (
            "upload.start",
            Fault::Refuse,
            "failed to do request: Post \"http://HOST/v2/team/app/blobs/uploads/\": EOF",
        ),
    ] {
        let rule = registry
            .faults()
            .add(fault.on(Matcher::operation(operation)).always());
        assert_eq!(
            push_error(client, &registry, job(&registry)).await,
            expected,
            "{operation}"
        );
        rule.remove();
    }
    let throttled = Fault::too_many_requests(1)
        .on(Matcher::operation("blob.get"))
        .always();
    registry.faults().add(throttled);
    let error = push_error(client, &registry, job(&registry)).await;
    assert!(
        is_unexpected_head(&error, "429 Too Many Requests"),
        "{error}"
    );
}

async fn refused_pulls(client: &Client) {
    let registry = registry(RegistryOptions::default()).await;
    let image = format!("{}/team/base:1", registry.host());
    let head = "unexpected status from HEAD request to http://HOST/v2/team/base/manifests/1";
    for (fault, expected) in [
        (
            Fault::too_many_requests(1),
            format!("{head}: 429 Too Many Requests"),
        ),
        (Fault::unauthorized(), format!("{head}: 401 Unauthorized")),
        (
            Fault::forbidden(),
            format!(
                "{head}: 403 Forbidden\ndenied: Your authorization token has expired. Reauthenticate and try again."
            ),
        ),
        (
            Fault::Refuse,
            "failed to do request: Head \"http://HOST/v2/team/base/manifests/1\": EOF".to_owned(),
        ),
    ] {
        let rule = registry
            .faults()
            .add(fault.on(Matcher::operation("manifest.get")).always());
        let outcome = client
            .build(Job::new(&format!("FROM {image}\nCOPY Dockerfile /\n")))
            .await;
        let start = format!("{image}: failed to resolve source metadata for {image}: ");
        let message = outcome.error().message().to_owned();
        let rest = message
            .strip_prefix(&start)
            .unwrap_or_else(|| panic!("{message}"));
        assert_eq!(rest.replace(&registry.host(), "HOST"), expected);
        rule.remove();
    }
}

/// The error of a HEAD that asks for a blob, whose digest differs from run to run.
fn is_unexpected_head(error: &str, status: &str) -> bool {
    error
        .starts_with("unexpected status from HEAD request to http://HOST/v2/team/app/blobs/sha256:")
        && error.ends_with(status)
}
