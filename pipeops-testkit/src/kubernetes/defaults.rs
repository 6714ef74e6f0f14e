//! The defaults that the API server sets.

use serde_json::{Map, Value, json};

use super::resources::Resource;

/// Fills in the defaults of a kind. What is set stays.
pub(crate) fn apply(resource: &Resource, object: &mut Value) {
    match resource.kind {
        "Pod" => pod(object),
        "Deployment" => deployment(object),
        "ReplicaSet" => replica_set(object),
        "Service" => service(object),
        "Secret" => secret(object),
        "Event" => {
            set(object, "source", json!({}));
            set(object, "reportingComponent", "");
            set(object, "reportingInstance", "");
        }
        "EndpointSlice" => each(object, "ports", |port| {
            set(port, "protocol", "TCP");
            set(port, "name", "");
        }),
        "NetworkPolicy" => with(object, "spec", network_policy),
        _ => {}
    }
}

/// Sets a field that is missing.
fn set(object: &mut Value, name: &str, value: impl Into<Value>) {
    if let Value::Object(fields) = object
        && !fields.contains_key(name)
    {
        fields.insert(name.to_owned(), value.into());
    }
}

/// Changes a field that is there.
fn with(object: &mut Value, name: &str, change: impl FnOnce(&mut Value)) {
    if let Some(field) = object.get_mut(name) {
        change(field);
    }
}

/// Changes each item of a list that is there.
fn each(object: &mut Value, name: &str, change: impl FnMut(&mut Value)) {
    if let Some(items) = object.get_mut(name).and_then(Value::as_array_mut) {
        items.iter_mut().for_each(change);
    }
}

fn deployment(object: &mut Value) {
    with(object, "spec", |spec| {
        set(spec, "replicas", 1);
        set(spec, "revisionHistoryLimit", 10);
        set(spec, "progressDeadlineSeconds", 600);
        set(spec, "strategy", json!({}));
        with(spec, "strategy", |strategy| {
            set(strategy, "type", "RollingUpdate");
            if strategy["type"] == "RollingUpdate" {
                set(strategy, "rollingUpdate", json!({}));
                with(strategy, "rollingUpdate", |rolling| {
                    set(rolling, "maxUnavailable", "25%");
                    set(rolling, "maxSurge", "25%");
                });
            }
        });
        with(spec, "template", |template| {
            with(template, "spec", pod_spec)
        });
    });
}

fn replica_set(object: &mut Value) {
    let labels = object.pointer("/spec/template/metadata/labels").cloned();
    if let Some(labels) = labels {
        set(object, "metadata", json!({}));
        with(object, "metadata", |metadata| {
            set(metadata, "labels", labels)
        });
    }
    with(object, "spec", |spec| {
        set(spec, "replicas", 1);
        with(spec, "template", |template| {
            with(template, "spec", pod_spec)
        });
    });
}

fn pod(object: &mut Value) {
    with(object, "spec", |spec| {
        pod_spec(spec);
        set(spec, "enableServiceLinks", true);
        set(spec, "serviceAccountName", "default");
        set(spec, "serviceAccount", "default");
        set(spec, "priority", 0);
        set(spec, "preemptionPolicy", "PreemptLowerPriority");
        for containers in ["containers", "initContainers"] {
            each(spec, containers, requests_from_limits);
        }
    });
}

/// What is limited but not requested is requested up to its limit.
fn requests_from_limits(container: &mut Value) {
    let limits = container.pointer("/resources/limits").cloned();
    let Some(Value::Object(limits)) = limits else {
        return;
    };
    with(container, "resources", |resources| {
        set(resources, "requests", json!({}));
        with(resources, "requests", |requests| {
            for (name, amount) in limits {
                set(requests, &name, amount);
            }
        });
    });
}

fn pod_spec(spec: &mut Value) {
    set(spec, "restartPolicy", "Always");
    set(spec, "terminationGracePeriodSeconds", 30);
    set(spec, "dnsPolicy", "ClusterFirst");
    set(spec, "securityContext", json!({}));
    set(spec, "schedulerName", "default-scheduler");
    if let Some(account) = spec.get("serviceAccountName").cloned() {
        set(spec, "serviceAccount", account);
    }
    each(spec, "volumes", volume);
    each(spec, "containers", container);
    each(spec, "initContainers", container);
}

fn volume(volume: &mut Value) {
    if volume.as_object().is_some_and(|fields| fields.len() == 1) {
        set(volume, "emptyDir", json!({}));
    }
    for source in ["configMap", "secret", "downwardAPI", "projected"] {
        with(volume, source, |source| set(source, "defaultMode", 420));
    }
    with(volume, "hostPath", |path| set(path, "type", ""));
}

fn container(container: &mut Value) {
    let image = container["image"].as_str().unwrap_or_default();
    let policy = pull_policy(image);
    set(container, "imagePullPolicy", policy);
    set(container, "terminationMessagePath", "/dev/termination-log");
    set(container, "terminationMessagePolicy", "File");
    set(container, "resources", json!({}));
    each(container, "ports", |port| set(port, "protocol", "TCP"));
    each(container, "env", |variable| {
        with(variable, "valueFrom", |source| {
            with(source, "fieldRef", |field| set(field, "apiVersion", "v1"));
        });
    });
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        with(container, name, probe);
    }
    with(container, "lifecycle", |lifecycle| {
        for hook in ["postStart", "preStop"] {
            with(lifecycle, hook, |hook| with(hook, "httpGet", http_get));
        }
    });
}

