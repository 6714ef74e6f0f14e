//! What a manifest refers to.

use std::cmp::Reverse;

use serde::Deserialize;

use super::layout::{Digest, digest};

/// Larger ones are not read. BuildKit's are about 1 KiB for each step.
pub(super) const LARGEST: u64 = 64 << 20;

/// The blobs of a manifest with their sizes, each once. The error says why it is not understood.
pub(super) fn blobs(bytes: &[u8]) -> Result<Vec<(Digest, u64)>, String> {
    let manifest: Manifest =
        serde_json::from_slice(bytes).map_err(|error| format!("it is no manifest: {error}"))?;
    let mut blobs = Vec::with_capacity(manifest.layers.len());
    for layer in &manifest.layers {
        let digest = digest(&layer.blob)
            .ok_or_else(|| format!("it refers to {:?}, which is no blob", shorten(&layer.blob)))?;
        let size = layer.annotations.as_ref().map_or(0, |about| about.size);
        blobs.push((digest, u64::try_from(size).unwrap_or(0)));
    }
    blobs.sort_unstable_by_key(|(digest, size)| (*digest, Reverse(*size)));
    blobs.dedup_by_key(|(digest, _)| *digest);
    Ok(blobs)
}

/// BuildKit writes no list that is empty; but `{}` of something else must not pass for a manifest without blobs.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    #[serde(default)]
    layers: Vec<Layer>,
    /// Not needed, but a manifest without it is none.
    #[serde(rename = "records")]
    _records: Vec<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Layer {
    blob: String,
    annotations: Option<Annotations>,
}

#[derive(Deserialize)]
struct Annotations {
    #[serde(default)]
    size: i64,
}

fn shorten(text: &str) -> &str {
    let end = text
        .char_indices()
        .nth(80)
        .map_or(text.len(), |(end, _)| end);
    &text[..end]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn blobs_are_found_once_each() {
        let one = format!("sha256:{}", "01".repeat(32));
        let two = format!("sha256:{}", "02".repeat(32));
        let text = format!(
            r#"{{"layers":[{{"blob":"{two}","parent":-1,"annotations":{{"size":7,"mediaType":"x"}}}},{{"blob":"{one}"}},{{"blob":"{two}"}}],"records":[{{"digest":"d"}}]}}"#
        );
        assert_eq!(
            blobs(text.as_bytes()).unwrap(),
            [([1; 32], 0), ([2; 32], 7)]
        );
        assert_eq!(blobs(br#"{"records":[]}"#).unwrap(), []);
    }

    #[test]
    fn what_is_not_understood_says_why() {
        for (text, why) in [
            ("", "no manifest"),
            ("{}", "no manifest"),
            (
                r#"{"layers":[{"blob":"sha512:ab"}],"records":[]}"#,
                "which is no blob",
            ),
            (
                r#"{"layers":[{"blob":"../../etc"}],"records":[]}"#,
                "which is no blob",
            ),
            (r#"{"layers":[{}],"records":[]}"#, "no manifest"),
            (r#"{"records":[]} x"#, "no manifest"),
        ] {
            let error = blobs(text.as_bytes()).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes: Vec<u8>, text in "\\PC{0,100}") {
            let _ = blobs(&bytes);
            let _ = blobs(format!(r#"{{"layers":[{{"blob":{text:?}}}],"records":[]}}"#).as_bytes());
        }
    }
}
