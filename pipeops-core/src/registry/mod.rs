//! The registry protocol without I/O: names, logins and error responses of container registries.
//!
//! Every crate that calls a registry, or reads another program's messages about one, uses these rules:
//!
//! - [`host`]: one name per registry, and which registries speak plain HTTP;
//! - [`challenge`]: what a `WWW-Authenticate` header asks for;
//! - [`scope`]: what a token allows;
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
