//! One file for each command.

pub mod base_images;
pub mod build;
pub mod cache;
pub mod deploy;
pub mod detect;
pub mod dockerfile;
pub mod doctor;
pub mod files;
pub mod manifests;
pub mod project;
pub mod rollout;
pub mod serve;

use std::path::PathBuf;

use pipeops::core::Diagnosis;
use pipeops::runner::SqliteStore;

use crate::output::CommandError;

/// Where this machine keeps projects and deployments.
#[derive(Debug, Clone, clap::Args)]
pub struct DataArgs {
    /// The folder of the database and its key
    #[arg(long = "data", env = "PIPEOPS_DATA", value_name = "DIR", global = true)]
    dir: Option<PathBuf>,
}

impl DataArgs {
    /// The folder, created if it is not there.
    pub fn dir(&self) -> Result<PathBuf, CommandError> {
        let dir = self.dir.clone().or_else(default_dir).ok_or_else(|| {
            CommandError::bad_input(
                Diagnosis::new("No folder for the database")
                    .error("neither HOME nor XDG_DATA_HOME is set")
                    .fix("Name one: pipeops --data DIR, or PIPEOPS_DATA=DIR"),
            )
        })?;
        std::fs::create_dir_all(&dir).map_err(|error| {
            CommandError::failed(
                Diagnosis::new("Cannot create the folder of the database")
                    .error(format!("{}: {error}", dir.display()))
                    .fix("Name a folder that you may write: pipeops --data DIR"),
            )
        })?;
        Ok(dir)
    }

    /// The database.
    pub fn open(&self) -> Result<SqliteStore, CommandError> {
        Ok(SqliteStore::open(self.dir()?.join("pipeops.db"))?)
    }
}

/// `$XDG_DATA_HOME/pipeops`, or `~/.local/share/pipeops`.
fn default_dir() -> Option<PathBuf> {
    let set = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let base = set("XDG_DATA_HOME").or_else(|| Some(std::env::home_dir()?.join(".local/share")));
    base.map(|base| base.join("pipeops"))
}
