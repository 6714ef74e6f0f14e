//! Remote caches of a build: imported before its steps, exported after them.

use std::collections::{HashMap, HashSet};

use bollard_buildkit_proto::moby::buildkit::v1::CacheOptionsEntry;
use pipeops_core::Digest;

use super::build::{Build, DoneStep, Imported, ImportedStep};
use super::cache::Record;
use super::error::{BuildError, BuildResult};
use super::s3_cache::{CachedLayer, CachedStep, LayerAnnotations, Manifest, S3Cache, StepResult};
use super::stage::StageState;
use crate::oci::{Layer, digest_of, media_type};
use crate::serve::lock;

impl Build {
    /// Reads the remote caches. One that cannot be read ends with an error, and the build continues.
    pub(super) async fn import_caches(&self) {
        let mut imported = Imported::new();
        for entry in &self.request.cache_imports {
            let name = format!("importing cache manifest from {}", cache_name(entry));
            let vertex = self.progress.begin(&name);
            let read = async {
                let cache = self.remote_cache(entry)?;
                let manifest = cache.read().await?.unwrap_or_default();
                Ok((cache, manifest))
            };
            match read.await {
                Ok((cache, manifest)) => {
                    add(&mut imported, &cache, &manifest);
                    vertex.done();
                }
                Err(error) => {
                    let error: BuildError = error;
                    vertex.failed(error.vertex_message());
                }
            }
        }
        // Called once in a build.
        let _ = self.imported.set(imported);
    }

    /// The record of a step from a remote cache, its layer fetched.
    pub(super) async fn imported(&self, key: &Digest) -> BuildResult<Option<Record>> {
        let Some(step) = self.imported.get().and_then(|steps| steps.get(key)) else {
            return Ok(None);
        };
        let layer = match &step.layer {
            None => None,
            Some(layer) => {
                let bytes = step.cache.blob(&layer.blob).await?;
                if digest_of(&bytes) != layer.blob {
                    let message =
                        format!("the content of {} does not match its digest", layer.blob);
                    return Err(BuildError::new(message));
                }
                let annotations = layer.annotations.as_ref();
                let annotations = annotations.ok_or_else(|| {
                    BuildError::new(format!("missing annotations of {}", layer.blob))
                })?;
                Some(Layer {
                    diff_id: annotations.diff_id.clone(),
                    bytes,
                })
            }
        };
        Ok(Some(Record {
            created: step.created.clone(),
            layer,
        }))
    }

    /// Keeps a step, here and for the remote caches to be written. `below` is the layer that it stands on.
    pub(super) fn note_done(&self, key: &Digest, below: Option<&Digest>, record: &Record) {
        self.daemon.cache.put(key.clone(), record.clone());
        lock(&self.done).push(DoneStep {
            key: key.clone(),
            parent: below.cloned(),
            record: record.clone(),
        });
    }

    /// Writes the remote caches. A failure fails the build, unless `ignore-error` is set.
    pub(super) async fn export_caches(&self, result: &StageState) -> BuildResult<()> {
        let done = lock(&self.done).clone();
        for entry in &self.request.cache_exports {
            let vertex = self
                .progress
                .begin(&format!("exporting cache to {}", cache_name(entry)));
            match self.export_cache(entry, &done, result).await {
                Ok(()) => {
                    vertex.part("preparing build cache for export", 0);
                    vertex.done();
                }
                Err(error) => {
                    vertex.failed(error.vertex_message());
                    if entry
                        .attrs
                        .get("ignore-error")
                        .is_none_or(|value| value != "true")
                    {
                        return Err(error);
                    }
                }
            }
        }
        Ok(())
    }

    async fn export_cache(
        &self,
        entry: &CacheOptionsEntry,
        done: &[DoneStep],
        result: &StageState,
    ) -> BuildResult<()> {
        let cache = self.remote_cache(entry)?;
        let layers = result.layers.iter().map(|layer| &layer.descriptor.digest);
        let in_result: HashSet<&Digest> = layers.collect();
        let mut manifest = ManifestBuilder::default();
        for step in done {
            let layer = step.record.layer.as_ref();
            let layer = layer.map(|layer| (digest_of(&layer.bytes), layer));
            let kept = layer
                .as_ref()
                .is_none_or(|(blob, _)| in_result.contains(blob));
            if !kept && !cache.max {
                continue;
            }
            if let Some((blob, layer)) = &layer {
                cache.write_blob(blob, &layer.bytes).await?;
            }
            manifest.add(step, layer);
        }
        cache.write(&manifest.manifest).await
    }

    fn remote_cache(&self, entry: &CacheOptionsEntry) -> BuildResult<S3Cache> {
        let options = &self.daemon.options;
        match entry.r#type.as_str() {
            "s3" => S3Cache::new(entry, &options.hosts, self.daemon.http.clone()),
            other => Err(BuildError::unsupported(format!(
                "the cache type {other:?} (only \"s3\")"
            ))),
        }
    }
}

/// A manifest in the making.
#[derive(Default)]
struct ManifestBuilder {
    manifest: Manifest,
    /// The place of each layer in it.
    places: HashMap<Digest, usize>,
}

impl ManifestBuilder {
    fn add(&mut self, step: &DoneStep, layer: Option<(Digest, &Layer)>) {
        let created_at = step.record.created.clone();
        let result = layer.map(|(blob, layer)| StepResult {
            layer: self.place(blob, layer, step),
            created_at,
        });
        self.manifest.records.push(CachedStep {
            digest: Some(step.key.clone()),
            layers: result.into_iter().collect(),
        });
    }

    /// The place of a layer, which is added when it is new.
    fn place(&mut self, blob: Digest, layer: &Layer, step: &DoneStep) -> usize {
        if let Some(place) = self.places.get(&blob) {
            return *place;
        }
        let below = step
            .parent
            .as_ref()
            .and_then(|parent| self.places.get(parent));
        let parent = below.map_or(-1, |place| i64::try_from(*place).unwrap_or(-1));
        let place = self.manifest.layers.len();
        self.places.insert(blob.clone(), place);
        self.manifest.layers.push(CachedLayer {
            blob,
            parent,
            annotations: Some(LayerAnnotations {
                media_type: media_type::LAYER_GZIP.to_owned(),
                diff_id: layer.diff_id.clone(),
                size: layer.bytes.len() as u64,
                created_at: step.record.created.clone(),
            }),
        });
        place
    }
}

fn add(imported: &mut Imported, cache: &S3Cache, manifest: &Manifest) {
    for step in &manifest.records {
        let Some(key) = &step.digest else { continue };
        let result = step.layers.first();
        let layer = result
            .and_then(|result| manifest.layers.get(result.layer))
            .cloned();
        let imported_step = ImportedStep {
            cache: cache.clone(),
            layer,
            created: result
                .map(|result| result.created_at.clone())
                .unwrap_or_default(),
        };
        // The first cache that knows a step decides.
        imported.entry(key.clone()).or_insert(imported_step);
    }
}

fn cache_name(entry: &CacheOptionsEntry) -> String {
    let place = ["ref", "name", "bucket", "src", "dest"];
    let place = place.iter().find_map(|key| entry.attrs.get(*key));
    match (entry.r#type.as_str(), place) {
        ("s3", _) => "Amazon S3".to_owned(),
        (kind, Some(place)) => format!("{kind}:{place}"),
        (kind, None) => kind.to_owned(),
    }
}
