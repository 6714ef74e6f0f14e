//! An S3 server in memory: signed requests, lists, conditional writes, open multipart uploads.
//!
//! ```
//! use pipeops_testkit::s3::{S3Options, S3Server};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> std::io::Result<()> {
//! let server = S3Server::start(S3Options::default().bucket("cache")).await?;
//! // Give the client under test `server.endpoint()` and the keys of the options, then look:
//! assert!(server.endpoint().starts_with("http://127.0.0.1:") && server.keys("cache").is_empty());
//! # Ok(()) }
//! ```
//!
//! # What it does
//! Buckets by path (`/bucket/key`). Objects: get, head, put with `If-Match` and `If-None-Match`, delete one and many,
//! `ListObjectsV2`. Multipart uploads: start, parts, abort, list. Every request must be signed with Signature Version 4 in
//! its headers, and signature, time and body are checked. Checksums other than SHA-256 and MD5 are not.
//!
//! Everything else (buckets, copies, the completion of an upload, conditional reads, bodies in signed chunks, presigned URLs,
//! versions, ACLs, the first `ListObjects`) is answered with 501 `NotImplemented`. `Range`, `x-amz-meta-…` and other headers
//! of an object are ignored.
//!
//! # Operations for fault rules
//! `list`, `object.get`, `object.head`, `object.put`, `object.delete`, `objects.delete`, `upload.start`, `upload.part`,
//! `upload.abort`,
//! `upload.list`. A status of 503 is `SlowDown`, [`Fault::Expired`](crate::fault::Fault::Expired) is `ExpiredToken`.

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

/// How an [`S3Server`] starts. Default: key id `testkit`, secret `testkit-secret`, region `us-east-1`, no buckets.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct S3Options {
    /// The key id that requests are signed with.
    pub access_key_id: String,
    /// The secret that requests are signed with.
    pub secret_access_key: SecretString,
    /// The region that signatures must name.
    pub region: String,
    /// Buckets that are there from the start.
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

/// An S3 server on a free port of 127.0.0.1, over plain HTTP. It stops when it is dropped.
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
    /// When no port can be had.
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

    /// `http://127.0.0.1:PORT`. Clients must use path style: the bucket is the path's first part.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// The scripted faults.
    pub fn faults(&self) -> &Faults {
        &self.base.faults
    }

    /// The requests seen, oldest first; the last 10,000 of them.
    pub fn requests(&self) -> Vec<SeenRequest> {
        self.base.seen.all()
    }

    /// The keys of a bucket, sorted; empty when there is no such bucket.
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

    /// Puts an object, past signatures and faults; creates the bucket when it is missing.
    pub fn put(&self, bucket: &str, key: &str, data: impl Into<Bytes>) {
        let mut store = lock(&self.shared.store);
        store.create_bucket(bucket);
        // The bucket is there now.
        let _ = store.put(bucket, key, store::Object::new(data.into()));
    }

    /// Sets when an object was written, as if it were older; false when there is no such object.
    pub fn set_modified(&self, bucket: &str, key: &str, time: SystemTime) -> bool {
        lock(&self.shared.store).set_modified(bucket, key, time)
    }

    /// How many multipart uploads of a bucket are neither complete nor aborted.
    pub fn open_uploads(&self, bucket: &str) -> usize {
        lock(&self.shared.store).uploads(bucket).count()
    }

    /// Cuts all connections and refuses new ones. The objects stay, for [`S3Server::object`] and [`S3Server::keys`].
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
