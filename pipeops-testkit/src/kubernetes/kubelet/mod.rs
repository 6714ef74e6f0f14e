//! The kubelet and the scheduler. They place, start, probe, restart and stop pods according to their behaviour.

mod config;
mod container;
mod exit;
mod image;
mod pod;
mod probes;
mod pull;
mod scheduler;
mod status;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use self::container::{Container, Stage, Surroundings};
use self::pod::Pod;
pub(crate) use self::pull::PullDone;
use super::behaviour::{MOMENT, Outcome};
use super::delete::{self, Options};
use super::recorder::{Kind, Recorder, Said};
use super::request::Target;
use super::resources::PODS;
use super::setup::NODE;
use super::shared::Shared;
use super::value::{int, is_ready, is_terminating, items, text};
use super::write::{self, Writer};
use crate::serve::lock;

/// How long the kubelet waits before it retries, in the cluster's time.
const RETRY: Duration = Duration::from_secs(2);

/// The kubelet of the only node.
pub(crate) struct Kubelet {
    shared: Arc<Shared>,
    pods: HashMap<(String, String), Pod>,
    /// When each pod became ready, by UID. The times in conditions are too coarse: whole seconds.
    ready: HashMap<String, Instant>,
    images: BTreeSet<String>,
    addresses: u32,
    answers: mpsc::UnboundedSender<PullDone>,
    asking: JoinSet<()>,
}

impl Kubelet {
    pub(crate) fn new(shared: Arc<Shared>, answers: mpsc::UnboundedSender<PullDone>) -> Self {
        Self {
            shared,
            pods: HashMap::new(),
            ready: HashMap::new(),
            images: BTreeSet::new(),
            addresses: 0,
            answers,
            asking: JoinSet::new(),
        }
    }

    /// When a pod became ready, if it's ready.
    pub(crate) fn ready_since(&self, uid: &str) -> Option<Instant> {
        self.ready.get(uid).copied()
    }

    /// Does what is due for a pod. Returns when to call it again.
    pub(crate) fn look(
        &mut self,
        recorder: &mut Recorder,
        namespace: &str,
        name: &str,
    ) -> Option<Instant> {
        let target = Target::new(&PODS, namespace, name);
        let place = (namespace.to_owned(), name.to_owned());
        let Some(pod) = self.shared.read(|store| store.get(&target.key()).cloned()) else {
            self.forget(&place);
            return None;
        };
        if self
            .pods
            .get(&place)
            .is_some_and(|known| known.uid != text(&pod, "/metadata/uid"))
        {
            self.forget(&place);
        }
        if text(&pod, "/spec/nodeName").is_empty() {
            if is_terminating(&pod) {
                return None;
            }
            return scheduler::place(&self.shared, recorder, &pod);
        }
        if text(&pod, "/spec/nodeName") != NODE {
            // The pod belongs to another node's kubelet.
            return None;
        }
        if is_terminating(&pod) {
            return self.stop(recorder, &place, &target, &pod);
        }
        if matches!(text(&pod, "/status/phase"), "Succeeded" | "Failed") {
            return None;
        }
        self.run(recorder, &place, &target, &pod)
    }

    fn forget(&mut self, place: &(String, String)) {
        if let Some(pod) = self.pods.remove(place) {
            self.ready.remove(&pod.uid);
            self.shared.logs.forget(&pod.uid);
        }
    }

    fn run(
        &mut self,
        recorder: &mut Recorder,
        place: &(String, String),
        target: &Target,
        object: &Value,
    ) -> Option<Instant> {
        let mut pod = self.pods.remove(place).unwrap_or_else(|| Pod::new(object));
        let next = match self.prepare(recorder, &mut pod, object) {
            Ok(()) => self.step_containers(recorder, &mut pod, object),
            Err(retry) => Some(retry),
        };
        self.publish(target, object, &pod);
        self.pods.insert(place.clone(), pod);
        next
    }

