//! Rollouts into a real Kubernetes cluster, with real pods.

use std::sync::Mutex;
use std::time::Duration;

use pipeops_core::event::EventKind;
use pipeops_core::{EventSink, Object, Redactor, SecretString, Stack};
use pipeops_rollout::{Error, Outcome, Rollout, RolloutOptions, RolloutPhase};
use serde_json::{Value, json};

/// A namespace of its own in the real cluster, and rollouts into it.
struct Lab {
    client: kube::Client,
    namespace: String,
    rollout: Rollout,
}

fn environment(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: see `cargo peers env`"))
}

impl Lab {
    async fn new(options: RolloutOptions) -> Self {
        environment("KUBECONFIG");
        let client = kube::Client::try_default()
            .await
            .expect("KUBECONFIG names a cluster");
        let id = uuid::Uuid::now_v7().simple().to_string();
        Self {
            namespace: format!("rollout-{}", &id[id.len() - 12..]),
            rollout: Rollout::new(client.clone(), options.create_namespace(true)),
            client,
        }
    }

    async fn run(&self, stack: &Stack) -> (Outcome, Vec<EventKind>) {
        let told = Told::default();
        let outcome = self.rollout.run(stack, &told).await.expect("an outcome");
        (outcome, told.0.into_inner().unwrap())
    }

    /// What the application answers, through the API server's proxy to its Service.
    async fn ask(&self) -> String {
        let path = format!(
            "/api/v1/namespaces/{}/services/web:80/proxy/",
            self.namespace
        );
        let request = http::Request::get(path).body(Vec::new()).unwrap();
        self.client
            .request_text(request)
            .await
            .unwrap_or_else(|error| format!("no answer: {error}"))
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

    async fn end(self) {
        let request = http::Request::delete(format!("/api/v1/namespaces/{}", self.namespace));
        let _ = self
            .client
            .request_text(request.body(Vec::new()).unwrap())
            .await;
    }

    /// A small web server that answers with its revision, taken from its ConfigMap.
    fn stack(&self, revision: &str, change: impl FnOnce(&mut Value)) -> Stack {
        let config = format!("web-pages-{revision}");
        let labels = json!({"app.kubernetes.io/name": "web"});
        let mut container = json!({
            "name": "web",
            "image": format!("{}/library/busybox:1.36", environment("REGISTRY")),
            "command": ["httpd", "-f", "-v", "-p", "8080", "-h", "/pages"],
            "ports": [{"name": "http", "containerPort": 8080}],
            "readinessProbe": {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 1},
            "volumeMounts": [{"name": "pages", "mountPath": "/pages"}],
        });
        change(&mut container);
        let deployment = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "labels": labels},
            "spec": {
                "replicas": 2,
                "selector": {"matchLabels": labels},
                "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {
                        "terminationGracePeriodSeconds": 1,
                        "containers": [container],
                        "volumes": [{"name": "pages", "configMap": {"name": config}}],
                    },
                },
            },
        });
        let objects = [
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": config}, "immutable": true,
                   "data": {"index.html": revision}}),
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
                   "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": "http"}]}}),
            deployment,
        ];
        let objects = objects
            .into_iter()
            .map(|object| Object::new(object).unwrap())
            .collect();
        Stack::new("web", &*self.namespace, revision, objects)
    }

    fn good(&self, revision: &str) -> Stack {
        self.stack(revision, |_| {})
    }
}

#[derive(Default)]
struct Told(Mutex<Vec<EventKind>>);

impl EventSink for Told {
    fn emit(&self, kind: EventKind) {
        self.0.lock().unwrap().push(kind);
    }
}

fn messages(told: &[EventKind]) -> Vec<&str> {
    told.iter()
        .filter_map(|event| match event {
            EventKind::Rollout { message, .. } => Some(message.as_str()),
            _ => None,
        })
        .collect()
}

