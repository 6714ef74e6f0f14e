//! Clients of a cluster for programs that have more than one TLS provider.

use kube::{Client, Config, Error};
use rustls::crypto::{CryptoProvider, ring};

/// A client for the cluster that `KUBECONFIG`, `~/.kube/config` or the pod's service account names, as `kubectl` finds it.
///
/// Use it instead of `kube::Client::try_default`, which panics in a program that has two rustls providers, for example one
/// that uses `reqwest` with default features: see [`client_from`].
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use pipeops_rollout::{Rollout, RolloutOptions};
///
/// let rollout = Rollout::new(pipeops_rollout::client().await?, RolloutOptions::default());
/// # Ok(()) }
/// ```
///
/// # Errors
/// [`Error::InferConfig`] if there is no usable configuration; otherwise as [`client_from`].
pub async fn client() -> Result<Client, Error> {
    client_from(Config::infer().await.map_err(Error::InferConfig)?)
}

/// A client for the cluster of this configuration.
///
/// kube connects with the rustls provider of the process. If the process has none yet, this function installs ring; rustls
/// would do so itself, but only in a program without a second provider. To use another one, call
/// `CryptoProvider::install_default` first.
///
/// # Errors
/// If the TLS settings or credentials of the configuration are invalid.
pub fn client_from(config: Config) -> Result<Client, Error> {
    // kube takes no provider as a parameter, and keeps client certificates of exec plugins to itself, so a TLS
    // configuration made here could not replace its own.
    if CryptoProvider::get_default().is_none() {
        // Another thread may be faster. Its provider is as good.
        let _ = ring::default_provider().install_default();
    }
    Client::try_from(config)
}
