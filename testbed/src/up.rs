//! Installing, starting and stopping servers.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use crate::cache::Cache;
use crate::error::{Error, Result};
use crate::golang::GoModule;
use crate::images::recipe::Recipe;
use crate::images::{build, layouts, table};
use crate::instance::{Instance, TESTS};
use crate::lifecycle::{clear, start, stop};
use crate::packages;
use crate::servers::server::{Context, Server};
use crate::servers::{self, ALL};

/// What `up demo` starts and builds: the servers of README's demo that have no good stand-in, and the base images of its app.
const DEMO: [&str; 4] = ["buildkit", "kubernetes", "python:3.12", "python:3.12-slim"];

/// What the words of a command line name.
#[derive(Default)]
pub struct Selection {
    /// Servers, with those that they need.
    pub servers: Vec<&'static dyn Server>,
    /// Base images.
    pub images: Vec<&'static Recipe>,
}

impl Selection {
    /// Words are servers, images such as `python:3.12`, or `demo`. No words mean all servers, and no image.
    pub fn parse(words: &[String]) -> Result<Self> {
        let words = words.iter().map(String::as_str);
        let words: Vec<&str> = words
            .flat_map(|word| match word {
                "demo" => DEMO.to_vec(),
                word => vec![word],
            })
            .collect();
        let mut selection = Self::default();
        let mut names = Vec::new();
        for word in words {
            if is_image(word) {
                selection.images.push(table::find(word)?);
                names.push("registry");
            } else {
                names.push(word);
            }
        }
        selection.servers = servers::select(&names)?;
        Ok(selection)
    }
}

/// Whether a name is that of an image: it has a tag.
pub fn is_image(name: &str) -> bool {
    name.contains(':')
}

/// Installs what is missing: Debian packages, programs, base images.
pub fn install(cache: &Cache, testbed: &Path, selection: &Selection) -> Result<()> {
    check_root()?;
    let mut images = selection.images.clone();
    for image in selection.servers.iter().flat_map(|server| server.images()) {
        images.push(table::find(image)?);
    }
    // Base images are built with these.
    let builders: &[&dyn Server] = match images.is_empty() {
        true => &[],
        false => &[
            &servers::images::Images,
            build::BUILDERS[0],
            build::BUILDERS[1],
        ],
    };
    let servers = || selection.servers.iter().chain(builders);
    let mut wanted: BTreeSet<&'static str> = BTreeSet::from(["iproute2", "util-linux"]);
    wanted.extend(servers().flat_map(|server| server.packages()));
    packages::install(&packages::missing(&wanted)?)?;

    let mut modules: Vec<&GoModule> = Vec::new();
    for module in servers().flat_map(|server| server.modules()) {
        let known = modules.iter().any(|known| known.name == module.name);
        if !known && !module.directory(cache, testbed)?.exists() {
            modules.push(module);
        }
    }
    let missing = layouts::missing(cache, testbed, &images)?;
    announce("programs", modules.iter().map(|module| module.name));
    announce(
        "base images",
        missing.iter().map(|image| image.name.as_str()),
    );
    for module in modules {
        module.build(cache, testbed)?;
    }
    build::build(cache, testbed, &images)
}

fn announce<'a>(what: &str, names: impl Iterator<Item = &'a str>) {
    let names: Vec<&str> = names.collect();
    if !names.is_empty() {
        println!("To build: {what} {}", names.join(", "));
    }
}

/// Starts these servers, in parallel where their needs allow. A healthy server keeps running and is
/// [refreshed](Server::refresh); an unhealthy one is removed and started again.
pub fn up(cache: &Cache, testbed: &Path, selection: &Selection) -> Result<()> {
    install(cache, testbed, selection)?;
    let (instance, _lock) = Instance::claim_and_lock(cache, testbed, TESTS)?;
    let mut missing = Vec::new();
    for server in &selection.servers {
        if is_well(cache, &instance, *server) {
            server.refresh(&Context::new(cache, &instance, *server))?;
            println!("  {}: already up", server.name());
        } else {
            stop(cache, &instance, *server)?;
            missing.push(*server);
        }
    }
    instance.end_strays()?;
    start_all(cache, &instance, &missing)
}

/// Stops these servers and removes what they left. Without servers, removes the whole instance.
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
    Error::all(errors)
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
            "{} was not started because it needs {needs}",
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
        what: "cargo testbed needs root to create namespaces and mounts and to install packages"
            .to_owned(),
        fix: "run it as root, preferably in a virtual machine or container of your own".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_name_servers_images_and_the_demo() {
        let parse = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            let selection = Selection::parse(&words).unwrap();
            let servers = selection.servers.iter().map(|server| server.name());
            let images = selection.images.iter().map(|image| image.name.as_str());
            (servers.collect::<Vec<_>>(), images.collect::<Vec<_>>())
        };
        assert_eq!(parse(&[]).0.len(), ALL.len());
        assert_eq!(parse(&["node:22"]), (vec!["registry"], vec!["node-22"]));
        assert_eq!(
            parse(&["demo"]),
            (
                vec!["registry", "images", "buildkit", "kubernetes"],
                vec!["python-3.11", "python-3.11-slim"]
            )
        );
    }

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
