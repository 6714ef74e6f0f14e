//! An in-process Kubernetes API server, with the controllers, the scheduler and the kubelet that make rollouts happen.
//!
//! [`Cluster::start`] serves the API on a free port of 127.0.0.1 over plain HTTP. It is typed enough for tools that
//! deploy: server-side apply with owners and conflicts, watches with bookmarks and `410 Gone`, Deployments whose
//! ReplicaSets and pods go through their phases, events in the words of the real components. What it does not know it
//! answers with an error, never with a success.
//!
//! # What is there
//!
//! - Kinds: Namespace, Node, Pod, Service, ConfigMap, Secret, ServiceAccount, Event, Deployment, ReplicaSet, Lease,
//!   EndpointSlice, NetworkPolicy, PodDisruptionBudget; discovery as far as `kubectl` needs it.
//! - Verbs: get, list (label and field selectors, one page), watch (also as a streaming list), create, update, delete
//!   (background propagation, preconditions, grace), server-side apply, merge patch; `status`, `pods/log`.
//! - Controllers: Deployment, ReplicaSet, EndpointSlice, garbage collection. PodDisruptionBudgets and NetworkPolicies
//!   are stored without effect.
//! - Bodies in JSON and YAML; no protobuf, no tables, no OpenAPI documents. Some of `kubectl` works: `create deployment`,
//!   `apply --server-side --validate=false -f`, `get`, `rollout status`, `logs`, `delete`.
//! - One node, whose pods do what their [`PodBehaviour`] says. References to ConfigMaps and Secrets, image names,
//!   resources and selectors are really checked. No container really runs.
//!
//! # Example
//!
//! ```
//! use pipeops_testkit::kubernetes::{Cluster, ClusterOptions, PodBehaviour};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> std::io::Result<()> {
//! let cluster = Cluster::start(ClusterOptions::default()).await?;
//! cluster.behaviour("*/app:broken", PodBehaviour::crash(1).log(["no database"]));
//! println!("KUBECONFIG:\n{}", cluster.kubeconfig());
//! # Ok(()) }
//! ```

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

/// A running cluster. Dropping it ends the server, its connections and its controllers.
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
    /// Operations are a verb and a resource: `get`, `list`, `watch`, `create`, `update`, `patch`, `apply`, `delete` or
    /// `deletecollection`, and for instance `deployments`, `pods/log`, `deployments/status`; beside them `health`,
    /// `discover` and `unknown`. [`Fault::Gone`](crate::fault::Fault::Gone) on a watch is the
    /// `ERROR` event with code 410 that a real server sends.
    pub fn faults(&self) -> &Faults {
        &self.base.faults
    }

    /// Sets what the containers do whose image matches a pattern, in which `*` stands for any text. The latest call
    /// that matches counts. Running containers change with
    /// it.
    pub fn behaviour(&self, image_pattern: &str, behaviour: PodBehaviour) {
        self.shared
            .script(|all| all.for_image(image_pattern, behaviour));
    }

    /// Sets what the containers of those pods do whose labels match, for instance `app=web,track!=stable`.
    ///
    /// # Errors
    ///
    /// When the selector cannot be read.
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

    /// Denies requests as RBAC would, with 403; `*` stands for any text. `deny("get", "pods/log")`.
    pub fn deny(&self, verb: &str, resource: &str) {
        lock(&self.shared.denials).add(verb, resource);
    }

    /// The requests seen, oldest first; the last 10,000 of them.
    pub fn requests(&self) -> Vec<SeenRequest> {
        self.base.seen.all()
    }

    /// An object as it is stored now, without a request: `object("apps/v1", "Deployment", "default", "web")`.
    /// Kinds without a namespace take the empty one.
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

    /// Forgets the history: a watch that asks for an older version gets `410 Gone` and has to list again.
    pub fn compact(&self) {
        self.shared.write(Store::compact);
    }

    /// Cuts every open connection, watches included. New ones are accepted.
    pub fn cut_connections(&self) {
        self.base.switch.cut_connections();
    }

    /// The API server dies: open connections are cut, new ones are refused. Objects stay, and controllers and pods go
    /// on, as they do on a real cluster.
    pub fn crash(&self) {
        self.server.crash();
    }

    /// Starts the API server again, at the same address, after a [crash](Cluster::crash) or a
    /// [`Fault::Crash`](crate::fault::Fault::Crash). Does nothing while it is up.
    ///
    /// # Errors
    ///
    /// When the port is no longer free.
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

/// A label selector that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the label selector {selector:?} cannot be read: {why}")]
#[non_exhaustive]
pub struct InvalidSelector {
    /// The selector.
    pub selector: String,
    /// What is wrong with it.
    pub why: String,
}
