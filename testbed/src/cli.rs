//! The command line.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, Subcommand};

use crate::cache::Cache;
use crate::error::{Error, Result, describe};
use crate::instance::{Instance, TESTS};
use crate::servers::server::Server;
use crate::servers::{self, ALL};
use crate::{status, testing, up};

/// Real servers for the tests of this workspace.
#[derive(Debug, Parser)]
#[command(name = "cargo testbed", bin_name = "cargo testbed", after_help = server_list())]
struct Arguments {
    #[command(subcommand)]
    command: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Install packages, build programs and base images, without starting anything.
    Install {
        /// Servers; all if none is named.
        servers: Vec<String>,
    },
    /// Start servers; installs what they need first.
    Up {
        /// Servers; all if none is named.
        servers: Vec<String>,
    },
    /// Show what is up: processes, memory, health, addresses.
    Status,
    /// Print `export NAME=value` lines for tests and tools.
    Env,
    /// Run the tests that need servers.
    #[command(disable_help_flag = true)]
    Test {
        /// For `cargo test`, such as `-p pipeops-rollout canary`; after `--`, for the tests.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// End servers and remove all that they left.
    Down {
        /// Servers; all if none is named.
        servers: Vec<String>,
    },
}

/// Runs the program with the arguments that it was called with.
pub fn run() -> ExitCode {
    match execute(Arguments::parse().command) {
        Ok(code) => code,
        Err(error @ Error::Usage(_)) => report(&error, 2),
        Err(error) => report(&error, 1),
    }
}

fn report(error: &Error, code: u8) -> ExitCode {
    eprintln!("error: {}", describe(error));
    ExitCode::from(code)
}

fn execute(action: Action) -> Result<ExitCode> {
    let cache = Cache::locate()?;
    let testbed = folder()?;
    match action {
        Action::Install { servers } => up::install(&cache, &testbed, &servers::select(&servers)?)?,
        Action::Up { servers } => start(&cache, &testbed, &servers::select(&servers)?)?,
        Action::Status => {
            print!(
                "{}",
                status::table(&cache, Instance::existing(&cache, &testbed, TESTS).as_ref())?
            );
        }
        Action::Env => print_environment(&cache, &testbed)?,
        Action::Test { arguments } => return test(&cache, &testbed, &arguments),
        Action::Down { servers } => {
            let named = servers
                .iter()
                .map(|name| servers::find(name))
                .collect::<Result<Vec<_>>>()?;
            up::down(&cache, &testbed, &named)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn start(cache: &Cache, testbed: &Path, servers: &[&'static dyn Server]) -> Result<()> {
    let started = Instant::now();
    up::up(cache, testbed, servers)?;
    println!(
        "All up after {:.1} s. Next: eval \"$(cargo testbed env)\"",
        started.elapsed().as_secs_f32()
    );
    Ok(())
}

fn print_environment(cache: &Cache, testbed: &Path) -> Result<()> {
    let instance = Instance::existing(cache, testbed, TESTS).ok_or_else(nothing_up)?;
    for (name, value) in status::environment(cache, &instance)? {
        println!("{}", status::export_line(name, &value));
    }
    Ok(())
}

fn test(cache: &Cache, testbed: &Path, arguments: &[String]) -> Result<ExitCode> {
    let workspace = testbed.parent().unwrap_or(testbed);
    let instance = Instance::existing(cache, testbed, TESTS);
    let up = status::names_up(instance.as_ref());
    let mut missing = Vec::new();
    for folder in testing::folders(workspace, arguments) {
        missing.extend(
            testing::needs(&folder)?
                .into_iter()
                .filter(|need| !up.contains(need)),
        );
    }
    if !missing.is_empty() {
        let names = missing.join(" ");
        return Err(Error::Usage(format!(
            "these tests need servers that are not up: cargo testbed up {names}"
        )));
    }
    let mut cargo = testing::command(workspace, arguments);
    if let Some(instance) = &instance {
        cargo.envs(status::environment(cache, instance)?);
    }
    let status = cargo.status().map_err(|source| Error::Spawn {
        program: "cargo".to_owned(),
        source,
    })?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The `testbed` folder of the checkout that this was called in. Cargo says it; two checkouts may share one target folder,
/// and with it this program.
fn folder() -> Result<PathBuf> {
    let folder = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    folder.canonicalize().map_err(Error::io("find", &folder))
}

fn nothing_up() -> Error {
    Error::Usage("nothing is up: cargo testbed up".to_owned())
}

fn server_list() -> String {
    let line = |server: &&dyn Server| format!("  {:<14} {}", server.name(), server.summary());
    format!(
        "Servers:\n{}",
        ALL.iter().map(line).collect::<Vec<_>>().join("\n")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn test_takes_flags_that_are_not_its_own() {
        let parsed =
            Arguments::try_parse_from(["testbed", "test", "-p", "x", "name", "--", "--nocapture"])
                .unwrap();
        let Action::Test { arguments } = parsed.command else {
            panic!("{parsed:?}")
        };
        assert_eq!(arguments, ["-p", "x", "name", "--", "--nocapture"]);
    }
}
