//! The Kubernetes stand-in, driven by kube's own client.
#![cfg(feature = "kubernetes")]

mod client;
#[cfg(feature = "conformance")]
mod conformance;
mod deployments;
mod schema;
