//! The daemons of a pool, and where their list comes from.

use std::fmt;

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use pipeops_core::Failure;

use crate::address::Address;

/// One daemon of a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Member {
    /// What it is called for ever: builds are placed by this name, so that a daemon that comes back at another address finds
    /// its old builds, and they their cache. Unique in its pool. Default: its address.
    pub name: String,
    /// Where it listens.
    pub address: Address,
    /// Where it stands: a region, a zone, any word. Builds prefer daemons with the pool's own
    /// [`region`](crate::PoolOptions::region).
    pub region: Option<String>,
    /// What it is used for, such as `linux/arm64`. Empty: everything that it says of itself. That includes what it emulates;
    /// name the platforms here to keep builds off slow emulation.
    pub platforms: Vec<String>,
    /// Builds that it runs at once. Default: the pool's [`capacity`](crate::PoolOptions::capacity). A daemon with twice the
    /// capacity gets twice the share of the projects.
    pub capacity: Option<usize>,
    /// Takes no new builds, but ends those that it has.
    pub draining: bool,
}

impl Member {
    /// The daemon at this address.
    pub fn new(address: Address) -> Self {
        Self {
            name: address.to_string(),
            address,
            region: None,
            platforms: Vec::new(),
            capacity: None,
            draining: false,
        }
    }

    /// Sets its lasting name.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets where it stands.
    #[must_use]
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.region = Some(region.into());
        self
    }

    /// Adds a platform that it is used for.
    #[must_use]
    pub fn platform(mut self, platform: impl Into<String>) -> Self {
        self.platforms.push(platform.into());
        self
    }

    /// Sets how many builds it runs at once.
    #[must_use]
    pub fn capacity(mut self, builds: usize) -> Self {
        self.capacity = Some(builds);
        self
    }

    /// Sets whether it takes new builds.
    #[must_use]
    pub fn draining(mut self, draining: bool) -> Self {
        self.draining = draining;
        self
    }
}

impl From<Address> for Member {
    fn from(address: Address) -> Self {
        Self::new(address)
    }
}

/// Says which daemons a pool has.
pub trait Discover: fmt::Debug + Send + Sync + 'static {
    /// The list of members now, and again whenever it changes. Each item is the whole list; of two members with one name the
    /// first counts.
    ///
    /// An error leaves the members as they are. When the stream ends, its last list is final.
    fn watch(&self) -> BoxStream<'static, Result<Vec<Member>, Failure>>;
}

/// A list that does not change.
#[derive(Debug, Clone, Default)]
pub struct StaticMembers(Vec<Member>);

impl StaticMembers {
    /// These daemons.
    pub fn new<M: Into<Member>>(members: impl IntoIterator<Item = M>) -> Self {
        Self(members.into_iter().map(Into::into).collect())
    }
}

impl Discover for StaticMembers {
    fn watch(&self) -> BoxStream<'static, Result<Vec<Member>, Failure>> {
        stream::iter([Ok(self.0.clone())]).boxed()
    }
}
