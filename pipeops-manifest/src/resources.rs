//! CPU, memory and disk of one container.

use pipeops_core::detection::Language;
use serde::{Deserialize, Serialize};

/// CPU, memory and disk of a container, as Kubernetes quantities (`250m`, `512Mi`).
///
/// All requests and limits are set: without limits, one application can starve its node; without requests, the scheduler can't
/// plan. Only [`Resources::without_ephemeral_storage`] omits those for disk.
///
/// ```
/// use pipeops_manifest::Resources;
///
/// let resources = Resources::default().cpu("250m", "2").memory("256Mi", "1Gi");
/// assert_eq!(resources.ephemeral_storage_limit, "1Gi");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Resources {
    /// Reserved CPU. Default: `100m`.
    pub cpu_request: String,
    /// CPU limit. Default: `1`.
    pub cpu_limit: String,
    /// Reserved memory. Default: `128Mi`.
    pub memory_request: String,
    /// Memory limit; if it's exceeded, the container is killed. Default: `512Mi`.
    pub memory_limit: String,
    /// Reserved disk for logs and writable directories. Default: `64Mi`. May be empty if the limit is, too.
    pub ephemeral_storage_request: String,
    /// Disk limit; if it's exceeded, the pod is evicted. Default: `1Gi`.
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
    /// The default for a language: 512Mi to 1Gi of memory for the JVM, otherwise [`Resources::default`].
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

    /// Omits the disk request and limit. Needed on nodes that don't measure disk usage (the kubelet's
    /// `localStorageCapacityIsolation` is off, as in rootless kind), because they accept no pod that requests disk.
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
