//! Validation: the most important rules of the real server, with its fields and messages.

mod names;
mod network;
mod pod;
mod rules;
mod update;
mod workload;

use serde_json::Value;

use super::resources::{Naming, Resource};
use super::status::FieldError;
use rules::{Errors, entries, labels};

pub(crate) use pod::is_image_reference;
pub(crate) use update::update;

/// Which rules a new object breaks.
pub(crate) fn create(resource: &Resource, object: &Value) -> Vec<FieldError> {
    let mut errors = Errors::new();
    metadata(resource, &object["metadata"], &mut errors);
    match resource.kind {
        "Pod" => pod::spec(&object["spec"], "spec", &mut errors),
        "Deployment" => workload::deployment(object, &mut errors),
        "ReplicaSet" => workload::template_owner(object, &mut errors),
        "ConfigMap" => config_map(object, &mut errors),
        "Secret" => secret(object, &mut errors),
        "Service" => network::service(&object["spec"], &mut errors),
        "PodDisruptionBudget" => workload::disruption_budget(&object["spec"], &mut errors),
        "Lease" => lease(&object["spec"], &mut errors),
        "Event" => event_place(object, &mut errors),
        _ => {}
    }
    errors
}

fn metadata(resource: &Resource, metadata: &Value, errors: &mut Errors) {
    let name = metadata["name"].as_str().unwrap_or_default();
    if name.is_empty() {
        errors.push(FieldError::required(
            "metadata.name",
            "name or generateName is required",
        ));
    } else {
        let error = match resource.naming {
            Naming::Subdomain => names::subdomain(name),
            Naming::Label => names::label(name),
        };
        errors.extend(error.map(|why| FieldError::invalid("metadata.name", &name.into(), &why)));
    }
    labels(&metadata["labels"], "metadata.labels", errors);
    for (key, _) in entries(&metadata["annotations"]) {
        // Keys of annotations may be written in capitals.
        let error = names::qualified(&key.to_ascii_lowercase());
        errors
            .extend(error.map(|why| {
                FieldError::invalid("metadata.annotations", &key.as_str().into(), &why)
            }));
    }
}

fn config_map(object: &Value, errors: &mut Errors) {
    for part in ["data", "binaryData"] {
        for (key, _) in entries(&object[part]) {
            let error = names::data_key(key);
            errors.extend(error.map(|why| {
                FieldError::invalid(format!("{part}[{key}]"), &key.as_str().into(), &why)
            }));
        }
    }
    too_long(&[&object["data"], &object["binaryData"]], "", errors);
}

fn secret(object: &Value, errors: &mut Errors) {
    let data = &object["data"];
    for (key, _) in entries(data) {
        let error = names::data_key(key);
        errors
            .extend(error.map(|why| {
                FieldError::invalid(format!("data[{key}]"), &key.as_str().into(), &why)
            }));
    }
    too_long(&[data], "data", errors);
    let needed: &[&str] = match object["type"].as_str() {
        Some("kubernetes.io/dockerconfigjson") => &[".dockerconfigjson"],
        Some("kubernetes.io/dockercfg") => &[".dockercfg"],
        Some("kubernetes.io/tls") => &["tls.crt", "tls.key"],
        Some("kubernetes.io/ssh-auth") => &["ssh-privatekey"],
        _ => &[],
    };
    for key in needed {
        let field = format!("data[{key}]");
        match data.get(key) {
            None => errors.push(FieldError::required(field, "")),
            Some(value) if key.starts_with(".docker") && !is_json(value) => {
                let detail = "invalid character in the JSON value";
                errors.push(FieldError::invalid(
                    field,
                    &"<secret contents redacted>".into(),
                    detail,
                ));
            }
            Some(_) => {}
        }
    }
}

fn is_json(encoded: &Value) -> bool {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    STANDARD
        .decode(encoded.as_str().unwrap_or_default())
        .is_ok_and(|bytes| serde_json::from_slice::<Value>(&bytes).is_ok())
}

/// One MiB is the limit of what a ConfigMap or a Secret may hold.
fn too_long(parts: &[&Value], path: &str, errors: &mut Errors) {
    const LIMIT: usize = 1 << 20;
    let size: usize = parts
        .iter()
        .flat_map(|part| entries(part))
        .map(|(_, value)| value.as_str().map_or(0, str::len))
        .sum();
    if size > LIMIT {
        errors.push(FieldError::too_long(path, LIMIT));
    }
}

fn lease(spec: &Value, errors: &mut Errors) {
    let duration = &spec["leaseDurationSeconds"];
    if duration.as_i64().is_some_and(|seconds| seconds <= 0) {
        errors.push(FieldError::invalid(
            "spec.leaseDurationSeconds",
            duration,
            "must be greater than 0",
        ));
    }
    let transitions = &spec["leaseTransitions"];
    if transitions.as_i64().is_some_and(|count| count < 0) {
        errors.push(FieldError::invalid(
            "spec.leaseTransitions",
            transitions,
            "must be greater than or equal to 0",
        ));
    }
}

/// An event is in the namespace of what it is about, or in `default` when that has none.
fn event_place(event: &Value, errors: &mut Errors) {
    let about = event["involvedObject"]["namespace"]
        .as_str()
        .unwrap_or_default();
    let own = event["metadata"]["namespace"].as_str().unwrap_or_default();
    if about != own && !(about.is_empty() && own == "default") {
        errors.push(FieldError::invalid(
            "involvedObject.namespace",
            &about.into(),
            "does not match event.namespace",
        ));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::resources::{CONFIG_MAPS, SECRETS, SERVICES};
    use super::super::status::ApiError;
    use super::*;

    #[test]
    fn every_broken_rule_is_named() {
        let object = json!({
            "metadata": {"name": "App", "labels": {"a": "x y"}},
            "data": {"bad key": ""}
        });
        let errors = create(&CONFIG_MAPS, &object);
        let error = ApiError::invalid(&CONFIG_MAPS, "App", &errors);
        let causes = error.details.unwrap()["causes"].clone();
        let fields: Vec<_> = causes
            .as_array()
            .unwrap()
            .iter()
            .map(|cause| cause["field"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(
            fields,
            ["metadata.name", "metadata.labels", "data[bad key]"]
        );
        assert!(error.message.starts_with(
            "ConfigMap \"App\" is invalid: [metadata.name: Invalid value: \"App\": a lowercase"
        ));
    }

    #[test]
    fn a_pull_secret_needs_its_key() {
        let object = json!({"metadata": {"name": "s"}, "type": "kubernetes.io/dockerconfigjson"});
        let errors = create(&SECRETS, &object);
        assert_eq!(
            errors,
            [FieldError::required("data[.dockerconfigjson]", "")]
        );
    }

    #[test]
    fn a_service_needs_ports() {
        let object = json!({"metadata": {"name": "s"}, "spec": {"type": "ClusterIP"}});
        assert_eq!(
            create(&SERVICES, &object),
            [FieldError::required("spec.ports", "")]
        );
    }
}
