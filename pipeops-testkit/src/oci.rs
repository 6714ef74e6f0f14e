//! Layers, configuration and manifest of an image, as in the [OCI image specification].
//!
//! [OCI image specification]: https://github.com/opencontainers/image-spec

use std::collections::BTreeMap;
use std::io::{self, Write};

use bytes::Bytes;
use flate2::{Compression, GzBuilder};
use pipeops_core::Digest;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

/// Media types of OCI images and of Docker's images before them.
pub(crate) mod media_type {
    pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
    pub(crate) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
    pub(crate) const LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
    pub(crate) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
    pub(crate) const DOCKER_INDEX: &str =
        "application/vnd.docker.distribution.manifest.list.v2+json";
}

/// The SHA-256 digest of some bytes.
pub(crate) fn digest_of(bytes: &[u8]) -> Digest {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
        .parse()
        .expect("a SHA-256 sum in hexadecimal is a digest")
}

/// This machine's architecture in the words of images.
pub(crate) fn native_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// A blob's address, as manifests hold it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    pub(crate) media_type: String,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
}

impl Descriptor {
    pub(crate) fn of(media_type: &str, bytes: &[u8]) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest: digest_of(bytes),
            size: bytes.len() as u64,
        }
    }
}

/// A single-platform image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ImageManifest {
    pub(crate) schema_version: u32,
    pub(crate) media_type: String,
    pub(crate) config: Descriptor,
    pub(crate) layers: Vec<Descriptor>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) annotations: BTreeMap<String, String>,
}

impl ImageManifest {
    pub(crate) fn new(config: Descriptor, layers: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: media_type::MANIFEST.to_owned(),
            config,
            layers,
            annotations: BTreeMap::new(),
        }
    }

    pub(crate) fn to_bytes(&self) -> Bytes {
        to_json(self)
    }
}

/// `config.json`: what a container starts with, and what the image was made of. Fields that are not named here are kept
/// as they came.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct ImageConfig {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) created: Option<String>,
    pub(crate) architecture: String,
    pub(crate) os: String,
    #[serde(default)]
    pub(crate) config: RunConfig,
    pub(crate) rootfs: RootFs,
    #[serde(default)]
    pub(crate) history: Vec<History>,
    #[serde(flatten)]
    pub(crate) other: Map<String, Value>,
}

impl ImageConfig {
    /// An image with nothing in it.
    pub(crate) fn scratch() -> Self {
        Self {
            architecture: native_architecture().to_owned(),
            os: "linux".to_owned(),
            rootfs: RootFs {
                kind: "layers".to_owned(),
                diff_ids: Vec::new(),
            },
            ..Self::default()
        }
    }

    pub(crate) fn to_bytes(&self) -> Bytes {
        to_json(self)
    }
}

/// What a container starts with.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct RunConfig {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) user: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) exposed_ports: BTreeMap<String, Empty>,
    #[serde(default)]
    pub(crate) env: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) entrypoint: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cmd: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) volumes: BTreeMap<String, Empty>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) working_dir: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) labels: BTreeMap<String, String>,
    #[serde(flatten)]
    pub(crate) other: Map<String, Value>,
}

impl RunConfig {
    /// Sets an environment variable in the place where it stands, or at the end.
    pub(crate) fn set_env(&mut self, key: &str, value: &str) {
        let entry = format!("{key}={value}");
        let place = self
            .env
            .iter_mut()
            .find(|line| line.split('=').next() == Some(key));
        match place {
            Some(line) => *line = entry,
            None => self.env.push(entry),
        }
    }
}

/// `{}`, the value of the sets in a configuration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Empty {}

/// The uncompressed digests of the layers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RootFs {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) diff_ids: Vec<Digest>,
}

/// One step in an image's history.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct History {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) created: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) created_by: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) comment: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) empty_layer: bool,
}

/// A finished layer: tar, compressed with gzip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layer {
    /// The digest of the tar before compression.
    pub(crate) diff_id: Digest,
    pub(crate) bytes: Bytes,
}

