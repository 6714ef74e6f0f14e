//! PHP.

pub(crate) mod composer;
pub(crate) mod detect;
pub(crate) mod recipe;
pub(crate) mod runtime;
