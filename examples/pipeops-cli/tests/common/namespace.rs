//! A namespace of the cluster that goes with its test.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Namespace as Object;
use kube::api::{DeleteParams, ObjectMeta, PostParams};
use kube::{Api, Client};

/// How long it may take until a Service sends requests to the pods of a new revision.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// A namespace, deleted when this value drops.
pub struct Namespace {
    pub client: Client,
    pub name: String,
}

impl Namespace {
    /// A namespace that the deployment under test creates.
    pub async fn named(name: &str) -> Self {
        pipeops::install_ring();
        Self {
            client: Client::try_default().await.expect("KUBECONFIG"),
            name: name.to_owned(),
        }
    }

    /// Creates it with labels.
    #[allow(dead_code, reason = "not every test binary needs labels")]
    pub async fn create(&self, labels: &[(&str, &str)]) {
        let labels = labels
            .iter()
            .map(|(key, value)| ((*key).into(), (*value).into()));
        let metadata = ObjectMeta {
            name: Some(self.name.clone()),
            labels: Some(labels.collect()),
            ..ObjectMeta::default()
        };
        let object = Object {
            metadata,
            ..Object::default()
        };
        let namespaces: Api<Object> = Api::all(self.client.clone());
        namespaces
            .create(&PostParams::default(), &object)
            .await
            .unwrap();
    }

    /// Asks an app, through the API server's proxy to its Service, until the answer contains this text: after a rollout,
    /// requests may reach old pods for a moment, or none.
    pub async fn expect_answer(&self, app: &str, wanted: &str) {
        let path = format!("/api/v1/namespaces/{}/services/{app}:80/proxy/", self.name);
        let end = Instant::now() + ANSWER_LIMIT;
        loop {
            let request = http::Request::get(&path).body(Vec::new()).unwrap();
            let answer = self.client.request_text(request).await;
            if answer.as_ref().is_ok_and(|text| text.contains(wanted)) {
                return;
            }
            assert!(Instant::now() < end, "not {wanted:?}: {answer:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Drop for Namespace {
    /// Asks for its deletion, also after a failed test.
    fn drop(&mut self) {
        let name = self.name.clone();
        let delete = async move {
            let Ok(client) = Client::try_default().await else {
                return;
            };
            let namespaces: Api<Object> = Api::all(client);
            let _ = namespaces.delete(&name, &DeleteParams::default()).await;
        };
        // A runtime and a client of its own: the test's runtime stands still while this waits.
        let _ =
            std::thread::spawn(|| tokio::runtime::Runtime::new().unwrap().block_on(delete)).join();
    }
}
