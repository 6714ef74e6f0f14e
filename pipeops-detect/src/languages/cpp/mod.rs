//! C and C++.

pub(crate) mod build_file;
pub(crate) mod detect;
pub(crate) mod recipe;
pub(crate) mod sources;
