//! The second pass: nodes into meta arguments and stages.

use super::super::ast::{Arg, Arguments, Instruction, Keyword, Stage, Word};
use super::super::error::{ParseError, ParseErrorKind};
use super::super::tokens::Token;
use super::check::{Values, check};
use super::node::Node;

/// What the nodes of a file make together.
#[derive(Debug, Default)]
pub(super) struct Built {
    pub(super) meta_args: Vec<Arg>,
    pub(super) meta_tokens: Vec<Token>,
    pub(super) stages: Vec<Stage>,
}

/// The second pass, one node at a time: no list of all nodes is needed. Its first error waits, because one of the first pass
/// behind it comes before it.
#[derive(Debug, Default)]
pub(super) struct Builder {
    built: Built,
    nodes: usize,
    refused: Option<ParseError>,
}

impl Builder {
    /// Checks a node and sorts it into its stage.
    pub(super) fn add(&mut self, node: Node, source: &[u8]) {
        self.nodes += 1;
        if self.refused.is_none() {
            self.refused = self.built.add(node, source).err();
        }
    }

    /// Whether there was no node.
    pub(super) fn is_empty(&self) -> bool {
        self.nodes == 0
    }

    /// What there is when the first pass found no error.
    pub(super) fn finish(self) -> Result<Built, ParseError> {
        self.refused.map_or(Ok(self.built), Err)
    }
}

impl Built {
    fn add(&mut self, node: Node, source: &[u8]) -> Result<(), ParseError> {
        let name = node.name_span.clone();
        let error = |kind| ParseError::new(kind, source, name.start, name.len());
        let keyword = match &node.keyword {
            Ok(keyword) => *keyword,
            Err(name) => return Err(error(unknown(name))),
        };
        let values = check(keyword, &node).map_err(error)?;
        let instruction = Instruction {
            keyword,
            keyword_span: node.name_span,
            flags: node.flags,
            arguments: node.arguments,
            heredocs: node.heredocs,
            lines: node.lines,
            span: node.span,
            argument_spans: node.argument_spans,
        };
        if keyword == Keyword::From {
            self.stages.push(stage(instruction, values));
        } else if let Some(stage) = self.stages.last_mut() {
            stage.instructions.push(instruction);
        } else if let Arguments::Args(args) = &instruction.arguments {
            self.meta_args.extend_from_slice(args);
            self.meta_tokens.extend(instruction.tokens());
        } else {
            return Err(error(ParseErrorKind::NoStage { keyword }));
        }
        Ok(())
    }
}

fn stage(from: Instruction, values: Values) -> Stage {
    let from_tokens = from.tokens();
    let base = match from.arguments {
        Arguments::Words(words) => words.into_iter().next(),
        _ => None,
    };
    Stage {
        from: base.unwrap_or_else(|| Word::new(String::new(), 0..0)),
        name: values.name,
        platform: values.platform,
        lines: from.lines,
        instructions: Vec::new(),
        from_tokens,
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
