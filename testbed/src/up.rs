//! Installing, starting and stopping servers.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use crate::cache::Cache;
use crate::error::{Error, Result};
use crate::images::build;
use crate::instance::{Instance, TESTS};
use crate::lifecycle::{clear, start, stop};
use crate::packages;
use crate::servers::ALL;
use crate::servers::server::{Context, Server};

/// Installs what these servers need and is missing: Debian packages, programs, base images.
///
/// # Errors
/// [`Error::Machine`] without root or Go or on another system; else what a package manager or a build said.
pub fn install(cache: &Cache, testbed: &Path, servers: &[&dyn Server]) -> Result<()> {
    check_root()?;
    let mut wanted: BTreeSet<&'static str> = BTreeSet::from(["iproute2", "util-linux"]);
    let images = servers.iter().any(|server| server.serves_base_images());
    // Base images are built with these two.
    let builders: &[&dyn Server] = if images { build::BUILDERS } else { &[] };
    for server in servers.iter().chain(builders) {
        wanted.extend(server.packages());
    }
    if images {
        wanted.extend(build::PACKAGES);
    }
    packages::install(&packages::missing(&wanted)?)?;
    for server in servers.iter().chain(builders) {
        for module in server.modules() {
            module.build(cache, testbed)?;
        }
    }
    if images {
        build::build_missing(cache, testbed)
    } else {
        Ok(())
    }
}

/// Starts these servers, as many at once as their needs allow. One that is up and well is left alone; one that is not is
/// cleared away and started anew.
///
/// # Errors
/// As [`install`]; [`Error::Several`] or the one error if servers do not start.
pub fn up(cache: &Cache, testbed: &Path, servers: &[&'static dyn Server]) -> Result<Instance> {
    install(cache, testbed, servers)?;
    let instance = Instance::claim(cache, testbed, TESTS)?;
    let lock = instance.lock()?;
    let mut missing = Vec::new();
    for server in servers {
        if is_well(cache, &instance, *server) {
            server.refresh(&Context::new(cache, &instance, *server))?;
            println!("  {}: is up", server.name());
        } else {
            stop(cache, &instance, *server)?;
            missing.push(*server);
        }
    }
    instance.end_strays()?;
    start_all(cache, &instance, &missing)?;
    drop(lock);
    Ok(instance)
}

/// Ends these servers and removes what they left; every trace of the instance if there are no names.
///
/// # Errors
/// [`Error::Io`] if something cannot be removed.
pub fn down(cache: &Cache, testbed: &Path, servers: &[&'static dyn Server]) -> Result<()> {
    check_root()?;
    for purpose in [TESTS, build::BUILDER] {
        let Some(instance) = Instance::existing(cache, testbed, purpose) else {
            continue;
        };
        let _lock = instance.lock()?;
        if servers.is_empty() {
            clear(cache, &instance)?;
            instance.release()?;
        } else {
            servers
                .iter()
                .try_for_each(|server| stop(cache, &instance, *server))?;
        }
    }
    Ok(())
}

fn is_well(cache: &Cache, instance: &Instance, server: &dyn Server) -> bool {
    let context = Context::new(cache, instance, server);
    instance.is_up(server.name()) && context.all_alive().is_ok() && server.health(&context).is_ok()
}

/// Which servers of one `up` have started, for those that need them.
#[derive(Default)]
struct Board {
    finished: Mutex<Finished>,
    changed: Condvar,
}

#[derive(Default)]
struct Finished {
    up: BTreeSet<&'static str>,
    failed: BTreeSet<&'static str>,
}

impl Board {
    fn report(&self, server: &'static str, up: bool) {
        let mut finished = self.finished.lock().unwrap_or_else(PoisonError::into_inner);
        if up {
            finished.up.insert(server)
        } else {
            finished.failed.insert(server)
        };
        self.changed.notify_all();
    }

    /// Waits for the servers that are needed; false if one of them failed.
    fn await_all(&self, needs: &[&'static str]) -> bool {
        let finished = self.finished.lock().unwrap_or_else(PoisonError::into_inner);
        let pending = |finished: &mut Finished| {
            let done = needs.iter().all(|need| finished.up.contains(need));
            !done && !needs.iter().any(|need| finished.failed.contains(need))
        };
        let finished = self
            .changed
            .wait_while(finished, pending)
            .unwrap_or_else(PoisonError::into_inner);
        needs.iter().all(|need| finished.up.contains(need))
    }
}

fn start_all(cache: &Cache, instance: &Instance, servers: &[&'static dyn Server]) -> Result<()> {
    let board = Board::default();
    for server in ALL
        .iter()
        .filter(|server| servers.iter().all(|other| other.name() != server.name()))
    {
        board.report(server.name(), true);
    }
    let mut errors = Vec::new();
    thread::scope(|scope| {
        let threads: Vec<_> = servers
            .iter()
            .map(|server| scope.spawn(|| start_in_turn(cache, instance, *server, &board)))
            .collect();
        for thread in threads {
            match thread.join() {
                Ok(Ok(())) => {}
                Ok(Err(error)) => errors.push(error),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    match errors.len() {
        0 => Ok(()),
        1 => Err(errors.remove(0)),
        _ => Err(Error::Several(errors)),
    }
}

fn start_in_turn(
    cache: &Cache,
    instance: &Instance,
    server: &dyn Server,
    board: &Board,
) -> Result<()> {
    if !board.await_all(server.needs()) {
        board.report(server.name(), false);
        let needs = server.needs().join(", ");
        return Err(Error::Usage(format!(
            "{}: not started, as it needs {needs}",
            server.name()
        )));
    }
    let started = Instant::now();
    let result = start(cache, instance, server);
    board.report(server.name(), result.is_ok());
    if result.is_ok() {
        println!(
            "  {}: up after {:.1} s",
            server.name(),
            started.elapsed().as_secs_f32()
        );
    }
    result
}

fn check_root() -> Result<()> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    Err(Error::Machine {
        what: "this needs root: the servers make namespaces, mounts and packages".to_owned(),
        fix: "run it as root, best in a virtual machine or container that is yours alone"
            .to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_waits_for_its_needs() {
        let board = Board::default();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| board.await_all(&["registry"]));
            board.report("gitea", true);
            board.report("registry", true);
            assert!(waiting.join().unwrap());
        });
    }

    #[test]
    fn a_server_whose_need_failed_is_not_started() {
        let board = Board::default();
        board.report("registry", false);
        assert!(!board.await_all(&["registry", "never"]));
    }
}
