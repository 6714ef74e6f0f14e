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
        /// The folders of the apps in it, if there are several and nothing says which one to deploy.
        apps: Vec<String>,
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
    /// The repository lacks something that its own build needs.
    #[error("the app in `{path}` can't be built from its repository alone: {reason}")]
    Incomplete {
        /// The app's folder.
        path: String,
        /// What is missing, and which file needs it.
        reason: String,
        /// What to do.
        fix: String,
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
                several(path, apps)
            }
            Self::NoLanguage { path, .. } => Diagnosis::new(&codes::deployment::NO_LANGUAGE)
                .reason("no file identifies a language")
                .context("path", path),
            Self::NoStart {
                path, why, apps, ..
            } if !apps.is_empty() => match why {
                Some(why) => several(path, apps).reason(why),
                None => several(path, apps),
            },
            Self::NoStart { path, why, .. } => Diagnosis::new(&codes::detect::NO_START)
                .reason(why.as_deref().unwrap_or(
                    "there is no start script, no Procfile, and no main file with a conventional name",
                ))
                .context("path", path),
            Self::Incomplete { path, reason, fix } => Diagnosis::new(&codes::detect::INCOMPLETE)
                .reason(reason)
                .fixes([fix])
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

/// How many apps a fix names.
const NAMED: usize = 10;

/// One of several apps is to be chosen, by its folder.
fn several(path: &str, apps: &[String]) -> Diagnosis {
    let all = apps.join(", ");
    let choices: Vec<String> = apps
        .iter()
        .take(NAMED)
        .map(|app| format!("`--path {app}`"))
        .collect();
    let fixes = [
        format!(
            "Choose one of them by its folder, in the project or on the command line: {}",
            choices.join(", ")
        ),
        "Or commit a Dockerfile".to_owned(),
    ];
    let diagnosis = Diagnosis::new(&codes::deployment::SEVERAL_APPS)
        .reason(format!(
            "the folder contains several apps, and nothing says which one to deploy: {all}"
        ))
        .fixes(fixes)
        .context("path", path)
        .context("apps", all);
    match apps.first() {
        Some(app) => diagnosis.context("choice", app),
        None => diagnosis,
    }
}
