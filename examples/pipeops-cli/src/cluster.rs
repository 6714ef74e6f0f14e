//! The cluster of `KUBECONFIG`, `~/.kube/config` or the pod's own service account, as kubectl finds it.

use pipeops::core::Diagnosis;
use pipeops::rollout::kube::Client;

use crate::output::CommandError;
use crate::pages::NO_CLUSTER;

/// A client for the cluster that the environment names.
pub async fn client() -> Result<Client, CommandError> {
    pipeops::rollout::client().await.map_err(|error| {
        let chain =
            std::iter::successors(std::error::Error::source(&error), |error| error.source());
        let reason = chain.last().map(ToString::to_string);
        CommandError::failed(
            Diagnosis::new(&NO_CLUSTER)
                .error(error.to_string())
                .reason(reason.unwrap_or_default()),
        )
    })
}
