//! The step that detects language and framework.

use std::path::PathBuf;
use std::sync::Arc;

use pipeops_core::source::DirTree;
use pipeops_core::{Detection, LanguageDetector};
use pipeops_detect::Detector;

use super::StepFailure;
use super::source::{blocking, unreadable};
use crate::project::BuildConfig;

pub(super) async fn detect(
    folder: PathBuf,
    detector: Arc<dyn LanguageDetector>,
) -> Result<Detection, StepFailure> {
    let detected = blocking(move || {
        let tree = DirTree::new(&folder)?;
        Ok(detector.detect(&tree))
    });
    detected.await?.map_err(unreadable)
}

/// The built-in detector with the settings of the project.
pub(super) fn built_in(config: &BuildConfig) -> Arc<dyn LanguageDetector> {
    let path = config.path.trim_start_matches("./");
    Arc::new(Detector::new().language(config.language).path(path))
}
