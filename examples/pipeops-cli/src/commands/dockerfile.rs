//! `pipeops dockerfile args|filter|generate|images`: reads and generates Dockerfiles.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use pipeops::core::Diagnosis;
use pipeops::detect::{BaseImages, Generated, generate};
use pipeops::dockerfile::{self, BuildMetadata, Dockerfile};

use super::base_images::{self, BaseImagesArg};
use super::detect;
use super::files::unreadable;
use crate::output::{CommandError, Format, print_json};
use crate::pages::{BAD_ARGUMENT, UNWRITABLE};

/// Read and generate Dockerfiles
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List the ARGs of a Dockerfile by stage
    Args {
        /// Path of the Dockerfile; `-` is standard input
        file: PathBuf,
    },
    /// Show which build arguments a Dockerfile accepts, with the reason for each
    Filter {
        /// Path of the Dockerfile; `-` is standard input
        file: PathBuf,
        /// Build argument; repeatable. KEY alone takes the value from the environment
        #[arg(long = "build-arg", value_name = "KEY=VALUE")]
        build_args: Vec<String>,
        /// SHA of the commit, for the metadata arguments
        #[arg(long, default_value = "")]
        commit: String,
        /// ID of the build, for the metadata arguments
        #[arg(long, default_value = "")]
        build_id: String,
    },
    /// Generate a Dockerfile for a folder
    Generate {
        /// Folder with the source
        #[arg(default_value = ".")]
        dir: PathBuf,
        #[command(flatten)]
        options: detect::Options,
        /// Add the evidence for each line as a comment
        #[arg(long)]
        explain: bool,
        /// Pin each base image to its current digest
        #[arg(long)]
        pin: bool,
        #[command(flatten)]
        images: BaseImagesArg,
        /// Write Dockerfile and .dockerignore to the build context (the app's folder, or the root of its workspace) instead of standard
        /// output. Existing files are kept. If an existing .dockerignore hides what the Dockerfile copies, Dockerfile.dockerignore is
        /// written, which BuildKit reads instead
        #[arg(long)]
        write: bool,
    },
    /// List the base images of generated Dockerfiles by role
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
                options,
                explain,
                pin,
                images,
                write,
            } => {
                let tree = detect::open(dir)?;
                let detection = options.detector().detect(&tree);
                let images = images.load()?;
                let mut generated = generate(&tree, &detection, &images)?;
                if let Some(context) = &detection.context {
                    errln!("note: the build context is {}", dir.join(context).display());
                }
                if *pin {
                    let images = base_images::pin(images, &generated).await?;
                    generated = generate(&tree, &detection, &images)?;
                }
                match (format, write) {
                    (Format::Json, _) => print_json(&generated),
                    (Format::Text, true) => {
                        write_files(&dir.join(detection.build_context()), &generated)?;
                    }
                    (Format::Text, false) if *explain => out!("{}", generated.explained()),
                    (Format::Text, false) => out!("{}", generated.dockerfile),
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
        outln!("{role:18} {name}");
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
        (
            generated.dockerignore_name.as_str(),
            &generated.dockerignore,
        ),
    ] {
        // Without a `.` between them.
        let path: PathBuf = dir.join(name).components().collect();
        let written = std::fs::File::create_new(&path)
            .and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()));
        match written {
            Ok(()) => outln!("wrote {}", path.display()),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                outln!("kept {}, which exists", path.display());
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
