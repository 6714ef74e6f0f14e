#![doc = include_str!("../README.md")]

pub mod build;
pub mod cache;
pub mod credential;
pub mod detection;
pub mod diagnosis;
pub mod event;
pub mod image;
pub mod retry;
pub mod secret;
pub mod source;
pub mod stack;
pub mod units;

pub use build::{BuildRequest, BuiltImage, ImageBuilder, ImageRegistry};
pub use cache::{BuildCache, CacheNamespace};
pub use credential::{Credential, CredentialProvider, RegistryScope};
pub use detection::{Detection, LanguageDetector};
pub use diagnosis::{Diagnose, Diagnosis, Failure};
pub use event::{Event, EventKind, EventSink, Step};
pub use image::{Digest, ImageRef};
pub use retry::{Backoff, RetryClass};
pub use secret::{Redactor, SecretString};
pub use source::SourceTree;
pub use stack::{Object, Stack};
