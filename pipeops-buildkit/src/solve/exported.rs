//! The progress of an image's export. After the loss of a daemon it says which digest may have been pushed.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bollard_buildkit_proto::moby::buildkit::v1 as proto;
use pipeops_core::Digest;

use crate::progress::{Counts, is_step};

/// How the name of the exporter's vertex starts. Steps of a Dockerfile start with `[`.
const EXPORT: &str = "exporting to ";

/// Limit for the counted steps.
const MOST: usize = 10_000;

/// What the reports of one build say about its export. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Exported(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    exporters: HashSet<String>,
    /// The manifest, or the index over several: the daemon reports it before it pushes the first byte.
    digest: Option<Digest>,
    /// Whether it's an index. The tag then names the index and not its manifests.
    index: bool,
    steps: HashSet<String>,
    cached: HashSet<String>,
}

impl Exported {
    /// Takes one report of the daemon.
    pub(crate) fn note(&self, report: &proto::StatusResponse) {
        let mut seen = self.seen();
        for vertex in &report.vertexes {
            seen.vertex(vertex);
        }
        for status in &report.statuses {
            seen.status(status);
        }
    }

    /// Whether the exporter began: before that, nothing was pushed.
    pub(crate) fn began(&self) -> bool {
        !self.seen().exporters.is_empty()
    }

    /// The digest that it was about to push.
    pub(crate) fn digest(&self) -> Option<Digest> {
        self.seen().digest.clone()
    }

    /// Steps that ended.
    pub(crate) fn counts(&self) -> Counts {
        let seen = self.seen();
        Counts {
            steps: seen.steps.len(),
            cached: seen.cached.len(),
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        // Each change is complete in itself, so a panic elsewhere leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn vertex(&mut self, vertex: &proto::Vertex) {
        if vertex.name.starts_with(EXPORT) {
            if vertex.started.is_some() {
                self.exporters.insert(vertex.digest.clone());
            }
            return;
        }
        if !is_step(&vertex.name) || !vertex.error.is_empty() || self.steps.len() >= MOST {
            return;
        }
        if vertex.cached || vertex.completed.is_some() {
            self.steps.insert(vertex.digest.clone());
        }
        if vertex.cached {
            self.cached.insert(vertex.digest.clone());
        }
    }

    fn status(&mut self, status: &proto::VertexStatus) {
        if !self.exporters.contains(&status.vertex) {
            return;
        }
        let named = |prefix: &str| status.id.strip_prefix(prefix)?.trim().parse().ok();
        if let Some(digest) = named("exporting manifest list ") {
            self.index = true;
            self.digest = Some(digest);
        } else if let Some(digest) = named("exporting manifest ").filter(|_| !self.index) {
            self.digest = Some(digest);
        }
    }
}

#[cfg(test)]
mod tests {
    use bollard_buildkit_proto::google::protobuf::Timestamp;

    use super::*;

    fn vertex(digest: &str, name: &str) -> proto::StatusResponse {
        let vertex = proto::Vertex {
            digest: digest.into(),
            name: name.into(),
            started: Some(Timestamp::default()),
            completed: Some(Timestamp::default()),
            ..Default::default()
        };
        proto::StatusResponse {
            vertexes: vec![vertex],
            ..Default::default()
        }
    }

    fn status(vertex: &str, id: String) -> proto::StatusResponse {
        let status = proto::VertexStatus {
            vertex: vertex.into(),
            id,
            ..Default::default()
        };
        proto::StatusResponse {
            statuses: vec![status],
            ..Default::default()
        }
    }

    fn sha(fill: char) -> String {
        format!("sha256:{}", fill.to_string().repeat(64))
    }

    #[test]
    fn the_manifest_is_known_before_it_is_pushed() {
        let exported = Exported::default();
        exported.note(&vertex("s", "[1/1] COPY a /"));
        exported.note(&status("s", format!("exporting manifest {}", sha('0'))));
        assert!(!exported.began(), "a step is no exporter");
        exported.note(&vertex("e", "exporting to image"));
        assert_eq!((exported.began(), exported.digest()), (true, None));
        exported.note(&status("e", format!("exporting manifest {}", sha('a'))));
        exported.note(&status("e", format!("exporting config {}", sha('b'))));
        assert_eq!(exported.digest(), Some(sha('a').parse().unwrap()));
        assert_eq!(
            exported.counts(),
            Counts {
                steps: 1,
                cached: 0
            }
        );
    }

    #[test]
    fn of_several_platforms_the_index_is_what_the_tag_gets() {
        let exported = Exported::default();
        exported.note(&vertex("e", "exporting to image"));
        for id in [
            format!("exporting manifest {}", sha('a')),
            format!("exporting manifest list {}", sha('c')),
            format!("exporting manifest {}", sha('b')),
        ] {
            exported.note(&status("e", id));
        }
        assert_eq!(exported.digest(), Some(sha('c').parse().unwrap()));
    }
}
