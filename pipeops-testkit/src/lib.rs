#![doc = include_str!("../README.md")]
#![cfg_attr(
    not(all(
        feature = "buildkit",
        feature = "git",
        feature = "kubernetes",
        feature = "registry",
        feature = "s3"
    )),
    allow(
        dead_code,
        unused_imports,
        reason = "without all stand-ins, parts of what they share are not used"
    )
)]

#[cfg(feature = "buildkit")]
pub mod buildkit;
pub mod fault;
#[cfg(feature = "git")]
pub mod git;
#[cfg(feature = "kubernetes")]
pub mod kubernetes;
#[cfg(any(feature = "buildkit", feature = "registry"))]
mod oci;
#[cfg(feature = "registry")]
pub mod registry;
#[cfg(feature = "s3")]
pub mod s3;
pub mod seen;
mod serve;
#[cfg(any(feature = "buildkit", feature = "s3"))]
mod sigv4;
#[cfg(feature = "webhook")]
pub mod webhook;
