//! The Kubernetes objects of one application, as manifests generate them and rollouts apply them.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::revision::Revision;

/// One Kubernetes object as JSON, with the fields that every object has.
///
/// This crate has no Kubernetes types: generators convert from their typed objects, and rollouts need only the coordinates.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Object(Value);

impl Object {
    /// Wraps a JSON object; `None` unless `apiVersion`, `kind` and `metadata.name` are non-empty strings.
    pub fn new(value: Value) -> Option<Self> {
        let named = ["/apiVersion", "/kind", "/metadata/name"].iter().all(|at| {
            value
                .pointer(at)
                .and_then(Value::as_str)
                .is_some_and(|text| !text.is_empty())
        });
        named.then_some(Self(value))
    }

    /// `apps/v1`, `v1`.
    pub fn api_version(&self) -> &str {
        self.text("/apiVersion").unwrap_or_default()
    }

    /// `Deployment`, `Service`.
    pub fn kind(&self) -> &str {
        self.text("/kind").unwrap_or_default()
    }

    /// `metadata.name`.
    pub fn name(&self) -> &str {
        self.text("/metadata/name").unwrap_or_default()
    }

    /// `metadata.namespace`; `None` for cluster-scoped objects and objects without one.
    pub fn namespace(&self) -> Option<&str> {
        self.text("/metadata/namespace")
    }

    /// The JSON.
    pub fn value(&self) -> &Value {
        &self.0
    }

    /// The JSON, mutable. Keep `apiVersion`, `kind` and `metadata.name`.
    pub fn value_mut(&mut self) -> &mut Value {
        &mut self.0
    }

    fn text(&self, pointer: &str) -> Option<&str> {
        self.0.pointer(pointer).and_then(Value::as_str)
    }
}

/// Shows only the coordinates: the data of a `Secret` must not reach a log.
impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind(), self.name())
    }
}

/// All objects of one revision of an application, in apply order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Stack {
    /// The application's name, which is also its workload's name.
    pub app: String,
    /// The namespace of all objects.
    pub namespace: String,
    /// The revision.
    pub revision: Revision,
    /// The objects in apply order: referenced objects first, the workload last.
    pub objects: Vec<Object>,
}

impl Stack {
    /// A stack of these objects, in this order.
    pub fn new(
        app: impl Into<String>,
        namespace: impl Into<String>,
        revision: Revision,
        objects: Vec<Object>,
    ) -> Self {
        Self {
            app: app.into(),
            namespace: namespace.into(),
            revision,
            objects,
        }
    }

    /// The object with this kind and name.
    pub fn get(&self, kind: &str, name: &str) -> Option<&Object> {
        self.objects
            .iter()
            .find(|object| object.kind() == kind && object.name() == name)
    }

    /// The workload: the object that runs pods and has the app's name.
    pub fn workload(&self) -> Option<&Object> {
        ["Deployment", "StatefulSet"]
            .iter()
            .find_map(|kind| self.get(kind, &self.app))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_object_without_a_name_is_none() {
        assert!(
            Object::new(json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": ""}}))
                .is_none()
        );
        assert!(Object::new(json!([])).is_none());
    }

    #[test]
    fn debug_shows_no_data() {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"k": "aHVudGVy"}});
        assert_eq!(format!("{:?}", Object::new(secret).unwrap()), "Secret/s");
    }
}
