//! Every input is a Dockerfile or a typed error that can be shown; what is parsed can be reported, filtered and walked, and
//! its pieces stand in order inside of the file.
#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use pipeops_dockerfile::{BuildMetadata, Dockerfile, Excerpt, Position, args_report, filter};

fuzz_target!(|bytes: &[u8]| {
    match Dockerfile::parse(bytes) {
        Ok(dockerfile) => {
            let _ = args_report(&dockerfile).to_string();
            let user = BTreeMap::from([("A".to_owned(), "1".to_owned())]);
            let _ = filter(&dockerfile, &user, &BuildMetadata::new("c", "b")).args();
            let graph = dockerfile.graph(&user);
            for stage in 0..dockerfile.stages.len() {
                assert!(graph.needed(stage).contains(&stage));
                let _ = dockerfile.args_of(stage, &graph);
            }
            let mut end = 0;
            for token in dockerfile.tokens() {
                assert!(
                    end <= token.span.start && token.span.start <= token.span.end,
                    "{token:?}"
                );
                end = token.span.end;
                assert!(Position::of(bytes, token.span.start) <= Position::of(bytes, end));
            }
            assert!(end <= bytes.len());
        }
        Err(error) => {
            assert!(error.span.end <= bytes.len());
            assert_eq!(Excerpt::of(bytes, error.span.clone()), error.excerpt);
            let _ = error.to_string();
        }
    }
});
