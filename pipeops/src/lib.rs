#![doc = include_str!("../README.md")]
//!
//! # The crates
//!
//! | Module | Feature | What it does |
//! |---|---|---|
//! | [`core`] | always | images, events, diagnoses, secrets, the traits |
#![cfg_attr(
    feature = "dockerfile",
    doc = "| [`dockerfile`] | `dockerfile` | Dockerfile parser, stage graph, ARG filter |"
)]
#![cfg_attr(
    feature = "detect",
    doc = "| [`detect`] | `detect` | language detection, generated Dockerfiles |"
)]
#![cfg_attr(
    feature = "buildkit",
    doc = "| [`buildkit`] | `buildkit` | builds images on BuildKit daemons |"
)]
#![cfg_attr(
    feature = "registry",
    doc = "| [`registry`] | `registry` | credentials, and a registry client |"
)]
#![cfg_attr(
    feature = "manifest",
    doc = "| [`manifest`] | `manifest` | typed Kubernetes objects |"
)]
#![cfg_attr(
    feature = "rollout",
    doc = "| [`rollout`] | `rollout` | apply, watch, diagnose, roll back |"
)]
#![cfg_attr(
    feature = "runner",
    doc = "| [`runner`] | `runner` | webhooks, queue, store, pipeline, dashboard |"
)]
#![cfg_attr(
    feature = "testkit",
    doc = "| [`testkit`] | `testkit` | in-process stand-ins with faults |"
)]

pub use pipeops_core as core;
#[cfg(any(feature = "buildkit", feature = "registry"))]
pub use pipeops_core::tls::install_ring;

#[cfg(feature = "buildkit")]
pub use pipeops_buildkit as buildkit;
#[cfg(feature = "detect")]
pub use pipeops_detect as detect;
#[cfg(feature = "dockerfile")]
pub use pipeops_dockerfile as dockerfile;
#[cfg(feature = "manifest")]
pub use pipeops_manifest as manifest;
#[cfg(feature = "registry")]
pub use pipeops_registry as registry;
#[cfg(feature = "rollout")]
pub use pipeops_rollout as rollout;
#[cfg(feature = "runner")]
pub use pipeops_runner as runner;
#[cfg(feature = "testkit")]
pub use pipeops_testkit as testkit;
