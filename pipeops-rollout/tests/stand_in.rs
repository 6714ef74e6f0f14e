//! Rollouts against the testkit's cluster: every way to fail, every fault of the API server.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use pipeops_core::Diagnosis;
use pipeops_core::diagnosis::{Page, codes::rollout as codes};
use pipeops_core::event::{Discard, EventKind};
use pipeops_rollout::{ApiProblem, Error, Outcome};
use pipeops_testkit::fault::{Fault, Matcher};
use pipeops_testkit::kubernetes::{PodBehaviour, PullFailure};
use serde_json::Value;

use common::stand_in::{
    NAMESPACE, client, cluster, live, live_revision, options, rollout, run, stack,
};
use common::{Told, web};

/// Rolls out a good revision and then one that behaves so: what is said of it.
async fn diagnosis_of(behaviour: PodBehaviour, change: impl FnOnce(&mut Value)) -> Diagnosis {
    let cluster = cluster().await;
    cluster.behaviour("*:broken", behaviour);
    assert!(run(&cluster, &stack("good")).await.is_complete());
    let options = options().deadline(Duration::from_secs(3)).max_restarts(2);
    let image = "registry.example.com/web:broken";
    let broken = web(NAMESPACE, "web", "broken", image, change);
    match rollout(&cluster, options)
        .run(&broken, &Discard)
        .await
        .unwrap()
    {
        Outcome::RolledBack { diagnosis, to } => {
            assert_eq!(
                (to.as_str(), live_revision(&cluster).as_str()),
                ("good", "good")
            );
            diagnosis
        }
        other => panic!("{other:?}"),
    }
}

fn with_startup_probe(container: &mut Value) {
    container["startupProbe"] = container["readinessProbe"].clone();
    container["startupProbe"]["failureThreshold"] = 2.into();
}

fn with_liveness_probe(container: &mut Value) {
    container["livenessProbe"] = container["readinessProbe"].clone();
    container["livenessProbe"]["failureThreshold"] = 1.into();
}

#[tokio::test]
async fn progress_is_told_until_it_is_complete() {
    let cluster = cluster().await;
    let told = Told::default();
    let outcome = rollout(&cluster, options())
        .run(&stack("one"), &told)
        .await
        .unwrap();
    assert_eq!(
        outcome,
        Outcome::Complete {
            revision: "one".parse().unwrap(),
            terminating: 0
        }
    );
    let messages = told.messages();
    assert_eq!(messages.last().unwrap(), "Rollout complete");
    assert!(
        messages.contains(&"Pod 2/2 ready".to_owned()),
        "{messages:?}"
    );
    let mut unique = messages.clone();
    unique.dedup();
    assert_eq!(messages, unique);
    let pods = told.all().into_iter().filter(|e| {
        matches!(
            e,
            EventKind::Pod {
                ready: true,
                current: true,
                ..
            }
        )
    });
    assert_eq!(pods.count(), 2);
}

#[tokio::test]
async fn images_that_cannot_be_pulled() {
    use PullFailure::*;
    let cases = [
        (NotFound, &codes::IMAGE_PULL_NOT_FOUND, "not found"),
        (
            Unauthorized,
            &codes::IMAGE_PULL_AUTH,
            "authentication required",
        ),
        (NoMatchingPlatform, &codes::IMAGE_PULL_PLATFORM, "platform"),
        (
            RateLimited,
            &codes::IMAGE_PULL_RATE_LIMIT,
            "limits how often",
        ),
        (
            ConnectionRefused,
            &codes::IMAGE_PULL_REGISTRY_DOWN,
            "refused",
        ),
        (TimedOut, &codes::IMAGE_PULL_REGISTRY_DOWN, "i/o timeout"),
        (NoSuchHost, &codes::IMAGE_PULL_DNS, "no such host"),
        (UnknownAuthority, &codes::IMAGE_PULL_TLS, "certificate"),
    ];
    let check = |(failure, page, reason): (_, &'static Page, _)| async move {
        let diagnosis = diagnosis_of(PodBehaviour::pull_fails(failure), |_| {}).await;
        assert_eq!(diagnosis.code, *page, "{diagnosis}");
        assert_eq!(
            diagnosis.error,
            "Failed to pull image \"registry.example.com/web:broken\""
        );
        assert!(diagnosis.reason.contains(reason), "{diagnosis}");
    };
    join_all(cases.into_iter().map(check)).await;
}

