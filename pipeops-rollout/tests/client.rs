//! A client needs no TLS provider of the process, and keeps one that it has.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

#[tokio::test]
async fn a_client_needs_no_provider_and_keeps_one() {
    // The only test of this process: nothing else may install one.
    assert!(CryptoProvider::get_default().is_none());
    let client = || {
        let config = kube::Config::new("https://127.0.0.1:1".parse().unwrap());
        pipeops_rollout::client_from(config).unwrap();
        CryptoProvider::get_default().unwrap()
    };
    assert!(Arc::ptr_eq(client(), client()));
}
