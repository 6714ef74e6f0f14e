//! One build, from the request to the pushed image.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use pipeops_core::ImageRef;
use pipeops_dockerfile::Dockerfile;

use super::build::Build;
use super::dispatch::{Dispatcher, StagePlan};
use super::error::{BuildError, BuildResult};
use super::plan::{self, Origin, Selection, copy_origin};
use super::remote::{BaseImage, written};
use super::stage::{LayerRef, Source, Sources, StageState, chain};
use crate::oci::{Descriptor, ImageConfig, digest_of, media_type};

/// A stage, resolved and ready to be done.
pub(super) struct Ready {
    index: usize,
    base: Origin,
    label: String,
    pub(super) plan: StagePlan,
    /// Where each `COPY` takes from that does not take from the context, by the instruction's place.
    pub(super) origins: HashMap<usize, Source>,
}

/// Base images by name.
type Images = HashMap<ImageRef, BaseImage>;

/// The most bytes of files in one base image.
const BASE_LIMIT: u64 = 4 << 30;

impl Build {
    /// Builds, exports and answers the exporter's response.
    pub(super) async fn run(&self) -> BuildResult<BTreeMap<String, String>> {
        let (source, ignore) = self.load_definition().await?;
        let source = self.source.get_or_init(|| source);
        let file = plan::parse(source)?;
        let selection = plan::select(&file, source, &self.request)?;
        let images = self.resolve_images(&file, &selection).await?;
        let stages = self.dispatch(&file, &selection, &images)?;
        self.import_caches().await;
        let mut sources = Sources {
            context: self.load_context(&stages, ignore).await?,
            ..Sources::default()
        };
        let mut last = StageState::scratch();
        let mut config = ImageConfig::scratch();
        for stage in stages {
            last = self.build_stage(&stage, &images, &mut sources).await?;
            sources.stages.insert(stage.index, last.clone());
            config = stage.plan.config;
        }
        self.send_archives(&last).await?;
        let response = self.export(config, &last).await?;
        self.export_caches(&last).await?;
        Ok(response)
    }

    /// Finds each base image that a stage or a copy names.
    async fn resolve_images(
        &self,
        file: &Dockerfile<'_>,
        selection: &Selection<'_>,
    ) -> BuildResult<Images> {
        let mut images = Images::new();
        for selected in &selection.stages {
            let mut wanted = vec![(selected.base.clone(), selected.stage.lines())];
            for instruction in selected.stage.instructions() {
                let origin = copy_origin(file, selected.index, &instruction)
                    .map_err(|error| error.at(self.source(), &instruction.lines()))?;
                wanted.extend(origin.map(|origin| (origin, instruction.lines())));
            }
            for (origin, lines) in wanted {
                let Origin::Image(name, word) = origin else {
                    continue;
                };
                if let Entry::Vacant(place) = images.entry(name.clone()) {
                    let context = self.request.contexts.get(&word).unwrap_or(&name);
                    let image = self.resolve_image(context, &word).await;
                    place.insert(image.map_err(|error| error.at(self.source(), &lines))?);
                }
            }
        }
        Ok(images)
    }

    async fn resolve_image(&self, name: &ImageRef, word: &str) -> BuildResult<BaseImage> {
        let full = written(name);
        let vertex = self
            .progress
            .begin(&format!("[internal] load metadata for {full}"));
        let resolved = async {
            self.hook("build.resolve", &full).await?;
            self.remote.resolve(name, &self.request.platform).await
        };
        match resolved.await {
            Ok(image) => {
                vertex.done();
                match foreign_part(&image.config) {
                    Some(part) => Err(BuildError::unsupported(format!(
                        "{part} of the base image {full}"
                    ))),
                    None => Ok(image),
                }
            }
            Err(error) => {
                let digest = vertex.digest().to_owned();
                vertex.failed(error.vertex_message());
                let context = format!("{word}: failed to resolve source metadata for {full}");
                Err(error.context(context).vertex(&digest))
            }
        }
    }

