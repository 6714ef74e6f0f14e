//! What a webhook carries.

use super::PushEvent;

/// What a webhook carries.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Payload {
    /// One or more refs moved. Bitbucket reports several in one webhook, the others always one.
    Push(Vec<PushEvent>),
    /// The forge tests whether the webhook responds.
    Ping,
    /// Something else happened; its name as the forge writes it.
    Other(String),
}
