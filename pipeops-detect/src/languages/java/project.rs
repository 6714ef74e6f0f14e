//! What a Maven or Gradle build produces, and which of its modules is the app.

use crate::repository::folder::Folder;
use crate::{choice, servers};

/// How many modules are read, and how many sources: the tree is untrusted.
const MODULES: usize = 200;
const SOURCES: usize = 400;

/// What is left to run when a module is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An archive with all that it needs, by its name in the folder of archives; `*` where the name is not known.
    Jar(String),
    /// The folder that Quarkus writes.
    Quarkus,
    /// A script of this name, beside the archives that it starts: `installDist` of Gradle.
    Script(String),
    /// This class, with the archives of the dependencies beside it.
    Classes(String),
    /// An archive for a servlet container, by its name.
    War(String),
    /// Nothing that starts.
    Library,
}

/// One module with a build file.
#[derive(Debug)]
pub(crate) struct Module {
    /// Its folder; empty at the root.
    pub(crate) dir: String,
    /// Its build file, from the root.
    pub(crate) file: String,
    /// The build file's text, comments cut.
    pub(crate) text: String,
    pub(crate) kind: Kind,
}

impl Module {
    /// What paths of the module begin with, from the root.
    pub(crate) fn prefix(&self) -> String {
        match self.dir.as_str() {
            "" => String::new(),
            dir => format!("{dir}/"),
        }
    }
}

/// All modules of a build, the root first.
#[derive(Debug)]
pub(crate) struct Project {
    pub(crate) modules: Vec<Module>,
    /// Not all modules are where they usually are: the build files alone cannot be copied.
    pub(crate) scattered: bool,
    /// The folder of the module that is asked about, if one is.
    pub(crate) asked: Option<String>,
}

impl Project {
    /// The same build, asked about one of its modules.
    pub(crate) fn asked(self, asked: Option<String>) -> Self {
        Self { asked, ..self }
    }

    /// The module that is deployed, if a reason leaves one.
    pub(crate) fn app(&self) -> Option<&Module> {
        let apps: Vec<&Module> = self.apps().collect();
        if let [only] = apps.as_slice() {
            return Some(only);
        }
        let own = |module: &&Module| module.dir.is_empty();
        let bundled = |module: &&Module| !matches!(module.kind, Kind::Classes(_));
        let named =
            |module: &&Module| servers::is_one(module.dir.rsplit('/').next().unwrap_or_default());
        Some(choice::choose(&apps, &[&own, &bundled, &named])?.0)
    }

    /// The modules that have something to start.
    pub(crate) fn apps(&self) -> impl Iterator<Item = &Module> {
        let asked = |module: &&Module| self.asked.as_ref().is_none_or(|asked| *asked == module.dir);
        let starts = |module: &&Module| module.kind != Kind::Library;
        self.modules.iter().filter(starts).filter(asked)
    }

    pub(crate) fn add(&mut self, module: Module) -> bool {
        if self.modules.len() < MODULES && self.modules.iter().all(|known| known.dir != module.dir)
        {
            self.modules.push(module);
            return true;
        }
        false
    }
}

/// The class with `main` in the sources of a module, by its full name. Spring's own mark goes before any other.
pub(crate) fn main_class(module: &Folder<'_>) -> Option<String> {
    let mut left = SOURCES;
    let mut found = None;
    for (dir, end) in [
        ("src/main/java", ".java"),
        ("src/main/kotlin", ".kt"),
        ("src/main/groovy", ".groovy"),
    ] {
        search(&module.sub(dir), end, 12, &mut left, &mut found);
    }
    found.map(|(name, _)| name)
}

fn search(
    folder: &Folder<'_>,
    end: &str,
    depth: usize,
    left: &mut usize,
    found: &mut Option<(String, bool)>,
) {
    for file in folder.ending(end) {
        if *left == 0 {
            return;
        }
        *left -= 1;
        let text = folder.text(file).unwrap_or_default();
        let top = end == ".kt"
            && text
                .lines()
                .any(|line| line.starts_with("fun main(") || line.starts_with("suspend fun main("));
        let marked = ["@SpringBootApplication", "@QuarkusMain"]
            .iter()
            .any(|mark| text.contains(mark));
        let is_main =
            top || text.contains("static void main(") || text.contains("static void main (");
        if !is_main && !marked {
            continue;
        }
        if found.as_ref().is_none_or(|(_, best)| marked && !best) {
            let package = text
                .lines()
                .find_map(|line| line.trim().strip_prefix("package "));
            let package = package
                .map(|name| format!("{}.", name.trim().trim_end_matches(';')))
                .unwrap_or_default();
            let name = file.trim_end_matches(end);
            let suffix = if top { "Kt" } else { "" };
            *found = Some((format!("{package}{name}{suffix}"), marked));
        }
    }
    if depth > 1 {
        for dir in folder.own_dirs() {
            search(&folder.sub(dir), end, depth - 1, left, found);
        }
    }
}

/// Without `<!-- -->`, `/* */` and whole lines of `//`: what is commented out is not used.
pub(crate) fn without_comments(text: &str) -> String {
    let mut text = text.to_owned();
    for (open, close) in [("<!--", "-->"), ("/*", "*/")] {
        let mut from = 0;
        while let Some(start) = text[from..].find(open).map(|at| from + at) {
            // `src/**` in quotes begins no comment.
            if open == "/*" && text[..start].ends_with(['*', '"', '\'']) {
                from = start + open.len();
                continue;
            }
            let end = text[start..]
                .find(close)
                .map_or(text.len(), |end| start + end + close.len());
            text.replace_range(start..end, "");
            from = start;
        }
    }
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}
