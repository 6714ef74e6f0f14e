//! Every `.dockerignore` file can be read or is a typed error. Where no pattern takes another back, a walk leaves out exactly what
//! matches; and it never passes over a folder that holds something to send.
//!
//! The input is text: the first line is a path, the rest the file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pipeops_buildkit::Patterns;
use pipeops_buildkit::fuzzing::judge;

fuzz_target!(|bytes: &[u8]| {
    let cut = bytes
        .iter()
        .position(|byte| *byte == b'\n')
        .unwrap_or(bytes.len());
    let (path, file) = (
        String::from_utf8_lossy(&bytes[..cut]),
        &bytes[(cut + 1).min(bytes.len())..],
    );
    // As a walk makes them: relative, without empty or dotted parts.
    let odd = |part: &str| part.is_empty() || part == "." || part == "..";
    if path.split('/').any(odd) {
        return;
    }
    let patterns = match Patterns::from_dockerignore(file) {
        Ok(patterns) => patterns,
        Err(error) => {
            assert!(judge(file, &path).is_none(), "{error}");
            return;
        }
    };
    let judged = judge(file, &path).expect("it was read before");
    assert!(
        judged.reached || !judged.kept,
        "{path:?} is kept and never found"
    );
    if !file.contains(&b'!') {
        assert_eq!(judged.kept, !patterns.matches(&path), "{path:?}");
    }
});
