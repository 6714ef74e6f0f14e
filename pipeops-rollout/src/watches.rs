//! Watches that any number of rollouts share.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::Event as KubeEvent;
use kube::api::{Api, ApiResource, GroupVersionKind};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Config, Event};
use kube::{Client, Resource, ResourceExt};
use pipeops_core::names::{MANAGED_BY_LABEL, MANAGER};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::api_error::{Action, ApiError, ApiProblem};
use crate::app_states::{AppStates, Item, WatchedKind};
use crate::app_watch::{AppWatch, WatchHealth};
use crate::state::{DeploymentState, EventState, PodState, ReplicaSetState, raw};
use crate::text;

/// The server ends each watch after this many seconds, and it resumes where it was. Short enough to notice a dead connection
/// well within a rollout's deadline.
const WATCH_SECONDS: u32 = 60;
/// A first list that takes longer than this is restarted.
const LIST_LIMIT: Duration = Duration::from_secs(30);

/// Watches on Deployments, ReplicaSets, Pods and warning events, shared by all rollouts in a namespace or cluster.
///
/// A hundred rollouts in a namespace need four watches. Each object is parsed once, and only to the fields that are needed.
/// A change wakes only the application that it belongs to. The watches start with the first [`AppWatch`] and stop with the
/// last. They survive cut connections, `410 Gone` and restarts of the API server. Clones share their watches.
///
/// ```
/// use std::time::Duration;
/// use pipeops_rollout::{Watches, kube};
/// # use pipeops_testkit::kubernetes::{Cluster, ClusterOptions};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let cluster = Cluster::start(ClusterOptions::default()).await?;
/// # let config = kube::Config::new(cluster.url().parse()?);
/// let watches = Watches::per_namespace(pipeops_rollout::client_from(config)?);
/// let mut web = watches.watch("shop", "web");
/// assert!(web.synced(Duration::from_secs(30)).await?);
/// for pod in web.state().pods.values() {
///     println!("{} {}", pod.name, pod.summary());
/// }
/// // Then `web.changed().await?` returns with each change.
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Watches(Arc<Inner>);

struct Inner {
    client: Client,
    cluster_wide: bool,
    /// By namespace; the empty name stands for the whole cluster.
    scopes: Mutex<HashMap<String, Weak<Scope>>>,
}

/// The watches of one namespace, or of the whole cluster.
struct Scope {
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

/// What the watching tasks write and each `AppWatch` reads.
#[derive(Default)]
struct Shared {
    store: Mutex<AppStates>,
    health: watch::Sender<WatchHealth>,
    /// Kinds whose first list has not arrived yet.
    missing: Mutex<HashSet<WatchedKind>>,
}

impl Watches {
    /// Watches per namespace. Needs permission to `list` and `watch` in each namespace that is deployed to.
    pub fn per_namespace(client: Client) -> Self {
        Self::new(client, false)
    }

    /// Watches for the whole cluster. Needs permission to `list` and `watch` cluster-wide. Cheapest if applications are in
    /// many namespaces.
    pub fn cluster_wide(client: Client) -> Self {
        Self::new(client, true)
    }

    fn new(client: Client, cluster_wide: bool) -> Self {
        Self(Arc::new(Inner {
            client,
            cluster_wide,
            scopes: Mutex::default(),
        }))
    }

    /// Watches one application: its name is that of its Deployment.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn watch(&self, namespace: &str, app: &str) -> AppWatch {
        let scope = self.scope(namespace);
        let state = lock(&scope.shared.store).subscribe(namespace, app);
        let health = scope.shared.health.subscribe();
        AppWatch::new(state, health, scope)
    }

