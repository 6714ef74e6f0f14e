//! Searches an image: its manifest, configuration, attestations and, on request, layers.

use std::sync::Arc;

use serde_json::Value;

use super::document::{config, metadata};
use super::needles::Needles;
use super::{LeakCheck, LeakReport};
use crate::client::Client;

/// Limit for the manifests of one index: platforms, and an attestation for each.
const MOST_MANIFESTS: usize = 64;

impl Client {
    /// Searches an image or an index of images.
    pub(super) async fn search_image(
        &self,
        digest: &str,
        needles: &Arc<Needles>,
        check: &LeakCheck,
        report: &mut LeakReport,
    ) {
        let Some(json) = self.json(digest, "the image's manifest", report).await else {
            return;
        };
        report.add(
            needles,
            metadata(&json["annotations"], needles, "annotations"),
        );
        let Some(manifests) = json["manifests"].as_array() else {
            return self.search_manifest(&json, needles, check, report).await;
        };
        for manifest in manifests.iter().take(MOST_MANIFESTS) {
            report.add(
                needles,
                metadata(&manifest["annotations"], needles, "annotations"),
            );
            let digest = manifest["digest"].as_str().unwrap_or_default();
            if let Some(json) = self.json(digest, "a manifest of the image", report).await {
                report.add(
                    needles,
                    metadata(&json["annotations"], needles, "annotations"),
                );
                self.search_manifest(&json, needles, check, report).await;
            }
        }
    }

    async fn search_manifest(
        &self,
        manifest: &Value,
        needles: &Arc<Needles>,
        check: &LeakCheck,
        report: &mut LeakReport,
    ) {
        let digest = manifest["config"]["digest"].as_str().unwrap_or_default();
        if let Some(json) = self.json(digest, "the image's configuration", report).await {
            report.add(needles, config(&json, needles));
        }
        let layers = manifest["layers"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        let (statements, files): (Vec<_>, Vec<_>) =
            layers.iter().partition(|layer| is_statement(layer));
        for layer in statements {
            let digest = layer["digest"].as_str().unwrap_or_default();
            if let Some(json) = self
                .json(digest, "an attestation of the image", report)
                .await
            {
                let kind = layer["annotations"]["in-toto.io/predicate-type"].as_str();
                report.add(
                    needles,
                    metadata(&json, needles, kind.unwrap_or("attestation")),
                );
            }
        }
        #[cfg(feature = "layers")]
        if check.layers {
            let digests = files.iter().filter_map(|layer| layer["digest"].as_str());
            self.search_layers(digests, needles, check, report).await;
        }
        #[cfg(not(feature = "layers"))]
        let _ = (files, check.layers);
    }

    /// Reads a JSON document. A failure goes into the report.
    async fn json(&self, digest: &str, what: &str, report: &mut LeakReport) -> Option<Value> {
        let read = self
            .document(digest)
            .await
            .map_err(|status| status.message().to_owned());
        let parsed = read
            .and_then(|bytes| serde_json::from_slice(&bytes).map_err(|error| error.to_string()));
        parsed
            .map_err(|why| report.skip(format!("{what}: {why}")))
            .ok()
    }
}

/// An attestation, stored in place of a layer.
fn is_statement(layer: &Value) -> bool {
    layer["mediaType"]
        .as_str()
        .is_some_and(|kind| kind.ends_with("+json"))
}
