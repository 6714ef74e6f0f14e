//! Base images in the cache: where each one is, and what it depends on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

use super::recipe::{Input, Recipe};
use super::table::{RECIPES, find};
use crate::cache::{Cache, create_directory, lock_file};
use crate::command::run;
use crate::error::{Error, Result};
use crate::oci;

/// Settings of this machine without which a build in a container would not reach its package registry.
const ENVIRONMENT: &str = "GONOSUMDB GOPROXY GOSUMDB HTTPS_PROXY HTTP_PROXY NO_PROXY NPM_CONFIG_REGISTRY \
                           PIP_EXTRA_INDEX_URL PIP_INDEX_URL PIP_TRUSTED_HOST http_proxy https_proxy no_proxy";

const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

pub(super) const FINISH_DEBIAN: &str = r#"set -e
    cp /etc/ssl/certs/ca-certificates.crt "$1/etc/ssl/certs/ca-certificates.crt"
    if test -e /etc/apt/sources.list.d/debian.sources; then
        sed "s/bookworm/$2/g" /etc/apt/sources.list.d/debian.sources > "$1/etc/apt/sources.list.d/debian.sources"
        rm -f "$1/etc/apt/sources.list"
    fi
    rm -rf "$1"/var/cache/apt/* "$1"/var/lib/apt/lists/* "$1"/usr/share/doc/* "$1"/usr/share/locale/* "$1"/var/log/*
    tar --create --file "$1.tar" --directory "$1" --numeric-owner .
    rm -rf "$1""#;

pub(super) const COPY_RUST: &str = r#"set -e
    root=$(rustc --print sysroot)
    target=$(rustc --print host-tuple)
    mkdir -p "$1/rust/bin" "$1/rust/lib/rustlib/$target"
    cp "$root/bin/rustc" "$root/bin/cargo" "$1/rust/bin/"
    cp -a "$root"/lib/lib* "$1/rust/lib/"
    cp -a "$root/lib/rustlib/$target/lib" "$root/lib/rustlib/$target/bin" "$1/rust/lib/rustlib/$target/""#;

impl Recipe {
    /// Where its OCI layout is, once built.
    pub(super) fn layout(&self, cache: &Cache, testbed: &Path) -> Result<PathBuf> {
        Ok(cache.image(&self.name, &self.key(testbed)?))
    }

    /// What the image depends on. References are left out: another tag is no other image.
    fn key(&self, testbed: &Path) -> Result<String> {
        let mut hash = Sha256::new();
        hash.update(self.text(testbed)?);
        hash.update(format!("{:?}{:?}", self.inputs, self.arguments));
        for input in &self.inputs {
            hash.update(input.version()?);
        }
        for base in self.bases(testbed)? {
            hash.update(base.key(testbed)?);
        }
        Ok(hex::encode(&hash.finalize()[..8]))
    }

    /// The images that the `FROM` lines of its Dockerfile name.
    pub(super) fn bases(&self, testbed: &Path) -> Result<Vec<&'static Self>> {
        let text = self.text(testbed)?;
        let names = text
            .lines()
            .filter_map(|line| line.strip_prefix("FROM ")?.split(' ').next());
        names
            .map(|name| self.substitute(name))
            // An earlier stage has no tag.
            .filter(|name| name.contains(':'))
            .map(|name| find(&name))
            .collect()
    }

    fn substitute(&self, text: &str) -> String {
        let arguments = self.arguments.iter();
        arguments.fold(text.to_owned(), |text, (name, value)| {
            text.replace(&format!("${{{name}}}"), value)
        })
    }

    /// Its Dockerfile. The one at the bottom gets the machine's settings, which the others inherit.
    pub(super) fn text(&self, testbed: &Path) -> Result<String> {
        let file = format!("images/{}.Dockerfile", self.dockerfile);
        let path = testbed.join(file);
        let mut text = fs::read_to_string(&path).map_err(Error::io("read", &path))?;
        if matches!(self.inputs[..], [Input::Debian(_)]) {
            for name in ENVIRONMENT.split(' ') {
                if let Ok(value) = std::env::var(name) {
                    text.push_str(&format!("ENV {name}={value:?}\n"));
                }
            }
        }
        Ok(text)
    }
}

impl Input {
    /// Tells one state of the input from another.
    fn version(&self) -> Result<String> {
        match self {
            Self::File(path) => {
                let path = Path::new(path);
                fs::read(path)
                    .map(|bytes| hex::encode(Sha256::digest(bytes)))
                    .map_err(Error::io("read", path))
            }
            Self::Program(..) => Ok(String::new()),
            Self::Debian(_) => Ok(Self::File(AUTHORITIES).version()? + FINISH_DEBIAN),
            Self::Go => run(Command::new("go").arg("version")),
            Self::Rust => Ok(run(Command::new("rustc").arg("--version"))? + COPY_RUST),
        }
    }
}

/// Adds every image that was built to the storage of a registry, and removes the tags of those that weren't. After a change to
/// a Dockerfile, such a tag would lead to an image of the old one.
pub fn add_all(cache: &Cache, testbed: &Path, storage: &Path) -> Result<()> {
    create_directory(storage)?;
    // Without it, one process could remove a tag that another one has just added.
    let lock = storage.join("base-images.lock");
    let _lock = lock_file(&lock, "waiting for another process to add base images")?;
    for recipe in RECIPES.iter() {
        let layout = recipe.layout(cache, testbed)?;
        if layout.exists() {
            oci::add(&layout, storage, &recipe.references)?;
        } else {
            oci::untag(storage, &recipe.references)?;
        }
    }
    Ok(())
}

/// These images and those that they stand on, as far as they are not in the cache; each comes after its bases.
pub fn missing(
    cache: &Cache,
    testbed: &Path,
    recipes: &[&'static Recipe],
) -> Result<Vec<&'static Recipe>> {
    let absent = |recipes: &[&'static Recipe]| -> Result<Vec<&'static Recipe>> {
        let mut absent = Vec::new();
        for recipe in recipes {
            if !recipe.layout(cache, testbed)?.exists() {
                absent.push(*recipe);
            }
        }
        Ok(absent)
    };
    let mut needed = Vec::new();
    for recipe in absent(recipes)? {
        add_with_bases(testbed, recipe, &mut needed)?;
    }
    absent(&needed)
}

fn add_with_bases(
    testbed: &Path,
    recipe: &'static Recipe,
    list: &mut Vec<&'static Recipe>,
) -> Result<()> {
    if list.iter().any(|known| known.name == recipe.name) {
        return Ok(());
    }
    for base in recipe.bases(testbed)? {
        add_with_bases(testbed, base, list)?;
    }
    list.push(recipe);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn testbed() -> &'static Path {
        Path::new(env!("CARGO_MANIFEST_DIR"))
    }

    #[test]
    fn every_recipe_stands_on_known_images() {
        for recipe in RECIPES.iter() {
            let text = recipe.text(testbed()).unwrap();
            assert!(text.contains("FROM "), "{}", recipe.name);
            for (name, _) in &recipe.arguments {
                assert!(text.contains(&format!("ARG {name}")), "{name}: {text}");
            }
            recipe.bases(testbed()).unwrap();
        }
    }

    #[test]
    fn bases_come_first_and_once() {
        let mut list = Vec::new();
        for name in ["python:3.13", "python:3.13-slim"] {
            add_with_bases(testbed(), find(name).unwrap(), &mut list).unwrap();
        }
        let names: Vec<&str> = list.iter().map(|recipe| recipe.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "trixie",
                "buildpack-deps-scm-trixie",
                "buildpack-deps-trixie",
                "python-3.13",
                "python-3.13-slim",
            ]
        );
    }

    /// A copy of the Dockerfiles.
    fn copied(root: &Path) -> &Path {
        create_directory(&root.join("images")).unwrap();
        for file in fs::read_dir(testbed().join("images")).unwrap().flatten() {
            if file.path().is_file() {
                fs::copy(file.path(), root.join("images").join(file.file_name())).unwrap();
            }
        }
        root
    }

    #[test]
    fn a_changed_dockerfile_takes_its_old_image_out_of_the_registry() {
        let root = tempfile::tempdir().unwrap();
        let testbed = copied(root.path());
        let (cache, storage) = (Cache::at(testbed.join("cache")), testbed.join("storage"));
        let recipe = find("debian:bookworm-slim").unwrap();
        let layout = recipe.layout(&cache, testbed).unwrap();
        let blobs = layout.join("blobs/sha256");
        create_directory(&blobs).unwrap();
        let write = |path: PathBuf, text: &str| fs::write(path, text).unwrap();
        write(
            layout.join("index.json"),
            r#"{"manifests":[{"digest":"sha256:aa11"}]}"#,
        );
        let manifest = r#"{"config":{"digest":"sha256:bb22"},"layers":[]}"#;
        write(blobs.join("aa11"), manifest);
        write(blobs.join("bb22"), "config");
        let tags = storage.join("docker/registry/v2/repositories/library/debian/_manifests/tags");
        let is_tagged = || tags.join("bookworm-slim/current/link").exists();

        add_all(&cache, testbed, &storage).unwrap();
        assert!(is_tagged());
        let dockerfile = testbed.join(format!("images/{}.Dockerfile", recipe.dockerfile));
        let text = fs::read_to_string(&dockerfile).unwrap();
        write(dockerfile, &format!("{text}\nLABEL changed=1\n"));
        add_all(&cache, testbed, &storage).unwrap();
        assert!(!is_tagged());
    }

    #[test]
    fn arguments_make_another_image() {
        let key = |base| {
            let recipe = Recipe::new("python").argument("BASE", base);
            recipe.key(testbed()).unwrap()
        };
        assert_ne!(key("debian:bookworm-slim"), key("debian:trixie-slim"));
    }
}
