//! The stage graph: which stages need each other, and which `ARG`s each stage sees.

use std::collections::{BTreeMap, BTreeSet};

use super::expand::expand;
use super::parser::mount_from;
use super::{Arg, Arguments, Dockerfile, Keyword, Stage, Word};

/// Where a stage gets its base or its files from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Origin {
    /// A stage, by number (from 0).
    Stage(usize),
    /// An image or a named build context. Includes `scratch`.
    Image(String),
    /// Unresolved, as written: it depends on variables without a value, or on shell patterns.
    Unknown(String),
}

/// Which stages need each other, for given build arguments. Created by [`Dockerfile::graph`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StageGraph {
    /// The base of each stage.
    pub bases: Vec<Origin>,
    /// The other origins that each stage copies or mounts from (`COPY --from`, `RUN --mount=from=`), including `ONBUILD` triggers of
    /// its base. Sorted.
    pub sources: Vec<BTreeSet<Origin>>,
}

impl StageGraph {
    /// The numbers of the stages that a build of stage `target` needs, `target` included. Empty if there is no such stage.
    pub fn needed(&self, target: usize) -> BTreeSet<usize> {
        let mut needed = BTreeSet::new();
        let mut open: Vec<usize> = (target < self.bases.len())
            .then_some(target)
            .into_iter()
            .collect();
        while let Some(stage) = open.pop() {
            if needed.insert(stage) {
                open.extend(self.origins(stage).filter_map(|origin| match origin {
                    Origin::Stage(stage) => Some(*stage),
                    _ => None,
                }));
            }
        }
        needed
    }

    /// The base and the sources of a stage.
    fn origins(&self, stage: usize) -> impl Iterator<Item = &Origin> {
        let base = self.bases.get(stage).into_iter();
        base.chain(self.sources.get(stage).into_iter().flatten())
    }
}

/// Where an `ARG` that a stage sees is declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ArgScope {
    /// In the stage itself.
    Own,
    /// In the stage with this number, on which it is based.
    Inherited(usize),
    /// By an `ONBUILD ARG` in the stage with this number, on which it is based.
    Onbuild(usize),
}

impl<'a> Dockerfile<'a> {
    /// The stage graph for these build arguments.
    ///
    /// Names resolve as in BuildKit: a base to an earlier stage, other sources to any stage. If several stages have the same name,
    /// the last one counts. Only `COPY --from` accepts numbers.
    ///
    /// ```
    /// use std::collections::BTreeMap;
    /// use pipeops_dockerfile::{Dockerfile, Origin};
    ///
    /// let file = Dockerfile::parse(
    ///     b"ARG BASE=build\nFROM rust AS build\nFROM node AS docs\nFROM ${BASE} AS test\nFROM scratch\nCOPY --from=build /a /a\n",
    /// )?;
    /// let graph = file.graph(&BTreeMap::new());
    /// assert_eq!(graph.bases[2], Origin::Stage(0));
    /// assert_eq!(Vec::from_iter(graph.needed(3)), [0, 3]);
    /// # Ok::<(), pipeops_dockerfile::ParseError>(())
    /// ```
    pub fn graph(&self, build_args: &BTreeMap<String, String>) -> StageGraph {
        let globals = self.globals(build_args);
        let bases: Vec<Origin> = (0..self.stages.len())
            .map(|stage| self.base(stage, &globals))
            .collect();
        let sources = (0..self.stages.len())
            .map(|stage| {
                let own = self.stages[stage].instructions();
                let own = own.map(|instruction| (Some(instruction.keyword), instruction.flags));
                let inherited = match bases[stage] {
                    Origin::Stage(base) => triggers(&self.stages[base]),
                    _ => Vec::new(),
                };
                let all = own.chain(inherited);
                all.flat_map(|(keyword, flags)| self.sources(keyword, flags))
                    .collect()
            })
            .collect();
        StageGraph { bases, sources }
    }

    /// The number of the stage with this name, as a build's `target` resolves it: case doesn't matter, and the last stage with the
    /// name counts.
    pub fn target(&self, name: &str) -> Option<usize> {
        let named = |stage: &Stage<'_>| {
            let own = stage.name.as_deref();
            own.is_some_and(|own| own.eq_ignore_ascii_case(name))
        };
        self.stages.iter().rposition(named)
    }

    /// The `ARG`s that a stage sees, without those that BuildKit predefines. Those of its base stages come first.
    ///
    /// An `ARG` before the first `FROM` isn't included: only `FROM` lines see it, and stages that declare it again.
    pub fn args_of(&self, stage: usize, graph: &StageGraph) -> Vec<(ArgScope, &Arg<'a>)> {
        let mut chain = vec![stage];
        // A base stands in front of its stage, so this ends.
        while let Some(Origin::Stage(base)) = chain.last().and_then(|&last| graph.bases.get(last)) {
            chain.push(*base);
        }
        let mut args = Vec::new();
        for (depth, &number) in chain.iter().enumerate().rev() {
            let Some(found) = self.stages.get(number) else {
                continue;
            };
            let scope = if depth == 0 {
                ArgScope::Own
            } else {
                ArgScope::Inherited(number)
            };
            args.extend(found.args().map(|arg| (scope, arg)));
            // Triggers run once: in the stage that is built directly on this one.
            if depth > 0 {
                args.extend(
                    found
                        .onbuild_args()
                        .map(|arg| (ArgScope::Onbuild(number), arg)),
                );
            }
        }
        args
    }

    /// The values of the `ARG`s before the first `FROM`.
    pub(super) fn globals(
        &self,
        build_args: &BTreeMap<String, String>,
    ) -> BTreeMap<String, String> {
        let mut globals = BTreeMap::new();
        for arg in &self.meta_args {
            let name = arg.name();
            let given = build_args.get(&name).cloned();
            let default = || expand(arg.default.as_deref()?, self.directives.escape, &globals);
            if let Some(value) = given.or_else(default) {
                globals.insert(name, value);
            }
        }
        globals
    }

    fn base(&self, stage: usize, globals: &BTreeMap<String, String>) -> Origin {
        let written = &self.stages[stage].from.text;
        let Some(name) = expand(written, self.directives.escape, globals) else {
            return Origin::Unknown(written.to_string());
        };
        let earlier = &self.stages[..stage];
        // Names of stages are in lower case, and a base is compared as it is.
        let found = earlier
            .iter()
            .rposition(|stage| stage.name.as_deref() == Some(&*name));
        found.map_or(Origin::Image(name), Origin::Stage)
    }

    fn sources(&self, keyword: Option<Keyword>, flags: &[Word<'_>]) -> Vec<Origin> {
        let values = |name: &'static str| {
            flags
                .iter()
                .filter_map(move |flag| flag.text.strip_prefix(name))
        };
        match keyword {
            Some(Keyword::Copy) => values("--from=")
                .filter(|name| !name.is_empty())
                .map(|name| self.source(name, true))
                .collect(),
            Some(Keyword::Run) => values("--mount=")
                .filter_map(mount_from)
                .map(|name| self.source(&name, false))
                .collect(),
            _ => Vec::new(),
        }
    }

    fn source(&self, name: &str, numbers: bool) -> Origin {
        let number = || {
            name.parse()
                .ok()
                .filter(|&number: &usize| numbers && number < self.stages.len())
        };
        match self.target(name).or_else(number) {
            Some(stage) => Origin::Stage(stage),
            None if name.contains('$') => Origin::Unknown(name.to_owned()),
            None => Origin::Image(name.to_owned()),
        }
    }
}