/// Rolls out a good revision and then a broken one: what is said of the broken one, while the good one serves.
async fn break_it(lab: &Lab, change: impl FnOnce(&mut Value)) -> pipeops_core::Diagnosis {
    assert!(lab.run(&lab.good("one")).await.0.is_complete());
    let (outcome, told) = lab.run(&lab.stack("two", change)).await;
    let Outcome::RolledBack { diagnosis, to } = outcome else {
        panic!("{outcome:?}")
    };
    println!("{diagnosis}");
    assert_eq!(to, "one");
    assert_eq!(lab.ask().await.trim(), "one");
    assert!(
        told.iter()
            .any(|event| matches!(event, EventKind::RollingBack { .. }))
    );
    diagnosis
}

#[tokio::test]
#[ignore = "needs peers: kubernetes, registry"]
async fn revisions_follow_one_another_and_can_be_undone() {
    let lab = Lab::new(RolloutOptions::default()).await;
    let (outcome, told) = lab.run(&lab.good("one")).await;
    assert!(outcome.is_complete(), "{outcome:?}");
    assert_eq!(lab.ask().await.trim(), "one");
    let messages = messages(&told);
    assert!(messages.contains(&"Pod 2/2 ready"), "{messages:?}");
    assert_eq!(messages.last(), Some(&"Rollout complete"));

    for revision in ["two", "three"] {
        assert!(lab.run(&lab.good(revision)).await.0.is_complete());
        assert_eq!(lab.ask().await.trim(), revision);
    }
    let undone = lab
        .rollout
        .undo(&lab.namespace, "web", &Told::default())
        .await
        .unwrap();
    assert!(matches!(undone, Outcome::Complete { revision, .. } if revision == "two"));
    assert_eq!(lab.ask().await.trim(), "two");

    let status = lab
        .rollout
        .status(&lab.namespace, "web")
        .await
        .unwrap()
        .unwrap();
    assert_eq!((status.phase, status.ready), (RolloutPhase::Complete, 2));
    assert_eq!(status.previous_revision.as_deref(), Some("three"));
    assert!(
        lab.rollout
            .status(&lab.namespace, "other")
            .await
            .unwrap()
            .is_none()
    );
    lab.end().await;
}

