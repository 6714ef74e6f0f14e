//! The registry protocol without its I/O: names, logins and refusals of container registries.
//!
//! Every crate that talks to a registry, or that reads what another program says about one, decides by these rules:
//!
//! - [`host`]: one name per registry, and which registries speak plain HTTP;
//! - [`challenge`]: what a `WWW-Authenticate` header asks for;
//! - [`scope`]: what a token is good for;
//! - [`realm`] (feature `realm`): which token servers may receive a credential;
//! - [`codes`] and [`refusal`]: what a status and the error codes of a body mean;
//! - [`report`]: the same for the messages of BuildKit, containerd, CRI-O and Docker.

pub mod challenge;
pub mod codes;
pub mod host;
#[cfg(feature = "realm")]
pub mod realm;
pub mod refusal;
pub mod report;
pub mod scope;

pub use challenge::Challenge;
#[cfg(feature = "realm")]
pub use realm::{RealmPolicy, TrustedRealms};
pub use refusal::{Refusal, RefusalClass};
pub use report::Report;
pub use scope::Scope;
