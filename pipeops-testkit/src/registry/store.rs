//! The state of a registry: repositories with their tags, manifests and blobs, and open uploads.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;
use pipeops_core::Digest;
use serde_json::Value;

use super::error::ApiError;
use crate::oci::{digest_of, media_type};

/// A manifest that was pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Manifest {
    /// The digest of `bytes`.
    pub digest: Digest,
    /// The media type that it was pushed with.
    pub media_type: String,
    /// The manifest, byte for byte.
    pub bytes: Bytes,
}

impl Manifest {
    /// Whether it's an index of other manifests.
    pub fn is_index(&self) -> bool {
        [media_type::INDEX, media_type::DOCKER_INDEX].contains(&self.media_type.as_str())
    }
}

/// Everything in memory. Blobs are held once and are visible only in the repositories that have them.
#[derive(Debug, Default)]
pub(super) struct Store {
    repositories: BTreeMap<String, Repository>,
    blobs: HashMap<Digest, Bytes>,
    /// The repositories of the uploads under way, by id.
    uploads: HashMap<String, String>,
}

#[derive(Debug, Default)]
pub(super) struct Repository {
    blobs: BTreeSet<Digest>,
    manifests: BTreeMap<Digest, Manifest>,
    tags: BTreeMap<String, Digest>,
}

impl Store {
    pub(super) fn repositories(&self) -> impl Iterator<Item = &String> {
        self.repositories
            .iter()
            .filter(|(_, repository)| !repository.manifests.is_empty())
            .map(|(name, _)| name)
    }

    pub(super) fn tags(&self, name: &str) -> Option<impl Iterator<Item = &String>> {
        let repository = self.repositories.get(name)?;
        Some(repository.tags.keys())
    }

    pub(super) fn blob(&self, name: &str, digest: &Digest) -> Option<Bytes> {
        let known = self.repositories.get(name)?.blobs.contains(digest);
        known.then(|| self.blobs.get(digest).cloned()).flatten()
    }

    pub(super) fn put_blob(&mut self, name: &str, bytes: Bytes) -> Digest {
        let digest = digest_of(&bytes);
        self.repository(name).blobs.insert(digest.clone());
        self.blobs.insert(digest.clone(), bytes);
        digest
    }

    /// Makes a blob of one repository visible in another one; false when the first has no such blob.
    pub(super) fn mount(&mut self, from: &str, to: &str, digest: &Digest) -> bool {
        let known = self.blob(from, digest).is_some();
        if known {
            self.repository(to).blobs.insert(digest.clone());
        }
        known
    }

    /// A manifest by tag or by digest.
    pub(super) fn manifest(&self, name: &str, reference: &str) -> Option<&Manifest> {
        let repository = self.repositories.get(name)?;
        let digest = match reference.parse::<Digest>() {
            Ok(digest) => digest,
            Err(_) => repository.tags.get(reference)?.clone(),
        };
        repository.manifests.get(&digest)
    }

    /// Keeps a manifest, after a check that all it refers to is there.
    pub(super) fn put_manifest(
        &mut self,
        name: &str,
        tag: Option<&str>,
        manifest: Manifest,
    ) -> Result<(), ApiError> {
        self.check_references(name, &manifest)?;
        let digest = manifest.digest.clone();
        let repository = self.repository(name);
        repository.manifests.insert(digest.clone(), manifest);
        if let Some(tag) = tag {
            repository.tags.insert(tag.to_owned(), digest);
        }
        Ok(())
    }

    /// Removes a tag, or a manifest and each tag that names it.
    pub(super) fn delete_manifest(&mut self, name: &str, reference: &str) -> bool {
        let Some(repository) = self.repositories.get_mut(name) else {
            return false;
        };
        match reference.parse::<Digest>() {
            Ok(digest) => {
                repository.tags.retain(|_, tagged| *tagged != digest);
                repository.manifests.remove(&digest).is_some()
            }
            Err(_) => repository.tags.remove(reference).is_some(),
        }
    }

    pub(super) fn start_upload(&mut self, repository: &str) -> String {
        let id = format!("{:032x}", rand::random::<u128>());
        self.uploads.insert(id.clone(), repository.to_owned());
        id
    }

    /// Ends an upload: a blob when its digest is the promised one, else nothing.
    pub(super) fn finish_upload(
        &mut self,
        name: &str,
        id: &str,
        digest: &Digest,
        data: Bytes,
    ) -> Result<(), ApiError> {
        self.end_upload(name, id)?;
        let actual = digest_of(&data);
        if actual != *digest {
            return Err(ApiError::digest_invalid(format!(
                "provided digest {digest} did not match uploaded content {actual}"
            )));
        }
        self.put_blob(name, data);
        Ok(())
    }

    pub(super) fn end_upload(&mut self, name: &str, id: &str) -> Result<(), ApiError> {
        let upload = self.uploads.remove(id);
        let known = upload.is_some_and(|repository| repository == name);
        known
            .then_some(())
            .ok_or_else(|| ApiError::upload_unknown(id))
    }

    fn repository(&mut self, name: &str) -> &mut Repository {
        self.repositories.entry(name.to_owned()).or_default()
    }

    fn check_references(&self, name: &str, manifest: &Manifest) -> Result<(), ApiError> {
        let json: Value = serde_json::from_slice(&manifest.bytes)
            .map_err(|error| ApiError::manifest_invalid(format!("not JSON: {error}")))?;
        let repository = self.repositories.get(name);
        let has_blob = |digest: &Digest| repository.is_some_and(|r| r.blobs.contains(digest));
        let has_manifest =
            |digest: &Digest| repository.is_some_and(|r| r.manifests.contains_key(digest));
        if manifest.is_index() {
            let children = json["manifests"].as_array();
            let children = children
                .ok_or_else(|| ApiError::manifest_invalid("an index has a list of manifests"))?;
            return children.iter().try_for_each(|child| {
                require(child, "manifests[].digest", has_manifest, "manifest")
            });
        }
        let layers = json["layers"].as_array();
        let layers =
            layers.ok_or_else(|| ApiError::manifest_invalid("an image has a list of layers"))?;
        require(&json["config"], "config.digest", has_blob, "blob")?;
        layers
            .iter()
            // Foreign layers live elsewhere, at their `urls`.
            .filter(|layer| layer["urls"].as_array().is_none_or(Vec::is_empty))
            .try_for_each(|layer| require(layer, "layers[].digest", has_blob, "blob"))
    }
}

/// Refuses a descriptor without a digest, or one that points to nothing.
fn require(
    descriptor: &Value,
    field: &str,
    known: impl Fn(&Digest) -> bool,
    what: &str,
) -> Result<(), ApiError> {
    let digest = descriptor["digest"].as_str().unwrap_or_default();
    let digest: Digest = digest.parse().map_err(|_| {
        ApiError::manifest_invalid(format!("{field} is not a sha256 digest: {digest:?}"))
    })?;
    if known(&digest) {
        return Ok(());
    }
    Err(ApiError::new(
        http::StatusCode::BAD_REQUEST,
        "MANIFEST_BLOB_UNKNOWN",
        format!("{what} unknown to registry: {digest}"),
    ))
}
