#![doc = include_str!("../README.md")]

mod ast;
mod declared;
mod error;
mod excerpt;
mod expand;
mod filter;
mod graph;
mod keyword;
mod owned;
mod parser;
mod report;
mod span;
mod tables;
mod tokens;

pub use ast::{
    Arg, Arguments, Command, Directives, Dockerfile, Heredoc, Instruction, Pair, Stage, Trigger,
    Warning, Word,
};
pub use error::{ParseError, ParseErrorKind};
pub use excerpt::{Excerpt, Position};
pub use filter::{BuildMetadata, DroppedArg, Filtered, KeptArg, filter};
pub use graph::{ArgScope, Origin, StageGraph};
pub use keyword::Keyword;
pub use report::{ArgsReport, StageReport, args_report};
pub use tokens::{Token, TokenKind};