    fn scope(&self, namespace: &str) -> Arc<Scope> {
        let namespace = if self.0.cluster_wide { "" } else { namespace };
        let mut scopes = lock(&self.0.scopes);
        if let Some(scope) = scopes.get(namespace).and_then(Weak::upgrade) {
            return scope;
        }
        scopes.retain(|_, scope| scope.strong_count() > 0);
        let scope = Arc::new(Scope::start(&self.0.client, namespace));
        scopes.insert(namespace.to_owned(), Arc::downgrade(&scope));
        scope
    }
}

impl fmt::Debug for Watches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watches")
            .field("cluster_wide", &self.0.cluster_wide)
            .finish_non_exhaustive()
    }
}

impl Scope {
    fn start(client: &Client, namespace: &str) -> Self {
        let shared = Arc::new(Shared::default());
        lock(&shared.missing).extend(WatchedKind::ALL);
        let mut tasks = JoinSet::new();
        let own = Config::default()
            .timeout(WATCH_SECONDS)
            .labels(&format!("{MANAGED_BY_LABEL}={MANAGER}"));
        let apps = |kind| ApiResource::from_gvk(&GroupVersionKind::gvk("apps", "v1", kind));
        let pods = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "Pod"));
        let feed = |kind| Feed {
            kind,
            namespace: namespace.to_owned(),
            shared: shared.clone(),
        };

        let api = api::<raw::Deployment>(client, namespace, &apps("Deployment"));
        tasks.spawn(feed(WatchedKind::Deployment).run(api, own.clone(), deployment));
        let api = self::api::<raw::ReplicaSet>(client, namespace, &apps("ReplicaSet"));
        tasks.spawn(feed(WatchedKind::ReplicaSet).run(api, own.clone(), replica_set));
        let api = self::api::<raw::Pod>(client, namespace, &pods);
        tasks.spawn(feed(WatchedKind::Pod).run(api, own, pod));
        // Events have no labels. Diagnoses only need warnings.
        let warnings = Config::default()
            .timeout(WATCH_SECONDS)
            .fields("type!=Normal");
        let api = match namespace {
            "" => Api::all(client.clone()),
            namespace => Api::namespaced(client.clone(), namespace),
        };
        tasks.spawn(feed(WatchedKind::Event).run(api, warnings, event));
        Self {
            shared,
            _tasks: tasks,
        }
    }
}

fn api<K>(client: &Client, namespace: &str, resource: &ApiResource) -> Api<K>
where
    K: Resource<DynamicType = ApiResource, Scope = kube::core::DynamicResourceScope>,
{
    match namespace {
        "" => Api::all_with(client.clone(), resource),
        namespace => Api::namespaced_with(client.clone(), namespace, resource),
    }
}

fn deployment(raw: raw::Deployment) -> Option<Item> {
    let name = raw.metadata.name.clone()?;
    Some(Item::Deployment(name, DeploymentState::from(raw)))
}

fn replica_set(raw: raw::ReplicaSet) -> Option<Item> {
    ReplicaSetState::of(raw).map(Item::ReplicaSet)
}

fn pod(raw: raw::Pod) -> Option<Item> {
    PodState::of(raw).map(|(app, pod)| Item::Pod(app, pod))
}

fn event(raw: KubeEvent) -> Option<Item> {
    let about = raw.involved_object;
    let kind = about.kind?;
    let state = EventState {
        name: raw.metadata.name.unwrap_or_default(),
        about: about.name?,
        reason: raw.reason.unwrap_or_default(),
        message: text::clean(&raw.message.unwrap_or_default()),
    };
    matches!(kind.as_str(), "Pod" | "ReplicaSet" | "Deployment").then_some(Item::Event(kind, state))
}

/// Feeds the objects of one kind into the store.
struct Feed {
    kind: WatchedKind,
    namespace: String,
    shared: Arc<Shared>,
}

impl Feed {
    async fn run<K>(self, api: Api<K>, config: Config, convert: fn(K) -> Option<Item>)
    where
        K: Resource + Clone + serde::de::DeserializeOwned + fmt::Debug + Send + 'static,
    {
        loop {
            let events = watcher::watcher(api.clone(), config.clone()).default_backoff();
            self.pump(pin!(events), convert).await;
            self.trouble("the first list didn't arrive in time");
        }
    }

