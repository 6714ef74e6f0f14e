//! The lifecycle of a container.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::config;
use super::pull::PullDone;
use crate::kubernetes::behaviour::{Outcome, PodBehaviour};
use crate::kubernetes::names;
use crate::kubernetes::recorder::{Kind, Recorder, Said};
use crate::kubernetes::shared::Shared;
use crate::kubernetes::time::now;
use crate::kubernetes::value::text;
use crate::serve::lock;

/// The first wait of both back-offs; it doubles up to [`LONGEST_WAIT`].
pub(super) const FIRST_WAIT: Duration = Duration::from_secs(10);
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// How long a failure shows its own reason before the back-off does.
pub(super) const MOMENT: Duration = Duration::from_secs(1);

/// What a container is doing.
#[derive(Debug, Clone)]
pub(super) enum Stage {
    /// Nothing yet.
    Waiting,
    /// The image is being pulled; without a time the registry is being asked.
    Pulling {
        until: Option<Instant>,
    },
    /// Something failed; it is tried again.
    Failed {
        reason: &'static str,
        message: String,
        until: Instant,
        then: Then,
    },
    Running {
        since: Instant,
        started_at: String,
    },
    /// It has run; `state` is its `terminated`.
    Ended {
        until: Option<Instant>,
        state: Value,
    },
}

/// What follows a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// ErrImagePull becomes ImagePullBackOff.
    BackOffPull,
    /// A failed start becomes CrashLoopBackOff.
    BackOffCrash,
    /// From the beginning.
    Start,
}

/// What a container needs from around it.
pub(super) struct Surroundings<'a> {
    pub(super) shared: &'a Arc<Shared>,
    pub(super) recorder: &'a mut Recorder,
    pub(super) images: &'a mut BTreeSet<String>,
    pub(super) answers: &'a mpsc::UnboundedSender<PullDone>,
    pub(super) asking: &'a mut JoinSet<()>,
    pub(super) pod: &'a Value,
    pub(super) uid: &'a str,
    pub(super) address: &'a str,
}

/// One container of a pod.
#[derive(Debug, Clone)]
pub(super) struct Container {
    pub(super) name: String,
    pub(super) image: String,
    pub(super) spec: Value,
    pub(super) init: bool,
    pub(super) stage: Stage,
    pub(super) restarts: u32,
    /// The `terminated` of the run before.
    pub(super) last: Option<Value>,
    pub(super) ready: bool,
    pub(super) started: bool,
    pub(super) next_probe: Option<Instant>,
    pub(super) failed_probes: i64,
    pub(super) failures: u32,
    pub(super) crashes: u32,
    pub(super) pull_wait: Duration,
    pub(super) pull_error: String,
    pub(super) answer: Option<Result<(), String>>,
}

impl Container {
    pub(super) fn new(spec: &Value, init: bool) -> Self {
        Self {
            name: text(spec, "/name").to_owned(),
            image: text(spec, "/image").to_owned(),
            spec: spec.clone(),
            init,
            stage: Stage::Waiting,
            restarts: 0,
            last: None,
            ready: false,
            started: false,
            next_probe: None,
            failed_probes: 0,
            failures: 0,
            crashes: 0,
            pull_wait: FIRST_WAIT,
            pull_error: String::new(),
            answer: None,
        }
    }

    /// Where events say that they happened.
    pub(super) fn field_path(&self) -> String {
        let list = if self.init {
            "initContainers"
        } else {
            "containers"
        };
        format!("spec.{list}{{{}}}", self.name)
    }

    /// An identity like the runtime's, new for every start.
    pub(super) fn id(&self, uid: &str) -> String {
        let seed = names::fnv(format!("{uid}/{}/{}", self.name, self.restarts).as_bytes());
        format!(
            "containerd://{seed:016x}{:016x}{:016x}{:016x}",
            !seed,
            seed.rotate_left(17),
            seed.rotate_left(31)
        )
    }

    /// Whether an init container has succeeded. One that is restarted always is a sidecar: it has when it runs.
    pub(super) fn is_done(&self) -> bool {
        match &self.stage {
            Stage::Ended { state, .. } => state["exitCode"] == 0,
            Stage::Running { .. } => self.is_sidecar() && self.started,
            _ => false,
        }
    }

    pub(super) fn is_sidecar(&self) -> bool {
        self.init && self.spec["restartPolicy"] == "Always"
    }

    /// The registry has answered.
    pub(super) fn pulled(&mut self, done: &PullDone) {
        if matches!(self.stage, Stage::Pulling { until: None }) {
            self.answer = Some(done.result.clone());
        }
    }

