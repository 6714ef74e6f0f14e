//! Selects the stages of a Dockerfile that a build needs.

use std::collections::BTreeSet;

use pipeops_core::ImageRef;
use pipeops_dockerfile::{Dockerfile, Instruction, Keyword, Stage};

use super::error::{BuildError, BuildResult, SourceFile};
use super::request::BuildRequest;
use super::words::{Variables, expand};

/// Where a stage begins, or where a `COPY --from` takes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    Scratch,
    /// A stage, by its place in the file.
    Stage(usize),
    /// An image, and the word by which the Dockerfile calls it.
    Image(ImageRef, String),
}

/// A stage that the build needs.
#[derive(Debug)]
pub(super) struct Selected<'a> {
    /// Its place in the file.
    pub(super) index: usize,
    pub(super) stage: &'a Stage<'a>,
    pub(super) base: Origin,
    /// What stands before its steps' numbers; empty when the build has one stage.
    pub(super) label: String,
}

/// The stages that a build needs, in the order of the file; the last one is the result.
#[derive(Debug)]
pub(super) struct Selection<'a> {
    pub(super) stages: Vec<Selected<'a>>,
    /// The values of the `ARG`s before the first `FROM`, and of the platform arguments.
    pub(super) globals: Variables,
    pub(super) escape: char,
}

/// Reads the Dockerfile.
pub(super) fn parse(source: &SourceFile) -> BuildResult<Dockerfile<'_>> {
    Dockerfile::parse(&source.data).map_err(|error| {
        let message = format!(
            "dockerfile parse error on line {}: {}",
            error.line, error.message
        );
        BuildError::new(message).at(source, &(error.line..=error.line))
    })
}

/// Chooses the stages of a build.
pub(super) fn select<'a>(
    file: &'a Dockerfile<'a>,
    source: &SourceFile,
    request: &BuildRequest,
) -> BuildResult<Selection<'a>> {
    check_syntax(file)?;
    let escape = file.directives.escape;
    let globals = globals(file, request).map_err(BuildError::new)?;
    let target = target_of(file, request)?;
    let mut needed = BTreeSet::new();
    let mut todo = vec![target];
    let mut stages = Vec::new();
    let mut copies_from_image = false;
    while let Some(index) = todo.pop() {
        if !needed.insert(index) {
            continue;
        }
        let stage = &file.stages[index];
        let base = base_of(file, index, escape, &globals)
            .map_err(|message| BuildError::new(message).at(source, &stage.lines()))?;
        if let Origin::Stage(base) = base {
            todo.push(base);
        }
        for instruction in stage.instructions() {
            match copy_origin(file, index, &instruction)? {
                Some(Origin::Stage(from)) => todo.push(from),
                Some(_) => copies_from_image = true,
                None => {}
            }
        }
        stages.push(Selected {
            index,
            stage,
            base,
            label: String::new(),
        });
    }
    stages.sort_by_key(|selected| selected.index);
    // Only the steps of a build with one stage go without a label. An image that is copied from counts as a stage.
    let single = file.stages.len() == 1 && !copies_from_image;
    for selected in stages.iter_mut().filter(|_| !single) {
        let number = || format!("stage-{}", selected.index);
        let name = selected.stage.name.as_deref().map(str::to_owned);
        selected.label = name.unwrap_or_else(number);
    }
    Ok(Selection {
        stages,
        globals,
        escape,
    })
}

/// The stage to build: the one that is asked for, or the last one.
fn target_of(file: &Dockerfile<'_>, request: &BuildRequest) -> BuildResult<usize> {
    let count = file.stages.len();
    match &request.target {
        None => count
            .checked_sub(1)
            .ok_or_else(|| BuildError::new("dockerfile contains no stages to build")),
        Some(name) => find_stage(file, name, count)
            .ok_or_else(|| BuildError::new(format!("target stage {name:?} could not be found"))),
    }
}

/// Where a `COPY` or `ADD` takes its files from; `None` stands for the build context.
pub(super) fn copy_origin(
    file: &Dockerfile<'_>,
    stage: usize,
    instruction: &Instruction<'_>,
) -> BuildResult<Option<Origin>> {
    if instruction.keyword != Keyword::Copy {
        return Ok(None);
    }
    let Some(name) = flag(instruction, "from") else {
        return Ok(None);
    };
    if let Some(from) = find_stage(file, name, stage) {
        return Ok(Some(Origin::Stage(from)));
    }
    let image = name.parse().map_err(|error| {
        BuildError::new(format!("failed to parse stage name {name:?}: {error}"))
    })?;
    Ok(Some(Origin::Image(image, name.to_owned())))
}

/// The value of `--name=value`; empty for `--name`.
pub(super) fn flag<'a>(instruction: &Instruction<'a>, name: &str) -> Option<&'a str> {
    instruction.flags.iter().find_map(|flag| {
        let text = flag.text.strip_prefix("--")?;
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        (key == name).then_some(value)
    })
}

