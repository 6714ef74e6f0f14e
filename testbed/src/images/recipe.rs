//! What a base image is made of.

use std::fmt::Display;

use crate::golang::GoModule;

/// A base image: how it is made and what it is called.
#[derive(Debug, Default)]
pub struct Recipe {
    /// Its name in the cache.
    pub name: String,
    /// `NAME` of `testbed/images/NAME.Dockerfile`. The images that its `FROM` lines name are built first.
    pub dockerfile: String,
    /// `repository:tag`. `library/` is Docker Hub's own; names of other registries have no host.
    pub references: Vec<String>,
    /// Files of this machine that its Dockerfile copies.
    pub inputs: Vec<Input>,
    /// Build arguments.
    pub arguments: Vec<(&'static str, String)>,
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
    /// `rust`: this machine's compiler, cargo and standard library.
    Rust,
}

impl Recipe {
    /// A recipe whose Dockerfile has its name.
    pub fn new(name: impl Into<String>) -> Self {
        let name = name.into();
        Self {
            dockerfile: name.clone(),
            name,
            ..Self::default()
        }
    }

    /// Sets the Dockerfile.
    pub fn dockerfile(mut self, name: &str) -> Self {
        name.clone_into(&mut self.dockerfile);
        self
    }

    /// Adds names: a repository and its tags, with spaces between.
    pub fn named(mut self, repository: &str, tags: &str) -> Self {
        let tags = tags.split_whitespace();
        self.references
            .extend(tags.map(|tag| format!("{repository}:{tag}")));
        self
    }

    /// Adds an input.
    pub fn input(mut self, input: Input) -> Self {
        self.inputs.push(input);
        self
    }

    /// Adds a build argument.
    pub fn argument(mut self, name: &'static str, value: impl Display) -> Self {
        self.arguments.push((name, value.to_string()));
        self
    }
}
