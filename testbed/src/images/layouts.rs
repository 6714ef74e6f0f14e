//! Base images in the cache: where each one is, and what it depends on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

use super::recipe::{Input, Recipe};
use super::table::RECIPES;
use crate::cache::Cache;
use crate::command::run;
use crate::error::{Error, Result};
use crate::oci;

/// Settings of this machine without which a build in a container would not reach its package registry.
const ENVIRONMENT: &[&str] = &[
    "GONOSUMDB",
    "GOPROXY",
    "GOSUMDB",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "NPM_CONFIG_REGISTRY",
    "PIP_EXTRA_INDEX_URL",
    "PIP_INDEX_URL",
    "PIP_TRUSTED_HOST",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

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
    ///
    /// # Errors
    /// [`Error::Io`] if its Dockerfile cannot be read.
    pub(super) fn layout(&self, cache: &Cache, testbed: &Path) -> Result<PathBuf> {
        Ok(cache.image(self.name, &self.key(testbed)?))
    }

    /// What the image depends on. References are left out: another tag is no other image.
    fn key(&self, testbed: &Path) -> Result<String> {
        let mut hash = Sha256::new();
        hash.update(self.dockerfile(testbed)?);
        hash.update(format!("{:?}{:?}", self.inputs, self.arguments));
        for input in self.inputs {
            hash.update(input.version()?);
        }
        for name in self.from {
            hash.update(find(name)?.key(testbed)?);
        }
        Ok(hex::encode(&hash.finalize()[..8]))
    }

    /// Its Dockerfile. The one at the bottom gets the machine's settings, which the others inherit.
    pub(super) fn dockerfile(&self, testbed: &Path) -> Result<String> {
        let name = self.dockerfile.unwrap_or(self.name);
        let path = testbed.join("images").join(format!("{name}.Dockerfile"));
        let mut text = fs::read_to_string(&path).map_err(Error::io("read", &path))?;
        if matches!(self.inputs, [Input::Debian(_)]) {
            for name in ENVIRONMENT {
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

/// Adds every image to the storage of a registry. One that was not built yet is passed over.
///
/// # Errors
/// [`Error::Damaged`], [`Error::Io`].
pub fn add_all(cache: &Cache, testbed: &Path, storage: &Path) -> Result<()> {
    for recipe in RECIPES {
        let layout = recipe.layout(cache, testbed)?;
        if layout.exists() {
            oci::add(&layout, storage, recipe.references)?;
        }
    }
    Ok(())
}

/// The images that are not in the cache.
pub(super) fn missing(cache: &Cache, testbed: &Path) -> Result<Vec<&'static Recipe>> {
    let mut missing = Vec::new();
    for recipe in RECIPES {
        if !recipe.layout(cache, testbed)?.exists() {
            missing.push(recipe);
        }
    }
    Ok(missing)
}

fn find(name: &str) -> Result<&'static Recipe> {
    RECIPES
        .iter()
        .find(|recipe| recipe.name == name)
        .ok_or_else(|| Error::Usage(format!("there is no recipe `{name}` for a base image")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_recipe_builds_upon_earlier_ones() {
        for (position, recipe) in RECIPES.iter().enumerate() {
            for from in recipe.from {
                let found = RECIPES.iter().position(|other| other.name == *from);
                assert!(
                    found.is_some_and(|found| found < position),
                    "{} builds upon {from}",
                    recipe.name
                );
            }
        }
    }

    #[test]
    fn a_reference_names_one_recipe_and_has_a_tag() {
        let mut seen = BTreeSet::new();
        for reference in RECIPES.iter().flat_map(|recipe| recipe.references) {
            assert!(
                reference.contains(':') && seen.insert(reference),
                "{reference}"
            );
        }
    }

    #[test]
    fn every_recipe_has_a_dockerfile() {
        let testbed = Path::new(env!("CARGO_MANIFEST_DIR"));
        for recipe in RECIPES {
            assert!(
                recipe.dockerfile(testbed).unwrap().contains("FROM "),
                "{}",
                recipe.name
            );
        }
    }

    #[test]
    fn arguments_make_another_image() {
        let testbed = Path::new(env!("CARGO_MANIFEST_DIR"));
        let recipe = |arguments| Recipe {
            dockerfile: Some("node"),
            arguments,
            ..Recipe::EMPTY
        };
        assert_ne!(
            recipe(&[("NODE", "20")]).key(testbed).unwrap(),
            recipe(&[("NODE", "22")]).key(testbed).unwrap()
        );
    }
}
