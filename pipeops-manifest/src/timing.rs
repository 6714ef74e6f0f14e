//! The deadlines and periods of an application.

use std::time::Duration;

use pipeops_core::detection::Language;
use serde::{Deserialize, Serialize};

/// Deadlines and periods. Kubernetes counts in seconds: parts of a second are rounded up.
///
/// They must nest: start-up budget < progress deadline < rollout deadline, and drain < termination grace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Timing {
    /// How long a container may take until its health check passes, asked every 2 s. Default: by language, see [`Timing::startup_budget`].
    #[serde(rename = "startupBudgetSeconds", with = "optional_seconds")]
    pub startup_budget: Option<Duration>,
    /// How long a rollout may stand still before Kubernetes calls it stalled. Default 240 s.
    #[serde(rename = "progressDeadlineSeconds", with = "seconds")]
    pub progress_deadline: Duration,
    /// When a rollout fails. Not written to any object; the other deadlines are checked against it. Default 300 s.
    #[serde(rename = "rolloutDeadlineSeconds", with = "seconds")]
    pub rollout_deadline: Duration,
    /// How long a pod must have been ready before it counts. Default 0.
    #[serde(rename = "minReadySeconds", with = "seconds")]
    pub min_ready: Duration,
    /// How long a web pod keeps serving after the stop request, until every proxy has removed it. Default 5 s.
    #[serde(rename = "drainSeconds", with = "seconds")]
    pub drain: Duration,
    /// How long a pod may take to stop, draining included, before it is killed. Default 30 s.
    #[serde(rename = "terminationGraceSeconds", with = "seconds")]
    pub termination_grace: Duration,
    /// Longest answer time of one start-up or readiness check; liveness gets twice as much. Default 3 s.
    #[serde(rename = "probeTimeoutSeconds", with = "seconds")]
    pub probe_timeout: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            startup_budget: None,
            progress_deadline: Duration::from_secs(240),
            rollout_deadline: Duration::from_secs(300),
            min_ready: Duration::ZERO,
            drain: Duration::from_secs(5),
            termination_grace: Duration::from_secs(30),
            probe_timeout: Duration::from_secs(3),
        }
    }
}

impl Timing {
    /// The start-up budget that was set, else the language's: Go, Rust and static sites 30 s, JVM 180 s, all others 60 s.
    pub fn startup_budget(&self, language: Option<Language>) -> Duration {
        let by_language = match language {
            Some(Language::Go | Language::Rust | Language::Static) => 30,
            Some(Language::Java | Language::Scala | Language::Clojure) => 180,
            _ => 60,
        };
        self.startup_budget
            .unwrap_or(Duration::from_secs(by_language))
    }

    /// Sets how long a container may take until its health check passes.
    #[must_use]
    pub fn with_startup_budget(mut self, budget: Duration) -> Self {
        self.startup_budget = Some(budget);
        self
    }

    /// Sets when Kubernetes calls a rollout stalled, and when PipeOps gives it up.
    #[must_use]
    pub fn with_deadlines(mut self, progress: Duration, rollout: Duration) -> Self {
        self.progress_deadline = progress;
        self.rollout_deadline = rollout;
        self
    }

    /// Sets how long a pod keeps serving after the stop request, and how long it may take to stop.
    #[must_use]
    pub fn with_shutdown(mut self, drain: Duration, termination_grace: Duration) -> Self {
        self.drain = drain;
        self.termination_grace = termination_grace;
        self
    }
}

/// Whole seconds, rounded up.
pub(crate) fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

/// Whole seconds for a field of Kubernetes; validation has bounded them before.
pub(crate) fn seconds_i32(duration: Duration) -> i32 {
    i32::try_from(whole_seconds(duration)).unwrap_or(i32::MAX)
}

mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(crate::timing::whole_seconds(*value))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_secs)
    }
}

mod optional_seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(
        value: &Option<Duration>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        value.map(crate::timing::whole_seconds).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(from)?.map(Duration::from_secs))
    }
}
