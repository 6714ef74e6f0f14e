//! The routes, as forges, programs and browsers use them.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use futures::StreamExt;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use pipeops_core::{BuildRequest, BuiltImage, Event, EventSink, Failure, ImageBuilder};
use pipeops_testkit::webhook::{Push, Sender, sign};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tower::ServiceExt;

use super::*;
use crate::Service;
use crate::project::Project;
use crate::store::conformance::shop;
use crate::store::{DeploymentFilter, SqliteStore, Store};

const SECRET: &str = "hunter22";

struct Server {
    store: SqliteStore,
    service: Option<Service>,
    router: Router,
}

async fn server_on(store: SqliteStore, options: HttpOptions) -> Server {
    let service = Service::builder(store.clone())
        .cluster("default", crate::testing::Cluster::default())
        .http(options)
        .commands(|diagnosis| {
            let project = diagnosis.context.get("project")?;
            Some(format!("deployctl edit {project}"))
        });
    let service = service.start().await.unwrap();
    Server {
        store,
        router: service.router(),
        service: Some(service),
    }
}

async fn server_with(project: Project) -> Server {
    let store = SqliteStore::in_memory().unwrap();
    store.put_project(&project).await.unwrap();
    server_on(store, HttpOptions::default()).await
}

async fn server() -> Server {
    server_with(shop("shop")).await
}

impl Server {
    async fn respond(&self, request: Request<Body>) -> Response {
        self.router.clone().oneshot(request).await.unwrap()
    }

    async fn send(&self, request: Request<Body>) -> (StatusCode, Value) {
        let response = self.respond(request).await;
        let (status, body) = (response.status(), body(response).await);
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        self.send(get(path, "localhost")).await
    }

    async fn push(&self, payload: &Value) -> (StatusCode, Value) {
        self.send(signed("shop", payload, SECRET)).await
    }

    async fn deployments(&self) -> usize {
        let filter = DeploymentFilter::default();
        self.store.deployments(&filter).await.unwrap().len()
    }
}

fn get(path: &str, host: &str) -> Request<Body> {
    let request = Request::get(path).header("host", host);
    request.body(Body::empty()).unwrap()
}

async fn body(response: Response) -> Vec<u8> {
    let body = response.into_body().collect().await;
    body.unwrap().to_bytes().to_vec()
}

fn signed(project: &str, payload: &Value, secret: &str) -> Request<Body> {
    let body = payload.to_string();
    let mut request = Request::post(format!("/webhooks/{project}"));
    *request.headers_mut().unwrap() = sign(Sender::GitHub, secret, &body);
    request.body(Body::from(body)).unwrap()
}

fn payload(before: char, after: char) -> Value {
    let commit = |digit: char| digit.to_string().repeat(40);
    let push = Push::new("Team/Shop", "main", commit(after)).before(commit(before));
    let body = push.message("Sell more").body(Sender::GitHub);
    serde_json::from_str(&body).unwrap()
}

#[tokio::test]
async fn a_signed_push_is_queued_and_its_replay_is_the_same_deployment() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipeops.db");
    let store = SqliteStore::open(&path).unwrap();
    store.put_project(&shop("shop")).await.unwrap();
    let server = server_on(store, HttpOptions::default()).await;
    let (status, first) = server.push(&payload('1', '2')).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    assert_eq!(first["outcome"], "queued");
    assert_eq!(first["deployments"][0]["message"], "Sell more");
    drop(server);

    let server = server_on(SqliteStore::open(&path).unwrap(), HttpOptions::default()).await;
    let (status, again) = server.push(&payload('1', '2')).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(again["outcome"], "duplicate");
    assert_eq!(again["deployments"][0]["id"], first["deployments"][0]["id"]);
    assert_eq!(server.deployments().await, 1);
}

/// Gitea's Go code writes an empty list as null, and its test delivery is a push that moves nothing.
#[tokio::test]
async fn giteas_empty_lists_are_null_and_its_test_delivery_is_answered() {
    let server = server().await;
    let send = async |text: &str| {
        let mut request = Request::post("/webhooks/shop");
        *request.headers_mut().unwrap() = sign(Sender::Gitea, SECRET, text);
        server
            .send(request.body(Body::from(text.to_owned())).unwrap())
            .await
    };
    for test in [
        include_str!("../webhook/shapes/gitea-test.json"),
        include_str!("../webhook/shapes/gitea-test-of-empty-repository.json"),
    ] {
        let (status, answer) = send(test).await;
        assert_eq!(
            (status, &answer["outcome"]),
            (StatusCode::OK, &json!("pong"))
        );
    }
    assert_eq!(server.deployments().await, 0);
    let push = include_str!("../webhook/shapes/gitea-merge-without-paths.json");
    let (status, answer) = send(push).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    assert_eq!(server.deployments().await, 1);
}

