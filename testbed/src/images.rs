//! Base images, since the machine may have no public registry in reach: built once from `testbed/images/NAME.Dockerfile`,
//! kept as OCI layouts in the cache, and served by `registry` under the names that Dockerfiles use.
//!
//! [`RECIPES`] in `images/table.rs` is the table to extend.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

use crate::cache::{Cache, create_directory, remove_tree, write_file};
use crate::command::{run, run_long};
use crate::error::{Error, Result, describe};
use crate::golang::GoModule;
use crate::instance::Instance;
use crate::servers::{Context, Server, buildkit, registry};
use crate::{oci, packages, up};

mod table;

pub use table::RECIPES;

/// A base image: how it is made and what it is called.
#[derive(Debug)]
pub struct Recipe {
    /// Its name in the cache.
    pub name: &'static str,
    /// The Dockerfile, `testbed/images/….Dockerfile`, if it is not called as the image.
    pub dockerfile: Option<&'static str>,
    /// `repository:tag`, where `library/` is Docker Hub's own; names of other registries go without their host.
    pub references: &'static [&'static str],
    /// The recipes that its Dockerfile's `FROM` lines name. They come earlier in the table.
    pub from: &'static [&'static str],
    /// Files of this machine that its Dockerfile copies.
    pub inputs: &'static [Input],
    /// Build arguments.
    pub arguments: &'static [(&'static str, &'static str)],
}

