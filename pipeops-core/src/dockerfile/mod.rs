//! Dockerfiles: read as BuildKit reads them, build arguments filtered by what they declare, and generated where a
//! repository has none.

mod ast;
mod declared;
mod error;
mod excerpt;
mod expand;
mod filter;
mod generate;
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
pub use generate::{
    BaseImages, BuildSecret, GenerateError, Generated, Reason, SecretTarget, generate,
};
pub use graph::{ArgScope, Origin, StageGraph};
pub use keyword::Keyword;
pub use report::{ArgsReport, StageReport, args_report};
pub use tokens::{Token, TokenKind};
