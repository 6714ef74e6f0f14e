//! The parser, in the two passes of BuildKit's: lines into instructions, then checks of what they hold. An error of the first
//! pass hides those of the second, as there.

mod bytes;
mod check;
mod directive;
mod flags;
mod heredoc;
mod instruction;
mod json;
mod lexer;
mod lines;
mod scan;
mod source;
mod stages;
mod words;

use std::ops::Range;

use super::Keyword;
use super::ast::{Directives, Heredoc, Warning};
use super::error::{ParseError, ParseErrorKind};
use super::file::Dockerfile;
use super::instructions::{Form, Held, Part, Row, Tables};
use super::span::Span;
use bytes::{trim_newline, trim_start};
use directive::Line;
pub(super) use flags::mount_from;
use heredoc::Opening;
use instruction::Parts;
use lexer::LexError;
use lines::{Joined, Lines, Logical};
use source::Source;
use stages::Builder;

impl<'a> Dockerfile<'a> {
    /// Reads a Dockerfile.
    ///
    /// It need not be UTF-8: as in BuildKit, each invalid byte reads as U+FFFD.
    ///
    /// ```
    /// use pipeops_dockerfile::Dockerfile;
    ///
    /// let file = Dockerfile::parse(b"ARG TAG=3.22\nFROM alpine:${TAG} AS base\nARG A=1 B\n")?;
    /// assert_eq!(file.meta_args[0].key, "TAG");
    /// assert_eq!(file.stages[0].from.text, "alpine:${TAG}");
    /// assert_eq!(file.stages[0].args().count(), 2);
    ///
    /// let error = Dockerfile::parse(b"FROM alpine\nRNU true\n").unwrap_err();
    /// assert_eq!(error.line, 2);
    /// # Ok::<(), pipeops_dockerfile::ParseError>(())
    /// ```
    ///
    /// # Errors
    /// Exactly where BuildKit's parser refuses the file, and where substitutions before a heredoc nest more than 200 deep.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        if bytes.len() > Self::MAX_SIZE {
            return Err(ParseError::new(ParseErrorKind::FileTooLarge, bytes, 0, 1));
        }
        let source = Source::new(bytes);
        let mut reader = Reader::new(source);
        let mut builder = Builder::new(source);
        reader.read(&mut builder)?;
        let directive::ForOthers { syntax, check } = directive::ForOthers::read(bytes);
        let directives = Directives {
            escape: char::from(reader.escape),
            syntax,
            check,
        };
        builder.finish(directives, reader.warnings)
    }
}

/// The first pass.
struct Reader<'a> {
    source: Source<'a>,
    lines: Lines<'a>,
    directives: directive::Reader,
    escape: u8,
    warnings: Vec<Warning>,
}

impl<'a> Reader<'a> {
    fn new(source: Source<'a>) -> Self {
        Self {
            source,
            lines: Lines::new(source),
            directives: directive::Reader::default(),
            escape: b'\\',
            warnings: Vec::new(),
        }
    }

    fn read(&mut self, builder: &mut Builder<'a>) -> Result<(), ParseError> {
        let mut joined = Joined::default();
        while let Some((line, at)) = self.lines.next() {
            let line = trim_newline(line);
            let end = at + line.len();
            let line = if at == 0 {
                directive::strip_bom(line)
            } else {
                line
            };
            let line = trim_start(line);
            // Everything that was cut stood in front.
            let start = end - line.len();
            if !self.directives.done() {
                self.directive(line, start)?;
            }
            if !line.is_empty() && line[0] != b'#' {
                self.instruction(line, start, &mut joined, builder)?;
            }
        }
        if let Some(at) = self.lines.too_long {
            return Err(self.error(ParseErrorKind::LineTooLong, at..at + 1));
        }
        if builder.is_empty() {
            return Err(self.error(ParseErrorKind::NoInstructions, 0..1));
        }
        Ok(())
    }

    fn directive(&mut self, line: &[u8], start: usize) -> Result<(), ParseError> {
        let bytes = self.source.bytes;
        let error = |kind| Err(ParseError::new(kind, bytes, start, line.len()));
        match self.directives.read(line, b"#") {
            Line::Directive("escape", value) => match value.as_str() {
                "\\" => self.escape = b'\\',
                "`" => self.escape = b'`',
                _ => return error(ParseErrorKind::InvalidEscape { found: value }),
            },
            Line::Duplicate(name) => return error(ParseErrorKind::DuplicateDirective { name }),
            Line::Directive(..) | Line::End => {}
        }
        Ok(())
    }

