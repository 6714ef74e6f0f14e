//! The application that a rollout acts on, and the labels and annotations that mark its objects.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pipeops_core::names::{MANAGED_BY_LABEL, MANAGER, REVISION_ANNOTATION};
use pipeops_core::{Object, Stack};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::cluster::ObjectId;
use crate::error::Error;

/// The label that names the set of objects that an object is part of.
const PART_OF_LABEL: &str = "applyset.kubernetes.io/part-of";

/// An application, and the id of its set of objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) namespace: String,
    pub(crate) app: String,
}

impl Target {
    /// # Errors
    /// [`Error::InvalidStack`] unless both are DNS labels.
    pub(crate) fn new(namespace: &str, app: &str) -> Result<Self, Error> {
        for (what, name) in [("namespace", namespace), ("name", app)] {
            if !is_label(name) {
                let problem = format!("{what} \"{name}\" isn't a DNS label");
                return Err(invalid(app, problem));
            }
        }
        Ok(Self {
            namespace: namespace.to_owned(),
            app: app.to_owned(),
        })
    }

    /// The application of a stack, if the stack can be rolled out.
    ///
    /// # Errors
    /// [`Error::InvalidStack`].
    pub(crate) fn of(stack: &Stack) -> Result<Self, Error> {
        let target = Self::new(&stack.namespace, &stack.app)?;
        let problem = match stack.workload().map(Object::kind) {
            None => Some("it contains no Deployment of the application's name".to_owned()),
            Some("Deployment") => stack.objects.iter().find_map(|o| target.problem_of(o)),
            Some(kind) => Some(format!("a {kind} isn't supported yet, only a Deployment")),
        };
        match problem {
            Some(problem) => Err(invalid(&stack.app, problem)),
            None => Ok(target),
        }
    }

    pub(crate) fn workload(&self) -> ObjectId {
        ObjectId::deployment(&self.namespace, &self.app)
    }

    /// Whether the object is the application's Deployment.
    pub(crate) fn is_workload(&self, object: &Object) -> bool {
        object.kind() == "Deployment" && object.name() == self.app
    }

    /// The ConfigMap with the application's record; the parent of its set of objects.
    pub(crate) fn record(&self) -> ObjectId {
        ObjectId::config_map(&self.namespace, &format!("pipeops-{}", self.app))
    }

    /// The id of the application's set of objects, as the [ApplySet specification] derives it from the parent.
    ///
    /// [ApplySet specification]: https://github.com/kubernetes/enhancements/tree/master/keps/sig-cli/3659-kubectl-apply-prune
    pub(crate) fn apply_set(&self) -> String {
        let parent = format!("{}.{}.ConfigMap.", self.record().name, self.namespace);
        let hash = URL_SAFE_NO_PAD.encode(Sha256::digest(parent.as_bytes()));
        format!("applyset-{hash}-v1")
    }

    /// Selects the application's objects.
    pub(crate) fn selector(&self) -> String {
        format!(
            "{MANAGED_BY_LABEL}={MANAGER},{PART_OF_LABEL}={}",
            self.apply_set()
        )
    }

    /// Labels all objects as parts of the application's set, and annotates the workload and its pods with the revision.
    ///
    /// The pods' label lets one watch select all of PipeOps' pods. The pods' annotation gives each revision a template of its
    /// own, and so a ReplicaSet of its own.
    pub(crate) fn mark(&self, stack: &mut Stack) {
        let apply_set = self.apply_set();
        for object in &mut stack.objects {
            let is_workload = self.is_workload(object);
            let value = object.value_mut();
            set(value, &["metadata", "labels", MANAGED_BY_LABEL], MANAGER);
            set(value, &["metadata", "labels", PART_OF_LABEL], &apply_set);
            if is_workload {
                for metadata in [&["metadata"][..], &["spec", "template", "metadata"]] {
                    let revision = ["annotations", REVISION_ANNOTATION];
                    set(
                        value,
                        &[metadata, &revision].concat(),
                        stack.revision.as_str(),
                    );
                    let manager = ["labels", MANAGED_BY_LABEL];
                    set(value, &[metadata, &manager].concat(), MANAGER);
                }
            }
        }
    }

    /// Whether the object is part of the application's set.
    pub(crate) fn contains(&self, object: &Object) -> bool {
        let labels = &object.value()["metadata"]["labels"];
        labels[PART_OF_LABEL].as_str() == Some(&self.apply_set())
    }

    fn problem_of(&self, object: &Object) -> Option<String> {
        let id = ObjectId::of(object, &self.namespace);
        let in_path = |text: &str| {
            text.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-')
                && !text.contains("..")
        };
        // These become parts of a request's path.
        let version = id
            .api_version
            .split_once('/')
            .unwrap_or(("", &id.api_version));
        if !(in_path(&id.name) && in_path(&id.kind) && in_path(version.0) && in_path(version.1)) {
            return Some(format!("{id} has an invalid name, kind or version"));
        }
        let elsewhere = !id.namespace.is_empty() && id.namespace != self.namespace;
        elsewhere.then(|| format!("{id} is in namespace \"{}\"", id.namespace))
    }
}

