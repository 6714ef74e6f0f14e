//! Dockerfiles for repositories that have none.

use serde::{Deserialize, Serialize};

use crate::folder::Folder;
use crate::{Detection, Language};
use pipeops_core::diagnosis::{Diagnose, Diagnosis};
use pipeops_core::source::SourceTree;

mod assets;
mod clojure;
mod cobol;
mod cpp;
mod crystal;
mod dart;
mod data;
mod debian;
mod deno;
mod dotnet;
mod elixir;
mod gleam;
mod go;
mod haskell;
mod ignore;
mod images;
mod java;
mod nodejs;
mod php;
mod php_runtime;
mod program;
mod python;
mod python_install;
mod python_libraries;
mod ruby;
mod rust;
mod rust_system;
mod scala;
mod scheme;
mod script;
mod secrets;
mod server_config;
mod shell;
mod static_site;
mod swift;
mod zig;

pub use images::BaseImages;
use script::Script;
pub use secrets::{BuildSecret, SecretTarget};

/// The user that generated images run as: `nonroot` of the distroless images, and nobody's number elsewhere.
const UID: u32 = 65532;

/// A generated Dockerfile with its reasons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Generated {
    /// The Dockerfile. Its build context is the app's folder ([`Detection::path`]).
    pub dockerfile: String,
    /// The `.dockerignore` beside it: the tree's own where there is one.
    pub dockerignore: String,
    /// The port that the app listens on, as [`Detection::port`] says; also in the variable `PORT`.
    pub port: Option<u16>,
    /// The numeric user that the app runs as. Never 0.
    pub uid: u32,
    /// Why each line is there.
    pub reasons: Vec<Reason>,
    /// The base images, as its `FROM` lines name them, sorted.
    pub images: Vec<String>,
    /// The secrets that the build takes, where the repository refers to private package registries. A build that is not
    /// given one of them goes on without it.
    pub secrets: Vec<BuildSecret>,
}

impl Generated {
    /// The Dockerfile with the reason of each line above it, as comments.
    pub fn explained(&self) -> String {
        let mut text = String::new();
        let mut pragma = None;
        for (index, line) in self.dockerfile.lines().enumerate() {
            let here = |reason: &&Reason| reason.line == index + 1;
            for reason in self.reasons.iter().filter(here) {
                text.push_str("# ");
                text.push_str(&reason.why);
                text.push('\n');
            }
            // A linter's pragma counts for the next line only: nothing may come between them.
            if line.starts_with("# hadolint") {
                pragma = Some(line);
                continue;
            }
            for line in pragma.take().into_iter().chain([line]) {
                text.push_str(line);
                text.push('\n');
            }
        }
        text
    }
}

/// Why a line is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Reason {
    /// The line of the Dockerfile, from 1. An instruction of several lines has its reason at the first one.
    pub line: usize,
    /// Why it is there.
    pub why: String,
}

/// Why no Dockerfile could be generated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GenerateError {
    /// No language was detected.
    #[error("no language was detected in `{path}`")]
    NoLanguage {
        /// The folder that was looked at.
        path: String,
        /// Apps that stand side by side in it.
        apps: Vec<String>,
    },
    /// Nothing says how the app is started.
    #[error("a {language} project in `{path}`, but nothing says how it is started")]
    NoStart {
        /// Its language.
        language: Language,
        /// The app's folder.
        path: String,
    },
}

impl Diagnose for GenerateError {
    fn diagnosis(&self) -> Diagnosis {
        let diagnosis = Diagnosis::new("Build failed: no Dockerfile").error(self.to_string());
        let own = "Or put a Dockerfile into the repository: it is used as it is";
        match self {
            Self::NoLanguage { apps, .. } if !apps.is_empty() => diagnosis
                .reason(format!(
                    "several apps stand side by side: {}",
                    apps.join(", ")
                ))
                .fix("Choose one of them by the project's path, or make one project for each")
                .fix(own)
                .run("pipeops detect --path FOLDER"),
            Self::NoLanguage { .. } => diagnosis
                .reason("no file decides a language")
                .fix("Set the language in the project's settings")
                .fix(own)
                .run("pipeops detect"),
            Self::NoStart { .. } => diagnosis
                .reason("there is no start script, no Procfile, and no file of a usual name")
                .fix("Add a Procfile with a line `web: COMMAND`")
                .fix(own)
                .run("pipeops detect"),
        }
    }
}

