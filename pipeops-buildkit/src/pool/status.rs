//! What a dashboard shows of a pool.

use serde::{Deserialize, Serialize};

/// One daemon of a pool, as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct MemberStatus {
    /// Its lasting name.
    pub name: String,
    /// Where it listens.
    pub address: String,
    /// Where it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// What it builds for; empty until it was asked.
    pub platforms: Vec<String>,
    /// Its version; empty until it was asked.
    pub version: String,
    /// Whether it gets builds.
    pub state: MemberState,
    /// Builds that this process runs there.
    pub running: usize,
    /// How many it may run there.
    pub capacity: usize,
    /// Waiting builds that belong there first.
    pub waiting: usize,
    /// Builds that ended well there.
    pub finished: u64,
    /// Builds that lost it, or did not reach it.
    pub lost: u64,
    /// The last thing that went wrong there, however long ago.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}

/// Whether a daemon of a pool gets builds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum MemberState {
    /// It was not asked yet.
    New,
    /// It gets builds.
    Up,
    /// It gets no new builds: it refuses them, or its list says so. The ones that it has go on.
    Draining,
    /// It does not answer. It is asked again and again.
    Down,
}
