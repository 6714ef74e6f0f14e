//! What a Kubernetes API server answers, recorded from Kubernetes 1.36: the stand-in beside the recording, and the recording
//! beside a real cluster.
//!
//! A dialogue is a list of requests (`dialogues.json`); `recorded.json` holds what a real cluster answered. The dialogues run
//! in namespaces of their own, which are deleted again.
//!
//! What differs from run to run is written as a word in angle brackets before anything is compared: identities, times,
//! versions, addresses, generated names. Left out are what depends on timing (the fields that controllers own), and the
//! token volumes and tolerations that a real cluster's admission adds to pods and the stand-in does not.

mod dialogue;
mod normal;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use kube::Client;
use pipeops_testkit::kubernetes::{ClusterOptions, PodBehaviour, PullFailure};
use serde_json::{Map, Value, json};

use self::dialogue::Dialogue;
use super::client::start;

/// The image of the stand-in's pods; nothing is really pulled.
const IMAGE: &str = "example.com/busybox:1";

fn assert_none(deviations: &[Deviation]) {
    let lines: Vec<String> = deviations.iter().map(ToString::to_string).collect();
    assert!(
        lines.is_empty(),
        "{} deviations:\n{}",
        lines.len(),
        lines.join("\n")
    );
}

#[tokio::test]
async fn the_stand_in_answers_as_a_real_cluster() {
    // A back-off of 10 s lasts 5 s at this speed: long enough to be seen by who asks now and then, on a busy machine, too.
    let (cluster, client) = start(ClusterOptions::default().speed(2)).await;
    cluster.behaviour(
        "127.0.0.1:1/*",
        PodBehaviour::pull_fails(PullFailure::ConnectionRefused),
    );
    for (label, behaviour) in [
        ("does=log", PodBehaviour::ready().log(["one", "two"])),
        ("does=crash", PodBehaviour::crash(3).log(["broken"])),
        (
            "does=not-run",
            PodBehaviour::run_fails("exec: \"/nope\": stat /nope: no such file or directory"),
        ),
    ] {
        cluster.behaviour_of(label, behaviour).unwrap();
    }
    let conformance = Conformance {
        client,
        image: IMAGE.to_owned(),
    };
    let deviations = conformance.check().await;
    assert_none(&deviations);
}

async fn real() -> Conformance {
    let registry = std::env::var("REGISTRY").expect("REGISTRY is set by `cargo testbed env`");
    assert!(
        std::env::var("KUBECONFIG").is_ok(),
        "KUBECONFIG is set by `cargo testbed env`"
    );
    let client = Client::try_default().await.unwrap();
    Conformance {
        client,
        image: format!("{registry}/library/busybox:1"),
    }
}

/// With the environment variable `UPDATE_RECORDED` it writes the recording anew instead.
#[tokio::test]
#[ignore = "needs testbed: kubernetes, registry"]
async fn a_real_cluster_answers_as_recorded() {
    let real = real().await;
    if std::env::var_os("UPDATE_RECORDED").is_none() {
        return assert_none(&real.check().await);
    }
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/kubernetes/conformance/recorded.json"
    );
    std::fs::write(file, real.record().await).unwrap();
}

#[test]
fn dialogues_and_recording_belong_together() {
    let (dialogues, recorded) = (dialogues(), recorded());
    assert_eq!(dialogues.len(), recorded.len());
    for dialogue in dialogues {
        let answers = &recorded[&dialogue.name];
        assert_eq!(dialogue.length(), answers.len(), "{}", dialogue.name);
    }
}

#[test]
fn differences_have_a_place() {
    let mut found = Vec::new();
    differences(
        &json!({"a": [1, 2], "b": 1}),
        &json!({"a": [1, 3], "b": 1}),
        String::new(),
        &mut found,
    );
    assert_eq!(found, [("/a/1".to_owned(), json!(2), json!(3))]);
}

/// One answer that is not as recorded.
struct Deviation {
    dialogue: String,
    /// The request within it.
    ask: String,
    /// The place in the answer, as a JSON pointer.
    pointer: String,
    recorded: Value,
    answered: Value,
}

