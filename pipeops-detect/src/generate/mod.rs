//! The shared parts of all recipes: the text of a Dockerfile, base images, build secrets, ignored files.

pub(crate) mod app;
pub(crate) mod data;
pub(crate) mod debian;
pub(crate) mod error;
pub(crate) mod ignore;
pub(crate) mod images;
pub(crate) mod place;
pub(crate) mod program;
pub(crate) mod script;
pub(crate) mod secret;
pub(crate) mod secrets;
pub(crate) mod server_config;
pub(crate) mod start;