    /// Sets up volumes and network. The error is when to retry.
    fn prepare(
        &mut self,
        recorder: &mut Recorder,
        pod: &mut Pod,
        object: &Value,
    ) -> Result<(), Instant> {
        if pod.mounted && !pod.address.is_empty() {
            return Ok(());
        }
        let mut say = |reason: &'static str, message: &str| {
            recorder.record(
                object,
                Said {
                    component: "kubelet",
                    kind: Kind::Warning,
                    reason,
                    message,
                    field_path: "",
                },
            );
        };
        let retry = Instant::now() + self.shared.options.real(RETRY);
        let scripted = self.scripted(object, pod.failures);
        if !pod.mounted {
            let missing = self
                .shared
                .read(|store| config::missing_volume(store, object));
            let failure = match scripted {
                Some(Outcome::MountFails(message)) => Some(message),
                _ => missing,
            };
            if let Some(message) = failure {
                pod.failures += 1;
                say("FailedMount", &message);
                return Err(retry);
            }
            pod.mounted = true;
        }
        if let Some(Outcome::SandboxFails(message)) = self.scripted(object, pod.failures) {
            pod.failures += 1;
            say(
                "FailedCreatePodSandBox",
                &format!("Failed to create pod sandbox: {message}"),
            );
            return Err(retry);
        }
        self.addresses += 1;
        let number = self.addresses;
        pod.address = format!("10.244.{}.{}", (number >> 8) & 0xff, number & 0xff);
        Ok(())
    }

    /// The scripted outcome of a pod: that of its first container that isn't simply ready.
    fn scripted(&self, object: &Value, failures: u32) -> Option<Outcome> {
        let behaviours = lock(&self.shared.behaviours);
        let labels = &object["metadata"]["labels"];
        items(object, "/spec/containers")
            .iter()
            .find_map(|container| {
                let behaviour = behaviours.find(labels, text(container, "/image"));
                let outcome = behaviour.outcome_after(failures).clone();
                (outcome != Outcome::Ready).then_some(outcome)
            })
    }

    /// Runs init containers one after another, then all other containers together.
    fn step_containers(
        &mut self,
        recorder: &mut Recorder,
        pod: &mut Pod,
        object: &Value,
    ) -> Option<Instant> {
        let mut next: Option<Instant> = None;
        let address = pod.address.clone();
        let uid = pod.uid.clone();
        for container in &mut pod.containers {
            let mut around = Surroundings {
                shared: &self.shared,
                recorder,
                images: &mut self.images,
                answers: &self.answers,
                asking: &mut self.asking,
                pod: object,
                uid: &uid,
                address: &address,
            };
            let due = container.step(&mut around);
            next = [next, due].into_iter().flatten().min();
            // Init containers come first in the list.
            if container.init && !container.is_done() {
                break;
            }
        }
        next
    }

    /// Handles the registry's response.
    pub(crate) fn pulled(&mut self, done: PullDone) {
        let place = (done.namespace.clone(), done.pod.clone());
        if let Some(pod) = self.pods.get_mut(&place)
            && pod.uid == done.uid
        {
            for container in &mut pod.containers {
                if container.name == done.container {
                    container.pulled(&done);
                }
            }
        }
    }

    /// Writes the pod's status if it has changed.
    fn publish(&mut self, target: &Target, object: &Value, pod: &Pod) {
        let status = status::of(object, pod);
        self.write_status(target, object, status);
    }

    fn write_status(&mut self, target: &Target, object: &Value, status: Value) {
        let uid = text(object, "/metadata/uid");
        let ready = is_ready(&serde_json::json!({ "status": status }));
        if !ready {
            self.ready.remove(uid);
        } else if !self.ready.contains_key(uid) {
            self.ready.insert(uid.to_owned(), Instant::now());
        }
        if status == object["status"] {
            return;
        }
        let mut writer = Writer::component("kubelet");
        let _ = self.shared.write(|store| {
            write::modify(store, &target.clone().status(), &mut writer, |live| {
                let mut object = live.clone();
                object["status"] = status;
                Ok(object)
            })
        });
    }

    /// Stops a pod that is being deleted, and removes it once its containers have stopped.
    fn stop(
        &mut self,
        recorder: &mut Recorder,
        place: &(String, String),
        target: &Target,
        object: &Value,
    ) -> Option<Instant> {
        let now = Instant::now();
        let mut pod = self.pods.remove(place).unwrap_or_else(|| Pod::new(object));
        let stopped = pod.stopped.unwrap_or_else(|| {
            pod.announce_stop(recorder, object);
            now + self.stop_time(object, &pod)
        });
        pod.stopped = Some(stopped);
        if stopped > now {
            self.pods.insert(place.clone(), pod);
            return Some(stopped);
        }
        pod.containers.iter_mut().for_each(Container::stop);
        self.publish(target, object, &pod);
        self.pods.insert(place.clone(), pod);
        let _ = self
            .shared
            .write(|store| delete::delete(store, target, &Options::now()));
        None
    }

    /// How long the slowest container takes to stop, including its hook, at most the grace period.
    fn stop_time(&self, object: &Value, pod: &Pod) -> Duration {
        let grace = int(object, "/metadata/deletionGracePeriodSeconds");
        let seconds = |count: i64| {
            let time = Duration::from_secs(u64::try_from(count).unwrap_or(0));
            self.shared.options.real(time)
        };
        let running = pod
            .containers
            .iter()
            .filter(|container| matches!(container.stage, Stage::Running { .. }));
        let slowest = running.map(|container| {
            let hook = int(&container.spec, "/lifecycle/preStop/sleep/seconds");
            MOMENT + seconds(hook)
        });
        slowest.max().unwrap_or_default().min(seconds(grace))
    }
}
