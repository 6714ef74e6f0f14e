//! Ruby.

pub(crate) mod detect;
pub(crate) mod gems;
pub(crate) mod recipe;
pub(crate) mod serve;
