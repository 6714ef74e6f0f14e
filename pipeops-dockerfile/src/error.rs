//! Why a Dockerfile is invalid, and where.

use std::fmt;
use std::ops::Range;

use super::{Excerpt, Keyword, Position};
use pipeops_core::diagnosis::{Diagnose, Diagnosis, codes};

/// Why a Dockerfile is invalid, and where.
///
/// `Display` shows the line with carets under the error:
///
/// ```
/// use pipeops_dockerfile::Dockerfile;
///
/// let error = Dockerfile::parse(b"FROM alpine\nRNU true\n").unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "Dockerfile line 2: unknown instruction: RNU (did you mean RUN?)\n\
///      \x20 |\n\
///      2 | RNU true\n\
///      \x20 | ^^^",
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParseError {
    /// The line, from 1.
    pub line: usize,
    /// The column, in characters from 1.
    pub column: usize,
    /// The message, without the position.
    pub message: String,
    /// The kind of error, for programs.
    pub kind: ParseErrorKind,
    /// The byte range of the error in the file.
    pub span: Range<usize>,
    /// The line with carets under the error.
    pub excerpt: Excerpt,
}

/// The kinds of errors in a Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseErrorKind {
    /// The file is larger than [`Dockerfile::MAX_SIZE`](super::Dockerfile::MAX_SIZE).
    #[error("the file is larger than {} MiB", super::Dockerfile::MAX_SIZE >> 20)]
    FileTooLarge,
    /// A line is longer than BuildKit's limit.
    #[error("the line is longer than 65535 bytes")]
    LineTooLong,
    /// The file has no instructions.
    #[error("the file has no instructions")]
    NoInstructions,
    /// `# escape=` sets something other than a backslash or a backtick.
    #[error("invalid escape character `{found}`: only \\ and ` are allowed")]
    InvalidEscape {
        /// The value that it sets.
        found: String,
    },
    /// A directive appears twice.
    #[error("only one `{name}` parser directive can be used")]
    DuplicateDirective {
        /// The directive.
        name: &'static str,
    },
    /// A heredoc has no terminator.
    #[error("unterminated heredoc: no line consists of `{name}`")]
    UnterminatedHeredoc {
        /// The missing terminator.
        name: String,
    },
    /// A heredoc's opening can't be parsed.
    #[error("{problem}")]
    BadHeredoc {
        /// What is wrong.
        problem: &'static str,
    },
    /// The instruction doesn't exist.
    #[error("unknown instruction: {name}{}", suggest(*.suggestion))]
    UnknownInstruction {
        /// Its name.
        name: String,
        /// The instruction with the most similar name, if one is close.
        suggestion: Option<Keyword>,
    },
    /// A JSON array contains something other than strings.
    #[error("a JSON array of arguments can contain only strings")]
    NotStrings,
    /// An instruction has too many, too few, or malformed arguments.
    #[error("{keyword} {expected}")]
    Arguments {
        /// The instruction.
        keyword: Keyword,
        /// What it takes.
        expected: &'static str,
    },
    /// A flag is unknown or duplicate, or its value is invalid.
    #[error("{keyword}: {problem}")]
    Flag {
        /// The instruction.
        keyword: Keyword,
        /// What is wrong.
        problem: String,
    },
    /// The name of a stage is invalid.
    #[error(
        "invalid stage name `{name}`: use a letter, followed by letters, digits, `-`, `_` and `.`"
    )]
    StageName {
        /// The name.
        name: String,
    },
    /// An instruction other than `ARG` appears before the first `FROM`.
    #[error("{keyword} isn't allowed before the first FROM")]
    NoStage {
        /// The instruction.
        keyword: Keyword,
    },
}

fn suggest(suggestion: Option<Keyword>) -> String {
    suggestion.map_or(String::new(), |keyword| {
        format!(" (did you mean {keyword}?)")
    })
}

impl ParseError {
    /// An error at the byte `at` of `source`, `length` bytes wide.
    pub(super) fn new(kind: ParseErrorKind, source: &[u8], at: usize, length: usize) -> Self {
        let start = at.min(source.len());
        let span = start..(start + length).min(source.len());
        let Position { line, column } = Position::of(source, start);
        Self {
            line,
            column,
            message: kind.to_string(),
            kind,
            excerpt: Excerpt::of(source, span.clone()),
            span,
        }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dockerfile line {}: {}", self.line, self.message)?;
        if self.excerpt.is_empty() {
            return Ok(());
        }
        write!(f, "\n{}", self.excerpt)
    }
}

impl std::error::Error for ParseError {}

impl Diagnose for ParseError {
    fn diagnosis(&self) -> Diagnosis {
        let line = self.line;
        Diagnosis::new(&codes::build::INVALID_DOCKERFILE)
            .error(self.to_string())
            .reason("BuildKit rejects this line as well")
            .fixes([
                format!("Correct line {line} of the Dockerfile and push again"),
                "If `# syntax=` names another frontend, check that it accepts the file".to_owned(),
            ])
            .context("line", line.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn carets_stand_under_what_is_wrong() {
        let error = ParseError::new(ParseErrorKind::NotStrings, b"FROM a\nCMD [1] x\n", 11, 3);
        assert_eq!((error.line, error.column), (2, 5));
        assert!(error.to_string().ends_with("\n2 | CMD [1] x\n  |     ^^^"));
    }

    #[test]
    fn long_and_empty_lines_are_shown_in_part_or_not_at_all() {
        let long = vec![b'x'; 1000];
        let error = ParseError::new(ParseErrorKind::LineTooLong, &long, 0, 1000);
        assert!(error.to_string().len() < 400, "{error}");
        let empty = ParseError::new(ParseErrorKind::NoInstructions, b"", 7, 1);
        assert_eq!(
            empty.to_string(),
            "Dockerfile line 1: the file has no instructions"
        );
    }
}
