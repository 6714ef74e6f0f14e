//! Members from Kubernetes: the pods behind a Service, from its EndpointSlices.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client};
use pipeops_core::diagnosis::codes::pool;
use pipeops_core::{Diagnose, Diagnosis, Failure, RetryClass};
use tokio::time::timeout;

use super::member::{Discover, Member};
use crate::address::Address;

/// Time limit for the first list. Later the server ends idle watches itself.
const LIST_LIMIT: Duration = Duration::from_secs(60);

/// Members from Kubernetes: each pod behind a Service is a daemon. Its name is the pod's name, its region the zone of its node. A
/// pod that isn't ready or is terminating drains.
///
/// Run the daemons as a StatefulSet, so that a restarted pod keeps its name, its disk and its projects. The client's account
/// needs this role in the Service's namespace:
///
/// ```yaml
/// apiVersion: rbac.authorization.k8s.io/v1
/// kind: Role
/// metadata: { name: buildkit-members, namespace: build }
/// rules:
///   - apiGroups: [discovery.k8s.io]
///     resources: [endpointslices]
///     verbs: [list, watch]
/// ```
///
/// ```no_run
/// # async fn run() -> Result<(), kube::Error> {
/// use pipeops_buildkit::{EndpointSliceMembers, Pool, PoolOptions};
///
/// let client = kube::Client::try_default().await?;
/// let members = EndpointSliceMembers::new(client, "build", "buildkit");
/// let pool = Pool::start(members, PoolOptions::default().region("eu-west-1a"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct EndpointSliceMembers {
    client: Client,
    namespace: String,
    service: String,
    port: Option<String>,
}

impl EndpointSliceMembers {
    /// Discovers the pods behind a Service, at its first port.
    pub fn new(client: Client, namespace: impl Into<String>, service: impl Into<String>) -> Self {
        Self {
            client,
            namespace: namespace.into(),
            service: service.into(),
            port: None,
        }
    }

    /// Sets the port by its name in the Service. Default: the first port.
    #[must_use]
    pub fn port(mut self, name: impl Into<String>) -> Self {
        self.port = Some(name.into());
        self
    }
}

impl fmt::Debug for EndpointSliceMembers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndpointSliceMembers")
            .field("namespace", &self.namespace)
            .field("service", &self.service)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

impl Discover for EndpointSliceMembers {
    fn watch(&self) -> BoxStream<'static, Result<Vec<Member>, Failure>> {
        let watch = Watch {
            source: self.clone(),
            events: None,
            listing: None,
            slices: BTreeMap::new(),
        };
        let next = |mut watch: Watch| async move { Some((watch.next().await, watch)) };
        stream::unfold(watch, next).boxed()
    }
}

type Events = BoxStream<'static, Result<Event<EndpointSlice>, watcher::Error>>;
type Slices = BTreeMap<String, EndpointSlice>;

/// A watch under way.
struct Watch {
    source: EndpointSliceMembers,
    events: Option<Events>,
    /// An incomplete list.
    listing: Option<Slices>,
    slices: Slices,
}

impl Watch {
    /// The next list of members.
    async fn next(&mut self) -> Result<Vec<Member>, Failure> {
        loop {
            let events = self.events.get_or_insert_with(|| begin(&self.source));
            let next = match self.listing {
                None if !self.slices.is_empty() => events.next().await,
                _ => match timeout(LIST_LIMIT, events.next()).await {
                    Ok(next) => next,
                    // A Service without pods: nothing happens there.
                    Err(_) if self.listing.is_none() => continue,
                    Err(_) => {
                        self.events = None;
                        return Err(self.failure("the list timed out", None));
                    }
                },
            };
            match next {
                Some(Ok(event)) => {
                    if self.take(event) {
                        return Ok(self.members());
                    }
                }
                Some(Err(error)) => return Err(self.failure("the watch failed", Some(error))),
                None => self.events = None,
            }
        }
    }

    /// Takes one event; gives whether the list is complete.
    fn take(&mut self, event: Event<EndpointSlice>) -> bool {
        match event {
            Event::Init => self.listing = Some(Slices::new()),
            Event::InitApply(slice) => {
                let listing = self.listing.get_or_insert_with(Slices::new);
                listing.insert(name(&slice), slice);
            }
            Event::InitDone => self.slices = self.listing.take().unwrap_or_default(),
            Event::Apply(slice) => drop(self.slices.insert(name(&slice), slice)),
            Event::Delete(slice) => drop(self.slices.remove(&name(&slice))),
        }
        self.listing.is_none()
    }

