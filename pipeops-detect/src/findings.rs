//! The findings of one language's rules in one folder.

use crate::plan::Plan;
use crate::repository::folder::Folder;
use crate::repository::port::DEFAULT_PORT;
use crate::repository::port::{Port, port};
use crate::{Detection, Evidence, Language};

/// How much a fact counts, from 0 to 1. Facts add up as independent reasons do: two of 0.5 make 0.75.
pub(crate) mod weight {
    /// The file that a language's projects must have.
    pub(crate) const MANIFEST: f64 = 0.5;
    /// A file that tools write beside it.
    pub(crate) const LOCKFILE: f64 = 0.2;
    /// A file that is run.
    pub(crate) const ENTRY: f64 = 0.5;
    /// A dependency that serves requests.
    pub(crate) const FRAMEWORK: f64 = 0.6;
    /// A setting or a file that only accompanies the language.
    pub(crate) const HINT: f64 = 0.1;
    /// Said, but not counted.
    pub(crate) const NONE: f64 = 0.0;
}

/// The role of a language in a folder. Many repositories have files of a second language beside the first one: the role
/// caps its score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// Linters, commit hooks, release tools.
    Tools,
    /// Nothing in it is run, as far as one can see.
    Library,
    /// Built into files for browsers.
    Frontend,
    /// Runs.
    Server,
}

impl Role {
    fn ceiling(self) -> f64 {
        match self {
            Self::Tools => 0.25,
            Self::Library => 0.6,
            Self::Frontend => 0.8,
            Self::Server => 0.99,
        }
    }
}

/// What the rules of one language find in one folder.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Findings {
    /// The language whose rules looked.
    pub(crate) language: Language,
    /// The product of `1 - weight` over all facts: 1 without any fact.
    doubt: f64,
    /// The language's role in the folder.
    pub(crate) role: Role,
    /// The facts, in the order in which they were found.
    pub(crate) evidence: Vec<Evidence>,
    pub(crate) framework: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) package_manager: Option<String>,
    /// How the app is installed, built and started.
    pub(crate) plan: Plan,
    pub(crate) port: Option<u16>,
    pub(crate) output: Option<String>,
    /// Why nothing is started, where a file says why: the file and what it says.
    pub(crate) obstacle: Option<String>,
    /// Members of the workspace whose root this folder is.
    pub(crate) members: Vec<String>,
}

impl Findings {
    /// Nothing found.
    pub(crate) fn none(language: Language) -> Self {
        Self {
            language,
            doubt: 1.0,
            role: Role::Server,
            evidence: Vec::new(),
            framework: None,
            version: None,
            package_manager: None,
            plan: Plan::default(),
            port: None,
            output: None,
            obstacle: None,
            members: Vec::new(),
        }
    }

    /// Adds a fact.
    pub(crate) fn add(
        &mut self,
        weight: f64,
        folder: &Folder<'_>,
        file: &str,
        says: impl Into<String>,
    ) {
        self.doubt *= 1.0 - weight;
        self.evidence.push(Evidence {
            path: folder.at(file),
            says: says.into(),
        });
    }

    /// Adds a fact that says why nothing can be started: errors repeat it.
    pub(crate) fn stops(
        &mut self,
        weight: f64,
        folder: &Folder<'_>,
        file: &str,
        says: impl Into<String>,
    ) {
        self.add(weight, folder, file, says);
        self.obstacle = self.evidence.last().map(ToString::to_string);
    }

    /// Adds the fact that a file is there, if it is. The first of several names counts.
    pub(crate) fn add_file(
        &mut self,
        weight: f64,
        folder: &Folder<'_>,
        names: &[&'static str],
        says: &str,
    ) -> Option<&'static str> {
        let name = folder.first(names)?;
        self.add(weight, folder, name, says);
        Some(name)
    }

