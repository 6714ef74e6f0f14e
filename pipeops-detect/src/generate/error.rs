//! Why no Dockerfile could be generated.

use crate::Language;
use pipeops_core::diagnosis::{Diagnose, Diagnosis};

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
