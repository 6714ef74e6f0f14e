//! The parser, in the two passes of BuildKit's: lines into nodes, then nodes into checked instructions. An error of the
//! first pass hides those of the second, as there.

mod bytes;
mod check;
mod directive;
mod flags;
mod heredoc;
mod json;
mod lexer;
mod lines;
mod node;
mod stages;
mod words;

use super::ast::{Directives, Dockerfile, Warning};
use super::error::{ParseError, ParseErrorKind};
use bytes::{trim_newline, trim_start};
use directive::Line;
pub(super) use flags::mount_from;
use heredoc::{Body, Opening};
use lexer::LexError;
use lines::{Lines, Logical};
use node::Node;
use stages::{Builder, Built};

/// Reads a Dockerfile.
pub(super) fn parse(source: &[u8]) -> Result<Dockerfile, ParseError> {
    if source.len() > Dockerfile::MAX_SIZE {
        return Err(ParseError::new(ParseErrorKind::FileTooLarge, source, 0, 1));
    }
    let mut reader = Reader::new(source);
    let builder = reader.read()?;
    let Built {
        meta_args,
        meta_tokens,
        stages,
    } = builder.finish()?;
    Ok(Dockerfile {
        directives: Directives {
            escape: reader.escape,
            syntax: directive::syntax(source),
            check: directive::check(source),
        },
        meta_args,
        meta_tokens,
        stages,
        warnings: reader.warnings,
    })
}

/// The first pass.
struct Reader<'a> {
    source: &'a [u8],
    lines: Lines<'a>,
    directives: directive::Reader,
    escape: char,
    warnings: Vec<Warning>,
}

impl<'a> Reader<'a> {
    fn new(source: &'a [u8]) -> Self {
        Self {
            source,
            lines: Lines::new(source),
            directives: directive::Reader::default(),
            escape: '\\',
            warnings: Vec::new(),
        }
    }

    fn read(&mut self) -> Result<Builder, ParseError> {
        let mut builder = Builder::default();
        while let Some((raw, at)) = self.lines.next() {
            let line = trim_newline(raw);
            let line = if at == 0 {
                directive::strip_bom(line)
            } else {
                line
            };
            let line = trim_start(line);
            // Everything that was cut so far stood in front.
            let start = at + trim_newline(raw).len() - line.len();
            if !self.directives.done() {
                self.directive(line, start)?;
            }
            if !line.is_empty() && line[0] != b'#' {
                builder.add(self.node(line, start)?, self.source);
            }
        }
        if let Some(at) = self.lines.too_long {
            return Err(self.error(ParseErrorKind::LineTooLong, at, 1));
        }
        if builder.is_empty() {
            return Err(self.error(ParseErrorKind::NoInstructions, 0, 1));
        }
        Ok(builder)
    }

    fn directive(&mut self, line: &[u8], start: usize) -> Result<(), ParseError> {
        let error = |kind| Err(ParseError::new(kind, self.source, start, line.len()));
        match self.directives.read(line, b"#") {
            Line::Directive("escape", value) => match value.as_str() {
                "\\" => self.escape = '\\',
                "`" => self.escape = '`',
                _ => return error(ParseErrorKind::InvalidEscape { found: value }),
            },
            Line::Duplicate(name) => return error(ParseErrorKind::DuplicateDirective { name }),
            Line::Directive(..) | Line::End => {}
        }
        Ok(())
    }

    fn node(&mut self, first: &'a [u8], start: usize) -> Result<Node, ParseError> {
        let line = Logical::read(first, start, &mut self.lines, self.escape);
        if line.has_empty_line {
            self.warnings.push(Warning {
                line: self.lines.count,
                message: "empty line inside a continuation: it will become an error".to_owned(),
            });
        }
        let mut node = Node::read(&line, self.escape).map_err(|(kind, range)| {
            let span = line.span(range);
            self.error(kind, span.start, span.len())
        })?;
        if node.can_have_heredocs() && has_operator(&line.text) {
            self.heredocs(&line, &mut node)?;
        }
        node.lines = line.number..=self.lines.count;
        Ok(node)
    }

    fn heredocs(&mut self, line: &Logical<'_>, node: &mut Node) -> Result<(), ParseError> {
        let openings = heredoc::openings(&line.text).map_err(|error| {
            let problem = match error {
                LexError::Syntax => "the word behind `<<` has an open quote or a bad substitution",
                LexError::TooDeep => "substitutions nest too deep in front of a heredoc",
            };
            let kind = ParseErrorKind::BadHeredoc { problem };
            self.error(kind, node.span.start, node.span.len())
        })?;
        for opening in openings {
            let Some(body) = self.heredoc(&opening) else {
                let kind = match self.lines.too_long {
                    Some(_) => ParseErrorKind::LineTooLong,
                    None => ParseErrorKind::UnterminatedHeredoc { name: opening.name },
                };
                let at = self.lines.too_long.unwrap_or(node.span.start);
                return Err(self.error(kind, at, 1));
            };
            node.add_heredoc(opening, body);
        }
        Ok(())
    }

    /// Reads on behind the line that ends it; `None` if there is no such line.
    fn heredoc(&mut self, opening: &Opening) -> Option<Body<'a>> {
        let mut start = None;
        while let Some((line, at)) = self.lines.next() {
            let start = *start.get_or_insert(at);
            let line = trim_newline(line);
            let tabs = match opening.chomp {
                true => line.iter().take_while(|&&byte| byte == b'\t').count(),
                false => 0,
            };
            if &line[tabs..] == opening.name.as_bytes() {
                return Some(Body {
                    content: &self.source[start..at],
                    span: start..at,
                    end: at + tabs..at + line.len(),
                });
            }
        }
        None
    }

    fn error(&self, kind: ParseErrorKind, at: usize, length: usize) -> ParseError {
        ParseError::new(kind, self.source, at, length)
    }
}

fn has_operator(text: &[u8]) -> bool {
    // The first search is much faster, and mostly enough.
    text.contains(&b'<') && text.windows(2).any(|pair| pair == b"<<")
}
