//! Browser assets of servers in other languages: a separate stage builds them with Node.js.

use serde_json::Value;

use super::app::App;
use super::script::Script;

/// How the front end beside a server is installed and built.
pub(crate) struct Frontend {
    /// What is copied before the sources.
    pub(crate) manifests: String,
    /// Brings the package manager, where the image lacks it.
    pub(crate) setup: Option<&'static str>,
    pub(crate) install: &'static str,
    pub(crate) cache: &'static str,
    /// Runs the script `build`, where there is one.
    pub(crate) build: Option<&'static str>,
}

/// Lock files, what they are copied with, and the commands: setup, install, cache, build.
type Row = (
    &'static str,
    Option<&'static str>,
    &'static str,
    &'static str,
    &'static str,
);

const MANAGERS: &[Row] = &[
    (
        "pnpm-lock.yaml",
        Some("npm install --global pnpm@10"),
        "pnpm install --frozen-lockfile",
        "/root/.local/share/pnpm/store",
        "pnpm run build",
    ),
    (
        "yarn.lock",
        Some("npm install --global --force yarn@1.22.22"),
        "yarn install --frozen-lockfile",
        "/usr/local/share/.cache/yarn",
        "yarn run build",
    ),
    (
        "package-lock.json",
        None,
        "npm ci",
        "/root/.npm",
        "npm run build",
    ),
];

impl Frontend {
    /// The front end in the app's own folder, if there is one.
    pub(crate) fn read(app: &App<'_>) -> Option<Self> {
        let package = app.folder.json("package.json")?;
        let builds = package
            .pointer("/scripts/build")
            .and_then(Value::as_str)
            .is_some();
        let row = MANAGERS.iter().find(|(lock, ..)| app.folder.has(lock));
        let &(lock, setup, install, cache, build) =
            row.unwrap_or(&("", None, "npm install", "/root/.npm", "npm run build"));
        let files = ["package.json", lock, ".npmrc"];
        Some(Self {
            manifests: app.present(&files).join(" "),
            setup,
            install,
            cache,
            build: builds.then_some(build),
        })
    }

    /// Installs what the front end depends on.
    pub(crate) fn install(&self, script: &mut Script) {
        if let Some(setup) = self.setup {
            script.run(
                &["/root/.npm"],
                setup,
                "the package manager that wrote the lockfile",
            );
        }
        script.line(
            &format!("COPY {} ./", self.manifests),
            "only the files that determine the front end's dependencies",
        );
        script.fetch(&[self.cache], self.install);
    }
}

/// Writes the stage `assets`, if a script builds something; true when it did. `needs` are folders of the stage `build`
/// that the front end imports from.
pub(crate) fn stage(app: &App<'_>, script: &mut Script, needs: &[&str]) -> bool {
    let Some(frontend) = Frontend::read(app) else {
        return false;
    };
    let Some(build) = frontend.build else {
        return false;
    };
    script.stage(
        &app.images.image("nodejs.build", None),
        Some("assets"),
        "a separate stage builds the browser assets; the app doesn't need Node.js at run time",
    );
    script.line("WORKDIR /app", "the app's directory");
    frontend.install(script);
    script.sources();
    for folder in needs {
        script.line(
            &format!("COPY --from=build /app/{folder} ./{folder}"),
            "the front end imports files from the server's packages",
        );
    }
    script.run(
        &[],
        &format!("{build} && rm -rf node_modules"),
        "runs the project's build; the final image gets only its output",
    );
    true
}
