#![doc = include_str!("../README.md")]

pub mod build;
pub mod cache;
pub mod commit;
pub mod credential;
pub mod detection;
pub mod diagnosis;
pub mod event;
pub mod image;
pub mod names;
#[cfg(feature = "registry")]
pub mod registry;
pub mod retry;
pub mod revision;
pub mod secret;
pub mod source;
#[cfg(feature = "stack")]
pub mod stack;
pub mod text;
#[cfg(feature = "tls")]
pub mod tls;
pub mod units;

pub use build::{BuildRequest, BuiltImage, ImageBuilder, ImageRegistry};
pub use cache::{BuildCache, CacheNamespace};
pub use commit::CommitSha;
pub use credential::{Credential, CredentialProvider, RegistryScope};
pub use detection::{Detection, LanguageDetector};
pub use diagnosis::{Code, Diagnose, Diagnosis, Failure};
pub use event::{Event, EventKind, EventSink, Step};
pub use image::{Digest, ImageRef};
pub use retry::{Backoff, RetryClass};
pub use revision::Revision;
pub use secret::{Redactor, SecretString};
pub use source::SourceTree;
#[cfg(feature = "stack")]
pub use stack::{Object, Stack};
