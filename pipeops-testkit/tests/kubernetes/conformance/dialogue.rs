//! Runs a dialogue: requests, waits, watches.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt;
use http::{Method, Request};
use http_body_util::BodyExt;
use kube::client::Body;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use super::normal::normal;

/// How long a dialogue waits for anything.
const LIMIT: Duration = Duration::from_secs(120);

/// How often what is waited for is asked.
const PAUSE: Duration = Duration::from_millis(50);

/// A list of requests that belong together, with a namespace of its own.
#[derive(Debug, Deserialize)]
pub(super) struct Dialogue {
    /// Its name, which the recording refers to.
    pub(super) name: String,
    steps: Vec<Step>,
}

/// One request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    /// Method and path. `{ns}` is the namespace; other names in braces are values that were kept.
    ask: String,
    /// The content type of the body (default JSON).
    #[serde(rename = "type", default = "json_type")]
    media: String,
    /// The body, as JSON.
    #[serde(default)]
    body: Value,
    /// Ask again until the value at a pointer is this; `null` for none.
    #[serde(default)]
    until: BTreeMap<String, Value>,
    /// The request is a watch: read this many events.
    #[serde(default)]
    events: usize,
    /// Values of the answer to keep, by name.
    #[serde(default)]
    keep: BTreeMap<String, String>,
    /// Compare only these places of the answer.
    #[serde(default)]
    show: Vec<String>,
    /// Do not compare these places of the answer.
    #[serde(default)]
    hide: Vec<String>,
    /// Ask, and compare nothing.
    #[serde(default)]
    quiet: bool,
}

fn json_type() -> String {
    "application/json".to_owned()
}

/// What was answered: the status and the body.
struct Answer {
    status: u16,
    warnings: Vec<String>,
    body: Value,
}

impl Dialogue {
    /// Completes the bodies that begin from an object: `{"=": "name"}` and a merge patch over it.
    pub(super) fn complete(&mut self, objects: &BTreeMap<String, Value>) {
        for step in &mut self.steps {
            let name = step.body["="].as_str().unwrap_or_default();
            if let Some(object) = objects.get(name) {
                let mut patch = step.body.take();
                remove(&mut patch, "/=");
                step.body = merged(object, &patch);
            }
        }
    }

    /// The number of steps.
    pub(super) fn length(&self) -> usize {
        self.steps.len()
    }

    /// A request as it is written.
    pub(super) fn ask(&self, index: usize) -> String {
        self.steps
            .get(index)
            .map(|step| step.ask.clone())
            .unwrap_or_default()
    }

    /// Leads the dialogue: the answers, in the form in which they can be compared.
    pub(super) async fn lead(&self, client: &kube::Client, image: &str) -> Vec<Value> {
        let namespace = new_namespace();
        let mut kept = BTreeMap::from([
            ("ns".to_owned(), namespace.clone()),
            ("image".to_owned(), image.to_owned()),
        ]);
        let create =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        send(client, "POST /api/v1/namespaces", &json_type(), &create).await;
        wait_for_account(client, &namespace).await;
        let led = self.lead_in(client, &mut kept).await;
        let delete = format!("DELETE /api/v1/namespaces/{namespace}");
        send(client, &delete, &json_type(), &Value::Null).await;
        led
    }

    async fn lead_in(
        &self,
        client: &kube::Client,
        kept: &mut BTreeMap<String, String>,
    ) -> Vec<Value> {
        let mut answers = Vec::new();
        for step in &self.steps {
            answers.push(step.take(client, kept).await);
        }
        answers
    }
}

/// A name that no other run has.
fn new_namespace() -> String {
    let number: u64 = rand::RngExt::random(&mut rand::rng());
    format!("conformance-{number:016x}")
}

/// A new namespace is complete once its service account is there.
async fn wait_for_account(client: &kube::Client, namespace: &str) {
    let step = Step {
        ask: format!("GET /api/v1/namespaces/{namespace}/serviceaccounts/default"),
        media: json_type(),
        body: Value::Null,
        until: BTreeMap::from([("/kind".to_owned(), json!("ServiceAccount"))]),
        events: 0,
        keep: BTreeMap::new(),
        show: Vec::new(),
        hide: Vec::new(),
        quiet: true,
    };
    step.take(client, &mut BTreeMap::new()).await;
}

impl Step {
    async fn take(&self, client: &kube::Client, kept: &mut BTreeMap<String, String>) -> Value {
        let ask = fill(&self.ask, kept);
        let body = fill_value(&self.body, kept);
        let answer = if self.events > 0 {
            watch(client, &ask, self.events).await
        } else {
            self.ask_until(client, &ask, &body).await
        };
        for (name, pointer) in &self.keep {
            let value = answer.body.pointer(pointer).unwrap_or(&Value::Null);
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            kept.insert(name.clone(), text);
        }
        if self.quiet {
            return Value::Null;
        }
        self.shown(answer, kept)
    }

