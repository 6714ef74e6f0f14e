//! Dockerfiles that live longer than the bytes that they were read from.

use std::borrow::Cow;
use std::sync::Arc;

use super::ast::{Arg, Heredoc, Pair, Word};
use super::file::{Dockerfile, Stage};

impl Dockerfile<'_> {
    /// The same with copies of its texts: it lives on without the bytes that it was read from.
    ///
    /// ```
    /// use pipeops_dockerfile::Dockerfile;
    ///
    /// let bytes = b"FROM alpine\n".to_vec();
    /// let file: Dockerfile<'static> = Dockerfile::parse(&bytes)?.into_owned();
    /// drop(bytes);
    /// assert_eq!(file.stages[0].from.text, "alpine");
    /// # Ok::<(), pipeops_dockerfile::ParseError>(())
    /// ```
    pub fn into_owned(self) -> Dockerfile<'static> {
        let tables = Arc::new(Arc::unwrap_or_clone(self.tables).into_owned());
        let stage = |stage: Stage<'_>| Stage {
            from: stage.from.into_owned(),
            name: stage.name.map(owned),
            platform: stage.platform.map(owned),
            tables: Arc::clone(&tables),
            rows: stage.rows,
        };
        Dockerfile {
            directives: self.directives,
            meta_args: self.meta_args.into_iter().map(Arg::into_owned).collect(),
            stages: self.stages.into_iter().map(stage).collect(),
            warnings: self.warnings,
            meta: self.meta,
            tables,
        }
    }
}

impl Word<'_> {
    /// The same with a copy of its text.
    pub fn into_owned(self) -> Word<'static> {
        Word {
            text: owned(self.text),
            span: self.span,
        }
    }
}

impl Pair<'_> {
    /// The same with copies of its texts.
    pub fn into_owned(self) -> Pair<'static> {
        Pair {
            key: owned(self.key),
            value: owned(self.value),
            span: self.span,
        }
    }
}

impl Arg<'_> {
    /// The same with copies of its texts.
    pub fn into_owned(self) -> Arg<'static> {
        Arg {
            key: owned(self.key),
            default: self.default.map(owned),
            line: self.line,
            span: self.span,
        }
    }
}

impl Heredoc<'_> {
    /// The same with copies of its texts.
    pub fn into_owned(self) -> Heredoc<'static> {
        Heredoc {
            name: owned(self.name),
            content: owned(self.content),
            expand: self.expand,
            span: self.span,
            end: self.end,
        }
    }
}

fn owned(text: Cow<'_, str>) -> Cow<'static, str> {
    Cow::Owned(text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_owned_is_the_same() {
        let text = "# escape=`\nARG A=1 B\nFROM --platform=x a AS B\nRUN --network=none [\"a\", \"\\n\"]\nENV A=1 B=2\n\
                    LABEL a b\nONBUILD ARG C='1\nHEALTHCHECK --retries=1 CMD x `\n y\nCOPY <<EOF /\na\nEOF\nRUN `\n\na\n";
        let file = Dockerfile::parse(text.as_bytes()).unwrap();
        let owned = file.clone().into_owned();
        assert_eq!(owned, file);
        assert_eq!(format!("{owned:?}"), format!("{file:?}"));
        assert_eq!(owned.tokens(), file.tokens());
        assert_ne!(owned, Dockerfile::parse(b"FROM a").unwrap());
    }
}
