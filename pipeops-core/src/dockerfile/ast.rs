//! What a Dockerfile is made of.

use std::fmt;
use std::ops::{Range, RangeInclusive};

use super::parser;
use super::{ParseError, Token};

/// A Dockerfile, as BuildKit's own parser understands it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dockerfile {
    /// The parser directives at the start.
    pub directives: Directives,
    /// The keys of all `ARG`s before the first `FROM`. They reach a stage only where it declares them again.
    pub meta_args: Vec<Arg>,
    /// The build stages, in the order of the file. Empty when the file has `ARG`s only: it parses, but nothing builds.
    pub stages: Vec<Stage>,
    /// What BuildKit accepts today and warns about.
    pub warnings: Vec<Warning>,
    /// The pieces in front of the first stage.
    pub(super) meta_tokens: Vec<Token>,
}

impl Dockerfile {
    /// The largest file that BuildKit's frontend reads: 16 MiB.
    pub const MAX_SIZE: usize = 16 << 20;

    /// Reads a Dockerfile.
    ///
    /// It need not be UTF-8: as in BuildKit, each invalid byte reads as U+FFFD.
    ///
    /// ```
    /// use pipeops_core::dockerfile::Dockerfile;
    ///
    /// let file = Dockerfile::parse(b"ARG TAG=3.22\nFROM alpine:${TAG} AS base\nARG A=1 B\n")?;
    /// assert_eq!(file.meta_args[0].key, "TAG");
    /// assert_eq!(file.stages[0].from.text, "alpine:${TAG}");
    /// assert_eq!(file.stages[0].args().count(), 2);
    ///
    /// let error = Dockerfile::parse(b"FROM alpine\nRNU true\n").unwrap_err();
    /// assert_eq!(error.line, 2);
    /// # Ok::<(), pipeops_core::dockerfile::ParseError>(())
    /// ```
    ///
    /// # Errors
    /// Exactly where BuildKit's parser refuses the file, and where substitutions before a heredoc nest more than 200 deep.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        parser::parse(bytes)
    }

    /// The stage of this name, or with this number from 0, as `COPY --from` finds it.
    pub fn stage(&self, name: &str) -> Option<&Stage> {
        let number = self.target(name).or_else(|| name.parse().ok());
        self.stages.get(number?)
    }
}

/// The parser directives: `# name=value` lines before everything else.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Directives {
    /// The escape character: a backslash, or a backtick where `# escape=` says so.
    pub escape: char,
    /// The image of the frontend that `# syntax=` asks for, found as BuildKit finds it: also behind `#!`, as
    /// `// syntax=`, and in JSON.
    pub syntax: Option<String>,
    /// The lint rules that `# check=` sets.
    pub check: Option<String>,
}

/// Text that stands somewhere in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Word {
    /// The text, line continuations taken out; quotes and variables as written.
    pub text: String,
    /// The bytes of the file that it came from, with the line continuations inside.
    pub span: Range<usize>,
}

impl Word {
    pub(super) fn new(text: String, span: Range<usize>) -> Self {
        Self { text, span }
    }
}

/// One key of an `ARG`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Arg {
    /// The key as written, up to the first `=`.
    pub key: String,
    /// What stands behind `=`, as written; `None` without `=`.
    pub default: Option<String>,
    /// The first line of its instruction, from 1.
    pub line: usize,
    /// Its bytes in the file.
    pub span: Range<usize>,
}

impl Arg {
    pub(super) fn new(
        key: String,
        default: Option<String>,
        line: usize,
        span: Range<usize>,
    ) -> Self {
        Self {
            key,
            default,
            line,
            span,
        }
    }

    /// The name under which a build argument reaches it: the key without quotes.
    pub fn name(&self) -> String {
        self.key.replace(['"', '\''], "")
    }
}

impl fmt::Display for Arg {
    /// As written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.default {
            Some(default) => write!(f, "{}={default}", self.key),
            None => f.write_str(&self.key),
        }
    }
}

/// One build stage: a `FROM` and what follows it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stage {
    /// The base as written: an image, `scratch`, or an earlier stage.
    pub from: Word,
    /// The name behind `AS`, in lower case.
    pub name: Option<String>,
    /// The value of `--platform`, as written.
    pub platform: Option<String>,
    /// The lines of `FROM`, from 1.
    pub lines: RangeInclusive<usize>,
    /// The instructions behind `FROM`.
    pub instructions: Vec<Instruction>,
    /// The pieces of `FROM`.
    pub(super) from_tokens: Vec<Token>,
}

impl Stage {
    /// The keys of the stage's `ARG`s, in order.
    pub fn args(&self) -> impl Iterator<Item = &Arg> {
        self.instructions
            .iter()
            .flat_map(|instruction| match &instruction.arguments {
                Arguments::Args(args) => args.as_slice(),
                _ => &[],
            })
    }

