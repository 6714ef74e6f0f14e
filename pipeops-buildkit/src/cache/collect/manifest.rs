//! Parses manifests.

use std::cmp::Reverse;

use serde::Deserialize;

use super::layout::{Digest, digest};

/// Limit for the size of a manifest, in bytes. BuildKit's have about 1 KiB per step.
pub(super) const LARGEST: u64 = 64 << 20;

/// Returns the distinct blobs of a manifest with their sizes, or why it can't be parsed.
pub(super) fn blobs(bytes: &[u8]) -> Result<Vec<(Digest, u64)>, String> {
    let manifest: Manifest =
        serde_json::from_slice(bytes).map_err(|error| format!("not a manifest: {error}"))?;
    let mut blobs = Vec::with_capacity(manifest.layers.len());
    for layer in &manifest.layers {
        let digest = digest(&layer.blob)
            .ok_or_else(|| format!("{:?} is not a blob", shorten(&layer.blob)))?;
        let size = layer.annotations.as_ref().map_or(0, |about| about.size);
        blobs.push((digest, u64::try_from(size).unwrap_or(0)));
    }
    blobs.sort_unstable_by_key(|(digest, size)| (*digest, Reverse(*size)));
    blobs.dedup_by_key(|(digest, _)| *digest);
    Ok(blobs)
}

/// BuildKit omits empty lists, but a foreign `{}` must not count as a manifest without blobs.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    #[serde(default)]
    layers: Vec<Layer>,
    /// Unused, but every manifest has it.
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
            ("", "not a manifest"),
            ("{}", "not a manifest"),
            (
                r#"{"layers":[{"blob":"sha512:ab"}],"records":[]}"#,
                "is not a blob",
            ),
            (
                r#"{"layers":[{"blob":"../../etc"}],"records":[]}"#,
                "is not a blob",
            ),
            (r#"{"layers":[{}],"records":[]}"#, "not a manifest"),
            (r#"{"records":[]} x"#, "not a manifest"),
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
