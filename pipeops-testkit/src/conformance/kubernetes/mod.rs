//! What a Kubernetes API server answers, recorded from Kubernetes 1.36.
//!
//! A dialogue is a list of requests (`dialogues.json`); `recorded.json` holds what a real cluster answered.
//! [`Conformance`] leads the dialogues with any cluster, in namespaces of its own that it deletes again, and compares.
//!
//! What differs from run to run is written as a word in angle brackets before anything is compared: identities, times,
//! versions, addresses, generated names. Left out are what depends on timing (the fields that controllers own), and the
//! token volumes and tolerations that a real cluster's admission adds to pods and the stand-in does not.
//!
//! ```no_run
//! # async fn example(client: kube::Client) -> Result<(), Box<dyn std::error::Error>> {
//! use pipeops_testkit::conformance::kubernetes::Conformance;
//!
//! for deviation in Conformance::new(client).check().await? {
//!     println!("{deviation}");
//! }
//! # Ok(()) }
//! ```

mod dialogue;
mod normal;

use std::collections::BTreeMap;
use std::fmt;

use pipeops_core::{Diagnose, Diagnosis, RetryClass};
use serde_json::{Value, json};

use self::dialogue::Dialogue;

/// Why a cluster could not be asked at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A request found no answer.
    #[error("no answer to `{ask}`")]
    NoAnswer {
        /// The request.
        ask: String,
        /// What happened to it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An answer was not JSON where it had to be.
    #[error("the answer to `{ask}` cannot be read")]
    Unreadable {
        /// The request.
        ask: String,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// Something that a dialogue waits for did not come in time.
    #[error("`{ask}` never answered {pointer} = {wanted}; the last answer was {last}")]
    NeverCame {
        /// The request that was repeated.
        ask: String,
        /// The place in the answer.
        pointer: String,
        /// What was waited for.
        wanted: Value,
        /// The last answer.
        last: Value,
    },
    /// A dialogue is written wrongly.
    #[error("the dialogue {dialogue:?} is not understood: {why}")]
    Dialogue {
        /// Its name.
        dialogue: String,
        /// What is wrong with it.
        why: String,
    },
}

impl Diagnose for Error {
    fn diagnosis(&self) -> Diagnosis {
        let title = Diagnosis::new("Conformance could not be checked").error(self.to_string());
        match self {
            Self::NoAnswer { source, .. } => title
                .reason(source.to_string())
                .fix("Check that the cluster is reachable with this client")
                .class(RetryClass::Transient),
            Self::Unreadable { source, .. } => title
                .reason(source.to_string())
                .fix("Check that the address is that of a Kubernetes API server"),
            Self::NeverCame { .. } => title
                .fix("Check that the cluster's controllers, scheduler and node are up")
                .fix("Check that its node can pull the image"),
            Self::Dialogue { .. } => title.fix("Correct dialogues.json"),
        }
    }
}

/// One answer that is not as recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deviation {
    /// The dialogue.
    pub dialogue: String,
    /// The request within it.
    pub ask: String,
    /// The place in the answer, as a JSON pointer.
    pub pointer: String,
    /// What is recorded there; `null` when nothing is.
    pub recorded: Value,
    /// What was answered; `null` when nothing was.
    pub answered: Value,
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
#[derive(Clone)]
pub struct Conformance {
    client: kube::Client,
    image: Option<String>,
}

impl Conformance {
    /// The comparison over this client, which must be allowed everything.
    pub fn new(client: kube::Client) -> Self {
        Self {
            client,
            image: None,
        }
    }

    /// Sets a busybox image that the cluster can pull. Without one the dialogues that run pods are left out.
    #[must_use]
    pub fn image(mut self, image: impl Into<String>) -> Self {
        self.image = Some(image.into());
        self
    }

    /// Leads all dialogues and compares the answers with the recorded ones.
    ///
    /// # Errors
    ///
    /// When the cluster cannot be asked, or does not get on with what a dialogue waits for. Deviations are no error.
    pub async fn check(&self) -> Result<Vec<Deviation>, Error> {
        let recorded: BTreeMap<String, Vec<Value>> =
            parse("recorded.json", include_str!("recorded.json"))?;
        let mut deviations = Vec::new();
        for dialogue in self.dialogues()? {
            let answers = dialogue.lead(&self.client, self.image_name()).await?;
            let expected = recorded.get(&dialogue.name).map_or(&[][..], Vec::as_slice);
            deviations.extend(compare(&dialogue, expected, &answers));
        }
        Ok(deviations)
    }

    /// Leads all dialogues and writes down the answers, in the form of `recorded.json`.
    ///
    /// # Errors
    ///
    /// When the cluster cannot be asked, or does not get on with what a dialogue waits for.
    pub async fn record(&self) -> Result<String, Error> {
        let mut all = Vec::new();
        for dialogue in self.dialogues()? {
            let answers = dialogue.lead(&self.client, self.image_name()).await?;
            let lines: Vec<String> = answers
                .iter()
                .map(|answer| format!("    {answer}"))
                .collect();
            let name = json!(dialogue.name);
            all.push(format!("  {name}: [\n{}\n  ]", lines.join(",\n")));
        }
        Ok(format!("{{\n{}\n}}\n", all.join(",\n")))
    }

    fn image_name(&self) -> &str {
        self.image.as_deref().unwrap_or_default()
    }

    fn dialogues(&self) -> Result<Vec<Dialogue>, Error> {
        let mut script: Script = parse("dialogues.json", include_str!("dialogues.json"))?;
        for dialogue in &mut script.dialogues {
            dialogue.complete(&script.objects);
        }
        let runs = |dialogue: &Dialogue| self.image.is_some() || !dialogue.image;
        Ok(script.dialogues.into_iter().filter(runs).collect())
    }
}

impl fmt::Debug for Conformance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conformance")
            .field("image", &self.image)
            .finish_non_exhaustive()
    }
}

/// `dialogues.json`.
#[derive(serde::Deserialize)]
struct Script {
    /// Objects that bodies refer to.
    objects: BTreeMap<String, Value>,
    dialogues: Vec<Dialogue>,
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

fn parse<T: serde::de::DeserializeOwned>(file: &str, text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|error| Error::Dialogue {
        dialogue: file.to_owned(),
        why: error.to_string(),
    })
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
            let names: std::collections::BTreeSet<&String> =
                left.keys().chain(right.keys()).collect();
            for name in names {
                let of = |side: &serde_json::Map<String, Value>| {
                    side.get(name).cloned().unwrap_or(Value::Null)
                };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dialogues_and_recording_belong_together() {
        let recorded: BTreeMap<String, Vec<Value>> =
            parse("recorded.json", include_str!("recorded.json")).unwrap();
        let script: Script = parse("dialogues.json", include_str!("dialogues.json")).unwrap();
        assert_eq!(script.dialogues.len(), recorded.len());
        for dialogue in script.dialogues {
            assert_eq!(
                dialogue.length(),
                recorded[&dialogue.name].len(),
                "{}",
                dialogue.name
            );
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
}
