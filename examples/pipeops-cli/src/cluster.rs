//! The cluster of `KUBECONFIG`, `~/.kube/config` or the pod's own service account, as kubectl finds it.

use kube::{Client, Config};
use pipeops::core::Diagnosis;

use crate::output::CommandError;
use crate::pages::NO_CLUSTER;

/// A client for the cluster that the environment names.
pub async fn client() -> Result<Client, CommandError> {
    let config = Config::infer().await.map_err(|error| no_cluster(&error))?;
    Client::try_from(config).map_err(|error| no_cluster(&error))
}

fn no_cluster(error: &dyn std::error::Error) -> CommandError {
    let reason = std::iter::successors(error.source(), |error| error.source()).last();
    CommandError::failed(
        Diagnosis::new(&NO_CLUSTER)
            .error(error.to_string())
            .reason(reason.map(ToString::to_string).unwrap_or_default()),
    )
}
