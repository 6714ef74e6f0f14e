//! Rules for changes of an object: immutable fields.

use serde_json::Value;

use super::super::resources::Resource;
use super::super::status::FieldError;
use super::rules::Errors;

/// Which rules a change breaks.
pub(crate) fn update(resource: &Resource, old: &Value, new: &Value) -> Vec<FieldError> {
    let mut errors = Errors::new();
    match resource.kind {
        "Deployment" | "ReplicaSet" => {
            unchanged(old, new, "/spec/selector", "spec.selector", &mut errors);
        }
        "ConfigMap" => {
            immutable(old, new, &["data", "binaryData"], &mut errors);
        }
        "Secret" => {
            unchanged(old, new, "/type", "type", &mut errors);
            immutable(old, new, &["data"], &mut errors);
        }
        "Service" => service(old, new, &mut errors),
        "Pod" => pod(old, new, &mut errors),
        _ => {}
    }
    errors
}

fn unchanged(old: &Value, new: &Value, pointer: &str, field: &str, errors: &mut Errors) {
    let (old, new) = (old.pointer(pointer), new.pointer(pointer));
    if old != new {
        let value = new.unwrap_or(&Value::Null);
        errors.push(FieldError::invalid(field, value, "field is immutable"));
    }
}

/// A ConfigMap or Secret that was marked immutable stays as it is, the mark included.
fn immutable(old: &Value, new: &Value, parts: &[&str], errors: &mut Errors) {
    const DETAIL: &str = "field is immutable when `immutable` is set";
    if old["immutable"] != true {
        return;
    }
    if new["immutable"] != true {
        errors.push(FieldError::forbidden("immutable", DETAIL));
    }
    for part in parts {
        if old[*part] != new[*part] {
            errors.push(FieldError::forbidden(*part, DETAIL));
        }
    }
}

fn service(old: &Value, new: &Value, errors: &mut Errors) {
    let address = |object: &Value| object["spec"]["clusterIP"].clone();
    let both = old["spec"]["type"] != "ExternalName" && new["spec"]["type"] != "ExternalName";
    if both && address(old) != address(new) {
        let value = serde_json::json!([address(new)]);
        let detail = "may not change once set";
        errors.push(FieldError::invalid("spec.clusterIPs[0]", &value, detail));
    }
}

/// Of a running pod only images, deadlines and tolerations may change.
fn pod(old: &Value, new: &Value, errors: &mut Errors) {
    let rest = |object: &Value| {
        let mut spec = object["spec"].clone();
        for list in ["containers", "initContainers"] {
            for container in spec[list].as_array_mut().into_iter().flatten() {
                container["image"] = Value::Null;
            }
        }
        if let Value::Object(fields) = &mut spec {
            for name in [
                "activeDeadlineSeconds",
                "tolerations",
                "terminationGracePeriodSeconds",
                "nodeName",
            ] {
                fields.remove(name);
            }
        }
        spec
    };
    if rest(old) != rest(new) {
        errors.push(FieldError::forbidden(
            "spec",
            "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
        ));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::resources::{CONFIG_MAPS, DEPLOYMENTS};
    use super::*;

    #[test]
    fn selectors_never_change() {
        let of = |label: &str| json!({"spec": {"selector": {"matchLabels": {"app": label}}}});
        assert_eq!(update(&DEPLOYMENTS, &of("a"), &of("a")), []);
        assert_eq!(update(&DEPLOYMENTS, &of("a"), &of("b")).len(), 1);
    }

    #[test]
    fn immutable_data_never_changes() {
        let of =
            |immutable: bool, value: &str| json!({"immutable": immutable, "data": {"k": value}});
        assert_eq!(update(&CONFIG_MAPS, &of(false, "1"), &of(true, "2")), []);
        assert_eq!(
            update(&CONFIG_MAPS, &of(true, "1"), &of(false, "2")),
            [
                FieldError::forbidden("immutable", "field is immutable when `immutable` is set"),
                FieldError::forbidden("data", "field is immutable when `immutable` is set")
            ]
        );
    }
}