    async fn ask_until(&self, client: &kube::Client, ask: &str, body: &Value) -> Answer {
        let end = Instant::now() + LIMIT;
        loop {
            let answer = send(client, ask, &self.media, body).await;
            let missing = self.until.iter().find(|(pointer, wanted)| {
                answer.body.pointer(pointer).unwrap_or(&Value::Null) != *wanted
            });
            let Some((pointer, wanted)) = missing else {
                return answer;
            };
            assert!(
                Instant::now() < end,
                "`{ask}` never answered {pointer} = {wanted}; the last answer was {}",
                answer.body
            );
            sleep(PAUSE).await;
        }
    }

    fn shown(&self, answer: Answer, kept: &BTreeMap<String, String>) -> Value {
        // First, because it also puts lists into an order that pointers can rely on.
        let mut body = normal(&answer.body, kept);
        for pointer in &self.hide {
            remove(&mut body, pointer);
        }
        if !self.show.is_empty() {
            let all = self.show.iter().map(|pointer| {
                let value = body.pointer(pointer).cloned().unwrap_or(Value::Null);
                (pointer.clone(), value)
            });
            body = Value::Object(all.collect());
        }
        let mut shown = json!({"status": answer.status, "body": body});
        if !answer.warnings.is_empty() {
            shown["warnings"] = json!(answer.warnings);
        }
        shown
    }
}

fn remove(value: &mut Value, pointer: &str) {
    if let Some((parent, name)) = pointer.rsplit_once('/')
        && let Some(Value::Object(fields)) = value.pointer_mut(parent)
    {
        fields.remove(name);
    }
}

/// An RFC 7386 merge patch over a value.
fn merged(target: &Value, patch: &Value) -> Value {
    let Value::Object(patch) = patch else {
        return patch.clone();
    };
    let mut all = target.as_object().cloned().unwrap_or_default();
    for (name, value) in patch {
        if value.is_null() {
            all.remove(name);
        } else {
            let old = all.get(name).unwrap_or(&Value::Null);
            let new = merged(old, value);
            all.insert(name.clone(), new);
        }
    }
    Value::Object(all)
}

/// Puts kept values into the braces of a text.
fn fill(text: &str, kept: &BTreeMap<String, String>) -> String {
    kept.iter().fold(text.to_owned(), |text, (name, value)| {
        text.replace(&format!("{{{name}}}"), value)
    })
}

fn fill_value(value: &Value, kept: &BTreeMap<String, String>) -> Value {
    match value {
        Value::String(text) => fill(text, kept).into(),
        Value::Array(items) => items.iter().map(|item| fill_value(item, kept)).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), fill_value(value, kept)))
            .collect(),
        other => other.clone(),
    }
}

fn request(ask: &str, media: &str, body: &Value) -> Request<Body> {
    let (method, path) = ask.split_once(' ').unwrap();
    let method: Method = method.parse().unwrap();
    let bytes = if body.is_null() {
        Vec::new()
    } else {
        body.to_string().into_bytes()
    };
    Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", media)
        .header("accept", "application/json")
        .header("user-agent", "conformance/1")
        .body(Body::from(bytes))
        .unwrap()
}

async fn send(client: &kube::Client, ask: &str, media: &str, body: &Value) -> Answer {
    let request = request(ask, media, body);
    let exchange = async {
        let answer = client.send(request).await.unwrap();
        let status = answer.status().as_u16();
        let warnings = answer
            .headers()
            .get_all("warning")
            .iter()
            .filter_map(|value| value.to_str().ok().map(str::to_owned))
            .collect();
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        // Some answers are plain text.
        let body = serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into_owned().into());
        Answer {
            status,
            warnings,
            body,
        }
    };
    timeout(LIMIT, exchange).await.unwrap()
}

async fn watch(client: &kube::Client, ask: &str, count: usize) -> Answer {
    let request = request(ask, &json_type(), &Value::Null);
    let exchange = async {
        let answer = client.send(request).await.unwrap();
        let status = answer.status().as_u16();
        let mut bytes = answer.into_body().into_data_stream();
        let (mut events, mut rest) = (Vec::<Value>::new(), Vec::new());
        while events.len() < count
            && let Some(piece) = bytes.next().await
        {
            rest.extend_from_slice(&piece.unwrap());
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = rest.drain(..=end).collect();
                events.push(serde_json::from_slice(&line).unwrap());
            }
        }
        events.truncate(count);
        Answer {
            status,
            warnings: Vec::new(),
            body: events.into(),
        }
    };
    timeout(LIMIT, exchange).await.unwrap()
}