/// A Dockerfile for the app that was detected.
///
/// The same tree, detection and images give the same text, byte for byte. The text is meant to be read, and to be committed
/// if you want to own it: pinned base images, several stages, dependencies before sources, cache mounts, a numeric user, and
/// a command in exec form that listens on `$PORT`.
///
/// ```
/// use pipeops_detect::{Detector, LanguageDetector};
/// use pipeops_detect::{BaseImages, generate};
/// use pipeops_core::source::MemTree;
///
/// let tree = MemTree::from([("package.json", r#"{"scripts": {"start": "node server.js"}}"#), ("server.js", "")]);
/// let generated = generate(&tree, &Detector::new().detect(&tree), &BaseImages::default())?;
/// assert!(generated.dockerfile.contains("FROM node:22-slim\n"));
/// assert!(generated.dockerfile.ends_with("CMD [\"node\", \"server.js\"]\n"));
/// # Ok::<(), pipeops_detect::GenerateError>(())
/// ```
///
/// # Errors
/// When there is no language, no recipe for it, or nothing that says how the app is started.
pub fn generate(
    tree: &dyn SourceTree,
    detection: &Detection,
    images: &BaseImages,
) -> Result<Generated, GenerateError> {
    let folder = Folder::open(tree, &detection.path);
    let path = folder.path().to_owned();
    let apps = detection.apps.clone();
    let language = detection
        .language
        .ok_or(GenerateError::NoLanguage { path, apps })?;
    let app = App {
        folder,
        detection,
        images,
        language,
    };
    let mut script = Script::new(images.frontend());
    for secret in secrets::needed(&app) {
        script.secret(secret);
    }
    app.write(&mut script)?;
    let finished = script.finish();
    Ok(Generated {
        dockerfile: finished.text,
        dockerignore: ignore::text(&app),
        port: detection.port,
        uid: UID,
        reasons: finished.reasons,
        images: finished.images,
        secrets: finished.secrets,
    })
}

/// What the recipes look at.
struct App<'a> {
    folder: Folder<'a>,
    detection: &'a Detection,
    images: &'a BaseImages,
    language: Language,
}

impl App<'_> {
    fn write(&self, script: &mut Script) -> Result<(), GenerateError> {
        match self.language {
            Language::Nodejs => nodejs::write(self, script),
            Language::Python => python::write(self, script),
            Language::Go => go::write(self, script),
            Language::Java => java::write(self, script),
            Language::Rust => rust::write(self, script),
            Language::Ruby => ruby::write(self, script),
            Language::Php => php::write(self, script),
            Language::Dotnet => dotnet::write(self, script),
            Language::Deno => deno::write(self, script),
            Language::Scala => scala::write(self, script),
            Language::Clojure => clojure::write(self, script),
            Language::Elixir => elixir::write(self, script),
            Language::Static => static_site::write(self, script),
            Language::Gleam => gleam::write(self, script),
            Language::Crystal => crystal::write(self, script),
            Language::Dart => dart::write(self, script),
            Language::Swift => swift::write(self, script),
            Language::Haskell => haskell::write(self, script),
            Language::Zig => zig::write(self, script),
            Language::Cpp => cpp::write(self, script),
            Language::Cobol => cobol::write(self, script),
            Language::Scheme => scheme::write(self, script),
            Language::Shell => shell::write(self, script),
            other => unreachable!("no recipe for {other}"),
        }
    }

    /// The image of a role for the version that the project asks for.
    fn image(&self, role: &str) -> String {
        self.images.image(role, self.detection.version.as_deref())
    }

    fn framework(&self) -> &str {
        self.detection.framework.as_deref().unwrap_or_default()
    }

    fn manager(&self) -> &str {
        self.detection
            .package_manager
            .as_deref()
            .unwrap_or_default()
    }

    fn start(&self) -> Result<&str, GenerateError> {
        let start = self.detection.start.as_deref();
        start.ok_or_else(|| GenerateError::NoStart {
            language: self.language,
            path: self.folder.path().to_owned(),
        })
    }

    /// The settings that every image has, and those of the recipe.
    fn environment(&self, script: &mut Script, own: &[(&str, &str)]) {
        let port = self.detection.port.map(|port| port.to_string());
        let mut pairs: Vec<(&str, &str)> = own.to_vec();
        // The user has no entry in /etc/passwd, and no folder but /tmp that it may write to.
        pairs.push(("HOME", "/tmp"));
        if let Some(port) = &port {
            pairs.push(("PORT", port));
        }
        script.environment(
            &pairs,
            "settings of the running app; PORT is where it must listen",
        );
    }

    /// User, port and command: the end of every image.
    fn run(&self, script: &mut Script, command: &str) {
        self.user_and_port(script);
        script.command(command, "exec form: the app gets SIGTERM itself");
    }

    fn user_and_port(&self, script: &mut Script) {
        script.line(
            &format!("USER {UID}:{UID}"),
            "a number: Kubernetes can see that it is not root",
        );
        if let Some(port) = self.detection.port {
            script.line(
                &format!("EXPOSE {port}"),
                "the port that the app listens on",
            );
        }
    }
}

#[cfg(test)]
mod tests;
