//! Several images under one tag.

use pipeops_core::{BuildRequest, Digest, ImageRegistry};
use pipeops_registry::Registries;

use crate::*;

/// A registry with one image for each of these architectures, by digest.
async fn parts(architectures: &[&str]) -> (Registry, Vec<Digest>) {
    let registry = Registry::start(RegistryOptions::default()).await.unwrap();
    let seed = |architecture: &&str| {
        let base = BaseImage::new()
            .architecture(*architecture)
            .file("which", *architecture);
        registry.seed(REPOSITORY, architecture, &base).unwrap();
        registry.manifest(REPOSITORY, architecture).unwrap().digest
    };
    let digests = architectures.iter().map(seed).collect();
    (registry, digests)
}

#[tokio::test]
async fn images_for_several_platforms_become_one() {
    let (registry, parts) = parts(&["amd64", "arm64"]).await;
    let image = image(&registry, "both");
    let request = BuildRequest::new("/nowhere", image.clone());
    let joined = Registries::default().join(&request, &parts).await.unwrap();
    assert_eq!(
        registry.manifest(REPOSITORY, "both").unwrap().digest,
        joined
    );
    let found = Registries::default().digest(&request).await.unwrap();
    assert_eq!(found, Some(joined));

    let client = client(Anonymous);
    let index = client.manifest(&image).await.unwrap();
    assert!(index.is_index());
    for platform in ["linux/amd64", "linux/arm64"] {
        let config = client.config(&image, platform).await.unwrap();
        assert_eq!(
            platform,
            format!("linux/{}", config["architecture"].as_str().unwrap())
        );
    }
    let json: serde_json::Value = serde_json::from_slice(&index.bytes).unwrap();
    let entry = &json["manifests"][1];
    assert_eq!(entry["digest"], parts[1].as_str());
    assert_eq!(
        entry["platform"],
        serde_json::json!({"os": "linux", "architecture": "arm64"})
    );
}

#[tokio::test]
async fn an_index_that_is_a_part_gives_its_entries() {
    let (registry, parts) = parts(&["amd64", "arm64"]).await;
    let client = client(Anonymous);
    let one = client
        .push_index(&image(&registry, "one"), &parts[..1])
        .await
        .unwrap();
    let both = image(&registry, "both");
    client
        .push_index(&both, &[one, parts[1].clone()])
        .await
        .unwrap();
    let json: serde_json::Value =
        serde_json::from_slice(&client.manifest(&both).await.unwrap().bytes).unwrap();
    let digests: Vec<_> = json["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| &entry["digest"])
        .collect();
    assert_eq!(digests, [parts[0].as_str(), parts[1].as_str()]);
}

#[tokio::test]
async fn what_cannot_be_one_image_is_refused() {
    let (registry, parts) = parts(&["amd64"]).await;
    let client = client(Anonymous);
    let both = image(&registry, "both");
    let twice = [parts[0].clone(), parts[0].clone()];
    let error = client.push_index(&both, &twice).await.unwrap_err();
    assert!(
        error.to_string().contains("two images for the platform"),
        "{error}"
    );
    let error = client.push_index(&both, &[]).await.unwrap_err();
    assert!(matches!(error, Error::InvalidImage { .. }), "{error:?}");
    let absent: Digest = format!("sha256:{}", "0".repeat(64)).parse().unwrap();
    let error = client.push_index(&both, &[absent]).await.unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error:?}");
    assert!(registry.manifest(REPOSITORY, "both").is_none());
}
