//! What a base image is made of.

use crate::golang::GoModule;

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

/// The one image without which nothing runs.
pub(super) const PAUSE: &str = "pause";

impl Recipe {
    pub(super) const EMPTY: Self = Self {
        name: "",
        dockerfile: None,
        references: &[],
        from: &[],
        inputs: &[],
        arguments: &[],
    };
}