    fn dispatch(
        &self,
        file: &Dockerfile<'_>,
        selection: &Selection<'_>,
        images: &Images,
    ) -> BuildResult<Vec<Ready>> {
        let mut ready: Vec<Ready> = Vec::new();
        for selected in &selection.stages {
            let (config, args) = match &selected.base {
                Origin::Scratch => (ImageConfig::scratch(), Vec::new()),
                Origin::Image(name, _) => (images[name].config.clone(), Vec::new()),
                Origin::Stage(index) => ready
                    .iter()
                    .find(|stage| stage.index == *index)
                    .map(|stage| (stage.plan.config.clone(), stage.plan.args.clone()))
                    .unwrap_or_default(),
            };
            let mut dispatcher = Dispatcher::new(
                config,
                args,
                selection.escape,
                &selection.globals,
                &self.request.build_args,
            );
            let mut origins = HashMap::new();
            for (place, instruction) in selected.stage.instructions().enumerate() {
                let at = |error: BuildError| error.at(self.source(), &instruction.lines());
                dispatcher.take(place, &instruction).map_err(at)?;
                match copy_origin(file, selected.index, &instruction).map_err(at)? {
                    Some(Origin::Stage(index)) => origins.insert(place, Source::Stage(index)),
                    Some(Origin::Image(name, _)) => origins.insert(place, Source::Image(name)),
                    Some(Origin::Scratch) | None => None,
                };
            }
            ready.push(Ready {
                index: selected.index,
                base: selected.base.clone(),
                label: selected.label.clone(),
                plan: dispatcher.finish(),
                origins,
            });
        }
        Ok(ready)
    }

    async fn build_stage(
        &self,
        stage: &Ready,
        images: &Images,
        sources: &mut Sources,
    ) -> BuildResult<StageState> {
        for source in stage.origins.values() {
            if let Source::Image(name) = source
                && !sources.images.contains_key(name)
            {
                let image = &images[name];
                let state = self
                    .load_base(image, &format!("FROM {}", image.name))
                    .await?;
                sources.images.insert(name.clone(), state);
            }
        }
        let from_image = matches!(stage.base, Origin::Image(..));
        let total = stage.plan.steps.len() + usize::from(from_image);
        let numbered = |number: usize, name: &str| {
            let width = total.to_string().len();
            let label = match stage.label.as_str() {
                "" => String::new(),
                label => format!("{label} "),
            };
            format!("[{label}{number:>width$}/{total}] {name}")
        };
        let state = match &stage.base {
            Origin::Scratch => StageState::scratch(),
            Origin::Stage(index) => sources.stages[index].clone(),
            Origin::Image(name, _) => {
                let image = &images[name];
                let name = numbered(1, &format!("FROM {}", image.name));
                self.load_base(image, &name).await?
            }
        };
        let mut before = state.vertex.clone();
        let first = 1 + usize::from(from_image);
        let vertices = stage.plan.steps.iter().enumerate().map(|(number, step)| {
            let name = numbered(first + number, &step.name);
            let inputs: Vec<String> = before.iter().cloned().collect();
            let digest = chain(&state.key, &[name.clone(), inputs.join(" ")]);
            before = Some(digest.to_string());
            self.progress.announce(digest.as_str(), &name, &inputs)
        });
        let vertices = vertices.collect();
        self.stage(&stage.plan, &stage.origins, vertices, state, sources)
            .await
    }

    /// Fetches the layers of a base image.
    async fn load_base(&self, image: &BaseImage, name: &str) -> BuildResult<StageState> {
        let digest = digest_of(format!("FROM {}", image.name).as_bytes());
        let mut vertex = self.progress.announce(digest.as_str(), name, &[]);
        vertex.start();
        let mut state = StageState {
            history: image.config.history.clone(),
            key: digest_of(image.name.to_string().as_bytes()),
            vertex: Some(digest.to_string()),
            ..StageState::scratch()
        };
        let layers = image.layers.iter().zip(&image.config.rootfs.diff_ids);
        for (layer, diff_id) in layers {
            let repository = image.name.repository();
            let bytes = self.remote.blob(&image.host, repository, layer).await;
            let applied = bytes.and_then(|bytes| {
                let applied = state.tree.apply_layer(&bytes, BASE_LIMIT);
                applied
                    .map_err(|error| BuildError::new(format!("failed to extract layer: {error}")))
            });
            if let Err(error) = applied {
                vertex.failed(error.vertex_message());
                return Err(error.vertex(digest.as_str()));
            }
            state.layers.push(LayerRef {
                descriptor: Descriptor {
                    media_type: media_type::LAYER_GZIP.to_owned(),
                    ..layer.clone()
                },
                diff_id: diff_id.clone(),
                base: Some((image.host.clone(), repository.to_owned())),
            });
        }
        vertex.part(&format!("resolve {}", image.name), 0);
        vertex.done();
        Ok(state)
    }
}

/// What a base image says that the stand-in would have to obey.
fn foreign_part(config: &ImageConfig) -> Option<&'static str> {
    let is_set = |part: &&str| {
        let value = config.config.other.get(*part);
        value
            .and_then(serde_json::Value::as_array)
            .is_some_and(|list| !list.is_empty())
    };
    ["OnBuild", "Shell"].into_iter().find(is_set)
}
