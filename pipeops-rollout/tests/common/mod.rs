//! What the suites need: a stack, and ears for its events.
#![allow(dead_code, reason = "each suite uses its part")]

pub(crate) mod stand_in;

use std::sync::Mutex;

use pipeops_core::event::EventKind;
use pipeops_core::{EventSink, Object, Stack};
use serde_json::{Value, json};

/// What a test does to a container.
pub(crate) type Change = fn(&mut Value);

/// Remembers every event.
#[derive(Default)]
pub(crate) struct Told(Mutex<Vec<EventKind>>);

impl EventSink for Told {
    fn emit(&self, kind: EventKind) {
        self.0.lock().unwrap().push(kind);
    }
}

impl Told {
    pub(crate) fn all(&self) -> Vec<EventKind> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn messages(&self) -> Vec<String> {
        let message = |event| match event {
            EventKind::Rollout { message, .. } => Some(message),
            _ => None,
        };
        self.all().into_iter().filter_map(message).collect()
    }

    pub(crate) fn warnings(&self) -> Vec<String> {
        let message = |event| match event {
            EventKind::Warning { message } => Some(message),
            _ => None,
        };
        self.all().into_iter().filter_map(message).collect()
    }
}

/// A web application: a page in an immutable ConfigMap, a Service, and two pods that serve the page.
///
/// `change` may change the container.
pub(crate) fn web(
    namespace: &str,
    app: &str,
    revision: &str,
    image: &str,
    change: impl FnOnce(&mut Value),
) -> Stack {
    let config = format!("{app}-pages-{revision}");
    let labels = json!({"app.kubernetes.io/name": app});
    let mut container = json!({
        "name": "web",
        "image": image,
        "command": ["httpd", "-f", "-v", "-p", "8080", "-h", "/pages"],
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 1, "timeoutSeconds": 10},
        "volumeMounts": [{"name": "pages", "mountPath": "/pages"}],
    });
    change(&mut container);
    let template = json!({
        "metadata": {"labels": labels},
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "containers": [container],
            "volumes": [{"name": "pages", "configMap": {"name": config}}],
        },
    });
    let rolling = json!({"maxUnavailable": 0, "maxSurge": 1});
    let objects = [
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": config}, "immutable": true,
               "data": {"index.html": revision}}),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": app},
               "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": "http"}]}}),
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": app, "labels": labels},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": rolling},
            "template": template,
        }}),
    ];
    let objects = objects.into_iter().filter_map(Object::new).collect();
    Stack::new(app, namespace, revision.parse().unwrap(), objects)
}
