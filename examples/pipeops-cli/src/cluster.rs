//! The cluster of `KUBECONFIG`, `~/.kube/config` or the pod's own service account, as kubectl finds it.

use kube::{Client, Config};
use pipeops::core::Diagnosis;

use crate::output::CommandError;

/// A client for the cluster that the environment names.
pub async fn client() -> Result<Client, CommandError> {
    let config = Config::infer().await.map_err(|error| no_cluster(&error))?;
    Client::try_from(config).map_err(|error| no_cluster(&error))
}

fn no_cluster(error: &dyn std::error::Error) -> CommandError {
    let reasons = std::iter::successors(error.source(), |error| error.source()).last();
    let diagnosis = Diagnosis::new("No cluster: KubeconfigMissing")
        .error(error.to_string())
        .fix("Name a kubeconfig: export KUBECONFIG=FILE")
        .fix("Check that its current context exists: kubectl config current-context")
        .run("pipeops doctor");
    CommandError::failed(match reasons {
        Some(reason) => diagnosis.reason(reason.to_string()),
        None => diagnosis,
    })
}
