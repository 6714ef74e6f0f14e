//! The front end of a server in another language: its package, its package manager, and the script that builds it.

use super::command::{ScriptCommand, commands};
use super::config::inside;
use super::glob::matches;
use super::kind::{Kind, kind};
use super::package::{Package, texts};
use super::site::Site;
use super::{manager, version};
use crate::findings::{Findings, weight};
use crate::plan::Command;
use crate::repository::folder::Folder;

/// Names of scripts that build where no usual one does. They may do something else as well: what they run decides.
const BUILDS: &[&str] = &[
    "production",
    "prod",
    "deploy",
    "assets",
    "assets:build",
    "build:assets",
    "build:css",
    "build:js",
];

/// A front end beside or below a server.
#[derive(Debug)]
pub(crate) struct Frontend<'a> {
    /// Its folder, from the server's; empty is the same.
    pub(crate) dir: String,
    pub(crate) folder: Folder<'a>,
    pub(crate) package: Package,
    /// `npm`, `pnpm`, `yarn` or `bun`.
    pub(crate) manager: &'static str,
    /// The root of the workspace that it belongs to: its packages are installed there.
    pub(crate) home: Option<(Folder<'a>, Package)>,
    /// The script that builds where it is there, whatever else is.
    preferred: Option<String>,
    /// The version of Node.js, or of Bun where that is the manager, and the file that asks for it.
    asked: Option<(String, String)>,
}

impl<'a> Frontend<'a> {
    /// The front end in a folder of the server, if there is one.
    pub(crate) fn read(server: &Folder<'a>, dir: &str) -> Option<Self> {
        let folder = server.sub(dir);
        let package = Package::read(&folder)?;
        let home = home(server, dir, &folder);
        let manager = match &home {
            Some((root, own)) => manager::name(root, own),
            None => manager::name(&folder, &package),
        };
        let version = match manager {
            "bun" => version::bun,
            _ => version::version,
        };
        let at = |file: &str| match dir {
            "" => file.to_owned(),
            dir => format!("{dir}/{file}"),
        };
        let own = version(&folder, &package).map(|(file, version)| (at(file), version));
        // Version managers search the folders above.
        let above = || version(server, &Package::default());
        let asked = own.or_else(|| above().map(|(file, version)| (file.to_owned(), version)));
        Some(Self {
            dir: dir.to_owned(),
            folder,
            manager,
            home,
            preferred: None,
            asked,
            package,
        })
    }

    /// Builds by this script, if it is there and builds: the one that the server's framework calls.
    pub(crate) fn prefer(mut self, script: &str) -> Self {
        self.preferred = self.builds(script).then(|| script.to_owned());
        self
    }

    /// The version that the project asks for.
    pub(crate) fn version(&self) -> Option<&str> {
        self.asked.as_ref().map(|(_, version)| version.as_str())
    }

    /// A file of it, from the server's folder.
    pub(crate) fn at(&self, file: &str) -> String {
        match self.dir.as_str() {
            "" => file.to_owned(),
            dir => format!("{dir}/{file}"),
        }
    }

    /// The folder that packages are installed in, its package, and its path from the server's folder.
    pub(crate) fn installed(&self) -> (&Folder<'a>, &Package, &str) {
        match &self.home {
            Some((folder, package)) => (folder, package, ""),
            None => (&self.folder, &self.package, &self.dir),
        }
    }

