//! Watches.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::read::{self, Filter};
use super::request::{Query, Target};
use super::shared::Shared;
use super::status::{ApiError, ApiResult, FieldError};
use super::store::{Change, Store};
use crate::serve::Body;

/// A watch ends after this time when the client does not say another.
const LONGEST: Duration = Duration::from_secs(1800);

/// How often a watch gets a bookmark.
const BOOKMARK_EVERY: Duration = Duration::from_secs(1);

/// One client's watch.
struct Watch {
    shared: Arc<Shared>,
    filter: Filter,
    only_metadata: bool,
    bookmarks: bool,
    /// The revision up to which the client knows everything.
    position: u64,
    changed: watch::Receiver<u64>,
    pending: VecDeque<Bytes>,
    next_bookmark: Instant,
    end: Instant,
    ended: bool,
}

/// Starts a watch: the body of its answer.
pub(crate) fn start(
    shared: &Arc<Shared>,
    target: &Target,
    query: &Query,
    only_metadata: bool,
) -> ApiResult<Body> {
    let seconds = query.number("timeoutSeconds")?;
    let limit = seconds.map_or(LONGEST, Duration::from_secs).min(LONGEST);
    let now = Instant::now();
    let mut watch = Watch {
        shared: shared.clone(),
        filter: Filter::read(target, query)?,
        only_metadata,
        bookmarks: query.flag("allowWatchBookmarks"),
        position: 0,
        changed: shared.subscribe(),
        pending: VecDeque::new(),
        next_bookmark: now + BOOKMARK_EVERY,
        end: now + limit,
        ended: false,
    };
    watch.begin(query)?;
    Ok(body(watch))
}

/// A watch that says nothing but that it cannot go on: what a client gets for a version that is forgotten.
pub(crate) fn gone() -> Body {
    let error = ApiError::expired("too old resource version");
    let line = line("ERROR", &error.to_json());
    body_of(stream::iter([Ok(Frame::data(line))]))
}

fn body(watch: Watch) -> Body {
    body_of(stream::unfold(watch, |mut watch| async move {
        let line = watch.next().await?;
        Some((Ok(Frame::data(line)), watch))
    }))
}

fn body_of<S>(stream: S) -> Body
where
    S: futures::Stream<Item = Result<Frame<Bytes>, crate::serve::BoxError>> + Send + 'static,
{
    StreamBody::new(stream).boxed_unsync()
}

fn line(kind: &str, object: &Value) -> Bytes {
    let mut line = json!({"type": kind, "object": object}).to_string();
    line.push('\n');
    line.into()
}

impl Watch {
    /// Where the watch begins: at a version, or with everything that is there.
    fn begin(&mut self, query: &Query) -> ApiResult<()> {
        let initial = query.text("sendInitialEvents");
        let from = query.number("resourceVersion")?.unwrap_or(0);
        if !initial.is_empty() && query.text("resourceVersionMatch") != "NotOlderThan" {
            let detail = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
            let error = FieldError::forbidden("resourceVersionMatch", detail);
            return Err(ApiError::invalid_options("ListOptions", error));
        }
        let streaming = query.flag("sendInitialEvents");
        if !streaming && (from > 0 || initial == "false") {
            self.position = if from > 0 {
                from
            } else {
                self.shared.read(Store::revision)
            };
            return Ok(());
        }
        let shared = self.shared.clone();
        let (objects, revision) = shared.read(|store| {
            let objects: Vec<Value> = self
                .filter
                .select(store)
                .map(|(_, object)| object)
                .collect();
            (objects, store.revision())
        });
        if from > revision {
            return Err(read::too_large(from, revision));
        }
        for object in objects {
            self.push("ADDED", object);
        }
        self.position = revision;
        if streaming && self.bookmarks {
            self.push_bookmark(true);
        }
        Ok(())
    }

    /// The next line; none at the end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(line) = self.pending.pop_front() {
                return Some(line);
            }
            if self.ended {
                return None;
            }
            self.collect();
            if self.pending.is_empty() {
                self.wait().await;
            }
        }
    }

    async fn wait(&mut self) {
        tokio::select! {
            changed = self.changed.changed() => self.ended = changed.is_err(),
            () = sleep_until(self.next_bookmark), if self.bookmarks => {
                self.push_bookmark(false);
                self.next_bookmark = Instant::now() + BOOKMARK_EVERY;
            }
            () = sleep_until(self.end) => self.ended = true,
        }
    }

    /// Takes the changes since the last look.
    fn collect(&mut self) {
        let shared = self.shared.clone();
        let found = shared.read(|store| {
            let changes = store.changes_after(self.position)?;
            let mine: Vec<Change> = changes
                .filter(|change| self.filter.covers(&change.key))
                .cloned()
                .collect();
            Ok((mine, store.revision()))
        });
        match found {
            Ok((changes, revision)) => {
                for change in changes {
                    self.push_change(&change);
                }
                // A client may ask from a version that has not come yet: it stays ahead until then.
                self.position = self.position.max(revision);
            }
            Err(super::store::Compacted { oldest }) => {
                let error = read::expired(self.position, oldest);
                self.pending.push_back(line("ERROR", &error.to_json()));
                self.ended = true;
            }
        }
    }

    /// What a change means to a client that sees only what its selectors match.
    fn push_change(&mut self, change: &Change) {
        let after = (*change.after).clone();
        let was = change
            .before
            .as_ref()
            .is_some_and(|before| self.filter.matches(before));
        let is = !change.deleted && self.filter.matches(&after);
        match (was, is) {
            (false, true) => self.push("ADDED", after),
            (true, true) => self.push("MODIFIED", after),
            (true, false) => {
                let mut last = if change.deleted {
                    after
                } else {
                    change.before.as_deref().cloned().unwrap_or(after)
                };
                last["metadata"]["resourceVersion"] = change.revision.to_string().into();
                self.push("DELETED", last);
            }
            (false, false) => {}
        }
    }

    fn push(&mut self, kind: &str, object: Value) {
        let object = if self.only_metadata {
            read::only_metadata(&object)
        } else {
            object
        };
        self.pending.push_back(line(kind, &object));
    }

    /// Tells the client how far it is; after the initial events, that they are over.
    fn push_bookmark(&mut self, initial_end: bool) {
        let resource = self.filter.resource();
        let mut metadata = json!({"resourceVersion": self.position.to_string()});
        if initial_end {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let object = json!({
            "kind": resource.kind,
            "apiVersion": resource.api_version(),
            "metadata": metadata,
        });
        self.push("BOOKMARK", object);
    }
}
