//! `pipeops build DIR`: one image from a folder, without webhook, queue or cluster.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pipeops::buildkit::{Address, Builder, BuilderOptions};
use pipeops::core::build::DockerfileSource;
use pipeops::core::source::{DirTree, SourceTree, SourceTreeExt};
use pipeops::core::{BuildRequest, SecretString};
use pipeops::detect::generate;
use pipeops::dockerfile::{self, BuildMetadata, Dockerfile};

use super::base_images::{BaseImagesArg, credentials};
use super::detect;
use super::dockerfile::key_values;
use super::files::{key_and_file, read_text, unreadable};
use crate::output::{CommandError, Format, print_json};
use crate::progress::Live;

/// A Dockerfile that is longer was not written by a person.
const LONGEST_DOCKERFILE: usize = 1 << 20;

/// Build a folder on BuildKit and push the image
#[derive(Debug, clap::Args)]
pub struct Build {
    /// Folder with the build context
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// Image to push, such as registry.example.com/team/shop:4f2c9ab
    #[arg(long, short)]
    tag: String,
    /// Address of the BuildKit daemon: unix://PATH or tcp://HOST:PORT
    #[arg(
        long,
        env = "BUILDKIT_HOST",
        default_value = "unix:///run/buildkit/buildkitd.sock"
    )]
    addr: String,
    /// Path of the Dockerfile inside DIR. If it doesn't exist, a Dockerfile is generated
    #[arg(long, short, default_value = "Dockerfile")]
    file: String,
    #[command(flatten)]
    options: detect::Options,
    #[command(flatten)]
    images: BaseImagesArg,
    /// Build argument; repeatable. Arguments that the Dockerfile doesn't declare are dropped with a note
    #[arg(long = "build-arg", value_name = "KEY=VALUE")]
    build_args: Vec<String>,
    /// Secret for `RUN --mount=type=secret,id=ID`, read from a file; repeatable
    #[arg(long = "secret", value_name = "ID=FILE")]
    secrets: Vec<String>,
    /// Stage to build [default: the last one]
    #[arg(long)]
    target: Option<String>,
    /// Platform to build for, such as linux/arm64; repeatable [default: the daemon's platform]
    #[arg(long)]
    platform: Vec<String>,
    /// Run every step without the cache
    #[arg(long)]
    no_cache: bool,
}

impl Build {
    pub async fn run(&self, format: Format) -> Result<(), CommandError> {
        let address = Address::parse(&self.addr)?;
        let request = self.request(format)?;
        let progress = Live::new(format);
        let built = Builder::new(address, BuilderOptions::default())
            .build(request, &progress)
            .await;
        progress.finish();
        let built = built.map_err(|error| CommandError::from_failure(&error.into()))?;
        match format {
            Format::Json => print_json(&built),
            Format::Text => outln!(
                "pushed {} ({} of {} steps cached)",
                built.image,
                built.cached,
                built.steps
            ),
        }
        Ok(())
    }

    fn request(&self, format: Format) -> Result<BuildRequest, CommandError> {
        let tree = detect::open(&self.dir)?;
        let mut request = BuildRequest::new(&self.dir, self.tag.parse()?);
        let (source, text) = self.dockerfile(&tree, &mut request)?;
        let parsed = Dockerfile::parse(&text)?;
        let filtered = dockerfile::filter(
            &parsed,
            &key_values(&self.build_args)?,
            &BuildMetadata::default(),
        );
        if format == Format::Text {
            filtered
                .dropped
                .iter()
                .for_each(|arg| errln!("dropped build argument {}: {}", arg.key, arg.why));
            filtered
                .warnings
                .iter()
                .for_each(|warning| errln!("warning: {warning}"));
        }
        request.dockerfile = source;
        request.build_args = filtered.args();
        request.target.clone_from(&self.target);
        request.platforms.clone_from(&self.platform);
        request.secrets = self.secrets()?;
        request.no_cache = self.no_cache;
        request.credentials = credentials()?;
        Ok(request)
    }

    /// The Dockerfile of the folder, or a generated one.
    fn dockerfile(
        &self,
        tree: &DirTree,
        request: &mut BuildRequest,
    ) -> Result<(DockerfileSource, Vec<u8>), CommandError> {
        // A link is followed inside the context only, as BuildKit does.
        let file = tree.linked_file(&self.file);
        let file = file.unwrap_or_else(|| self.file.clone());
        let own = tree
            .read(&file, LONGEST_DOCKERFILE)
            .map_err(|error| unreadable(Path::new(&file), &error))?;
        if let Some(text) = own {
            return Ok((DockerfileSource::Path(file), text));
        }
        let detection = self.options.detector().detect(tree);
        let generated = generate(tree, &detection, &self.images.load()?)?;
        request.context = self.dir.join(detection.build_context());
        errln!(
            "{} has no {}: building with a generated one",
            self.dir.display(),
            self.file
        );
        request.dockerignore = Some(generated.dockerignore);
        let text = generated.dockerfile.clone().into_bytes();
        Ok((DockerfileSource::Inline(generated.dockerfile), text))
    }

    fn secrets(&self) -> Result<BTreeMap<String, SecretString>, CommandError> {
        let read = |pair: &String| {
            let (id, file) = key_and_file("--secret", pair)?;
            // As it is: a secret for a build may be a file of several lines.
            Ok((id.to_owned(), SecretString::from(read_text(file)?)))
        };
        self.secrets.iter().map(read).collect()
    }
}
