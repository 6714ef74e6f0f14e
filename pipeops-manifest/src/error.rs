//! The problems of an application's configuration.

use std::fmt;

use pipeops_core::diagnosis::codes::manifest::INVALID_CONFIGURATION;
use pipeops_core::{Diagnose, Diagnosis};
use serde::{Deserialize, Serialize};

/// A problem of one setting, or a warning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ConfigProblem {
    /// The field, as in the JSON form of [`App`](crate::App): `resources.memoryLimit`, `env.PATH`, `ingress.hosts[0]`.
    pub path: String,
    /// The rule that it breaks, and the invalid value. Never contains the value of a secret.
    pub message: String,
}

impl ConfigProblem {
    pub(crate) fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            message: message.into(),
        }
    }
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// An invalid configuration, with all its problems.
///
/// ```
/// use pipeops_manifest::App;
///
/// let image = format!("registry.example.com/shop@sha256:{}", "0".repeat(64)).parse()?;
/// let error = App::new("shop", "prod", "4f2c9ab", image).replicas(0).port(0).check().unwrap_err();
/// let paths: Vec<_> = error.problems.iter().map(|problem| problem.path.as_str()).collect();
/// assert_eq!(paths, ["replicas", "port"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the configuration of {app:?} is invalid: {}", listed(.problems))]
#[non_exhaustive]
pub struct InvalidApp {
    /// The application's configured name, cut to 63 characters.
    pub app: String,
    /// The problems in the order of the fields; never empty.
    pub problems: Vec<ConfigProblem>,
}

impl InvalidApp {
    pub(crate) fn new(app: &str, problems: Vec<ConfigProblem>) -> Self {
        Self {
            app: app.chars().take(63).collect(),
            problems,
        }
    }
}

impl Diagnose for InvalidApp {
    fn diagnosis(&self) -> Diagnosis {
        let reason = match self.problems.len() {
            1 => "1 setting is invalid; nothing was applied".to_owned(),
            n => format!("{n} settings are invalid; nothing was applied"),
        };
        let fixes = self
            .problems
            .iter()
            .map(|problem| format!("Correct {problem}"));
        Diagnosis::new(&INVALID_CONFIGURATION)
            .error(format!("Cannot generate manifests for {:?}", self.app))
            .reason(reason)
            .context("app", &self.app)
            .fixes(fixes)
    }
}

fn listed(problems: &[ConfigProblem]) -> String {
    let lines: Vec<String> = problems.iter().map(ConfigProblem::to_string).collect();
    lines.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_shown_and_becomes_a_fix() {
        let error = InvalidApp::new(
            "a",
            vec![
                ConfigProblem::new("port", "must not be 0"),
                ConfigProblem::new("uid", "must not be 0"),
            ],
        );
        assert_eq!(
            error.to_string(),
            "the configuration of \"a\" is invalid: port: must not be 0; uid: must not be 0"
        );
        let diagnosis = error.diagnosis();
        assert_eq!(diagnosis.code, INVALID_CONFIGURATION);
        assert_eq!(diagnosis.context["app"], "a");
        assert_eq!(
            diagnosis.fixes,
            ["Correct port: must not be 0", "Correct uid: must not be 0"]
        );
        assert_eq!(
            diagnosis.reason,
            "2 settings are invalid; nothing was applied"
        );
    }
}