#[tokio::test]
#[ignore = "needs peers: kubernetes, registry"]
async fn old_configuration_goes_when_no_replica_set_needs_it() {
    let lab = Lab::new(RolloutOptions::default()).await;
    for revision in ["one", "two", "three", "four"] {
        let mut stack = lab.good(revision);
        // Kubernetes keeps one old ReplicaSet, and so the window is one revision.
        stack.objects[2].value_mut()["spec"]["revisionHistoryLimit"] = 1.into();
        assert!(lab.run(&stack).await.0.is_complete());
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
    lab.end().await;
}

#[tokio::test]
#[ignore = "needs peers: kubernetes, registry"]
async fn an_image_that_does_not_exist_is_rolled_back() {
    let lab = Lab::new(RolloutOptions::default()).await;
    let image = format!("{}/library/busybox:nothere", environment("REGISTRY"));
    let diagnosis = break_it(&lab, |container| container["image"] = image.clone().into()).await;
    assert_eq!(diagnosis.title, "Deployment failed: ImagePullBackOff");
    assert_eq!(diagnosis.error, format!("Failed to pull image \"{image}\""));
    assert_eq!(diagnosis.reason, "image not found in the registry");
    lab.end().await;
}

#[tokio::test]
#[ignore = "needs peers: kubernetes, registry"]
async fn a_crash_is_rolled_back_with_its_last_output() {
    let redactor = Redactor::new([SecretString::new("hunter22")]);
    let lab = Lab::new(RolloutOptions::default().max_restarts(1).redactor(redactor)).await;
    let command = json!([
        "sh",
        "-c",
        "echo using hunter22; echo cannot open the database; exit 3"
    ]);
    let diagnosis = break_it(&lab, |container| container["command"] = command).await;
    assert_eq!(diagnosis.title, "Deployment failed: CrashLoopBackOff");
    assert_eq!(
        diagnosis.reason,
        "the container crashes at start: exit code 3"
    );
    assert_eq!(
        diagnosis.log,
        ["using [redacted]", "cannot open the database"]
    );
    lab.end().await;
}

#[tokio::test]
#[ignore = "needs peers: kubernetes, registry"]
async fn readiness_that_never_comes_is_rolled_back_with_the_probe_s_answer() {
    let lab = Lab::new(RolloutOptions::default().deadline(Duration::from_secs(15))).await;
    let diagnosis = break_it(&lab, |container| {
        container["readinessProbe"]["httpGet"]["path"] = "/nowhere".into();
    })
    .await;
    assert_eq!(diagnosis.title, "Deployment failed: ReadinessProbeFailed");
    assert!(
        diagnosis
            .reason
            .ends_with("HTTP probe failed with statuscode: 404"),
        "{diagnosis}"
    );
    lab.end().await;
}

#[tokio::test]
#[ignore = "needs peers: kubernetes, registry"]
async fn other_ways_to_fail_have_their_own_diagnosis() {
    let lab = Lab::new(RolloutOptions::default()).await;
    let cases: [(&str, &str, fn(&mut Value)); 4] = [
        ("RunContainerError", "does not exist in the image", |c| {
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
    assert!(lab.run(&lab.good("one")).await.0.is_complete());
    for (number, (title, reason, change)) in cases.into_iter().enumerate() {
        let (outcome, _) = lab
            .run(&lab.stack(&format!("broken-{number}"), change))
            .await;
        let diagnosis = outcome.diagnosis().expect("it fails");
        println!("{diagnosis}");
        assert_eq!(diagnosis.title, format!("Deployment failed: {title}"));
        assert!(diagnosis.reason.contains(reason), "{diagnosis}");
        assert_eq!(lab.ask().await.trim(), "one");
    }
    lab.end().await;
}

#[tokio::test]
#[ignore = "needs peers: kubernetes, registry"]
async fn a_first_deployment_that_fails_leaves_no_pods() {
    let lab = Lab::new(RolloutOptions::default()).await;
    let broken = lab.stack("one", |container| container["command"] = json!(["/nope"]));
    assert!(matches!(lab.run(&broken).await.0, Outcome::Failed { .. }));
    let status = lab
        .rollout
        .status(&lab.namespace, "web")
        .await
        .unwrap()
        .unwrap();
    assert_eq!((status.phase, status.desired), (RolloutPhase::Failed, 0));
    assert!(status.diagnosis.is_some());
    assert!(lab.run(&lab.good("two")).await.0.is_complete());
    assert_eq!(lab.ask().await.trim(), "two");
    lab.end().await;
}

#[tokio::test]
#[ignore = "needs peers: kubernetes, registry"]
async fn a_rollout_whose_process_died_is_finished_by_another_one() {
    let lab = Lab::new(RolloutOptions::default()).await;
    assert!(lab.run(&lab.good("one")).await.0.is_complete());
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
    let refused = other.run(&stack, &Told::default()).await;
    assert!(matches!(refused, Err(Error::Busy { .. })), "{refused:?}");
    let other = Rollout::new(lab.client.clone(), RolloutOptions::default());
    let outcome = other.run(&stack, &Told::default()).await.unwrap();
    assert!(outcome.is_complete(), "{outcome:?}");
    assert_eq!(lab.ask().await.trim(), "two");
    lab.end().await;
}

#[tokio::test]
#[ignore = "needs peers: kubernetes, registry"]
async fn what_the_api_server_refuses_changes_nothing() {
    let lab = Lab::new(RolloutOptions::default()).await;
    let mut stack = lab.good("one");
    stack.objects[2].value_mut()["spec"]["replicas"] = (-1).into();
    stack.objects[2].value_mut()["spec"]["template"]["spec"]["containers"][0]["name"] =
        "Not A Name".into();
    let error = lab.rollout.run(&stack, &Told::default()).await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("spec.replicas") && text.contains("containers[0].name"),
        "{text}"
    );
    assert!(!lab.names("services").await.contains(&"web".to_owned()));
    lab.end().await;
}