#[tokio::test]
async fn without_the_right_signature_nothing_is_stored() {
    let server = server().await;
    let unsigned = Request::post("/webhooks/shop")
        .header("x-github-event", "push")
        .body(Body::from(payload('1', '2').to_string()))
        .unwrap();
    for request in [signed("shop", &payload('1', '2'), "wrong"), unsigned] {
        let (status, answer) = server.send(request).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        let title = &answer["error"]["title"];
        assert_eq!(title, "Webhook refused: InvalidSignature");
        assert!(!answer.to_string().contains(SECRET));
    }
    assert_eq!(server.deployments().await, 0);
    assert_eq!(server.store.last_event().await.unwrap(), 0);
}

#[tokio::test]
async fn an_unknown_project_and_a_body_that_is_too_long_are_refused() {
    let store = SqliteStore::in_memory().unwrap();
    store.put_project(&shop("shop")).await.unwrap();
    let server = server_on(store, HttpOptions::default().body_limit(1000)).await;
    let (status, answer) = server
        .send(signed("other", &payload('1', '2'), SECRET))
        .await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(answer["error"]["error"].as_str().unwrap().contains("other"));

    let long = json!({"padding": "x".repeat(2000)});
    let announced = server.send(signed("shop", &long, SECRET)).await;
    assert_eq!(announced.0, StatusCode::PAYLOAD_TOO_LARGE);
    let chunks = (0..20).map(|_| Ok::<_, std::io::Error>("x".repeat(100)));
    let unannounced = Request::post("/webhooks/shop")
        .body(Body::from_stream(futures::stream::iter(chunks)))
        .unwrap();
    let (status, answer) = server.send(unannounced).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(answer["error"]["title"], "Webhook refused: BodyTooLarge");
    assert_eq!(server.deployments().await, 0);
}

#[tokio::test]
async fn what_is_not_deployed_says_why() {
    let server = server().await;
    let with = |changes: Value| {
        let mut payload = payload('1', '2');
        payload
            .as_object_mut()
            .unwrap()
            .extend(changes.as_object().unwrap().clone());
        payload
    };
    let cases = [
        (
            with(json!({"ref": "refs/heads/feature"})),
            "branch \"feature\" is not deployed; project shop deploys main",
        ),
        (
            with(json!({"ref": "refs/tags/v1"})),
            "refs/tags/v1 is a tag",
        ),
        (
            with(json!({"deleted": true})),
            "refs/heads/main was deleted",
        ),
        (
            with(json!({"head_commit": {"id": "2".repeat(40), "message": "x [skip ci]"}})),
            "the commit message contains [skip ci]",
        ),
    ];
    for (payload, reason) in cases {
        let (status, answer) = server.push(&payload).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(answer, json!({"outcome": "skipped", "reason": reason}));
    }
    assert_eq!(server.deployments().await, 0);
}

#[tokio::test]
async fn a_service_that_is_shut_down_refuses_webhooks() {
    let mut server = server().await;
    let service = server.service.take().unwrap();
    service.shutdown(Duration::ZERO).await;
    let (status, answer) = server.push(&payload('1', '2')).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer["error"]["error"], "the service is shut down");
    let fix = "Send the webhook again once the service runs again";
    assert_eq!(answer["error"]["fixes"], json!([fix]));
    let (status, answer) = server.get("/healthz").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    let fixes = &answer["error"]["fixes"];
    assert_eq!(*fixes, json!(["Start the service again"]));
    assert_eq!(server.deployments().await, 0);
}

#[tokio::test]
async fn the_routes_fit_into_a_host_with_its_own_state() {
    let service = server().await.service.unwrap();
    let host = Router::<&str>::new().nest_service("/a", service.router());
    let host = host.nest("/b", service.router()).with_state("state");
    for path in ["/a", "/a/", "/a/healthz", "/b", "/b/healthz"] {
        let response = host.clone().oneshot(get(path, "localhost")).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{path}");
    }
}

