//! The default stack passes the rules of Pod Security "restricted", kube-score, kube-linter and polaris.
//!
//! Rule names are those of the tools. Each test reads the generated JSON as the tool would.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use pipeops_core::Stack;
use pipeops_manifest::{App, ManifestGenerator, StandardManifests};
use serde_json::Value;

fn stack() -> Stack {
    let image = format!("registry.example.com/shop:1@sha256:{}", "0".repeat(64));
    let app = App::new("shop", "prod", "4f2c9ab", image.parse().unwrap())
        .env("A", "1")
        .secret("B", "2");
    StandardManifests::new().generate(&app).unwrap()
}

fn kind(stack: &Stack, kind: &str) -> Value {
    stack
        .objects
        .iter()
        .find(|object| object.kind() == kind)
        .unwrap()
        .value()
        .clone()
}

fn pod(stack: &Stack) -> Value {
    stack.workload().unwrap().value()["spec"]["template"]["spec"].clone()
}

fn container(stack: &Stack) -> Value {
    pod(stack)["containers"][0].clone()
}

#[test]
fn pod_security_restricted() {
    let (pod, container) = (pod(&stack()), container(&stack()));
    let (of_pod, of_container) = (&pod["securityContext"], &container["securityContext"]);
    assert_eq!(of_container["allowPrivilegeEscalation"], false);
    assert_eq!(
        of_container["capabilities"],
        serde_json::json!({"drop": ["ALL"]})
    );
    assert_eq!(of_container["privileged"], false);
    assert_eq!(of_pod["runAsNonRoot"], true);
    assert_eq!(of_pod["seccompProfile"]["type"], "RuntimeDefault");
    for forbidden in ["hostNetwork", "hostPID", "hostIPC"] {
        assert!(pod.get(forbidden).is_none(), "{forbidden}");
    }
    for volume in pod["volumes"].as_array().unwrap() {
        assert!(volume.get("emptyDir").is_some(), "{volume}");
    }
}

#[test]
fn kube_score_container_security_context() {
    let stack = stack();
    let context = &container(&stack)["securityContext"];
    assert_eq!(context["readOnlyRootFilesystem"], true);
    assert!(context["runAsUser"].as_u64() >= Some(10_000));
    assert!(context["runAsGroup"].as_u64() >= Some(10_000));
}

#[test]
fn kube_score_container_resources_and_ephemeral_storage() {
    let resources = &container(&stack())["resources"];
    for list in ["requests", "limits"] {
        for name in ["cpu", "memory", "ephemeral-storage"] {
            assert!(resources[list][name].is_string(), "{list} {name}");
        }
    }
}

#[test]
fn kube_score_pod_probes_are_all_there_and_not_identical() {
    let container = container(&stack());
    assert!(container["startupProbe"].is_object());
    let (ready, live) = (&container["readinessProbe"], &container["livenessProbe"]);
    assert!(ready["httpGet"].is_object() && live["tcpSocket"].is_object());
}

#[test]
fn kube_score_pull_policy_is_waived_on_the_deployment() {
    let deployment = kind(&stack(), "Deployment");
    assert_eq!(
        deployment["metadata"]["annotations"]["kube-score/ignore"],
        "container-image-pull-policy"
    );
}

#[test]
fn kube_score_network_policy_and_budget_target_the_pods() {
    let stack = stack();
    let labels = &kind(&stack, "Deployment")["spec"]["template"]["metadata"]["labels"];
    let policy = &kind(&stack, "NetworkPolicy")["spec"];
    let budget = &kind(&stack, "PodDisruptionBudget")["spec"];
    for selector in [
        &policy["podSelector"],
        &budget["selector"],
        &kind(&stack, "Deployment")["spec"]["selector"],
    ] {
        for (key, value) in selector["matchLabels"].as_object().unwrap() {
            assert_eq!(&labels[key], value, "{key}");
        }
    }
    assert_eq!(
        policy["policyTypes"],
        serde_json::json!(["Ingress", "Egress"])
    );
    assert_eq!(budget["unhealthyPodEvictionPolicy"], "AlwaysAllow");
}

#[test]
fn kube_linter_targets_and_anti_affinity() {
    let stack = stack();
    let names: Vec<_> = container(&stack)["ports"]
        .as_array()
        .unwrap()
        .iter()
        .map(|port| port["name"].clone())
        .collect();
    assert!(
        names.contains(&kind(&stack, "Service")["spec"]["ports"][0]["targetPort"]),
        "invalid-target-ports"
    );
    for probe in ["startupProbe", "readinessProbe"] {
        assert!(
            names.contains(&container(&stack)[probe]["httpGet"]["port"]),
            "{probe} port"
        );
    }
    let term = &pod(&stack)["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
        [0];
    assert_eq!(
        term["podAffinityTerm"]["topologyKey"], "kubernetes.io/hostname",
        "no-anti-affinity"
    );
}

#[test]
fn kube_linter_environment() {
    let container = container(&stack());
    let env: Vec<_> = container["env"]
        .as_array()
        .unwrap()
        .iter()
        .map(|variable| variable["name"].as_str())
        .collect();
    assert_eq!(env, [Some("PORT")], "env-var-secret, duplicate-env-var");
    assert_eq!(container["envFrom"].as_array().unwrap().len(), 2);
}

#[test]
fn polaris_token_is_not_mounted() {
    assert_eq!(pod(&stack())["automountServiceAccountToken"], false);
    assert_eq!(
        kind(&stack(), "ServiceAccount")["automountServiceAccountToken"],
        false
    );
}

#[test]
fn selector_labels_never_carry_the_version() {
    let stack = stack();
    let deployment = kind(&stack, "Deployment");
    let selector = deployment["spec"]["selector"]["matchLabels"]
        .as_object()
        .unwrap();
    assert!(!selector.contains_key("app.kubernetes.io/version"));
    assert_eq!(
        deployment["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/version"],
        "4f2c9ab"
    );
    assert_eq!(
        deployment["metadata"]["annotations"]["pipeops.dev/revision"],
        "4f2c9ab"
    );
    assert_eq!(
        deployment["spec"]["template"]["metadata"]["annotations"]["pipeops.dev/revision"],
        "4f2c9ab"
    );
}

#[test]
fn configuration_is_immutable_and_pull_credentials_are_not() {
    let image = format!("registry.example.com/shop:1@sha256:{}", "0".repeat(64));
    let app = App::new("shop", "prod", "4f2c9ab", image.parse().unwrap())
        .env("A", "1")
        .secret("B", "2")
        .pull_secret(r#"{"auths":{}}"#);
    let stack = StandardManifests::new().generate(&app).unwrap();
    for object in stack
        .objects
        .iter()
        .filter(|object| matches!(object.kind(), "Secret" | "ConfigMap"))
    {
        let expected = object.name() != "shop-registry";
        assert_eq!(object.value()["immutable"] == true, expected, "{object}");
    }
    let pull = stack.get("Secret", "shop-registry").unwrap().value();
    assert_eq!(pull["type"], "kubernetes.io/dockerconfigjson");
    assert_eq!(pod(&stack)["imagePullSecrets"][0]["name"], "shop-registry");
}