#[tokio::test]
async fn containers_that_end() {
    let crash = PodBehaviour::crash(3).log(["opening", "cannot open the database"]);
    let diagnosis = diagnosis_of(crash, |_| {}).await;
    assert_eq!(diagnosis.code, codes::POD_CRASHED);
    assert_eq!(
        diagnosis.reason,
        "the container crashes at start: exit code 3"
    );
    assert_eq!(diagnosis.log, ["opening", "cannot open the database"]);

    let diagnosis = diagnosis_of(PodBehaviour::oom_killed(), |_| {}).await;
    assert_eq!(diagnosis.code, codes::POD_OUT_OF_MEMORY);
    let diagnosis = diagnosis_of(PodBehaviour::crash(0), |_| {}).await;
    assert_eq!(
        diagnosis.reason,
        "the container ended by itself without an error"
    );

    let refused = "HTTP probe failed with statuscode: 500";
    let stuck = PodBehaviour::liveness_fails(Duration::ZERO, refused);
    let diagnosis = diagnosis_of(stuck, with_liveness_probe).await;
    assert_eq!(diagnosis.code, codes::POD_LIVENESS_PROBE);
    let slow = PodBehaviour::never_started(refused);
    let diagnosis = diagnosis_of(slow, with_startup_probe).await;
    assert_eq!(diagnosis.code, codes::POD_STARTUP_PROBE);
}

#[tokio::test]
async fn containers_that_do_not_begin() {
    let command = PodBehaviour::run_fails("exec: \"/nope\": stat /nope: no such file or directory");
    let diagnosis = diagnosis_of(command, |_| {}).await;
    assert_eq!(
        diagnosis.reason,
        "the container's command does not exist in the image"
    );

    let diagnosis = diagnosis_of(PodBehaviour::create_fails("no such device"), |_| {}).await;
    assert_eq!(diagnosis.code, codes::POD_CONTAINER_START);

    let missing =
        |c: &mut Value| c["envFrom"] = serde_json::json!([{"secretRef": {"name": "nothere"}}]);
    let diagnosis = diagnosis_of(PodBehaviour::ready(), missing).await;
    assert_eq!(diagnosis.code, codes::POD_CONFIG_MISSING);
    assert!(
        diagnosis.fixes[0].starts_with("Create the missing Secret \"nothere\""),
        "{diagnosis}"
    );
}

#[tokio::test]
async fn pods_that_are_not_set_up() {
    let mount = PodBehaviour::mount_fails("MountVolume.SetUp failed for volume \"x\" : timed out");
    let sandbox =
        PodBehaviour::sandbox_fails("failed to allocate for range 0: no IP addresses available");
    let place = PodBehaviour::unschedulable("0/1 nodes are available: 1 Insufficient cpu.");
    let quota = PodBehaviour::denied(
        "exceeded quota: small, requested: pods=1, used: pods=2, limited: pods=2",
    );
    let webhook =
        PodBehaviour::denied("admission webhook \"p.example.com\" denied the request: no");
    let cases = [
        (mount, &codes::POD_VOLUME),
        (sandbox, &codes::POD_SANDBOX),
        (place, &codes::POD_UNSCHEDULABLE),
        (quota, &codes::POD_QUOTA),
        (webhook, &codes::POD_ADMISSION_DENIED),
    ];
    let check = |(behaviour, page): (_, &'static Page)| async move {
        let diagnosis = diagnosis_of(behaviour, |_| {}).await;
        assert_eq!(diagnosis.code, *page, "{diagnosis}");
    };
    join_all(cases.into_iter().map(check)).await;
}

#[tokio::test]
async fn readiness_that_never_comes() {
    let behaviour = PodBehaviour::never_ready("HTTP probe failed with statuscode: 503");
    let diagnosis = diagnosis_of(behaviour, |_| {}).await;
    assert_eq!(diagnosis.code, codes::POD_READINESS_PROBE);
    assert!(
        diagnosis
            .reason
            .ends_with("HTTP probe failed with statuscode: 503")
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
    let watches = cluster
        .requests()
        .iter()
        .filter(|seen| seen.operation.starts_with("watch "))
        .count();
    assert_eq!(watches, 4);
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
