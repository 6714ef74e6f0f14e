//! The Kubernetes stand-in, tested with kube's client.
#![cfg(feature = "kubernetes")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

mod behaviours;
mod client;
mod conformance;
mod faults;
mod schema;
