//! No repository makes detection, the generator or the filter of build arguments panic, whatever its files are called and hold.
//!
//! The input is text: a line `--- NAME` begins a file, and what stands in front of the first one are build arguments.
#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use pipeops_core::source::MemTree;
use pipeops_detect::{BaseImages, Detector, generate};
use pipeops_dockerfile::{BuildMetadata, Dockerfile, filter};

fuzz_target!(|text: &str| {
    let (arguments, tree) = read(text);
    let detection = Detector::new().detect(&tree);
    let _ = detection.to_string();
    if let Ok(generated) = generate(&tree, &detection, &BaseImages::default()) {
        let file =
            Dockerfile::parse(generated.dockerfile.as_bytes()).expect("what is generated parses");
        let filtered = filter(&file, &arguments, &BuildMetadata::new("4b825dc", "1"));
        // What PipeOps itself knows is kept as well.
        assert!(filtered.kept.len() + filtered.dropped.len() >= arguments.len());
        let graph = file.graph(&filtered.args());
        assert!(
            graph
                .needed(file.stages.len() - 1)
                .contains(&(file.stages.len() - 1))
        );
        let _ = (generated.explained(), filtered.to_string());
    }
});

fn read(text: &str) -> (BTreeMap<String, String>, MemTree) {
    let mut sections = text.split("--- ");
    let arguments = sections.next().unwrap_or_default().lines();
    let arguments = arguments.map(|line| line.split_once('=').unwrap_or((line, "")));
    let arguments = arguments
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    let files = sections.map(|section| section.split_once('\n').unwrap_or((section, "")));
    (arguments, files.collect())
}
