//! A real API server accepts the stack, in a namespace that enforces Pod Security "restricted", without a warning.
//!
//! `KUBECONFIG` names the cluster: `cargo testbed env` prints it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::runtime::wait::await_condition;
use kube::{Client, Config};
use pipeops_core::{Object, Stack};
use pipeops_manifest::{
    App, HealthCheck, IngressRoute, ManifestGenerator, NetworkRules, ServiceType, StandardManifests,
};
use serde_json::json;

/// A client of the cluster that `KUBECONFIG` names.
async fn client() -> Client {
    assert!(
        std::env::var_os("KUBECONFIG").is_some(),
        "KUBECONFIG is not set: run `cargo testbed up kubernetes` and export what `cargo testbed env` prints"
    );
    let config = Config::infer().await.expect("KUBECONFIG can be read");
    Client::try_from(config).expect("KUBECONFIG describes a server")
}

/// A new namespace that refuses and warns by the strictest standard. It's deleted when this value drops.
struct Restricted {
    name: String,
}

impl Restricted {
    async fn new(client: &Client) -> Self {
        let namespace = serde_json::from_value(json!({
            "metadata": {"generateName": "pipeops-manifest-", "labels": {
                "pod-security.kubernetes.io/enforce": "restricted",
                "pod-security.kubernetes.io/warn": "restricted",
            }}
        }))
        .unwrap();
        let api: Api<Namespace> = Api::all(client.clone());
        let created = api.create(&PostParams::default(), &namespace).await;
        let created = created.unwrap_or_else(|error| panic!("a namespace: {error}"));
        Self {
            name: created.metadata.name.unwrap(),
        }
    }
}

impl Drop for Restricted {
    /// Also after a failed test.
    fn drop(&mut self) {
        let name = self.name.clone();
        let delete = async move {
            let api: Api<Namespace> = Api::all(client().await);
            let _ = api.delete(&name, &DeleteParams::default()).await;
        };
        // A runtime and a client of its own: the test's runtime stands still while this waits.
        let delete = || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.unwrap().block_on(delete);
        };
        let _ = std::thread::spawn(delete).join();
    }
}

fn resource(object: &Object) -> ApiResource {
    let (group, version) = object
        .api_version()
        .split_once('/')
        .unwrap_or(("", object.api_version()));
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, object.kind()))
}

/// What the server makes of the object, with nothing stored, and the warnings it sends along.
async fn dry_run(client: &Client, object: &Object) -> (DynamicObject, Vec<String>) {
    let resource = resource(object);
    let url = Api::<DynamicObject>::namespaced_with(
        client.clone(),
        object.namespace().unwrap(),
        &resource,
    )
    .resource_url()
    .to_owned();
    let request = kube::core::Request::new(url)
        .patch(
            object.name(),
            &PatchParams::apply("pipeops-test")
                .dry_run()
                .validation_strict(),
            &Patch::Apply(object.value()),
        )
        .unwrap();
    let response = client
        .send(request.map(kube::client::Body::from))
        .await
        .unwrap();
    let warnings = response
        .headers()
        .get_all("warning")
        .iter()
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        .collect();
    let status = response.status();
    let body = response.into_body().collect_bytes().await.unwrap();
    assert!(
        status.is_success(),
        "{object}: {status} {}",
        String::from_utf8_lossy(&body)
    );
    (serde_json::from_slice(&body).unwrap(), warnings)
}

fn stacks(namespace: &str) -> Vec<Stack> {
    let image = format!("127.0.0.1:5000/shop:1@sha256:{}", "0".repeat(64));
    let app = |name: &str| App::new(name, namespace, "4f2c9ab", image.parse().unwrap());
    let mut strict = app("strict").network(NetworkRules::strict(["edge"]));
    strict.writable_paths.insert("/var/cache/nginx".to_owned());
    let apps = [
        app("plain")
            .env("A", "1")
            .secret("B", "2")
            .pull_secret(r#"{"auths":{}}"#),
        app("low-port")
            .port(80)
            .replicas(1)
            .service(ServiceType::NodePort(None)),
        app("worker").worker().health(HealthCheck::exec(["/check"])),
        app("grpc").health(HealthCheck::Grpc {
            service: "shop.v1".to_owned(),
        }),
        app("edge").ingress(
            IngressRoute::new("*.example.com")
                .class("nginx")
                .tls_secret("cert"),
        ),
        strict,
        app(&"x".repeat(63)).env("A", "1"),
    ];
    apps.map(|app| StandardManifests::new().generate(&app).unwrap())
        .into()
}

#[tokio::test]
#[ignore = "needs testbed: kubernetes"]
async fn a_real_server_accepts_every_stack_without_a_warning() {
    let client = client().await;
    let namespace = Restricted::new(&client).await;
    for stack in stacks(&namespace.name) {
        for object in &stack.objects {
            let (stored, warnings) = dry_run(&client, object).await;
            assert_eq!(warnings, [] as [String; 0], "{object} of {}", stack.app);
            assert_eq!(stored.metadata.name.as_deref(), Some(object.name()));
        }
    }
}

/// Applies what is really stored, in order.
async fn apply(client: &Client, stack: &Stack) {
    for object in &stack.objects {
        let api = Api::<DynamicObject>::namespaced_with(
            client.clone(),
            object.namespace().unwrap(),
            &resource(object),
        );
        let parameters = PatchParams::apply("pipeops-test").force();
        let applied = api
            .patch(object.name(), &parameters, &Patch::Apply(object.value()))
            .await;
        applied.unwrap_or_else(|error| panic!("{object}: {error}"));
    }
}

/// Port 80 without root, a read-only root with a writable `/tmp`, settings from ConfigMap and Secret, probes that pass.
#[tokio::test]
#[ignore = "needs testbed: kubernetes, registry"]
async fn pods_run_as_generated() {
    let client = client().await;
    let namespace = Restricted::new(&client).await;
    let registry = std::env::var("REGISTRY").expect(
        "REGISTRY is not set: run `cargo testbed up` and export what `cargo testbed env` prints",
    );
    let image = format!("{registry}/library/busybox:1.36").parse().unwrap();
    let mut app = App::new("busybox", &namespace.name, "4f2c9ab", image)
        .port(80)
        .env("GREETING", "hello")
        .secret("NAME", "world");
    app.allow_tag = true;
    let script = r#"echo "$GREETING $NAME" > /tmp/health && ! touch /root-is-writable && exec httpd -f -p "$PORT" -h /tmp"#;
    app.command = ["sh", "-c", script].map(str::to_owned).into();
    apply(&client, &StandardManifests::new().generate(&app).unwrap()).await;

    let deployments: Api<Deployment> = Api::namespaced(client.clone(), &namespace.name);
    let all_ready = |deployment: Option<&Deployment>| {
        let status = deployment.and_then(|deployment| deployment.status.as_ref());
        status.is_some_and(|status| status.ready_replicas == Some(2))
    };
    let waiting = await_condition(deployments, "busybox", all_ready);
    tokio::time::timeout(Duration::from_secs(300), waiting)
        .await
        .expect("two pods are ready within five minutes")
        .unwrap();
}
