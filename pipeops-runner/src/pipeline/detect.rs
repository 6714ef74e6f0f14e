//! The step that finds out what the source is.

use std::sync::Arc;

use pipeops_core::source::DirTree;
use pipeops_core::{Detection, LanguageDetector};
use pipeops_detect::Detector;

use super::StepFailure;
use super::context::{Context, blocking};
use super::plan::unreadable;

pub(super) async fn detect(context: &Context<'_>) -> Result<Detection, StepFailure> {
    let folder = context.source_folder().await?;
    let config = &context.project().build;
    let detector: Arc<dyn LanguageDetector> = match &context.parts.detector {
        Some(detector) => Arc::clone(detector),
        None => Arc::new(
            Detector::new()
                .language(config.language)
                .path(config.path.trim_start_matches("./")),
        ),
    };
    let detected = blocking(move || {
        let tree = DirTree::new(&folder)?;
        Ok(detector.detect(&tree))
    });
    detected.await?.map_err(unreadable)
}
