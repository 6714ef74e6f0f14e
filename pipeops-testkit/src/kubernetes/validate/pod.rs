//! Rules for pod specs in pods and templates.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::quantity::Quantity;
use super::super::status::FieldError;
use super::names;
use super::rules::{Errors, entries, items, port_number};

/// A pod spec at this path.
pub(super) fn spec(spec: &Value, path: &str, errors: &mut Errors) {
    let volumes = volumes(&spec["volumes"], path, errors);
    let mut seen = BTreeSet::new();
    if items(&spec["containers"]).next().is_none() {
        errors.push(FieldError::required(format!("{path}.containers"), ""));
    }
    for list in ["containers", "initContainers"] {
        for (index, item) in items(&spec[list]) {
            let path = format!("{path}.{list}[{index}]");
            let name = item["name"].as_str().unwrap_or_default();
            if !seen.insert(name.to_owned()) {
                errors.push(FieldError::duplicate(format!("{path}.name"), &item["name"]));
            }
            container(item, &path, &volumes, errors);
        }
    }
    for (key, value) in entries(&spec["nodeSelector"]) {
        let error = names::qualified(key)
            .or_else(|| names::label_value(value.as_str().unwrap_or_default()));
        let path = format!("{path}.nodeSelector");
        errors.extend(error.map(|why| FieldError::invalid(path, value, &why)));
    }
    let account = spec["serviceAccountName"].as_str().unwrap_or("default");
    let error = names::subdomain(account);
    let field = format!("{path}.serviceAccountName");
    errors.extend(error.map(|why| FieldError::invalid(field, &account.into(), &why)));
}

/// The names of the volumes.
fn volumes(volumes: &Value, path: &str, errors: &mut Errors) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    for (index, volume) in items(volumes) {
        let path = format!("{path}.volumes[{index}]");
        let name = volume["name"].as_str().unwrap_or_default();
        if name.is_empty() {
            errors.push(FieldError::required(format!("{path}.name"), ""));
        } else if let Some(why) = names::label(name) {
            errors.push(FieldError::invalid(
                format!("{path}.name"),
                &name.into(),
                &why,
            ));
        } else if !seen.insert(name.to_owned()) {
            errors.push(FieldError::duplicate(format!("{path}.name"), &name.into()));
        }
        if volume.as_object().is_some_and(|fields| fields.len() > 2) {
            let mut names = volume.as_object().into_iter().flatten().map(|(key, _)| key);
            let source = names.rfind(|key| *key != "name");
            errors.push(FieldError::forbidden(
                format!("{path}.{}", source.map_or("", String::as_str)),
                "may not specify more than 1 volume type",
            ));
        }
        let source = &volume["configMap"];
        if source.is_object() && source["name"].as_str().is_none_or(str::is_empty) {
            errors.push(FieldError::required(format!("{path}.configMap.name"), ""));
        }
        let source = &volume["secret"];
        if source.is_object() && source["secretName"].as_str().is_none_or(str::is_empty) {
            errors.push(FieldError::required(
                format!("{path}.secret.secretName"),
                "",
            ));
        }
    }
    seen
}

fn container(container: &Value, path: &str, volumes: &BTreeSet<String>, errors: &mut Errors) {
    let name = container["name"].as_str().unwrap_or_default();
    if name.is_empty() {
        errors.push(FieldError::required(format!("{path}.name"), ""));
    } else if let Some(why) = names::label(name) {
        errors.push(FieldError::invalid(
            format!("{path}.name"),
            &name.into(),
            &why,
        ));
    }
    let image = container["image"].as_str().unwrap_or_default();
    if image.is_empty() {
        errors.push(FieldError::required(format!("{path}.image"), ""));
    } else if image.trim() != image {
        errors.push(FieldError::invalid(
            format!("{path}.image"),
            &image.into(),
            "must not have leading or trailing whitespace",
        ));
    }
    ports(&container["ports"], path, errors);
    environment(&container["env"], path, errors);
    resources(&container["resources"], path, errors);
    for (index, mount) in items(&container["volumeMounts"]) {
        let path = format!("{path}.volumeMounts[{index}]");
        let name = mount["name"].as_str().unwrap_or_default();
        if !volumes.contains(name) {
            errors.push(FieldError::not_found(format!("{path}.name"), &name.into()));
        }
        if mount["mountPath"].as_str().is_none_or(str::is_empty) {
            errors.push(FieldError::required(format!("{path}.mountPath"), ""));
        }
    }
    for kind in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if container[kind].is_object() {
            probe(kind, &container[kind], &format!("{path}.{kind}"), errors);
        }
    }
}

