//! BuildKit's daemon on a unix socket. Docker Hub and its like are mapped to the local registry, so that `FROM
//! python:3.12-slim` finds a base image without the internet.

use std::process::Command;
use std::time::Duration;

use super::server::{Context, Server, probe};
use crate::cgroup;
use crate::emulation;
use crate::error::Result;
use crate::golang::{self, GoModule};
use crate::health::Health;

/// Registries whose images come from the local one, or are built by `images`.
const MIRRORED: [&str; 6] = [
    "docker.io",
    "gcr.io",
    "ghcr.io",
    "mcr.microsoft.com",
    "public.ecr.aws",
    "quay.io",
];

/// Below the instance's control group, the one for build steps.
const CGROUP: &str = "build";

/// `buildkit`.
#[derive(Debug)]
pub struct BuildKit;

impl Server for BuildKit {
    fn name(&self) -> &'static str {
        "buildkit"
    }

    fn summary(&self) -> &'static str {
        "buildkitd v0.34 with an OCI worker, for amd64 and (emulated) arm64"
    }

    fn needs(&self) -> &'static [&'static str] {
        &["registry", "images"]
    }

    fn packages(&self) -> &'static [&'static str] {
        &["ca-certificates", "git", "runc", emulation::PACKAGE]
    }

    fn modules(&self) -> &'static [&'static GoModule] {
        &[&golang::BUILDKIT]
    }

    fn start(&self, context: &Context<'_>) -> Result<()> {
        let config = context.write("buildkitd.toml", config(context)?)?;
        emulation::unregister(&context.instance.id);
        let mut daemon = Command::new(context.program(&golang::BUILDKIT, "buildkitd")?);
        daemon.arg("--config").arg(config);
        let daemon = emulation::with_emulation(&context.instance.id, &daemon);
        // Its own namespaces: a killed daemon takes the containers of its build steps along.
        context.spawn_in_namespace("buildkitd", None, &daemon)?;
        context.await_healthy("buildkitd", Duration::from_secs(30), || {
            self.health(context)
        })
    }

    fn health(&self, context: &Context<'_>) -> Health {
        let buildctl = context.program(&golang::BUILDKIT, "buildctl")?;
        let address = self.address(context)?;
        let workers = ["--timeout", "2", "debug", "workers"];
        probe(
            Command::new(buildctl)
                .args(["--addr", &address])
                .args(workers),
        )
    }

    fn address(&self, context: &Context<'_>) -> Result<String> {
        Ok(format!(
            "unix://{}",
            context.instance.socket("buildkitd").display()
        ))
    }

    fn env(&self, context: &Context<'_>) -> Result<Vec<(&'static str, String)>> {
        let programs = golang::BUILDKIT.directory(context.cache, &context.instance.testbed)?;
        let program = |name| programs.join(name).display().to_string();
        Ok(vec![
            ("BUILDKIT_HOST", self.address(context)?),
            ("BUILDCTL", program("buildctl")),
            ("BUILDKITD", program("buildkitd")),
        ])
    }

    fn clean(&self, context: &Context<'_>) {
        cgroup::remove(&context.instance.id, CGROUP);
        emulation::unregister(&context.instance.id);
    }
}

fn config(context: &Context<'_>) -> Result<String> {
    let registry = context.address("registry")?;
    let mut text = format!(
        "root = \"{root}\"\n\
         [grpc]\naddress = [\"unix://{socket}\"]\n\
         [worker.oci]\nenabled = true\ndefaultCgroupParent = \"{cgroup}\"\n\
         [worker.containerd]\nenabled = false\n\
         [cdi]\ndisabled = true\n",
        root = context.path("root").display(),
        socket = context.instance.socket("buildkitd").display(),
        cgroup = cgroup::path(&context.instance.id, CGROUP),
    );
    let images = context.address("images")?;
    for address in [&registry, &images, &context.address("registry-auth")?] {
        text.push_str(&format!("[registry.\"{address}\"]\nhttp = true\n"));
    }
    for host in MIRRORED {
        text.push_str(&format!(
            "[registry.\"{host}\"]\nmirrors = [\"{registry}\", \"{images}\"]\n"
        ));
    }
    Ok(text)
}
