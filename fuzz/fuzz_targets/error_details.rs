//! Whatever stands beside a daemon's error, it becomes a failure that can be shown: bounded, without secrets, and with the failing
//! lines among those that are shown.
//!
//! The first line of the input is the daemon's message, the rest its details.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pipeops_buildkit::Error;
use pipeops_buildkit::fuzzing::failure;
use pipeops_core::Diagnose;

fuzz_target!(|bytes: &[u8]| {
    let cut = bytes
        .iter()
        .position(|byte| *byte == b'\n')
        .unwrap_or(bytes.len());
    let details = &bytes[(cut + 1).min(bytes.len())..];
    let failure = failure(&String::from_utf8_lossy(&bytes[..cut]), details, "hunter22");
    if let Some(source) = &failure.source {
        assert!(source.lines.len() <= 24 && source.line > 0);
        assert!(
            source
                .lines
                .windows(2)
                .all(|pair| pair[0].number + 1 == pair[1].number)
        );
        let pointed = source
            .pointer
            .is_none_or(|pointer| source.lines.iter().any(|line| line.number == pointer.line));
        assert!(pointed, "{source:?}");
        let _ = source.instruction();
    }
    let text = Error::from(Box::new(failure)).diagnosis().to_string();
    assert!(text.len() < 100_000, "{} bytes", text.len());
    assert!(!text.contains("hunter22"), "{text:?}");
    assert!(
        text.chars()
            .all(|c| matches!(c, '\t' | '\n') || !c.is_control()),
        "{text:?}"
    );
});
