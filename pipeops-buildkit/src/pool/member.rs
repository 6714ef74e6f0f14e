//! The members of a pool, and their discovery.

use std::fmt;

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use pipeops_core::Failure;

use crate::address::Address;

/// One daemon of a pool.
///
/// ```
/// use pipeops_buildkit::{Address, Member};
///
/// let member = Member::new(Address::parse("tcp://10.0.0.1:1234")?)
///     .name("buildkit-0") // keeps its projects when the address changes
///     .region("eu-west-1a")
///     .platform("linux/arm64")
///     .capacity(8);
/// # let _ = member;
/// # Ok::<(), pipeops_buildkit::AddressError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Member {
    /// A permanent name, unique in the pool. Builds are assigned by this name, so a daemon that comes back at another address
    /// keeps its projects and their cache. Default: the address.
    pub name: String,
    /// Where it listens.
    pub address: Address,
    /// A region, a zone or any other location. Builds prefer daemons in the pool's
    /// [`region`](crate::PoolOptions::region). Default: none.
    pub region: Option<String>,
    /// The platforms to use it for, such as `linux/arm64`. Default: all that the daemon reports, including emulated ones. List
    /// the native platforms here to avoid slow emulation.
    pub platforms: Vec<String>,
    /// Number of concurrent builds. Default: the pool's [`capacity`](crate::PoolOptions::capacity). A daemon with twice the
    /// capacity gets twice the share of the projects.
    pub capacity: Option<usize>,
    /// Whether it gets no new builds and only finishes its running ones. Default: false.
    pub draining: bool,
}

impl Member {
    /// Creates a member for the daemon at this address.
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

    /// Sets its permanent name.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets its region.
    #[must_use]
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.region = Some(region.into());
        self
    }

    /// Adds a platform to use it for.
    #[must_use]
    pub fn platform(mut self, platform: impl Into<String>) -> Self {
        self.platforms.push(platform.into());
        self
    }

    /// Sets its number of concurrent builds.
    #[must_use]
    pub fn capacity(mut self, builds: usize) -> Self {
        self.capacity = Some(builds);
        self
    }

    /// Sets whether it only finishes its running builds.
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

/// Discovers the members of a pool.
///
/// ```
/// use futures::StreamExt;
/// use futures::stream::{self, BoxStream};
/// use pipeops_buildkit::{Discover, Failure, Member};
///
/// /// Members from a channel, such as one that an operator of yours feeds.
/// #[derive(Debug)]
/// struct Watched(tokio::sync::watch::Receiver<Vec<Member>>);
///
/// impl Discover for Watched {
///     fn watch(&self) -> BoxStream<'static, Result<Vec<Member>, Failure>> {
///         let next = |(mut lists, first): (tokio::sync::watch::Receiver<Vec<Member>>, bool)| async move {
///             if !first && lists.changed().await.is_err() {
///                 return None;
///             }
///             let list = lists.borrow_and_update().clone();
///             Some((Ok(list), (lists, false)))
///         };
///         stream::unfold((self.0.clone(), true), next).boxed()
///     }
/// }
/// ```
pub trait Discover: fmt::Debug + Send + Sync + 'static {
    /// Returns a stream with the current list of members, and a new list after each change. Each item is the whole list. If two
    /// members have the same name, the first one counts.
    ///
    /// An error leaves the members unchanged. When the stream ends, its last list stays in force.
    fn watch(&self) -> BoxStream<'static, Result<Vec<Member>, Failure>>;
}

/// A fixed list of members.
///
/// ```no_run
/// # async fn run() -> Result<(), pipeops_buildkit::AddressError> {
/// use pipeops_buildkit::{Address, Pool, PoolOptions, StaticMembers};
///
/// let members = StaticMembers::new([Address::parse("tcp://10.0.0.1:1234")?, Address::parse("tcp://10.0.0.2:1234")?]);
/// let pool = Pool::start(members, PoolOptions::default());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct StaticMembers(Vec<Member>);

impl StaticMembers {
    /// Creates a fixed list. Items are [`Member`]s or [`Address`]es.
    pub fn new<M: Into<Member>>(members: impl IntoIterator<Item = M>) -> Self {
        Self(members.into_iter().map(Into::into).collect())
    }
}

impl Discover for StaticMembers {
    fn watch(&self) -> BoxStream<'static, Result<Vec<Member>, Failure>> {
        stream::iter([Ok(self.0.clone())]).boxed()
    }
}
