//! The progress of one build: what `Status` streams.

use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use bollard_buildkit_proto::google::protobuf::Timestamp;
use bollard_buildkit_proto::moby::buildkit::v1::{StatusResponse, Vertex, VertexLog, VertexStatus};
use futures::Stream;
use tokio::sync::watch;

use super::run::Stream as OutputStream;
use crate::oci::digest_of;
use crate::serve::lock;

/// All events of a build so far. Clones share them, and every subscriber gets them from the first one on.
#[derive(Debug, Clone)]
pub(super) struct Progress(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Part of the digests of vertices that aren't content-addressed, so that they're unique to the build.
    build: String,
    events: Mutex<Vec<StatusResponse>>,
    /// The number of events, and whether more will follow.
    state: watch::Sender<(usize, bool)>,
}

impl Progress {
    pub(super) fn new(build: &str) -> Self {
        let (state, _) = watch::channel((0, true));
        Self(Arc::new(Inner {
            build: build.to_owned(),
            events: Mutex::default(),
            state,
        }))
    }

    /// Announces a vertex that hasn't started.
    pub(super) fn announce(&self, digest: &str, name: &str, inputs: &[String]) -> Step {
        let vertex = Vertex {
            digest: digest.to_owned(),
            name: name.to_owned(),
            inputs: inputs.to_vec(),
            ..Vertex::default()
        };
        self.vertex(vertex.clone());
        Step {
            progress: self.clone(),
            vertex,
            running: false,
        }
    }

    /// Starts a vertex that only this build has.
    pub(super) fn begin(&self, name: &str) -> Step {
        let digest = digest_of(format!("{}\n{name}", self.0.build).as_bytes());
        let mut step = self.announce(digest.as_str(), name, &[]);
        step.start();
        step
    }

    /// Ends the stream of events.
    pub(super) fn end(&self) {
        self.0.state.send_modify(|state| state.1 = false);
    }

    /// All past and future events.
    pub(super) fn subscribe(&self) -> impl Stream<Item = StatusResponse> + Send + 'static {
        let inner = self.0.clone();
        let state = inner.state.subscribe();
        futures::stream::unfold((inner, state, 0), |(inner, mut state, next)| async move {
            let ready = state.wait_for(|(count, more)| *count > next || !more).await;
            ready.ok()?;
            let event = lock(&inner.events).get(next).cloned()?;
            Some((event, (inner, state, next + 1)))
        })
    }

    fn vertex(&self, vertex: Vertex) {
        self.push(StatusResponse {
            vertexes: vec![vertex],
            ..StatusResponse::default()
        });
    }

    fn push(&self, event: StatusResponse) {
        let mut events = lock(&self.0.events);
        events.push(event);
        let count = events.len();
        self.0.state.send_modify(|state| state.0 = count);
    }
}

/// A vertex in progress. If it's dropped while it runs, it ends as canceled.
#[derive(Debug)]
pub(super) struct Step {
    progress: Progress,
    vertex: Vertex,
    running: bool,
}

impl Step {
    pub(super) fn digest(&self) -> &str {
        &self.vertex.digest
    }

    pub(super) fn start(&mut self) {
        self.vertex.started = Some(now());
        self.running = true;
        self.progress.vertex(self.vertex.clone());
    }

    /// Ends with success.
    pub(super) fn done(mut self) {
        self.complete();
    }

    /// Ends as cached.
    pub(super) fn cached(mut self) {
        self.vertex.cached = true;
        self.vertex.started.get_or_insert_with(now);
        self.complete();
    }

    /// Ends with an error.
    pub(super) fn failed(mut self, message: &str) {
        self.vertex.error = message.to_owned();
        self.complete();
    }

    /// Emits output of the step.
    pub(super) fn log(&self, stream: OutputStream, text: &str) {
        let log = VertexLog {
            vertex: self.vertex.digest.clone(),
            timestamp: Some(now()),
            stream: stream as i64,
            msg: text.as_bytes().to_vec(),
        };
        self.progress.push(StatusResponse {
            logs: vec![log],
            ..StatusResponse::default()
        });
    }

    /// Reports a finished part of the step with its size in bytes, or 0 if it has none.
    pub(super) fn part(&self, id: &str, bytes: u64) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        let status = VertexStatus {
            id: id.to_owned(),
            vertex: self.vertex.digest.clone(),
            name: id.split(' ').next().unwrap_or_default().to_owned(),
            current: bytes,
            total: bytes,
            timestamp: Some(now()),
            started: Some(now()),
            completed: Some(now()),
        };
        self.progress.push(StatusResponse {
            statuses: vec![status],
            ..StatusResponse::default()
        });
    }

    fn complete(&mut self) {
        self.running = false;
        self.vertex.completed = Some(now());
        self.progress.vertex(self.vertex.clone());
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if self.running {
            self.vertex.error = "context canceled".to_owned();
            self.complete();
        }
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let since = since.unwrap_or_default();
    Timestamp {
        seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        nanos: since.subsec_nanos().cast_signed(),
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;

    use super::*;

    #[tokio::test]
    async fn subscribers_get_everything_from_the_start_to_the_end() {
        let progress = Progress::new("b");
        let step = progress.begin("one");
        let early = progress.subscribe();
        step.log(OutputStream::Stderr, "hello\n");
        step.done();
        progress.end();
        let early: Vec<_> = early.collect().await;
        let late: Vec<_> = progress.subscribe().collect().await;
        assert_eq!(early, late);
        assert_eq!(early.len(), 4);
        assert!(early[3].vertexes[0].completed.is_some());
    }

    #[tokio::test]
    async fn a_step_that_is_dropped_was_canceled() {
        let progress = Progress::new("b");
        drop(progress.begin("one"));
        progress.end();
        let events: Vec<_> = progress.subscribe().collect().await;
        assert_eq!(events.last().unwrap().vertexes[0].error, "context canceled");
    }
}