/// A foreign frontend would read the file in its own way; the usual one reads it as this daemon does.
fn check_syntax(file: &Dockerfile<'_>) -> BuildResult<()> {
    match file.directives.syntax.as_deref() {
        None => Ok(()),
        Some(syntax)
            if syntax
                .trim_start_matches("docker.io/")
                .starts_with("docker/dockerfile") =>
        {
            Ok(())
        }
        Some(other) => Err(BuildError::unsupported(format!("the frontend {other:?}"))),
    }
}

/// A stage before `before`, by name or number.
fn find_stage(file: &Dockerfile<'_>, name: &str, before: usize) -> Option<usize> {
    let stages = &file.stages[..before];
    let named = |stage: &Stage<'_>| {
        let own = stage.name.as_deref();
        own.is_some_and(|own| own.eq_ignore_ascii_case(name))
    };
    let number = || name.parse().ok().filter(|number| *number < before);
    stages.iter().rposition(named).or_else(number)
}

fn globals(file: &Dockerfile<'_>, request: &BuildRequest) -> Result<Variables, String> {
    let (os, architecture) = request.platform.split_once('/').unwrap_or(("linux", ""));
    let mut globals = Variables::new();
    for prefix in ["TARGET", "BUILD"] {
        for (key, value) in [
            ("PLATFORM", request.platform.as_str()),
            ("OS", os),
            ("ARCH", architecture),
            ("VARIANT", ""),
        ] {
            globals.insert(format!("{prefix}{key}"), value.to_owned());
        }
    }
    let target = request.target.as_deref().unwrap_or("default");
    globals.insert("TARGETSTAGE".to_owned(), target.to_owned());
    for arg in &file.meta_args {
        let name = arg.name();
        let given = request.build_args.get(&name).cloned();
        let value = match (given, &arg.default) {
            (Some(value), _) => Some(value),
            (None, Some(default)) => Some(expand(default, file.directives.escape, &globals)?),
            (None, None) => None,
        };
        if let Some(value) = value {
            globals.insert(name, value);
        }
    }
    Ok(globals)
}

fn base_of(
    file: &Dockerfile<'_>,
    index: usize,
    escape: char,
    globals: &Variables,
) -> Result<Origin, String> {
    let written = &file.stages[index].from.text;
    let name = expand(written, escape, globals)?;
    if name.is_empty() {
        return Err(format!("base name ({written}) should not be blank"));
    }
    if name == "scratch" {
        return Ok(Origin::Scratch);
    }
    // Numbers name stages in `COPY --from` only.
    let stage = find_stage(file, &name, index).filter(|_| name.parse::<usize>().is_err());
    if let Some(stage) = stage {
        return Ok(Origin::Stage(stage));
    }
    let image = name.parse().map_err(|error| {
        format!("failed to parse stage name {name:?}: invalid reference format: {error}")
    })?;
    Ok(Origin::Image(image, name))
}

#[cfg(test)]
mod tests {
    use bollard_buildkit_proto::moby::buildkit::v1::SolveRequest;

    use super::*;

    fn selected(text: &str, attrs: &[(&str, &str)]) -> Result<Vec<(String, Origin)>, String> {
        let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let request = BuildRequest::new(SolveRequest {
            frontend: "dockerfile.v0".to_owned(),
            frontend_attrs: attrs.iter().map(own).collect(),
            ..SolveRequest::default()
        });
        let source = SourceFile {
            name: "Dockerfile".to_owned(),
            data: text.as_bytes().to_vec(),
        };
        let select = || {
            let file = parse(&source)?;
            let selection = select(&file, &source, &request?)?;
            let stages = selection.stages.into_iter();
            Ok(stages.map(|stage| (stage.label, stage.base)).collect())
        };
        select().map_err(|error: BuildError| error.vertex_message().to_owned())
    }

    fn image(name: &str) -> Origin {
        Origin::Image(name.parse().unwrap(), name.to_owned())
    }

    #[test]
    fn only_needed_stages_are_built() {
        let file = "ARG TAG=3\nFROM node:$TAG AS build\nFROM unused\nFROM build AS test\nFROM scratch\nCOPY --from=build /a /b\n";
        let stages = selected(file, &[]).unwrap();
        assert_eq!(
            stages,
            [
                ("build".to_owned(), image("node:3")),
                ("stage-3".to_owned(), Origin::Scratch)
            ]
        );
        let stages = selected(file, &[("target", "TEST"), ("build-arg:TAG", "4")]).unwrap();
        assert_eq!(
            stages,
            [
                ("build".to_owned(), image("node:4")),
                ("test".to_owned(), Origin::Stage(0))
            ]
        );
    }

    #[test]
    fn errors_are_in_the_daemons_words() {
        for (file, message) in [
            ("ARG X\n", "dockerfile contains no stages to build"),
            ("ARG T\nFROM $T\n", "base name ($T) should not be blank"),
        ] {
            assert_eq!(selected(file, &[]).unwrap_err(), message);
        }
        let error = selected("FROM a\n", &[("target", "zz")]).unwrap_err();
        assert_eq!(error, "target stage \"zz\" could not be found");
    }
}