fn ports(ports: &Value, path: &str, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for (index, port) in items(ports) {
        let path = format!("{path}.ports[{index}]");
        if let Some(name) = port["name"].as_str().filter(|name| !name.is_empty()) {
            let error = names::port(name);
            errors.extend(
                error.map(|why| FieldError::invalid(format!("{path}.name"), &name.into(), &why)),
            );
            if !seen.insert(name) {
                errors.push(FieldError::duplicate(format!("{path}.name"), &name.into()));
            }
        }
        if port["containerPort"].as_i64().unwrap_or(0) == 0 {
            errors.push(FieldError::required(format!("{path}.containerPort"), ""));
        } else {
            port_number(
                &port["containerPort"],
                &format!("{path}.containerPort"),
                errors,
            );
        }
        protocol(&port["protocol"], &path, errors);
    }
}

/// TCP, UDP or SCTP.
pub(super) fn protocol(value: &Value, path: &str, errors: &mut Errors) {
    const KNOWN: [&str; 3] = ["SCTP", "TCP", "UDP"];
    if !value.as_str().is_some_and(|name| KNOWN.contains(&name)) {
        errors.push(FieldError::not_supported(
            format!("{path}.protocol"),
            value,
            &KNOWN,
        ));
    }
}

fn environment(variables: &Value, path: &str, errors: &mut Errors) {
    for (index, variable) in items(variables) {
        let path = format!("{path}.env[{index}]");
        let name = variable["name"].as_str().unwrap_or_default();
        if name.is_empty() {
            errors.push(FieldError::required(format!("{path}.name"), ""));
        } else if let Some(why) = names::environment(name) {
            errors.push(FieldError::invalid(
                format!("{path}.name"),
                &name.into(),
                &why,
            ));
        }
        let has_value = variable["value"]
            .as_str()
            .is_some_and(|value| !value.is_empty());
        if has_value && variable["valueFrom"].is_object() {
            errors.push(FieldError::invalid(
                format!("{path}.valueFrom"),
                &json!(""),
                "may not be specified when `value` is not empty",
            ));
        }
    }
}

fn resources(resources: &Value, path: &str, errors: &mut Errors) {
    let amount = |value: &Value| {
        value
            .as_str()
            .and_then(Quantity::parse)
            .map(Quantity::nanos)
    };
    for list in ["limits", "requests"] {
        for (name, value) in entries(&resources[list]) {
            if amount(value).is_some_and(|nanos| nanos < 0) {
                errors.push(FieldError::invalid(
                    format!("{path}.resources.{list}[{name}]"),
                    value,
                    "must be greater than or equal to 0",
                ));
            }
        }
    }
    for (name, request) in entries(&resources["requests"]) {
        let Some(limit) = resources["limits"].get(name) else {
            continue;
        };
        if amount(request) > amount(limit) {
            let detail = format!(
                "must be less than or equal to {name} limit of {}",
                limit.as_str().unwrap_or_default()
            );
            let path = format!("{path}.resources.requests");
            errors.push(FieldError::invalid(path, request, &detail));
        }
    }
}

fn probe(kind: &str, probe: &Value, path: &str, errors: &mut Errors) {
    let handlers: Vec<&str> = ["exec", "httpGet", "tcpSocket", "grpc"]
        .into_iter()
        .filter(|name| probe[*name].is_object())
        .collect();
    match handlers.as_slice() {
        [] => errors.push(FieldError::required(path, "must specify a handler type")),
        [_] => {}
        [_, more @ ..] => errors.extend(more.iter().map(|name| {
            FieldError::forbidden(
                format!("{path}.{name}"),
                "may not specify more than 1 handler type",
            )
        })),
    }
    for field in [
        "initialDelaySeconds",
        "timeoutSeconds",
        "periodSeconds",
        "successThreshold",
        "failureThreshold",
    ] {
        super::rules::non_negative(&probe[field], &format!("{path}.{field}"), errors);
    }
    let success = &probe["successThreshold"];
    if kind != "readinessProbe" && success.as_i64().is_some_and(|count| count != 1) {
        errors.push(FieldError::invalid(
            format!("{path}.successThreshold"),
            success,
            "must be 1",
        ));
    }
    for handler in ["httpGet", "tcpSocket"] {
        let port = &probe[handler]["port"];
        if port.is_number() {
            port_number(port, &format!("{path}.{handler}.port"), errors);
        }
    }
}

