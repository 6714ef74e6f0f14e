//! The routes of [`Service::router`](crate::Service::router): webhooks, API and dashboard.
//!
//! | Route | Response |
//! |---|---|
//! | `POST /webhooks/{project}` | the result of the push: 202 if it queued a deployment, 200 if it's a duplicate or is skipped, 503 after a shutdown |
//! | `GET /api/projects` | all projects, without secrets |
//! | `GET /api/deployments?project=NAME&limit=N` | the newest deployments (default: 50), and the number of the newest event |
//! | `GET /api/deployments/{id}` | one deployment |
//! | `GET /api/deployments/{id}/events?after=N&follow=true` | its events, one JSON object per line; `follow=true` waits for its end |
//! | `GET /api/events?after=N&deployment=ID&logs=true` | WebSocket: live events, one JSON object per message |
//! | `GET /healthz` | 200 while the service runs and the store answers |
//! | `GET /` | the dashboard |

mod access;
mod answer;
mod api;
mod dashboard;
mod live;
mod state;
mod webhooks;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};

pub use access::Access;
pub use state::HttpOptions;
pub(crate) use state::State;

/// All routes, for a host with any state.
pub(crate) fn router<S: Clone + Send + Sync + 'static>(state: State) -> Router<S> {
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