    /// The command that installs what it depends on, for a shell in that folder.
    pub(crate) fn install(&self) -> &'static str {
        let (folder, package, _) = self.installed();
        manager::install(self.manager, folder, package)
    }

    /// Whether its build needs files outside of its folder, as far as its settings say.
    pub(crate) fn reaches_out(&self) -> bool {
        let ends = [".json", ".js", ".ts", ".mjs", ".mts", ".cjs"];
        let settings =
            |name: &&str| ends.iter().any(|end| name.ends_with(end)) && !name.contains("lock");
        let mut all = self.folder.ending("").filter(settings).take(40);
        self.home.is_some()
            || all.any(|name| {
                self.folder
                    .text(name)
                    .is_some_and(|text| text.contains("../"))
            })
    }

    /// Whether its script bundles files for browsers: others may release, lint or document.
    pub(crate) fn bundles(&self) -> bool {
        const BUNDLERS: &[&str] = &[
            "encore",
            "esbuild",
            "gulp",
            "grunt",
            "lessc",
            "mix",
            "ng",
            "parcel",
            "postcss",
            "react-scripts",
            "rollup",
            "rsbuild",
            "rspack",
            "sass",
            "tailwindcss",
            "vite",
            "vue-cli-service",
            "webpack",
            "webpack-cli",
        ];
        let bundles = |command: &ScriptCommand| BUNDLERS.contains(&command.program());
        self.script()
            .is_some_and(|script| self.any(script, bundles))
    }

    /// Folders that its script says it builds into.
    pub(crate) fn outputs(&self) -> Vec<String> {
        let script = self.script().and_then(|name| self.package.script(name));
        let all = commands(script.unwrap_or_default(), &self.package);
        let told = all.iter().filter_map(|command| {
            let dir = command.option(&["--outdir", "--outDir", "--out-dir", "--dist-dir", "-d"]);
            let file = command.option(&["--outfile", "-o", "--output"]);
            let of_file = file.and_then(|file| Some(file.rsplit_once('/')?.0));
            inside("", dir.or(of_file)?)
        });
        told.collect()
    }

    /// The script that builds it.
    pub(crate) fn script(&self) -> Option<&str> {
        let site = Site {
            folder: &self.folder,
            package: &self.package,
        };
        let usual = self.preferred.as_deref().or_else(|| site.build_script());
        let by_name = || BUILDS.iter().copied().find(|name| self.builds(name));
        usual.or_else(by_name).or_else(|| {
            // Whatever its name is, it says that it builds for production.
            let mut names = self.package.scripts();
            names.find(|name| self.any(name, is_production))
        })
    }

    /// The command that builds it, for a shell in its folder.
    pub(crate) fn build(&self) -> Option<Command> {
        if let Some(script) = self.script() {
            return Some(Command::new(self.manager).arg("run").target(script));
        }
        let encore = self.package.depends("@symfony/webpack-encore");
        encore.then(|| Command::new("npx encore production"))
    }

    /// The same for a shell in the server's folder.
    pub(crate) fn build_from_server(&self) -> Option<Command> {
        let (script, dir) = (self.script()?, self.dir.as_str());
        if dir.is_empty() {
            return self.build();
        }
        let run = Command::new(self.manager);
        Some(match self.manager {
            "pnpm" => run.arg("--dir").arg(dir).arg("run").target(script),
            "yarn" => run.arg("--cwd").arg(dir).arg("run").target(script),
            "bun" => run.args("run --cwd").arg(dir).target(script),
            _ => run.args("run --prefix").arg(dir).target(script),
        })
    }

    /// Says what builds it and with which version.
    pub(crate) fn describe(&self, found: &mut Findings, server: &Folder<'_>) {
        for (file, says) in self.facts() {
            found.add(weight::NONE, server, &file, says);
        }
    }

    /// What builds it and with which version: files from the server's folder, and what they say.
    pub(crate) fn facts(&self) -> Vec<(String, String)> {
        let Some(build) = self.build() else {
            return Vec::new();
        };
        let says = format!("browser assets: built by `{}`", build.shell());
        let mut facts = vec![(self.at(self.package.file), says)];
        if let Some((file, version)) = &self.asked {
            let tool = match self.manager {
                "bun" => "Bun",
                _ => "Node.js",
            };
            let says = format!("asks for {tool} {version}, which builds the browser assets");
            facts.push((file.clone(), says));
        }
        facts
    }

    fn builds(&self, script: &str) -> bool {
        self.any(script, |command| {
            is_production(command) || kind(command) == Kind::Build && !is_trivial(command)
        })
    }

    fn any(&self, script: &str, test: impl Fn(&ScriptCommand) -> bool) -> bool {
        let text = self.package.script(script).unwrap_or_default();
        commands(text, &self.package).iter().any(test)
    }
}

/// The workspace of the server's folder that a package without a lockfile of its own belongs to.
fn home<'a>(server: &Folder<'a>, dir: &str, folder: &Folder<'_>) -> Option<(Folder<'a>, Package)> {
    const LOCKS: &[&str] = &[
        "package-lock.json",
        "npm-shrinkwrap.json",
        "yarn.lock",
        "pnpm-lock.yaml",
        "bun.lock",
        "bun.lockb",
    ];
    if dir.is_empty() || folder.first(LOCKS).is_some() {
        return None;
    }
    let root = server.sub("");
    let package = Package::read(&root)?;
    let mut patterns = package.workspaces();
    patterns.extend(texts(
        root.yaml("pnpm-workspace.yaml")["packages"].as_array(),
    ));
    let is_member = patterns.iter().any(|pattern| {
        let pattern = pattern.trim_start_matches("./").trim_end_matches('/');
        matches(&pattern.split('/').collect::<Vec<_>>(), dir)
    });
    is_member.then_some((root, package))
}

