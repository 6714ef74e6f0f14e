//! From a signed webhook to pods, through every crate, on stand-ins.
#![expect(clippy::unwrap_used, reason = "in tests a panic is the message")]

mod world;

use std::time::Duration;

use http::StatusCode;
use pipeops_core::{EventKind, Step};
use pipeops_testkit::kubernetes::{PodBehaviour, PullFailure};
use world::{DOCKERFILE, World, events_of, failure, get};

/// The host of these tests drops the service: the router keeps it alive.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_becomes_ready_pods_and_the_next_one_replaces_them() {
    let mut world = World::new().await;
    let host = world.host().await;
    for version in ["v1", "v2"] {
        let commit = world.commit(DOCKERFILE, version);
        let id = world.push(&host, &commit).await;
        let events = events_of(&host, &id).await;
        let EventKind::Succeeded { image, .. } = &events.last().unwrap().kind else {
            panic!("{:?}", events.last());
        };
        assert!(
            image.contains(&format!("/team/shop:{commit}@sha256:")),
            "{image}"
        );
        assert_eq!(world.deployed_image().as_ref(), Some(image));
        assert!(world.registry.manifest("team/shop", &commit).is_some());
        let count =
            |wanted: fn(&EventKind) -> bool| events.iter().filter(|e| wanted(&e.kind)).count();
        let steps = count(|kind| matches!(kind, EventKind::StepFinished { .. }));
        assert_eq!(steps, Step::ALL.len());
        // The watch on pods may lag behind the Deployment: this message comes in any case.
        let ready = |kind: &EventKind| matches!(kind, EventKind::Rollout { message, .. } if message == "Pod 2/2 ready");
        assert!(count(ready) >= 1);
        let json = serde_json::to_string(&events).unwrap();
        assert!(!json.contains("s3cr3t") && !json.contains("hunter22"));
    }
    for path in ["/deploy", "/deploy/"] {
        let (status, page) = get(&host, path).await;
        assert!(
            status == StatusCode::OK && page.starts_with("<!doctype html>"),
            "{path}: {status}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_commit_is_rolled_back_with_its_true_reason() {
    let mut world = World::new().await;
    let host = world.host().await;
    let good = world.commit(DOCKERFILE, "good");
    let id = world.push(&host, &good).await;
    events_of(&host, &id).await;
    let good_image = world.deployed_image();

    let crash = PodBehaviour::crash(3).log(["no database"]);
    let cases = [
        (crash, "CrashLoopBackOff"),
        (PodBehaviour::pull_fails(PullFailure::NotFound), "ImagePull"),
        (PodBehaviour::oom_killed(), "OOMKilled"),
    ];
    for (behaviour, cause) in cases {
        let commit = world.commit(DOCKERFILE, cause);
        world.cluster.behaviour(&format!("*{commit}*"), behaviour);
        let id = world.push(&host, &commit).await;
        let events = events_of(&host, &id).await;
        let (diagnosis, rolled_back) = failure(&events);
        assert!(diagnosis.title.contains(cause), "{cause}: {diagnosis}");
        assert!(!diagnosis.fixes.is_empty(), "{diagnosis}");
        assert!(rolled_back, "{cause}");
        assert_eq!(world.deployed_image(), good_image, "{cause}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_build_that_fails_touches_no_pods() {
    let mut world = World::new().await;
    let host = world.host().await;
    let commit = world.commit("FROM scratch\nCOPY nothing /nothing\n", "broken");
    let id = world.push(&host, &commit).await;
    let events = events_of(&host, &id).await;
    let (diagnosis, rolled_back) = failure(&events);
    assert!(diagnosis.to_string().contains("nothing"), "{diagnosis}");
    assert!(!rolled_back);
    assert_eq!(world.deployed_image(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_service_resumes_the_rollout_of_one_that_stopped() {
    let mut world = World::new().await;
    let commit = world.commit(DOCKERFILE, "v1");
    let slow = PodBehaviour::ready().ready_after(Duration::from_millis(300));
    world.cluster.behaviour("*", slow);
    let first = world.service().await;
    let host = axum::Router::new().nest("/deploy", first.router());
    let id = world.push(&host, &commit).await;
    let mut stream = first.hub().subscribe(0, Some(id.clone()));
    let rollout = EventKind::StepStarted {
        step: Step::Rollout,
    };
    while !stream
        .next()
        .await
        .unwrap()
        .iter()
        .any(|event| event.kind == rollout)
    {}
    first.shutdown(Duration::ZERO).await;

    let events = events_of(&world.host().await, &id).await;
    let last = &events.last().unwrap().kind;
    assert!(matches!(last, EventKind::Succeeded { .. }), "{last:?}");
    assert_eq!(world.buildkit.builds().len(), 1, "the build was done once");
}