    /// Adds the fact that a lockfile of this tool is there, if it is.
    pub(crate) fn lockfile(&mut self, folder: &Folder<'_>, names: &[&'static str], tool: &str) {
        let says = format!("written by {tool}");
        self.add_file(weight::LOCKFILE, folder, names, &says);
    }

    /// Sets the version and what says it, if something does.
    pub(crate) fn version(&mut self, folder: &Folder<'_>, said: Option<(&str, String)>) {
        if let Some((file, version)) = said {
            self.add(
                weight::HINT,
                folder,
                file,
                format!("asks for version {version}"),
            );
            self.version = Some(version);
        }
    }

    /// Sets the framework and what says it, if one of the `known` dependencies is there; the first one counts.
    pub(crate) fn framework(
        &mut self,
        folder: &Folder<'_>,
        file: &str,
        known: &[(&str, &str)],
        has: impl Fn(&str) -> bool,
    ) -> bool {
        let Some((dependency, name)) = known.iter().find(|(dependency, _)| has(dependency)) else {
            return false;
        };
        // Marks of some languages have their surroundings: `.zap`, `"play"`.
        let dependency = dependency.trim_matches(['"', '.']);
        let says = format!("depends on {dependency}");
        self.add(weight::FRAMEWORK, folder, file, says);
        self.framework = Some((*name).to_owned());
        true
    }

    /// Sets the port that a file names.
    pub(crate) fn listens_on(&mut self, folder: &Folder<'_>, file: &str, port: u16) {
        let says = format!("listens on port {port}");
        self.add(weight::NONE, folder, file, says);
        self.port = Some(port);
    }

    /// Sets the port of a program that takes it from the variable `PORT`.
    pub(crate) fn listens_on_variable(&mut self, folder: &Folder<'_>, file: &str) {
        self.add(weight::HINT, folder, file, "listens on $PORT");
        self.port = Some(DEFAULT_PORT);
    }

    /// Takes the port of other findings over, with the file that names it.
    pub(crate) fn adopt_port(&mut self, other: &Self) {
        self.port = other.port;
        self.evidence.extend(other.port_facts().cloned());
    }

    /// Whether a file names the port, or the variable `PORT`.
    pub(crate) fn says_port(&self) -> bool {
        self.port_facts().next().is_some()
    }

    /// The facts that name the port, or the variable `PORT`.
    fn port_facts(&self) -> impl Iterator<Item = &Evidence> {
        let names = |says: &str| says == "listens on $PORT" || says.starts_with("listens on port ");
        self.evidence.iter().filter(move |fact| names(&fact.says))
    }

    /// Whether the port is only the usual one: no file names it, and neither the start command nor the framework takes it
    /// from `PORT`, which images set.
    fn guesses_port(&self) -> bool {
        // Variables of their own that recipes set to `PORT` count as well.
        const READ_IT: &[&str] = &[
            "adonis",
            "analog",
            "aspnet",
            "astro",
            "blazor",
            "fresh",
            "helidon",
            "leptos",
            "micronaut",
            "next",
            "nuxt",
            "phoenix",
            "quarkus",
            "react-router",
            "remix",
            "rocket",
            "solid-start",
            "spring-boot",
            "strapi",
            "sveltekit",
            "tanstack-start",
        ];
        let framework = self.framework.as_deref().unwrap_or_default();
        let served = self.output.is_some() || READ_IT.contains(&framework);
        self.port.is_some() && !served && !self.says_port()
    }

    /// Sets the port that a program listens on: as its source says, or [`DEFAULT_PORT`].
    pub(crate) fn listens(&mut self, folder: &Folder<'_>, file: &str) {
        self.listens_or(folder, file, Some(DEFAULT_PORT));
    }

    /// Sets the port that a program listens on: as its source says, or the usual one of what it uses, if that serves.
    pub(crate) fn listens_or(&mut self, folder: &Folder<'_>, file: &str, usual: Option<u16>) {
        self.port = usual;
        match folder.text(file).as_deref().and_then(port) {
            Some(Port::Fixed(port)) => self.listens_on(folder, file, port),
            Some(Port::FromEnvironment) => self.listens_on_variable(folder, file),
            None => {}
        }
    }

    /// How it is started, as the end of a sentence.
    pub(crate) fn started(&self) -> String {
        match (&self.plan.start, &self.output) {
            (_, Some(output)) => format!(", built into {output}"),
            (Some(start), None) => format!(", started by `{}`", start.start_text()),
            (None, None) => String::new(),
        }
    }

    /// Whether anything counts.
    pub(crate) fn found(&self) -> bool {
        self.doubt < 1.0
    }

    /// Whether it has dependencies or a build tool of its own: a program alone may be a part of what is around it.
    pub(crate) fn is_project(&self) -> bool {
        self.plan.install.is_some() || (self.plan.build.is_some() && self.package_manager.is_some())
    }

    /// The folder inside of `folder` that all facts are about, if they are about one.
    pub(crate) fn inside(&self, folder: &Folder<'_>) -> Option<&str> {
        let base = folder.at("");
        let dir = |evidence: &'_ Evidence| -> Option<usize> {
            let path = evidence.path.strip_prefix(&base)?;
            path.find('/').map(|end| base.len() + end)
        };
        let first = self.evidence.first()?;
        let name = &first.path[..dir(first)?];
        let same =
            |evidence: &Evidence| dir(evidence).is_some_and(|end| &evidence.path[..end] == name);
        self.evidence.iter().all(same).then(|| &name[base.len()..])
    }

    /// From 0 to 1.
    pub(crate) fn confidence(&self) -> f64 {
        let sum = (1.0 - self.doubt).min(self.role.ceiling());
        // Two digits: more would pretend a precision that weights do not have.
        (sum * 100.0).round() / 100.0
    }

    /// The detection that rests on these findings.
    pub(crate) fn into_detection(self, folder: &Folder<'_>) -> Detection {
        let mut detection = Detection::default();
        detection.confidence = self.confidence();
        let default = self.guesses_port();
        detection.language = Some(self.language);
        detection.framework = self.framework;
        detection.path = folder.path().to_owned();
        detection.evidence = self.evidence;
        detection.version = self.version;
        detection.package_manager = self.package_manager;
        (detection.install, detection.build, detection.start) = self.plan.texts();
        detection.port_default = default;
        detection.port = self.port;
        detection.output = self.output;
        detection.apps = self.members;
        detection
    }
}

#[cfg(test)]
impl Findings {
    pub(crate) fn install(&self) -> Option<String> {
        self.plan.texts().0
    }

    pub(crate) fn build(&self) -> Option<String> {
        self.plan.texts().1
    }

    pub(crate) fn start(&self) -> Option<String> {
        self.plan.texts().2
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipeops_core::source::MemTree;

    #[test]
    fn facts_add_up_below_the_ceiling_of_the_role() {
        let tree = MemTree::default();
        let folder = Folder::open(&tree, "");
        let mut findings = Findings::none(Language::Go);
        assert_eq!((findings.found(), findings.confidence()), (false, 0.0));
        findings.add(0.5, &folder, "a", "x");
        findings.add(0.5, &folder, "b", "y");
        assert_eq!(findings.confidence(), 0.75);
        findings.role = Role::Tools;
        assert_eq!(findings.confidence(), 0.25);
    }
}
