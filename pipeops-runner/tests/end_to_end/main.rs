//! From a signed webhook to pods, through every crate, on stand-ins.
#![expect(clippy::unwrap_used, reason = "in tests a panic is the message")]

mod world;

use std::time::Duration;

use pipeops_core::{EventKind, Step};
use pipeops_testkit::kubernetes::{PodBehaviour, PullFailure};
use world::{World, events_of, failure};

const DOCKERFILE: &str = "FROM scratch\nCOPY app /app\nUSER 1000\nENTRYPOINT [\"/app\"]\n";
const GRACE: Duration = Duration::from_secs(30);

fn files(version: &str) -> [(&'static str, String); 2] {
    [
        ("Dockerfile", DOCKERFILE.to_owned()),
        ("app", format!("#!/bin/sh\necho {version}\n")),
    ]
}

impl World {
    fn version(&self, version: &str) -> String {
        let files = files(version);
        let files: Vec<(&str, &str)> = files
            .iter()
            .map(|(path, text)| (*path, text.as_str()))
            .collect();
        self.commit(&files, version)
    }

    /// The image that the Deployment names.
    fn deployed_image(&self) -> String {
        let deployment = self
            .cluster
            .object("apps/v1", "Deployment", "shop", "shop")
            .unwrap();
        deployment["spec"]["template"]["spec"]["containers"][0]["image"]
            .as_str()
            .unwrap()
            .to_owned()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_becomes_ready_pods_and_the_next_one_replaces_them() {
    let mut world = World::new().await;
    let service = world.service().await;
    for version in ["v1", "v2"] {
        let commit = world.version(version);
        let (status, id) = world.push(&service, &commit, version).await;
        assert_eq!(status, 202);
        let events = events_of(&service, &id).await;
        let EventKind::Succeeded { image, .. } = &events.last().unwrap().kind else {
            panic!("{:?}", events.last());
        };
        assert!(
            image.contains(&format!("/team/shop:{commit}@sha256:")),
            "{image}"
        );
        assert_eq!(&world.deployed_image(), image);
        assert!(world.registry.manifest("team/shop", &commit).is_some());
        let steps = events
            .iter()
            .filter(|event| matches!(event.kind, EventKind::StepFinished { .. }));
        assert_eq!(steps.count(), Step::ALL.len());
        let pods = events.iter().filter(|event| {
            matches!(
                &event.kind,
                EventKind::Pod {
                    ready: true,
                    current: true,
                    ..
                }
            )
        });
        assert!(pods.count() >= 2);
        let json = serde_json::to_string(&events).unwrap();
        assert!(!json.contains("s3cr3t") && !json.contains("hunter22"));
    }
    service.shutdown(GRACE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_commit_is_rolled_back_with_its_true_reason() {
    let mut world = World::new().await;
    let service = world.service().await;
    let good = world.version("good");
    let (_, id) = world.push(&service, &good, "good").await;
    events_of(&service, &id).await;
    let good_image = world.deployed_image();

    let cases = [
        (
            PodBehaviour::crash(3).log(["no database"]),
            "CrashLoopBackOff",
        ),
        (PodBehaviour::pull_fails(PullFailure::NotFound), "ImagePull"),
        (PodBehaviour::oom_killed(), "OOMKilled"),
    ];
    for (number, (behaviour, cause)) in cases.into_iter().enumerate() {
        let commit = world.version(&format!("broken {number}"));
        world.cluster.behaviour(&format!("*{commit}*"), behaviour);
        let (_, id) = world.push(&service, &commit, "broken").await;
        let events = events_of(&service, &id).await;
        let (diagnosis, rolled_back) = failure(&events);
        assert!(diagnosis.title.contains(cause), "{cause}: {diagnosis}");
        assert!(!diagnosis.fixes.is_empty(), "{diagnosis}");
        assert!(rolled_back, "{cause}");
        assert_eq!(world.deployed_image(), good_image, "{cause}");
    }
    service.shutdown(GRACE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_build_that_fails_touches_no_pods() {
    let mut world = World::new().await;
    let service = world.service().await;
    let commit = world.commit(
        &[("Dockerfile", "FROM scratch\nCOPY nothing /nothing\n")],
        "Broken",
    );
    let (_, id) = world.push(&service, &commit, "Broken").await;
    let events = events_of(&service, &id).await;
    let (diagnosis, rolled_back) = failure(&events);
    assert!(diagnosis.to_string().contains("nothing"), "{diagnosis}");
    assert!(!rolled_back);
    assert!(
        world
            .cluster
            .object("apps/v1", "Deployment", "shop", "shop")
            .is_none()
    );
    service.shutdown(GRACE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_service_resumes_the_rollout_of_one_that_stopped() {
    let mut world = World::new().await;
    let commit = world.version("v1");
    let slow = PodBehaviour::ready().ready_after(Duration::from_millis(300));
    world.cluster.behaviour("*", slow);
    let first = world.service().await;
    let (_, id) = world.push(&first, &commit, "v1").await;
    let mut stream = first.hub().subscribe(0, Some(id.clone()));
    loop {
        let events = stream.next().await.unwrap();
        if events.iter().any(|event| {
            event.kind
                == EventKind::StepStarted {
                    step: Step::Rollout,
                }
        }) {
            break;
        }
    }
    first.shutdown(Duration::ZERO).await;

    let second = world.service().await;
    let events = events_of(&second, &id).await;
    assert!(
        matches!(events.last().unwrap().kind, EventKind::Succeeded { .. }),
        "{:?}",
        events.last()
    );
    assert_eq!(world.buildkit.builds().len(), 1, "the build was done once");
    second.shutdown(GRACE).await;
}
