//! Why a rollout could not be carried out at all.

use pipeops_core::{Diagnose, Diagnosis, RetryClass};

use crate::api_error::ApiError;

/// A rollout that could not be carried out to an outcome.
///
/// A revision that fails and is rolled back is an [`Outcome`](crate::Outcome), not an error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The stack cannot be rolled out.
    #[error("the stack of \"{app}\" cannot be rolled out: {problem}")]
    InvalidStack {
        /// The application.
        app: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Somebody else acts on the application.
    #[error("\"{app}\" in namespace \"{namespace}\" is being deployed by \"{holder}\"")]
    Busy {
        /// Its namespace.
        namespace: String,
        /// The application.
        app: String,
        /// Who holds its Lease.
        holder: String,
    },
    /// Somebody else took the application over, or the claim could not be renewed in time.
    #[error("lost the lease \"{lease}\" in namespace \"{namespace}\"")]
    LeaseLost {
        /// Its namespace.
        namespace: String,
        /// The Lease's name.
        lease: String,
    },
    /// The API server refused or did not answer.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// What PipeOps remembers of the application cannot be read.
    #[error("cannot read the rollout record {object} in namespace \"{namespace}\"")]
    Record {
        /// Its namespace.
        namespace: String,
        /// The ConfigMap.
        object: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The application was not deployed here, or is gone.
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
    /// An earlier revision refers to objects that are gone.
    #[error("revision {revision} of \"{app}\" refers to {missing}, which is gone")]
    RevisionIncomplete {
        /// The application.
        app: String,
        /// The earlier revision.
        revision: String,
        /// What is gone: `Secret/web-env-1a2b`.
        missing: String,
    },
    /// The revision failed, and the way back did not complete in time.
    #[error("\"{app}\" failed and revision {to} did not become healthy again: {state}")]
    RollbackIncomplete {
        /// Its namespace.
        namespace: String,
        /// The application.
        app: String,
        /// The revision to which it goes back.
        to: String,
        /// Where the way back was when its time was over.
        state: String,
        /// Why the revision failed.
        diagnosis: Box<Diagnosis>,
    },
}

impl Diagnose for Error {
    fn diagnosis(&self) -> Diagnosis {
        let failed = |cause: &str| {
            Diagnosis::new(format!("Deployment failed: {cause}")).error(self.to_string())
        };
        match self {
            Self::Api(error) => error.diagnosis(),
            Self::InvalidStack { app, problem } => failed("InvalidStack")
                .reason(problem)
                .fix("Correct the project's configuration")
                .run(format!("pipeops project show {app}")),
            Self::Busy { namespace, app, .. } => failed("Busy")
                .reason("another deployment of the application is under way")
                .fix("Wait until it ends, then deploy again")
                .run(format!("pipeops rollout status {app} --namespace {namespace}"))
                .class(RetryClass::Transient),
            Self::LeaseLost { .. } => failed("LeaseLost")
                .reason("another process took the application over, or the cluster did not answer in time")
                .fix("Deploy again: the rollout is continued, not repeated")
                .run("pipeops doctor")
                .class(RetryClass::Transient),
            Self::Record { .. } => failed("RecordUnreadable")
                .reason("the record was changed by hand or written by a newer version")
                .fix("Use the version of PipeOps that wrote it")
                .fix("Or delete the ConfigMap: the next deployment begins a new one")
                .run("pipeops doctor"),
            Self::NotFound { app, .. } => failed("NotFound")
                .reason("it was never deployed to this namespace, or was deleted")
                .fix("Check the name and the namespace")
                .fix("Deploy it")
                .run(format!("pipeops project show {app}")),
            Self::NothingToUndo { app, .. } => failed("NothingToUndo")
                .reason("PipeOps deployed one healthy revision at most")
                .fix("Deploy the commit that you want to go back to")
                .run(format!("pipeops project show {app}")),
            Self::RevisionIncomplete { app, revision, .. } => failed("RevisionIncomplete")
                .reason("configuration of the earlier revision was deleted")
                .fix(format!("Deploy commit {revision} again"))
                .run(format!("pipeops deploy {app} --commit {revision}")),
            Self::RollbackIncomplete {
                namespace,
                app,
                diagnosis,
                ..
            } => rollback_incomplete(diagnosis)
                .error(self.to_string())
                .run(format!("pipeops rollout status {app} --namespace {namespace}")),
        }
    }
}

/// The diagnosis of the failed revision stays in sight: it is what has to be mended.
fn rollback_incomplete(diagnosis: &Diagnosis) -> Diagnosis {
    let cause = diagnosis.title.rsplit(": ").next().unwrap_or_default();
    let mut all = Diagnosis::new("Deployment failed: RollbackIncomplete")
        .reason(format!(
            "the new revision failed ({cause}: {}), and the old one is not healthy",
            diagnosis.reason
        ))
        .fix("Check the state of the pods and of the cluster")
        .fix("Deploy again: the rollback is continued")
        .log(diagnosis.log.clone())
        .class(RetryClass::Transient);
    all.fixes.extend(diagnosis.fixes.iter().cloned());
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incomplete_rollback_still_tells_the_first_cause() {
        let first = Diagnosis::new("Deployment failed: OOMKilled")
            .reason("too much memory")
            .fix("Raise the limit");
        let error = Error::RollbackIncomplete {
            namespace: "shop".into(),
            app: "web".into(),
            to: "abc".into(),
            state: "Pod 0/2 ready".into(),
            diagnosis: Box::new(first),
        };
        let diagnosis = error.diagnosis();
        assert!(diagnosis.reason.contains("OOMKilled: too much memory"));
        assert_eq!(diagnosis.fixes.last().unwrap(), "Raise the limit");
    }
}
