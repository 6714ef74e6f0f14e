#![doc = include_str!("../README.md")]

mod ast;
mod declared;
mod error;
mod excerpt;
mod expand;
mod file;
mod filter;
mod graph;
mod image_config;
mod instructions;
mod keyword;
mod owned;
mod parser;
mod report;
mod span;
mod tokens;

pub use ast::{Arg, Directives, Heredoc, Pair, Warning, Word};
pub use error::{ParseError, ParseErrorKind};
pub use excerpt::{Excerpt, Position};
pub use file::{Dockerfile, Stage};
pub use filter::{BuildMetadata, DroppedArg, Filtered, KeptArg, filter};
pub use graph::{ArgScope, Origin, StageGraph};
pub use image_config::ImageConfig;
pub use instructions::{Arguments, Command, Instruction, Trigger};
pub use keyword::Keyword;
pub use pipeops_core::diagnosis::{Diagnose, Diagnosis};
pub use report::{ArgsReport, StageReport, args_report};
pub use tokens::{Token, TokenKind};
