//! `cargo peers`: see the crate's documentation.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    peers::cli::run()
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    eprintln!("error: the peers are Linux servers: run this on a Debian 12 machine, as root");
    ExitCode::FAILURE
}
