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
    /// `x-amz-meta-…` and the other headers that come back with the object.
    pub(super) metadata: Vec<(String, String)>,
}

/// A multipart upload that is neither complete nor aborted.
#[derive(Debug)]
pub(super) struct Upload {
    pub(super) bucket: String,
    pub(super) key: String,
    pub(super) parts: BTreeMap<u32, Bytes>,
    pub(super) started: SystemTime,
    pub(super) content_type: String,
    pub(super) metadata: Vec<(String, String)>,
}

/// The media type of an object that was put without one.
pub(super) const DEFAULT_TYPE: &str = "binary/octet-stream";

impl Object {
    pub(super) fn new(data: Bytes) -> Self {
        Self {
            etag: format!("\"{}\"", hex::encode(Md5::digest(&data))),
            data,
            modified: SystemTime::now(),
            content_type: DEFAULT_TYPE.to_owned(),
            metadata: Vec::new(),
        }
    }
}

impl Store {
    pub(super) fn bucket_names(&self) -> impl Iterator<Item = &String> {
        self.buckets.keys()
    }

    /// False when it was there before.
    pub(super) fn create_bucket(&mut self, name: &str) -> bool {
        let before = self.buckets.len();
        self.buckets.entry(name.to_owned()).or_default();
        self.buckets.len() > before
    }

    pub(super) fn delete_bucket(&mut self, name: &str) -> S3Result<()> {
        if !self.bucket(name)?.is_empty() {
            let status = http::StatusCode::CONFLICT;
            let message = "The bucket you tried to delete is not empty";
            return Err(S3Error::new(status, "BucketNotEmpty", message));
        }
        self.buckets.remove(name);
        Ok(())
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

    pub(super) fn upload(&mut self, bucket: &str, key: &str, id: &str) -> S3Result<&mut Upload> {
        let upload = self.uploads.get_mut(id);
        let upload = upload.filter(|upload| upload.bucket == bucket && upload.key == key);
        upload.ok_or_else(S3Error::no_such_upload)
    }

    pub(super) fn end_upload(&mut self, bucket: &str, key: &str, id: &str) -> S3Result<Upload> {
        self.upload(bucket, key, id)?;
        self.uploads.remove(id).ok_or_else(S3Error::no_such_upload)
    }

    /// The uploads of a bucket with their ids.
    pub(super) fn uploads(&self, bucket: &str) -> impl Iterator<Item = (&String, &Upload)> {
        let all = self.uploads.iter();
        all.filter(move |(_, upload)| upload.bucket == bucket)
    }
}
