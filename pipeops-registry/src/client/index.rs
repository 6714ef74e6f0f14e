//! One image for several platforms, made from existing images.

use std::collections::HashSet;

use bytes::Bytes;
use pipeops_core::{Digest, ImageRef};
use serde_json::{Value, json};

use super::manifest::{MAX_MANIFESTS, digest_of};
use super::transport::bad_answer;
use super::{Manifest, RegistryClient, Target};
use crate::error::{Action, Error};

/// The media type of an index.
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

impl RegistryClient {
    /// Pushes one image for several platforms: an [OCI index] of `parts` under `image`'s tag. The parts must be in the same
    /// repository. If a part is itself an index, as BuildKit makes for an image with attestations, its entries are used.
    ///
    /// Each part is read and its digest verified. Its platform comes from its configuration.
    ///
    /// [OCI index]: https://github.com/opencontainers/image-spec/blob/main/image-index.md
    ///
    /// # Errors
    /// [`Error::NotFound`] if a part is missing; [`Error::InvalidImage`] if `image` has no tag, there are no parts, or two parts
    /// have the same platform; [`Error::BadAnswer`] if the registry returns or stores other content; or as
    /// [`RegistryClient::check_push`].
    pub async fn push_index(&self, image: &ImageRef, parts: &[Digest]) -> Result<Digest, Error> {
        let tagged = image.tag().is_some() && image.digest().is_none();
        if !tagged || parts.is_empty() {
            let why = match tagged {
                true => "an index needs at least one image",
                false => "an index is pushed under a tag",
            };
            return Err(invalid(image, why));
        }
        let mut entries = Vec::new();
        for part in parts {
            let part = image.with_digest(part.clone());
            entries.extend(self.entries(&part).await?);
        }
        if entries.len() > MAX_MANIFESTS {
            return Err(invalid(
                image,
                format!("more than {MAX_MANIFESTS} manifests"),
            ));
        }
        check_platforms(image, &entries)?;
        self.put_index(image, &entries).await
    }

    /// The entries of the index for one part.
    async fn entries(&self, part: &ImageRef) -> Result<Vec<Value>, Error> {
        let manifest = self.manifest(part).await?;
        if manifest.is_index() {
            let index: Value = serde_json::from_slice(&manifest.bytes)
                .map_err(|_| bad_answer(part.host(), format!("{part} isn't JSON")))?;
            let entries = index["manifests"].as_array().cloned();
            return entries.ok_or_else(|| bad_answer(part.host(), "an index without manifests"));
        }
        let platform = self.platform_of(part, &manifest).await?;
        Ok(vec![json!({
            "mediaType": manifest.media_type,
            "digest": manifest.digest,
            "size": manifest.bytes.len(),
            "platform": platform,
        })])
    }

    /// The platform in the image's configuration.
    async fn platform_of(&self, part: &ImageRef, manifest: &Manifest) -> Result<Value, Error> {
        let config = self.config_of(part, manifest).await?;
        let keys = ["architecture", "os", "variant", "os.version", "os.features"];
        let known = keys.iter().filter_map(|key| {
            let value = config.get(*key)?;
            let empty = value.as_str() == Some("") || value.is_null();
            (!empty).then(|| ((*key).to_owned(), value.clone()))
        });
        let platform: serde_json::Map<String, Value> = known.collect();
        if platform.contains_key("os") && platform.contains_key("architecture") {
            Ok(Value::Object(platform))
        } else {
            Err(bad_answer(
                part.host(),
                format!("the configuration of {part} has no platform"),
            ))
        }
    }

    async fn put_index(&self, image: &ImageRef, entries: &[Value]) -> Result<Digest, Error> {
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries});
        let bytes = Bytes::from(index.to_string());
        let index = Manifest {
            digest: digest_of(&bytes),
            media_type: INDEX.to_owned(),
            bytes,
        };
        let target = Target::new(self, image, Action::Push);
        let request = target.put_manifest_request(&index)?;
        let answer = self.call(&target, &request).await?;
        let kept = answer.headers().get("docker-content-digest");
        let kept = kept.and_then(|value| value.to_str().ok());
        match kept {
            Some(kept) if kept != index.digest.as_str() => Err(bad_answer(
                image.host(),
                format!("pushed {}, it stored {kept}", index.digest),
            )),
            _ => Ok(index.digest),
        }
    }
}

/// Rejects two images for one platform: nodes would silently use the first.
fn check_platforms(image: &ImageRef, entries: &[Value]) -> Result<(), Error> {
    let mut seen = HashSet::new();
    for entry in entries {
        let platform = &entry["platform"];
        // Attestations have no platform.
        if platform["os"] == "unknown" || platform.is_null() {
            continue;
        }
        if !seen.insert(platform.to_string()) {
            return Err(invalid(
                image,
                format!("two images for the platform {platform}"),
            ));
        }
    }
    Ok(())
}

fn invalid(image: &ImageRef, why: impl Into<String>) -> Error {
    Error::InvalidImage {
        image: image.to_string(),
        why: why.into(),
    }
}
