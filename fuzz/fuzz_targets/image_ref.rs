//! What parses as an image name prints as one that parses to the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pipeops_core::ImageRef;

fuzz_target!(|text: &str| {
    if let Ok(image) = text.parse::<ImageRef>() {
        assert_eq!(image.to_string().parse::<ImageRef>().as_ref(), Ok(&image));
    }
});
