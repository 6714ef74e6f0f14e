//! Reads a repository: folders, files, and what they say about versions, ports and processes.

pub(crate) mod folder;
pub(crate) mod port;
pub(crate) mod procfile;
pub(crate) mod relaxed;
pub(crate) mod shell;
pub(crate) mod snapshot;
pub(crate) mod sources;
pub(crate) mod stand_in;
pub(crate) mod version;
pub(crate) mod writes;
pub(crate) mod yaml;
