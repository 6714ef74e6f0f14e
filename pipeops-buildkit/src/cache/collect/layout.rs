//! Keys of objects in a bucket.

use object_store::path::Path;
use pipeops_core::cache::CacheNamespace;

use crate::cache::slots;

/// A blob's digest without its algorithm.
pub(super) type Digest = [u8; 32];

/// Keys below one prefix. BuildKit's own are `manifests/` and `blobs/`.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    prefix: String,
}

impl Layout {
    /// `prefix` as in the cache's settings: ending in `/` if it is a folder.
    pub(super) fn new(prefix: String) -> Self {
        Self { prefix }
    }

    pub(super) fn manifests(&self) -> Path {
        self.path("manifests")
    }

    pub(super) fn blobs(&self) -> Path {
        self.path("blobs")
    }

    /// The marks of the last collection.
    pub(super) fn marks(&self) -> Path {
        self.path("collect/marks")
    }

    /// Written to learn the server's time.
    pub(super) fn clock(&self) -> Path {
        self.path("collect/clock")
    }

    pub(super) fn usages(&self) -> Path {
        self.path("usage")
    }

    pub(super) fn usage(&self, name: &str) -> Path {
        self.path(&format!("usage/{name}.json"))
    }

    fn path(&self, key: &str) -> Path {
        Path::from(format!("{}{key}", self.prefix))
    }
}

/// The rest of a key below a folder.
pub(super) fn below<'a>(key: &'a Path, folder: &Path) -> Option<&'a str> {
    key.as_ref()
        .strip_prefix(folder.as_ref())?
        .strip_prefix('/')
}

/// The name of a cache without its slot, and the namespace that it encodes.
pub(super) fn namespace(manifest: &str) -> (&str, Option<CacheNamespace>) {
    let name = slots::base(manifest);
    (name, CacheNamespace::parse(name))
}

/// `sha256:` and 64 lower-case digits, as BuildKit names blobs.
pub(super) fn digest(text: &str) -> Option<Digest> {
    let hex = text.strip_prefix("sha256:")?.as_bytes();
    if hex.len() != 64 {
        return None;
    }
    let mut digest = [0; 32];
    for (byte, pair) in digest.iter_mut().zip(hex.chunks(2)) {
        *byte = value(pair[0])? << 4 | value(pair[1])?;
    }
    Some(digest)
}

fn value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_buildkit_writes_is_a_digest() {
        let hex = "0f".repeat(32);
        assert_eq!(digest(&format!("sha256:{hex}")), Some([15; 32]));
        for text in [
            hex.clone(),
            format!("sha256:{}", hex.to_uppercase()),
            format!("sha256:{hex}0"),
            "sha256:".into(),
        ] {
            assert_eq!(digest(&text), None, "{text}");
        }
    }

    #[test]
    fn keys_below_a_prefix_that_is_no_folder() {
        let layout = Layout::new("ci-".to_owned());
        assert_eq!(layout.blobs().as_ref(), "ci-blobs");
        assert_eq!(
            below(&Path::from("ci-blobs/sha256:ab"), &layout.blobs()),
            Some("sha256:ab")
        );
        assert_eq!(below(&Path::from("ci-blobs2/x"), &layout.blobs()), None);
    }
}
