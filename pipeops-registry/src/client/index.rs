//! One image for several platforms, out of images that are there already.

use std::collections::HashSet;

use bytes::Bytes;
use pipeops_core::{Digest, ImageRef};
use serde_json::{Value, json};

use super::manifest::digest_of;
use super::transport::bad_answer;
use super::{MAX_CONFIG_BYTES, Manifest, RegistryClient, Target};
use crate::error::{Action, Error};
use reqwest::Method;

/// The media type of an index.
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// Manifests under one index; more are refused.
const MAX_MANIFESTS: usize = 100;

impl RegistryClient {
    /// Makes one image for several platforms: an [OCI index] over `parts`, which are in `image`'s repository already, under
    /// `image`'s tag. A part may itself be an index, as BuildKit makes it for an image with attestations: its entries are taken
    /// over as they are.
    ///
    /// Each part is read and its digest verified; its platform is the one in its configuration.
    ///
    /// [OCI index]: https://github.com/opencontainers/image-spec/blob/main/image-index.md
    ///
    /// # Errors
    /// [`Error::NotFound`] when a part is not there, [`Error::InvalidImage`] when `image` has no tag, there is no part, or two
    /// parts are for one platform, [`Error::BadAnswer`] when the registry gives or keeps something else than it was asked for,
    /// or why it cannot be used.
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

    /// What the index holds of one part.
    async fn entries(&self, part: &ImageRef) -> Result<Vec<Value>, Error> {
        let manifest = self.manifest(part).await?;
        if manifest.is_index() {
            let index: Value = parse(part, &manifest.bytes)?;
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

    /// The platform as the image's configuration says it.
    async fn platform_of(&self, part: &ImageRef, manifest: &Manifest) -> Result<Value, Error> {
        let config = manifest.content(part.host())?.config;
        let config =
            config.ok_or_else(|| bad_answer(part.host(), "a manifest without a configuration"))?;
        let target = Target::new(self, part, Action::Pull);
        let request = target.blob_request(Method::GET, &config.digest)?;
        let (_, bytes) = self.fetch(&target, &request, MAX_CONFIG_BYTES).await?;
        if digest_of(&bytes) != config.digest {
            let what = format!("blob {} is damaged", config.digest);
            return Err(bad_answer(part.host(), what));
        }
        let config: Value = parse(part, &bytes)?;
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
                format!("{part} does not say its platform"),
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
        let answer = self
            .call(&target.registry, &target.scopes, &request)
            .await?;
        let kept = answer.headers().get("docker-content-digest");
        let kept = kept.and_then(|value| value.to_str().ok());
        match kept {
            Some(kept) if kept != index.digest.as_str() => Err(bad_answer(
                image.host(),
                format!("the index is {}, it keeps {kept}", index.digest),
            )),
            _ => Ok(index.digest),
        }
    }
}

/// Refuses two images for one platform: nodes would silently take the first.
fn check_platforms(image: &ImageRef, entries: &[Value]) -> Result<(), Error> {
    let mut seen = HashSet::new();
    for entry in entries {
        let platform = &entry["platform"];
        // Attestations are for no platform.
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

fn parse(image: &ImageRef, bytes: &[u8]) -> Result<Value, Error> {
    serde_json::from_slice(bytes)
        .map_err(|_| bad_answer(image.host(), format!("{image} is not JSON")))
}
