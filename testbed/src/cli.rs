//! The command line.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, Subcommand};

use crate::cache::Cache;
use crate::error::{Error, Result, describe};
use crate::images::{build, on_demand};
use crate::instance::{Instance, TESTS};
use crate::servers::images::SUBCOMMAND;
use crate::servers::registry::Anonymous;
use crate::servers::server::{Context, Server};
use crate::servers::{self, ALL};
use crate::up::{Selection, is_image};
use crate::{status, testing, up};

/// Install, start and stop the real servers that the tests of this workspace use
#[derive(Debug, Parser)]
#[command(name = "cargo testbed", bin_name = "cargo testbed", after_help = server_list())]
struct Arguments {
    #[command(subcommand)]
    command: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Install packages and build programs and base images without starting anything
    ///
    /// Without names, this installs everything that the tests of this workspace need.
    Install {
        /// Servers, base images such as python:3.12, or `demo`
        names: Vec<String>,
    },
    /// Start servers, and first install what is missing
    ///
    /// Base images are built when BuildKit first asks for them. To build one now, give its name.
    Up {
        /// Servers, base images such as python:3.12, or `demo` for what the demo in the README needs [default: all servers]
        names: Vec<String>,
    },
    /// Show processes, memory, health and addresses
    Status,
    /// Print `export NAME=value` lines for tests and tools
    Env,
    /// Run the tests that need servers, and first build the base images that they name
    #[command(disable_help_flag = true)]
    Test {
        /// Arguments for `cargo test`, such as `-p pipeops-rollout canary`, and after `--` for the tests
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Stop servers and remove everything that they left
    Down {
        /// Servers [default: all]
        servers: Vec<String>,
    },
    #[command(hide = true, name = SUBCOMMAND)]
    ServeImages,
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
        Action::Install { names } => install(&cache, &testbed, &names)?,
        Action::Up { names } => start(&cache, &testbed, &names)?,
        Action::Status => {
            let instance = Instance::existing(&cache, &testbed, TESTS);
            print!("{}", status::table(&cache, instance.as_ref())?);
        }
        Action::Env => print_environment(&cache, &testbed)?,
        Action::Test { arguments } => return test(&cache, &testbed, &arguments),
        Action::Down { servers } => {
            let servers = servers.iter().map(|name| servers::find(name));
            up::down(&cache, &testbed, &servers.collect::<Result<Vec<_>>>()?)?;
        }
        Action::ServeImages => on_demand::serve(&cache, &testbed)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn install(cache: &Cache, testbed: &Path, names: &[String]) -> Result<()> {
    let started = Instant::now();
    up::install(cache, testbed, &Selection::parse(names)?)?;
    if names.is_empty() {
        let mut images: Vec<String> = testing::needs(workspace(testbed))?.into_iter().collect();
        images.retain(|name| is_image(name));
        build_images(cache, testbed, &images)?;
    }
    println!("Installed after {}", passed(started));
    Ok(())
}

/// Builds the images of tests. One that can't be built fails the tests that need it, so the others can still run.
fn build_images(cache: &Cache, testbed: &Path, names: &[String]) -> Result<()> {
    if let Err(error) = build::build(cache, testbed, &Selection::parse(names)?.images) {
        eprintln!("Not all base images were built: {error}");
    }
    Ok(())
}

fn start(cache: &Cache, testbed: &Path, names: &[String]) -> Result<()> {
    let started = Instant::now();
    up::up(cache, testbed, &Selection::parse(names)?)?;
    println!(
        "All up after {}. Next: eval \"$(cargo testbed env)\"",
        passed(started)
    );
    Ok(())
}

fn passed(started: Instant) -> String {
    format!("{:.1} s", started.elapsed().as_secs_f32())
}

fn print_environment(cache: &Cache, testbed: &Path) -> Result<()> {
    let instance = Instance::existing(cache, testbed, TESTS).ok_or_else(nothing_up)?;
    for (name, value) in status::environment(cache, &instance)? {
        println!("{}", status::export_line(name, &value));
    }
    Ok(())
}

fn test(cache: &Cache, testbed: &Path, arguments: &[String]) -> Result<ExitCode> {
    let workspace = workspace(testbed);
    let instance = Instance::existing(cache, testbed, TESTS);
    let up = status::names_up(instance.as_ref());
    let mut names = BTreeSet::new();
    for folder in testing::folders(workspace, arguments) {
        names.extend(testing::needs(&folder)?);
    }
    let (images, servers): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| is_image(name));
    let mut missing = Vec::new();
    for name in &servers {
        let name = servers::find(name)?.name();
        if !up.contains(&name) {
            missing.push(name);
        }
    }
    if !missing.is_empty() {
        return Err(Error::Usage(format!(
            "these tests need servers that are not running; start them with `cargo testbed up {}`",
            missing.join(" ")
        )));
    }
    build_images(cache, testbed, &images)?;
    if let Some(instance) = instance.as_ref().filter(|_| up.contains(&Anonymous.name())) {
        // It gets what was built now, and loses what is out of date.
        Anonymous.refresh(&Context::new(cache, instance, &Anonymous))?;
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

fn workspace(testbed: &Path) -> &Path {
    testbed.parent().unwrap_or(testbed)
}

fn nothing_up() -> Error {
    Error::Usage("no servers are running; start them with `cargo testbed up`".to_owned())
}

fn server_list() -> String {
    let line = |server: &&dyn Server| format!("  {:<14} {}", server.name(), server.summary());
    let lines: Vec<String> = ALL.iter().map(line).collect();
    format!("Servers:\n{}", lines.join("\n"))
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
