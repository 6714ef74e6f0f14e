//! Every `ARG` of a Dockerfile and where it stands.

use super::{Arg, Dockerfile};

/// Where an `ARG` stands.
#[derive(Debug)]
enum Scope<'a> {
    /// Before the first `FROM`: seen by `FROM` lines, and by stages that declare it again.
    Meta,
    /// In a stage: seen by its later instructions, and by stages that are built on it.
    Stage(usize, Option<&'a str>),
    /// Behind `ONBUILD`: seen by what is built on the stage.
    Onbuild(usize, Option<&'a str>),
}

/// The declarations of a Dockerfile.
#[derive(Debug)]
pub(super) struct Declarations<'a> {
    all: Vec<(Scope<'a>, &'a Arg<'a>)>,
}

impl<'a> Declarations<'a> {
    pub(super) fn of(file: &'a Dockerfile<'a>) -> Self {
        let mut all: Vec<_> = file
            .meta_args
            .iter()
            .map(|arg| (Scope::Meta, arg))
            .collect();
        for (number, stage) in file.stages.iter().enumerate() {
            let name = stage.name.as_deref();
            all.extend(stage.args().map(|arg| (Scope::Stage(number, name), arg)));
            all.extend(
                stage
                    .onbuild_args()
                    .map(|arg| (Scope::Onbuild(number, name), arg)),
            );
        }
        Self { all }
    }

    /// Where the first `ARG` of this name stands, for people.
    pub(super) fn why(&self, name: &str) -> Option<String> {
        let (scope, arg) = self.all.iter().find(|(_, arg)| arg.name() == name)?;
        let place = match scope {
            Scope::Meta => "an ARG before the first FROM".to_owned(),
            Scope::Stage(number, stage) => format!("an ARG of {}", of_stage(*number, *stage)),
            Scope::Onbuild(number, stage) => {
                format!("an ONBUILD ARG of {}", of_stage(*number, *stage))
            }
        };
        Some(format!("declared by {place}, line {}", arg.line))
    }

    /// Why no `ARG` has this name.
    pub(super) fn why_not(&self, name: &str) -> String {
        let similar = self
            .all
            .iter()
            .find(|(_, arg)| arg.name().eq_ignore_ascii_case(name));
        match similar {
            Some((_, arg)) => format!(
                "no ARG declares it (`{}` is declared; names are case-sensitive)",
                arg.name()
            ),
            None => "no ARG declares it".to_owned(),
        }
    }

    /// The `ARG`s whose names are not known before the build.
    pub(super) fn with_variables(&self) -> impl Iterator<Item = &'a Arg<'a>> {
        self.all
            .iter()
            .map(|(_, arg)| *arg)
            .filter(|arg| arg.key.contains('$'))
    }
}

fn of_stage(number: usize, name: Option<&str>) -> String {
    name.map_or(format!("stage {number}"), |name| format!("stage `{name}`"))
}