    /// Does what is due; when something will be due again.
    pub(super) fn step(&mut self, around: &mut Surroundings<'_>) -> Option<Instant> {
        let at = Instant::now();
        loop {
            let due = match &self.stage {
                Stage::Waiting => at,
                Stage::Pulling { until: Some(until) } => *until,
                Stage::Pulling { until: None } if self.answer.is_some() => at,
                Stage::Pulling { until: None } => return None,
                Stage::Failed { until, .. } => *until,
                Stage::Ended { until, .. } => (*until)?,
                Stage::Running { since, .. } => match self.watch(around, *since, at) {
                    Some(next) => return Some(next),
                    None if matches!(self.stage, Stage::Running { .. }) => return None,
                    None => continue,
                },
            };
            if due > at {
                return Some(due);
            }
            self.advance(around);
        }
    }

    pub(super) fn advance(&mut self, around: &mut Surroundings<'_>) {
        match self.stage.clone() {
            Stage::Waiting => self.begin(around),
            Stage::Pulling { .. } => self.finish_pull(around),
            Stage::Failed { then, .. } => match then {
                Then::BackOffPull => self.back_off_pull(around),
                Then::BackOffCrash => self.back_off_crash(around),
                Then::Start => self.begin(around),
            },
            Stage::Ended { .. } if self.crashes > 1 => self.back_off_crash(around),
            Stage::Ended { .. } => self.begin(around),
            Stage::Running { .. } => {}
        }
    }

    pub(super) fn behaviour(&self, around: &Surroundings<'_>) -> PodBehaviour {
        let labels = &around.pod["metadata"]["labels"];
        lock(&around.shared.behaviours).find(labels, &self.image)
    }

    /// What the script says about the next try. Init containers have nothing to become ready for.
    pub(super) fn outcome(&self, around: &Surroundings<'_>) -> Outcome {
        self.behaviour(around).outcome_after(self.failures).clone()
    }

    pub(super) fn say(
        &self,
        around: &mut Surroundings<'_>,
        kind: Kind,
        reason: &'static str,
        message: &str,
    ) {
        let said = Said {
            component: "kubelet",
            kind,
            reason,
            message,
            field_path: &self.field_path(),
        };
        around.recorder.record(around.pod, said);
    }

    /// A failure before the container exists; `said` is what the event says.
    pub(super) fn fail(
        &mut self,
        around: &mut Surroundings<'_>,
        reason: &'static str,
        said: &str,
        message: String,
    ) {
        self.failures += 1;
        self.say(around, Kind::Warning, "Failed", &format!("Error: {said}"));
        self.stage = Stage::Failed {
            reason,
            message,
            until: Instant::now() + around.shared.options.real(FIRST_WAIT),
            then: Then::Start,
        };
    }

    /// Configuration, creation, start.
    pub(super) fn create(&mut self, around: &mut Surroundings<'_>) {
        let missing = around
            .shared
            .read(|store| config::missing_environment(store, around.pod, &self.spec));
        let broken = missing.or_else(|| config::breaks_non_root(around.pod, &self.spec));
        if let Some(why) = broken {
            return self.fail(around, "CreateContainerConfigError", &why.clone(), why);
        }
        let outcome = self.outcome(around);
        if let Outcome::CreateFails(why) = &outcome {
            return self.fail(around, "CreateContainerError", why, why.clone());
        }
        // It counts as a restart once there is a new container.
        self.restarts += u32::from(self.last.is_some());
        self.say(around, Kind::Normal, "Created", "Container created");
        if let Outcome::RunFails(why) = &outcome {
            return self.fail_to_run(around, why);
        }
        self.say(around, Kind::Normal, "Started", "Container started");
        let lines = self.behaviour(around).log;
        around.shared.logs.start(around.uid, &self.name, &lines);
        self.ready = false;
        self.started = false;
        self.failed_probes = 0;
        self.next_probe = None;
        self.stage = Stage::Running {
            since: Instant::now(),
            started_at: now(),
        };
    }

    pub(super) fn fail_to_run(&mut self, around: &mut Surroundings<'_>, why: &str) {
        let message = format!(
            "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: {why}: unknown"
        );
        self.say(
            around,
            Kind::Warning,
            "Failed",
            &format!("Error: {message}"),
        );
        self.failures += 1;
        self.crashes += 1;
        self.last = Some(json!({
            "exitCode": 128,
            "reason": "StartError",
            "message": message,
            "startedAt": "1970-01-01T00:00:00Z",
            "finishedAt": now(),
            "containerID": self.id(around.uid),
        }));
        self.stage = Stage::Failed {
            reason: "RunContainerError",
            message,
            until: Instant::now() + around.shared.options.real(MOMENT),
            then: if self.crashes > 1 {
                Then::BackOffCrash
            } else {
                Then::Start
            },
        };
    }
}
