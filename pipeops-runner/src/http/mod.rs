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
mod state;
mod webhooks;

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};

pub use access::Access;
pub use state::HttpOptions;

use crate::controller::Controller;
use crate::hub::Hub;
use crate::store::Store;
use state::State;

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
        .layer(from_fn_with_state(
            state.options.access.clone(),
            access::guard,
        ));
    Router::new()
        .route("/", get(dashboard::page))
        .route("/healthz", get(api::health))
        .route("/webhooks/{project}", post(webhooks::receive))
        .merge(guarded)
        .layer(from_fn(answer::harden))
        .with_state(state)
}

#[cfg(test)]
#[cfg(all(feature = "git", feature = "sqlite"))]
mod tests;
