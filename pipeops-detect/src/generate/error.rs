//! The error of the generator.

use crate::Language;
use pipeops_core::diagnosis::{Diagnose, Diagnosis, codes};

/// Why no Dockerfile could be generated.
///
/// [`Diagnose::diagnosis`] gives a stable code and fixes for the user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GenerateError {
    /// [`Detection::language`](crate::Detection::language) is `None`.
    #[error("no language detected in `{path}`")]
    NoLanguage {
        /// The folder that was searched.
        path: String,
        /// The folders of the apps in it, if there are several. Empty if nothing was found.
        apps: Vec<String>,
    },
    /// The app has no start command ([`Detection::start`](crate::Detection::start)), and isn't built into static files.
    #[error(
        "found a {language} project in `{path}`, but no start command{}",
        because(why)
    )]
    NoStart {
        /// The app's language.
        language: Language,
        /// The app's folder.
        path: String,
        /// What a file says about it: an adapter for another platform, several programs.
        why: Option<String>,
    },
    /// The install command of a .NET app doesn't name the project to publish.
    #[error(
        "found a .NET project in `{path}`, but its install command isn't `dotnet restore PROJECT`"
    )]
    NoProject {
        /// The app's folder.
        path: String,
    },
    /// The image can't run the start command.
    #[error("the image of the app in `{path}` can't run its start command `{command}`: {why}")]
    StartCommand {
        /// The app's folder.
        path: String,
        /// The start command, from a Procfile or from [`Detection::start`](crate::Detection::start).
        command: String,
        /// What the image lacks.
        why: String,
    },
    /// The build needs settings that would stay in the image.
    #[error("building the app in `{path}` needs {names}, because {file} reads settings while it builds", names = names.join(", "))]
    BuildSettings {
        /// The app's folder.
        path: String,
        /// The file that reads them.
        file: String,
        /// The variables.
        names: Vec<String>,
    },
}

fn because(why: &Option<String>) -> String {
    why.as_ref()
        .map(|why| format!(": {why}"))
        .unwrap_or_default()
}

impl Diagnose for GenerateError {
    fn diagnosis(&self) -> Diagnosis {
        match self {
            Self::NoLanguage { path, apps } if !apps.is_empty() => {
                Diagnosis::new(&codes::deployment::SEVERAL_APPS)
                    .reason(format!(
                        "the folder contains several apps: {}",
                        apps.join(", ")
                    ))
                    .context("path", path)
            }
            Self::NoLanguage { path, .. } => Diagnosis::new(&codes::deployment::NO_LANGUAGE)
                .reason("no file identifies a language")
                .context("path", path),
            Self::NoStart { path, why, .. } => Diagnosis::new(&codes::detect::NO_START)
                .reason(why.as_deref().unwrap_or(
                    "there is no start script, no Procfile, and no main file with a conventional name",
                ))
                .context("path", path),
            Self::NoProject { path } => Diagnosis::new(&codes::detect::NO_PROJECT)
                .reason("the install command names the project to publish")
                .context("path", path),
            Self::StartCommand { path, why, .. } => Diagnosis::new(&codes::detect::START_COMMAND)
                .reason(why)
                .context("path", path),
            Self::BuildSettings { path, file, names } => {
                Diagnosis::new(&codes::detect::BUILD_SETTINGS)
                    .reason(format!(
                        "{file} reads {} while the app is built, and the values would stay in the image",
                        names.join(", ")
                    ))
                    .context("path", path)
            }
        }
        .error(self.to_string())
    }
}
