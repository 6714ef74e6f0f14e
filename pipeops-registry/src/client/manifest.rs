//! Manifests.

use bytes::Bytes;
use pipeops_core::Digest;
use reqwest::header::HeaderValue;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::transport::bad_answer;
use crate::error::Error;

/// All manifest types in use. If one isn't listed, a registry may convert the manifest or respond that there is none.
pub(super) const ACCEPT: HeaderValue = HeaderValue::from_static(
    "application/vnd.oci.image.manifest.v1+json, \
     application/vnd.oci.image.index.v1+json, \
     application/vnd.docker.distribution.manifest.v2+json, \
     application/vnd.docker.distribution.manifest.list.v2+json",
);

/// The most manifests in one index.
pub(super) const MAX_MANIFESTS: usize = 100;

/// The manifest of an image, or the index of an image for several platforms, as the registry stores it: see
/// [`RegistryClient::manifest`](crate::RegistryClient::manifest).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Manifest {
    /// The digest of `bytes`, computed locally.
    pub digest: Digest,
    /// The media type in the registry's response.
    pub media_type: String,
    /// The exact bytes of the manifest.
    pub bytes: Bytes,
}

impl Manifest {
    /// Whether it is an index: a list of other manifests.
    pub fn is_index(&self) -> bool {
        self.media_type.contains("image.index") || self.media_type.contains("manifest.list")
    }

    /// The parsed manifest.
    pub(super) fn content(&self, registry: &str) -> Result<Content, Error> {
        serde_json::from_slice(&self.bytes).map_err(|error| {
            bad_answer(
                registry,
                format!("an invalid manifest (column {})", error.column()),
            )
        })
    }
}

/// A parsed manifest: an index has `manifests`, an image has `config` and `layers`.
#[derive(Debug, Deserialize)]
pub(super) struct Content {
    #[serde(default)]
    pub(super) manifests: Vec<Descriptor>,
    pub(super) config: Option<Descriptor>,
    #[serde(default)]
    pub(super) layers: Vec<Descriptor>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Descriptor {
    pub(super) digest: Digest,
    pub(super) size: u64,
    /// Set for layers that are served from elsewhere and never pushed.
    #[serde(default)]
    pub(super) urls: Vec<String>,
    platform: Option<Platform>,
}

#[derive(Debug, Clone, Deserialize)]
struct Platform {
    os: String,
    architecture: String,
    #[serde(default)]
    variant: Option<String>,
}

impl Content {
    /// The manifest for a platform, such as `linux/amd64` or `linux/arm/v7`. Without a variant, any variant matches.
    pub(super) fn for_platform(&self, wanted: &str) -> Option<&Descriptor> {
        let mut parts = wanted.split('/');
        let (os, architecture, variant) = (parts.next()?, parts.next()?, parts.next());
        self.manifests.iter().find(|descriptor| {
            descriptor.platform.as_ref().is_some_and(|platform| {
                platform.os == os
                    && platform.architecture == architecture
                    && variant.is_none_or(|variant| platform.variant.as_deref() == Some(variant))
            })
        })
    }
}

/// The digest of some bytes.
pub(super) fn digest_of(bytes: &[u8]) -> Digest {
    let text = format!("sha256:{}", hex::encode(Sha256::digest(bytes)));
    text.parse().expect("64 hexadecimal digits are a digest")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platform_is_chosen_by_os_architecture_and_variant() {
        let entry = |os: &str, architecture: &str, variant: Option<&str>, fill: char| {
            serde_json::json!({
                "digest": format!("sha256:{}", fill.to_string().repeat(64)), "size": 1,
                "platform": {"os": os, "architecture": architecture, "variant": variant}
            })
        };
        let attestation = serde_json::json!({"digest": digest_of(b"x"), "size": 1});
        let content: Content = serde_json::from_value(serde_json::json!({"manifests": [
            attestation, entry("linux", "amd64", None, 'a'), entry("linux", "arm", Some("v6"), 'b'), entry("linux", "arm", Some("v7"), 'c')
        ]}))
        .unwrap();
        let chosen = |platform: &str| {
            content
                .for_platform(platform)
                .map(|found| found.digest.hex().chars().next())
        };
        assert_eq!(chosen("linux/amd64"), Some(Some('a')));
        assert_eq!(chosen("linux/arm"), Some(Some('b')));
        assert_eq!(chosen("linux/arm/v7"), Some(Some('c')));
        assert_eq!(chosen("windows/amd64"), None);
        assert_eq!(chosen("linux"), None);
    }
}
