//! The status of a pool's members, for example for a dashboard.

use serde::{Deserialize, Serialize};

/// The current state of one daemon of a pool, with the counters of this process. It can be serialized, for example as JSON for a
/// dashboard.
///
/// ```
/// use pipeops_buildkit::{MemberState, MemberStatus};
///
/// /// The share of a pool's capacity that is in use.
/// fn load(members: &[MemberStatus]) -> f64 {
///     let up = members.iter().filter(|member| member.state == MemberState::Up);
///     let (running, capacity) = up.fold((0, 0), |sum, member| (sum.0 + member.running, sum.1 + member.capacity));
///     running as f64 / capacity.max(1) as f64
/// }
/// # assert_eq!(load(&[]), 0.0);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct MemberStatus {
    /// Its permanent name.
    pub name: String,
    /// Its address.
    pub address: String,
    /// Its region, if set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The platforms that it builds for; empty before the first probe.
    pub platforms: Vec<String>,
    /// The daemon's version; empty before the first probe.
    pub version: String,
    /// Whether it gets builds.
    pub state: MemberState,
    /// Number of builds of this process that run there.
    pub running: usize,
    /// Limit for these builds.
    pub capacity: usize,
    /// Number of waiting builds for which it's the first choice.
    pub waiting: usize,
    /// Number of successful builds since the pool started.
    pub finished: u64,
    /// Number of builds since the pool started that lost it or couldn't connect to it.
    pub lost: u64,
    /// The last error, however old; `None` if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}

/// Whether a daemon of a pool gets builds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum MemberState {
    /// Not probed yet.
    New,
    /// Healthy: it gets builds.
    Up,
    /// It finishes its running builds and gets no new ones, because it refuses connections or its list marks it as draining.
    Draining,
    /// It doesn't respond. It's probed again at intervals of up to 30 s.
    Down,
}
