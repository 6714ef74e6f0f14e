//! Settings that a project needs before it can be deployed.

use std::fmt;

/// A missing setting of a project. Its `Display` is a phrase such as `the webhook secret`.
///
/// ```
/// use pipeops_runner::Project;
///
/// let missing = Project::new("shop")?.missing();
/// assert_eq!(missing[0].to_string(), "the repository");
/// assert_eq!(missing[0].fix(), "Set the URL of the repository in the project");
/// # Ok::<(), pipeops_runner::project::InvalidName>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Missing {
    /// The URL of the repository.
    Repository,
    /// The secret that the forge signs webhooks with.
    WebhookSecret,
    /// The name of the image.
    Registry,
    /// Any environment.
    Environment,
    /// The branch of an environment.
    Branch {
        /// The environment.
        environment: String,
    },
    /// The cluster of an environment.
    Cluster {
        /// The environment.
        environment: String,
    },
    /// The service has no cluster with the name that an environment uses.
    UnknownCluster {
        /// The environment.
        environment: String,
        /// The name of the cluster in the environment.
        cluster: String,
        /// The clusters of the service.
        known: Vec<String>,
    },
}

impl Missing {
    /// How to set it.
    #[rustfmt::skip]
    pub fn fix(&self) -> String {
        match self {
            Self::Repository => "Set the URL of the repository in the project".to_owned(),
            Self::WebhookSecret => "Set the same webhook secret in the project and in the forge".to_owned(),
            Self::Registry => "Set the name of the image in the project, such as registry.example.com/team/app".to_owned(),
            Self::Environment => "Add an environment to the project".to_owned(),
            Self::Branch { environment } => format!("Set the branch of the environment {environment}"),
            Self::Cluster { environment } => format!("Set the cluster of the environment {environment}"),
            Self::UnknownCluster { environment, known, .. } if known.is_empty() => {
                format!("Start the service with a cluster for the environment {environment}")
            }
            Self::UnknownCluster { environment, known, .. } => {
                format!("Set the cluster of the environment {environment} to one of: {}", known.join(", "))
            }
        }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Repository => f.write_str("the repository"),
            Self::WebhookSecret => f.write_str("the webhook secret"),
            Self::Registry => f.write_str("the image"),
            Self::Environment => f.write_str("an environment"),
            Self::Branch { environment } => write!(f, "the branch of {environment}"),
            Self::Cluster { environment } => write!(f, "the cluster of {environment}"),
            Self::UnknownCluster {
                environment,
                cluster,
                ..
            } => write!(f, "a cluster {cluster:?} in this service for {environment}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::project::{Environment, Project};

    #[test]
    fn everything_is_named_at_once() {
        let missing = |project: &Project| {
            let names = project.missing().into_iter().map(|what| what.to_string());
            names.collect::<Vec<_>>().join(", ")
        };
        let project = Project::new("shop").unwrap();
        let all = "the repository, the webhook secret, the image, an environment";
        assert_eq!(missing(&project), all);
        let project = project.environment(Environment::new("production").unwrap());
        let ends = "the branch of production, the cluster of production";
        assert!(missing(&project).ends_with(ends));
    }
}