/// A builder that belongs to a runner.
#[derive(Debug)]
struct Owned(#[expect(dead_code, reason = "only its life counts")] Arc<()>);

#[async_trait::async_trait]
impl ImageBuilder for Owned {
    async fn build(&self, _: BuildRequest, _: &dyn EventSink) -> Result<BuiltImage, Failure> {
        unreachable!("nothing is queued")
    }
}

#[tokio::test]
async fn the_last_router_that_is_dropped_stops_the_runner() {
    let folder = tempfile::tempdir().unwrap();
    let owned = Arc::new(());
    let runner = Arc::downgrade(&owned);
    let service = Service::builder(SqliteStore::in_memory().unwrap())
        .image_builder(Owned(owned))
        .workspaces(folder.path());
    let service = service.start().await.unwrap();
    let (first, last): (Router, Router) = (service.router(), service.router());
    drop(service);
    drop(first);
    let response = last.clone().oneshot(get("/healthz", "localhost")).await;
    assert_eq!(response.unwrap().status(), StatusCode::OK);
    assert!(runner.upgrade().is_some(), "a router needs it");
    drop(last);
    let stopped = async {
        while runner.upgrade().is_some() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let stopped = tokio::time::timeout(Duration::from_secs(60), stopped).await;
    stopped.expect("the runner is still there");
}

#[tokio::test]
async fn a_disabled_project_deploys_nothing() {
    let mut project = shop("shop");
    project.enabled = false;
    let (_, answer) = server_with(project).await.push(&payload('1', '2')).await;
    assert_eq!(answer["reason"], "project shop is disabled");
}

#[tokio::test]
async fn an_incomplete_project_names_what_is_missing() {
    let mut project = shop("shop");
    project.image = None;
    project.environments[0].cluster = Some("mars".into());
    let server = server_with(project).await;
    let (status, answer) = server.push(&payload('1', '2')).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(
        answer["error"]["error"],
        "project shop lacks the image, a cluster \"mars\" in this service for production"
    );
    assert_eq!(answer["error"]["fixes"].as_array().unwrap().len(), 2);
    assert_eq!(answer["error"]["run"], "deployctl edit shop");
    assert_eq!(server.deployments().await, 0);
}

#[tokio::test]
async fn a_webhook_of_another_repository_is_refused() {
    let server = server().await;
    let mut payload = payload('1', '2');
    payload["repository"]["full_name"] = "fork/shop".into();
    let (status, answer) = server.push(&payload).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(answer["error"]["title"], "Webhook refused: WrongRepository");
    let (status, answer) = server.push(&json!({"ref": 1})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(answer["error"]["title"], "Webhook refused: InvalidPayload");
}

#[tokio::test]
async fn the_api_lists_shows_and_streams_without_secrets() {
    let server = server().await;
    let (_, queued) = server.push(&payload('1', '2')).await;
    let id = queued["deployments"][0]["id"].as_str().unwrap();

    let (_, list) = server.get("/api/deployments?project=shop&limit=5").await;
    assert_eq!(list["deployments"][0]["id"], id);
    assert_eq!(list["lastEvent"], 1);
    let (_, one) = server.get(&format!("/api/deployments/{id}")).await;
    assert_eq!(one["status"], "queued");
    let (status, _) = server.get("/api/deployments/nothing").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let (_, projects) = server.get("/api/projects").await;
    assert_eq!(projects[0]["name"], "shop");
    assert!(!projects.to_string().contains(SECRET));
    let (status, _) = server.get("/healthz").await;
    assert_eq!(status, StatusCode::OK);

    let path = format!("/api/deployments/{id}/events");
    let response = server.respond(get(&path, "localhost")).await;
    assert_eq!(response.headers()["content-type"], "application/x-ndjson");
    let event: Event = serde_json::from_slice(&body(response).await).unwrap();
    assert_eq!(event.deployment, id, "the only event, in one line");
    let (_, rest) = server.get(&format!("{path}?after=1")).await;
    assert_eq!(rest, Value::Null);
}

#[tokio::test]
async fn strangers_read_nothing() {
    let server = server().await;
    let (status, _) = server.send(get("/api/projects", "evil.example")).await;
    assert_eq!(status, StatusCode::FORBIDDEN);

    let store = SqliteStore::in_memory().unwrap();
    let options = HttpOptions {
        access: Access::Token("t0ken".into()),
        ..HttpOptions::default()
    };
    let server = server_on(store, options).await;
    let (status, _) = server.get("/api/projects").await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let request = Request::get("/api/projects").header("authorization", "Bearer t0ken");
    let (status, _) = server.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn the_dashboard_is_one_hardened_page() {
    let server = server().await;
    let response = server.respond(get("/", "localhost")).await;
    let headers = response.headers();
    let policy = headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("frame-ancestors 'none'"));
    assert_eq!(headers["x-content-type-options"], "nosniff");
    assert!(body(response).await.starts_with(b"<!doctype html>"));
}

async fn listen(server: &Server) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = server.router.clone();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("ws://{address}/api/events")
}

#[tokio::test]
async fn a_websocket_replays_and_then_follows() {
    let server = server().await;
    server.push(&payload('1', '2')).await;
    server.push(&payload('2', '3')).await;
    let url = listen(&server).await;
    let (mut socket, _) = tokio_tungstenite::connect_async(format!("{url}?after=1"))
        .await
        .unwrap();
    let mut numbers = Vec::new();
    let next = async |socket: &mut tokio_tungstenite::WebSocketStream<_>| loop {
        if let tungstenite::Message::Text(text) = socket.next().await.unwrap().unwrap() {
            break serde_json::from_str::<Event>(&text).unwrap();
        }
    };
    numbers.push(next(&mut socket).await.seq);
    numbers.push(next(&mut socket).await.seq);
    server.push(&payload('3', '4')).await;
    numbers.push(next(&mut socket).await.seq);
    assert_eq!(numbers, [2, 3, 4]);
    socket.close(None).await.unwrap();
}

#[tokio::test]
async fn a_page_of_another_site_gets_no_websocket() {
    let server = server().await;
    let url = listen(&server).await;
    let mut request = url.into_client_request().unwrap();
    request
        .headers_mut()
        .insert("origin", "http://evil.example".parse().unwrap());
    let error = tokio_tungstenite::connect_async(request).await.unwrap_err();
    let tungstenite::Error::Http(response) = error else {
        panic!("{error:?}");
    };
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
}
