//! Why a rollout does not get on, in words that say the fix.
//!
//! [`findings`] reads a state and names every [`Cause`] that it shows; the table in `causes.rs` says what each one means;
//! [`Finding::diagnosis`] puts both together.

mod causes;
mod container;
mod exit;
mod image;
mod pod;
mod workload;

use std::collections::BTreeMap;

use pipeops_core::Diagnosis;

pub use causes::{Cause, Explanation, Grace, causes};

use crate::cluster::LogQuery;
use crate::state::AppState;
use crate::text;

/// A cause that was found, with its evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The cause.
    pub cause: Cause,
    /// What the cluster said.
    pub error: String,
    /// How long it may last.
    pub grace: Grace,
    /// Whose last output explains it.
    pub log: Option<LogQuery>,
    /// What fills the placeholders of the explanation.
    values: BTreeMap<&'static str, String>,
}

impl Finding {
    fn new(cause: Cause, error: impl AsRef<str>) -> Self {
        Self {
            cause,
            error: text::clean(error.as_ref()),
            grace: cause.explanation().grace,
            log: None,
            values: BTreeMap::new(),
        }
    }

    fn with(mut self, placeholder: &'static str, value: impl AsRef<str>) -> Self {
        self.values.insert(placeholder, text::clean(value.as_ref()));
        self
    }

    fn grace(mut self, grace: Grace) -> Self {
        self.grace = grace;
        self
    }

    fn log(mut self, query: LogQuery) -> Self {
        self.log = Some(query);
        self
    }

    /// Kubernetes itself saw no progress.
    pub(crate) fn progress_deadline(message: &str) -> Self {
        Self::new(Cause::ProgressDeadline, message)
    }

    /// The rollout as a whole did not complete in time.
    pub(crate) fn deadline(error: impl AsRef<str>, detail: impl AsRef<str>) -> Self {
        Self::new(Cause::Deadline, error).with("detail", detail)
    }

    /// The explanation for a person, about this application. Its `log` is still empty.
    pub fn diagnosis(&self, namespace: &str, app: &str) -> Diagnosis {
        let explanation = self.cause.explanation();
        let fill = |text: &str| {
            fill(text, |placeholder| match placeholder {
                "app" => Some(app),
                "namespace" => Some(namespace),
                other => self.values.get(other).map(String::as_str),
            })
        };
        let mut diagnosis = Diagnosis::new(format!("Deployment failed: {}", explanation.title))
            .error(&self.error)
            .reason(fill(explanation.reason))
            .run(fill(explanation.run))
            .class(explanation.class);
        for fix in explanation.fixes {
            diagnosis = diagnosis.fix(fill(fix));
        }
        diagnosis
    }
}

/// What is looked for, beyond the state.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Limits {
    /// After how many restarts a container that crashes fails the rollout.
    pub max_restarts: u32,
    /// How many lines of output are asked for.
    pub log_lines: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_restarts: 3,
            log_lines: 20,
        }
    }
}

/// Every cause that the state of an application shows, the most telling first.
///
/// Only the current revision's pods are looked at: what old pods suffer from does not explain the new ones.
pub fn findings(state: &AppState, limits: &Limits) -> Vec<Finding> {
    let mut findings = workload::findings(state);
    if let Some(current) = state.current() {
        let pods = state.pods_of(&current.name).filter(|pod| !pod.terminating);
        for one in pods {
            findings.extend(pod::findings(state, one, limits));
        }
    }
    findings.sort_by_key(|finding| finding.cause);
    let revision = state
        .deployment
        .as_ref()
        .and_then(|d| d.revision.as_deref());
    let with_revision = |finding: Finding| finding.with("revision", revision.unwrap_or_default());
    findings.into_iter().map(with_revision).collect()
}

/// Replaces each `{placeholder}` in one pass, so that values cannot bring placeholders of their own. A placeholder without
/// a value vanishes, with the punctuation before it.
fn fill<'a>(template: &str, value: impl Fn(&str) -> Option<&'a str>) -> String {
    let mut filled = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((placeholder, tail)) = after.split_once('}') else {
            break;
        };
        filled.push_str(before);
        match value(placeholder).filter(|value| !value.is_empty()) {
            Some(value) => filled.push_str(value),
            None => filled.truncate(filled.trim_end_matches([' ', ':']).len()),
        }
        rest = tail;
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{deployment, event, pod, replica_set, state, waiting};
    use serde_json::json;

    #[test]
    fn the_block_has_the_shape_that_people_know() {
        let message = "Back-off pulling image \"registry/app:abc123\": ErrImagePull: failed to authorize: authentication required";
        let mut status = waiting("ImagePullBackOff", message);
        status["containerStatuses"][0]["image"] = json!("registry/app:abc123");
        let state = state(
            Some(deployment(2, 1, json!({}))),
            &[replica_set("web-2", 2)],
            &[pod("web-2-a", "web-2", status)],
        );
        let findings = findings(&state, &Limits::default());
        assert_eq!(
            findings[0].diagnosis("shop", "web").to_string(),
            "❌ Deployment failed: ImagePullBackOff\n\n\
             Error: Failed to pull image \"registry/app:abc123\"\n\
             Reason: authentication required\n\n\
             Fix:\n\
             1. Verify registry credentials in project settings\n\
             2. Ensure image tag exists in registry\n\
             3. Check registry is accessible from cluster\n\n\
             Run: pipeops project registry update web\n"
        );
        assert_eq!(findings[0].grace, Grace::None);
    }

    #[test]
    fn old_pods_explain_nothing() {
        let broken = pod(
            "web-1-a",
            "web-1",
            waiting("InvalidImageName", "invalid reference format"),
        );
        let mut state = state(
            Some(deployment(2, 1, json!({}))),
            &[replica_set("web-1", 1), replica_set("web-2", 2)],
            &[broken],
        );
        state.add_event(event("web-1-a", "FailedMount", "MountVolume.SetUp failed"));
        assert!(findings(&state, &Limits::default()).is_empty());
    }

    #[test]
    fn a_value_cannot_bring_placeholders() {
        let value = |name: &str| match name {
            "detail" => Some("{app}"),
            "app" => Some("web"),
            _ => None,
        };
        assert_eq!(fill("{app}: {detail}", value), "web: {app}");
        assert_eq!(fill("it failed: {image}", value), "it failed");
        assert_eq!(fill("open {brace", value), "open {brace");
    }
}
