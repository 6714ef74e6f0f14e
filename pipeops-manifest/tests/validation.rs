//! Invalid configuration is rejected before anything is applied, all of it at once, each problem with its field.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use pipeops_core::Diagnose;
use pipeops_core::detection::Language;
use pipeops_manifest::{App, ManifestGenerator, StandardManifests};
use serde_json::Value;

/// The field of the one problem (`-` for none), and the settings that have it, in the app's JSON form.
const CASES: &str = r#"
name  {"name":""}
name  {"name":"Shop"}
name  {"name":"1shop"}
name  {"name":"shop-"}
name  {"name":"shop.web"}
name  {"name":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}
namespace  {"namespace":"a_b"}
revision  {"revision":""}
revision  {"revision":"-x"}
revision  {"revision":"a b"}

image  {"image":"registry.example.com/shop:1"}
-      {"image":"registry.example.com/shop:1","allowTag":true}
image  {"image":"registry.example.com/shop:latest","allowTag":true}
image  {"image":"registry.example.com/shop","allowTag":true}

env.1A    {"env":{"1A":"x"}}
env.A     {"env":{"A":"x\u0000y"}}
env.PORT  {"env":{"PORT":"9999"}}
-         {"env":{"PORT":"8080","spring.profiles.active":"prod"}}

uid            {"uid":4294967295}
gid            {"gid":0}
writablePaths  {"writablePaths":["tmp"]}
writablePaths  {"writablePaths":["/"]}
writablePaths  {"writablePaths":["/a/../b"]}
writablePaths  {"writablePaths":["/a//b"]}
writablePaths  {"writablePaths":["/a:b"]}
writablePaths  {"writablePaths":[""]}
args           {"args":["a\u0000b"]}

health.http.path     {"health":{"http":{"path":"health"}}}
liveness.http.path   {"liveness":{"http":{"path":"/a b"}}}
health.exec.command  {"health":{"exec":{"command":[]}}}
health               {"kind":"worker","health":"tcp"}
-                    {"kind":"worker","health":{"exec":{"command":["/check"]}}}

timing.progressDeadlineSeconds  {"timing":{"startupBudgetSeconds":240}}
timing.startupBudgetSeconds     {"timing":{"startupBudgetSeconds":0}}
timing.drainSeconds             {"timing":{"drainSeconds":30,"terminationGraceSeconds":30}}
-                               {"kind":"worker","health":"none","timing":{"drainSeconds":30,"terminationGraceSeconds":30}}

resources.memoryRequest            {"resources":{"memoryRequest":"lots"}}
resources.memoryRequest            {"resources":{"memoryRequest":"1Gi","memoryLimit":"512Mi"}}
resources.memoryRequest            {"resources":{"memoryRequest":"128"}}
resources.cpuLimit                 {"resources":{"cpuLimit":"0"}}
resources.ephemeralStorageRequest  {"resources":{"ephemeralStorageRequest":"2Gi"}}

service.nodePort     {"service":{"nodePort":0}}
servicePort          {"servicePort":0}
ingress.hosts        {"ingress":{"hosts":[]}}
ingress.hosts[0]     {"ingress":{"hosts":["UPPER.example.com"]}}
ingress.hosts[0]     {"ingress":{"hosts":["10.0.0.1"]}}
ingress.path         {"ingress":{"hosts":["a.example.com"],"path":"a"}}
ingress.tlsSecret    {"ingress":{"hosts":["a.example.com"],"tlsSecret":"A/B"}}
ingress              {"kind":"worker","health":"none","ingress":{"hosts":["a.example.com"]}}
-                    {"ingress":{"hosts":["*.example.com"]}}

strategy.rolling  {"strategy":{"rolling":{"maxUnavailable":0,"maxSurge":0}}}
replicas          {"replicas":10001}

