//! Explains why a rollout makes no progress.
//!
//! [`findings`] returns a [`Finding`] for each cause that the state of an application shows. [`Finding::diagnosis`] combines
//! its evidence with the page of its code in [`pipeops_core::diagnosis::codes`].
//!
//! ```
//! use pipeops_rollout::diagnose::{Limits, findings};
//! use pipeops_rollout::state::AppState;
//!
//! /// What delays an application, from the state of an `AppWatch`.
//! fn explain(state: &AppState) -> Option<String> {
//!     let first = findings(state, &Limits::default()).into_iter().next()?;
//!     Some(first.diagnosis("shop", "web").to_string())
//! }
//!
//! assert_eq!(explain(&AppState::default()), None);
//! ```

mod causes;
mod container;
mod exit;
mod finding;
mod image;
mod limits;
mod missing;
mod pod;
mod workload;

pub use causes::Grace;
pub use finding::Finding;
pub use limits::Limits;

pub(crate) use causes::Cause;

use pipeops_core::Revision;

use crate::state::AppState;

/// Every cause that the state of an application shows, the most relevant first.
///
/// Only pods of the current revision count: problems of old pods don't explain those of new ones.
pub fn findings(state: &AppState, limits: &Limits) -> Vec<Finding> {
    let mut findings = workload::findings(state);
    if let Some(current) = state.current() {
        let pods = state.pods_of(&current.name).filter(|pod| !pod.terminating);
        for one in pods {
            findings.extend(pod::findings(state, one, limits));
        }
    }
    findings.sort_by_key(|finding| finding.cause);
    let revision = state.deployment.as_ref().and_then(|d| d.revision.as_ref());
    let with_revision =
        |finding: Finding| finding.context("revision", revision.map_or("", Revision::as_str));
    findings.into_iter().map(with_revision).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{deployment, event, pod, replica_set, state, waiting};
    use pipeops_core::diagnosis::codes::rollout::IMAGE_PULL_AUTH;
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
        let diagnosis = findings[0].diagnosis("shop", "web");
        assert_eq!(diagnosis.code, IMAGE_PULL_AUTH);
        assert_eq!(
            ["app", "namespace", "revision", "host"].map(|kind| diagnosis.context[kind].as_str()),
            ["web", "shop", "def456", "registry"]
        );
        assert_eq!(
            diagnosis.to_string(),
            "❌ Deployment failed: ImagePullBackOff\n\n\
             Error: Failed to pull image \"registry/app:abc123\"\n\
             Reason: authentication required\n\n\
             Fix:\n\
             1. Verify registry credentials in project settings\n\
             2. Ensure image tag exists in registry\n\
             3. Check registry is accessible from cluster\n"
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
}