    fn members(&self) -> Vec<Member> {
        let members = |slice: &EndpointSlice| {
            let port = port(slice, self.source.port.as_deref());
            let endpoints = slice.endpoints.clone().list();
            let member = move |endpoint: Endpoint| member(endpoint, port?);
            endpoints.into_iter().filter_map(member)
        };
        self.slices.values().flat_map(members).collect()
    }

    fn failure(&self, why: &'static str, source: Option<watcher::Error>) -> Failure {
        Failure::from(EndpointsError {
            service: format!("{}/{}", self.source.namespace, self.source.service),
            why,
            source,
        })
    }
}

fn begin(source: &EndpointSliceMembers) -> Events {
    let api: Api<EndpointSlice> = Api::namespaced(source.client.clone(), &source.namespace);
    let label = format!("kubernetes.io/service-name={}", source.service);
    let config = watcher::Config::default().labels(&label);
    watcher(api, config).default_backoff().boxed()
}

fn name(slice: &EndpointSlice) -> String {
    slice.metadata.name.clone().unwrap_or_default()
}

/// The port with this name, or the first one.
fn port(slice: &EndpointSlice, wanted: Option<&str>) -> Option<u16> {
    let fits = |name: &Option<String>| {
        wanted.is_none_or(|wanted| name.as_deref().unwrap_or_default() == wanted)
    };
    let ports = slice.ports.as_deref().unwrap_or_default();
    let port = ports.iter().find(|port| fits(&port.name))?.port?;
    u16::try_from(port).ok()
}

fn member(endpoint: Endpoint, port: u16) -> Option<Member> {
    let host = endpoint.addresses.into_iter().next()?;
    let mut member = Member::new(Address::Tcp { host, port });
    if let Some(pod) = endpoint.target_ref.and_then(|target| target.name) {
        member.name = pod;
    }
    member.region = endpoint.zone;
    // An unset condition means ready.
    let ready = endpoint.conditions.and_then(|conditions| conditions.ready);
    Some(member.draining(ready == Some(false)))
}

/// The endpoints of a slice: optional since Kubernetes 1.36, which this crate need not be compiled for.
trait Endpoints {
    fn list(self) -> Vec<Endpoint>;
}

impl Endpoints for Vec<Endpoint> {
    fn list(self) -> Vec<Endpoint> {
        self
    }
}

impl Endpoints for Option<Vec<Endpoint>> {
    fn list(self) -> Vec<Endpoint> {
        self.unwrap_or_default()
    }
}

/// The pods behind a Service can't be watched.
#[derive(Debug, thiserror::Error)]
#[error("cannot watch the EndpointSlices of the Service {service}: {why}")]
struct EndpointsError {
    service: String,
    why: &'static str,
    source: Option<watcher::Error>,
}

impl Diagnose for EndpointsError {
    fn diagnosis(&self) -> Diagnosis {
        let source = self.source.as_ref().map(|source| format!(": {source}"));
        Diagnosis::new(&pool::SERVICE_UNREADABLE)
            .error(format!("{self}{}", source.unwrap_or_default()))
            .reason("the Kubernetes API didn't list the daemons")
            .class(RetryClass::Transient)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn slice(name: &str, endpoints: serde_json::Value) -> EndpointSlice {
        serde_json::from_value(json!({
            "metadata": {"name": name},
            "addressType": "IPv4",
            "endpoints": endpoints,
            "ports": [{"name": "metrics", "port": 9090}, {"name": "grpc", "port": 1234}],
        }))
        .unwrap()
    }

    #[test]
    fn a_pod_is_a_member_with_its_name_and_zone() {
        let slice = slice(
            "s",
            json!([
                {"addresses": ["10.0.0.1"], "zone": "eu-1a", "targetRef": {"kind": "Pod", "name": "buildkit-0"},
                 "conditions": {"ready": true}},
                {"addresses": ["10.0.0.2"], "targetRef": {"kind": "Pod", "name": "buildkit-1"},
                 "conditions": {"ready": false, "terminating": true, "serving": true}},
                {"addresses": ["10.0.0.3"], "conditions": {}},
            ]),
        );
        let port = port(&slice, Some("grpc")).unwrap();
        let members: Vec<Member> = slice
            .endpoints
            .list()
            .into_iter()
            .filter_map(|endpoint| member(endpoint, port))
            .collect();
        let at = |host: &str| Member::new(Address::parse(&format!("tcp://{host}:1234")).unwrap());
        assert_eq!(
            members,
            [
                at("10.0.0.1").name("buildkit-0").region("eu-1a"),
                at("10.0.0.2").name("buildkit-1").draining(true),
                at("10.0.0.3"),
            ]
        );
    }

    #[test]
    fn without_a_name_the_first_port_is_taken() {
        let slice = slice("s", json!([]));
        assert_eq!(port(&slice, None), Some(9090));
        assert_eq!(port(&slice, Some("other")), None);
    }
}
