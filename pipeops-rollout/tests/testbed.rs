//! Rollouts into a real Kubernetes cluster, with real pods.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::time::{Duration, Instant};

use pipeops_core::diagnosis::codes::rollout as codes;
use pipeops_core::event::{Discard, EventKind};
use pipeops_core::{Diagnosis, Redactor, SecretString, Stack};
use pipeops_rollout::{Error, Outcome, Rollout, RolloutOptions, RolloutPhase, RolloutStatus};
use serde_json::{Value, json};

use common::{Change, Told};

/// How long it may take until the Service sends requests to the pods of a new revision.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// A namespace of its own in the real cluster, and rollouts into it.
struct Lab {
    client: kube::Client,
    namespace: String,
    rollout: Rollout,
}

fn environment(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: see `cargo testbed env`"))
}

impl Drop for Lab {
    /// Deletes the namespace, also after a failed test.
    fn drop(&mut self) {
        let path = format!("/api/v1/namespaces/{}", self.namespace);
        let delete = async move {
            let request = http::Request::delete(path).body(Vec::new()).unwrap();
            let client = pipeops_rollout::client().await.unwrap();
            let _ = client.request_text(request).await;
        };
        // A runtime and a client of its own: the test's runtime stands still while this waits.
        let delete = || tokio::runtime::Runtime::new().unwrap().block_on(delete);
        let _ = std::thread::spawn(delete).join();
    }
}

impl Lab {
    async fn new() -> Self {
        environment("KUBECONFIG");
        let client = pipeops_rollout::client()
            .await
            .expect("KUBECONFIG names a cluster");
        let options = RolloutOptions::default().create_namespace(true);
        let id = uuid::Uuid::now_v7().simple().to_string();
        Self {
            namespace: format!("rollout-{}", &id[id.len() - 12..]),
            rollout: Rollout::new(client.clone(), options),
            client,
        }
    }

    async fn run(&self, stack: &Stack) -> Outcome {
        self.rollout.run(stack, &Discard).await.expect("an outcome")
    }

    async fn status(&self, app: &str) -> Option<RolloutStatus> {
        self.rollout.status(&self.namespace, app).await.unwrap()
    }

    /// What the application answers, through the API server's proxy to its Service.
    async fn ask(&self) -> String {
        let path = format!(
            "/api/v1/namespaces/{}/services/web:80/proxy/",
            self.namespace
        );
        let request = http::Request::get(path).body(Vec::new()).unwrap();
        let answer = self.client.request_text(request).await;
        answer.map_or_else(
            |error| format!("no answer: {error}"),
            |text| text.trim().to_owned(),
        )
    }