network.ingress.namespaces        {"network":{"ingress":{"namespaces":["a_b"]}}}
network.egress.only[0].cidr       {"network":{"egress":{"only":[{"cidr":"10.0.0.0"}]}}}
network.egress.only[0].cidr       {"network":{"egress":{"only":[{"cidr":"10.0.0.0/33"}]}}}
network.egress.only[0].cidr       {"network":{"egress":{"only":[{"cidr":"::/129"}]}}}
network.egress.only[0].cidr       {"network":{"egress":{"only":[{"cidr":"x/8"}]}}}
network.egress.only[0].cidr       {"network":{"egress":{"only":[{"cidr":"10.0.0.0/+8"}]}}}
network.egress.only[0].cidr       {"network":{"egress":{"only":[{"cidr":"10.0.0.0/08"}]}}}
network.egress.only[0].ports      {"network":{"egress":{"only":[{"cidr":"::/0","ports":[0]}]}}}
network.egress.only[0].namespace  {"network":{"egress":{"only":[{"namespace":"A"}]}}}
network.egress.only[0]            {"network":{"egress":{"only":[{"cidr":"10.0.0.0/8","namespace":"db"}]}}}

labels.a_b.c/d/e                  {"labels":{"a_b.c/d/e":"x"}}
labels.a                          {"labels":{"a":"x y"}}
labels.app.kubernetes.io/name     {"labels":{"app.kubernetes.io/name":"other"}}
annotations.pipeops.dev/revision  {"annotations":{"pipeops.dev/revision":"x"}}
"#;

fn app() -> App {
    let image = format!("registry.example.com/shop:1@sha256:{}", "0".repeat(64));
    App::new("shop", "prod", "4f2c9ab", image.parse().unwrap())
}

/// The app with these settings.
fn with(settings: &str) -> App {
    let mut json = serde_json::to_value(app()).unwrap();
    let settings: Value = serde_json::from_str(settings).unwrap();
    let settings = settings.as_object().unwrap().clone();
    json.as_object_mut().unwrap().extend(settings);
    serde_json::from_value(json).unwrap()
}

fn paths(app: &App) -> Vec<String> {
    let problems = app.check().err().map(|error| error.problems);
    let problems = problems.into_iter().flatten();
    problems.map(|problem| problem.path).collect()
}

#[test]
fn each_problem_has_its_field() {
    for line in CASES.lines().filter(|line| !line.is_empty()) {
        let (path, settings) = line.split_once("  ").unwrap();
        let expected: &[&str] = if path == "-" { &[] } else { &[path] };
        assert_eq!(paths(&with(settings.trim())), expected, "{line}");
    }
}

#[test]
fn the_defaults_are_valid() {
    for app in [app(), app().worker(), app().language(Language::Java)] {
        assert_eq!(paths(&app), [] as [&str; 0]);
    }
}

#[test]
fn all_problems_come_at_once_in_the_order_of_the_fields() {
    let mut app = app().replicas(0).port(0).env("A=B", "x").uid(0);
    app.name = "Shop".to_owned();
    let error = StandardManifests::new().generate(&app).unwrap_err();
    assert_eq!(error.diagnosis().fixes.len(), 5);
    assert_eq!(paths(&app), ["name", "replicas", "env.A=B", "uid", "port"]);
}

#[test]
fn secrets_are_checked_and_in_no_message() {
    let big = "x".repeat(1024 * 1024);
    for (app, path) in [
        (app().env("A", "x").secret("A", "hunter2"), "secrets.A"),
        (app().secret("A", "hunter2\0"), "secrets.A"),
        (app().secret("PORT", "hunter2"), "secrets.PORT"),
        (app().pull_secret("hunter2"), "pullSecret"),
        (app().pull_secret(r#"{"hunter2":{}}"#), "pullSecret"),
        (app().env("A", big), "env"),
    ] {
        let error = app.check().unwrap_err();
        assert_eq!(paths(&app), [path], "{error}");
        let text = format!("{error} {error:?} {}", error.diagnosis());
        assert!(!text.contains("hunter2"), "{text}");
    }
    assert!(app().pull_secret(r#"{"auths":{}}"#).check().is_ok());
}

#[test]
fn a_forgotten_suffix_is_pointed_out() {
    // The classic: 128 bytes.
    let error = with(r#"{"resources":{"memoryRequest":"128"}}"#).check();
    let message = error.unwrap_err().to_string();
    assert!(message.contains("suffix"), "{message}");
}
