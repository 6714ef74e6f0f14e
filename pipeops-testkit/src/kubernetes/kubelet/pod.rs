//! The kubelet's state of a pod.

use serde_json::Value;
use tokio::time::Instant;

use super::container::{Container, Stage};
use crate::kubernetes::recorder::{Kind, Recorder, Said};
use crate::kubernetes::time::now;
use crate::kubernetes::value::{items, text};

/// What the kubelet knows about a pod.
pub(super) struct Pod {
    pub(super) uid: String,
    /// Empty until the network is there.
    pub(super) address: String,
    pub(super) started_at: String,
    pub(super) mounted: bool,
    pub(super) containers: Vec<Container>,
    /// When the containers that were told to stop are gone.
    pub(super) stopped: Option<Instant>,
    pub(super) failures: u32,
}

impl Pod {
    pub(super) fn new(object: &Value) -> Self {
        let of = |list: &str, init: bool| {
            items(object, list)
                .iter()
                .map(|spec| Container::new(spec, init))
                .collect::<Vec<_>>()
        };
        let mut containers = of("/spec/initContainers", true);
        containers.extend(of("/spec/containers", false));
        Self {
            uid: text(object, "/metadata/uid").to_owned(),
            address: String::new(),
            started_at: now(),
            mounted: false,
            containers,
            stopped: None,
            failures: 0,
        }
    }

    /// Says of each running container that it is stopped.
    pub(super) fn announce_stop(&self, recorder: &mut Recorder, object: &Value) {
        for container in &self.containers {
            if matches!(container.stage, Stage::Running { .. }) {
                recorder.record(
                    object,
                    Said {
                        component: "kubelet",
                        kind: Kind::Normal,
                        reason: "Killing",
                        message: &format!("Stopping container {}", container.name),
                        field_path: &container.field_path(),
                    },
                );
            }
        }
    }
}
