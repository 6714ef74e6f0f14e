//! The tokens of a Dockerfile, for editors and highlighters.

use std::ops::Range;

use super::ast::Word;
use super::file::{Dockerfile, Stage};
use super::instructions::{Arguments, Instruction};
use super::span::Span;

/// A token of a Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// The byte range in the file. Includes line continuations and any comments between their lines.
    pub span: Range<usize>,
}

/// The kinds of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TokenKind {
    /// The name of an instruction, also after `ONBUILD`.
    Keyword,
    /// `--name` or `--name=value`, as written.
    Flag,
    /// A word, a string of a JSON array with its quotes, a key with its value, or text up to the end of the instruction.
    Argument,
    /// The content of a heredoc, line ends included. An empty heredoc has none.
    Heredoc,
    /// The terminator of a heredoc.
    HeredocEnd,
}

impl Token {
    pub(super) fn new(kind: TokenKind, span: Span) -> Self {
        let span = span.range();
        Self { kind, span }
    }
}

impl Dockerfile<'_> {
    /// All tokens, in file order. Comments, directives and white space aren't tokens.
    ///
    /// ```
    /// use pipeops_dockerfile::{Dockerfile, TokenKind};
    ///
    /// let text = "FROM alpine AS a\nRUN --network=none [\"true\"]\n";
    /// let file = Dockerfile::parse(text.as_bytes())?;
    /// let tokens = file.tokens();
    /// let pieces: Vec<&str> = tokens.iter().map(|token| &text[token.span.clone()]).collect();
    /// assert_eq!(pieces, ["FROM", "alpine", "AS", "a", "RUN", "--network=none", "\"true\""]);
    /// assert_eq!(tokens[5].kind, TokenKind::Flag);
    /// # Ok::<(), pipeops_dockerfile::ParseError>(())
    /// ```
    pub fn tokens(&self) -> Vec<Token> {
        let mut tokens = Vec::new();
        for instruction in self.meta() {
            tokens.extend(instruction.tokens());
        }
        for stage in &self.stages {
            tokens.extend(stage.tokens());
        }
        tokens
    }
}

impl Stage<'_> {
    /// The pieces of its `FROM` and of its instructions, in the order of the file.
    pub fn tokens(&self) -> Vec<Token> {
        let mut tokens = self.opening().tokens();
        for instruction in self.instructions() {
            tokens.extend(instruction.tokens());
        }
        tokens
    }
}

impl Instruction<'_> {
    /// Its pieces, in the order of the file.
    pub fn tokens(&self) -> Vec<Token> {
        let mut tokens = vec![Token::new(TokenKind::Keyword, self.keyword_span)];
        add_flags(self.flags, &mut tokens);
        add_arguments(self.arguments, &mut tokens);
        for heredoc in self.heredocs {
            tokens.push(Token::new(TokenKind::Heredoc, heredoc.span));
            tokens.push(Token::new(TokenKind::HeredocEnd, heredoc.end));
        }
        tokens
    }
}

fn add_flags(flags: &[Word<'_>], tokens: &mut Vec<Token>) {
    let flag = |flag: &Word<'_>| Token::new(TokenKind::Flag, flag.span);
    tokens.extend(flags.iter().map(flag));
}

fn add_arguments(arguments: Arguments<'_>, tokens: &mut Vec<Token>) {
    let argument = |span| Token::new(TokenKind::Argument, span);
    match arguments {
        Arguments::None => {}
        Arguments::Text(word) => tokens.push(argument(word.span)),
        Arguments::Exec(words) | Arguments::Words(words) => {
            tokens.extend(words.iter().map(|word| argument(word.span)));
        }
        Arguments::Pairs(pairs) => tokens.extend(pairs.iter().map(|pair| argument(pair.span))),
        Arguments::Args(args) => tokens.extend(args.iter().map(|arg| argument(arg.span))),
        Arguments::Health(kind, command) => {
            tokens.push(argument(kind.span));
            add_arguments(command.into(), tokens);
        }
        Arguments::Trigger(trigger) => {
            tokens.push(Token::new(TokenKind::Keyword, trigger.name.span));
            add_flags(trigger.flags, tokens);
            add_arguments(trigger.arguments(), tokens);
        }
    }
}
