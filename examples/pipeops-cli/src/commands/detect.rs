//! `pipeops detect DIR`: the language of a folder, and how it is built and started.

use std::path::{Path, PathBuf};

use pipeops::core::Diagnosis;
use pipeops::core::source::DirTree;
use pipeops::detect::{Detection, Detector, Language};

use super::files::unreadable;
use crate::output::{CommandError, Format};
use crate::pages::NO_LANGUAGE;

/// Detect the language, framework, start command and port of a folder, with the evidence for each
#[derive(Debug, clap::Args)]
pub struct Detect {
    /// Folder with the source
    #[arg(default_value = ".")]
    dir: PathBuf,
    #[command(flatten)]
    options: Options,
}

/// What is known before detection.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Language to use instead of the detected one
    #[arg(long)]
    language: Option<Language>,
    /// Folder of the app inside DIR
    #[arg(long)]
    path: Option<String>,
}

impl Detect {
    pub fn run(&self, format: Format) -> Result<(), CommandError> {
        let tree = open(&self.dir)?;
        let detection = self.options.detector().detect(&tree);
        format.print(&detection);
        if found(&detection) {
            Ok(())
        } else {
            Err(nothing_found(&self.dir))
        }
    }
}

impl Options {
    /// The detector with these settings.
    pub fn detector(&self) -> Detector {
        let detector = Detector::new().language(self.language);
        match &self.path {
            Some(path) => detector.path(path),
            None => detector,
        }
    }
}

/// The folder as a tree of untrusted files.
pub fn open(dir: &Path) -> Result<DirTree, CommandError> {
    DirTree::new(dir).map_err(|error| unreadable(dir, &error))
}

fn found(detection: &Detection) -> bool {
    detection.language.is_some() || detection.dockerfile.is_some() || !detection.apps.is_empty()
}

fn nothing_found(dir: &Path) -> CommandError {
    let diagnosis =
        Diagnosis::new(&NO_LANGUAGE).error(format!("found no language in {}", dir.display()));
    // The empty detection is on standard output, so JSON output has no second object.
    CommandError::not_found(diagnosis).printed()
}
