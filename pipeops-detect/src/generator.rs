//! Generates Dockerfiles for repositories that have none.

use serde::{Deserialize, Serialize};

use crate::Detection;
use crate::generate::app::{App, UID};
use crate::generate::error::GenerateError;
use crate::generate::ignore;
use crate::generate::images::BaseImages;
use crate::generate::script::{Reason, Script};
use crate::generate::secret::BuildSecret;
use crate::generate::secrets;
use crate::languages;
use crate::plan::Plan;
use crate::repository::folder::Folder;
use pipeops_core::source::SourceTree;

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
    /// The secrets that the build takes, where the repository refers to private package registries. A build without one of them still runs.
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
    let rules = languages::rules(language);
    let plan = Plan::of(detection, (rules.detect)(&folder).plan);
    let app = App {
        folder,
        detection,
        plan,
        images,
        language,
    };
    let mut script = Script::new(images.frontend());
    for secret in secrets::needed(&app) {
        script.secret(secret);
    }
    (rules.recipe)(&app, &mut script)?;
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

#[cfg(test)]
mod tests;
