//! A daemon's disk usage, and how to prune it.

use std::time::Duration;

use bollard_buildkit_proto::moby::buildkit::v1 as proto;
use futures::{Stream, StreamExt};
use jiff::Timestamp;
use tonic::Streaming;

use crate::client::Client;
use crate::error::Error;

/// A record of the daemon's local cache, such as the result of a step, a context or a cache mount.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheRecord {
    /// The record's id on this daemon.
    pub id: String,
    /// The kind: `regular` for results of steps and images, `source.local` for contexts, `source.git.checkout` for repositories,
    /// `exec.cachemount` for cache mounts, `frontend` or `internal`.
    pub kind: String,
    /// The size in bytes, without its parents.
    pub size: u64,
    /// Whether a build uses it. It isn't pruned then.
    pub in_use: bool,
    /// Whether its data is shared with other records.
    pub shared: bool,
    /// Whether it can change, as a context or a cache mount can.
    pub mutable: bool,
    /// The ids of the records that it builds upon.
    pub parents: Vec<String>,
    /// When it was created.
    pub created: Option<Timestamp>,
    /// When it was last used.
    pub last_used: Option<Timestamp>,
    /// The number of times that it was used.
    pub uses: u64,
    /// A readable description, such as `mount / from exec /bin/sh -c make`.
    pub description: String,
}

/// What [`Client::prune`] removes. Default: all records that no image refers to.
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
    /// Also removes internal records: frontend images, and contexts that images use.
    #[must_use]
    pub fn all(mut self) -> Self {
        self.0.all = true;
        self
    }

    /// Removes only records that match this filter, such as `type==exec.cachemount` or `description~=cargo`. With several
    /// filters, a record must match one of them.
    ///
    /// A filter is a list of conditions, separated by commas, that must all match. `==` compares, `!=` negates, `~=` matches a
    /// regular expression. Fields are `id`, `type`, `description`, `inuse`, `mutable`, `shared`, `private` and `parents`. For
    /// example, `type==exec.cachemount,description~=cargo` matches the cache mounts of cargo.
    #[must_use]
    pub fn filter(mut self, filter: impl Into<String>) -> Self {
        self.0.filter.push(filter.into());
        self
    }

    /// Keeps records that were used within this time. Default: no minimum.
    #[must_use]
    pub fn keep_duration(mut self, duration: Duration) -> Self {
        self.0.keep_duration = i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
        self
    }

    /// Keeps at least this many bytes, regardless of the other limits. Default: 0.
    #[must_use]
    pub fn reserved_space(mut self, bytes: u64) -> Self {
        self.0.reserved_space = signed(bytes);
        self
    }

    /// Removes the oldest records until at most this many bytes are used.
    #[must_use]
    pub fn max_used_space(mut self, bytes: u64) -> Self {
        self.0.max_used_space = signed(bytes);
        self
    }

    /// Removes the oldest records until at least this many bytes of the disk are free.
    #[must_use]
    pub fn min_free_space(mut self, bytes: u64) -> Self {
        self.0.min_free_space = signed(bytes);
        self
    }
}

impl Client {
    /// Lists the records of the daemon's cache that match one of the filters (see [`PruneOptions::filter`]), or all records if
    /// there are no filters.
    ///
    /// ```no_run
    /// # async fn run(client: pipeops_buildkit::Client) -> Result<(), pipeops_buildkit::Error> {
    /// let mounts = client.disk_usage(&["type==exec.cachemount"]).await?;
    /// let bytes: u64 = mounts.iter().map(|record| record.size).sum();
    /// println!("{} cache mounts, {bytes} bytes", mounts.len());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Call`] if the daemon refuses, for example an invalid filter; [`Error::Timeout`] if it doesn't answer in time.
    pub async fn disk_usage(&self, filters: &[&str]) -> Result<Vec<CacheRecord>, Error> {
        let request = proto::DiskUsageRequest {
            filter: filters.iter().map(|filter| (*filter).to_owned()).collect(),
            ..proto::DiskUsageRequest::default()
        };
        let mut control = self.control.clone();
        let answer = self.call("DiskUsage", control.disk_usage(request)).await?;
        Ok(answer.record.into_iter().map(CacheRecord::from).collect())
    }

    /// Removes records from the daemon's cache and streams the removed ones. To stop, drop the stream.
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
    /// [`Error::Call`] if the daemon refuses, [`Error::Timeout`] if it doesn't answer in time, [`Error::DaemonLost`] if the
    /// connection breaks.
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

/// Converts a time; `None` if it's invalid.
pub(crate) fn timestamp(seconds: i64, nanos: i32) -> Option<Timestamp> {
    Timestamp::new(seconds, nanos).ok()
}

/// Converts a count, which is never negative.
pub(crate) fn unsigned<T>(count: T) -> u64
where
    u64: TryFrom<T>,
{
    u64::try_from(count).unwrap_or_default()
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
