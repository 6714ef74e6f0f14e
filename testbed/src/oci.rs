//! From an OCI layout to the storage of docker-registry, by hard links: base images are in a fresh registry at once, and
//! exist on the disk only once.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::cache::{create_directory, remove_tree, replace_file};
use crate::error::{Error, Result};

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: String,
}

#[derive(Deserialize)]
struct Manifest {
    config: Descriptor,
    layers: Vec<Descriptor>,
}

/// Adds the one image of an OCI layout to a registry's storage under several references, each `repository:tag`.
pub fn add(layout: &Path, storage: &Path, references: &[String]) -> Result<()> {
    let index: Index = read(&layout.join("index.json"))?;
    let [Descriptor { digest }] = index.manifests.as_slice() else {
        return Err(damaged(layout, "it does not have exactly one image"));
    };
    let manifest: Manifest = read(&layout.join(blob_path(digest)))?;
    let mut blobs: Vec<&str> = manifest
        .layers
        .iter()
        .map(|layer| layer.digest.as_str())
        .collect();
    blobs.push(&manifest.config.digest);
    let v2 = storage.join("docker/registry/v2");
    for blob in blobs.iter().chain([&digest.as_str()]) {
        link_blob(layout, &v2, blob)?;
    }
    for reference in references {
        let (repository, tag) = place(&v2, reference)?;
        tag_image(&repository, tag, digest, &blobs)?;
    }
    Ok(())
}

/// Removes references, each `repository:tag`, from a registry's storage. Those that it doesn't have are fine.
pub fn untag(storage: &Path, references: &[String]) -> Result<()> {
    let v2 = storage.join("docker/registry/v2");
    for reference in references {
        let (repository, tag) = place(&v2, reference)?;
        remove_tree(&repository.join("_manifests/tags").join(tag))?;
    }
    Ok(())
}

/// The folder of a reference's repository, and its tag.
fn place<'a>(v2: &Path, reference: &'a str) -> Result<(PathBuf, &'a str)> {
    let (repository, tag) = reference
        .rsplit_once(':')
        .ok_or_else(|| damaged(v2, &format!("`{reference}` has no tag")))?;
    Ok((v2.join("repositories").join(repository), tag))
}

/// Lets a layout share the blobs that it has in common with another one, whose image it stands on: layers are large.
pub fn share(layout: &Path, base: &Path) -> Result<()> {
    let (blobs, shared) = (layout.join("blobs/sha256"), base.join("blobs/sha256"));
    let entries = fs::read_dir(&blobs).map_err(Error::io("read", &blobs))?;
    for blob in entries.flatten().map(|entry| entry.file_name()) {
        let (own, other) = (blobs.join(&blob), shared.join(&blob));
        if other.exists() {
            fs::remove_file(&own).map_err(Error::io("remove", &own))?;
            fs::hard_link(&other, &own).map_err(Error::io("link", &own))?;
        }
    }
    Ok(())
}

/// A registry never changes a blob in place, so the file can be shared with the cache.
fn link_blob(layout: &Path, v2: &Path, digest: &str) -> Result<()> {
    let hex = digest.trim_start_matches("sha256:");
    let directory = v2
        .join("blobs/sha256")
        .join(hex.get(..2).unwrap_or_default())
        .join(hex);
    let target = directory.join("data");
    create_directory(&directory)?;
    match fs::hard_link(layout.join(blob_path(digest)), &target) {
        // Another image has the same blob, or another process adds this one, too.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        linked => linked.map_err(Error::io("link", &target)),
    }
}

fn tag_image(repository: &Path, tag: &str, digest: &str, blobs: &[&str]) -> Result<()> {
    for blob in blobs {
        write_link(&repository.join("_layers"), blob)?;
    }
    write_link(&repository.join("_manifests/revisions"), digest)?;
    let tag = repository.join("_manifests/tags").join(tag);
    write_link(&tag.join("index"), digest)?;
    let current = tag.join("current");
    create_directory(&current)?;
    replace_file(&current.join("link"), digest)
}

fn write_link(directory: &Path, digest: &str) -> Result<()> {
    let directory = directory.join(digest.replace(':', "/"));
    create_directory(&directory)?;
    replace_file(&directory.join("link"), digest)
}

