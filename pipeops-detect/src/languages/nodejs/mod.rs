//! JavaScript and TypeScript on Node.js and Bun.

pub(crate) mod app;
pub(crate) mod builders;
pub(crate) mod called;
pub(crate) mod command;
pub(crate) mod config;
pub(crate) mod detect;
pub(crate) mod entry;
pub(crate) mod frameworks;
pub(crate) mod frontend;
pub(crate) mod glob;
pub(crate) mod kind;
pub(crate) mod loose;
pub(crate) mod manager;
pub(crate) mod member;
pub(crate) mod nx;
pub(crate) mod package;
pub(crate) mod ports;
pub(crate) mod recipe;
pub(crate) mod serves;
pub(crate) mod site;
pub(crate) mod stand_ins;
pub(crate) mod start;
pub(crate) mod version;
pub(crate) mod workspace;
