//! The builds that a daemon was asked for.

use std::collections::{BTreeMap, HashMap};

use bollard_buildkit_proto::moby::buildkit::v1::{CacheOptionsEntry, SolveRequest};

/// One build that a client requested.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SeenBuild {
    /// The build's ID, chosen by the client (`ref`).
    pub id: String,
    /// The frontend's attributes. A real daemon keeps them in its history.
    pub frontend_attrs: BTreeMap<String, String>,
    /// Type and attributes of each exporter.
    pub exporters: Vec<(String, BTreeMap<String, String>)>,
    /// IDs of the secrets that steps fetched, in this order. Steps from the cache fetch none.
    pub secrets: Vec<String>,
    /// IDs of the SSH agents that steps used.
    pub ssh_agents: Vec<String>,
    /// Type and attributes of each remote cache to read.
    pub cache_imports: Vec<(String, BTreeMap<String, String>)>,
    /// Type and attributes of each remote cache to write.
    pub cache_exports: Vec<(String, BTreeMap<String, String>)>,
    /// The image's digest, or the error message. `None` while the build runs, and if it was cancelled.
    pub outcome: Option<Result<String, String>>,
}

impl SeenBuild {
    pub(super) fn new(request: &SolveRequest) -> Self {
        let sorted = |map: &HashMap<String, String>| map.clone().into_iter().collect();
        let cache = request.cache.clone().unwrap_or_default();
        let entries = |entries: Vec<_>| {
            let entry =
                |entry: CacheOptionsEntry| (entry.r#type, entry.attrs.into_iter().collect());
            entries.into_iter().map(entry).collect()
        };
        let exporters = request.exporters.iter();
        Self {
            id: request.r#ref.clone(),
            frontend_attrs: sorted(&request.frontend_attrs),
            exporters: exporters
                .map(|exporter| (exporter.r#type.clone(), sorted(&exporter.attrs)))
                .collect(),
            secrets: Vec::new(),
            ssh_agents: Vec::new(),
            cache_imports: entries(cache.imports),
            cache_exports: entries(cache.exports),
            outcome: None,
        }
    }
}
