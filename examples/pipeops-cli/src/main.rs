//! The `pipeops` command.

fn main() {}
