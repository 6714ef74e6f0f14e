//! Base images on demand: a small server that builds an image when BuildKit does not find it in `registry`.

use std::process::Command;
use std::time::Duration;

use super::server::{Context, Server};
use crate::error::{Error, Result};
use crate::health::{self, Health};

/// The hidden subcommand of this program that is the server. It is a process of its own: `up` ends before it is needed.
pub const SUBCOMMAND: &str = "serve-images";

/// `images`.
#[derive(Debug)]
pub struct Images;

impl Server for Images {
    fn name(&self) -> &'static str {
        "images"
    }

    fn summary(&self) -> &'static str {
        "builds a base image when BuildKit first asks for it"
    }

    fn needs(&self) -> &'static [&'static str] {
        &["registry"]
    }

    fn packages(&self) -> &'static [&'static str] {
        &["busybox-static", "ca-certificates", "debootstrap"]
    }

    fn start(&self, context: &Context<'_>) -> Result<()> {
        let program = std::env::current_exe().map_err(|source| Error::Spawn {
            program: SUBCOMMAND.to_owned(),
            source,
        })?;
        let mut server = Command::new(program);
        // Builds depend on settings of the environment, such as proxies.
        server.arg(SUBCOMMAND).envs(std::env::vars_os());
        context.spawn("images", &server)?;
        context.await_healthy("images", Duration::from_secs(20), || self.health(context))
    }

    /// The table of images may have changed.
    fn refresh(&self, context: &Context<'_>) -> Result<()> {
        context.instance.end_processes(self.name())?;
        self.start(context)
    }

    fn health(&self, context: &Context<'_>) -> Health {
        let address = self.address(context)?;
        health::http(&address, "/v2/", &[200])
    }

    fn address(&self, context: &Context<'_>) -> Result<String> {
        context.address(self.name())
    }
}
