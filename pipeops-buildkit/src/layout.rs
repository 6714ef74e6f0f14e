//! Folders with an OCI image layout: blobs named by their digests, and an index.
//!
//! The format is defined by the [OCI image specification]. `skopeo copy … oci:FOLDER` and `buildctl … --output
//! type=oci,tar=false` write it.
//!
//! [OCI image specification]: https://github.com/opencontainers/image-spec/blob/main/image-layout.md

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;

use pipeops_core::Digest;
use ring::digest::{Context as Hasher, SHA256};
use serde_json::{Value, json};

use crate::hex::hex;
use crate::random;

/// The annotation that holds an entry's tag.
const TAG: &str = "org.opencontainers.image.ref.name";

/// Limit for the size of an index, which usually has a few KiB.
const INDEX_LIMIT: u64 = 8 << 20;

/// A folder with this layout. It may not exist yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    folder: PathBuf,
}

impl Layout {
    pub(crate) fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }

    /// Returns the digest of the manifest with this tag, or of the only manifest if there's no tag. `None` if there is no such
    /// entry or no index.
    pub(crate) fn find(&self, tag: Option<&str>) -> io::Result<Option<Digest>> {
        let entries = self.entries()?;
        let found = match tag {
            Some(tag) => entries.iter().find(|entry| has_tag(entry, tag)),
            None if entries.len() == 1 => entries.first(),
            None => None,
        };
        let digest = found.and_then(|entry| entry["digest"].as_str()?.parse().ok());
        Ok(digest)
    }

    /// Moves this tag to a manifest whose blob exists.
    pub(crate) fn tag(&self, descriptor: &Value, tag: &str) -> io::Result<()> {
        let digest: Option<Digest> = descriptor["digest"]
            .as_str()
            .and_then(|digest| digest.parse().ok());
        if digest.is_none_or(|digest| self.size(&digest).is_none()) {
            return Err(io::Error::other("the manifest is missing"));
        }
        let lock = File::create(self.folder.join("index.json.lock"))?;
        lock.lock()?;
        let mut entries = self.entries()?;
        entries.retain(|entry| !has_tag(entry, tag));
        entries.push(tagged(descriptor, tag));
        let index = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": entries,
        });
        self.write("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        self.write("index.json", index.to_string().as_bytes())
    }

    /// The size of a blob in bytes; `None` if it doesn't exist.
    pub(crate) fn size(&self, digest: &Digest) -> Option<u64> {
        let path = self.readable(digest)?;
        fs::metadata(path).ok().map(|metadata| metadata.len())
    }

    /// Opens a blob.
    pub(crate) fn open(&self, digest: &Digest) -> io::Result<File> {
        File::open(self.readable(digest).ok_or(io::ErrorKind::NotFound)?)
    }

    /// Begins a blob.
    pub(crate) fn begin(&self) -> io::Result<NewBlob> {
        let folder = self.folder.join("ingest");
        fs::create_dir_all(&folder)?;
        let name = random::id().map_err(io::Error::other)?;
        let path = folder.join(name);
        let file = File::options().write(true).create_new(true).open(&path)?;
        Ok(NewBlob {
            layout: self.clone(),
            file,
            path,
            hasher: Hasher::new(&SHA256),
            size: 0,
        })
    }

    /// The path of a blob. It must be a regular file in this folder; links aren't followed.
    fn readable(&self, digest: &Digest) -> Option<PathBuf> {
        let root = self.folder.canonicalize().ok()?;
        let path = self.blob(digest).canonicalize().ok()?;
        (path.starts_with(root) && path.is_file()).then_some(path)
    }

    fn blob(&self, digest: &Digest) -> PathBuf {
        self.folder.join("blobs/sha256").join(digest.hex())
    }

    fn entries(&self) -> io::Result<Vec<Value>> {
        let path = self.folder.join("index.json");
        match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
            Ok(metadata) if metadata.len() > INDEX_LIMIT => {
                return Err(io::Error::other("index.json is too large"));
            }
            Ok(_) => {}
        }
        let mut index: Value = serde_json::from_slice(&fs::read(&path)?)?;
        match index.get_mut("manifests").map(Value::take) {
            Some(Value::Array(entries)) => Ok(entries),
            _ => Err(io::Error::other("index.json lists no manifests")),
        }
    }

    /// Replaces a file atomically.
    fn write(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let partial = self.folder.join(format!(
            ".{name}-{}",
            random::id().map_err(io::Error::other)?
        ));
        fs::write(&partial, content)?;
        fs::rename(&partial, self.folder.join(name))
    }
}

