//! Java, Kotlin and Groovy, built by Maven or Gradle.

pub(crate) mod detect;
pub(crate) mod gradle;
pub(crate) mod maven;
pub(crate) mod project;
pub(crate) mod recipe;
pub(crate) mod version;
