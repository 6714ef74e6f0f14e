//! Turns the daemon's reports into events.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use bollard_buildkit_proto::google::protobuf::Timestamp;
use bollard_buildkit_proto::moby::buildkit::v1 as proto;
use pipeops_core::event::{EventKind, EventSink, VertexState};
use tokio::time::Instant;

use crate::cache::{CacheOutcome, CacheProblem, IMPORT, Labels, reason};
use crate::cause::Cause;
use crate::failure::BuildFailure;
use crate::lines::{Lines, readable};
use crate::live_redactor::LiveRedactor;

/// Limit for the output lines that are kept for a step's error.
const TAIL: usize = 20;

/// Limit for the length of these lines, in characters.
const TAIL_WIDTH: usize = 500;

/// Limit for the tracked steps and transfers of one build. Further ones aren't shown.
const MOST: usize = 10_000;

/// Follows one build.
pub(crate) struct Progress<'a> {
    events: &'a dyn EventSink,
    redactor: LiveRedactor,
    vertices: HashMap<String, Vertex>,
    /// The last reported progress of each part of a vertex, by vertex and id.
    transfers: HashMap<(String, String), Moved>,
    lines: Lines,
    labels: Labels,
    caches: CacheOutcome,
}

/// One vertex of the build graph.
#[derive(Debug, Default)]
struct Vertex {
    name: String,
    state: Option<VertexState>,
    tail: VecDeque<String>,
    /// The time of the daemon's last report about it.
    heard: Option<Instant>,
}

/// The progress of a part of a vertex.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Moved {
    current: u64,
    total: u64,
    /// How long it took, once it ended.
    millis: Option<u64>,
}

/// Counters of Dockerfile steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Counts {
    /// Successful steps.
    pub(crate) steps: usize,
    /// Cached ones among them.
    pub(crate) cached: usize,
}

impl<'a> Progress<'a> {
    /// Reports to `events`, with secrets redacted by `redactor`.
    pub(crate) fn new(events: &'a dyn EventSink, redactor: LiveRedactor) -> Self {
        Self {
            events,
            labels: Labels::default(),
            caches: CacheOutcome::default(),
            lines: Lines::new(redactor.clone()),
            redactor,
            vertices: HashMap::new(),
            transfers: HashMap::new(),
        }
    }

    /// Uses these names for caches.
    pub(crate) fn with_labels(mut self, labels: Labels) -> Self {
        self.labels = labels;
        self
    }

    /// The caches that couldn't be used.
    pub(crate) fn caches(&self) -> &CacheOutcome {
        &self.caches
    }

    /// Takes one message of the daemon.
    pub(crate) fn take(&mut self, message: proto::StatusResponse) {
        // Output before endings: a step's last lines come with its end.
        for log in message.logs {
            let lines = self.lines.push(&log.vertex, log.stream, &log.msg);
            self.output(&log.vertex, lines);
        }
        for vertex in message.vertexes {
            self.vertex(vertex);
        }
        for status in message.statuses {
            self.transfer(status);
        }
        for warning in message.warnings {
            self.warn(warning_text(&warning));
        }
    }

    /// What is to be said when the daemon waits for a cache whose server has been silent for `limit`; while it is written, for
    /// [`WRITING`] times as long.
    pub(crate) fn silent_cache(&self, limit: Duration) -> Option<BuildFailure> {
        let mut waiting = self
            .vertices
            .values()
            .filter(|vertex| vertex.state == Some(VertexState::Started) && is_cache(&vertex.name));
        waiting.find_map(|vertex| {
            let read = vertex.name.strip_prefix(IMPORT);
            let (limit, cause) = match read {
                Some(cache) => (
                    limit,
                    Cause::CacheSilent {
                        cache: cache.to_owned(),
                    },
                ),
                None => (limit * WRITING, Cause::CacheUnwritable),
            };
            let is_silent = vertex.heard?.elapsed() > limit;
            is_silent.then(|| silent(&vertex.name, limit, cause))
        })
    }

    /// Ends the report. Steps that never ended are reported as cancelled.
    pub(crate) fn finish(&mut self) {
        let open = |vertex: &Vertex| vertex.state == Some(VertexState::Started);
        let ids: Vec<String> = self
            .vertices
            .iter()
            .filter(|(_, vertex)| open(vertex))
            .map(|(id, _)| id.clone())
            .collect();
        for id in ids {
            self.end(&id, VertexState::Cancelled, None);
        }
    }

