//! Why no Dockerfile could be generated.

use crate::Language;
use pipeops_core::diagnosis::{Diagnose, Diagnosis, codes};

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
    /// The install command names no .NET project.
    #[error("a .NET project in `{path}`, but its install command is not `dotnet restore PROJECT`")]
    NoProject {
        /// The app's folder.
        path: String,
    },
}

impl Diagnose for GenerateError {
    fn diagnosis(&self) -> Diagnosis {
        match self {
            Self::NoLanguage { path, apps } if !apps.is_empty() => {
                Diagnosis::new(&codes::deployment::SEVERAL_APPS)
                    .reason(format!(
                        "several apps are side by side: {}",
                        apps.join(", ")
                    ))
                    .context("path", path)
            }
            Self::NoLanguage { path, .. } => Diagnosis::new(&codes::deployment::NO_LANGUAGE)
                .reason("no file decides a language")
                .context("path", path),
            Self::NoStart { path, .. } => Diagnosis::new(&codes::detect::NO_START)
                .reason("there is no start script, no Procfile, and no file with a usual name")
                .context("path", path),
            Self::NoProject { path } => Diagnosis::new(&codes::detect::NO_PROJECT)
                .reason("the project to publish is read from the install command")
                .context("path", path),
        }
        .error(self.to_string())
    }
}
