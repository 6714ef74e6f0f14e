//! Whatever packets a daemon sends, as the result of a build nothing is written outside of the folder for it, and as an answer to
//! the list of a context only what it asked for is sent, once and whole.
#![no_main]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use pipeops_buildkit::fuzzing::Packets;

/// A context with two files: the numbers and sizes of its entries are known.
const FILES: [(&str, u32, usize); 2] = [("a", 0, 5), ("d/b", 2, 70_000)];

fuzz_target!(|bytes: &[u8]| {
    let place = place();
    let result = place.join("result");
    let _ = fs::remove_dir_all(&result);
    fs::create_dir(&result).expect("it was removed");
    let _ = Packets::read(bytes).receive(&result);
    let outside = fs::read_dir(place).expect("it is there").count();
    assert_eq!(outside, 3, "something was written beside the folder");
    assert_eq!(
        fs::read(place.join("secret")).expect("it is there"),
        b"untouched"
    );

    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("there are threads");
    for (number, size) in runtime.block_on(Packets::read(bytes).ask(&place.join("context"))) {
        assert!(
            FILES.iter().any(|(_, n, s)| (*n, *s) == (number, size)),
            "{number} with {size} bytes"
        );
    }
});

/// A folder of this run, with a secret and a context.
fn place() -> &'static Path {
    static PLACE: OnceLock<PathBuf> = OnceLock::new();
    PLACE.get_or_init(|| {
        let place =
            std::env::temp_dir().join(format!("pipeops-fuzz-packets-{}", std::process::id()));
        for (name, _, size) in FILES {
            let file = place.join("context").join(name);
            fs::create_dir_all(file.parent().expect("it is in a folder")).expect("it can be made");
            fs::write(file, vec![b'x'; size]).expect("it can be written");
        }
        fs::write(place.join("secret"), "untouched").expect("it can be written");
        place
    })
}
