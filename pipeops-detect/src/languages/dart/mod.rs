//! Dart and Flutter.

pub(crate) mod detect;
pub(crate) mod recipe;
