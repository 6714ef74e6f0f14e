//! Conformance: what a real server does, recorded, and compared with any other.
//!
//! The stand-ins of this crate are held to these recordings, and so can be a server of another version or make.

#[cfg(feature = "kubernetes")]
pub mod kubernetes;
