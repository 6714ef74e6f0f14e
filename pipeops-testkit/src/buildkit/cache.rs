//! The daemon's build cache: which steps were done before, and what came out.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::SystemTime;

use bollard_buildkit_proto::google::protobuf::Timestamp;
use bollard_buildkit_proto::moby::buildkit::v1::UsageRecord;
use pipeops_core::Digest;

use crate::oci::Layer;
use crate::serve::lock;

/// What a step left.
#[derive(Debug, Clone)]
pub(super) struct Record {
    /// When it was done, as the image's history has it.
    pub(super) created: String,
    /// Its files; none when it made none.
    pub(super) layer: Option<Layer>,
    description: String,
    made: SystemTime,
    used: SystemTime,
    uses: i64,
}

impl Record {
    pub(super) fn new(description: &str, created: String, layer: Option<Layer>) -> Self {
        let now = SystemTime::now();
        Self {
            created,
            layer,
            description: description.to_owned(),
            made: now,
            used: now,
            uses: 0,
        }
    }
}

/// Steps by their keys: the key of what came before, the instruction, and the content that it takes.
#[derive(Debug, Default)]
pub(super) struct Cache(Mutex<HashMap<Digest, Record>>);

impl Cache {
    /// The record of a key, which counts as a use.
    pub(super) fn take(&self, key: &Digest) -> Option<Record> {
        let mut records = lock(&self.0);
        let record = records.get_mut(key)?;
        record.uses += 1;
        record.used = SystemTime::now();
        Some(record.clone())
    }

    pub(super) fn put(&self, key: Digest, record: Record) {
        lock(&self.0).insert(key, record);
    }

    /// Removes everything and says what it was.
    pub(super) fn clear(&self) -> Vec<UsageRecord> {
        let removed = std::mem::take(&mut *lock(&self.0));
        removed
            .iter()
            .map(|(key, record)| usage(key, record))
            .collect()
    }

    pub(super) fn usage(&self) -> Vec<UsageRecord> {
        let records = lock(&self.0);
        records
            .iter()
            .map(|(key, record)| usage(key, record))
            .collect()
    }
}

fn usage(key: &Digest, record: &Record) -> UsageRecord {
    let size = record.layer.as_ref().map_or(0, |layer| layer.bytes.len());
    UsageRecord {
        id: key.hex().to_owned(),
        size: i64::try_from(size).unwrap_or(i64::MAX),
        created_at: Some(timestamp(record.made)),
        last_used_at: Some(timestamp(record.used)),
        usage_count: record.uses,
        description: record.description.clone(),
        record_type: "regular".to_owned(),
        ..UsageRecord::default()
    }
}

pub(super) fn timestamp(time: SystemTime) -> Timestamp {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp {
        seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        nanos: since.subsec_nanos().cast_signed(),
    }
}
