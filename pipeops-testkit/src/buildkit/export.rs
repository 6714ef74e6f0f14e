//! The end of a build: writes the configuration and manifest, and pushes the image.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bollard_buildkit_proto::moby::filesync::v1::BytesMessage;
use bollard_buildkit_proto::moby::filesync::v1::file_send_client::FileSendClient;
use bytes::Bytes;
use jiff::Timestamp;
use pipeops_core::ImageRef;
use serde_json::json;
use tonic::Request;

use super::build::Build;
use super::error::{BuildError, BuildResult};
use super::progress::Step;
use super::remote::written;
use super::request::Export;
use super::stage::StageState;
use crate::oci::{Descriptor, ImageConfig, ImageManifest, media_type};

/// Docker's media types of a configuration and a layer.
const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";

/// An image, written but not yet pushed.
struct Image {
    config: Bytes,
    manifest: ImageManifest,
    manifest_bytes: Bytes,
}

impl Build {
    /// Writes the image and pushes it under its names. Without an exporter the result is thrown away.
    pub(super) async fn export(
        &self,
        config: ImageConfig,
        state: &StageState,
    ) -> BuildResult<BTreeMap<String, String>> {
        let Some(export) = &self.request.export else {
            return Ok(BTreeMap::new());
        };
        let image = self.write(config, state, export);
        let manifest = Descriptor::of(&image.manifest.media_type, &image.manifest_bytes);
        let vertex = self.progress.begin("exporting to image");
        vertex.part("exporting layers", 0);
        vertex.part(&format!("exporting manifest {}", manifest.digest), 0);
        vertex.part(
            &format!("exporting config {}", image.manifest.config.digest),
            0,
        );
        let pushed = async {
            self.hook("build.export", "image").await?;
            if export.push {
                if export.names.is_empty() {
                    return Err(BuildError::new("a push needs the name of an image"));
                }
                for name in &export.names {
                    let name = match export.by_digest {
                        true => name.with_digest(manifest.digest.clone()),
                        false => name.clone(),
                    };
                    self.push(&name, &image, state, &vertex).await?;
                }
            }
            Ok(())
        };
        if let Err(error) = pushed.await {
            vertex.failed(error.vertex_message());
            return Err(error);
        }
        vertex.done();
        Ok(self.response(export, &image, &manifest))
    }

    /// Sends the root file system to the client, for each exporter that asks for an archive.
    pub(super) async fn send_archives(&self, state: &StageState) -> BuildResult<()> {
        for number in &self.request.archives {
            let vertex = self.progress.begin("exporting to client tarball");
            let archive = state.tree.to_tar();
            let data = archive
                .map_err(|error| BuildError::new(format!("failed to write tar: {error}")))?;
            let pieces: Vec<BytesMessage> = data
                .chunks(32 << 10)
                .map(|piece| BytesMessage {
                    data: piece.to_vec(),
                })
                .collect();
            let mut request = Request::new(futures::stream::iter(pieces));
            request
                .metadata_mut()
                .insert("buildkit-attachable-exporter-id", (*number as u64).into());
            let mut client = FileSendClient::new(self.session()?.channel.clone());
            let mut answer = client.diff_copy(request).await?.into_inner();
            // The client closes its side when all is written.
            while answer.message().await?.is_some() {}
            vertex.done();
        }
        Ok(())
    }

    fn write(&self, mut config: ImageConfig, state: &StageState, export: &Export) -> Image {
        let (os, architecture) = self
            .request
            .platform
            .split_once('/')
            .unwrap_or(("linux", ""));
        os.clone_into(&mut config.os);
        architecture.clone_into(&mut config.architecture);
        config.config.labels.extend(self.request.labels.clone());
        config.history.clone_from(&state.history);
        config.rootfs.kind = "layers".to_owned();
        config.rootfs.diff_ids = state
            .layers
            .iter()
            .map(|layer| layer.diff_id.clone())
            .collect();
        // The image is as old as its last step, so that a build from cache makes the same image.
        let last = state.history.iter().rev().find(|line| !line.empty_layer);
        let created = last.and_then(|line| line.created.clone());
        config.created = Some(created.unwrap_or_else(|| self.time()));
        for line in &mut config.history {
            if line.empty_layer && line.comment == "buildkit.dockerfile.v0" {
                line.created.clone_from(&config.created);
            }
        }
        if let Some(epoch) = export.epoch.and_then(time_of) {
            set_epoch(&mut config, epoch);
        }
        let mut layers: Vec<Descriptor> = state
            .layers
            .iter()
            .map(|layer| layer.descriptor.clone())
            .collect();
        let bytes = config.to_bytes();
        let mut descriptor = Descriptor::of(media_type::CONFIG, &bytes);
        if export.docker_types {
            DOCKER_CONFIG.clone_into(&mut descriptor.media_type);
            layers
                .iter_mut()
                .for_each(|layer| DOCKER_LAYER.clone_into(&mut layer.media_type));
        }
        let mut manifest = ImageManifest::new(descriptor, layers);
        manifest.annotations.clone_from(&export.annotations);
        if export.docker_types {
            media_type::DOCKER_MANIFEST.clone_into(&mut manifest.media_type);
        }
        Image {
            config: bytes,
            manifest_bytes: manifest.to_bytes(),
            manifest,
        }
    }

