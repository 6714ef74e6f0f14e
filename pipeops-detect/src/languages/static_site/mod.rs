//! Static sites.

pub(crate) mod detect;
pub(crate) mod recipe;
