//! The daemon's build cache: completed steps and their results.

use std::collections::HashMap;
use std::sync::Mutex;

use pipeops_core::Digest;

use crate::oci::Layer;
use crate::serve::lock;

/// What a step left.
#[derive(Debug, Clone)]
pub(super) struct Record {
    /// When it was done, as the image's history has it.
    pub(super) created: String,
    /// Its files; none when it created none.
    pub(super) layer: Option<Layer>,
}

/// Steps by their keys: the key of what came before, the instruction, and the content that it takes.
#[derive(Debug, Default)]
pub(super) struct Cache(Mutex<HashMap<Digest, Record>>);

impl Cache {
    pub(super) fn get(&self, key: &Digest) -> Option<Record> {
        lock(&self.0).get(key).cloned()
    }

    pub(super) fn put(&self, key: Digest, record: Record) {
        lock(&self.0).insert(key, record);
    }

    pub(super) fn clear(&self) {
        lock(&self.0).clear();
    }
}
