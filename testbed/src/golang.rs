//! Programs built from Go modules, each with a go.mod under `testbed/go`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

use crate::cache::Cache;
use crate::command::{run, run_long};
use crate::error::{Error, Result};

/// A Go module under `testbed/go/NAME` and the programs that are built from it.
#[derive(Debug)]
pub struct GoModule {
    /// The name of its folder.
    pub name: &'static str,
    /// Programs: the file name and the package. With several, each file is named as its package.
    pub programs: &'static [(&'static str, &'static str)],
    /// Build tags, as `go build -tags` takes them.
    pub tags: &'static str,
    /// Linker flags beside `-s -w`.
    pub linker_flags: &'static str,
    /// Whether a C compiler is needed.
    pub cgo: bool,
    /// Folders of the module `.0` that are copied beside the programs.
    pub assets: Option<(&'static str, &'static [&'static str])>,
}

/// The daemon, its client, and the Dockerfile frontend that `# syntax=docker/dockerfile:1` asks for.
pub const BUILDKIT: GoModule = GoModule {
    name: "buildkit",
    programs: &[
        ("buildctl", "github.com/moby/buildkit/cmd/buildctl"),
        ("buildkitd", "github.com/moby/buildkit/cmd/buildkitd"),
        (
            "dockerfile-frontend",
            "github.com/moby/buildkit/frontend/dockerfile/cmd/dockerfile-frontend",
        ),
    ],
    ..GoModule::PLAIN
};

impl GoModule {
    /// A module without tags, flags, C or assets; for `..GoModule::PLAIN`.
    pub const PLAIN: Self = Self {
        name: "",
        programs: &[],
        tags: "",
        linker_flags: "",
        cgo: false,
        assets: None,
    };

    /// Where its programs are, once built.
    pub fn directory(&self, cache: &Cache, testbed: &Path) -> Result<PathBuf> {
        Ok(cache.programs(self.name, &self.key(&self.folder(testbed))?))
    }

    /// Builds the programs unless they are in the cache.
    pub fn build(&self, cache: &Cache, testbed: &Path) -> Result<PathBuf> {
        let target = self.directory(cache, testbed)?;
        if !target.exists() {
            check_go()?;
            cache.publish(&target, |directory| {
                self.fill(&self.folder(testbed), directory)
            })?;
        }
        Ok(target)
    }

    fn folder(&self, testbed: &Path) -> PathBuf {
        testbed.join("go").join(self.name)
    }

    /// What the result depends on: versions, checksums and flags. Go itself is left out: a newer one gives the same servers.
    /// The name in a module's own first line means nothing; to change it would only build everything again.
    fn key(&self, folder: &Path) -> Result<String> {
        let mut hash = Sha256::new();
        for name in ["go.mod", "go.sum"] {
            let path = folder.join(name);
            hash.update(fs::read(&path).map_err(Error::io("read", &path))?);
        }
        hash.update(format!("{self:?} {}", std::env::consts::ARCH));
        Ok(hex::encode(&hash.finalize()[..8]))
    }

    fn fill(&self, folder: &Path, directory: &Path) -> Result<()> {
        let output = match self.programs {
            [(name, _)] => directory.join(name),
            // With several packages `go build` wants a directory, known by its slash at the end.
            _ => directory.join(""),
        };
        let mut build = Command::new("go");
        build
            .current_dir(folder)
            .env("CGO_ENABLED", if self.cgo { "1" } else { "0" })
            .args(["build", "-mod=readonly", "-trimpath", "-tags", self.tags])
            .arg(format!("-ldflags=-s -w {}", self.linker_flags))
            .arg("-o")
            .arg(output)
            .args(self.programs.iter().map(|(_, package)| package));
        run_long(
            &format!("{}: go build", self.name),
            &directory.join("build.log"),
            &mut build,
        )?;
        self.copy_assets(folder, directory)
    }

    fn copy_assets(&self, folder: &Path, directory: &Path) -> Result<()> {
        let Some((module, assets)) = self.assets else {
            return Ok(());
        };
        let source = run(Command::new("go")
            .current_dir(folder)
            .args(["list", "-m", "-f", "{{.Dir}}", module]))?;
        for asset in assets {
            // The module cache is read-only, files and folders; the copy must be removable.
            run(Command::new("cp")
                .args(["--recursive", "--no-preserve=mode"])
                .arg(Path::new(source.trim()).join(asset))
                .arg(directory))?;
        }
        Ok(())
    }
}

fn check_go() -> Result<()> {
    run(Command::new("go").arg("version"))
        .map(drop)
        .map_err(|_| Error::Machine {
            what: "the servers are built from Go modules, but `go` is not in PATH".to_owned(),
            fix: "install Go 1.26 or newer: https://go.dev/doc/install".to_owned(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODULE: GoModule = GoModule {
        name: "m",
        ..GoModule::PLAIN
    };

    fn folder(sum: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("go.mod"), "module m").unwrap();
        fs::write(folder.path().join("go.sum"), sum).unwrap();
        folder
    }

    #[test]
    fn the_key_follows_checksums_and_flags() {
        let one = folder("one");
        let key = MODULE.key(one.path()).unwrap();
        assert_eq!(key, MODULE.key(folder("one").path()).unwrap());
        assert_ne!(key, MODULE.key(folder("two").path()).unwrap());
        let tagged = GoModule {
            tags: "sqlite",
            ..MODULE
        };
        assert_ne!(key, tagged.key(one.path()).unwrap());
    }
}
