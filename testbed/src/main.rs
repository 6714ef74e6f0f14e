//! `cargo testbed`: see the crate's documentation.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    testbed::cli::run()
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    eprintln!(
        "error: the servers of the testbed need Linux: run this on a Debian 12 machine, as root"
    );
    ExitCode::FAILURE
}
