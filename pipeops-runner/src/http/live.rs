//! Live events: one JSON object per message or line.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use futures::stream::{self, SplitSink, StreamExt};
use futures::{SinkExt, Stream};
use http::header::CONTENT_TYPE;
use pipeops_core::{Event, EventKind};
use serde::Deserialize;
use tokio::time::{Instant, interval_at, timeout};

use super::answer::Error;
use crate::hub::Subscription;

/// The WebSocket protocol.
const PROTOCOL: &str = "pipeops.events";

/// How often clients are pinged.
const PING: Duration = Duration::from_secs(20);

/// A client that accepts no data for this long is disconnected. It can reconnect and replay missed events.
const SEND_TIMEOUT: Duration = Duration::from_secs(30);

/// The limit for messages of clients, which are ignored.
const MAX_MESSAGE: usize = 4 << 10;

#[derive(Deserialize)]
pub(super) struct StreamQuery {
    /// The number of the last event that the client has.
    #[serde(default)]
    after: u64,
    /// Only events of this deployment.
    deployment: Option<String>,
    /// Whether to send log lines, build steps and transfers too.
    #[serde(default = "yes")]
    logs: bool,
    /// Whether to wait for future events until the deployment ends.
    #[serde(default)]
    follow: bool,
}

pub(super) async fn websocket(
    State(state): State<super::state::State>,
    Query(query): Query<StreamQuery>,
    upgrade: WebSocketUpgrade,
) -> Response {
    upgrade
        .protocols([PROTOCOL])
        .max_message_size(MAX_MESSAGE)
        .on_upgrade(move |socket| {
            let subscription = state.hub.subscribe(query.after, query.deployment);
            serve(socket, subscription, query.logs)
        })
}

/// Sends events until the client disconnects.
async fn serve(socket: WebSocket, mut subscription: Subscription, logs: bool) {
    let (mut sender, mut receiver) = socket.split();
    let mut pings = interval_at(Instant::now() + PING, PING);
    loop {
        let messages: Vec<Message> = tokio::select! {
            events = subscription.next() => match events {
                Ok(events) => events.iter().filter_map(|event| message(event, logs)).collect(),
                // The client can reconnect and replay missed events.
                Err(_) => break,
            },
            _ = pings.tick() => vec![Message::Ping(Vec::new().into())],
            received = receiver.next() => match received {
                Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                Some(Ok(_)) => continue,
            },
        };
        if !matches!(
            timeout(SEND_TIMEOUT, send(&mut sender, messages)).await,
            Ok(Ok(()))
        ) {
            break;
        }
    }
}

async fn send(
    sender: &mut SplitSink<WebSocket, Message>,
    messages: Vec<Message>,
) -> Result<(), axum::Error> {
    for message in messages {
        sender.feed(message).await?;
    }
    sender.flush().await
}

fn message(event: &Event, logs: bool) -> Option<Message> {
    let is_log = matches!(
        event.kind,
        EventKind::Log { .. } | EventKind::Vertex { .. } | EventKind::Transfer { .. }
    );
    if is_log && !logs {
        return None;
    }
    Some(Message::Text(serde_json::to_string(event).ok()?.into()))
}

pub(super) async fn lines(
    State(state): State<super::state::State>,
    Path(id): Path<String>,
    Query(query): Query<StreamQuery>,
) -> Result<Response, Error> {
    let deployment = state.store.deployment(&id).await?;
    let deployment = deployment.ok_or_else(|| Error::not_found("deployment"))?;
    let last = state.store.last_event().await?;
    let subscription = state.hub.subscribe(query.after, Some(deployment.id));
    let until = (!query.follow).then_some(last);
    let body = Body::from_stream(line_stream(subscription, until));
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], body).into_response())
}

/// The events as lines, up to the last event of the deployment or up to this number.
fn line_stream(
    subscription: Subscription,
    until: Option<u64>,
) -> impl Stream<Item = Result<String, Infallible>> {
    stream::unfold(Some(subscription), move |subscription| async move {
        let mut subscription = subscription?;
        let events = match until {
            Some(last) => subscription.next_until(last).await,
            None => subscription.next().await.map(Some),
        };
        let events: Vec<Arc<Event>> = events.ok().flatten()?;
        let ended = events.iter().any(|event| event.kind.is_final());
        let text: String = events
            .iter()
            .filter_map(|event| serde_json::to_string(&**event).ok())
            .map(|line| line + "\n")
            .collect();
        Some((Ok(text), (!ended).then_some(subscription)))
    })
}

fn yes() -> bool {
    true
}
