//! Rollouts against the testkit's cluster: every way to fail, every fault of the API server.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use pipeops_core::Diagnosis;
use pipeops_core::diagnosis::{Page, codes::rollout as codes};
use pipeops_core::event::Discard;
use pipeops_rollout::{ApiProblem, Error, Outcome};
use pipeops_testkit::fault::{Fault, Matcher};
use pipeops_testkit::kubernetes::{PodBehaviour, PullFailure};
use serde_json::Value;

use common::stand_in::{
    NAMESPACE, client, cluster, live, live_revision, options, rollout, run, stack,
};
use common::{Change, Told, web};

/// The diagnosis of a revision with this behaviour, rolled out after a good one.
async fn diagnosis_of(behaviour: PodBehaviour, change: Change) -> Diagnosis {
    let cluster = cluster().await;
    cluster.behaviour("*:broken", behaviour);
    assert!(run(&cluster, &stack("good")).await.is_complete());
    // Long enough for every cause to show on a busy machine.
    let options = options().deadline(Duration::from_secs(8)).max_restarts(2);
    let image = "registry.example.com/web:broken";
    let broken = web(NAMESPACE, "web", "broken", image, change);
    let rollout = rollout(&cluster, options);
    let Ok(Outcome::RolledBack { diagnosis, to }) = rollout.run(&broken, &Discard).await else {
        panic!("not rolled back")
    };
    assert_eq!(to.as_str(), "good");
    assert_eq!(live_revision(&cluster), "good");
    diagnosis
}

fn none(_: &mut Value) {}

fn startup_probe(container: &mut Value) {
    container["startupProbe"] = container["readinessProbe"].clone();
    container["startupProbe"]["failureThreshold"] = 2.into();
}

fn liveness_probe(container: &mut Value) {
    container["livenessProbe"] = container["readinessProbe"].clone();
    container["livenessProbe"]["failureThreshold"] = 1.into();
}

fn missing_secret(container: &mut Value) {
    container["envFrom"] = serde_json::json!([{"secretRef": {"name": "nothere"}}]);
}

#[tokio::test]
async fn progress_is_told_until_it_is_complete() {
    let cluster = cluster().await;
    let told = Told::default();
    let rollout = rollout(&cluster, options());
    let outcome = rollout.run(&stack("one"), &told).await.unwrap();
    let (revision, terminating) = ("one".parse().unwrap(), 0);
    let complete = Outcome::Complete {
        revision,
        terminating,
    };
    assert_eq!(outcome, complete);
    let messages = told.messages();
    assert_eq!(messages.last().unwrap(), "Rollout complete");
    assert!(
        messages.contains(&"Pod 2/2 ready".to_owned()),
        "{messages:?}"
    );
    let mut unique = messages.clone();
    unique.dedup();
    assert_eq!(messages, unique);
}

#[tokio::test]
async fn images_that_cannot_be_pulled() {
    use PullFailure::*;
    use codes::*;
    let cases = [
        (NotFound, &IMAGE_PULL_NOT_FOUND, "not found"),
        (Unauthorized, &IMAGE_PULL_AUTH, "authentication required"),
        (NoMatchingPlatform, &IMAGE_PULL_PLATFORM, "platform"),
        (RateLimited, &IMAGE_PULL_RATE_LIMIT, "limits how often"),
        (ConnectionRefused, &IMAGE_PULL_REGISTRY_DOWN, "refused"),
        (TimedOut, &IMAGE_PULL_REGISTRY_DOWN, "i/o timeout"),
        (NoSuchHost, &IMAGE_PULL_DNS, "no such host"),
        (UnknownAuthority, &IMAGE_PULL_TLS, "certificate"),
    ];
    let check = |(failure, page, reason): (_, &'static Page, &'static str)| async move {
        let diagnosis = diagnosis_of(PodBehaviour::pull_fails(failure), none).await;
        let image = "Failed to pull image \"registry.example.com/web:broken\"";
        assert_eq!(diagnosis.code, *page, "{diagnosis}");
        assert_eq!(diagnosis.error, image);
        assert!(diagnosis.reason.contains(reason), "{diagnosis}");
    };
    join_all(cases.into_iter().map(check)).await;
}