impl fmt::Display for Deviation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: `{}` at {}: recorded {}, answered {}",
            self.dialogue, self.ask, self.pointer, self.recorded, self.answered
        )
    }
}

/// The comparison of one cluster with the recording.
///
/// Some dialogues run pods. Their containers are `sh`, `sleep` and `httpd` of a busybox image; on a stand-in the pods'
/// label `does` says what their script has to be: `log` (prints `one`, `two`), `crash` (prints `broken`, exit code 3) or
/// `not-run` (no such command).
struct Conformance {
    /// A client that is allowed everything.
    client: Client,
    /// A busybox image that the cluster can pull.
    image: String,
}

impl Conformance {
    /// Runs all dialogues and compares the answers with the recorded ones.
    async fn check(&self) -> Vec<Deviation> {
        let recorded = recorded();
        let mut deviations = Vec::new();
        for dialogue in dialogues() {
            let answers = dialogue.lead(&self.client, &self.image).await;
            let expected = recorded.get(&dialogue.name).map_or(&[][..], Vec::as_slice);
            deviations.extend(compare(&dialogue, expected, &answers));
        }
        deviations
    }

    /// Runs all dialogues and writes down the answers, in the form of `recorded.json`.
    async fn record(&self) -> String {
        let mut all = Vec::new();
        for dialogue in dialogues() {
            let answers = dialogue.lead(&self.client, &self.image).await;
            let lines: Vec<String> = answers
                .iter()
                .map(|answer| format!("    {answer}"))
                .collect();
            let name = json!(dialogue.name);
            all.push(format!("  {name}: [\n{}\n  ]", lines.join(",\n")));
        }
        format!("{{\n{}\n}}\n", all.join(",\n"))
    }
}

/// `dialogues.json`.
#[derive(serde::Deserialize)]
struct Script {
    /// Objects that bodies refer to.
    objects: BTreeMap<String, Value>,
    dialogues: Vec<Dialogue>,
}

fn dialogues() -> Vec<Dialogue> {
    let mut script: Script =
        serde_json::from_str(include_str!("conformance/dialogues.json")).unwrap();
    for dialogue in &mut script.dialogues {
        dialogue.complete(&script.objects);
    }
    script.dialogues
}

fn recorded() -> BTreeMap<String, Vec<Value>> {
    serde_json::from_str(include_str!("conformance/recorded.json")).unwrap()
}

fn compare(dialogue: &Dialogue, recorded: &[Value], answers: &[Value]) -> Vec<Deviation> {
    let mut deviations = Vec::new();
    for (index, answer) in answers.iter().enumerate() {
        let mut found = Vec::new();
        let recorded = recorded.get(index).unwrap_or(&Value::Null);
        differences(recorded, answer, String::new(), &mut found);
        deviations.extend(
            found
                .into_iter()
                .map(|(pointer, recorded, answered)| Deviation {
                    dialogue: dialogue.name.clone(),
                    ask: dialogue.ask(index),
                    pointer,
                    recorded,
                    answered,
                }),
        );
    }
    deviations
}

/// Every place where two values differ.
fn differences(
    recorded: &Value,
    answered: &Value,
    pointer: String,
    found: &mut Vec<(String, Value, Value)>,
) {
    match (recorded, answered) {
        (Value::Object(left), Value::Object(right)) => {
            let names: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
            for name in names {
                let of = |side: &Map<String, Value>| side.get(name).cloned().unwrap_or(Value::Null);
                differences(&of(left), &of(right), format!("{pointer}/{name}"), found);
            }
        }
        (Value::Array(left), Value::Array(right)) => {
            for index in 0..left.len().max(right.len()) {
                let of = |side: &[Value]| side.get(index).cloned().unwrap_or(Value::Null);
                differences(&of(left), &of(right), format!("{pointer}/{index}"), found);
            }
        }
        _ if recorded == answered => {}
        _ => found.push((pointer, recorded.clone(), answered.clone())),
    }
}
