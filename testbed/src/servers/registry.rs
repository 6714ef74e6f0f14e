//! Two instances of Debian's docker-registry: one without a login, which serves the base images, and one with a login.

use std::process::Command;
use std::time::Duration;

use super::server::{Context, Server, random_word};
use crate::command::run;
use crate::error::Result;
use crate::health::{self, Health};
use crate::images::layouts;

const LIMIT: Duration = Duration::from_secs(20);
const USERNAME: &str = "pipeops";

/// `registry`: anyone may push and pull.
#[derive(Debug)]
pub struct Anonymous;

impl Server for Anonymous {
    fn name(&self) -> &'static str {
        "registry"
    }

    fn summary(&self) -> &'static str {
        "docker-registry without a login; serves the base images"
    }

    fn packages(&self) -> &'static [&'static str] {
        &["docker-registry"]
    }

    /// Those without which no pod runs and few Dockerfiles build. They take seconds; `images` builds the others.
    fn images(&self) -> &'static [&'static str] {
        &["pause:1", "busybox:1", "docker/dockerfile:1"]
    }

    fn start(&self, context: &Context<'_>) -> Result<()> {
        serve(context, "")?;
        self.refresh(context)?;
        context.await_healthy("docker-registry", LIMIT, || self.health(context))
    }

    /// Adds the base images that are not there yet. The registry reads its storage on each request.
    fn refresh(&self, context: &Context<'_>) -> Result<()> {
        let storage = context.path("storage");
        layouts::add_all(context.cache, &context.instance.testbed, &storage)
    }

    fn health(&self, context: &Context<'_>) -> Health {
        let address = self.address(context)?;
        health::http(&address, "/v2/", &[200])
    }

    fn address(&self, context: &Context<'_>) -> Result<String> {
        context.address(self.name())
    }

    fn env(&self, context: &Context<'_>) -> Result<Vec<(&'static str, String)>> {
        Ok(vec![("REGISTRY", self.address(context)?)])
    }
}

/// `registry-auth`: pushing and pulling need a user name and a password.
#[derive(Debug)]
pub struct Authenticated;

impl Server for Authenticated {
    fn name(&self) -> &'static str {
        "registry-auth"
    }

    fn summary(&self) -> &'static str {
        "docker-registry with a login"
    }

    fn packages(&self) -> &'static [&'static str] {
        &["apache2-utils", "docker-registry"]
    }

    fn start(&self, context: &Context<'_>) -> Result<()> {
        let password = random_word()?;
        context.write("password", &password)?;
        let line = run(Command::new("htpasswd").args(["-Bbn", USERNAME, &password]))?;
        let file = context.write("htpasswd", line)?;
        let auth = format!(
            "auth: {{htpasswd: {{realm: testbed, path: {}}}}}\n",
            file.display()
        );
        serve(context, &auth)?;
        context.await_healthy("docker-registry", LIMIT, || self.health(context))
    }

    fn health(&self, context: &Context<'_>) -> Health {
        let address = self.address(context)?;
        health::http(&address, "/v2/", &[401])
    }

    fn address(&self, context: &Context<'_>) -> Result<String> {
        context.address(self.name())
    }

    fn env(&self, context: &Context<'_>) -> Result<Vec<(&'static str, String)>> {
        Ok(vec![
            ("REGISTRY_AUTH", self.address(context)?),
            ("REGISTRY_AUTH_USERNAME", USERNAME.to_owned()),
            ("REGISTRY_AUTH_PASSWORD", context.read("password")?),
        ])
    }
}

fn serve(context: &Context<'_>, auth: &str) -> Result<()> {
    let config = format!(
        "version: 0.1\nlog: {{level: warn, accesslog: {{disabled: true}}}}\n\
         storage: {{filesystem: {{rootdirectory: {storage}}}, delete: {{enabled: true}}}}\n\
         http: {{addr: '{address}', secret: {secret}}}\n{auth}",
        storage = context.create_directory("storage")?.display(),
        address = context.address(context.server)?,
        secret = random_word()?,
    );
    let path = context.write("config.yml", config)?;
    context
        .spawn(
            "docker-registry",
            Command::new("docker-registry").arg("serve").arg(path),
        )
        .map(drop)
}
