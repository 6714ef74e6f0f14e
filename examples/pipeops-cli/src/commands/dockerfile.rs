//! `pipeops dockerfile args|filter|generate|images`: reads and generates Dockerfiles.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use pipeops::core::Diagnosis;
use pipeops::detect::{BaseImages, Generated, Language, generate};
use pipeops::dockerfile::{self, BuildMetadata, Dockerfile};

use super::base_images::{self, BaseImagesArg};
use super::detect;
use super::files::unreadable;
use crate::output::{CommandError, Format, print_json};
use crate::pages::{BAD_ARGUMENT, UNWRITABLE};

/// Reads and generates Dockerfiles
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Lists the ARGs of a Dockerfile by stage
    Args {
        /// Path of the Dockerfile; `-` is standard input
        file: PathBuf,
    },
    /// Filters build arguments by what a Dockerfile declares, with a reason for each
    Filter {
        /// Path of the Dockerfile; `-` is standard input
        file: PathBuf,
        /// Build argument; can be repeated. KEY alone takes the value from the environment
        #[arg(long = "build-arg", value_name = "KEY=VALUE")]
        build_args: Vec<String>,
        /// Commit SHA for the metadata arguments
        #[arg(long, default_value = "")]
        commit: String,
        /// Build id for the metadata arguments
        #[arg(long, default_value = "")]
        build_id: String,
    },
    /// Generates a Dockerfile for a folder
    Generate {
        /// Folder with the source
        #[arg(default_value = ".")]
        dir: PathBuf,
        /// Language, instead of the detected one
        #[arg(long)]
        language: Option<Language>,
        /// Folder of the app inside DIR
        #[arg(long)]
        path: Option<String>,
        /// Adds the evidence for each line
        #[arg(long)]
        explain: bool,
        /// Pins each base image to its current digest
        #[arg(long)]
        pin: bool,
        #[command(flatten)]
        images: BaseImagesArg,
        /// Writes Dockerfile and .dockerignore to DIR instead of standard output; existing files are kept
        #[arg(long)]
        write: bool,
    },
    /// Lists the base images of generated Dockerfiles by role
    Images {
        #[command(flatten)]
        images: BaseImagesArg,
    },
}

impl Command {
    pub async fn run(&self, format: Format) -> Result<(), CommandError> {
        match self {
            Self::Args { file } => {
                format.print(&dockerfile::args_report(&parse(file)?));
                Ok(())
            }
            Self::Filter {
                file,
                build_args,
                commit,
                build_id,
            } => filter(file, build_args, commit, build_id, format),
            Self::Generate {
                dir,
                language,
                path,
                explain,
                pin,
                images,
                write,
            } => {
                let tree = detect::open(dir)?;
                let detection = detect::detector(*language, path.as_deref()).detect(&tree);
                let images = images.load()?;
                let mut generated = generate(&tree, &detection, &images)?;
                if *pin {
                    let images = base_images::pin(images, &generated).await?;
                    generated = generate(&tree, &detection, &images)?;
                }
                match (format, write) {
                    (Format::Json, _) => print_json(&generated),
                    (Format::Text, true) => write_files(dir, &generated)?,
                    (Format::Text, false) if *explain => print!("{}", generated.explained()),
                    (Format::Text, false) => print!("{}", generated.dockerfile),
                }
                Ok(())
            }
            Self::Images { images } => {
                print_images(images.load()?.complete(), format);
                Ok(())
            }
        }
    }
}

fn print_images(images: BaseImages, format: Format) {
    if format == Format::Json {
        return print_json(&images);
    }
    for (role, name) in &images.images {
        println!("{role:18} {name}");
    }
}

fn filter(
    file: &Path,
    build_args: &[String],
    commit: &str,
    build_id: &str,
    format: Format,
) -> Result<(), CommandError> {
    let parsed = parse(file)?;
    let metadata = BuildMetadata::new(commit, build_id);
    let filtered = dockerfile::filter(&parsed, &key_values(build_args)?, &metadata);
    format.print(&filtered);
    Ok(())
}

/// `KEY=VALUE` arguments; a bare `KEY` takes its value from the environment, as `docker build` does.
pub fn key_values(arguments: &[String]) -> Result<BTreeMap<String, String>, CommandError> {
    let mut values = BTreeMap::new();
    for argument in arguments {
        let (key, value) = match argument.split_once('=') {
            Some((key, value)) => (key, Some(value.to_owned())),
            None => (argument.as_str(), std::env::var(argument).ok()),
        };
        if key.is_empty() {
            let diagnosis = Diagnosis::new(&BAD_ARGUMENT).error(format!("{argument:?} has no key"));
            return Err(CommandError::bad_input(diagnosis));
        }
        if let Some(value) = value {
            values.insert(key.to_owned(), value);
        }
    }
    Ok(values)
}

fn parse(file: &Path) -> Result<Dockerfile<'static>, CommandError> {
    let bytes = read(file).map_err(|error| unreadable(file, &error))?;
    let parsed = Dockerfile::parse(&bytes);
    parsed.map(Dockerfile::into_owned).map_err(|error| {
        let json = serde_json::json!({ "error": { "line": error.line, "message": error.message } });
        CommandError::bad_input(pipeops::core::Diagnose::diagnosis(&error)).json(json)
    })
}

fn read(file: &Path) -> std::io::Result<Vec<u8>> {
    /// One byte more than a daemon takes: the parser refuses it and says so.
    const LIMIT: u64 = Dockerfile::MAX_SIZE as u64 + 1;
    let mut bytes = Vec::new();
    if file == Path::new("-") {
        std::io::stdin().take(LIMIT).read_to_end(&mut bytes)?;
    } else {
        std::fs::File::open(file)?
            .take(LIMIT)
            .read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

fn write_files(dir: &Path, generated: &Generated) -> Result<(), CommandError> {
    for (name, text) in [
        ("Dockerfile", &generated.dockerfile),
        (".dockerignore", &generated.dockerignore),
    ] {
        let path = dir.join(name);
        let written = std::fs::File::create_new(&path)
            .and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()));
        match written {
            Ok(()) => println!("wrote {}", path.display()),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                println!("kept {}, which is there already", path.display());
            }
            Err(error) => {
                let diagnosis =
                    Diagnosis::new(&UNWRITABLE).error(format!("{}: {error}", path.display()));
                return Err(CommandError::failed(diagnosis));
            }
        }
    }
    Ok(())
}
