//! Errors of rollouts that end without an outcome.

use pipeops_core::diagnosis::codes::rollout as codes;
use pipeops_core::{Diagnose, Diagnosis, RetryClass, Revision};

use crate::api_error::ApiError;

/// A rollout that ended without an outcome.
///
/// A revision that fails and is rolled back is an [`Outcome`](crate::Outcome), not an error.
///
/// ```
/// use pipeops_rollout::{Diagnose, Error};
///
/// let error = Error::NothingToUndo { namespace: "shop".into(), app: "web".into() };
/// assert_eq!(error.diagnosis().code.as_str(), "rollout/nothing-to-undo");
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The stack is invalid.
    #[error("cannot roll out the stack of \"{app}\": {problem}")]
    InvalidStack {
        /// The application.
        app: String,
        /// What is wrong with the stack.
        problem: String,
    },
    /// Another rollout of the application didn't end in time.
    #[error("\"{app}\" in namespace \"{namespace}\" is being deployed by \"{holder}\"")]
    Busy {
        /// Its namespace.
        namespace: String,
        /// The application.
        app: String,
        /// The holder of its Lease.
        holder: String,
    },
    /// Another process took over the application, or the Lease couldn't be renewed in time.
    #[error("lost Lease \"{lease}\" in namespace \"{namespace}\"")]
    LeaseLost {
        /// Its namespace.
        namespace: String,
        /// The Lease's name.
        lease: String,
    },
    /// A request to the API server failed.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The application's record is invalid.
    #[error("cannot read the rollout record {object} in namespace \"{namespace}\"")]
    Record {
        /// Its namespace.
        namespace: String,
        /// The ConfigMap.
        object: String,
        /// Why it's invalid.
        #[source]
        source: serde_json::Error,
    },
    /// The application was never deployed to this namespace, or was deleted.
    #[error("no application \"{app}\" in namespace \"{namespace}\"")]
    NotFound {
        /// The namespace.
        namespace: String,
        /// The application.
        app: String,
    },
    /// There is no earlier healthy revision.
    #[error("\"{app}\" in namespace \"{namespace}\" has no earlier healthy revision")]
    NothingToUndo {
        /// Its namespace.
        namespace: String,
        /// The application.
        app: String,
    },
    /// The earlier revision refers to a deleted object.
    #[error("revision {revision} of \"{app}\" needs {missing}, which was deleted")]
    RevisionIncomplete {
        /// The application.
        app: String,
        /// The earlier revision.
        revision: Revision,
        /// The deleted object: `Secret/web-env-1a2b`.
        missing: String,
    },
    /// The revision failed, and the rollback didn't complete in time.
    #[error("\"{app}\" failed, and the rollback to revision {to} didn't complete: {state}")]
    RollbackIncomplete {
        /// Its namespace.
        namespace: String,
        /// The application.
        app: String,
        /// The revision that the rollback restores.
        to: Revision,
        /// The state of the rollback at its deadline.
        state: String,
        /// Why the revision failed.
        diagnosis: Box<Diagnosis>,
    },
}

impl Diagnose for Error {
    fn diagnosis(&self) -> Diagnosis {
        let failed = |page| Diagnosis::new(page).error(self.to_string());
        match self {
            Self::Api(error) => error.diagnosis(),
            Self::InvalidStack { app, problem } => failed(&codes::INVALID_STACK)
                .reason(problem)
                .context("app", app),
            Self::Busy { namespace, app, .. } => failed(&codes::BUSY)
                .reason("another deployment of the application is in progress")
                .context("app", app)
                .context("namespace", namespace)
                .class(RetryClass::Transient),
            Self::LeaseLost { namespace, .. } => failed(&codes::LEASE_LOST)
                .reason("another process took over the application, or the API server didn't respond in time")
                .context("namespace", namespace)
                .class(RetryClass::Transient),
            Self::Record { namespace, .. } => failed(&codes::RECORD_UNREADABLE)
                .reason("the record was edited, or written by a newer version of PipeOps")
                .context("namespace", namespace),
            Self::NotFound { namespace, app } => failed(&codes::NOT_FOUND)
                .reason("it was never deployed to this namespace, or was deleted")
                .context("app", app)
                .context("namespace", namespace),
            Self::NothingToUndo { namespace, app } => failed(&codes::NOTHING_TO_UNDO)
                .reason("PipeOps has deployed at most one healthy revision")
                .context("app", app)
                .context("namespace", namespace),
            Self::RevisionIncomplete { app, revision, .. } => failed(&codes::REVISION_INCOMPLETE)
                .reason("configuration of the earlier revision was deleted")
                .context("app", app)
                .context("revision", revision.as_str()),
            Self::RollbackIncomplete {
                namespace,
                app,
                to,
                diagnosis,
                ..
            } => with_first_cause(failed(&codes::ROLLBACK_INCOMPLETE), diagnosis)
                .context("app", app)
                .context("namespace", namespace)
                .context("revision", to.as_str()),
        }
    }
}

/// Adds why the new revision failed, because that must be fixed.
fn with_first_cause(rollback: Diagnosis, first: &Diagnosis) -> Diagnosis {
    let cause = first.title.rsplit(": ").next().unwrap_or_default();
    let fixes = [rollback.fixes.clone(), first.fixes.clone()].concat();
    rollback
        .reason(format!(
            "the new revision failed ({cause}: {}), and the old one isn't healthy",
            first.reason
        ))
        .fixes(fixes)
        .log(first.log.clone())
        .class(RetryClass::Transient)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incomplete_rollback_still_tells_the_first_cause() {
        let first = Diagnosis::new(&codes::POD_OUT_OF_MEMORY).reason("too much memory");
        let error = Error::RollbackIncomplete {
            namespace: "shop".into(),
            app: "web".into(),
            to: "abc".parse().unwrap(),
            state: "Pod 0/2 ready".into(),
            diagnosis: Box::new(first),
        };
        let diagnosis = error.diagnosis();
        assert!(diagnosis.reason.contains("OOMKilled: too much memory"));
        assert_eq!(diagnosis.fixes[2], codes::POD_OUT_OF_MEMORY.fixes[0]);
        assert_eq!(diagnosis.context["revision"], "abc");
    }
}
