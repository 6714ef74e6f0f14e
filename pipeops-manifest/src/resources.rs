//! CPU, memory and disk of one container.

use pipeops_core::detection::Language;
use serde::{Deserialize, Serialize};

/// CPU, memory and disk of one container, as Kubernetes quantities (`250m`, `512Mi`).
///
/// All six are written: without a limit one application can starve its node, without a request the scheduler packs
/// blindly. Only [`Resources::without_ephemeral_storage`] leaves two of them out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Resources {
    /// CPU that is set aside. Default `100m`.
    pub cpu_request: String,
    /// CPU at most. Default `1`.
    pub cpu_limit: String,
    /// Memory that is set aside. Default `128Mi`.
    pub memory_request: String,
    /// Memory at most; beyond it the container is killed. Default `512Mi`.
    pub memory_limit: String,
    /// Disk that is set aside for logs and writable folders. Default `64Mi`; empty together with the limit for none.
    pub ephemeral_storage_request: String,
    /// Disk at most; beyond it the pod is evicted. Default `1Gi`.
    pub ephemeral_storage_limit: String,
}

impl Default for Resources {
    fn default() -> Self {
        Self {
            cpu_request: "100m".to_owned(),
            cpu_limit: "1".to_owned(),
            memory_request: "128Mi".to_owned(),
            memory_limit: "512Mi".to_owned(),
            ephemeral_storage_request: "64Mi".to_owned(),
            ephemeral_storage_limit: "1Gi".to_owned(),
        }
    }
}

impl Resources {
    /// The default, with four times the memory request and twice the limit for a JVM.
    pub fn for_language(language: Option<Language>) -> Self {
        match language {
            Some(Language::Java | Language::Scala | Language::Clojure) => {
                Self::default().memory("512Mi", "1Gi")
            }
            _ => Self::default(),
        }
    }

    /// Sets the CPU request and limit.
    #[must_use]
    pub fn cpu(mut self, request: impl Into<String>, limit: impl Into<String>) -> Self {
        self.cpu_request = request.into();
        self.cpu_limit = limit.into();
        self
    }

    /// Sets the memory request and limit.
    #[must_use]
    pub fn memory(mut self, request: impl Into<String>, limit: impl Into<String>) -> Self {
        self.memory_request = request.into();
        self.memory_limit = limit.into();
        self
    }

    /// Writes neither a request nor a limit for disk: for nodes that do not measure it (the kubelet's
    /// `localStorageCapacityIsolation` is off, as under rootless kind), where no pod that asks for disk is ever scheduled.
    #[must_use]
    pub fn without_ephemeral_storage(self) -> Self {
        self.ephemeral_storage("", "")
    }

    /// Sets the disk request and limit.
    #[must_use]
    pub fn ephemeral_storage(
        mut self,
        request: impl Into<String>,
        limit: impl Into<String>,
    ) -> Self {
        self.ephemeral_storage_request = request.into();
        self.ephemeral_storage_limit = limit.into();
        self
    }
}