    /// Returns only if a list stalls.
    async fn pump<K: Resource>(
        &self,
        mut events: impl Stream<Item = Result<Event<K>, watcher::Error>> + Unpin,
        convert: fn(K) -> Option<Item>,
    ) {
        // Names seen in the current list.
        let mut listing = Some(HashSet::new());
        loop {
            let next = match listing {
                Some(_) => match tokio::time::timeout(LIST_LIMIT, events.next()).await {
                    Ok(next) => next,
                    Err(_) => return,
                },
                // The server and kube end idle watches.
                None => events.next().await,
            };
            match next {
                Some(Ok(Event::Init)) => listing = Some(HashSet::new()),
                Some(Ok(Event::InitApply(object))) => {
                    let key = key(&object);
                    if let Some(seen) = &mut listing {
                        seen.insert(key.clone());
                    }
                    self.put(key, object, convert);
                }
                Some(Ok(Event::InitDone)) => {
                    if let Some(seen) = listing.take() {
                        lock(&self.shared.store).retain(self.kind, &seen);
                    }
                    self.synced();
                }
                Some(Ok(Event::Apply(object))) => self.put(key(&object), object, convert),
                Some(Ok(Event::Delete(object))) => {
                    let (namespace, name) = key(&object);
                    lock(&self.shared.store).remove(self.kind, &namespace, &name);
                }
                Some(Err(error)) => self.failed(error),
                None => return,
            }
        }
    }

    fn put<K>(
        &self,
        (namespace, name): (String, String),
        object: K,
        convert: fn(K) -> Option<Item>,
    ) {
        let mut store = lock(&self.shared.store);
        match convert(object) {
            Some(item) => store.put(&namespace, item),
            // It may have belonged to an application earlier.
            None => store.remove(self.kind, &namespace, &name),
        }
    }

    fn synced(&self) {
        let mut missing = lock(&self.shared.missing);
        missing.remove(&self.kind);
        let synced = missing.is_empty();
        self.shared.health.send_if_modified(|health| {
            let before = health.clone();
            health.synced = synced;
            health.trouble = None;
            // The permission to watch may have been granted meanwhile.
            health
                .denied
                .take_if(|denied| denied.action.resource == self.kind.resource());
            *health != before
        });
    }

    fn failed(&self, error: watcher::Error) {
        use watcher::Error::{InitialListFailed, WatchFailed, WatchStartFailed};
        let action = |verb| Action::new(verb, self.kind.resource(), "", &self.namespace);
        let error = match error {
            InitialListFailed(error) => ApiError::from_kube(action("list"), error),
            WatchStartFailed(error) | WatchFailed(error) => {
                ApiError::from_kube(action("watch"), error)
            }
            other => {
                tracing::debug!(error = %other, kind = ?self.kind, "watch restarts");
                return;
            }
        };
        tracing::debug!(%error, "watch failed");
        // A restarting API server may forbid what it allowed before, until it has loaded its rules.
        let denied = matches!(error.problem, ApiProblem::Forbidden { .. })
            && lock(&self.shared.missing).contains(&self.kind);
        match (denied, self.kind) {
            (true, WatchedKind::Event) => {
                self.shared.health.send_modify(|h| h.without_events = true);
                self.synced();
            }
            (true, _) => self.shared.health.send_modify(|h| h.denied = Some(error)),
            (false, _) => self.trouble(&error.to_string()),
        }
    }

    fn trouble(&self, what: &str) {
        self.shared
            .health
            .send_modify(|health| health.trouble = Some(what.to_owned()));
    }
}

fn key<K: Resource>(object: &K) -> (String, String) {
    (object.namespace().unwrap_or_default(), object.name_any())
}

/// A panic while the lock was held leaves at most one object outdated, until its next event.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
