//! What a daemon keeps on its disk, and how to make room.

use std::time::Duration;

use bollard_buildkit_proto::moby::buildkit::v1 as proto;
use futures::{Stream, StreamExt};
use jiff::Timestamp;
use tonic::Streaming;

use crate::client::Client;
use crate::error::Error;

/// A record of the daemon's local cache: the result of a step, a context, a cache mount.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheRecord {
    /// Its id at this daemon.
    pub id: String,
    /// `regular`, `source.local`, `exec.cachemount`, `frontend`, `internal`, …
    pub kind: String,
    /// In bytes, without what its parents hold.
    pub size: u64,
    /// A build uses it, so it is not pruned.
    pub in_use: bool,
    /// Other records share its bytes.
    pub shared: bool,
    /// It can change: a context or cache mount, not a finished step.
    pub mutable: bool,
    /// The records that it builds upon.
    pub parents: Vec<String>,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// When it was used last.
    pub last_used: Option<Timestamp>,
    /// How often it was used.
    pub uses: u64,
    /// For people: `mount / from exec /bin/sh -c make`.
    pub description: String,
}

/// What [`Client::prune`] removes. Default: what no image refers to, all of it.
///
/// ```
/// use std::time::Duration;
/// use pipeops_buildkit::PruneOptions;
///
/// // Keep what was used in the last two days, and 10 GB of the rest.
/// let options = PruneOptions::default()
///     .all()
///     .keep_duration(Duration::from_secs(2 * 24 * 3600))
///     .max_used_space(10_000_000_000);
/// # let _ = options;
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PruneOptions(proto::PruneRequest);

impl PruneOptions {
    /// Also removes what is internal to the daemon: frontend images, contexts in use by images.
    #[must_use]
    pub fn all(mut self) -> Self {
        self.0.all = true;
        self
    }

    /// Removes only what fits this filter, such as `type==exec.cachemount` or `description~=cargo`. Several filters: what
    /// fits any.
    #[must_use]
    pub fn filter(mut self, filter: impl Into<String>) -> Self {
        self.0.filter.push(filter.into());
        self
    }

    /// Keeps what was used within this time.
    #[must_use]
    pub fn keep_duration(mut self, duration: Duration) -> Self {
        self.0.keep_duration = i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
        self
    }

    /// Keeps at least this many bytes, whatever the other limits say.
    #[must_use]
    pub fn reserved_space(mut self, bytes: u64) -> Self {
        self.0.reserved_space = signed(bytes);
        self
    }

    /// Removes the oldest until no more than this many bytes are used.
    #[must_use]
    pub fn max_used_space(mut self, bytes: u64) -> Self {
        self.0.max_used_space = signed(bytes);
        self
    }

    /// Removes the oldest until this many bytes of the disk are free.
    #[must_use]
    pub fn min_free_space(mut self, bytes: u64) -> Self {
        self.0.min_free_space = signed(bytes);
        self
    }
}

impl Client {
    /// What the daemon keeps, where each record fits any of the filters (see [`PruneOptions::filter`]); all without any.
    ///
    /// # Errors
    /// [`Error::Call`] when the daemon refuses, such as a filter that it does not understand; [`Error::Timeout`] when it does
    /// not answer.
    pub async fn disk_usage(&self, filters: &[&str]) -> Result<Vec<CacheRecord>, Error> {
        let request = proto::DiskUsageRequest {
            filter: filters.iter().map(|filter| (*filter).to_owned()).collect(),
            ..proto::DiskUsageRequest::default()
        };
        let mut control = self.control.clone();
        let answer = self.call("DiskUsage", control.disk_usage(request)).await?;
        Ok(answer.record.into_iter().map(CacheRecord::from).collect())
    }

    /// Removes what the daemon keeps; gives each record as it goes. Dropping the stream stops the daemon.
    ///
    /// ```no_run
    /// # async fn run(client: pipeops_buildkit::Client) -> Result<(), pipeops_buildkit::Error> {
    /// use futures::TryStreamExt;
    /// use pipeops_buildkit::PruneOptions;
    ///
    /// let mut removed = client.prune(PruneOptions::default()).await?;
    /// let mut bytes = 0;
    /// while let Some(record) = removed.try_next().await? {
    ///     bytes += record.size;
    /// }
    /// println!("{bytes} bytes freed");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Call`] when the daemon refuses, [`Error::Timeout`] when it does not answer, [`Error::DaemonLost`] when it
    /// goes away in the middle.
    pub async fn prune(
        &self,
        options: PruneOptions,
    ) -> Result<impl Stream<Item = Result<CacheRecord, Error>> + Send + Unpin + 'static, Error>
    {
        let mut control = self.control.clone();
        let records = self.call("Prune", control.prune(options.0)).await?;
        Ok(self
            .answers("Prune", records)
            .map(|record| record.map(CacheRecord::from)))
    }

    /// The messages of a streaming call, with errors that name it.
    pub(crate) fn answers<T: Send + 'static>(
        &self,
        call: &'static str,
        stream: Streaming<T>,
    ) -> impl Stream<Item = Result<T, Error>> + Send + Unpin + 'static {
        let address = self.address.clone();
        stream.map(move |answer| answer.map_err(|status| Error::call(&address, call, &status)))
    }
}

impl From<proto::UsageRecord> for CacheRecord {
    #[expect(
        deprecated,
        reason = "daemons before v0.9 send one parent in the older field"
    )]
    fn from(record: proto::UsageRecord) -> Self {
        let mut parents = record.parents;
        if parents.is_empty() && !record.parent.is_empty() {
            parents.push(record.parent);
        }
        Self {
            id: record.id,
            kind: record.record_type,
            size: unsigned(record.size),
            in_use: record.in_use,
            shared: record.shared,
            mutable: record.mutable,
            parents,
            created: record
                .created_at
                .and_then(|time| timestamp(time.seconds, time.nanos)),
            last_used: record
                .last_used_at
                .and_then(|time| timestamp(time.seconds, time.nanos)),
            uses: unsigned(record.usage_count),
            description: record.description,
        }
    }
}

/// A time of the daemon; `None` for one that is no time.
pub(crate) fn timestamp(seconds: i64, nanos: i32) -> Option<Timestamp> {
    Timestamp::new(seconds, nanos).ok()
}

/// A count of the daemon, which is not negative.
pub(crate) fn unsigned<T>(count: T) -> u64
where
    u64: TryFrom<T>,
{
    u64::try_from(count).unwrap_or_default()
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
