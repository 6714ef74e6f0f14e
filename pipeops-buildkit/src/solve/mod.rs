//! One build: what is asked for ([`Solve`]), how that becomes a request to the daemon, how it runs, and what comes back.

mod context;
#[cfg_attr(
    not(feature = "pool"),
    allow(dead_code, reason = "the pool asks how far an export came")
)]
mod exported;
mod files;
mod frontend;
mod leaks;
mod options;
mod prepare;
mod result;
mod run;
#[cfg(test)]
mod tests;

pub use context::NamedContext;
#[cfg(feature = "pool")]
pub(crate) use exported::Exported;
pub use frontend::{Network, Provenance, ResolveMode};
pub use options::Solve;
pub(crate) use prepare::{FRONTEND, Prepared};
pub use result::{ContextSent, Solved};