    /// Emits a warning.
    pub(crate) fn warn(&self, message: impl AsRef<str>) {
        let message = message.as_ref().replace(['\n', '\r'], " ");
        self.events.emit(EventKind::Warning {
            message: readable(message.as_bytes(), &self.redactor),
        });
    }

    /// Steps so far.
    pub(crate) fn counts(&self) -> Counts {
        let ended = |vertex: &&Vertex| {
            matches!(vertex.state, Some(VertexState::Done | VertexState::Cached))
                && is_step(&vertex.name)
        };
        let cached = |vertex: &&Vertex| vertex.state == Some(VertexState::Cached);
        let steps = self.vertices.values().filter(ended);
        Counts {
            steps: steps.clone().count(),
            cached: steps.filter(cached).count(),
        }
    }

    /// Returns the name and the last lines of a step; without id, of the step that failed.
    pub(crate) fn failed_step(&self, id: Option<&str>) -> Option<(String, Vec<String>)> {
        let named = id.and_then(|id| self.vertices.get(id));
        let failed = || {
            self.vertices
                .values()
                .find(|vertex| vertex.state == Some(VertexState::Failed) && !is_cache(&vertex.name))
        };
        let vertex = named.or_else(failed)?;
        Some((vertex.name.clone(), vertex.tail.iter().cloned().collect()))
    }

    fn vertex(&mut self, update: proto::Vertex) {
        if !self.vertices.contains_key(&update.digest) && self.vertices.len() >= MOST {
            return;
        }
        let vertex = self.vertices.entry(update.digest.clone()).or_default();
        vertex.heard = Some(Instant::now());
        if vertex.name.is_empty() {
            let name = self.labels.readable(update.name.replace(['\n', '\r'], " "));
            vertex.name = readable(name.as_bytes(), &self.redactor);
        }
        let name = vertex.name.clone();
        let state = state(&update);
        match state {
            _ if vertex
                .state
                .is_some_and(|state| state != VertexState::Started) => {}
            Some(VertexState::Started) if vertex.state.is_none() => {
                vertex.state = Some(VertexState::Started);
                self.events.emit(EventKind::Vertex {
                    id: update.digest,
                    name,
                    state: VertexState::Started,
                    millis: None,
                });
            }
            Some(VertexState::Started) | None => {}
            Some(VertexState::Failed) if is_cache(&name) => self.cache_failed(&update, &name),
            Some(state) => self.end(&update.digest, state, took(&update)),
        }
    }

    /// Reports a cache that couldn't be read or written as a warning.
    fn cache_failed(&mut self, update: &proto::Vertex, name: &str) {
        let missing = name.starts_with(IMPORT) && update.error.contains("not found");
        if missing {
            // The first build of a project finds no cache; that is no news.
            self.end(&update.digest, VertexState::Done, took(update));
            return;
        }
        let millis = took(update);
        self.end(&update.digest, VertexState::Failed, millis);
        let problem = CacheProblem {
            cache: name.to_owned(),
            why: readable(reason(&update.error).as_bytes(), &self.redactor),
            millis,
        };
        if name.starts_with(IMPORT) {
            self.warn(problem.unread());
            self.caches.unread.push(problem);
        } else {
            self.warn(problem.unwritten());
            self.caches.unwritten.push(problem);
        }
    }

    fn end(&mut self, id: &str, state: VertexState, millis: Option<u64>) {
        let rest = self.lines.finish(id);
        self.output(id, rest);
        let Some(vertex) = self.vertices.get_mut(id) else {
            return;
        };
        vertex.state = Some(state);
        if state != VertexState::Failed {
            vertex.tail = VecDeque::new();
        }
        self.events.emit(EventKind::Vertex {
            id: id.to_owned(),
            name: vertex.name.clone(),
            state,
            millis,
        });
    }

    fn output(&mut self, id: &str, lines: Vec<String>) {
        for line in lines {
            if let Some(vertex) = self.vertices.get_mut(id) {
                if vertex.tail.len() == TAIL {
                    vertex.tail.pop_front();
                }
                vertex
                    .tail
                    .push_back(line.chars().take(TAIL_WIDTH).collect());
            }
            self.events.emit(EventKind::Log {
                vertex: id.to_owned(),
                line,
            });
        }
    }

