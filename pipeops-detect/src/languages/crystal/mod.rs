//! Crystal.

pub(crate) mod detect;
pub(crate) mod recipe;
