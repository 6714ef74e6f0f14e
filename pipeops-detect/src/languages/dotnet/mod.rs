//! C#, F# and Visual Basic on .NET.

pub(crate) mod detect;
pub(crate) mod project;
pub(crate) mod recipe;
