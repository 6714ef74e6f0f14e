//! The writer for one deployment.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use pipeops_core::diagnosis::codes;
use pipeops_core::{CommitSha, Diagnosis, EventKind, EventSink, Redactor, text};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::oneshot;

use super::shared::{MAX_PENDING, Shared};
use crate::Commands;
use crate::deployment::Fence;
use crate::queue::Claim;
use crate::store::NewEvent;

/// How much of a log line is kept, in bytes.
const MAX_LINE: usize = 8 << 10;

/// How much log of one deployment is kept, in bytes. Later lines are dropped with a warning.
const MAX_LOG: u64 = 32 << 20;

/// The sink for events of one deployment. It redacts secrets, removes characters that control the display, drops log lines
/// beyond its limits, and never blocks.
///
/// It keeps 8 KiB of each log line and 32 MiB of log in all.
#[derive(Clone)]
pub struct DeploymentEvents {
    shared: Arc<Shared>,
    fence: Fence,
    project: String,
    commit: CommitSha,
    redactor: Arc<Redactor>,
    commands: Commands,
    budget: Arc<Budget>,
}

/// What a deployment has used of its limits.
#[derive(Debug, Default)]
struct Budget {
    /// Bytes of log so far.
    log: AtomicU64,
    /// Dropped events that aren't reported yet.
    left_out: AtomicU64,
}

impl DeploymentEvents {
    pub(super) fn new(shared: Arc<Shared>, claim: &Claim) -> Self {
        Self {
            shared,
            fence: claim.fence.clone(),
            project: claim.project.name.clone(),
            commit: claim.deployment.commit.clone(),
            redactor: Arc::new(Redactor::new(claim.project.secrets.all())),
            commands: Commands::default(),
            budget: Arc::default(),
        }
    }

    /// Sets the commands in diagnoses.
    #[must_use]
    pub fn commands(mut self, commands: Commands) -> Self {
        self.commands = commands;
        self
    }

    /// Completes a diagnosis with project, revision and the command of the embedding program, and redacts secrets.
    pub fn explain(&self, mut diagnosis: Diagnosis) -> Diagnosis {
        self.complete(&mut diagnosis);
        let unknown = || Diagnosis::new(&codes::UNKNOWN);
        let mut redacted = redact_all(&self.redactor, &diagnosis).unwrap_or_else(unknown);
        // A secret such as `auth` must not change them.
        redacted.code = diagnosis.code;
        redacted.class = diagnosis.class;
        redacted
    }

    fn complete(&self, diagnosis: &mut Diagnosis) {
        let names = [
            ("project", &*self.project),
            ("revision", self.commit.as_str()),
        ];
        for (kind, value) in names {
            let entry = diagnosis.context.entry(kind.to_owned());
            entry.or_insert_with(|| value.to_owned());
        }
        self.commands.complete(diagnosis);
    }

    /// Waits until all emitted events are stored.
    pub async fn flush(&self) {
        let (done, stored) = oneshot::channel();
        self.shared.pending().flushes.push(done);
        self.shared.urgent.notify_one();
        self.shared.news.notify_one();
        // The hub's task ends only with the process.
        let _ = stored.await;
    }

    /// Tells the hub that the store has events of this deployment that another writer stored.
    pub fn wake(&self) {
        self.shared.elsewhere.notify_one();
    }

    /// The redactor for all texts.
    pub fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// Whether the limits allow one more event that may be dropped.
    fn has_room(&self, kind: &EventKind, pending: usize) -> bool {
        let EventKind::Log { line, .. } = kind else {
            return pending < MAX_PENDING;
        };
        let before = self
            .budget
            .log
            .fetch_add(line.len() as u64, Ordering::Relaxed);
        pending < MAX_PENDING && before < MAX_LOG
    }

    /// A warning for the events that were dropped since the last one.
    fn gap(&self) -> Option<EventKind> {
        let left_out = self.budget.left_out.swap(0, Ordering::Relaxed);
        (left_out > 0).then(|| EventKind::Warning {
            message: format!("{left_out} log lines were dropped: there were too many"),
        })
    }
}

impl EventSink for DeploymentEvents {
    fn emit(&self, mut kind: EventKind) {
        if let EventKind::RollingBack { diagnosis, .. } | EventKind::Failed { diagnosis, .. } =
            &mut kind
        {
            self.complete(diagnosis);
        }
        let kind = redact(&self.redactor, kind);
        let new = |kind| NewEvent::new(self.fence.clone(), Timestamp::now(), kind);
        let mut pending = self.shared.pending();
        let may_be_left_out = matches!(kind, EventKind::Log { .. } | EventKind::Transfer { .. });
        if may_be_left_out && !self.has_room(&kind, pending.events.len()) {
            self.budget.left_out.fetch_add(1, Ordering::Relaxed);
            return;
        }
        // The next event of another kind reports the gap.
        if !may_be_left_out {
            pending.events.extend(self.gap().map(new));
        }
        pending.events.push(new(kind));
        drop(pending);
        self.shared.news.notify_one();
    }
}

impl fmt::Debug for DeploymentEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeploymentEvents({})", self.fence.deployment)
    }
}

fn redact(redactor: &Redactor, kind: EventKind) -> EventKind {
    match kind {
        EventKind::Log { vertex, line } => EventKind::Log {
            vertex,
            line: cut(readable(redactor, &line)),
        },
        EventKind::Transfer { .. } | EventKind::StepStarted { .. } => kind,
        other => redact_all(redactor, &other).unwrap_or_else(|| EventKind::Warning {
            message: "an event contained a secret and was dropped".to_owned(),
        }),
    }
}

/// Cleans and redacts every text of a value, through its JSON; `None` if the result is no such value any more.
fn redact_all<T: Serialize + DeserializeOwned>(redactor: &Redactor, value: &T) -> Option<T> {
    let mut json = serde_json::to_value(value).ok()?;
    redact_value(redactor, &mut json);
    serde_json::from_value(json).ok()
}

fn redact_value(redactor: &Redactor, value: &mut Value) {
    match value {
        Value::String(text) => *text = readable(redactor, text),
        Value::Array(values) => values.iter_mut().for_each(|v| redact_value(redactor, v)),
        Value::Object(fields) => fields.values_mut().for_each(|v| redact_value(redactor, v)),
        _ => {}
    }
}

/// First cleans: a control character inside a secret must not hide it.
fn readable(redactor: &Redactor, text: &str) -> String {
    redactor.redact(&text::clean(text)).into_owned()
}

fn cut(mut line: String) -> String {
    if line.len() > MAX_LINE {
        let mut end = MAX_LINE;
        while !line.is_char_boundary(end) {
            end -= 1;
        }
        line.truncate(end);
        line.push('…');
    }
    line
}
