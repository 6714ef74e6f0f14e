//! Webhooks, the API and the dashboard as one axum router.
//!
//! | Route | Answer |
//! |---|---|
//! | `POST /webhooks/{project}` | what the push led to; 202 when something was queued |
//! | `GET /api/projects` | the projects, without secrets |
//! | `GET /api/deployments?project=&limit=` | the newest deployments, and the number of the newest event |
//! | `GET /api/deployments/{id}` | one deployment |
//! | `GET /api/deployments/{id}/events?after=&follow=` | its events, one JSON object a line |
//! | `GET /api/events?after=&deployment=&logs=` | WebSocket: events as they happen, one JSON object a message |
//! | `GET /healthz` | 200 while the store answers |
//! | `GET /` | the dashboard |

mod access;
mod answer;
mod api;
mod dashboard;
mod live;
mod webhooks;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};

pub use access::Access;

use crate::controller::Controller;
use crate::hub::Hub;
use crate::store::Store;

/// Bounds and access rules of the router.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HttpOptions {
    /// Who may read the API. Default: [`Access::Local`].
    pub access: Access,
    /// The longest webhook body, in bytes. Default: 5 MiB.
    pub body_limit: usize,
    /// How long a webhook's body may take to arrive. Default: 30 s.
    pub body_timeout: Duration,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            access: Access::default(),
            body_limit: 5 << 20,
            body_timeout: Duration::from_secs(30),
        }
    }
}

impl HttpOptions {
    /// Sets who may read the API.
    #[must_use]
    pub fn access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// Sets the longest webhook body, in bytes.
    #[must_use]
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }
}

/// What the handlers share.
#[derive(Debug, Clone)]
struct State {
    controller: Controller,
    store: Arc<dyn Store>,
    hub: Hub,
    options: Arc<HttpOptions>,
}

/// All routes. They can be nested under a path of the caller's own router.
pub fn router(
    controller: Controller,
    store: Arc<dyn Store>,
    hub: Hub,
    options: HttpOptions,
) -> Router {
    let state = State {
        controller,
        store,
        hub,
        options: Arc::new(options),
    };
    let guarded = Router::new()
        .route("/api/projects", get(api::projects))
        .route("/api/deployments", get(api::deployments))
        .route("/api/deployments/{id}", get(api::deployment))
        .route("/api/deployments/{id}/events", get(live::lines))
        .route("/api/events", get(live::websocket))
        .layer(from_fn_with_state(state.clone(), access::guard));
    Router::new()
        .route("/", get(dashboard::page))
        .route("/healthz", get(api::health))
        .route("/webhooks/{project}", post(webhooks::receive))
        .merge(guarded)
        .layer(from_fn(answer::harden))
        .with_state(state)
}

#[cfg(all(test, feature = "git", feature = "sqlite"))]
mod tests;
