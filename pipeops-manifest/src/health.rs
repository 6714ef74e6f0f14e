//! Health checks.

use serde::{Deserialize, Serialize};

/// A health check.
///
/// ```
/// use pipeops_manifest::HealthCheck;
///
/// let check = HealthCheck::http("/healthz");
/// assert_eq!(serde_json::to_string(&check)?, r#"{"http":{"path":"/healthz"}}"#);
/// let check = HealthCheck::exec(["pg_isready", "-q"]);
/// # assert_ne!(check, HealthCheck::None);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub enum HealthCheck {
    /// An HTTP GET request that returns a status from 200 to 399.
    Http {
        /// The path. Default: `/health`.
        path: String,
    },
    /// A TCP connection to the port.
    Tcp,
    /// The standard gRPC health service on the port.
    Grpc {
        /// The service's name in the health request; empty for the whole server.
        #[serde(default)]
        service: String,
    },
    /// A command in the container that exits with 0. It's run without a shell, as you write it; see
    /// [`App::expand_variables`](crate::App::expand_variables).
    Exec {
        /// The command and its arguments.
        command: Vec<String>,
    },
    /// None: a pod is ready as soon as its process runs.
    None,
}

impl HealthCheck {
    /// An HTTP GET request for this path.
    pub fn http(path: impl Into<String>) -> Self {
        Self::Http { path: path.into() }
    }

    /// A command in the container.
    pub fn exec(command: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::Exec {
            command: command.into_iter().map(Into::into).collect(),
        }
    }

    /// The name of the container's port. Service meshes derive the protocol from it.
    pub(crate) fn port_name(&self) -> &'static str {
        match self {
            Self::Grpc { .. } => "grpc",
            _ => "http",
        }
    }

    /// Whether it connects to the application's port.
    pub(crate) fn needs_port(&self) -> bool {
        matches!(self, Self::Http { .. } | Self::Tcp | Self::Grpc { .. })
    }
}

impl Default for HealthCheck {
    fn default() -> Self {
        Self::http("/health")
    }
}