#[tokio::test]
async fn pods_that_are_not_healthy() {
    use PodBehaviour as Pod;
    use codes::*;
    let no = "HTTP probe failed with statuscode: 503";
    let no_file = "exec: \"/nope\": stat /nope: no such file or directory";
    let mount = "MountVolume.SetUp failed for volume \"x\" : timed out";
    let sandbox = "failed to allocate for range 0: no IP addresses available";
    let place = "0/1 nodes are available: 1 Insufficient cpu.";
    let quota = "exceeded quota: small, requested: pods=1, used: pods=2, limited: pods=2";
    let webhook = "admission webhook \"p.example.com\" denied the request: no";
    let logging = Pod::crash(3).log(["opening", "no database"]);
    let stuck = Pod::liveness_fails(Duration::ZERO, no);
    let cases: Vec<(Pod, Change, &Page)> = vec![
        (logging, none, &POD_CRASHED),
        (Pod::ready(), missing_secret, &POD_CONFIG_MISSING),
        (stuck, liveness_probe, &POD_LIVENESS_PROBE),
        (Pod::never_started(no), startup_probe, &POD_STARTUP_PROBE),
        (Pod::never_ready(no), none, &POD_READINESS_PROBE),
        (Pod::crash(0), none, &POD_EXITED),
        (Pod::oom_killed(), none, &POD_OUT_OF_MEMORY),
        (Pod::run_fails(no_file), none, &POD_COMMAND_NOT_FOUND),
        (Pod::create_fails("no device"), none, &POD_CONTAINER_START),
        (Pod::mount_fails(mount), none, &POD_VOLUME),
        (Pod::sandbox_fails(sandbox), none, &POD_SANDBOX),
        (Pod::unschedulable(place), none, &POD_UNSCHEDULABLE),
        (Pod::denied(quota), none, &POD_QUOTA),
        (Pod::denied(webhook), none, &POD_ADMISSION_DENIED),
    ];
    let check = |(behaviour, change, page): (Pod, Change, &'static Page)| async move {
        let diagnosis = diagnosis_of(behaviour, change).await;
        assert_eq!(diagnosis.code, *page, "{diagnosis}");
        diagnosis
    };
    let diagnoses = join_all(cases.into_iter().map(check)).await;
    assert_eq!(diagnoses[0].log, ["opening", "no database"]);
    let fix = &diagnoses[1].fixes[0];
    assert!(
        fix.starts_with("Create the missing Secret \"nothere\""),
        "{fix}"
    );
}

#[tokio::test]
async fn trouble_that_passes_fails_nothing() {
    let cluster = cluster().await;
    let down = PodBehaviour::pull_fails(PullFailure::ConnectionRefused).recovers_after(2);
    cluster.behaviour("*:one", down);
    cluster.behaviour("*:two", PodBehaviour::crash(1).recovers_after(2));
    for revision in ["one", "two"] {
        assert!(run(&cluster, &stack(revision)).await.is_complete());
    }
}

#[tokio::test]
async fn an_api_server_that_stumbles_is_asked_again() {
    let cluster = cluster().await;
    let faults = cluster.faults();
    for (operation, fault) in [
        ("apply deployments", Fault::status(500)),
        ("apply configmaps", Fault::Refuse),
        ("update leases", Fault::Cut { after_bytes: 5 }),
        ("list pods", Fault::status(503)),
        ("watch deployments", Fault::Gone),
        ("watch pods", Fault::Cut { after_bytes: 10 }),
        ("watch replicasets", Fault::status(500)),
    ] {
        faults.add(fault.on(Matcher::operation(operation)));
    }
    assert!(run(&cluster, &stack("one")).await.is_complete());
}

#[tokio::test]
async fn watches_outlive_cut_connections_and_forgotten_history() {
    let cluster = Arc::new(cluster().await);
    cluster.behaviour(
        "*:one",
        PodBehaviour::ready().ready_after(Duration::from_millis(600)),
    );
    let trouble = {
        let cluster = cluster.clone();
        async move {
            for _ in 0..5 {
                tokio::time::sleep(Duration::from_millis(100)).await;
                cluster.compact();
                cluster.cut_connections();
            }
            cluster.crash();
            cluster.restart().await.unwrap();
        }
    };
    let stack = stack("one");
    let (outcome, ()) = tokio::join!(run(&cluster, &stack), trouble);
    assert!(outcome.is_complete());
}