/// Builders for production that only servers in other languages use: Symfony's Encore and Laravel's Mix.
fn is_production(command: &ScriptCommand) -> bool {
    let first = command.argument(0);
    match command.program() {
        "encore" => matches!(first, "production" | "prod"),
        "mix" => first == "--production" || command.has("--production"),
        _ => false,
    }
}

fn is_trivial(command: &ScriptCommand) -> bool {
    [
        "cp", "echo", "mkdir", "mv", "rm", "rimraf", "husky", "eslint", "prettier",
    ]
    .contains(&command.program())
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipeops_core::source::MemTree;

    #[test]
    fn scripts_that_build_have_many_names() {
        for (scripts, expected) in [
            (r#"{"build": "vite build"}"#, Some("build")),
            (
                r#"{"build:dev": "encore dev", "build:prod": "encore production"}"#,
                Some("build:prod"),
            ),
            (
                r#"{"dev": "encore dev", "production": "mix --production"}"#,
                Some("production"),
            ),
            (
                r#"{"prod": "npm run production", "production": "mix --production"}"#,
                Some("production"),
            ),
            (
                r#"{"prod": "npm run make", "make": "encore prod"}"#,
                Some("prod"),
            ),
            (
                r#"{"watch": "encore dev --watch", "compile-all": "encore production --progress"}"#,
                Some("compile-all"),
            ),
            (r#"{"deploy": "webpack --mode production"}"#, Some("deploy")),
            (
                r#"{"deploy": "netlify deploy", "prod": "node server.js"}"#,
                None,
            ),
            (r#"{"dev": "vite", "lint": "eslint ."}"#, None),
        ] {
            let package = format!("{{\"scripts\": {scripts}}}");
            let tree = MemTree::from([("package.json", package.as_str())]);
            let frontend = Frontend::read(&Folder::open(&tree, ""), "").unwrap();
            assert_eq!(frontend.script(), expected, "{scripts}");
        }
    }

    #[test]
    fn managers_run_scripts_of_a_folder() {
        for (lock, expected) in [
            ("package-lock.json", "npm run --prefix assets build"),
            ("pnpm-lock.yaml", "pnpm --dir assets run build"),
            ("yarn.lock", "yarn --cwd assets run build"),
            ("bun.lock", "bun run --cwd assets build"),
        ] {
            let lock = format!("assets/{lock}");
            let tree = MemTree::from([
                (
                    "assets/package.json",
                    r#"{"scripts": {"build": "vite build"}}"#,
                ),
                (lock.as_str(), ""),
            ]);
            let frontend = Frontend::read(&Folder::open(&tree, ""), "assets").unwrap();
            let build = frontend.build_from_server().unwrap();
            assert_eq!(build.shell(), expected);
        }
    }

    #[test]
    fn members_of_a_workspace_are_installed_from_its_root() {
        let tree = MemTree::from([
            ("package.json", r#"{"workspaces": ["frontend"]}"#),
            ("bun.lock", ""),
            (
                "frontend/package.json",
                r#"{"scripts": {"build": "vite build"}}"#,
            ),
            ("other/package.json", "{}"),
        ]);
        let root = Folder::open(&tree, "");
        let member = Frontend::read(&root, "frontend").unwrap();
        assert_eq!((member.manager, member.installed().2), ("bun", ""));
        assert_eq!(member.install(), "bun install --frozen-lockfile");
        let other = Frontend::read(&root, "other").unwrap();
        assert_eq!((other.manager, other.installed().2), ("npm", "other"));
    }

    #[test]
    fn versions_are_asked_for_beside_it_or_above() {
        for (files, expected) in [
            (
                &[("web/.nvmrc", "20"), (".nvmrc", "18")] as &[_],
                Some("20"),
            ),
            (
                &[(".tool-versions", "ruby 3.4.1\nnodejs 24.1.0")],
                Some("24.1.0"),
            ),
            (
                &[
                    ("web/bun.lock", ""),
                    (".bun-version", "1.2.4"),
                    (".nvmrc", "18"),
                ],
                Some("1.2.4"),
            ),
            (&[], None),
        ] {
            let package = [("web/package.json", "{}")];
            let tree: MemTree = files.iter().copied().chain(package).collect();
            let frontend = Frontend::read(&Folder::open(&tree, ""), "web").unwrap();
            assert_eq!(frontend.version(), expected, "{files:?}");
        }
    }
}