fn blob_path(digest: &str) -> PathBuf {
    Path::new("blobs").join(digest.replace(':', "/"))
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let bytes = fs::read(path).map_err(Error::io("read", path))?;
    serde_json::from_slice(&bytes).map_err(|error| damaged(path, &error.to_string()))
}

fn damaged(path: &Path, why: &str) -> Error {
    Error::Damaged {
        path: path.to_owned(),
        why: why.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::write_file;

    fn layout(root: &Path) -> PathBuf {
        let layout = root.join("layout");
        let blobs = layout.join("blobs/sha256");
        create_directory(&blobs).unwrap();
        write_file(
            &layout.join("index.json"),
            r#"{"manifests":[{"digest":"sha256:aa11"}]}"#,
        )
        .unwrap();
        let manifest = r#"{"config":{"digest":"sha256:bb22"},"layers":[{"digest":"sha256:cc33"}]}"#;
        write_file(&blobs.join("aa11"), manifest).unwrap();
        write_file(&blobs.join("bb22"), "config").unwrap();
        write_file(&blobs.join("cc33"), "layer").unwrap();
        layout
    }

    #[test]
    fn every_tag_leads_to_the_manifest_and_every_blob_is_there() {
        let root = tempfile::tempdir().unwrap();
        let storage = root.path().join("storage");
        add(
            &layout(root.path()),
            &storage,
            &["library/app:1".to_owned(), "library/app:latest".to_owned()],
        )
        .unwrap();
        let v2 = storage.join("docker/registry/v2");
        let link = |path: &str| {
            fs::read_to_string(v2.join("repositories/library/app").join(path)).unwrap()
        };
        assert_eq!(link("_manifests/tags/1/current/link"), "sha256:aa11");
        assert_eq!(
            link("_manifests/tags/latest/index/sha256/aa11/link"),
            "sha256:aa11"
        );
        assert_eq!(link("_layers/sha256/cc33/link"), "sha256:cc33");
        assert_eq!(
            fs::read_to_string(v2.join("blobs/sha256/cc/cc33/data")).unwrap(),
            "layer"
        );
    }

    #[test]
    fn an_image_may_be_added_twice_and_by_two_at_once() {
        let root = tempfile::tempdir().unwrap();
        let (layout, storage) = (layout(root.path()), root.path().join("storage"));
        let references = ["library/app:1".to_owned()];
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| add(&layout, &storage, &references).unwrap());
            }
        });
        add(&layout, &storage, &references).unwrap();
    }

    #[test]
    fn a_tag_that_is_removed_leaves_the_others() {
        let root = tempfile::tempdir().unwrap();
        let storage = root.path().join("storage");
        let [one, two] = ["library/app:1", "library/app:2"].map(str::to_owned);
        let both = [one.clone(), two];
        add(&layout(root.path()), &storage, &both).unwrap();
        untag(&storage, &[one, "library/unknown:1".to_owned()]).unwrap();
        let tags = storage.join("docker/registry/v2/repositories/library/app/_manifests/tags");
        let has = |tag| tags.join(tag).exists();
        assert_eq!((has("1"), has("2")), (false, true));
    }

    #[test]
    fn layouts_share_what_they_have_in_common() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (one, other) = (layout(one.path()), layout(other.path()));
        fs::remove_file(other.join("blobs/sha256/aa11")).unwrap();
        share(&one, &other).unwrap();
        let links = |blob| {
            use std::os::unix::fs::MetadataExt;
            one.join("blobs/sha256")
                .join(blob)
                .metadata()
                .unwrap()
                .nlink()
        };
        assert_eq!((links("aa11"), links("cc33")), (1, 2));
    }

    #[test]
    fn a_layout_without_an_image_is_refused() {
        let root = tempfile::tempdir().unwrap();
        write_file(&root.path().join("index.json"), r#"{"manifests":[]}"#).unwrap();
        let error = add(root.path(), &root.path().join("storage"), &[]).unwrap_err();
        assert!(matches!(error, Error::Damaged { .. }));
    }
}
