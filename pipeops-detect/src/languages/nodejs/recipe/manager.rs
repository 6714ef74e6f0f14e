//! How package managers are used in an image.

use crate::generate::script::quote;
use crate::languages::nodejs::manager::is_modern_yarn;
use crate::languages::nodejs::package::Package;
use crate::repository::folder::Folder;
use crate::repository::version::{compare, managed, number, shorten};

/// Brings Bun beside Node.js, for scripts that call it.
pub(crate) const BUN_BESIDE: &str = "npm install --global bun@1";

/// A package, as its manager installs it.
pub(crate) struct Project<'a> {
    pub(crate) folder: &'a Folder<'a>,
    pub(crate) package: &'a Package,
    /// The manager's name.
    pub(crate) manager: &'a str,
    /// The command that installs.
    pub(crate) install: &'a str,
    /// The version of Node.js that the project asks for.
    pub(crate) version: Option<&'a str>,
    /// Whether it is the root of a workspace.
    pub(crate) workspace: bool,
}

/// How a package manager is used.
pub(crate) struct Manager {
    /// The command that brings it into the image, if the image lacks it.
    pub(crate) setup: Option<String>,
    /// Settings of it.
    pub(crate) environment: Vec<(&'static str, &'static str)>,
    /// Where it keeps downloads.
    pub(crate) cache: &'static str,
    /// Installs without what only developers need.
    pub(crate) only_production: String,
    /// Installs the adapter that SvelteKit's adapter-auto takes.
    pub(crate) add_adapter: &'static str,
    /// Removes what only developers need, where it can.
    pub(crate) prune: Option<String>,
}

impl Manager {
    pub(crate) fn of(project: &Project<'_>) -> Self {
        let install = project.install;
        match project.manager {
            "pnpm" => pnpm(project),
            "yarn" if is_modern_yarn(project.folder, project.package) => modern_yarn(project),
            "yarn" => Self {
                setup: Some(format!(
                    "npm install --global --force yarn@{}",
                    told(project).unwrap_or_else(|| "1.22.22".to_owned())
                )),
                environment: Vec::new(),
                cache: "/usr/local/share/.cache/yarn",
                add_adapter: "yarn add --dev @sveltejs/adapter-node@5",
                only_production: format!("{install} --production"),
                prune: Some(
                    "yarn install --production --ignore-scripts --prefer-offline".to_owned(),
                ),
            },
            "bun" => Self {
                setup: None,
                environment: Vec::new(),
                cache: "/root/.bun/install/cache",
                add_adapter: "bun add --dev @sveltejs/adapter-node@5",
                only_production: format!("{install} --production"),
                prune: Some(
                    "rm -rf node_modules && bun install --production --ignore-scripts".to_owned(),
                ),
            },
            _ => Self {
                setup: told(project).map(|version| format!("npm install --global npm@{version}")),
                environment: Vec::new(),
                cache: "/root/.npm",
                add_adapter: "npm install --save-dev @sveltejs/adapter-node@5",
                only_production: format!("{install} --omit=dev"),
                prune: Some("npm prune --omit=dev --ignore-scripts".to_owned()),
            },
        }
    }
}

fn pnpm(project: &Project<'_>) -> Manager {
    let install = project.install;
    let version = told(project).unwrap_or_else(|| pnpm_version(project));
    // Pruning knows the root of a workspace only.
    let prune = match project.workspace {
        true => format!("CI=true {install} --prod --ignore-scripts"),
        false => "CI=true pnpm prune --prod --ignore-scripts".to_owned(),
    };
    Manager {
        setup: Some(format!("npm install --global pnpm@{version}")),
        environment: Vec::new(),
        cache: "/root/.local/share/pnpm/store",
        add_adapter: "pnpm add --save-dev @sveltejs/adapter-node@5",
        only_production: format!("{install} --prod"),
        prune: Some(prune),
    }
}

/// The major version that reads the lock file, and runs on the project's Node.js.
fn pnpm_version(project: &Project<'_>) -> String {
    let lock = project.folder.text("pnpm-lock.yaml").unwrap_or_default();
    let line = lock
        .lines()
        .find_map(|line| line.strip_prefix("lockfileVersion:"));
    let by_lock = line.and_then(number).map(|version| match version.as_str() {
        "5.0" | "5.1" | "5.2" | "5.3" => "6",
        "5.4" => "7",
        version if version.starts_with('6') => "8",
        _ => "10",
    });
    let asked = [
        "/engines/pnpm",
        "/volta/pnpm",
        "/devEngines/packageManager/version",
    ];
    let asked = asked
        .iter()
        .find_map(|key| project.package.text(key))
        .filter(|text| !text.contains(['<', '>', '*', '|']));
    if let Some(asked) = asked.and_then(number) {
        return shorten(&asked, 1);
    }
    let runs = |node: &str| match node {
        old if compare(old, "16").is_lt() => "7",
        old if compare(old, "18.12").is_lt() && compare(old, "18").is_ne() => "8",
        _ => "10",
    };
    let by_node = project.version.map_or("10", runs);
    by_lock.unwrap_or(by_node).to_owned()
}

fn modern_yarn(project: &Project<'_>) -> Manager {
    let settings = project.folder.text(".yarnrc.yml").unwrap_or_default();
    let mut environment = Vec::new();
    if !settings.lines().any(|line| {
        line.starts_with("nodeLinker:") && !line.contains("pnp")
            || line.starts_with("nodeLinker:") && line.contains("pnpm")
    }) {
        environment.push(("YARN_NODE_LINKER", "node-modules"));
    }
    // Packages that are committed need no cache.
    if project.folder.sub(".yarn/cache").is_empty() {
        environment.push(("YARN_ENABLE_GLOBAL_CACHE", "true"));
    }
    let version = told(project)
        .or_else(|| release(&settings))
        .unwrap_or_else(|| "4".to_owned());
    let focus = "yarn workspaces focus --all --production".to_owned();
    // Before Yarn 4 the command is a plugin.
    let has_focus = !version.starts_with(['2', '3']) || settings.contains("workspace-tools");
    Manager {
        setup: Some(format!(
            "npm install --global --force @yarnpkg/cli-dist@{version}"
        )),
        environment,
        cache: "/root/.yarn/berry/cache",
        add_adapter: "yarn add --dev @sveltejs/adapter-node@5",
        only_production: match has_focus {
            true => focus.clone(),
            false => project.install.to_owned(),
        },
        prune: has_focus.then_some(focus),
    }
}

/// The version in `yarnPath: .yarn/releases/yarn-3.2.0.cjs`.
fn release(settings: &str) -> Option<String> {
    let path = settings
        .lines()
        .find_map(|line| line.strip_prefix("yarnPath:"))?;
    number(path.rsplit_once("yarn-")?.1)
}

/// The version that `packageManager` tells, or that version managers install.
fn told(project: &Project<'_>) -> Option<String> {
    let told = project.package.text("/packageManager");
    let told = told.and_then(|told| told.split_once('@'));
    let told = told.filter(|(name, _)| *name == project.manager);
    let version = told.and_then(|(_, version)| version.split('+').next());
    let installed = || match project.manager {
        "pnpm" | "yarn" => Some(managed(project.folder, &[project.manager])?.1),
        _ => None,
    };
    version.map(quote).or_else(installed)
}
