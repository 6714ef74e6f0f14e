//! Points at the word of an instruction that a failure is about.

use crate::cause::Cause;
use crate::failure::{SourceLine, SourceLines};

/// A word of a Dockerfile's line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pointer {
    /// The line's number, from 1.
    pub line: usize,
    /// Characters before the word.
    pub column: usize,
    /// Characters of the word.
    pub width: usize,
}

impl Pointer {
    /// The line to print below `line`: its own indentation, so that the carets stand below the word.
    pub(crate) fn carets(&self, line: &str) -> String {
        let before = line.chars().take(self.column);
        let indent = before.map(|ch| if ch == '\t' { '\t' } else { ' ' });
        indent.chain(std::iter::repeat_n('^', self.width)).collect()
    }
}

/// Finds the word that a failure is about, in the lines that failed. Of a command that ran and failed nobody knows which.
pub(crate) fn find(source: &SourceLines, cause: &Cause, message: &str) -> Option<Pointer> {
    let failing: Vec<&SourceLine> = source.lines.iter().filter(|line| line.failing).collect();
    suspects(cause, message)
        .into_iter()
        .filter(|word| !word.is_empty())
        .find_map(|word| failing.iter().find_map(|line| locate(line, &word)))
}

fn locate(line: &SourceLine, word: &str) -> Option<Pointer> {
    let at = line.text.find(word)?;
    Some(Pointer {
        line: line.number,
        column: line.text[..at].chars().count(),
        width: word.chars().count(),
    })
}

/// Words to look for, the likeliest first.
fn suspects(cause: &Cause, message: &str) -> Vec<String> {
    match cause {
        Cause::FileMissing { path } => {
            let relative = path.trim_start_matches('/');
            let name = relative.rsplit('/').next().unwrap_or_default();
            vec![relative.to_owned(), name.to_owned()]
        }
        Cause::SecretMissing { id } => vec![id.clone()],
        Cause::BaseImageMissing { image } => {
            // The daemon begins with the name as it is written, and goes on with the full one.
            let written = message.split(": failed to resolve").next();
            let written = written.unwrap_or_default().rsplit(": ").next();
            vec![written.unwrap_or_default().to_owned(), image.clone()]
        }
        Cause::Dockerfile { .. } => {
            let unknown = message
                .split_once("unknown instruction: ")
                .map(|(_, rest)| rest.split(' ').next().unwrap_or_default().to_owned());
            let quoted = message.split('"').skip(1).step_by(2).map(str::to_owned);
            unknown.into_iter().chain(quoted).collect()
        }
        Cause::Unauthorized { host }
        | Cause::Denied { host }
        | Cause::RateLimited { host }
        | Cause::RegistryDown { host }
        | Cause::Network { host } => host.iter().cloned().collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointed(cause: &Cause, message: &str, text: &str) -> Option<String> {
        let line = SourceLine {
            number: 7,
            text: text.into(),
            failing: true,
        };
        let source = SourceLines::new("Dockerfile".into(), 7, vec![line]);
        let pointer = find(&source, cause, message)?;
        assert_eq!(pointer.line, 7);
        Some(pointer.carets(text))
    }

    #[test]
    fn carets_stand_below_the_word() {
        let missing = Cause::FileMissing {
            path: "/src/app.js".into(),
        };
        for (cause, message, text, carets) in [
            (
                missing.clone(),
                "",
                "COPY a src/app.js /x/",
                Some("       ^^^^^^^^^^"),
            ),
            (missing.clone(), "", "COPY\tapp.js /x", Some("    \t^^^^^^")),
            (missing, "", "COPY *.js /x", None),
            (
                Cause::BaseImageMissing {
                    image: "docker.io/library/nod:20".into(),
                },
                "nod:20: failed to resolve source metadata for docker.io/library/nod:20: not found",
                "FROM nod:20 AS x",
                Some("     ^^^^^^"),
            ),
            (
                Cause::Dockerfile { line: Some(7) },
                "dockerfile parse error on line 7: unknown instruction: RUNN (did you mean RUN?)",
                "RUNN make",
                Some("^^^^"),
            ),
            (
                Cause::SecretMissing { id: "tök".into() },
                "",
                "RUN --mount=type=secret,id=tök,required x",
                Some("                           ^^^"),
            ),
            (
                Cause::Instruction,
                "process \"make\" did not",
                "RUN make",
                None,
            ),
        ] {
            assert_eq!(pointed(&cause, message, text).as_deref(), carets, "{text}");
        }
    }
}
