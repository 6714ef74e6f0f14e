//! An in-memory S3 server: signed requests, lists, conditional writes, open multipart uploads.
//!
//! ```
//! use pipeops_testkit::s3::{S3Options, S3Server};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> std::io::Result<()> {
//! let server = S3Server::start(S3Options::default().bucket("cache")).await?;
//! // Configure the code under test with `server.endpoint()` and the keys of the options, then check:
//! assert!(server.endpoint().starts_with("http://127.0.0.1:") && server.keys("cache").is_empty());
//! # Ok(()) }
//! ```
//!
//! # What it implements
//! Buckets in paths (`/bucket/key`). Objects: GET, HEAD, PUT with `If-Match` and `If-None-Match`, DELETE of one or many,
//! `ListObjectsV2`. Multipart uploads: start, parts, abort, list. Every request must carry a Signature Version 4 in its headers;
//! signature, time (at most 15 minutes off) and body are checked. SHA-256 and MD5 checksums are checked, others aren't. Bodies are
//! limited to 256 MiB.
//!
//! Everything else is 501 `NotImplemented`: operations on buckets, copies, the completion of an upload, conditional reads, bodies
//! in signed chunks, presigned URLs, versions, ACLs, `ListObjects`. `Range`, `x-amz-meta-…` and other headers of an object are
//! ignored.
//!
//! # Operations for fault rules
//! `list`, `object.get`, `object.head`, `object.put`, `object.delete`, `objects.delete`, `upload.start`, `upload.part`,
//! `upload.abort`, `upload.list`. Status 503 is `SlowDown`, [`Fault::Expired`](crate::fault::Fault::Expired) is `ExpiredToken`.

mod api;
mod dates;
mod error;
mod list;
mod object;
mod request;
mod signature;
mod store;
mod upload;
mod xml;

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use bytes::Bytes;
use pipeops_core::SecretString;

use crate::fault::Faults;
use crate::seen::SeenRequest;
use crate::serve::{self, Base, Server, lock};
use store::Store;

/// How an [`S3Server`] starts.
///
/// ```
/// use pipeops_testkit::s3::S3Options;
///
/// let mut options = S3Options::default().bucket("cache");
/// options.region = "eu-central-1".to_owned();
/// assert_eq!(options.access_key_id, "testkit");
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct S3Options {
    /// The access key ID that requests must be signed with. Default: `testkit`.
    pub access_key_id: String,
    /// The secret that requests must be signed with. Default: `testkit-secret`.
    pub secret_access_key: SecretString,
    /// The region that signatures must name. Default: `us-east-1`.
    pub region: String,
    /// The buckets that exist from the start. Default: none.
    pub buckets: Vec<String>,
}

impl Default for S3Options {
    fn default() -> Self {
        Self {
            access_key_id: "testkit".to_owned(),
            secret_access_key: SecretString::new("testkit-secret"),
            region: "us-east-1".to_owned(),
            buckets: Vec::new(),
        }
    }
}

impl S3Options {
    /// Adds a bucket.
    #[must_use]
    pub fn bucket(mut self, name: impl Into<String>) -> Self {
        self.buckets.push(name.into());
        self
    }
}

/// An S3 server on a free port of 127.0.0.1, over plain HTTP. It stops when it's dropped.
pub struct S3Server {
    server: Server,
    base: Base,
    shared: Arc<Shared>,
}

/// What the handlers of requests share.
struct Shared {
    options: S3Options,
    store: Mutex<Store>,
}

impl S3Server {
    /// Starts a server.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start(options: S3Options) -> io::Result<Self> {
        let base = Base::default();
        let mut store = Store::default();
        for bucket in &options.buckets {
            store.create_bucket(bucket);
        }
        let shared = Arc::new(Shared {
            options,
            store: Mutex::new(store),
        });
        let server = serve::start(&base, &shared).await?;
        Ok(Self {
            server,
            base,
            shared,
        })
    }

    /// The endpoint, `http://127.0.0.1:PORT`. Clients must use path-style addresses.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// The scripted faults.
    pub fn faults(&self) -> &Faults {
        &self.base.faults
    }

    /// The requests, oldest first. Only the last 10,000 are kept.
    pub fn requests(&self) -> Vec<SeenRequest> {
        self.base.seen.all()
    }

    /// The keys of a bucket, sorted. Empty if the bucket doesn't exist.
    pub fn keys(&self, bucket: &str) -> Vec<String> {
        let store = lock(&self.shared.store);
        let objects = store.bucket(bucket).ok();
        objects
            .map(|objects| objects.keys().cloned().collect())
            .unwrap_or_default()
    }

    /// The content of an object.
    pub fn object(&self, bucket: &str, key: &str) -> Option<Bytes> {
        let store = lock(&self.shared.store);
        Some(store.object(bucket, key).ok()?.data.clone())
    }

    /// Stores an object and creates its bucket if necessary. Signatures and faults don't apply.
    pub fn put(&self, bucket: &str, key: &str, data: impl Into<Bytes>) {
        let mut store = lock(&self.shared.store);
        store.create_bucket(bucket);
        // The bucket is there now.
        let _ = store.put(bucket, key, store::Object::new(data.into()));
    }

    /// Sets the time when an object was written. Returns whether the object exists.
    pub fn set_modified(&self, bucket: &str, key: &str, time: SystemTime) -> bool {
        lock(&self.shared.store).set_modified(bucket, key, time)
    }

    /// The number of multipart uploads in a bucket that weren't aborted.
    pub fn open_uploads(&self, bucket: &str) -> usize {
        lock(&self.shared.store).uploads(bucket).count()
    }

    /// Closes all connections and refuses new ones. [`S3Server::object`] and [`S3Server::keys`] still return the objects.
    pub fn crash(&self) {
        self.server.crash();
    }
}

impl fmt::Debug for S3Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Server")
            .field("endpoint", &self.endpoint())
            .finish_non_exhaustive()
    }
}