    /// The TCP ports of `EXPOSE`, where they are written as numbers.
    pub fn exposed_ports(&self) -> impl Iterator<Item = u16> {
        let exposed = self
            .instructions
            .iter()
            .filter(|instruction| instruction.keyword == Keyword::Expose);
        let words = exposed.flat_map(|instruction| match &instruction.arguments {
            Arguments::Words(words) => words.as_slice(),
            _ => &[],
        });
        words.filter_map(|word| word.text.trim_end_matches("/tcp").parse().ok())
    }

    /// The keys of `ONBUILD ARG`s: declared in each image that is built from this one.
    pub fn onbuild_args(&self) -> impl Iterator<Item = &Arg> {
        self.instructions
            .iter()
            .flat_map(|instruction| match &instruction.arguments {
                Arguments::Trigger(trigger) => match &trigger.arguments {
                    Arguments::Args(args) => args.as_slice(),
                    _ => &[],
                },
                _ => &[],
            })
    }
}

/// One instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Instruction {
    /// What it does.
    pub keyword: Keyword,
    /// The bytes of its name in the file.
    pub keyword_span: Range<usize>,
    /// `--name` or `--name=value`, quotes and escapes taken out.
    pub flags: Vec<Word>,
    /// What stands behind the flags.
    pub arguments: Arguments,
    /// The heredocs that it opens, in order.
    pub heredocs: Vec<Heredoc>,
    /// Its lines, from 1, heredocs included.
    pub lines: RangeInclusive<usize>,
    /// Its bytes in the file, without the heredocs.
    pub span: Range<usize>,
    /// The places of the texts in [`Arguments::Exec`] and [`Arguments::Pairs`], which do not carry them.
    pub(super) argument_spans: Vec<Range<usize>>,
}

/// What stands behind an instruction's keyword and flags.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Arguments {
    /// Nothing.
    None,
    /// The rest of the line: `USER`, `WORKDIR`, and the shell form of `RUN`, `CMD`, `ENTRYPOINT`.
    Text(Word),
    /// A JSON array: the exec form.
    Exec(Vec<String>),
    /// Words between white space: `FROM`, `COPY`, `ADD`, `EXPOSE`, `VOLUME`.
    Words(Vec<Word>),
    /// Keys and values of `ENV` and `LABEL`, as written.
    Pairs(Vec<(String, String)>),
    /// The keys of an `ARG`.
    Args(Vec<Arg>),
    /// `HEALTHCHECK`: its type, and the command in one of the first three forms.
    Health(Word, Box<Arguments>),
    /// `ONBUILD`: the instruction that waits.
    Trigger(Box<Trigger>),
}

/// The instruction behind `ONBUILD`. BuildKit does not check it before an image is built on this one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Trigger {
    /// Its name, as written.
    pub name: String,
    /// The bytes of its name in the file.
    pub name_span: Range<usize>,
    /// What it does; `None` where there is no such instruction.
    pub keyword: Option<Keyword>,
    /// Its flags.
    pub flags: Vec<Word>,
    /// What stands behind the flags.
    pub arguments: Arguments,
}

/// A document inside an instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Heredoc {
    /// The word that ends it.
    pub name: String,
    /// The content; for `<<-` without leading tabs.
    pub content: String,
    /// Variables in the content are replaced: no part of the name was quoted.
    pub expand: bool,
    /// The bytes of the lines inside, tabs and line ends included.
    pub span: Range<usize>,
    /// The bytes of the word that ends it.
    pub end: Range<usize>,
}

/// What BuildKit accepts today and warns about.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Warning {
    /// The line, from 1.
    pub line: usize,
    /// What to change.
    pub message: String,
}

macro_rules! keywords {
    ($($variant:ident $name:literal,)*) => {
        /// What an instruction does.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Keyword {
            $(#[doc = concat!("`", $name, "`")] $variant,)*
        }

        impl Keyword {
            /// All of them, in alphabetical order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name, in upper case.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

keywords! {
    Add "ADD",
    Arg "ARG",
    Cmd "CMD",
    Copy "COPY",
    Entrypoint "ENTRYPOINT",
    Env "ENV",
    Expose "EXPOSE",
    From "FROM",
    Healthcheck "HEALTHCHECK",
    Label "LABEL",
    Maintainer "MAINTAINER",
    Onbuild "ONBUILD",
    Run "RUN",
    Shell "SHELL",
    Stopsignal "STOPSIGNAL",
    User "USER",
    Volume "VOLUME",
    Workdir "WORKDIR",
}

impl fmt::Display for Keyword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
