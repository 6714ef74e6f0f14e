//! The deadlines and periods of an application.

use std::time::Duration;

use pipeops_core::detection::Language;
use serde::{Deserialize, Serialize};

/// Deadlines and periods, in whole seconds: fractions are rounded up.
///
/// They must nest: start-up budget + `min_ready` < progress deadline, and drain < termination grace. By default, `pipeops-rollout`
/// fails a rollout 60 s after its progress deadline, so that Kubernetes can report the stall first.
///
/// ```
/// use std::time::Duration;
/// use pipeops_manifest::{Language, Timing};
///
/// let timing = Timing::default().with_progress_deadline(Duration::from_secs(600));
/// assert_eq!(timing.startup_budget(Some(Language::Go)), Duration::from_secs(30));
/// assert_eq!(timing.drain, Duration::from_secs(5));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Timing {
    /// How long a container may take until its health check passes. It's checked every 2 s. Default: by language, see
    /// [`Timing::startup_budget`].
    #[serde(rename = "startupBudgetSeconds", with = "optional_seconds")]
    pub startup_budget: Option<Duration>,
    /// How long a rollout may make no progress before Kubernetes reports it as stalled. Default: 240 s.
    #[serde(rename = "progressDeadlineSeconds", with = "seconds")]
    pub progress_deadline: Duration,
    /// How long a pod must be ready before it counts as available. Default: 0 s.
    #[serde(rename = "minReadySeconds", with = "seconds")]
    pub min_ready: Duration,
    /// How long a web pod keeps serving after the stop request, until every proxy has removed it. Default: 5 s.
    #[serde(rename = "drainSeconds", with = "seconds")]
    pub drain: Duration,
    /// How long a pod may take to stop, draining included, before it's killed. Default: 30 s.
    #[serde(rename = "terminationGraceSeconds", with = "seconds")]
    pub termination_grace: Duration,
    /// Timeout of one start-up or readiness check; liveness checks get twice as much. Default: 3 s.
    #[serde(rename = "probeTimeoutSeconds", with = "seconds")]
    pub probe_timeout: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            startup_budget: None,
            progress_deadline: Duration::from_secs(240),

            min_ready: Duration::ZERO,
            drain: Duration::from_secs(5),
            termination_grace: Duration::from_secs(30),
            probe_timeout: Duration::from_secs(3),
        }
    }
}

impl Timing {
    /// The start-up budget, or the default of the language: 30 s for Go, Rust and static sites, 180 s for the JVM, 60 s for all
    /// others.
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

    /// Sets how long a rollout may make no progress.
    #[must_use]
    pub fn with_progress_deadline(mut self, deadline: Duration) -> Self {
        self.progress_deadline = deadline;
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

/// Whole seconds for a field of Kubernetes. Validation has checked their range.
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
