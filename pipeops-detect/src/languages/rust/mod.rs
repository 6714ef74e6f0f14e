//! Rust.

pub(crate) mod detect;
pub(crate) mod manifest;
pub(crate) mod port;
pub(crate) mod recipe;
pub(crate) mod sqlx;
pub(crate) mod subcommand;
pub(crate) mod system;
pub(crate) mod toolchain;