/// What a stage has others do that are built on it.
fn triggers<'a>(stage: &'a Stage<'_>) -> Vec<(Option<Keyword>, &'a [Word<'a>])> {
    let mut triggers = Vec::new();
    for instruction in stage.instructions() {
        if let Arguments::Trigger(trigger) = instruction.arguments {
            triggers.push((trigger.keyword, trigger.flags));
        }
    }
    triggers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Dockerfile<'_> {
        Dockerfile::parse(text.as_bytes()).unwrap()
    }

    fn image(name: &str) -> Origin {
        Origin::Image(name.to_owned())
    }

    #[test]
    fn bases_are_earlier_stages_or_images() {
        let file = parse(
            "ARG X=b\nARG V\nFROM b AS B\nFROM b AS b\nFROM $X\nFROM B\nFROM 0\nFROM later\nFROM a:${V} AS later\nFROM a:${V:-1}\n",
        );
        let bases = file.graph(&BTreeMap::new()).bases;
        let unknown = Origin::Unknown("a:${V}".to_owned());
        let expected = [
            image("b"),
            Origin::Stage(0),
            Origin::Stage(1),
            image("B"),
            image("0"),
            image("later"),
            unknown,
            image("a:1"),
        ];
        assert_eq!(bases, expected);
        let given = BTreeMap::from([
            ("X".to_owned(), "other".to_owned()),
            ("V".to_owned(), "2".to_owned()),
        ]);
        let bases = file.graph(&given).bases;
        assert_eq!((&bases[2], &bases[6]), (&image("other"), &image("a:2")));
    }

    #[test]
    fn sources_are_found_by_name_and_copies_by_number_too() {
        let file = parse(
            "FROM a AS x\nFROM b AS y\nFROM c\nCOPY --from=X / /\nCOPY --from=1 / /\nADD a b\n\
             RUN --mount=type=cache,target=/c --mount=\"type=bind,from=Y\" z\nRUN --mount=from=0 z\nCOPY --from=img:1 / /\n",
        );
        let graph = file.graph(&BTreeMap::new());
        let expected = BTreeSet::from([
            Origin::Stage(0),
            Origin::Stage(1),
            image("0"),
            image("img:1"),
        ]);
        assert_eq!(graph.sources[2], expected);
        assert_eq!(Vec::from_iter(graph.needed(2)), [0, 1, 2]);
        assert_eq!(Vec::from_iter(graph.needed(1)), [1]);
        assert!(graph.needed(3).is_empty());
    }

    #[test]
    fn triggers_belong_to_the_stage_that_is_built_on_theirs() {
        let file = parse(
            "FROM a AS x\nFROM b AS y\nARG Y\nONBUILD COPY --from=x / /\nONBUILD ARG LATER=1\nFROM y AS z\nARG Z\nFROM z\nARG W\n",
        );
        let graph = file.graph(&BTreeMap::new());
        assert!(graph.sources[1].is_empty());
        assert_eq!(graph.sources[2], BTreeSet::from([Origin::Stage(0)]));
        assert_eq!(Vec::from_iter(graph.needed(3)), [0, 1, 2, 3]);
        let args = file.args_of(3, &graph);
        let seen: Vec<_> = args
            .iter()
            .map(|(scope, arg)| (*scope, &*arg.key))
            .collect();
        let expected = [
            (ArgScope::Inherited(1), "Y"),
            (ArgScope::Onbuild(1), "LATER"),
            (ArgScope::Inherited(2), "Z"),
            (ArgScope::Own, "W"),
        ];
        assert_eq!(seen, expected);
        assert!(file.args_of(9, &graph).is_empty());
    }

    #[test]
    fn a_circle_of_copies_ends() {
        let file = parse("FROM a AS x\nCOPY --from=y / /\nFROM b AS y\nCOPY --from=x / /\n");
        assert_eq!(file.graph(&BTreeMap::new()).needed(0).len(), 2);
    }
}