    /// Asks until the application answers with this text: after a rollout, requests may reach old pods for a moment, or none.
    async fn expect(&self, wanted: &str) {
        let end = Instant::now() + ANSWER_LIMIT;
        loop {
            let answer = self.ask().await;
            if answer == wanted {
                return;
            }
            assert!(Instant::now() < end, "not {wanted:?}: {answer:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn names(&self, plural: &str) -> Vec<String> {
        let path = format!("/api/v1/namespaces/{}/{plural}", self.namespace);
        let request = http::Request::get(path).body(Vec::new()).unwrap();
        let list: Value = self.client.request(request).await.unwrap();
        let items = list["items"].as_array().unwrap().iter();
        items
            .map(|item| item["metadata"]["name"].as_str().unwrap().to_owned())
            .collect()
    }

    fn stack(&self, revision: &str, change: impl FnOnce(&mut Value)) -> Stack {
        let image = format!("{}/library/busybox:1.36", environment("REGISTRY"));
        common::web(&self.namespace, "web", revision, &image, change)
    }

    fn good(&self, revision: &str) -> Stack {
        self.stack(revision, |_| {})
    }

    /// Asks for as long as the work takes, and once more: every answer.
    async fn answers_during<T>(&self, work: impl Future<Output = T>) -> (T, Vec<String>) {
        let mut answers = Vec::new();
        tokio::pin!(work);
        loop {
            tokio::select! {
                result = &mut work => {
                    answers.push(self.ask().await);
                    return (result, answers);
                }
                () = tokio::time::sleep(Duration::from_millis(50)) => answers.push(self.ask().await),
            }
        }
    }
}

/// Rolls out a good revision and then a broken one: what is said of the broken one, while the good one answers every
/// request.
///
/// `options` are those of the broken one.
async fn break_it(
    lab: &Lab,
    options: RolloutOptions,
    change: impl FnOnce(&mut Value),
) -> Diagnosis {
    assert!(lab.run(&lab.good("one")).await.is_complete());
    lab.expect("one").await;
    let told = Told::default();
    let broken = lab.stack("two", change);
    let rollout = Rollout::new(lab.client.clone(), options);
    let (outcome, answers) = lab.answers_during(rollout.run(&broken, &told)).await;
    let Outcome::RolledBack { diagnosis, to } = outcome.unwrap() else {
        panic!("not rolled back")
    };
    println!("{diagnosis}");
    assert_eq!(to.as_str(), "one");
    assert!(answers.iter().all(|answer| answer == "one"), "{answers:?}");
    assert!(
        told.all()
            .iter()
            .any(|event| matches!(event, EventKind::RollingBack { .. }))
    );
    diagnosis
}

#[tokio::test]
#[ignore = "needs testbed: kubernetes, registry"]
async fn revisions_follow_one_another_and_can_be_undone() {
    let lab = Lab::new().await;
    let told = Told::default();
    let outcome = lab.rollout.run(&lab.good("one"), &told).await.unwrap();
    assert!(outcome.is_complete(), "{outcome:?}");
    lab.expect("one").await;
    let messages = told.messages();
    assert!(
        messages.contains(&"Pod 2/2 ready".to_owned()),
        "{messages:?}"
    );
    assert_eq!(messages.last().unwrap(), "Rollout complete");

    for revision in ["two", "three"] {
        assert!(lab.run(&lab.good(revision)).await.is_complete());
        lab.expect(revision).await;
    }
    let undone = lab
        .rollout
        .undo(&lab.namespace, "web", &Discard)
        .await
        .unwrap();
    assert!(matches!(undone, Outcome::Complete { revision, .. } if revision.as_str() == "two"));
    lab.expect("two").await;

    let status = lab.status("web").await.unwrap();
    assert_eq!((status.phase, status.ready), (RolloutPhase::Complete, 2));
    assert_eq!(status.previous_revision, Some("three".parse().unwrap()));
    assert!(lab.status("other").await.is_none());
}

#[tokio::test]
#[ignore = "needs testbed: kubernetes, registry"]
async fn old_configuration_goes_when_no_replica_set_needs_it() {
    let lab = Lab::new().await;
    for revision in ["one", "two", "three", "four"] {
        let mut stack = lab.good(revision);
        // Kubernetes keeps one old ReplicaSet, and so the window is one revision.
        stack.objects[2].value_mut()["spec"]["revisionHistoryLimit"] = 1.into();
        assert!(lab.run(&stack).await.is_complete());
    }
    let left = lab.names("configmaps").await;
    assert!(!left.contains(&"web-pages-one".to_owned()), "{left:?}");
    for kept in [
        "web-pages-three",
        "web-pages-four",
        "pipeops-web",
        "kube-root-ca.crt",
    ] {
        assert!(left.contains(&kept.to_owned()), "{left:?}");
    }
}

#[tokio::test]
#[ignore = "needs testbed: kubernetes, registry"]
async fn an_image_that_does_not_exist_is_rolled_back() {
    let lab = Lab::new().await;
    let image = format!("{}/library/busybox:nothere", environment("REGISTRY"));
    let options = RolloutOptions::default();
    let diagnosis = break_it(&lab, options, |c| c["image"] = image.clone().into()).await;
    assert_eq!(diagnosis.code, codes::IMAGE_PULL_NOT_FOUND);
    assert_eq!(diagnosis.error, format!("Failed to pull image \"{image}\""));
    assert_eq!(diagnosis.reason, "image not found in the registry");
}

#[tokio::test]
#[ignore = "needs testbed: kubernetes, registry"]
async fn a_crash_is_rolled_back_with_its_last_output() {
    let redactor = Redactor::new([SecretString::new("hunter22")]);
    let lab = Lab::new().await;
    let options = RolloutOptions::default().max_restarts(1).redactor(redactor);
    let command = json!([
        "sh",
        "-c",
        "echo using hunter22; echo cannot open the database; exit 3"
    ]);
    let diagnosis = break_it(&lab, options, |container| container["command"] = command).await;
    assert_eq!(diagnosis.code, codes::POD_CRASHED);
    assert_eq!(
        diagnosis.reason,
        "the container crashes on startup: exit code 3"
    );
    assert_eq!(
        diagnosis.log,
        ["using [redacted]", "cannot open the database"]
    );
}

#[tokio::test]
#[ignore = "needs testbed: kubernetes, registry"]
async fn readiness_that_never_comes_is_rolled_back_with_the_probe_s_answer() {
    let lab = Lab::new().await;
    // Enough for pods to start and to be probed on a busy machine.
    let options = RolloutOptions::default().deadline(Duration::from_secs(60));
    let diagnosis = break_it(&lab, options, |container| {
        container["readinessProbe"]["httpGet"]["path"] = "/nowhere".into();
    })
    .await;
    assert_eq!(diagnosis.code, codes::POD_READINESS_PROBE);
    assert!(
        diagnosis
            .reason
            .ends_with("HTTP probe failed with statuscode: 404"),
        "{diagnosis}"
    );
}

#[tokio::test]
#[ignore = "needs testbed: kubernetes, registry"]
async fn other_ways_to_fail_have_their_own_diagnosis() {
    let lab = Lab::new().await;
    let cases: [(&str, &str, Change); 4] = [
        ("RunContainerError", "doesn't exist in the image", |c| {
            c["command"] = json!(["/nope"])
        }),
        (
            "CreateContainerConfigError",
            "configmap \"nothere\" not found",
            |c| {
                c["envFrom"] = json!([{"configMapRef": {"name": "nothere"}}]);
            },
        ),
        ("InvalidImageName", "must be lowercase", |c| {
            c["image"] = "registry/App:1".into()
        }),
        ("ImagePullBackOff", "connection refused", |c| {
            c["image"] = "127.0.0.1:1/app:1".into()
        }),
    ];
    assert!(lab.run(&lab.good("one")).await.is_complete());
    for (number, (title, reason, change)) in cases.into_iter().enumerate() {
        let outcome = lab
            .run(&lab.stack(&format!("broken-{number}"), change))
            .await;
        let diagnosis = outcome.diagnosis().expect("it fails");
        println!("{diagnosis}");
        assert_eq!(diagnosis.title, format!("Deployment failed: {title}"));
        assert!(diagnosis.reason.contains(reason), "{diagnosis}");
        lab.expect("one").await;
    }
}

#[tokio::test]
#[ignore = "needs testbed: kubernetes, registry"]
async fn a_first_deployment_that_fails_leaves_no_pods() {
    let lab = Lab::new().await;
    let broken = lab.stack("one", |container| container["command"] = json!(["/nope"]));
    assert!(matches!(lab.run(&broken).await, Outcome::Failed { .. }));
    let status = lab.status("web").await.unwrap();
    assert_eq!((status.phase, status.desired), (RolloutPhase::Failed, 0));
    assert!(status.diagnosis.is_some());
    assert!(lab.run(&lab.good("two")).await.is_complete());
    lab.expect("two").await;
}

#[tokio::test]
#[ignore = "needs testbed: kubernetes, registry"]
async fn a_rollout_whose_process_died_is_finished_by_another_one() {
    let lab = Lab::new().await;
    assert!(lab.run(&lab.good("one")).await.is_complete());
    let stack = lab.stack("two", |container| {
        container["readinessProbe"]["initialDelaySeconds"] = 5.into();
    });
    // Dropped once the new pods are under way, as by kill -9: the Lease is not released.
    let (started, mut wait) = tokio::sync::mpsc::unbounded_channel();
    let sink = move |event| {
        if matches!(event, EventKind::Pod { current: true, .. }) {
            let _ = started.send(());
        }
    };
    tokio::select! {
        outcome = lab.rollout.run(&stack, &sink) => panic!("too early: {outcome:?}"),
        _ = wait.recv() => {}
    }
    let other = Rollout::new(
        lab.client.clone(),
        RolloutOptions::default().lease_wait(Duration::ZERO),
    );
    let refused = other.run(&stack, &Discard).await;
    assert!(matches!(refused, Err(Error::Busy { .. })), "{refused:?}");
    let other = Rollout::new(lab.client.clone(), RolloutOptions::default());
    let outcome = other.run(&stack, &Discard).await.unwrap();
    assert!(outcome.is_complete(), "{outcome:?}");
    lab.expect("two").await;
}

#[tokio::test]
#[ignore = "needs testbed: kubernetes, registry"]
async fn what_the_api_server_refuses_changes_nothing() {
    let lab = Lab::new().await;
    let mut stack = lab.good("one");
    stack.objects[2].value_mut()["spec"]["replicas"] = (-1).into();
    stack.objects[2].value_mut()["spec"]["template"]["spec"]["containers"][0]["name"] =
        "Not A Name".into();
    let error = lab.rollout.run(&stack, &Discard).await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("spec.replicas") && text.contains("containers[0].name"),
        "{text}"
    );
    assert!(!lab.names("services").await.contains(&"web".to_owned()));
}
