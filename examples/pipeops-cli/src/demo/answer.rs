//! Asks the deployed application, as a user of the cluster would.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::Service;
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

/// How long one request may take.
const LIMIT: Duration = Duration::from_secs(5);
/// The pause between two requests of a prober.
const PAUSE: Duration = Duration::from_millis(25);
/// How often the Service's own address is tried before the way through the API server is taken.
const DIRECT_TRIES: usize = 5;
/// How often the app is asked until the new version answers.
const VERSION_TRIES: usize = 50;
/// A prober sends no more than this many requests.
const MOST: usize = 20_000;

/// A way to the application.
#[derive(Clone)]
pub enum Door {
    /// The Service's own address: the way that other pods take. Reachable where routes to the cluster exist.
    Service { http: reqwest::Client, url: String },
    /// Through the API server's proxy: works wherever `kubectl` works.
    ApiServer { client: Client, path: String },
}

impl Door {
    /// The shortest way that is open to the Service `name`.
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
            // Each request opens a connection of its own: a kept one would hide a revision that stopped listening.
            .pool_max_idle_per_host(0)
            .no_proxy()
            .connect_timeout(Duration::from_secs(1))
            .timeout(LIMIT)
            .build()
            .map_err(|error| error.to_string())?;
        let direct = Self::Service {
            http,
            url: format!("http://{}:{port}/", spec.cluster_ip.unwrap_or_default()),
        };
        // kube-proxy routes to new pods a moment after they are ready.
        for _ in 0..DIRECT_TRIES {
            if direct.ask().await.is_ok() {
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

    /// Where the application answers, for people.
    pub fn address(&self) -> &str {
        match self {
            Self::Service { url, .. } => url,
            Self::ApiServer { path, .. } => path,
        }
    }

    /// Asks until this version answers: for a moment after a rollout, requests still reach pods that end.
    pub async fn ask_for(&self, wanted: &str) -> Result<String, String> {
        let mut answer = self.ask().await;
        for _ in 0..VERSION_TRIES {
            match &answer {
                Ok(text) if version(text) != wanted => {}
                _ => return answer,
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
            answer = self.ask().await;
        }
        answer
    }

    /// One request; its answer's text, or why there is none.
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
                let answer = tokio::time::timeout(LIMIT, client.request_text(request)).await;
                answer
                    .map_err(|_| "no answer in time".to_owned())?
                    .map_err(|error| error.to_string())
            }
        }
    }
}

/// What a prober saw.
#[derive(Debug, Default, Clone, serde::Serialize)]
pub struct Probed {
    /// Requests that were answered, by the version that answered.
    pub answered: BTreeMap<String, usize>,
    /// Requests that were not, by the reason.
    pub failed: BTreeMap<String, usize>,
}

/// Sends requests until it is stopped.
pub struct Prober {
    stop: watch::Sender<bool>,
    task: JoinHandle<Probed>,
}

impl Prober {
    /// Starts to ask at this door.
    pub fn start(door: Door) -> Self {
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
                match door.ask().await {
                    Ok(text) => *probed.answered.entry(version(&text)).or_default() += 1,
                    Err(error) => *probed.failed.entry(error).or_default() += 1,
                }
            }
            probed
        });
        Self { stop, task }
    }

    /// Stops and tells what was seen.
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
