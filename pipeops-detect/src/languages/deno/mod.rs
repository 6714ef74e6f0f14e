//! JavaScript and TypeScript on Deno.

pub(crate) mod detect;
pub(crate) mod recipe;
