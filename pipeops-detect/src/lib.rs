#![doc = include_str!("../README.md")]

mod choice;
mod detector;
mod devices;
mod encoding;
mod findings;
mod generate;
mod generator;
mod languages;
mod outside;
mod own_dockerfile;
mod plan;
mod repository;
mod search;
mod servers;
mod settings;

pub use detector::Detector;
pub use generate::error::GenerateError;
pub use generate::images::BaseImages;
pub use generate::script::Reason;
pub use generate::secret::{BuildSecret, SecretTarget};
pub use generator::{Generated, generate};
pub use pipeops_core::detection::{
    Alternative, Detection, Evidence, Language, LanguageDetector, UnknownLanguage,
};
pub use pipeops_core::diagnosis::{Diagnose, Diagnosis};
pub use pipeops_core::source;
