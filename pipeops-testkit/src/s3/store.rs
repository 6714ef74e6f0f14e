//! Buckets, objects and uploads in memory.

use std::collections::BTreeMap;
use std::time::SystemTime;

use bytes::Bytes;
use md5::{Digest, Md5};

use super::error::{S3Error, S3Result};

/// Everything that a server holds.
#[derive(Debug, Default)]
pub(super) struct Store {
    buckets: BTreeMap<String, Objects>,
    uploads: BTreeMap<String, Upload>,
}

/// The objects of a bucket by key.
pub(super) type Objects = BTreeMap<String, Object>;

#[derive(Debug, Clone)]
pub(super) struct Object {
    pub(super) data: Bytes,
    /// In quotes, as it stands in headers.
    pub(super) etag: String,
    pub(super) modified: SystemTime,
    pub(super) content_type: String,
}

/// A multipart upload that is not aborted. Its parts are not kept: it is never completed.
#[derive(Debug)]
pub(super) struct Upload {
    pub(super) bucket: String,
    pub(super) key: String,
    pub(super) started: SystemTime,
}

/// The media type of an object that was put without one.
pub(super) const DEFAULT_TYPE: &str = "binary/octet-stream";

impl Object {
    pub(super) fn new(data: Bytes) -> Self {
        Self {
            etag: etag_of(&data),
            data,
            modified: SystemTime::now(),
            content_type: DEFAULT_TYPE.to_owned(),
        }
    }
}

/// The MD5 sum in quotes.
pub(super) fn etag_of(data: &[u8]) -> String {
    format!("\"{}\"", hex::encode(Md5::digest(data)))
}

impl Store {
    pub(super) fn create_bucket(&mut self, name: &str) {
        self.buckets.entry(name.to_owned()).or_default();
    }

    pub(super) fn bucket(&self, name: &str) -> S3Result<&Objects> {
        self.buckets.get(name).ok_or_else(S3Error::no_such_bucket)
    }

    pub(super) fn object(&self, bucket: &str, key: &str) -> S3Result<&Object> {
        self.bucket(bucket)?
            .get(key)
            .ok_or_else(S3Error::no_such_key)
    }

    pub(super) fn put(&mut self, bucket: &str, key: &str, object: Object) -> S3Result<()> {
        let objects = self.buckets.get_mut(bucket);
        let objects = objects.ok_or_else(S3Error::no_such_bucket)?;
        objects.insert(key.to_owned(), object);
        Ok(())
    }

    /// Deleting what is not there succeeds, as in S3.
    pub(super) fn delete(&mut self, bucket: &str, key: &str) -> S3Result<()> {
        let objects = self.buckets.get_mut(bucket);
        objects.ok_or_else(S3Error::no_such_bucket)?.remove(key);
        Ok(())
    }

    pub(super) fn set_modified(&mut self, bucket: &str, key: &str, time: SystemTime) -> bool {
        let object = self
            .buckets
            .get_mut(bucket)
            .and_then(|objects| objects.get_mut(key));
        object.map(|object| object.modified = time).is_some()
    }

    pub(super) fn start_upload(&mut self, upload: Upload) -> S3Result<String> {
        self.bucket(&upload.bucket)?;
        let id = format!("{:032x}", rand::random::<u128>());
        self.uploads.insert(id.clone(), upload);
        Ok(id)
    }

    pub(super) fn upload(&self, bucket: &str, key: &str, id: &str) -> S3Result<&Upload> {
        let upload = self.uploads.get(id);
        let upload = upload.filter(|upload| upload.bucket == bucket && upload.key == key);
        upload.ok_or_else(S3Error::no_such_upload)
    }

    pub(super) fn end_upload(&mut self, bucket: &str, key: &str, id: &str) -> S3Result<()> {
        self.upload(bucket, key, id)?;
        self.uploads.remove(id);
        Ok(())
    }

    /// The uploads of a bucket with their ids.
    pub(super) fn uploads(&self, bucket: &str) -> impl Iterator<Item = (&String, &Upload)> {
        let all = self.uploads.iter();
        all.filter(move |(_, upload)| upload.bucket == bucket)
    }
}
