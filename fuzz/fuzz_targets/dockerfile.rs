//! Every input is a Dockerfile or a typed error; what is parsed can be reported and filtered.
#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use pipeops_core::dockerfile::{BuildMetadata, Dockerfile, args_report, filter};

fuzz_target!(|bytes: &[u8]| {
    match Dockerfile::parse(bytes) {
        Ok(dockerfile) => {
            let _ = args_report(&dockerfile).to_string();
            let user = BTreeMap::from([("A".to_owned(), "1".to_owned())]);
            let _ = filter(&dockerfile, &user, &BuildMetadata::new("c", "b")).args();
        }
        Err(error) => {
            let _ = error.to_string();
        }
    }
});
