//! The generator of Dockerfiles, for repositories that have none.

use serde::{Deserialize, Serialize};

use crate::Detection;
use crate::encoding;
use crate::generate::app::{App, UID};
use crate::generate::error::GenerateError;
use crate::generate::ignore;
use crate::generate::images::BaseImages;
use crate::generate::script::{Reason, Script};
use crate::generate::secret::BuildSecret;
use crate::generate::secrets;
use crate::languages::{self, assets};
use crate::outside::{self, strangers};
use crate::repository::folder::Folder;
use crate::repository::snapshot::Snapshot;
use pipeops_core::source::SourceTree;

/// A generated Dockerfile, with the reason for each instruction. Created by [`generate`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Generated {
    /// The text of the Dockerfile. Its build context is the folder [`Detection::build_context`].
    pub dockerfile: String,
    /// The text of the `.dockerignore` for the same folder: the repository's own, if it has one. If that hides what this Dockerfile
    /// copies, because it was written for another one, it's the patterns that don't.
    pub dockerignore: String,
    /// The name of the file for [`dockerignore`](Self::dockerignore): `.dockerignore`, or `Dockerfile.dockerignore` if the repository's
    /// own `.dockerignore` hides what this Dockerfile copies. BuildKit reads it instead of `.dockerignore` for a file named `Dockerfile`
    /// beside it.
    pub dockerignore_name: String,
    /// The port that the app listens on, from [`Detection::port`]. The image sets `PORT` to it.
    pub port: Option<u16>,
    /// The numeric user and group ID that the app runs as: 65532, never root.
    pub uid: u32,
    /// The reason for each instruction, in file order.
    pub reasons: Vec<Reason>,
    /// The base images of the `FROM` lines, sorted, without duplicates.
    pub images: Vec<String>,
    /// The folders in the image that the app writes to, absolute, from [`Detection::writable`]. Where the root file system is
    /// read-only, they need volumes: pass them on as `writable_paths` of pipeops-manifest's `App`.
    #[serde(default)]
    pub writable_paths: Vec<String>,
    /// The build secrets that the Dockerfile mounts, for private package registries that the repository refers to. The mounts
    /// are optional: a build without a secret fails only if a download needs it.
    pub secrets: Vec<BuildSecret>,
}

impl Generated {
    /// The Dockerfile with the reason for each instruction in a comment above it. It builds like
    /// [`dockerfile`](Self::dockerfile).
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

/// Generates a Dockerfile for a detected app.
///
/// The Dockerfile has pinned base images, several stages, dependencies before sources, cache mounts, a numeric user, and a command
/// in exec form. A server listens on `$PORT`. The output is deterministic: the same tree, detection and images give the same
/// text, byte for byte. The text is readable, so you can also commit it and maintain it yourself.
///
/// `tree` must be the tree that was detected. The commands of `detection` are used as they are, so you can change them first.
///
/// ```
/// use pipeops_detect::source::MemTree;
/// use pipeops_detect::{BaseImages, Detector, generate};
///
/// let tree = MemTree::from([("package.json", r#"{"scripts": {"start": "node server.js"}}"#), ("server.js", "")]);
/// let generated = generate(&tree, &Detector::new().detect(&tree), &BaseImages::default())?;
/// assert!(generated.dockerfile.contains("FROM node:22-slim\n"));
/// assert!(generated.dockerfile.ends_with("CMD [\"node\", \"server.js\"]\n"));
/// # Ok::<(), pipeops_detect::GenerateError>(())
/// ```
///
/// # Errors
/// If `detection` has no language ([`GenerateError::NoLanguage`]) or no start command ([`GenerateError::NoStart`]), if the
/// install command of a .NET app names no project ([`GenerateError::NoProject`]), if the image can't run the start command
/// ([`GenerateError::StartCommand`]), if the build needs secrets that would stay in the image
/// ([`GenerateError::BuildSettings`]), or if the repository lacks something that its build needs
/// ([`GenerateError::Incomplete`]).
pub fn generate(
    tree: &dyn SourceTree,
    detection: &Detection,
    images: &BaseImages,
) -> Result<Generated, GenerateError> {
    let snapshot = Snapshot::new(tree);
    let folder = Folder::open(&snapshot, &detection.path);
    let path = folder.path().to_owned();
    let apps = detection.apps.clone();
    let language = detection
        .language
        .ok_or(GenerateError::NoLanguage { path, apps })?;
    let outside = outside::find(&folder, language);
    let outside = outside.filter(|outside| outside.context == detection.build_context());
    let context = Folder::open(
        &snapshot,
        outside
            .as_ref()
            .map_or(&detection.path, |outside| &outside.context),
    );
    let mut script = Script::new(images.frontend());
    let app = match &outside {
        Some(outside) if outside.runs_in(&folder, language) => {
            let (root, found) = outside.member(&folder, language);
            App::new(root, context, detection.clone(), found, images, language)?
        }
        Some(outside) => {
            script.place(&outside.member);
            let found = (languages::rules(language).detect)(&folder);
            App::new(
                folder,
                context,
                outside.inside(detection),
                found,
                images,
                language,
            )?
        }
        None => {
            let found = (languages::rules(language).detect)(&folder);
            App::new(folder, context, detection.clone(), found, images, language)?
        }
    };
    if let Some((file, tool)) = encoding::unreadable(&app.folder, language) {
        return Err(GenerateError::Incomplete {
            path: detection.path.clone(),
            reason: format!("{} is UTF-16, which {tool} can't read", app.folder.at(file)),
            fix: format!("Save {file} as UTF-8"),
        });
    }
    if app.folder.member().is_none()
        && let Some(stranger) = strangers::find(&app.folder, language)
    {
        return Err(GenerateError::Incomplete {
            path: detection.path.clone(),
            reason: stranger.says(),
            fix: format!(
                "Name the folder {} in {}, or ask for a version if the registry's package is meant",
                stranger.folder, stranger.file
            ),
        });
    }
    for secret in secrets::needed(&app) {
        script.secret(secret);
    }
    if app.plan.start.is_some() && app.detection.output.is_none() {
        assets::stages(&app, &mut script);
    }
    (languages::rules(language).recipe)(&app, &mut script)?;
    let finished = script.finish();
    let ignore = ignore::of(&app, &finished.text);
    Ok(Generated {
        dockerfile: finished.text,
        dockerignore: ignore.text,
        dockerignore_name: ignore.name.to_owned(),
        port: detection.port,
        uid: UID,
        reasons: finished.reasons,
        images: finished.images,
        writable_paths: finished.writable,
        secrets: finished.secrets,
    })
}

#[cfg(test)]
mod needs;
#[cfg(test)]
mod tests;