    fn transfer(&mut self, status: proto::VertexStatus) {
        if let Some(vertex) = self.vertices.get_mut(&status.vertex) {
            vertex.heard = Some(Instant::now());
        }
        let number = |value: i64| u64::try_from(value).unwrap_or(0);
        let now = Moved {
            current: number(status.current),
            total: number(status.total),
            millis: duration(status.started.as_ref(), status.completed.as_ref()),
        };
        let began = status.started.is_some() || now.current > 0 || now.total > 0;
        let id = status.id.trim_end_matches(':').to_owned();
        let key = (status.vertex, id);
        if !began || (!self.transfers.contains_key(&key) && self.transfers.len() >= MOST) {
            return;
        }
        if self.transfers.insert(key.clone(), now) != Some(now) {
            let (vertex, id) = key;
            self.events.emit(EventKind::Transfer {
                vertex,
                id: readable(id.as_bytes(), &self.redactor),
                current: now.current,
                total: now.total,
                millis: now.millis,
            });
        }
    }
}

/// The factor by which the limit for silence is longer while a cache is written.
const WRITING: u32 = 10;

fn silent(name: &str, limit: Duration, cause: Cause) -> BuildFailure {
    BuildFailure {
        cause,
        message: format!("{name}: no response within {limit:?}"),
        source: None,
        exit_code: None,
        step: None,
        log: Vec::new(),
    }
}

const EXPORT: &str = "exporting cache";

fn is_cache(name: &str) -> bool {
    name.starts_with(IMPORT) || name.starts_with(EXPORT)
}

/// Whether a vertex is an instruction that creates something: `[2/4] RUN …`, `[build 1/3] COPY …`.
/// `FROM` only names an image.
pub(crate) fn is_step(name: &str) -> bool {
    let outer = name.starts_with("[internal]") || name.starts_with("[auth]");
    let instruction = name
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("] "))
        .map(|(_, instruction)| instruction);
    !outer && instruction.is_some_and(|instruction| !instruction.starts_with("FROM "))
}

fn state(update: &proto::Vertex) -> Option<VertexState> {
    if !update.error.is_empty() {
        let cancelled = update.error.ends_with("context canceled");
        return Some(if cancelled {
            VertexState::Cancelled
        } else {
            VertexState::Failed
        });
    }
    match (update.cached, &update.started, &update.completed) {
        (true, _, _) => Some(VertexState::Cached),
        (false, _, Some(_)) => Some(VertexState::Done),
        (false, Some(_), None) => Some(VertexState::Started),
        (false, None, None) => None,
    }
}

fn took(update: &proto::Vertex) -> Option<u64> {
    duration(update.started.as_ref(), update.completed.as_ref())
}

/// Milliseconds between two times; `None` while one is missing.
fn duration(started: Option<&Timestamp>, completed: Option<&Timestamp>) -> Option<u64> {
    let millis = |time: &Timestamp| {
        time.seconds
            .saturating_mul(1000)
            .saturating_add(i64::from(time.nanos) / 1_000_000)
    };
    u64::try_from(millis(completed?).saturating_sub(millis(started?))).ok()
}

