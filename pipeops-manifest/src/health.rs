//! How an application's health is asked for.

use serde::{Deserialize, Serialize};

/// How an application's health is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub enum HealthCheck {
    /// An HTTP GET that answers 200 to 399.
    Http {
        /// The path. Default `/health`.
        path: String,
    },
    /// A TCP connection to the port.
    Tcp,
    /// The standard gRPC health service on the port.
    Grpc {
        /// The service's name in the health request; empty asks for the whole server.
        #[serde(default)]
        service: String,
    },
    /// A command inside the container that exits with 0. No shell is involved.
    Exec {
        /// The command and its arguments.
        command: Vec<String>,
    },
    /// None: a pod counts as ready as soon as its process runs.
    None,
}

impl HealthCheck {
    /// An HTTP GET of this path.
    pub fn http(path: impl Into<String>) -> Self {
        Self::Http { path: path.into() }
    }

    /// A command inside the container.
    pub fn exec(command: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::Exec {
            command: command.into_iter().map(Into::into).collect(),
        }
    }

    /// The name of the container's port. Service meshes choose the protocol by it.
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
