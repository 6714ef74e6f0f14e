//! Node.js: dependencies first, then the build, then only what runs.

use serde_json::Value;

use super::script::{Script, quote};
use super::{App, GenerateError, static_site};

pub(super) fn write(app: &App<'_>, script: &mut Script) -> Result<(), GenerateError> {
    let node = Node::read(app);
    if let Some(output) = &app.detection.output {
        build(&node, script);
        let output = format!("/app/{}", output.trim_start_matches("./"));
        static_site::serve(app, script, &output);
        return Ok(());
    }
    let start = node.start(app.start()?);
    let builds = node.has_dependencies || app.detection.build.is_some();
    if builds {
        build(&node, script);
    }
    script.stage(
        &app.image(node.role("run")),
        None,
        "the image that runs: no package cache, no build tools",
    );
    app.environment(
        script,
        &[
            ("NODE_ENV", "production"),
            ("PATH", "/app/node_modules/.bin:$PATH"),
        ],
    );
    script.line("WORKDIR /app", "the app's folder");
    let copy = if builds {
        "COPY --from=build /app ./"
    } else {
        "COPY . ."
    };
    script.line(copy, "owned by root: the app cannot change itself");
    app.run(script, &start);
    Ok(())
}

struct Node<'a> {
    app: &'a App<'a>,
    package: Value,
    has_dependencies: bool,
}

/// How a package manager is used.
struct Manager {
    /// The command that brings it into the image, if the image lacks it.
    setup: Option<String>,
    /// Where it keeps downloads.
    cache: &'static str,
    /// Installs without what only developers need.
    only_production: String,
    /// Removes what only developers need.
    prune: &'static str,
}

impl<'a> Node<'a> {
    fn read(app: &'a App<'a>) -> Self {
        let package = app.folder.json("package.json").unwrap_or_default();
        let some = |kind: &str| {
            package
                .get(kind)
                .and_then(Value::as_object)
                .is_some_and(|all| !all.is_empty())
        };
        let has_dependencies = some("dependencies")
            || some("devDependencies")
            || some("optionalDependencies")
            || package.get("workspaces").is_some();
        Self {
            app,
            has_dependencies: has_dependencies || app.folder.has("pnpm-workspace.yaml"),
            package,
        }
    }

