//! Gitea: a forge with git over http, webhooks and an API, on SQLite.

use std::process::Command;
use std::time::Duration;

use super::server::{Context, Server, random_word};
use crate::command::run;
use crate::error::Result;
use crate::golang::GoModule;
use crate::health::{self, Health};

const USERNAME: &str = "pipeops";

const MODULE: GoModule = GoModule {
    name: "gitea",
    programs: &[("gitea", "code.gitea.io/gitea")],
    tags: "sqlite sqlite_unlock_notify",
    cgo: true,
    // Templates and translations are read from these folders, beside the program.
    assets: Some(("code.gitea.io/gitea", &["options", "public", "templates"])),
    ..GoModule::PLAIN
};

/// `gitea`.
#[derive(Debug)]
pub struct Gitea;

impl Server for Gitea {
    fn name(&self) -> &'static str {
        "gitea"
    }

    fn summary(&self) -> &'static str {
        "Gitea v1.26, a git server that sends webhooks to loopback addresses"
    }

    fn packages(&self) -> &'static [&'static str] {
        &["gcc", "git", "libc6-dev"]
    }

    fn modules(&self) -> &'static [&'static GoModule] {
        &[&MODULE]
    }

    fn start(&self, context: &Context<'_>) -> Result<()> {
        let password = random_word()?;
        context.write("password", &password)?;
        context.write("app.ini", configuration(context)?)?;
        context.spawn("gitea", command(context)?.arg("web"))?;
        context.await_healthy("gitea", Duration::from_secs(60), || self.health(context))?;
        let token = create_user(context, &password)?;
        context.write("token", token).map(drop)
    }

    fn health(&self, context: &Context<'_>) -> Health {
        let address = context.address("gitea")?;
        health::http(&address, "/api/healthz", &[200])
    }

    fn address(&self, context: &Context<'_>) -> Result<String> {
        Ok(format!("http://{}", context.address("gitea")?))
    }

    fn env(&self, context: &Context<'_>) -> Result<Vec<(&'static str, String)>> {
        Ok(vec![
            ("GITEA_URL", self.address(context)?),
            ("GITEA_USERNAME", USERNAME.to_owned()),
            ("GITEA_PASSWORD", context.read("password")?),
            ("GITEA_TOKEN", context.read("token")?),
        ])
    }
}

fn command(context: &Context<'_>) -> Result<Command> {
    let mut command = Command::new(context.program(&MODULE, "gitea")?);
    command
        .env("GITEA_I_AM_BEING_UNSAFE_RUNNING_AS_ROOT", "true")
        .env("GITEA_WORK_DIR", context.path(""))
        // Git reads the developer's own settings otherwise, and Gitea changes them.
        .env("HOME", context.create_directory("home")?)
        .arg("--config")
        .arg(context.path("app.ini"));
    Ok(command)
}

fn configuration(context: &Context<'_>) -> Result<String> {
    let address = context.address("gitea")?;
    Ok(format!(
        "APP_NAME = Testbed\nRUN_USER = root\nRUN_MODE = prod\nWORK_PATH = {work}\n\
         [server]\nHTTP_ADDR = 127.0.0.1\nHTTP_PORT = {port}\nROOT_URL = http://{address}/\nSTATIC_ROOT_PATH = {assets}\n\
         OFFLINE_MODE = true\nDISABLE_SSH = true\nLFS_START_SERVER = true\n\
         [database]\nDB_TYPE = sqlite3\nPATH = {work}/gitea.db\n\
         [security]\nINSTALL_LOCK = true\nSECRET_KEY = {secret}\n\
         [service]\nDISABLE_REGISTRATION = true\n\
         [webhook]\nALLOWED_HOST_LIST = loopback\n\
         [log]\nLEVEL = Warn\n\
         [cron.update_checker]\nENABLED = false\n",
        work = context.path("").display().to_string().trim_end_matches('/'),
        port = context.instance.port("gitea")?,
        assets = MODULE
            .directory(context.cache, &context.instance.testbed)?
            .display(),
        secret = random_word()?,
    ))
}

/// Creates the administrator and returns a token that may do everything.
fn create_user(context: &Context<'_>, password: &str) -> Result<String> {
    let create = "admin user create --admin --must-change-password=false --email pipeops@localhost.localdomain";
    run(command(context)?.args(create.split(' ')).args([
        "--username",
        USERNAME,
        "--password",
        password,
    ]))?;
    let generate = "admin user generate-access-token --raw --scopes all --token-name testbed";
    let token = run(command(context)?
        .args(generate.split(' '))
        .args(["--username", USERNAME]))?;
    Ok(token
        .lines()
        .next_back()
        .unwrap_or_default()
        .trim()
        .to_owned())
}
