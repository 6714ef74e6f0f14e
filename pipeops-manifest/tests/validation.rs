//! Bad configuration is refused before anything is applied, all of it at once, each problem with its field.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use pipeops_core::Diagnose;
use pipeops_manifest::{
    App, Egress, EgressRule, HealthCheck, IngressFrom, IngressRoute, ManifestGenerator,
    NetworkRules, Resources, ServiceType, StandardManifests, Strategy, Timing,
};

fn app() -> App {
    let image = format!("registry.example.com/shop:1@sha256:{}", "0".repeat(64));
    App::new("shop", "prod", "4f2c9ab", image.parse().unwrap())
}

fn paths(app: &App) -> Vec<String> {
    match app.check() {
        Ok(()) => Vec::new(),
        Err(error) => error
            .problems
            .into_iter()
            .map(|problem| problem.path)
            .collect(),
    }
}

#[track_caller]
fn refused(app: App, path: &str) {
    assert_eq!(paths(&app), [path], "{:?}", app.check());
}

#[test]
fn the_defaults_are_valid() {
    assert_eq!(paths(&app()), [] as [&str; 0]);
    assert_eq!(paths(&app().worker()), [] as [&str; 0]);
    assert_eq!(
        paths(&app().language(pipeops_core::detection::Language::Java)),
        [] as [&str; 0]
    );
}

#[test]
fn all_problems_come_at_once_in_the_order_of_the_fields() {
    let mut app = app().replicas(0).port(0).env("A=B", "x").uid(0);
    app.name = "Shop".to_owned();
    let error = StandardManifests::new().generate(&app).unwrap_err();
    let paths: Vec<_> = error
        .problems
        .iter()
        .map(|problem| problem.path.as_str())
        .collect();
    assert_eq!(paths, ["name", "replicas", "env.A=B", "uid", "port"]);
    assert_eq!(error.diagnosis().fixes.len(), 5);
}

#[test]
fn names() {
    for name in ["", "Shop", "1shop", "shop-", "shop.web", &"x".repeat(64)] {
        let mut app = app();
        app.name = name.to_owned();
        refused(app, "name");
    }
    let mut other = app();
    other.namespace = "a_b".to_owned();
    refused(other, "namespace");
    for revision in ["", "-x", "a b", &"a".repeat(129)] {
        let mut app = app();
        app.revision = revision.parse();
        refused(app, "revision");
    }
}

#[test]
fn an_image_without_digest_needs_an_explicit_option_and_never_is_latest() {
    let mut app = app();
    app.image = "registry.example.com/shop:1".parse().unwrap();
    refused(app.clone(), "image");
    app.allow_tag = true;
    assert!(app.check().is_ok());
    for moving in [
        "registry.example.com/shop:latest",
        "registry.example.com/shop",
    ] {
        app.image = moving.parse().unwrap();
        refused(app.clone(), "image");
    }
}

#[test]
fn environment() {
    refused(app().env("1A", "x"), "env.1A");
    refused(app().env("A", "x\0y"), "env.A");
    refused(app().env("A", "x").secret("A", "y"), "secrets.A");
    refused(app().env("A", "x".repeat(1024 * 1024)), "env");
    refused(app().env("PORT", "9999"), "env.PORT");
    refused(app().secret("PORT", "9999"), "secrets.PORT");
    assert!(
        app()
            .env("PORT", "8080")
            .env("spring.profiles.active", "prod")
            .check()
            .is_ok()
    );
}

#[test]
fn values_of_secrets_are_in_no_message() {
    let app = app()
        .secret("A", "hunter2\0")
        .secret("PORT", "hunter2")
        .pull_secret("hunter2");
    let error = app.check().unwrap_err();
    assert_eq!(error.problems.len(), 3, "{error}");
    assert!(
        !format!("{error} {error:?} {}", error.diagnosis()).contains("hunter2"),
        "{error}"
    );
}

