//! Whatever a daemon reports of a build: each step begins and ends at most once, and nothing that is shown holds a secret or
//! steers a terminal.
#![no_main]

use std::collections::HashMap;

use libfuzzer_sys::fuzz_target;
use pipeops_buildkit::fuzzing::events;
use pipeops_core::event::{EventKind, VertexState};

fuzz_target!(|bytes: &[u8]| {
    let mut ended: HashMap<String, bool> = HashMap::new();
    for event in events(bytes, "hunter22") {
        match event {
            EventKind::Vertex {
                id, name, state, ..
            } => {
                shown(&name);
                let ends = state != VertexState::Started;
                let before = ended.insert(id, ends);
                assert!(
                    before.is_none() || (before == Some(false) && ends),
                    "{before:?}, then {state:?}"
                );
            }
            EventKind::Log { line, .. } => shown(&line),
            EventKind::Transfer { id, .. } => shown(&id),
            EventKind::Warning { message } => shown(&message),
            other => panic!("no report of a daemon is {other:?}"),
        }
    }
});

fn shown(text: &str) {
    assert!(!text.contains("hunter22"), "{text:?}");
    assert!(
        text.chars().all(|c| c == '\t' || !c.is_control()),
        "{text:?}"
    );
}
