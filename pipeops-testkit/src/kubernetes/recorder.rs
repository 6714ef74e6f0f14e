//! Events, recorded as the real components do: the same words about the same object are counted, not repeated.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::names;
use super::request::Target;
use super::resources::EVENTS;
use super::shared::Shared;
use super::value::{object_reference, text};
use super::write::{self, Writer, now};

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
    sequence: u64,
}

impl Recorder {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            known: HashMap::new(),
            sequence: 0,
        }
    }

    /// Records an event about an object.
    pub(crate) fn record(&mut self, about: &Value, said: Said<'_>) {
        let namespace = text(about, "/metadata/namespace");
        let uid = text(about, "/metadata/uid");
        let key = format!("{uid}\n{}\n{}\n{}", said.reason, said.message, said.field_path);
        if let Some(name) = self.known.get(&key)
            && self.count(namespace, name)
        {
            return;
        }
        self.sequence += 1;
        let hash = names::fnv(format!("{key}\n{}", self.sequence).as_bytes());
        let name = format!("{}.{hash:016x}", text(about, "/metadata/name"));
        let event = event(about, &name, said);
        let target = Target::new(&EVENTS, namespace, "");
        let mut writer = Writer::component(said.component);
        let created = self
            .shared
            .write(|store| write::create(store, &target, &event, &mut writer));
        // An event about an object of a namespace that is going cannot be recorded: nobody will miss it.
        if created.is_ok() {
            self.known.insert(key, name);
        }
    }

    /// Counts an event that is there already.
    fn count(&self, namespace: &str, name: &str) -> bool {
        let target = Target::new(&EVENTS, namespace, name);
        let mut writer = Writer::component("kubelet");
        let counted = self.shared.write(|store| {
            write::modify(store, &target, &mut writer, |live| {
                let mut event = live.clone();
                event["count"] = (live["count"].as_i64().unwrap_or(1) + 1).into();
                event["lastTimestamp"] = now().into();
                Ok(event)
            })
        });
        counted.is_ok()
    }
}

fn event(about: &Value, name: &str, said: Said<'_>) -> Value {
    let time = now();
    let kind = match said.kind {
        Kind::Normal => "Normal",
        Kind::Warning => "Warning",
    };
    json!({
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name},
        "involvedObject": object_reference(about, said.field_path),
        "reason": said.reason,
        "message": said.message,
        "type": kind,
        "count": 1,
        "firstTimestamp": time,
        "lastTimestamp": time,
        "source": {"component": said.component},
        "reportingComponent": said.component,
        "reportingInstance": "",
    })
}