#[tokio::test]
async fn what_may_not_be_done_is_named_before_anything_changes() {
    for (verb, resource, named) in [
        ("patch", "deployments", "patch deployments.apps"),
        ("*", "pods", "list pods"),
        ("create", "leases", "create leases.coordination.k8s.io"),
    ] {
        let cluster = cluster().await;
        cluster.deny(verb, resource);
        let error = rollout(&cluster, options())
            .run(&stack("one"), &Discard)
            .await
            .unwrap_err();
        assert!(error.to_string().contains(named), "{error}");
        let Error::Api(error) = error else {
            panic!("{error}")
        };
        assert!(matches!(error.problem, ApiProblem::Forbidden { .. }));
        assert!(
            cluster
                .object("v1", "ConfigMap", NAMESPACE, "web-pages-one")
                .is_none()
        );
    }
}

#[tokio::test]
async fn without_events_and_logs_it_does_what_it_can_and_says_so() {
    let cluster = cluster().await;
    cluster.deny("*", "events");
    cluster.deny("get", "pods/log");
    cluster.behaviour("*", PodBehaviour::crash(1).log(["secret"]));
    let told = Told::default();
    let options = options().max_restarts(1);
    let outcome = rollout(&cluster, options)
        .run(&stack("one"), &told)
        .await
        .unwrap();
    let diagnosis = outcome.diagnosis().unwrap();
    assert_eq!(diagnosis.code, codes::POD_CRASHED);
    assert!(diagnosis.log.is_empty());
    let warnings = told.warnings();
    for named in ["events", "pods/log"] {
        assert!(
            warnings.iter().any(|warning| warning.contains(named)),
            "{warnings:?}"
        );
    }
}

#[tokio::test]
async fn objects_of_others_are_left_alone_and_own_ones_taken_back() {
    let cluster = cluster().await;
    let api: kube::Api<k8s_openapi::api::core::v1::Service> =
        kube::Api::namespaced(client(&cluster), NAMESPACE);
    let port = |port: u16| {
        kube::api::Patch::Apply(serde_json::json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "web"}, "spec": {"ports": [{"port": 80, "targetPort": port}]}}))
    };
    let theirs = kube::api::PatchParams::apply("somebody");
    api.patch("web", &theirs, &port(9090)).await.unwrap();
    let error = rollout(&cluster, options())
        .run(&stack("one"), &Discard)
        .await
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("targetPort is managed by \"somebody\""),
        "{text}"
    );
    assert!(
        cluster
            .object("apps/v1", "Deployment", NAMESPACE, "web")
            .is_none()
    );

    api.delete("web", &kube::api::DeleteParams::default())
        .await
        .unwrap();
    assert!(run(&cluster, &stack("one")).await.is_complete());
    api.patch("web", &theirs.force(), &port(9090))
        .await
        .unwrap();
    let told = Told::default();
    rollout(&cluster, options())
        .run(&stack("two"), &told)
        .await
        .unwrap();
    assert!(
        told.warnings()[0].contains("targetPort is managed by \"somebody\""),
        "{:?}",
        told.warnings()
    );
    let service = cluster.object("v1", "Service", NAMESPACE, "web").unwrap();
    assert_eq!(service["spec"]["ports"][0]["targetPort"], "http");
}

#[tokio::test]
async fn many_rollouts_share_one_set_of_watches() {
    let cluster = cluster().await;
    let rollout = rollout(&cluster, options());
    let runs = (0..30).map(|number| {
        let rollout = rollout.clone();
        async move {
            let app = format!("web-{number}");
            let stack = web(
                NAMESPACE,
                &app,
                "one",
                "registry.example.com/web:one",
                |_| {},
            );
            rollout.run(&stack, &Discard).await.unwrap()
        }
    });
    let outcomes = join_all(runs).await;
    assert!(outcomes.iter().all(Outcome::is_complete));
    let requests = cluster.requests();
    let count = |wanted: &str| {
        requests
            .iter()
            .filter(|seen| seen.operation == wanted)
            .count()
    };
    // Each set of watches lists first. A watch that the server ended resumes without a list.
    let lists = ["list deployments", "list pods", "list events"].map(count);
    assert_eq!(lists, [1, 1, 1]);
}

#[tokio::test]
async fn one_process_does_not_act_twice_at_once() {
    let cluster = cluster().await;
    cluster.behaviour(
        "*:one",
        PodBehaviour::ready().ready_after(Duration::from_millis(300)),
    );
    let rollout = rollout(&cluster, options());
    let (one, two) = (stack("one"), stack("two"));
    let (first, second) = tokio::join!(rollout.run(&one, &Discard), rollout.run(&two, &Discard));
    assert!(first.unwrap().is_complete() && second.unwrap().is_complete());
    assert_eq!(live(&cluster)["metadata"]["generation"], 2);
}
