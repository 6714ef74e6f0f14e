//! Python.

pub(crate) mod detect;
pub(crate) mod django;
pub(crate) mod frameworks;
pub(crate) mod install;
pub(crate) mod libraries;
pub(crate) mod manager;
pub(crate) mod packages;
pub(crate) mod paths;
pub(crate) mod ports;
pub(crate) mod recipe;
pub(crate) mod serve;
pub(crate) mod source;
pub(crate) mod start;
pub(crate) mod version;
pub(crate) mod workspace;
