//! The folder in which this machine keeps projects and deployments.

use std::path::PathBuf;

use pipeops::core::Diagnosis;
use pipeops::runner::SqliteStore;

use crate::output::CommandError;
use crate::pages::DATA_FOLDER;

/// The folder of the database.
#[derive(Debug, Clone, clap::Args)]
pub struct DataArgs {
    /// Folder of the database and its key [default: ~/.local/share/pipeops]
    #[arg(long = "data", env = "PIPEOPS_DATA", value_name = "DIR", global = true)]
    dir: Option<PathBuf>,
}

impl DataArgs {
    /// The folder. Creates it if it does not exist.
    pub fn dir(&self) -> Result<PathBuf, CommandError> {
        let unusable = |error| Diagnosis::new(&DATA_FOLDER).error(error);
        let dir = self.dir.clone().or_else(default_dir).ok_or_else(|| {
            CommandError::bad_input(unusable("neither HOME nor XDG_DATA_HOME is set".to_owned()))
        })?;
        std::fs::create_dir_all(&dir).map_err(|error| {
            CommandError::failed(unusable(format!("{}: {error}", dir.display())))
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
