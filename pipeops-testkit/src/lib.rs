#![doc = include_str!("../README.md")]

#[cfg(feature = "buildkit")]
pub mod buildkit;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod fault;
#[cfg(feature = "kubernetes")]
pub mod kubernetes;

#[cfg(feature = "registry")]
pub mod registry;

#[cfg(feature = "git")]
pub mod git;

#[cfg(any(feature = "buildkit", feature = "registry"))]
mod oci;
pub mod seen;
mod serve;