/// Mode, owner and time of an entry in a layer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct EntryMeta {
    /// Permissions, with setuid, setgid and sticky bits.
    pub(crate) mode: u32,
    pub(crate) uid: u64,
    pub(crate) gid: u64,
    /// Seconds since 1970.
    pub(crate) mtime: u64,
}

/// Writes a layer. The same entries in the same order give the same bytes.
pub(crate) struct LayerBuilder(tar::Builder<Vec<u8>>);

impl Default for LayerBuilder {
    fn default() -> Self {
        Self(tar::Builder::new(Vec::new()))
    }
}

impl LayerBuilder {
    /// A folder, `path` relative to the image's root.
    #[cfg(feature = "buildkit")]
    pub(crate) fn dir(&mut self, path: &str, meta: EntryMeta) -> io::Result<()> {
        let mut header = header(tar::EntryType::Directory, meta, 0);
        let path = format!("{}/", path.trim_end_matches('/'));
        self.0.append_data(&mut header, path, io::empty())
    }

    pub(crate) fn file(&mut self, path: &str, meta: EntryMeta, bytes: &[u8]) -> io::Result<()> {
        let mut header = header(tar::EntryType::Regular, meta, bytes.len() as u64);
        self.0.append_data(&mut header, path, bytes)
    }

    #[cfg(feature = "buildkit")]
    pub(crate) fn symlink(&mut self, path: &str, target: &str, meta: EntryMeta) -> io::Result<()> {
        let mut header = header(tar::EntryType::Symlink, meta, 0);
        self.0.append_link(&mut header, path, target)
    }

    pub(crate) fn into_tar(self) -> io::Result<Vec<u8>> {
        self.0.into_inner()
    }

    pub(crate) fn finish(self) -> io::Result<Layer> {
        let tar = self.into_tar()?;
        // No name and no time in the gzip header: equal layers have equal digests.
        let mut gzip = GzBuilder::new().write(Vec::new(), Compression::fast());
        gzip.write_all(&tar)?;
        Ok(Layer {
            diff_id: digest_of(&tar),
            bytes: gzip.finish()?.into(),
        })
    }
}

fn header(kind: tar::EntryType, meta: EntryMeta, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(meta.mode);
    header.set_uid(meta.uid);
    header.set_gid(meta.gid);
    header.set_size(size);
    header.set_mtime(meta.mtime);
    header
}

fn to_json(value: &impl Serialize) -> Bytes {
    serde_json::to_vec(value)
        .expect("structs with string keys serialize")
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_layers_have_equal_digests() {
        let layer = |mtime| {
            let meta = EntryMeta {
                mode: 0o755,
                mtime,
                ..EntryMeta::default()
            };
            let mut builder = LayerBuilder::default();
            builder.file("app/run", meta, b"#!/bin/sh\n").unwrap();
            builder.finish().unwrap()
        };
        assert_eq!(layer(7), layer(7));
        assert_ne!(layer(7).diff_id, layer(8).diff_id);
    }

    #[test]
    fn a_layer_takes_no_path_out_of_the_image() {
        let mut builder = LayerBuilder::default();
        let result = builder.file("../etc/passwd", EntryMeta::default(), b"");
        assert!(result.is_err());
    }

    #[test]
    fn unknown_fields_of_a_configuration_are_kept() {
        let text = r#"{"architecture":"amd64","os":"linux","variant":"v3","config":{"Env":["A=1"],"StopSignal":"SIGINT"},"rootfs":{"type":"layers","diff_ids":[]}}"#;
        let mut config: ImageConfig = serde_json::from_str(text).unwrap();
        config.config.set_env("A", "2");
        config.config.set_env("B", "3");
        let json: Value = serde_json::from_slice(&config.to_bytes()).unwrap();
        assert_eq!(json["variant"], "v3");
        assert_eq!(json["config"]["StopSignal"], "SIGINT");
        assert_eq!(json["config"]["Env"], serde_json::json!(["A=2", "B=3"]));
    }
}
