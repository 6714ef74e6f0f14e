//! Records events as the real components do: repeated events are counted.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::request::Target;
use super::resources::EVENTS;
use super::setup::NODE;
use super::shared::Shared;
use super::time::{now, precise_now};
use super::value::{object_reference, text};
use super::write::{self, Writer};

/// Normal or Warning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Normal,
    Warning,
}

/// What an event says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Said<'a> {
    pub(crate) component: &'static str,
    pub(crate) kind: Kind,
    pub(crate) reason: &'static str,
    pub(crate) message: &'a str,
    /// For instance `spec.containers{app}`; empty for the object as a whole.
    pub(crate) field_path: &'a str,
}

/// Who records events.
pub(crate) struct Recorder {
    shared: Arc<Shared>,
    /// The name of the event by what it says about whom.
    known: HashMap<String, String>,
    /// The time of the latest event, in nanoseconds: names of events lie in their order.
    latest: u64,
}

impl Recorder {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            known: HashMap::new(),
            latest: 0,
        }
    }

    /// Records an event about an object.
    pub(crate) fn record(&mut self, about: &Value, said: Said<'_>) {
        let namespace = text(about, "/metadata/namespace");
        let uid = text(about, "/metadata/uid");
        let key = format!(
            "{uid}\n{}\n{}\n{}",
            said.reason, said.message, said.field_path
        );
        if let Some(name) = self.known.get(&key)
            && self.count(namespace, name, said.component)
        {
            return;
        }
        let nanos = u64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or(0);
        self.latest = nanos.max(self.latest + 1);
        let name = format!("{}.{:016x}", text(about, "/metadata/name"), self.latest);
        let event = if said.component == SCHEDULER {
            new_event(about, &name, said)
        } else {
            self.old_event(about, &name, said)
        };
        let target = Target::new(&EVENTS, namespace, "");
        let mut writer = Writer::component(program(said.component));
        let created = self
            .shared
            .write(|store| write::create(store, &target, &event, &mut writer));
        // An event about an object of a namespace that is being deleted cannot be recorded, as on a real server.
        if created.is_ok() {
            if self.known.len() == KNOWN {
                // What was said long ago is said anew rather than counted.
                self.known.clear();
            }
            self.known.insert(key, name);
        }
    }

    /// Counts an event that is there already.
    fn count(&self, namespace: &str, name: &str, component: &str) -> bool {
        let target = Target::new(&EVENTS, namespace, name);
        let mut writer = Writer::component(program(component));
        let counted = self.shared.write(|store| {
            write::modify(store, &target, &mut writer, |live| {
                let mut event = live.clone();
                if component == SCHEDULER {
                    let count = live["series"]["count"].as_i64().unwrap_or(1) + 1;
                    event["series"] = json!({"count": count, "lastObservedTime": precise_now()});
                } else {
                    event["count"] = (live["count"].as_i64().unwrap_or(1) + 1).into();
                    event["lastTimestamp"] = now().into();
                }
                Ok(event)
            })
        });
        counted.is_ok()
    }

    fn old_event(&self, about: &Value, name: &str, said: Said<'_>) -> Value {
        let time = now();
        let mut source = json!({ "component": said.component });
        let mut instance = "";
        if said.component == "kubelet" {
            instance = NODE;
            source["host"] = instance.into();
        }
        json!({
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name},
            "involvedObject": object_reference(about, said.field_path),
            "reason": said.reason,
            "message": said.message,
            "type": said.kind.name(),
            "count": 1,
            "firstTimestamp": time,
            "lastTimestamp": time,
            "eventTime": null,
            "source": source,
            "reportingComponent": said.component,
            "reportingInstance": instance,
        })
    }
}

/// Events that are remembered for counting.
const KNOWN: usize = 10_000;

/// The one component whose events carry the fields of `events.k8s.io`: no first and last time, no count.
const SCHEDULER: &str = "default-scheduler";

fn new_event(about: &Value, name: &str, said: Said<'_>) -> Value {
    let action = if said.reason == "Scheduled" {
        "Binding"
    } else {
        "Scheduling"
    };
    json!({
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name},
        "involvedObject": object_reference(about, said.field_path),
        "reason": said.reason,
        "message": said.message,
        "type": said.kind.name(),
        "action": action,
        "eventTime": precise_now(),
        "reportingComponent": said.component,
        "reportingInstance": format!("{}-stand-in", said.component),
    })
}

/// The program that a component is part of: it writes the events.
fn program(component: &str) -> &str {
    match component {
        "kubelet" => "kubelet",
        SCHEDULER => "kube-scheduler",
        _ => "kube-controller-manager",
    }
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}