/// Whether a container runtime can read this as the name of an image; if not, why.
pub(crate) fn is_image_reference(image: &str) -> Result<(), String> {
    let (name, digest) = match image.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (image, None),
    };
    let (name, tag) = match name.rsplit_once(':') {
        Some((before, tag)) if !tag.contains('/') => (before, Some(tag)),
        _ => (name, None),
    };
    let (host, repository) = match name.split_once('/') {
        Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => {
            (Some(host), rest)
        }
        _ => (None, name),
    };
    let bad = || Err("invalid reference format".to_owned());
    if repository.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err(format!(
            "invalid reference format: repository name ({repository}) must be lowercase"
        ));
    }
    if host.is_some_and(|host| !is_host(host)) || !repository.split('/').all(is_component) {
        return bad();
    }
    if tag.is_some_and(|tag| !is_tag(tag)) || digest.is_some_and(|digest| !is_digest(digest)) {
        return bad();
    }
    Ok(())
}

fn is_host(host: &str) -> bool {
    let (name, port) = host.split_once(':').unwrap_or((host, "0"));
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-');
    !name.is_empty() && name.bytes().all(good) && port.bytes().all(|b| b.is_ascii_digit())
}

/// Lower-case letters and digits, separated by one dot, one or two underscores, or any number of dashes.
fn is_component(part: &str) -> bool {
    let inner = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = part.as_bytes();
    bytes.first().is_some_and(inner)
        && bytes.last().is_some_and(inner)
        && bytes
            .iter()
            .all(|b| inner(b) || matches!(b, b'.' | b'_' | b'-'))
        && !["..", "___", "._", "_.", "-.", ".-", "-_", "_-"]
            .iter()
            .any(|pair| part.contains(pair))
}

fn is_tag(tag: &str) -> bool {
    let bytes = tag.as_bytes();
    bytes.len() <= 128
        && bytes
            .first()
            .is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_')
        && bytes
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

fn is_digest(digest: &str) -> bool {
    digest.split_once(':').is_some_and(|(algorithm, hex)| {
        let length = match algorithm {
            "sha256" => 64,
            "sha384" => 96,
            "sha512" => 128,
            _ => return false,
        };
        hex.len() == length && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors_of(container: &Value) -> Vec<FieldError> {
        let mut errors = Errors::new();
        spec(&json!({"containers": [container]}), "spec", &mut errors);
        errors
    }

    #[test]
    fn containers_need_a_name_and_an_image() {
        assert_eq!(
            errors_of(&json!({})),
            [
                FieldError::required("spec.containers[0].name", ""),
                FieldError::required("spec.containers[0].image", "")
            ]
        );
    }

    #[test]
    fn mounts_need_their_volume() {
        let container =
            json!({"name": "a", "image": "i", "volumeMounts": [{"name": "v", "mountPath": "/v"}]});
        assert_eq!(
            errors_of(&container),
            [FieldError::not_found(
                "spec.containers[0].volumeMounts[0].name",
                &json!("v")
            )]
        );
    }

    #[test]
    fn requests_stay_below_limits() {
        let container = json!({"name": "a", "image": "i", "resources": {
            "limits": {"cpu": "1"}, "requests": {"cpu": "1500m"}
        }});
        assert_eq!(
            errors_of(&container),
            [FieldError::invalid(
                "spec.containers[0].resources.requests",
                &json!("1500m"),
                "must be less than or equal to cpu limit of 1"
            )]
        );
    }

    #[test]
    fn image_names_are_read_as_a_runtime_reads_them() {
        for image in [
            "app",
            "app:1",
            "h:5000/a/b:v1",
            "docker.io/library/x@sha256:0000000000000000000000000000000000000000000000000000000000000000",
            "localhost/a_b",
        ] {
            assert_eq!(is_image_reference(image), Ok(()), "{image}");
        }
        for image in [
            "App",
            "h:5000/a//b",
            "a:",
            "a:!",
            "a@sha256:12",
            "-a",
            "a b",
            "",
        ] {
            assert!(is_image_reference(image).is_err(), "{image}");
        }
        assert_eq!(
            is_image_reference("127.0.0.1:5000/App:1"),
            Err("invalid reference format: repository name (App) must be lowercase".into())
        );
    }
}