    /// Reads the instruction whose first line this is.
    fn instruction(
        &mut self,
        first: &'a [u8],
        start: usize,
        joined: &mut Joined,
        builder: &mut Builder<'a>,
    ) -> Result<(), ParseError> {
        let line = Logical::read(first, start, &mut self.lines, self.escape, joined);
        if line.has_empty_line {
            self.warn_empty_line();
        }
        let piece = line.piece().trim(line.text);
        let tables = &mut builder.tables;
        let parts = Parts::read(&line, piece, self.escape, &mut tables.words);
        let Some(keyword) = parts.keyword else {
            builder.add_unknown(&line.word(parts.name));
            return Ok(());
        };
        let held = match parts.arguments(&line, self.escape, tables) {
            Ok(held) => held,
            Err(problem) => {
                let (kind, range) = *problem;
                return Err(self.error(kind, line.range(range)));
            }
        };
        let before = tables.heredocs.len();
        if can_have_heredocs(keyword, held, tables) && has_operator(line.text) {
            self.heredocs(line.text, line.span(piece), &mut tables.heredocs)?;
        }
        let heredocs = Part::from(before, &tables.heredocs);
        builder.add(Row {
            keyword,
            flags: parts.flags,
            held,
            heredocs,
            span: line.span(piece),
            keyword_span: line.span(parts.name),
            first_line: line.number as u32,
            last_line: self.lines.count as u32,
        });
        Ok(())
    }

    fn warn_empty_line(&mut self) {
        self.warnings.push(Warning {
            line: self.lines.count,
            message:
                "empty line in a continued instruction: BuildKit will reject this in the future"
                    .to_owned(),
        });
    }

    /// Reads the heredocs that `line` opens, the text of the instruction at `span`.
    fn heredocs(
        &mut self,
        line: &[u8],
        span: Span,
        heredocs: &mut Vec<Heredoc<'a>>,
    ) -> Result<(), ParseError> {
        let openings = heredoc::openings(line).map_err(|error| {
            let problem = match error {
                LexError::Syntax => {
                    "the word after `<<` has an unclosed quote or an invalid substitution"
                }
                LexError::TooDeep => "substitutions before a heredoc are nested too deeply",
            };
            self.error(ParseErrorKind::BadHeredoc { problem }, span.range())
        })?;
        for opening in openings {
            let name = opening.name.clone();
            let Some(heredoc) = self.heredoc(opening) else {
                let kind = match self.lines.too_long {
                    Some(_) => ParseErrorKind::LineTooLong,
                    None => ParseErrorKind::UnterminatedHeredoc { name },
                };
                let at = self.lines.too_long.unwrap_or(span.range().start);
                return Err(self.error(kind, at..at + 1));
            };
            heredocs.push(heredoc);
        }
        Ok(())
    }

    /// Reads on behind the line that ends it; `None` if there is no such line.
    fn heredoc(&mut self, opening: Opening) -> Option<Heredoc<'a>> {
        let mut start = None;
        while let Some((line, at)) = self.lines.next() {
            let start = *start.get_or_insert(at);
            let line = trim_newline(line);
            let tabs = match opening.chomp {
                true => line.iter().take_while(|&&byte| byte == b'\t').count(),
                false => 0,
            };
            if &line[tabs..] == opening.name.as_bytes() {
                return Some(Heredoc {
                    name: opening.name.into(),
                    content: heredoc::content(self.source, start..at, opening.chomp),
                    expand: opening.expand,
                    span: Span::new(start, at),
                    end: Span::new(at + tabs, at + line.len()),
                });
            }
        }
        None
    }

    fn error(&self, kind: ParseErrorKind, at: Range<usize>) -> ParseError {
        ParseError::new(kind, self.source.bytes, at.start, at.len())
    }
}

/// Whether heredocs can follow an instruction.
#[inline]
fn can_have_heredocs(keyword: Keyword, held: Held, tables: &Tables<'_>) -> bool {
    match held.form {
        Form::Exec => false,
        Form::Trigger => tables.trigger_row(held).is_some_and(|trigger| {
            let keyword = trigger.keyword;
            keyword.is_some_and(|keyword| can_have_heredocs(keyword, trigger.held, tables))
        }),
        _ => matches!(keyword, Keyword::Add | Keyword::Copy | Keyword::Run),
    }
}

fn has_operator(text: &[u8]) -> bool {
    // The first search is much faster, and mostly enough.
    scan::byte(text, b'<').is_some_and(|at| text[at..].windows(2).any(|pair| pair == b"<<"))
}