    fn role(&self, role: &str) -> &'static str {
        match (self.app.manager(), role) {
            ("bun", "build") => "bun.build",
            ("bun", _) => "bun.run",
            (_, "build") => "nodejs.build",
            _ => "nodejs.run",
        }
    }

    fn script(&self, name: &str) -> Option<&str> {
        self.package.get("scripts")?.get(name)?.as_str()
    }

    /// The command of a script instead of `npm run …`: one process less, which would stand between signals and the app.
    fn start(&self, start: &str) -> String {
        let called = ["npm run ", "pnpm run ", "yarn run ", "bun run "]
            .iter()
            .find_map(|run| start.strip_prefix(run));
        let Some(name) = called else {
            return start.to_owned();
        };
        let alone = self.script(&format!("pre{name}")).is_none()
            && self.script(&format!("post{name}")).is_none();
        match self.script(name).filter(|_| alone) {
            // A script that calls another one needs the manager.
            Some(script)
                if !["npm ", "pnpm ", "yarn "]
                    .iter()
                    .any(|manager| script.contains(manager)) =>
            {
                script.to_owned()
            }
            _ if self.app.manager() == "bun" => start.to_owned(),
            // npm is in the image, whichever manager installed.
            _ => format!("npm run {name}"),
        }
    }

    /// Whether installing runs scripts or reads files of the sources.
    fn needs_sources(&self) -> Option<&'static str> {
        if self.package.get("workspaces").is_some() || self.app.folder.has("pnpm-workspace.yaml") {
            return Some("the members of the workspace are needed to install");
        }
        let hooks = ["preinstall", "install", "postinstall", "prepare"];
        if hooks.iter().any(|hook| self.script(hook).is_some()) {
            return Some("a script of the project runs when dependencies are installed");
        }
        let text = self.package.to_string();
        (text.contains("\"file:") || text.contains("\"link:"))
            .then_some("a dependency is a folder of the project")
    }

    /// Whether the app is started by something that only developers' dependencies bring.
    fn starts_by_dev_dependency(&self) -> bool {
        let start = self
            .app
            .detection
            .start
            .as_deref()
            .map(|start| self.start(start))
            .unwrap_or_default();
        let dev = self
            .package
            .get("devDependencies")
            .and_then(Value::as_object);
        let words: Vec<&str> = start.split([' ', '/', '=']).collect();
        dev.is_some_and(|dev| {
            dev.keys()
                .any(|name| words.contains(&name.rsplit('/').next().unwrap_or(name)))
        })
    }

    fn manager(&self) -> Manager {
        let install = self
            .app
            .detection
            .install
            .as_deref()
            .unwrap_or("npm install");
        let told = self.package.get("packageManager").and_then(Value::as_str);
        let told = told
            .and_then(|told| told.split_once('@'))
            .map(|(_, version)| version);
        let version = |default: &str| {
            let version = told
                .and_then(|told| told.split('+').next())
                .unwrap_or(default);
            quote(version)
        };
        match self.app.manager() {
            "pnpm" => Manager {
                setup: Some(format!("npm install --global pnpm@{}", version("10"))),
                cache: "/root/.local/share/pnpm/store",
                only_production: format!("{install} --prod"),
                prune: "CI=true pnpm prune --prod --ignore-scripts",
            },
            "yarn" if self.app.folder.has(".yarnrc.yml") => Manager {
                setup: Some(format!(
                    "npm install --global --force @yarnpkg/cli-dist@{}",
                    version("4")
                )),
                cache: "/root/.yarn/berry/cache",
                only_production: "yarn workspaces focus --all --production".to_owned(),
                prune: "yarn workspaces focus --all --production",
            },
            "yarn" => Manager {
                setup: Some(format!(
                    "npm install --global --force yarn@{}",
                    version("1.22.22")
                )),
                cache: "/usr/local/share/.cache/yarn",
                only_production: format!("{install} --production"),
                prune: "yarn install --production --ignore-scripts --prefer-offline",
            },
            "bun" => Manager {
                setup: None,
                cache: "/root/.bun/install/cache",
                only_production: format!("{install} --production"),
                prune: "rm -rf node_modules && bun install --production --ignore-scripts",
            },
            _ => Manager {
                setup: None,
                cache: "/root/.npm",
                only_production: format!("{install} --omit=dev"),
                prune: "npm prune --omit=dev --ignore-scripts",
            },
        }
    }

    /// The files that decide the dependencies.
    fn manifests(&self) -> String {
        const FILES: &[&str] = &[
            "package.json",
            "package-lock.json",
            "npm-shrinkwrap.json",
            "pnpm-lock.yaml",
            "yarn.lock",
            "bun.lock",
            "bun.lockb",
            ".npmrc",
            ".yarnrc.yml",
        ];
        let files: Vec<&str> = FILES
            .iter()
            .copied()
            .filter(|file| self.app.folder.has(file))
            .collect();
        files.join(" ")
    }
}

/// The first stage: dependencies, then the build.
fn build(node: &Node<'_>, script: &mut Script) {
    let app = node.app;
    let manager = node.manager();
    let build = app.detection.build.as_deref();
    script.stage(
        &app.image(node.role("build")),
        Some("build"),
        "dependencies and build in a stage of their own",
    );
    script.line("WORKDIR /app", "the same folder as in the image that runs");
    if let Some(setup) = &manager.setup {
        script.run(
            &["/root/.npm"],
            setup,
            "the package manager that wrote the lock file",
        );
    }
    let copied = copy_manifests(node, script);
    // Scripts of the project may need what only developers need.
    let keep_all = build.is_some() || copied || node.starts_by_dev_dependency();
    if node.has_dependencies {
        let install = app.detection.install.as_deref().unwrap_or("npm install");
        let install = if keep_all {
            install
        } else {
            &manager.only_production
        };
        script.run(
            &[manager.cache],
            install,
            "the cache mount keeps downloads between builds, outside of the image",
        );
    }
    if !copied {
        script.line("COPY . .", "the sources last: they change most often");
    }
    if let Some(build) = build {
        script.run(&[], build, "the project's own build");
    }
    let serves_files = app.detection.output.is_some();
    if node.has_dependencies && keep_all && !serves_files && !node.starts_by_dev_dependency() {
        script.run(
            &[manager.cache],
            manager.prune,
            "what only the build needed does not run",
        );
    }
}

/// Copies what installing needs; true when these are all sources.
fn copy_manifests(node: &Node<'_>, script: &mut Script) -> bool {
    let yarn_release = node
        .app
        .folder
        .has_dir(".yarn")
        .then_some("the project brings its own Yarn");
    if let Some(why) = node.needs_sources().or(yarn_release) {
        script.line("COPY . .", why);
        return true;
    }
    let manifests = node.manifests();
    if node.has_dependencies && !manifests.is_empty() {
        script.line(
            &format!("COPY {manifests} ./"),
            "only what decides the dependencies: a change of sources keeps the next layer cached",
        );
    }
    false
}