/// A file or folder that is put into the build context.
#[derive(Debug)]
pub enum Input {
    /// A file of this machine.
    File(&'static str),
    /// A program built from a Go module.
    Program(&'static GoModule, &'static str),
    /// `rootfs.tar`: this release of Debian as debootstrap makes it, with this machine's package sources and authorities.
    Debian(&'static str),
    /// `go`: this machine's Go.
    Go,
    /// `rust`: this machine's Rust, what it takes to compile for this machine.
    Rust,
}

/// Debian packages that the recipes need on this machine.
pub const PACKAGES: &[&str] = &["busybox-static", "ca-certificates", "debootstrap"];

/// The one image without which nothing runs.
const PAUSE: &str = "pause";

/// The servers that build them.
pub const BUILDERS: &[&dyn Server] = &[&registry::Anonymous, &buildkit::BuildKit];

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

/// The instance that builds images has this suffix to the checkout's own; it exists while it builds.
pub const BUILDER: &str = "images";

impl Recipe {
    const EMPTY: Self = Self {
        name: "",
        dockerfile: None,
        references: &[],
        from: &[],
        inputs: &[],
        arguments: &[],
    };

    /// Where its OCI layout is, once built.
    ///
    /// # Errors
    /// [`Error::Io`] if its Dockerfile cannot be read.
    fn layout(&self, cache: &Cache, testbed: &Path) -> Result<PathBuf> {
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
    fn dockerfile(&self, testbed: &Path) -> Result<String> {
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

    fn build(&self, cache: &Cache, builder: &Instance) -> Result<()> {
        let layout = self.layout(cache, &builder.testbed)?;
        cache.publish(&layout, |output| {
            let context = builder.directory("contexts").join(self.name);
            create_directory(&context)?;
            for input in self.inputs {
                input.stage(cache, &builder.testbed, &context)?;
            }
            write_file(
                &context.join("Dockerfile"),
                self.dockerfile(&builder.testbed)?,
            )?;
            self.solve(cache, builder, &context, output)?;
            remove_tree(&context)
        })
    }

    fn solve(
        &self,
        cache: &Cache,
        builder: &Instance,
        context: &Path,
        output: &Path,
    ) -> Result<()> {
        let daemon = Context::new(cache, builder, &buildkit::BuildKit);
        let mut build = Command::new(daemon.program(&buildkit::MODULE, "buildctl")?);
        build
            .args(["--addr", &buildkit::BuildKit.address(&daemon)?])
            .args(["build", "--progress=plain", "--frontend=dockerfile.v0"])
            .arg(format!("--local=context={}", context.display()))
            .arg(format!("--local=dockerfile={}", context.display()))
            // They are read on this machine only: the time to compress them counts for more than their size.
            .arg(format!(
                "--output=type=oci,tar=false,compression=gzip,compression-level=1,dest={}",
                output.display()
            ));
        for (name, value) in self.arguments {
            build.arg(format!("--opt=build-arg:{name}={value}"));
        }
        let log = builder
            .directory("contexts")
            .join(format!("{}.log", self.name));
        run_long(&format!("image {}", self.name), &log, &mut build)
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

    fn stage(&self, cache: &Cache, testbed: &Path, context: &Path) -> Result<()> {
        let copy = |source: &Path| {
            run(Command::new("cp")
                .args(["--recursive", "--dereference"])
                .arg(source)
                .arg(context))
            .map(drop)
        };
        match self {
            Self::File(path) => copy(Path::new(path)),
            Self::Program(module, name) => copy(&module.directory(cache, testbed)?.join(name)),
            Self::Debian(suite) => stage_debian(context, suite),
            Self::Go => {
                let root = run(Command::new("go").args(["env", "GOROOT"]))?;
                run(Command::new("cp")
                    .arg("-rT")
                    .arg(root.trim())
                    .arg(context.join("go")))
                .map(drop)
            }
            Self::Rust => stage_rust(context),
        }
    }
}

const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Builds the images that are not in the cache, with a BuildKit and a registry that exist only meanwhile. One that fails is
/// reported and left out.
///
/// # Errors
/// If the two do not start, or the image fails without which no pod runs.
pub fn build_missing(cache: &Cache, testbed: &Path) -> Result<()> {
    if missing(cache, testbed)?.is_empty() {
        return Ok(());
    }
    let builder = Instance::claim(cache, testbed, BUILDER)?;
    let _lock = builder.lock()?;
    // What an interrupted build left behind; and another process may have built them all while this one waited.
    up::clear(cache, &builder)?;
    let missing = missing(cache, testbed)?;
    if missing.is_empty() {
        return builder.release();
    }
    let built = build_with(cache, &builder, &missing);
    let cleared = up::clear(cache, &builder).and_then(|()| builder.release());
    built.and(cleared)
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

fn missing(cache: &Cache, testbed: &Path) -> Result<Vec<&'static Recipe>> {
    let mut missing = Vec::new();
    for recipe in RECIPES {
        if !recipe.layout(cache, testbed)?.exists() {
            missing.push(recipe);
        }
    }
    Ok(missing)
}

fn build_with(cache: &Cache, builder: &Instance, recipes: &[&'static Recipe]) -> Result<()> {
    for server in BUILDERS {
        up::start(cache, builder, *server)?;
    }
    let storage = Context::new(cache, builder, &registry::Anonymous).path("storage");
    for recipe in recipes {
        match recipe.build(cache, builder) {
            // The registry reads its storage on each request: the next recipe can build upon this one.
            Ok(()) => oci::add(
                &recipe.layout(cache, &builder.testbed)?,
                &storage,
                recipe.references,
            )?,
            Err(error) if recipe.name == PAUSE => return Err(error),
            // A package registry may be out of reach today. Most tests do not need this image.
            Err(error) => eprintln!("warning: the next `up` tries again: {}", describe(&error)),
        }
    }
    Ok(())
}

fn find(name: &str) -> Result<&'static Recipe> {
    RECIPES
        .iter()
        .find(|recipe| recipe.name == name)
        .ok_or_else(|| Error::Usage(format!("there is no recipe `{name}` for a base image")))
}

/// debootstrap's tree, with package sources and certificate authorities as this machine has them. The machine is a Debian 12.
fn stage_debian(context: &Path, suite: &str) -> Result<()> {
    let root = context.join("rootfs");
    let mut bootstrap = Command::new("debootstrap");
    bootstrap
        .args(["--variant=minbase", "--include=ca-certificates", suite])
        .arg(&root)
        .arg(packages::mirror());
    run_long(
        &format!("image {suite}: debootstrap"),
        &context.join("debootstrap.log"),
        &mut bootstrap,
    )?;
    run(Command::new("sh")
        .args(["-c", FINISH_DEBIAN, "sh"])
        .arg(&root)
        .arg(suite))
    .map(drop)
}

const FINISH_DEBIAN: &str = r#"set -e
    cp /etc/ssl/certs/ca-certificates.crt "$1/etc/ssl/certs/ca-certificates.crt"
    if test -e /etc/apt/sources.list.d/debian.sources; then
        sed "s/bookworm/$2/g" /etc/apt/sources.list.d/debian.sources > "$1/etc/apt/sources.list.d/debian.sources"
        rm -f "$1/etc/apt/sources.list"
    fi
    rm -rf "$1"/var/cache/apt/* "$1"/var/lib/apt/lists/* "$1"/usr/share/doc/* "$1"/usr/share/locale/* "$1"/var/log/*
    tar --create --file "$1.tar" --directory "$1" --numeric-owner .
    rm -rf "$1""#;

/// The compiler, cargo and the standard library, without documentation and other targets.
fn stage_rust(context: &Path) -> Result<()> {
    run(Command::new("sh")
        .args(["-c", COPY_RUST, "sh"])
        .arg(context))
    .map(drop)
}

const COPY_RUST: &str = r#"set -e
    root=$(rustc --print sysroot)
    target=$(rustc --print host-tuple)
    mkdir -p "$1/rust/bin" "$1/rust/lib/rustlib/$target"
    cp "$root/bin/rustc" "$root/bin/cargo" "$1/rust/bin/"
    cp -a "$root"/lib/lib* "$1/rust/lib/"
    cp -a "$root/lib/rustlib/$target/lib" "$root/lib/rustlib/$target/bin" "$1/rust/lib/rustlib/$target/""#;

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