fn warning_text(warning: &proto::VertexWarning) -> String {
    let mut text = readable(&warning.short, &LiveRedactor::default());
    if let Some(line) = warning
        .ranges
        .first()
        .and_then(|range| range.start.as_ref())
    {
        let file = warning
            .info
            .as_ref()
            .map_or("Dockerfile", |info| info.filename.as_str());
        text = format!("{file}:{}: {text}", line.line);
    }
    if !warning.url.is_empty() {
        text = format!("{text} ({})", warning.url);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use pipeops_core::SecretString;
    use proptest::prelude::*;

    use super::*;

    /// Feeds messages and gives the events as short lines.
    fn events(messages: Vec<proto::StatusResponse>) -> (Vec<String>, Counts) {
        let seen = Mutex::new(Vec::new());
        let sink = |event: EventKind| seen.lock().unwrap().push(short_form(event));
        let redactor = LiveRedactor::default();
        redactor.hide([SecretString::from("hunter22")]);
        let mut progress = Progress::new(&sink, redactor);
        messages
            .into_iter()
            .for_each(|message| progress.take(message));
        progress.finish();
        let counts = progress.counts();
        (seen.into_inner().unwrap(), counts)
    }

    fn short_form(event: EventKind) -> String {
        match event {
            EventKind::Vertex {
                id,
                name,
                state,
                millis,
            } => format!("{id} {name} {state:?} {millis:?}"),
            EventKind::Log { vertex, line } => format!("{vertex}| {line}"),
            EventKind::Transfer {
                vertex,
                id,
                current,
                total,
                millis,
            } => format!("{vertex}: {id} {current}/{total} {millis:?}"),
            EventKind::Warning { message } => format!("! {message}"),
            other => format!("{other:?}"),
        }
    }

    fn vertex(id: &str, name: &str, times: (Option<i64>, Option<i64>)) -> proto::Vertex {
        let time = |seconds| Timestamp { seconds, nanos: 0 };
        proto::Vertex {
            digest: id.into(),
            name: name.into(),
            started: times.0.map(time),
            completed: times.1.map(time),
            ..Default::default()
        }
    }

    fn with_vertex(vertex: proto::Vertex) -> proto::StatusResponse {
        proto::StatusResponse {
            vertexes: vec![vertex],
            ..Default::default()
        }
    }

    fn log(id: &str, text: &str) -> proto::StatusResponse {
        let log = proto::VertexLog {
            vertex: id.into(),
            stream: 1,
            msg: text.into(),
            ..Default::default()
        };
        proto::StatusResponse {
            logs: vec![log],
            ..Default::default()
        }
    }

    #[test]
    fn a_step_starts_prints_and_ends_once() {
        let (events, counts) = events(vec![
            with_vertex(vertex("v", "[1/2] RUN echo hunter22", (None, None))),
            with_vertex(vertex("v", "[1/2] RUN echo hunter22", (Some(1), None))),
            with_vertex(vertex("v", "[1/2] RUN echo hunter22", (Some(1), None))),
            log("v", "hunter22 and\nopen"),
            with_vertex(vertex("v", "[1/2] RUN echo hunter22", (Some(1), Some(3)))),
            with_vertex(vertex("v", "[1/2] RUN echo hunter22", (Some(1), Some(3)))),
        ]);
        assert_eq!(
            events,
            [
                "v [1/2] RUN echo [redacted] Started None",
                "v| [redacted] and",
                "v| open",
                "v [1/2] RUN echo [redacted] Done Some(2000)",
            ]
        );
        assert_eq!(
            counts,
            Counts {
                steps: 1,
                cached: 0
            }
        );
    }

    #[test]
    fn only_instructions_are_counted() {
        let mut cached = vertex("c", "[build 2/3] COPY . .", (Some(1), Some(1)));
        cached.cached = true;
        let (_, counts) = events(vec![
            with_vertex(cached),
            with_vertex(vertex(
                "f",
                "[build 1/3] FROM docker.io/library/x",
                (Some(1), Some(2)),
            )),
            with_vertex(vertex(
                "i",
                "[internal] load build context",
                (Some(1), Some(2)),
            )),
            with_vertex(vertex("e", "exporting to image", (Some(1), Some(2)))),
        ]);
        assert_eq!(
            counts,
            Counts {
                steps: 1,
                cached: 1
            }
        );
    }

    #[test]
    fn a_cache_that_fails_is_a_warning_and_one_that_is_not_there_is_nothing() {
        let failed = |name: &str, error: &str| {
            let mut vertex = vertex("x", name, (Some(1), Some(1)));
            vertex.error = error.into();
            events(vec![with_vertex(vertex)]).0
        };
        assert_eq!(
            failed("importing cache manifest from r", "r: not found"),
            ["x importing cache manifest from r Done Some(0)"]
        );
        let export = failed("exporting cache to Amazon S3", "NoSuchBucket\nmore");
        assert_eq!(
            export[1],
            "! The cache couldn't be written, so the next build starts with an older one: exporting cache to Amazon S3 (0.0 s): there is no such bucket: NoSuchBucket"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_cache_that_says_nothing_is_given_up_and_one_that_moves_is_not() {
        const LIMIT: Duration = Duration::from_secs(60);
        let mut progress = Progress::new(&pipeops_core::event::Discard, LiveRedactor::default());
        let running = |name: &str| with_vertex(vertex(name, name, (Some(1), None)));
        progress.take(running("[1/1] RUN sleep"));
        tokio::time::advance(LIMIT * 20).await;
        assert_eq!(
            progress.silent_cache(LIMIT),
            None,
            "steps take what they take"
        );
        progress.take(running("exporting cache to Amazon S3"));
        tokio::time::advance(LIMIT * 9).await;
        let mut moved = proto::VertexStatus {
            id: "writing layer".into(),
            vertex: "exporting cache to Amazon S3".into(),
            ..Default::default()
        };
        moved.completed = Some(Timestamp::default());
        progress.take(proto::StatusResponse {
            statuses: vec![moved],
            ..Default::default()
        });
        tokio::time::advance(LIMIT * 9).await;
        assert_eq!(progress.silent_cache(LIMIT), None);
        tokio::time::advance(LIMIT * 2).await;
        let failure = progress.silent_cache(LIMIT).unwrap();
        assert_eq!(failure.cause, Cause::CacheUnwritable);
        assert_eq!(
            failure.message,
            "exporting cache to Amazon S3: no response within 600s"
        );

        progress.take(running("importing cache manifest from s3:own"));
        progress.take(with_vertex(vertex(
            "exporting cache to Amazon S3",
            "",
            (Some(1), Some(2)),
        )));
        assert_eq!(progress.silent_cache(LIMIT), None);
        tokio::time::advance(LIMIT * 2).await;
        assert_eq!(
            progress.silent_cache(LIMIT).unwrap().cause,
            Cause::CacheSilent {
                cache: "s3:own".into()
            }
        );
    }

    #[test]
    fn a_step_that_never_ends_was_given_up() {
        let (events, _) = events(vec![with_vertex(vertex(
            "v",
            "[1/1] RUN sleep",
            (Some(1), None),
        ))]);
        assert_eq!(events[1], "v [1/1] RUN sleep Cancelled None");
    }

    #[test]
    fn the_failed_step_keeps_its_last_lines() {
        let mut progress = Progress::new(&pipeops_core::event::Discard, LiveRedactor::default());
        progress.take(with_vertex(vertex("v", "[1/1] RUN x", (Some(1), None))));
        for number in 0..100 {
            progress.take(log("v", &format!("line {number}\n")));
        }
        let mut failed = vertex("v", "[1/1] RUN x", (Some(1), Some(2)));
        failed.error = "exit code: 1".into();
        progress.take(with_vertex(failed));
        let (name, tail) = progress.failed_step(None).unwrap();
        assert_eq!(
            (name.as_str(), tail.len(), tail[TAIL - 1].as_str()),
            ("[1/1] RUN x", TAIL, "line 99")
        );
    }

    #[test]
    fn a_part_is_told_when_it_begins_moves_and_ends() {
        let part = |id: &str, moved: (i64, i64), times: (Option<i64>, Option<i64>)| {
            let time = |seconds| Timestamp { seconds, nanos: 0 };
            proto::VertexStatus {
                id: id.into(),
                vertex: "v".into(),
                current: moved.0,
                total: moved.1,
                started: times.0.map(time),
                completed: times.1.map(time),
                ..Default::default()
            }
        };
        let message = proto::StatusResponse {
            statuses: vec![
                part("waiting", (0, 0), (None, None)),
                part("transferring context:", (5, 0), (Some(1), None)),
                part("transferring context:", (5, 0), (Some(1), None)),
                part("sha256:ab", (3, 9), (Some(1), None)),
                part("pushing layers", (0, 0), (Some(1), None)),
                part("pushing layers", (0, 0), (Some(1), Some(3))),
                part("sha256:ab", (9, 9), (Some(1), Some(2))),
            ],
            ..Default::default()
        };
        assert_eq!(
            events(vec![message]).0,
            [
                "v: transferring context 5/0 None",
                "v: sha256:ab 3/9 None",
                "v: pushing layers 0/0 None",
                "v: pushing layers 0/0 Some(2000)",
                "v: sha256:ab 9/9 Some(1000)",
            ]
        );
    }

    #[test]
    fn a_warning_says_where() {
        let warning = proto::VertexWarning {
            short: b"FromAsCasing".to_vec(),
            url: "https://docs".into(),
            ranges: vec![bollard_buildkit_proto::pb::Range {
                start: Some(bollard_buildkit_proto::pb::Position {
                    line: 3,
                    character: 0,
                }),
                end: None,
            }],
            ..Default::default()
        };
        let message = proto::StatusResponse {
            warnings: vec![warning],
            ..Default::default()
        };
        assert_eq!(
            events(vec![message]).0,
            ["! Dockerfile:3: FromAsCasing (https://docs)"]
        );
    }

    proptest! {
        #[test]
        fn no_report_panics(bytes: Vec<u8>) {
            if let Ok(message) = <proto::StatusResponse as prost::Message>::decode(bytes.as_slice()) {
                events(vec![message]);
            }
        }
    }
}
