#![doc = include_str!("../README.md")]

mod detector;
mod devices;
mod findings;
mod folder;
mod generate;
mod procfile;
mod relaxed;
mod rules;
mod search;
mod source_port;
mod version;
mod yaml;

pub use detector::Detector;
pub use generate::{
    BaseImages, BuildSecret, GenerateError, Generated, Reason, SecretTarget, generate,
};
pub use pipeops_core::detection::{
    Alternative, Detection, Evidence, Language, LanguageDetector, UnknownLanguage,
};
pub use pipeops_core::source;
