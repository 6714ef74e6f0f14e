//! Where each piece of a Dockerfile stands.

use std::ops::Range;

use super::ast::{Arguments, Dockerfile, Instruction, Stage, Word};

/// A piece of a Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// Its bytes in the file. Line continuations, and what stands between their lines, are inside.
    pub span: Range<usize>,
}

/// What a piece of a Dockerfile is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TokenKind {
    /// The name of an instruction, also behind `ONBUILD`.
    Keyword,
    /// `--name` or `--name=value`, as written.
    Flag,
    /// A word, a string of a JSON array with its quotes, a key with its value, or text up to the end of the instruction.
    Argument,
    /// The lines inside of a heredoc, line ends included; without lines, nothing.
    Heredoc,
    /// The word that ends a heredoc.
    HeredocEnd,
}

impl Token {
    pub(super) fn new(kind: TokenKind, span: Range<usize>) -> Self {
        Self { kind, span }
    }
}

impl Dockerfile {
    /// All pieces, in the order of the file. Comments, directives and what stands between pieces are none.
    ///
    /// ```
    /// use pipeops_core::dockerfile::{Dockerfile, TokenKind};
    ///
    /// let text = "FROM alpine AS a\nRUN --network=none [\"true\"]\n";
    /// let file = Dockerfile::parse(text.as_bytes())?;
    /// let tokens = file.tokens();
    /// let pieces: Vec<&str> = tokens.iter().map(|token| &text[token.span.clone()]).collect();
    /// assert_eq!(pieces, ["FROM", "alpine", "AS", "a", "RUN", "--network=none", "\"true\""]);
    /// assert_eq!(tokens[5].kind, TokenKind::Flag);
    /// # Ok::<(), pipeops_core::dockerfile::ParseError>(())
    /// ```
    pub fn tokens(&self) -> Vec<Token> {
        let mut tokens = self.meta_tokens.clone();
        for stage in &self.stages {
            tokens.extend(stage.tokens());
        }
        tokens
    }
}

impl Stage {
    /// The pieces of its `FROM` and of its instructions, in the order of the file.
    pub fn tokens(&self) -> Vec<Token> {
        let mut tokens = self.from_tokens.clone();
        for instruction in &self.instructions {
            tokens.extend(instruction.tokens());
        }
        tokens
    }
}

impl Instruction {
    /// Its pieces, in the order of the file.
    pub fn tokens(&self) -> Vec<Token> {
        let mut tokens = vec![Token::new(TokenKind::Keyword, self.keyword_span.clone())];
        tokens.extend(flags(&self.flags));
        self.add_arguments(&self.arguments, &mut tokens);
        for heredoc in &self.heredocs {
            tokens.push(Token::new(TokenKind::Heredoc, heredoc.span.clone()));
            tokens.push(Token::new(TokenKind::HeredocEnd, heredoc.end.clone()));
        }
        tokens
    }

    fn add_arguments(&self, arguments: &Arguments, tokens: &mut Vec<Token>) {
        let argument = |span: &Range<usize>| Token::new(TokenKind::Argument, span.clone());
        match arguments {
            Arguments::None => {}
            Arguments::Text(word) => tokens.push(argument(&word.span)),
            Arguments::Words(words) => tokens.extend(words.iter().map(|word| argument(&word.span))),
            Arguments::Args(args) => tokens.extend(args.iter().map(|arg| argument(&arg.span))),
            // These hold texts only; an instruction has at most one of them.
            Arguments::Exec(_) | Arguments::Pairs(_) => {
                tokens.extend(self.argument_spans.iter().map(argument));
            }
            Arguments::Health(kind, command) => {
                tokens.push(argument(&kind.span));
                self.add_arguments(command, tokens);
            }
            Arguments::Trigger(trigger) => {
                let keyword = trigger.name_span.clone();
                tokens.push(Token::new(TokenKind::Keyword, keyword));
                tokens.extend(flags(&trigger.flags));
                self.add_arguments(&trigger.arguments, tokens);
            }
        }
    }
}

fn flags(flags: &[Word]) -> impl Iterator<Item = Token> {
    flags
        .iter()
        .map(|flag| Token::new(TokenKind::Flag, flag.span.clone()))
}