    async fn push(
        &self,
        name: &ImageRef,
        image: &Image,
        state: &StageState,
        vertex: &Step,
    ) -> BuildResult<()> {
        let pushed = async {
            self.hook("build.push", &written(name)).await?;
            for layer in &state.layers {
                let digest = &layer.descriptor.digest;
                let bytes = match &layer.base {
                    Some((host, repository)) => {
                        self.remote
                            .blob(host, repository, &layer.descriptor)
                            .await?
                    }
                    None => self.daemon.blobs.get(digest).ok_or_else(|| {
                        BuildError::new(format!("content {digest} was pruned during the build"))
                    })?,
                };
                self.remote.push_blob(name, "layer", digest, &bytes).await?;
            }
            let config = &image.manifest.config;
            self.remote
                .push_blob(name, "config", &config.digest, &image.config)
                .await?;
            vertex.part("pushing layers", 0);
            let manifest = Descriptor::of(&image.manifest.media_type, &image.manifest_bytes);
            self.remote
                .push_manifest(name, &manifest.media_type, &image.manifest_bytes)
                .await?;
            vertex.part(
                &format!("pushing manifest for {}@{}", written(name), manifest.digest),
                0,
            );
            Ok(())
        };
        pushed.await.map_err(|error: BuildError| {
            let message = format!("failed to push {}", written(name));
            error.wrap(message)
        })
    }

    fn response(
        &self,
        export: &Export,
        image: &Image,
        manifest: &Descriptor,
    ) -> BTreeMap<String, String> {
        let (os, architecture) = self
            .request
            .platform
            .split_once('/')
            .unwrap_or(("linux", ""));
        let descriptor = json!({
            "mediaType": manifest.media_type,
            "digest": manifest.digest,
            "size": manifest.size,
            "platform": {"architecture": architecture, "os": os},
        });
        let names: Vec<String> = export.names.iter().map(written).collect();
        let mut response = BTreeMap::from([
            ("containerimage.digest", manifest.digest.to_string()),
            (
                "containerimage.config.digest",
                image.manifest.config.digest.to_string(),
            ),
            (
                "containerimage.descriptor",
                STANDARD.encode(descriptor.to_string()),
            ),
        ]);
        if !names.is_empty() {
            response.insert("image.name", names.join(","));
        }
        let own = |(key, value): (&str, String)| (key.to_owned(), value);
        response.into_iter().map(own).collect()
    }
}

fn time_of(seconds: i64) -> Option<Timestamp> {
    Timestamp::from_second(seconds).ok()
}

/// Sets the time of an image. Lines of its history that are younger, or have no time, get the same one.
fn set_epoch(config: &mut ImageConfig, epoch: Timestamp) {
    for line in &mut config.history {
        let created = line.created.as_ref().and_then(|time| time.parse().ok());
        if created.is_none_or(|created: Timestamp| created > epoch) {
            line.created = Some(epoch.to_string());
        }
    }
    config.created = Some(epoch.to_string());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::History;

    #[test]
    fn an_epoch_is_the_time_of_the_image_and_of_what_is_younger() {
        let line = |created: Option<&str>| History {
            created: created.map(str::to_owned),
            ..History::default()
        };
        let mut config = ImageConfig::scratch();
        config.history = vec![
            line(Some("2020-01-01T00:00:00Z")),
            line(Some("2026-01-01T00:00:00Z")),
            line(None),
        ];
        let epoch = "2023-11-14T22:13:20Z";
        set_epoch(&mut config, epoch.parse().unwrap());
        let times: Vec<&str> = config
            .history
            .iter()
            .filter_map(|line| line.created.as_deref())
            .collect();
        assert_eq!(times, ["2020-01-01T00:00:00Z", epoch, epoch]);
        assert_eq!(config.created.as_deref(), Some(epoch));
    }
}
