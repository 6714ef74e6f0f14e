//! A Kubernetes API server with the controllers, scheduler and kubelet that a rollout needs.
//!
//! [`Cluster::start`] serves the API on a free port of 127.0.0.1 over plain HTTP. It implements what deployment tools use:
//! server-side apply with owners and conflicts, watches with bookmarks and `410 Gone`, Deployments whose ReplicaSets and pods go
//! through their phases, and events with the messages of the real components. Requests that it doesn't implement fail.
//!
//! ```
//! use pipeops_testkit::kubernetes::{Cluster, ClusterOptions, PodBehaviour};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> std::io::Result<()> {
//! let cluster = Cluster::start(ClusterOptions::default()).await?;
//! cluster.behaviour("*/app:broken", PodBehaviour::crash(1).log(["no database"]));
//! // A client of the cluster: `kube::Client::try_from(kube::Config::new(cluster.url().parse()?))?`
//! println!("KUBECONFIG:\n{}", cluster.kubeconfig());
//! # Ok(()) }
//! ```
//!
//! # What it implements
//!
//! - Kinds: Namespace, Node, Pod, Service, ConfigMap, Secret, ServiceAccount, Event, Deployment, ReplicaSet, Lease,
//!   EndpointSlice, NetworkPolicy, PodDisruptionBudget; discovery as far as `kubectl` needs it.
//! - Verbs: get, list (label and field selectors, one page), watch (also as a streaming list), create, update, delete
//!   (background propagation, preconditions, grace), server-side apply, merge patch; `status`, `pods/log`.
//! - Controllers: Deployment, ReplicaSet, EndpointSlice, garbage collection. PodDisruptionBudgets and NetworkPolicies are stored
//!   and have no effect.
//! - JSON and YAML bodies. Not implemented: protobuf, tables, OpenAPI documents. These `kubectl` commands work:
//!   `create deployment`, `apply --server-side --validate=false -f`, `get`, `rollout status`, `logs`, `delete`.
//! - One node. Its pods behave as their [`PodBehaviour`] says; no container runs. References to ConfigMaps and Secrets, image
//!   names, resources and selectors are checked.

mod access;
mod apply;
mod asked;
mod behaviour;
mod controllers;
mod decode;
mod defaults;
mod delete;
mod discovery;
mod fields;
mod identity;
mod kubelet;
mod logs;
mod managed;
mod names;
mod objects;
mod options;
mod patch;
mod prepare;
mod quantity;
mod read;
mod recorder;
mod request;
mod resources;
mod schema;
mod selector;
mod server;
mod services;
mod setup;
mod shared;
mod status;
mod store;
mod time;
mod validate;
mod value;
mod watch;
mod write;

use std::fmt;
use std::io;
use std::sync::Arc;

use serde_json::Value;
use tokio::task::JoinHandle;

pub use self::behaviour::{PodBehaviour, PullFailure};
pub use self::options::ClusterOptions;

use self::controllers::Controllers;
use self::selector::LabelSelector;
use self::shared::Shared;
use self::store::{Key, Store};
use crate::fault::Faults;
use crate::seen::SeenRequest;
use crate::serve::{self, Base, Server, lock};

/// A running cluster. Dropping it stops the server, its connections and its controllers.
pub struct Cluster {
    shared: Arc<Shared>,
    base: Base,
    server: Server,
    controllers: JoinHandle<()>,
}

impl Cluster {
    /// Starts a cluster on a free port of 127.0.0.1, with the namespaces `default` and `kube-system` and one node.
    ///
    /// # Errors
    ///
    /// When no port can be bound.
    pub async fn start(options: ClusterOptions) -> io::Result<Self> {
        let shared = Arc::new(Shared::new(options));
        setup::first_objects(&shared);
        let base = Base::default();
        let server = serve::start(&base, &shared).await?;
        let controllers = tokio::spawn(Controllers::new(shared.clone()).run());
        Ok(Self {
            shared,
            base,
            server,
            controllers,
        })
    }

    /// The address of the API server, `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// A kubeconfig for this cluster, in YAML.
    pub fn kubeconfig(&self) -> String {
        setup::kubeconfig(&self.url())
    }

    /// The scripted faults of the API server.
    ///
    /// An operation is a verb (`get`, `list`, `watch`, `create`, `update`, `patch`, `apply`, `delete`, `deletecollection`) and a
    /// resource (`deployments`, `pods/log`, `deployments/status`), such as `apply deployments`. Other operations are `health`,
    /// `discover` and `unknown`. [`Fault::Gone`](crate::fault::Fault::Gone) on a watch is an `ERROR` event with code 410.
    pub fn faults(&self) -> &Faults {
        &self.base.faults
    }

    /// Sets the behaviour of containers whose image matches a pattern, in which `*` matches any text. The latest matching call
    /// applies, also to running containers.
    pub fn behaviour(&self, image_pattern: &str, behaviour: PodBehaviour) {
        self.shared
            .script(|all| all.for_image(image_pattern, behaviour));
    }

    /// Sets the behaviour of the containers of all pods that match a label selector, such as `app=web,track!=stable`.
    ///
    /// # Errors
    ///
    /// When the selector is invalid.
    pub fn behaviour_of(
        &self,
        label_selector: &str,
        behaviour: PodBehaviour,
    ) -> Result<(), InvalidSelector> {
        let selector = LabelSelector::parse(label_selector).map_err(|error| InvalidSelector {
            selector: label_selector.to_owned(),
            why: error.message,
        })?;
        self.shared
            .script(|all| all.for_labels(selector, behaviour));
        Ok(())
    }

    /// Denies requests as RBAC does, with 403: `deny("get", "pods/log")`. `*` matches any text.
    pub fn deny(&self, verb: &str, resource: &str) {
        lock(&self.shared.denials).add(verb, resource);
    }

    /// The requests, oldest first. Only the last 10,000 are kept.
    pub fn requests(&self) -> Vec<SeenRequest> {
        self.base.seen.all()
    }

    /// An object in its current state, read without a request: `object("apps/v1", "Deployment", "default", "web")`. The
    /// namespace of cluster-scoped kinds is empty.
    pub fn object(
        &self,
        api_version: &str,
        kind: &str,
        namespace: &str,
        name: &str,
    ) -> Option<Value> {
        let resource = resources::of_kind(api_version, kind)?;
        let key = Key::new(resource, namespace, name);
        self.shared
            .read(|store| store.get(&key).map(|object| (**object).clone()))
    }

    /// Discards the history of changes: a watch from an older resource version gets `410 Gone` and has to list again.
    pub fn compact(&self) {
        self.shared.write(Store::compact);
    }

    /// Closes all open connections, including watches. New ones are accepted.
    pub fn cut_connections(&self) {
        self.base.switch.cut_connections();
    }

    /// Crashes the API server: closes open connections and refuses new ones. Objects are kept, and controllers and pods keep
    /// running, as on a real cluster.
    pub fn crash(&self) {
        self.server.crash();
    }

    /// Starts the API server on the same port again, after [`Cluster::crash`] or
    /// [`Fault::Crash`](crate::fault::Fault::Crash). Does nothing while it's running.
    ///
    /// # Errors
    ///
    /// When another process uses the port.
    pub async fn restart(&self) -> io::Result<()> {
        self.server.restart().await
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("url", &self.url())
            .finish_non_exhaustive()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // The server ends by its own drop.
        self.controllers.abort();
    }
}

/// An invalid label selector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid label selector {selector:?}: {why}")]
#[non_exhaustive]
pub struct InvalidSelector {
    /// The selector.
    pub selector: String,
    /// Why it's invalid.
    pub why: String,
}
