//! S3 over a folder, by the Versity gateway. It checks signatures.

use std::process::Command;
use std::time::Duration;

use super::server::{Context, Server, random_word};
use crate::error::Result;
use crate::golang::GoModule;
use crate::health::{self, Health};

const BUCKET: &str = "pipeops";
const REGION: &str = "us-east-1";
const ACCESS_KEY: &str = "pipeops";

const MODULE: GoModule = GoModule {
    name: "versitygw",
    programs: &[("versitygw", "github.com/versity/versitygw/cmd/versitygw")],
    ..GoModule::PLAIN
};

/// `s3`.
#[derive(Debug)]
pub struct VersityGateway;

impl Server for VersityGateway {
    fn name(&self) -> &'static str {
        "s3"
    }

    fn summary(&self) -> &'static str {
        "Versity S3 gateway v1.8 with one bucket"
    }

    fn modules(&self) -> &'static [&'static GoModule] {
        &[&MODULE]
    }

    fn start(&self, context: &Context<'_>) -> Result<()> {
        let secret = random_word()?;
        context.write("secret", &secret)?;
        // Each folder of its root is a bucket.
        context.create_directory(&format!("root/{BUCKET}"))?;
        let mut gateway = Command::new(context.program(&MODULE, "versitygw")?);
        gateway
            .env("ROOT_ACCESS_KEY", ACCESS_KEY)
            .env("ROOT_SECRET_KEY", secret)
            .args(["--port", &context.address("s3")?, "--region", REGION])
            .args(["--health", "/health", "--quiet", "posix"])
            .arg(context.path("root"));
        context.spawn("versitygw", &gateway)?;
        context.await_healthy("versitygw", Duration::from_secs(20), || {
            self.health(context)
        })
    }

    fn health(&self, context: &Context<'_>) -> Health {
        let address = context.address("s3")?;
        health::http(&address, "/health", &[200])
    }

    fn address(&self, context: &Context<'_>) -> Result<String> {
        Ok(format!("http://{}", context.address("s3")?))
    }

    fn env(&self, context: &Context<'_>) -> Result<Vec<(&'static str, String)>> {
        Ok(vec![
            ("S3_ENDPOINT", self.address(context)?),
            ("S3_BUCKET", BUCKET.to_owned()),
            ("S3_REGION", REGION.to_owned()),
            ("S3_ACCESS_KEY_ID", ACCESS_KEY.to_owned()),
            ("S3_SECRET_ACCESS_KEY", context.read("secret")?),
        ])
    }
}
