//! Whatever a build step sends to an SSH agent, the agent answers the same however it is cut into pieces, and only what it may.
//!
//! The first byte of the input says where it is cut.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pipeops_buildkit::fuzzing::ask_agent;

fuzz_target!(|bytes: &[u8]| {
    let Some((cut, bytes)) = bytes.split_first() else {
        return;
    };
    let whole = ask_agent(&[bytes]);
    let (head, tail) = bytes.split_at(usize::from(*cut).min(bytes.len()));
    assert_eq!(ask_agent(&[head, tail]), whole);
    let mut answers = whole.as_deref().unwrap_or_default();
    while let Some((length, rest)) = answers.split_first_chunk() {
        let (answer, rest) = rest.split_at(u32::from_be_bytes(*length) as usize);
        // A failure, the keys, or a signature.
        assert!(matches!(answer[0], 5 | 12 | 14), "{answer:?}");
        answers = rest;
    }
});
