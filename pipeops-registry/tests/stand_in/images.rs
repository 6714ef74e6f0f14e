//! What the client does with images.

use crate::*;

#[tokio::test]
async fn a_name_is_resolved_to_its_digest() {
    let registry = seeded(RegistryOptions::default()).await;
    let client = client(Anonymous);
    let digest = registry.manifest(REPOSITORY, "1").unwrap().digest;
    let resolve = async |tag| client.resolve(&image(&registry, tag)).await.unwrap();
    assert_eq!(resolve("1").await, Some(digest.clone()));
    assert_eq!(resolve("2").await, None);
    let pinned = image(&registry, "1").with_digest(digest);
    assert!(client.exists(&pinned).await.unwrap());
    let other: ImageRef = format!("{}/nobody/nothing:1", registry.host())
        .parse()
        .unwrap();
    assert!(!client.exists(&other).await.unwrap());
}

#[tokio::test]
async fn the_configuration_of_an_image_is_read() {
    let registry = seeded(RegistryOptions::default()).await;
    let config = client(Anonymous)
        .config(&image(&registry, "1"), "linux/amd64")
        .await
        .unwrap();
    assert_eq!(config["config"]["Env"][0], "A=1");
}

#[tokio::test]
async fn tags_are_listed_added_and_deleted() {
    let registry = seeded(token()).await;
    let client = client(bob(&registry, "hunter2"));
    let first = image(&registry, "1");
    let second = client.retag(&first, "2").await.unwrap();
    assert_eq!(client.tags(&first).await.unwrap(), ["1", "2"]);
    let resolved = client.resolve(&first).await.unwrap();
    assert_eq!(second.digest(), resolved.as_ref());
    assert!(client.delete(&first).await.unwrap());
    let other_tag = client.exists(&image(&registry, "2")).await.unwrap();
    assert!(!other_tag, "both tags named the same image");
    assert!(!client.delete(&first).await.unwrap());
    let error = client.retag(&first, "no tag").await.unwrap_err();
    assert!(matches!(error, Error::InvalidImage { .. }), "{error:?}");
}

#[tokio::test]
async fn an_image_is_copied_within_a_registry_by_mounting() {
    let registry = seeded(token()).await;
    let to: ImageRef = format!("{}/other/app:7", registry.host()).parse().unwrap();
    let digest = client(bob(&registry, "hunter2"))
        .copy(&image(&registry, "1"), &to)
        .await
        .unwrap();
    assert_eq!(registry.manifest("other/app", "7").unwrap().digest, digest);
    let requests = registry.requests();
    let mut blobs = requests.iter().filter(|seen| seen.operation == "blob.get");
    assert!(blobs.all(|seen| seen.method == "HEAD"), "no layer was read");
}

#[tokio::test]
async fn an_image_is_copied_to_another_registry_and_only_once() {
    let (from, to) = (
        seeded(basic()).await,
        Registry::start(token()).await.unwrap(),
    );
    let credentials = StaticCredentials::new()
        .with(&from.host(), Credential::basic("bob", "hunter2"))
        .with(&to.host(), Credential::basic("bob", "hunter2"));
    let client = client(credentials);
    let copy = image(&to, "1");
    to.faults()
        .add(Fault::status(500).on(Matcher::operation("upload.finish")));
    let digest = client.copy(&image(&from, "1"), &copy).await.unwrap();
    assert_eq!(client.resolve(&copy).await.unwrap(), Some(digest));
    assert_eq!(
        client.config(&copy, "linux/amd64").await.unwrap()["config"]["Env"][0],
        "A=1"
    );
    let uploads = count(&to, "upload.start");
    client.copy(&image(&from, "1"), &copy).await.unwrap();
    assert_eq!(
        count(&to, "upload.start"),
        uploads,
        "what is there is not sent again"
    );
}

#[tokio::test]
async fn all_platforms_are_copied_and_the_tag_names_only_the_index() {
    const INDEX: &str = "application/vnd.oci.image.index.v1+json";
    let (from, to) = (
        seeded(RegistryOptions::default()).await,
        Registry::start(RegistryOptions::default()).await.unwrap(),
    );
    let child = from.manifest(REPOSITORY, "1").unwrap();
    let index = serde_json::json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [{
        "mediaType": child.media_type, "digest": child.digest, "size": child.bytes.len(),
        "platform": {"os": "linux", "architecture": "amd64"},
    }]});
    from.put_manifest(REPOSITORY, "all", INDEX, index.to_string())
        .unwrap();
    let client = client(Anonymous);
    let digest = client
        .copy(&image(&from, "all"), &image(&to, "all"))
        .await
        .unwrap();
    assert_eq!(to.manifest(REPOSITORY, "all").unwrap().digest, digest);
    let config = client
        .config(&image(&to, "all"), "linux/amd64")
        .await
        .unwrap();
    assert_eq!(config["config"]["Env"][0], "A=1");
    let requests = to.requests();
    let put = requests.iter().filter(|seen| seen.method == "PUT");
    let by_tag = put.filter(|seen| seen.path.ends_with("/manifests/all"));
    assert_eq!(by_tag.count(), 1);

    let missing = client
        .config(&image(&to, "all"), "linux/s390x")
        .await
        .unwrap_err();
    assert!(matches!(missing, Error::NotFound { .. }), "{missing:?}");
    let pinned = image(&to, "other").with_digest(child.digest);
    let error = client
        .copy(&image(&from, "all"), &pinned)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::InvalidImage { .. }), "{error:?}");
}
