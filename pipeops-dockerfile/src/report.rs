//! A report of the arguments that a Dockerfile declares, for output as text or JSON.

use std::fmt;

use serde::Serialize;

use super::{Arg, Dockerfile, Stage};

/// The arguments that a Dockerfile declares. Created by [`args_report`]. The JSON is
/// `{"escape":"\\","syntax":null,"meta":["A=1","B"],"stages":[{"from":…,"name":…,"args":[…],"onbuild":[…]}]}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ArgsReport {
    /// The escape character.
    pub escape: char,
    /// The frontend image of `# syntax=`.
    pub syntax: Option<String>,
    /// The keys of the `ARG`s before the first `FROM`, as written.
    pub meta: Vec<String>,
    /// The stages, in file order.
    pub stages: Vec<StageReport>,
}

/// The arguments that one stage declares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StageReport {
    /// The base, as written.
    pub from: String,
    /// The name after `AS`.
    pub name: Option<String>,
    /// The keys of its `ARG`s, as written.
    pub args: Vec<String>,
    /// The keys of its `ONBUILD ARG`s, as written.
    pub onbuild: Vec<String>,
}

/// The arguments that `file` declares.
///
/// ```
/// use pipeops_dockerfile::{Dockerfile, args_report};
///
/// let file = Dockerfile::parse(b"ARG TAG=3.22\nFROM alpine:${TAG} AS base\nARG VERSION\n")?;
/// assert_eq!(args_report(&file).to_string(), "ARG TAG=3.22\nFROM alpine:${TAG} AS base\n    ARG VERSION\n");
/// # Ok::<(), pipeops_dockerfile::ParseError>(())
/// ```
pub fn args_report(file: &Dockerfile<'_>) -> ArgsReport {
    ArgsReport {
        escape: file.directives.escape,
        syntax: file.directives.syntax.clone(),
        meta: written(&file.meta_args),
        stages: file.stages.iter().map(stage_report).collect(),
    }
}

fn stage_report(stage: &Stage<'_>) -> StageReport {
    StageReport {
        from: stage.from.text.to_string(),
        name: stage.name.as_deref().map(str::to_owned),
        args: written(stage.args()),
        onbuild: written(stage.onbuild_args()),
    }
}

fn written<'a>(args: impl IntoIterator<Item = &'a Arg<'a>>) -> Vec<String> {
    args.into_iter().map(Arg::to_string).collect()
}

impl fmt::Display for ArgsReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(syntax) = &self.syntax {
            writeln!(f, "syntax  {syntax}")?;
        }
        for arg in &self.meta {
            writeln!(f, "ARG {arg}")?;
        }
        for stage in &self.stages {
            let name = stage.name.as_ref();
            let name = name.map_or(String::new(), |name| format!(" AS {name}"));
            writeln!(f, "FROM {}{name}", stage.from)?;
            for arg in &stage.args {
                writeln!(f, "    ARG {arg}")?;
            }
            for arg in &stage.onbuild {
                writeln!(f, "    ONBUILD ARG {arg}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_is_one_string_as_written() {
        let file =
            "#syntax=x\nARG A=\"1 2\" B\nFROM a:${A} AS C\nARG X=1 \\\n Y\nONBUILD ARG Z='z'\n";
        let report = args_report(&Dockerfile::parse(file.as_bytes()).unwrap());
        let json = serde_json::to_value(&report).unwrap();
        let expected = serde_json::json!({
            "escape": "\\", "syntax": "x", "meta": ["A=\"1 2\"", "B"],
            "stages": [{"from": "a:${A}", "name": "c", "args": ["X=1", "Y"], "onbuild": ["Z='z'"]}],
        });
        assert_eq!(json, expected);
        assert!(
            report
                .to_string()
                .contains("FROM a:${A} AS c\n    ARG X=1\n")
        );
    }
}
