//! The content of a webhook.

use super::PushEvent;

/// The content of a webhook.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Payload {
    /// One or more refs changed. Only Bitbucket reports several in one webhook.
    Push(Vec<PushEvent>),
    /// The forge tests whether the webhook responds: with a ping, or with a push that moves no branch or tag.
    Ping,
    /// Another event, with its name at the forge.
    Other(String),
}

/// The only push in a body, of which some fields are replaced.
#[cfg(test)]
pub(super) fn only_push(
    parse: fn(&str, &[u8]) -> Result<Payload, super::BodyError>,
    event: &str,
    mut body: serde_json::Value,
    changes: serde_json::Value,
) -> PushEvent {
    let changes = changes.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(changes);
    match parse(event, body.to_string().as_bytes()).unwrap() {
        Payload::Push(mut pushes) => pushes.remove(0),
        other => panic!("{other:?}"),
    }
}
