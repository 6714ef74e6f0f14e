//! Go.

pub(crate) mod detect;
pub(crate) mod module;
pub(crate) mod program;
pub(crate) mod recipe;
pub(crate) mod sources;
