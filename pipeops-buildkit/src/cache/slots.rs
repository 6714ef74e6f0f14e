//! Several manifests under one name, so that concurrent builds don't overwrite each other's cache.
//!
//! BuildKit writes the manifest last and unconditionally. Of two concurrent builds the last one wins, and the next build can't
//! use the other's steps. A lock would make builds wait for each other, and would need access to the bucket from this process.
//! A ring of manifests needs neither: each build writes the next slot, reads all of them, and copies what it uses from other slots
//! into its own.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use pipeops_core::cache::S3Cache;

use crate::random;

/// The most manifests of one name: each is read by each build.
pub(crate) const MOST: u8 = 16;

/// The separator before a slot's number. Namespaces never contain it.
const MARK: &str = "_.";

/// Whose turn it is, for names by their hash. Each process begins somewhere else.
static TURNS: LazyLock<[AtomicU32; 256]> = LazyLock::new(|| {
    let first = (random::fraction() * 1_000.0) as u32;
    std::array::from_fn(|_| AtomicU32::new(first))
});

/// The names of all manifests of a cache.
pub(crate) fn names(s3: &S3Cache) -> impl Iterator<Item = String> {
    (0..count(s3)).map(|slot| name(&s3.name, slot))
}

/// The name of the manifest that the next build writes.
pub(crate) fn next(s3: &S3Cache) -> String {
    let mut hash = DefaultHasher::new();
    s3.name.hash(&mut hash);
    let turns = &TURNS[usize::from(hash.finish() as u8)];
    let turn = turns.fetch_add(1, Ordering::Relaxed);
    name(&s3.name, (turn % u32::from(count(s3))) as u8)
}

/// The cache's name, without the slot.
#[cfg_attr(
    not(feature = "cache-collect"),
    allow(dead_code, reason = "only the collector reads names")
)]
pub(crate) fn base(name: &str) -> &str {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match name.rsplit_once(MARK) {
        Some((base, slot)) if is_number(slot) => base,
        _ => name,
    }
}

fn count(s3: &S3Cache) -> u8 {
    s3.slots.clamp(1, MOST)
}

/// The first slot has the plain name, which other clients read.
fn name(base: &str, slot: u8) -> String {
    match slot {
        0 => base.to_owned(),
        slot => format!("{base}{MARK}{slot}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_belongs_to_its_name() {
        let mut s3 = S3Cache::new("b", "r", "a_-_main_-_Dockerfile");
        s3.slots = 200;
        let names: Vec<_> = names(&s3).collect();
        assert_eq!(names.len(), usize::from(MOST));
        assert!(names.iter().all(|name| base(name) == s3.name), "{names:?}");
        assert_eq!(base("x_.y"), "x_.y");
    }
}
