//! Base images, since the machine may have no public registry in reach: built from `testbed/images/NAME.Dockerfile` when first
//! asked for, kept as OCI layouts in the cache, and served by `registry` under the names that Dockerfiles use.
//!
//! [`table::RECIPES`] is the table to extend.

pub mod build;
pub mod layouts;
pub mod on_demand;
pub mod recipe;
pub mod table;
