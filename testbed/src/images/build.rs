//! Building base images, with a BuildKit and a registry that exist only meanwhile.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::layouts::{COPY_RUST, FINISH_DEBIAN, missing};
use super::recipe::{Input, Recipe};
use crate::cache::{Cache, create_directory, remove_tree, write_file};
use crate::command::{run, run_long};
use crate::error::{Error, Result};
use crate::instance::Instance;
use crate::servers::server::{Context, Server};
use crate::servers::{buildkit, registry};
use crate::{golang, lifecycle, oci, packages};

/// The servers that build them.
pub const BUILDERS: &[&dyn Server] = &[&registry::Anonymous, &buildkit::BuildKit];

/// The instance that builds images has this suffix to the checkout's own; it exists while it builds.
pub const BUILDER: &str = "images";

/// The folder with the build contexts and logs.
const CONTEXTS: &str = "contexts";

/// Builds these images, and first those that they stand on, unless they are in the cache.
pub fn build(cache: &Cache, testbed: &Path, recipes: &[&'static Recipe]) -> Result<()> {
    if missing(cache, testbed, recipes)?.is_empty() {
        return Ok(());
    }
    let (builder, _lock) = Instance::claim_and_lock(cache, testbed, BUILDER)?;
    // What an interrupted build left behind.
    lifecycle::clear(cache, &builder)?;
    remove_tree(&builder.directory(CONTEXTS))?;
    let built = build_missing(cache, &builder, recipes);
    let cleared = lifecycle::clear(cache, &builder).and_then(|()| builder.release());
    built.and(cleared)
}

fn build_missing(cache: &Cache, builder: &Instance, recipes: &[&'static Recipe]) -> Result<()> {
    // Another process may have built them all while this one waited for the lock.
    let missing = missing(cache, &builder.testbed, recipes)?;
    if missing.is_empty() {
        return Ok(());
    }
    for server in BUILDERS {
        lifecycle::start(cache, builder, *server)?;
    }
    let storage = Context::new(cache, builder, &registry::Anonymous).path("storage");
    let mut errors = Vec::new();
    for recipe in missing {
        // The registry reads its storage on each request: the next recipe can stand on this one.
        let built = recipe.build(cache, builder);
        let added = built.and_then(|layout| oci::add(&layout, &storage, &recipe.references));
        errors.extend(added.err());
    }
    Error::all(errors)
}

impl Recipe {
    fn build(&self, cache: &Cache, builder: &Instance) -> Result<PathBuf> {
        let layout = self.layout(cache, &builder.testbed)?;
        cache.publish(&layout, |output| {
            let context = builder.directory(CONTEXTS).join(&self.name);
            create_directory(&context)?;
            for input in &self.inputs {
                input.stage(cache, &builder.testbed, &context)?;
            }
            write_file(&context.join("Dockerfile"), self.text(&builder.testbed)?)?;
            self.solve(cache, builder, &context, output)?;
            for base in self.bases(&builder.testbed)? {
                oci::share(output, &base.layout(cache, &builder.testbed)?)?;
            }
            remove_tree(&context)
        })?;
        Ok(layout)
    }

    fn solve(
        &self,
        cache: &Cache,
        builder: &Instance,
        context: &Path,
        output: &Path,
    ) -> Result<()> {
        let daemon = Context::new(cache, builder, &buildkit::BuildKit);
        let mut build = Command::new(daemon.program(&golang::BUILDKIT, "buildctl")?);
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
        for (name, value) in &self.arguments {
            build.arg(format!("--opt=build-arg:{name}={value}"));
        }
        let log = builder
            .directory(CONTEXTS)
            .join(format!("{}.log", self.name));
        run_long(&format!("image {}", self.name), &log, &mut build)
    }
}

impl Input {
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

/// debootstrap's tree, with package sources and certificate authorities as this machine has them. The machine is a Debian 12.
fn stage_debian(context: &Path, suite: &str) -> Result<()> {
    let root = context.join("rootfs");
    run_long(
        &format!("image {suite}: debootstrap"),
        &context.join("debootstrap.log"),
        &mut debootstrap(&root, suite),
    )?;
    run(Command::new("sh")
        .args(["-c", FINISH_DEBIAN, "sh"])
        .arg(&root)
        .arg(suite))
    .map(drop)
}

/// debootstrap mounts file systems in the tree. In a mount namespace these end with it, also when it is killed.
fn debootstrap(root: &Path, suite: &str) -> Command {
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "debootstrap", "--variant=minbase"])
        .args(["--include=ca-certificates", suite])
        .arg(root)
        .arg(packages::mirror());
    command
}

/// The compiler, cargo and the standard library, without documentation and other targets.
fn stage_rust(context: &Path) -> Result<()> {
    run(Command::new("sh")
        .args(["-c", COPY_RUST, "sh"])
        .arg(context))
    .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_debootstrap_mounts_ends_with_it() {
        let command = debootstrap(Path::new("/root"), "trixie");
        assert_eq!(command.get_program(), "unshare");
        let arguments: Vec<_> = command.get_args().take(2).collect();
        assert_eq!(arguments, ["--mount", "debootstrap"]);
    }
}