#[test]
fn pull_secrets_are_docker_configurations() {
    refused(app().pull_secret("{}"), "pullSecret");
    refused(app().pull_secret("not json"), "pullSecret");
    assert!(app().pull_secret(r#"{"auths":{}}"#).check().is_ok());
}

#[test]
fn users_and_folders() {
    refused(app().uid(u32::MAX), "uid");
    let mut group = app();
    group.gid = Some(0);
    refused(group, "gid");
    for path in ["tmp", "/", "/a/../b", "/a//b", "/a:b", ""] {
        let mut app = app();
        app.writable_paths.insert(path.to_owned());
        refused(app, "writablePaths");
    }
}

#[test]
fn health_checks() {
    refused(
        app().health(HealthCheck::http("health")),
        "health.http.path",
    );
    refused(
        app().liveness(HealthCheck::http("/a b")),
        "liveness.http.path",
    );
    refused(
        app().health(HealthCheck::exec([] as [&str; 0])),
        "health.exec.command",
    );
    refused(app().worker().health(HealthCheck::Tcp), "health");
    assert!(
        app()
            .worker()
            .health(HealthCheck::exec(["/check"]))
            .check()
            .is_ok()
    );
}

#[test]
fn deadlines_nest() {
    let seconds = Duration::from_secs;
    refused(
        app().timing(Timing::default().with_startup_budget(seconds(240))),
        "timing.progressDeadlineSeconds",
    );
    refused(
        app().timing(Timing::default().with_deadlines(seconds(300), seconds(300))),
        "timing.rolloutDeadlineSeconds",
    );
    refused(
        app().timing(Timing::default().with_shutdown(seconds(30), seconds(30))),
        "timing.drainSeconds",
    );
    refused(
        app().timing(Timing::default().with_startup_budget(Duration::ZERO)),
        "timing.startupBudgetSeconds",
    );
    assert!(
        app()
            .worker()
            .timing(Timing::default().with_shutdown(seconds(30), seconds(30)))
            .check()
            .is_ok()
    );
}

#[test]
fn quantities() {
    let with = |resources: Resources| app().resources(resources);
    refused(
        with(Resources::default().memory("lots", "1Gi")),
        "resources.memoryRequest",
    );
    refused(
        with(Resources::default().memory("1Gi", "512Mi")),
        "resources.memoryRequest",
    );
    refused(
        with(Resources::default().cpu("1", "0")),
        "resources.cpuLimit",
    );
    // The classic: 128 bytes, and 512 thousandths of a byte.
    let error = with(Resources::default().memory("128", "512m"))
        .check()
        .unwrap_err();
    assert!(
        error
            .problems
            .iter()
            .any(|problem| problem.path == "resources.memoryRequest"
                && problem.message.contains("suffix")),
        "{error}"
    );
    refused(
        with(Resources::default().ephemeral_storage("2Gi", "1Gi")),
        "resources.ephemeralStorageRequest",
    );
}

#[test]
fn services_and_ingress() {
    refused(
        app().service(ServiceType::NodePort(Some(0))),
        "service.nodePort",
    );
    refused(
        app().ingress(IngressRoute::new("UPPER.example.com")),
        "ingress.hosts[0]",
    );
    refused(
        app().ingress(IngressRoute::new("10.0.0.1")),
        "ingress.hosts[0]",
    );
    refused(
        app().ingress(IngressRoute::new("a.example.com").tls_secret("A/B")),
        "ingress.tlsSecret",
    );
    refused(
        app().worker().ingress(IngressRoute::new("a.example.com")),
        "ingress",
    );
    assert!(
        app()
            .ingress(IngressRoute::new("*.example.com"))
            .check()
            .is_ok()
    );
}

#[test]
fn strategies() {
    refused(
        app().strategy(Strategy::Rolling {
            max_unavailable: 0,
            max_surge: 0,
        }),
        "strategy.rolling",
    );
    refused(app().replicas(10_001), "replicas");
}

#[test]
fn network_rules() {
    let ingress = |name: &str| {
        let mut rules = NetworkRules::default();
        rules.ingress = IngressFrom::Namespaces([name.to_owned()].into());
        app().network(rules)
    };
    refused(ingress("a_b"), "network.ingress.namespaces");
    let egress = |rule: EgressRule| {
        let mut rules = NetworkRules::default();
        rules.egress = Egress::Only(vec![rule]);
        app().network(rules)
    };
    for cidr in [
        "10.0.0.0",
        "10.0.0.0/33",
        "::/129",
        "x/8",
        "10.0.0.0/+8",
        "10.0.0.0/08",
    ] {
        refused(
            egress(EgressRule::cidr(cidr, [])),
            "network.egress.only[0].cidr",
        );
    }
    refused(
        egress(EgressRule::cidr("::/0", [0])),
        "network.egress.only[0].ports",
    );
    refused(
        egress(EgressRule::namespace("A", [])),
        "network.egress.only[0].namespace",
    );
    let mut both = EgressRule::cidr("10.0.0.0/8", []);
    both.namespace = Some("db".to_owned());
    refused(egress(both), "network.egress.only[0]");
}

#[test]
fn labels_and_annotations() {
    let label = |key: &str, value: &str| {
        let mut app = app();
        app.labels.insert(key.to_owned(), value.to_owned());
        app
    };
    refused(label("a b", "x"), "labels.a b");
    refused(label("a", "x y"), "labels.a");
    refused(
        label("app.kubernetes.io/name", "other"),
        "labels.app.kubernetes.io/name",
    );
    let mut annotated = app();
    annotated
        .annotations
        .insert("pipeops.dev/revision".to_owned(), "x".to_owned());
    refused(annotated, "annotations.pipeops.dev/revision");
}
