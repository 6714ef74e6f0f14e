//! One package and its folder, as frameworks look at them.

use super::command::{ScriptCommand, commands};
use super::kind::{Kind, kind};
use super::package::Package;
use crate::repository::folder::Folder;

/// A package and its folder.
pub(crate) struct Site<'a> {
    pub(crate) folder: &'a Folder<'a>,
    pub(crate) package: &'a Package,
}

/// Names of scripts that build, the usual one first.
const BUILDS: &[&str] = &[
    "build",
    "build:prod",
    "build:production",
    "build:ssr",
    "build:web",
    "build:client",
    "build:app",
    "docs:build",
    "build:docs",
    "compile",
    "heroku-postbuild",
    "gcp-build",
    "export",
    "generate",
];

impl Site<'_> {
    /// The script that builds.
    pub(crate) fn build_script(&self) -> Option<&'static str> {
        if let Some(name) = self.image_script() {
            return Some(name);
        }
        BUILDS.iter().copied().find(|name| {
            let script = self.package.script(name);
            // `export` and `generate` are names of other things as well.
            let generic = matches!(*name, "export" | "generate");
            script.is_some_and(|script| !generic || self.makes_site(script))
        })
    }

    /// A script that builds without what only a developer's machine has. Some of these names build images.
    fn image_script(&self) -> Option<&'static str> {
        self.package.script("build")?;
        ["build-docker", "build:docker"].into_iter().find(|name| {
            let script = self.package.script(name).unwrap_or_default();
            let tools = ["docker", "docker-compose", "podman", "nixpacks"];
            let all = commands(script, self.package);
            !all.is_empty()
                && all
                    .iter()
                    .all(|command| !tools.contains(&command.program()))
        })
    }

    fn makes_site(&self, script: &str) -> bool {
        commands(script, self.package).iter().any(|command| {
            matches!(
                command.program(),
                "next" | "nuxt" | "nuxi" | "expo" | "eleventy" | "hexo"
            )
        })
    }

    /// What the script that builds does.
    pub(crate) fn build_commands(&self) -> Vec<ScriptCommand> {
        let script = self
            .build_script()
            .and_then(|name| self.package.script(name));
        commands(script.unwrap_or_default(), self.package)
    }

    /// The command of any script that builds with this program.
    pub(crate) fn build_by(&self, program: &str) -> Option<ScriptCommand> {
        let builds =
            |command: &ScriptCommand| command.program() == program && kind(command) == Kind::Build;
        let first = self.build_commands().into_iter().find(builds);
        first.or_else(|| {
            let scripts = self
                .package
                .scripts()
                .filter_map(|name| self.package.script(name));
            let mut all = scripts.flat_map(|script| commands(script, self.package));
            all.find(builds)
        })
    }

    /// Whether a script starts this program.
    pub(crate) fn calls(&self, program: &str) -> bool {
        let scripts = self
            .package
            .scripts()
            .filter_map(|name| self.package.script(name));
        scripts
            .flat_map(|script| commands(script, self.package))
            .any(|command| command.program() == program)
    }
}
