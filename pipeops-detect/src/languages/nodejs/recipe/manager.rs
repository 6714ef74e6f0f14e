//! How package managers are used in an image.

use super::node::Node;
use crate::generate::script::quote;
use crate::languages::nodejs::manager::is_modern_yarn;
use crate::repository::version::{compare, number, shorten};

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
    pub(crate) fn of(node: &Node<'_>) -> Self {
        let install = node
            .app
            .detection
            .install
            .as_deref()
            .unwrap_or("npm install");
        match node.app.manager() {
            "pnpm" => pnpm(node, install),
            "yarn" if is_modern_yarn(&node.app.folder, &node.package) => modern_yarn(node),
            "yarn" => Self {
                setup: Some(format!(
                    "npm install --global --force yarn@{}",
                    told(node).unwrap_or_else(|| "1.22.22".to_owned())
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
                setup: told(node).map(|version| format!("npm install --global npm@{version}")),
                environment: Vec::new(),
                cache: "/root/.npm",
                add_adapter: "npm install --save-dev @sveltejs/adapter-node@5",
                only_production: format!("{install} --omit=dev"),
                prune: Some("npm prune --omit=dev --ignore-scripts".to_owned()),
            },
        }
    }
}

fn pnpm(node: &Node<'_>, install: &str) -> Manager {
    let version = told(node).unwrap_or_else(|| pnpm_version(node));
    // Pruning knows the root of a workspace only.
    let prune = match node.is_workspace() {
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
fn pnpm_version(node: &Node<'_>) -> String {
    let lock = node.app.folder.text("pnpm-lock.yaml").unwrap_or_default();
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
        .find_map(|key| node.package.text(key))
        .filter(|text| !text.contains(['<', '>', '*', '|']));
    if let Some(asked) = asked.and_then(number) {
        return shorten(&asked, 1);
    }
    let runs = |node: &str| match node {
        old if compare(old, "16").is_lt() => "7",
        old if compare(old, "18.12").is_lt() && compare(old, "18").is_ne() => "8",
        _ => "10",
    };
    let by_node = node.app.detection.version.as_deref().map_or("10", runs);
    by_lock.unwrap_or(by_node).to_owned()
}

fn modern_yarn(node: &Node<'_>) -> Manager {
    let settings = node.app.folder.text(".yarnrc.yml").unwrap_or_default();
    let mut environment = Vec::new();
    if !settings.lines().any(|line| {
        line.starts_with("nodeLinker:") && !line.contains("pnp")
            || line.starts_with("nodeLinker:") && line.contains("pnpm")
    }) {
        environment.push(("YARN_NODE_LINKER", "node-modules"));
    }
    // Packages that are committed need no cache.
    if node.app.folder.sub(".yarn/cache").is_empty() {
        environment.push(("YARN_ENABLE_GLOBAL_CACHE", "true"));
    }
    let version = told(node)
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
            false => node
                .app
                .detection
                .install
                .clone()
                .unwrap_or_else(|| "yarn install".to_owned()),
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

/// The version that `packageManager` tells.
fn told(node: &Node<'_>) -> Option<String> {
    let (name, version) = node.package.text("/packageManager")?.split_once('@')?;
    let version = version.split('+').next()?;
    (name == node.app.manager()).then(|| quote(version))
}
