//! Sends requests to the deployed application.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::Service;
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

/// How long one request may take. A request that takes longer is lost, so a slow machine gets time.
const LIMIT: Duration = Duration::from_secs(30);
/// The pause between two requests of a prober.
const PAUSE: Duration = Duration::from_millis(25);
/// How often the Service's address is tried before the API server's proxy, and how long each time.
const DIRECT_TRIES: usize = 5;
const DIRECT_LIMIT: Duration = Duration::from_secs(1);
/// How long after a rollout the new version has to answer.
const VERSION_LIMIT: Duration = Duration::from_secs(60);
/// The maximum number of requests of a prober.
const MOST: usize = 20_000;

/// An address of the application.
#[derive(Clone)]
pub enum Endpoint {
    /// The Service's cluster IP. Reachable only from machines with a route to the cluster's network.
    Service { http: reqwest::Client, url: String },
    /// The API server's proxy. Works wherever `kubectl` works.
    ApiServer { client: Client, path: String },
}

impl Endpoint {
    /// The cluster IP of the Service `name` if it is reachable, otherwise the API server's proxy.
    pub async fn find(client: &Client, namespace: &str, name: &str) -> Result<Self, String> {
        let services: Api<Service> = Api::namespaced(client.clone(), namespace);
        let service = services
            .get(name)
            .await
            .map_err(|error| error.to_string())?;
        let spec = service.spec.unwrap_or_default();
        let port = spec
            .ports
            .unwrap_or_default()
            .first()
            .map_or(80, |port| port.port);
        let http = reqwest::Client::builder()
            // One connection per request: a kept one would hide a revision that stopped listening.
            .pool_max_idle_per_host(0)
            .no_proxy()
            .timeout(LIMIT)
            .build()
            .map_err(|error| error.to_string())?;
        let direct = Self::Service {
            http,
            url: format!("http://{}:{port}/", spec.cluster_ip.unwrap_or_default()),
        };
        // kube-proxy routes to new pods shortly after they are ready.
        for _ in 0..DIRECT_TRIES {
            if matches!(timeout(DIRECT_LIMIT, direct.ask()).await, Ok(Ok(_))) {
                return Ok(direct);
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        let path = format!("/api/v1/namespaces/{namespace}/services/{name}:{port}/proxy/");
        Ok(Self::ApiServer {
            client: client.clone(),
            path,
        })
    }

    /// The address as text.
    pub fn address(&self) -> &str {
        match self {
            Self::Service { url, .. } => url,
            Self::ApiServer { path, .. } => path,
        }
    }

    /// Asks until this version answers: shortly after a rollout, requests may still reach terminating pods, or none. After
    /// a minute, returns the last answer or error.
    pub async fn ask_for(&self, wanted: &str) -> Result<String, String> {
        let end = Instant::now() + VERSION_LIMIT;
        loop {
            let answer = self.ask().await;
            let wanted = answer.as_ref().is_ok_and(|text| version(text) == wanted);
            if wanted || Instant::now() >= end {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Sends one request and returns the text of the answer, or the error.
    pub async fn ask(&self) -> Result<String, String> {
        match self {
            Self::Service { http, url } => {
                let response = http
                    .get(url)
                    .send()
                    .await
                    .and_then(reqwest::Response::error_for_status);
                response
                    .map_err(|error| error.to_string())?
                    .text()
                    .await
                    .map_err(|error| error.to_string())
            }
            Self::ApiServer { client, path } => {
                let request = http::Request::get(path)
                    .body(Vec::new())
                    .map_err(|error| error.to_string())?;
                let answer = timeout(LIMIT, client.request_text(request)).await;
                answer
                    .map_err(|_| "no answer in time".to_owned())?
                    .map_err(|error| error.to_string())
            }
        }
    }
}

/// The results of a prober.
#[derive(Debug, Default, Clone, serde::Serialize)]
pub struct Probed {
    /// Answered requests by version.
    pub answered: BTreeMap<String, usize>,
    /// Failed requests by error.
    pub failed: BTreeMap<String, usize>,
}

/// Sends requests until it is stopped.
pub struct Prober {
    stop: watch::Sender<bool>,
    task: JoinHandle<Probed>,
}

impl Prober {
    /// Starts to send requests to this endpoint.
    pub fn start(endpoint: Endpoint) -> Self {
        let (stop, mut stopped) = watch::channel(false);
        let task = tokio::spawn(async move {
            let mut probed = Probed::default();
            let mut ticks = interval(PAUSE);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            for _ in 0..MOST {
                tokio::select! {
                    _ = stopped.changed() => break,
                    _ = ticks.tick() => {}
                }
                match endpoint.ask().await {
                    Ok(text) => *probed.answered.entry(version(&text)).or_default() += 1,
                    Err(error) => *probed.failed.entry(error).or_default() += 1,
                }
            }
            probed
        });
        Self { stop, task }
    }

    /// Stops and returns the results.
    pub async fn stop(self) -> Probed {
        let _ = self.stop.send(true);
        self.task.await.unwrap_or_default()
    }
}

/// The version in the sample application's answer, `hello from v1 on …`.
fn version(answer: &str) -> String {
    answer.split_whitespace().nth(2).unwrap_or("?").to_owned()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_version_is_the_third_word() {
        assert_eq!(super::version("hello from v2 on app-1\n"), "v2");
        assert_eq!(super::version(""), "?");
    }
}
