//! Scala, built by sbt or Mill.

pub(crate) mod detect;
pub(crate) mod recipe;