/// Always for `latest` and for no tag at all, else only where the image is not there yet.
fn pull_policy(image: &str) -> &'static str {
    let name = image.rsplit('/').next().unwrap_or_default();
    if image.contains('@') || name.split_once(':').is_some_and(|(_, tag)| tag != "latest") {
        "IfNotPresent"
    } else {
        "Always"
    }
}

fn probe(probe: &mut Value) {
    set(probe, "timeoutSeconds", 1);
    set(probe, "periodSeconds", 10);
    set(probe, "successThreshold", 1);
    set(probe, "failureThreshold", 3);
    with(probe, "httpGet", http_get);
    with(probe, "grpc", |grpc| set(grpc, "service", ""));
}

fn http_get(action: &mut Value) {
    set(action, "path", "/");
    set(action, "scheme", "HTTP");
}

fn service(object: &mut Value) {
    with(object, "spec", |spec| {
        set(spec, "type", "ClusterIP");
        set(spec, "sessionAffinity", "None");
        if spec["type"] == "ExternalName" {
            return;
        }
        set(spec, "internalTrafficPolicy", "Cluster");
        if matches!(spec["type"].as_str(), Some("NodePort" | "LoadBalancer")) {
            set(spec, "externalTrafficPolicy", "Cluster");
        }
        if spec["type"] == "LoadBalancer" {
            set(spec, "allocateLoadBalancerNodePorts", true);
        }
        each(spec, "ports", |port| {
            set(port, "protocol", "TCP");
            let number = port["port"].clone();
            set(port, "targetPort", number);
        });
    });
    set(object, "status", json!({"loadBalancer": {}}));
}

/// `stringData` is written into `data`, and is gone then.
fn secret(object: &mut Value) {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    set(object, "type", "Opaque");
    let Value::Object(fields) = object else {
        return;
    };
    let Some(Value::Object(plain)) = fields.remove("stringData") else {
        return;
    };
    let data = fields
        .entry("data")
        .or_insert_with(|| Value::Object(Map::new()));
    for (name, text) in plain {
        data[name] = STANDARD.encode(text.as_str().unwrap_or_default()).into();
    }
}

fn network_policy(spec: &mut Value) {
    let types = if spec.get("egress").is_some() {
        json!(["Ingress", "Egress"])
    } else {
        json!(["Ingress"])
    };
    set(spec, "policyTypes", types);
    for direction in ["ingress", "egress"] {
        each(spec, direction, |rule| {
            each(rule, "ports", |port| set(port, "protocol", "TCP"));
        });
    }
}

/// Guaranteed when all containers request what they are limited to, BestEffort when none asks for anything.
pub(crate) fn quality_of_service(spec: &Value) -> &'static str {
    let all = ["containers", "initContainers"]
        .into_iter()
        .flat_map(|list| spec[list].as_array().into_iter().flatten());
    let (mut any, mut guaranteed) = (false, true);
    for container in all {
        let resources = &container["resources"];
        let of = |list: &str, name: &str| resources[list].get(name).cloned();
        for name in ["cpu", "memory"] {
            let (limit, request) = (of("limits", name), of("requests", name));
            any |= limit.is_some() || request.is_some();
            guaranteed &= limit.is_some() && (request.is_none() || request == limit);
        }
    }
    match (any, guaranteed) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

#[cfg(test)]
mod tests {
    use super::super::resources::{DEPLOYMENTS, SECRETS};
    use super::*;

    #[test]
    fn a_deployment_gets_its_strategy_and_deadline() {
        let mut object = json!({"spec": {"template": {"spec": {"containers": [
            {"name": "app", "image": "r/app:1", "readinessProbe": {"httpGet": {"port": 80}}}
        ]}}}});
        apply(&DEPLOYMENTS, &mut object);
        let spec = &object["spec"];
        assert_eq!(spec["progressDeadlineSeconds"], 600);
        assert_eq!(spec["strategy"]["rollingUpdate"]["maxSurge"], "25%");
        let container = &spec["template"]["spec"]["containers"][0];
        assert_eq!(container["imagePullPolicy"], "IfNotPresent");
        assert_eq!(container["readinessProbe"]["httpGet"]["path"], "/");
    }

    #[test]
    fn what_is_set_stays() {
        let mut object = json!({"spec": {"replicas": 0, "strategy": {"type": "Recreate"}}});
        apply(&DEPLOYMENTS, &mut object);
        assert_eq!(object["spec"]["replicas"], 0);
        assert!(object["spec"]["strategy"].get("rollingUpdate").is_none());
    }

    #[test]
    fn plain_secrets_are_encoded() {
        let mut object = json!({"stringData": {"a": "b"}});
        apply(&SECRETS, &mut object);
        assert_eq!(object, json!({"type": "Opaque", "data": {"a": "Yg=="}}));
    }

    #[test]
    fn images_without_a_fixed_tag_are_always_pulled() {
        for (image, policy) in [
            ("app", "Always"),
            ("host:5000/app", "Always"),
            ("app:latest", "Always"),
            ("host:5000/app:1", "IfNotPresent"),
            ("app@sha256:abc", "IfNotPresent"),
        ] {
            assert_eq!(pull_policy(image), policy, "{image}");
        }
    }
}
