//! Clojure, built by Leiningen or its own tools.

pub(crate) mod detect;
pub(crate) mod recipe;