fn has_tag(entry: &Value, tag: &str) -> bool {
    entry["annotations"][TAG].as_str() == Some(tag)
}

/// A descriptor with this tag and the annotations that it had.
fn tagged(descriptor: &Value, tag: &str) -> Value {
    let mut entry = descriptor.as_object().cloned().unwrap_or_default();
    let annotations = entry.get("annotations").and_then(Value::as_object);
    let mut annotations = annotations.cloned().unwrap_or_default();
    annotations.insert(TAG.to_owned(), tag.into());
    entry.insert("annotations".to_owned(), annotations.into());
    entry.into()
}

/// A blob that is being written. It gets its name when it's complete; an incomplete one is removed.
pub(crate) struct NewBlob {
    layout: Layout,
    file: File,
    path: PathBuf,
    hasher: Hasher,
    size: u64,
}

impl NewBlob {
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    pub(crate) fn write(&mut self, data: &[u8]) -> io::Result<()> {
        self.file.write_all(data)?;
        self.hasher.update(data);
        self.size += data.len() as u64;
        Ok(())
    }

    /// The digest of what was written.
    pub(crate) fn digest(&self) -> String {
        let digest = self.hasher.clone().finish();
        format!("sha256:{}", hex(digest.as_ref()))
    }

    /// Puts the blob in its place.
    pub(crate) fn keep(&self, digest: &Digest) -> io::Result<()> {
        let place = self.layout.blob(digest);
        if let Some(folder) = place.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::rename(&self.path, place)
    }
}

impl Drop for NewBlob {
    fn drop(&mut self) {
        // Gone already if it was kept.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> (tempfile::TempDir, Layout) {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path().join("l"));
        (folder, layout)
    }

    fn add(layout: &Layout, content: &[u8]) -> Digest {
        let mut blob = layout.begin().unwrap();
        blob.write(content).unwrap();
        let digest = blob.digest().parse().unwrap();
        blob.keep(&digest).unwrap();
        digest
    }

    #[test]
    fn what_is_written_is_found_under_its_digest_and_tag() {
        let (_folder, layout) = layout();
        assert_eq!(layout.find(None).unwrap(), None, "nothing is there yet");
        let one = add(&layout, b"one");
        assert_eq!(
            one.as_str(),
            "sha256:7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"
        );
        assert_eq!(layout.size(&one), Some(3));
        let tag = |digest: &Digest, tag| {
            let odd = json!({"digest": digest.as_str(), "annotations": "none"});
            layout.tag(&odd, tag)
        };
        tag(&one, "a").unwrap();
        assert_eq!(layout.find(None).unwrap(), Some(one.clone()));
        let two = add(&layout, b"two");
        tag(&two, "b").unwrap();
        assert_eq!(layout.find(None).unwrap(), None, "which of them?");
        tag(&two, "a").unwrap();
        assert_eq!(layout.find(Some("a")).unwrap(), Some(two));
        assert_eq!(layout.find(Some("c")).unwrap(), None);
        let absent = format!("sha256:{}", "0".repeat(64)).parse().unwrap();
        assert!(tag(&absent, "a").is_err());
        // Nothing is left of what was on its way.
        drop(layout.begin().unwrap());
        assert_eq!(
            fs::read_dir(layout.folder.join("ingest")).unwrap().count(),
            0
        );
    }

    #[cfg(unix)]
    #[test]
    fn links_that_lead_out_are_not_followed() {
        let (folder, layout) = layout();
        let digest = add(&layout, b"one");
        let secret = folder.path().join("secret");
        fs::write(&secret, "secret").unwrap();
        let blob = layout.blob(&digest);
        fs::remove_file(&blob).unwrap();
        std::os::unix::fs::symlink(&secret, &blob).unwrap();
        assert_eq!(layout.size(&digest), None);
        assert!(layout.open(&digest).is_err());
    }

    #[test]
    fn an_index_that_is_none_is_an_error() {
        let (_folder, layout) = layout();
        fs::create_dir_all(&layout.folder).unwrap();
        for text in ["", "[]", r#"{"manifests": 3}"#] {
            fs::write(layout.folder.join("index.json"), text).unwrap();
            assert!(layout.find(None).is_err(), "{text}");
        }
    }
}
