//! The second pass: instructions checked, and sorted into stages.

use std::sync::Arc;

use super::super::Keyword;
use super::super::ast::{Directives, Warning, Word};
use super::super::error::{ParseError, ParseErrorKind};
use super::super::file::{Dockerfile, Stage};
use super::super::instructions::{Row, Tables};
use super::super::span::Span;
use super::check::{check, platform, stage_name};
use super::source::Source;

/// The bytes of an instruction, for how many of them there is room from the start. Most files have longer ones.
const SHORT: usize = 24;

/// The second pass, one instruction at a time. Its first error waits, because one of the first pass behind it comes before
/// it.
#[derive(Debug)]
pub(super) struct Builder<'a> {
    source: Source<'a>,
    pub(super) tables: Tables<'a>,
    has_stage: bool,
    refused: Option<ParseError>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(source: Source<'a>) -> Self {
        let room = source.bytes.len() / SHORT + 1;
        Self {
            source,
            tables: Tables {
                rows: Vec::with_capacity(room),
                words: Vec::with_capacity(2 * room),
                ..Tables::default()
            },
            has_stage: false,
            refused: None,
        }
    }

    /// Checks an instruction and adds it.
    #[inline]
    pub(super) fn add(&mut self, row: Row) {
        let keyword = row.keyword;
        let stage_is_missing = !self.has_stage && keyword != Keyword::Arg;
        let checked = check(keyword, row.flags, row.held, &self.tables);
        self.tables.rows.push(row);
        match checked {
            Err(kind) => self.refuse(kind, row.keyword_span),
            Ok(()) if keyword == Keyword::From => self.has_stage = true,
            Ok(()) if stage_is_missing => {
                self.refuse(ParseErrorKind::NoStage { keyword }, row.keyword_span);
            }
            Ok(()) => {}
        }
    }

    /// Refuses the name of an instruction that does not exist.
    pub(super) fn add_unknown(&mut self, name: &Word<'_>) {
        self.refuse(unknown(&name.text), name.span);
    }

    #[cold]
    fn refuse(&mut self, kind: ParseErrorKind, name: Span) {
        if self.refused.is_none() {
            let at = name.range().start;
            let error = ParseError::new(kind, self.source.bytes, at, name.len());
            self.refused = Some(error);
        }
    }

    /// Whether there was no instruction.
    pub(super) fn is_empty(&self) -> bool {
        self.tables.rows.is_empty() && self.refused.is_none()
    }

    /// What there is when the first pass found no error.
    pub(super) fn finish(
        mut self,
        directives: Directives,
        warnings: Vec<Warning>,
    ) -> Result<Dockerfile<'a>, ParseError> {
        if let Some(error) = self.refused {
            return Err(error);
        }
        shrink(&mut self.tables.rows);
        shrink(&mut self.tables.words);
        let tables = Arc::new(self.tables);
        let stages = stages(&tables);
        let meta = 0..stages
            .first()
            .map_or(tables.rows.len(), |stage| stage.rows.start);
        let meta_args = tables.rows[meta.clone()].iter();
        Ok(Dockerfile {
            directives,
            meta_args: meta_args
                .flat_map(|row| tables.args(row.held))
                .cloned()
                .collect(),
            stages,
            warnings,
            meta,
            tables,
        })
    }
}

/// Gives memory back where much more was taken than needed.
fn shrink<T>(list: &mut Vec<T>) {
    if list.len() < list.capacity() / 2 {
        list.shrink_to_fit();
    }
}

fn stages<'a>(tables: &Arc<Tables<'a>>) -> Vec<Stage<'a>> {
    let mut stages: Vec<Stage<'a>> = Vec::new();
    for (start, row) in tables.rows.iter().enumerate() {
        match stages.last_mut() {
            _ if row.keyword == Keyword::From => stages.push(stage(tables, start)),
            Some(stage) => stage.rows.end = start + 1,
            None => {}
        }
    }
    stages
}

/// The stage that begins with this row, and holds nothing else yet.
fn stage<'a>(tables: &Arc<Tables<'a>>, start: usize) -> Stage<'a> {
    let from = tables.rows[start];
    let words = tables.words(from.held);
    Stage {
        from: words.first().cloned().unwrap_or_default(),
        name: stage_name(words),
        platform: platform(tables.flags(from.flags)),
        rows: start..start + 1,
        tables: Arc::clone(tables),
    }
}

fn unknown(name: &str) -> ParseErrorKind {
    let upper = name.to_uppercase();
    let nearest = Keyword::ALL
        .iter()
        .map(|&keyword| (distance(&upper, keyword.as_str()), keyword))
        .min_by_key(|&(distance, _)| distance)
        .filter(|&(distance, _)| distance <= 2);
    ParseErrorKind::UnknownInstruction {
        name: name.chars().take(60).collect(),
        suggestion: nearest.map(|(_, keyword)| keyword),
    }
}

/// How many letters have to be put in, taken out or changed. Letters in the wrong order are one mistake; texts of very
/// different length are far apart.
fn distance(a: &str, b: &str) -> usize {
    if a.len().abs_diff(b.len()) > 2 {
        return usize::MAX;
    }
    let sorted = |text: &str| {
        let mut letters: Vec<char> = text.chars().collect();
        letters.sort_unstable();
        letters
    };
    if a != b && sorted(a) == sorted(b) {
        return 1;
    }
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ch) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, &other) in b.iter().enumerate() {
            let change = diagonal + usize::from(ch != other);
            diagonal = row[j + 1];
            row[j + 1] = change.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_misses_are_suggested() {
        assert_eq!(distance("RNU", "RUN"), 1);
        assert_eq!(distance("COPPY", "COPY"), 1);
        assert_eq!(distance("", "RUN"), usize::MAX);
        let suggest = |name: &str| match unknown(name) {
            ParseErrorKind::UnknownInstruction { suggestion, .. } => suggestion,
            _ => None,
        };
        assert_eq!(suggest("entrypont"), Some(Keyword::Entrypoint));
        assert_eq!(suggest("apt-get"), None);
    }
}