/// A hash of the stack, in 16 hexadecimal digits. It excludes the data of Secrets, which readers of the record could
/// otherwise guess.
pub(crate) fn fingerprint(stack: &Stack) -> String {
    let mut hash = Sha256::new();
    for object in &stack.objects {
        let mut value = object.value().clone();
        if object.kind() == "Secret"
            && let Some(secret) = value.as_object_mut()
        {
            secret.remove("data");
            secret.remove("stringData");
        }
        hash.update(value.to_string().as_bytes());
        hash.update([0]);
    }
    hex::encode(&hash.finalize()[..8])
}

/// Whether PipeOps applied this object: it has PipeOps' label and field manager.
pub(crate) fn is_own(object: &Object) -> bool {
    let metadata = &object.value()["metadata"];
    let labelled = metadata["labels"][MANAGED_BY_LABEL].as_str() == Some(MANAGER);
    let managers = metadata["managedFields"].as_array();
    let applied = managers.into_iter().flatten().any(|entry| {
        entry["manager"].as_str() == Some(MANAGER) && entry["operation"].as_str() == Some("Apply")
    });
    labelled && applied
}

/// Sets the text at a path of keys. Missing maps are created.
fn set(value: &mut Value, path: &[&str], text: &str) {
    let mut value = value;
    for key in path {
        if value.is_null() {
            *value = json!({});
        }
        let Some(map) = value.as_object_mut() else {
            return;
        };
        value = map.entry(*key).or_insert(Value::Null);
    }
    *value = text.into();
}

fn invalid(app: &str, problem: String) -> Error {
    Error::InvalidStack {
        app: app.to_owned(),
        problem,
    }
}

/// Whether the name is an RFC 1123 label.
fn is_label(name: &str) -> bool {
    let valid = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !name.is_empty()
        && name.len() <= 63
        && name.bytes().all(valid)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stack(objects: Vec<Value>) -> Stack {
        let objects = objects
            .into_iter()
            .map(|o| Object::new(o).unwrap())
            .collect();
        Stack::new("web", "shop", "abc123".parse().unwrap(), objects)
    }

    fn deployment() -> Value {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
               "spec": {"template": {"spec": {}}}})
    }

    fn problem(objects: Vec<Value>) -> String {
        match Target::of(&stack(objects)) {
            Err(Error::InvalidStack { problem, .. }) => problem,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_stack_is_checked_before_anything_is_sent() {
        assert!(Target::of(&stack(vec![deployment()])).is_ok());
        assert!(problem(vec![]).contains("no Deployment"));
        let config = |name: &str, namespace: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}});
        assert!(
            problem(vec![config("a/../../secrets/b", "shop"), deployment()]).contains("invalid")
        );
        assert!(problem(vec![config("a", "kube-system"), deployment()]).contains("kube-system"));
        assert!(Target::new("shop", "Web").is_err() && Target::new("", "web").is_err());
    }

    #[test]
    fn workload_and_pods_carry_the_revision() {
        let mut stack = stack(vec![deployment()]);
        let target = Target::of(&stack).unwrap();
        target.mark(&mut stack);
        let value = stack.objects[0].value();
        for at in ["/metadata", "/spec/template/metadata"] {
            let metadata = value.pointer(at).unwrap();
            assert_eq!(
                metadata["annotations"]["pipeops.dev/revision"], "abc123",
                "{at}"
            );
            assert_eq!(
                metadata["labels"]["app.kubernetes.io/managed-by"], "pipeops",
                "{at}"
            );
        }
        assert_eq!(
            value["metadata"]["labels"][PART_OF_LABEL],
            target.apply_set().as_str()
        );
        let marked = stack.clone();
        target.mark(&mut stack);
        assert_eq!(stack, marked, "marking again changes nothing");
    }

    #[test]
    fn the_id_of_the_set_fits_a_label_and_differs_by_application() {
        let id = |namespace, app| Target::new(namespace, app).unwrap().apply_set();
        let one = id("shop", "web");
        assert!(one.len() <= 63 && one.starts_with("applyset-") && one.ends_with("-v1"));
        assert_ne!(one, id("blog", "web"));
    }

    #[test]
    fn the_fingerprint_does_not_depend_on_secret_data() {
        let with = |data: &str| {
            let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s-1"}, "data": {"k": data}});
            fingerprint(&stack(vec![secret, deployment()]))
        };
        assert_eq!(with("YQ=="), with("Yg=="));
        assert_ne!(with("YQ=="), fingerprint(&stack(vec![deployment()])));
    }

    #[test]
    fn an_object_is_own_only_with_label_and_manager() {
        let object = |label: &str, manager: &str| {
            Object::new(json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web",
                "labels": {MANAGED_BY_LABEL: label}, "managedFields": [{"manager": manager, "operation": "Apply"}]}}))
            .unwrap()
        };
        assert!(is_own(&object("pipeops", "pipeops")));
        assert!(!is_own(&object("pipeops", "kubectl")) && !is_own(&object("Helm", "pipeops")));
    }
}
