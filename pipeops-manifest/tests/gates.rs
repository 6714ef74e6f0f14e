//! The default stack passes the rules of Pod Security "restricted", kube-score, kube-linter and polaris.
//!
//! Rule names are those of the tools. Each test reads the generated JSON as the tool would.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use pipeops_core::Stack;
use pipeops_manifest::{App, ManifestGenerator, StandardManifests};
use serde_json::{Value, json};

/// A rule, the kind of an object, a path in it (`~` for that of the container), and the value there.
const EXPECTED: &str = r#"
pod-security  Deployment           /spec/template/spec/securityContext/runAsNonRoot          true
pod-security  Deployment           /spec/template/spec/securityContext/seccompProfile/type   "RuntimeDefault"
pod-security  Deployment           /spec/template/spec/hostNetwork                           null
pod-security  Deployment           /spec/template/spec/hostPID                               null
pod-security  Deployment           /spec/template/spec/hostIPC                               null
pod-security  Deployment           ~/securityContext/allowPrivilegeEscalation                false
pod-security  Deployment           ~/securityContext/capabilities                            {"drop":["ALL"]}
pod-security  Deployment           ~/securityContext/privileged                              false
kube-score    Deployment           ~/securityContext/readOnlyRootFilesystem                  true
kube-score    Deployment           ~/securityContext/runAsUser                               65532
kube-score    Deployment           ~/securityContext/runAsGroup                              65532
kube-score    Deployment           ~/startupProbe/httpGet/port                               "http"
kube-score    Deployment           ~/readinessProbe/httpGet/port                             "http"
kube-score    Deployment           ~/livenessProbe/httpGet                                   null
kube-score    Deployment           ~/livenessProbe/tcpSocket/port                            "http"
kube-score    Deployment           /metadata/annotations/kube-score~1ignore                  "container-image-pull-policy"
kube-score    NetworkPolicy        /spec/policyTypes                                         ["Ingress","Egress"]
kube-score    PodDisruptionBudget  /spec/unhealthyPodEvictionPolicy                          "AlwaysAllow"
kube-linter   Deployment           ~/ports/0/name                                            "http"
kube-linter   Service              /spec/ports/0/targetPort                                  "http"
kube-linter   Deployment           ~/env                                                     [{"name":"PORT","value":"8080"}]
kube-linter   Deployment           ~/envFrom/0/configMapRef/name                             "shop-config-895ca860a4"
kube-linter   Deployment           ~/envFrom/1/secretRef/name                                "shop-secret-f114b1c854"
kube-linter   Deployment           ~/envFrom/2                                               null
polaris       Deployment           /spec/template/spec/automountServiceAccountToken          false
polaris       ServiceAccount       /automountServiceAccountToken                             false
revision      Deployment           /metadata/annotations/pipeops.dev~1revision               "4f2c9ab"
revision      Deployment           /spec/template/metadata/annotations/pipeops.dev~1revision "4f2c9ab"
revision      Deployment           /spec/template/metadata/labels/app.kubernetes.io~1version "4f2c9ab"
revision      Deployment           /spec/selector/matchLabels/app.kubernetes.io~1version     null
"#;

fn stack() -> Stack {
    let image = format!("registry.example.com/shop:1@sha256:{}", "0".repeat(64));
    let app = App::new("shop", "prod", "4f2c9ab", image.parse().unwrap())
        .env("A", "1")
        .secret("B", "2")
        .pull_secret(r#"{"auths":{}}"#);
    StandardManifests::new().generate(&app).unwrap()
}

fn kind(stack: &Stack, kind: &str) -> Value {
    let mut objects = stack.objects.iter();
    let object = objects.find(|object| object.kind() == kind).unwrap();
    object.value().clone()
}

fn pod(stack: &Stack) -> Value {
    kind(stack, "Deployment")["spec"]["template"]["spec"].clone()
}

#[test]
fn rules_about_one_value() {
    let stack = stack();
    for line in EXPECTED.trim().lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [rule, of, path, expected] = fields[..] else {
            panic!("{line}")
        };
        let path = match path.strip_prefix('~') {
            Some(path) => format!("/spec/template/spec/containers/0{path}"),
            None => path.to_owned(),
        };
        let found = kind(&stack, of).pointer(&path).cloned();
        let expected: Value = serde_json::from_str(expected).unwrap();
        assert_eq!(found.unwrap_or_default(), expected, "{rule}: {of} {path}");
    }
}

#[test]
fn pod_security_allows_these_volumes() {
    for volume in pod(&stack())["volumes"].as_array().unwrap() {
        assert!(volume.get("emptyDir").is_some(), "{volume}");
    }
}

#[test]
fn kube_score_container_resources_and_ephemeral_storage() {
    let resources = &pod(&stack())["containers"][0]["resources"];
    for list in ["requests", "limits"] {
        for name in ["cpu", "memory", "ephemeral-storage"] {
            assert!(resources[list][name].is_string(), "{list} {name}");
        }
    }
}

#[test]
fn kube_score_selectors_match_the_pods() {
    let stack = stack();
    let labels = &kind(&stack, "Deployment")["spec"]["template"]["metadata"]["labels"];
    for (of, path) in [
        ("NetworkPolicy", "/spec/podSelector"),
        ("PodDisruptionBudget", "/spec/selector"),
        ("Deployment", "/spec/selector"),
    ] {
        let selector = kind(&stack, of).pointer(path).unwrap()["matchLabels"].clone();
        for (key, value) in selector.as_object().unwrap() {
            assert_eq!(&labels[key], value, "{of}: {key}");
        }
    }
}

#[test]
fn kube_linter_no_anti_affinity() {
    let affinity = &pod(&stack())["affinity"]["podAntiAffinity"];
    let term = &affinity["preferredDuringSchedulingIgnoredDuringExecution"][0];
    assert_eq!(
        term["podAffinityTerm"]["topologyKey"],
        "kubernetes.io/hostname"
    );
}

#[test]
fn configuration_is_immutable_and_pull_credentials_are_not() {
    let stack = stack();
    let config = |kind: &str| matches!(kind, "Secret" | "ConfigMap");
    for object in stack.objects.iter().filter(|o| config(o.kind())) {
        let expected = object.name() != "shop-registry";
        assert_eq!(object.value()["immutable"] == true, expected, "{object}");
    }
    let pull = stack.get("Secret", "shop-registry").unwrap().value();
    assert_eq!(pull["type"], "kubernetes.io/dockerconfigjson");
    let secrets = &pod(&stack)["imagePullSecrets"];
    assert_eq!(secrets, &json!([{"name": "shop-registry"}]));
}
