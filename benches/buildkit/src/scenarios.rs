//! The scenarios.

use std::io;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::measure::{median, memory, time};
use crate::tree::Tree;

/// Number of concurrent builds.
const AT_ONCE: usize = 50;

/// Rounds that measure time. One more round measures memory, which varies less.
const ROUNDS: usize = 5;

/// The times of two successive commits.
const COMMIT: &str = "2026-01-02T03:04:05Z";
const NEXT_COMMIT: &str = "2026-01-02T04:04:05Z";

/// A scenario's name and function.
type Scenario = (&'static str, fn() -> io::Result<()>);

const ALL: [Scenario; 5] = [
    ("info", info),
    ("cached", cached),
    ("context", context),
    ("large", large),
    ("at-once", at_once),
];

/// Runs the named scenarios, or all of them.
pub fn run(names: &[String]) {
    println!(
        "{:34} {:>10} {:>10} {:>7} {:>10} {:>10}",
        "", "ours", "buildctl", "×", "ours", "buildctl"
    );
    for (name, measure) in ALL {
        if names.is_empty() || names.iter().any(|wanted| wanted == name) {
            measure().unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }
}

fn info() -> io::Result<()> {
    let mut pair = Pair::default();
    for round in 0..=4 * ROUNDS {
        pair.memory = round == 4 * ROUNDS;
        pair.ours(vec![ours(&["info"])]);
        pair.theirs(vec![buildctl(&["debug", "info"])]);
    }
    pair.print("connect, version");
    Ok(())
}

fn cached() -> io::Result<()> {
    let (our_tree, their_tree) = (Tree::empty()?, Tree::empty()?);
    // The first builds fill the cache.
    time(vec![
        our_build(COMMIT, &[our_tree.path()]),
        their_build(their_tree.path()),
    ]);
    let mut pair = Pair::default();
    for round in 0..=3 * ROUNDS {
        pair.memory = round == 3 * ROUNDS;
        pair.ours(vec![our_build(COMMIT, &[our_tree.path()])]);
        pair.theirs(vec![their_build(their_tree.path())]);
    }
    pair.print("a fully cached build");
    Ok(())
}

fn context() -> io::Result<()> {
    let mut pairs: [Pair; 5] = Default::default();
    for round in 0..=ROUNDS {
        let (mut our_tree, mut their_tree) = (Tree::many()?, Tree::many()?);
        pairs
            .iter_mut()
            .for_each(|pair| pair.memory = round == ROUNDS);
        let [cold, unchanged, changed, clone, next] = &mut pairs;
        let mut both = |pair: &mut Pair, commit: &str, change: fn(&mut Tree) -> io::Result<()>| {
            change(&mut our_tree)?;
            pair.ours(vec![our_build(commit, &[our_tree.path()])]);
            change(&mut their_tree)?;
            pair.theirs(vec![their_build(their_tree.path())]);
            io::Result::Ok(())
        };
        both(cold, COMMIT, |_| Ok(()))?;
        both(unchanged, COMMIT, |_| Ok(()))?;
        both(changed, COMMIT, Tree::change)?;
        both(clone, COMMIT, |tree| tree.clone_afresh())?;
        both(next, NEXT_COMMIT, |tree| {
            tree.change()?;
            tree.clone_afresh()
        })?;
    }
    let names = [
        "cold",
        "unchanged",
        "one file changed",
        "a fresh clone",
        "a fresh clone, one file changed",
    ];
    for (pair, name) in pairs.into_iter().zip(names) {
        pair.print(&format!("10,000 files: {name}"));
    }
    Ok(())
}

/// Alternates which side is first, and syncs the disk before each turn, because both mostly wait for the disk.
fn large() -> io::Result<()> {
    let mut pair = Pair::default();
    for round in 0..=ROUNDS + 1 {
        pair.memory = round == ROUNDS + 1;
        let (our_tree, their_tree) = (Tree::one(512 << 20)?, Tree::one(512 << 20)?);
        for turn in 0..2 {
            settle()?;
            match (turn + round) % 2 {
                0 => pair.ours(vec![our_build(COMMIT, &[our_tree.path()])]),
                _ => pair.theirs(vec![their_build(their_tree.path())]),
            }
        }
    }
    pair.print("one file of 512 MB, cold");
    Ok(())
}

/// Prunes the daemon, and syncs the disk.
fn settle() -> io::Result<()> {
    for mut command in [buildctl(&["prune", "--all"]), Command::new("sync")] {
        let output = command.output()?;
        assert!(
            output.status.success(),
            "{command:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

fn at_once() -> io::Result<()> {
    let trees: Vec<Tree> = (0..AT_ONCE)
        .map(|_| Tree::empty())
        .collect::<io::Result<_>>()?;
    let folders: Vec<&Path> = trees.iter().map(Tree::path).collect();
    let mut pair = Pair::default();
    for round in 0..=ROUNDS {
        pair.memory = round == ROUNDS;
        for tree in &trees {
            std::fs::write(
                tree.path().join("f"),
                format!("ours {round} {}", tree.path().display()),
            )?;
        }
        pair.ours(vec![our_build(COMMIT, &folders)]);
        for tree in &trees {
            std::fs::write(
                tree.path().join("f"),
                format!("theirs {round} {}", tree.path().display()),
            )?;
        }
        pair.theirs(folders.iter().map(|folder| their_build(folder)).collect());
    }
    pair.print("50 concurrent small builds");
    Ok(())
}

/// The measurements of both sides.
#[derive(Default)]
struct Pair {
    /// Whether the next runs measure memory instead of time.
    memory: bool,
    ours: Runs,
    theirs: Runs,
}

#[derive(Default)]
struct Runs {
    times: Vec<Duration>,
    /// In KiB.
    peaks: Vec<u64>,
}

impl Pair {
    fn ours(&mut self, commands: Vec<Command>) {
        self.ours.add(commands, self.memory);
    }

    fn theirs(&mut self, commands: Vec<Command>) {
        self.theirs.add(commands, self.memory);
    }

    fn print(self, name: &str) {
        let (ours, our_peak) = self.ours.medians();
        let (theirs, their_peak) = self.theirs.medians();
        println!(
            "{name:34} {ours:>8.3} s {theirs:>8.3} s {:>6.2}× {our_peak:>6.1} MiB {their_peak:>6.1} MiB",
            theirs / ours
        );
    }
}

impl Runs {
    fn add(&mut self, commands: Vec<Command>, for_memory: bool) {
        match for_memory {
            true => self.peaks.push(memory(commands)),
            false => self.times.push(time(commands)),
        }
    }

    /// Seconds and MiB.
    fn medians(self) -> (f64, f64) {
        (
            median(self.times).as_secs_f64(),
            median(self.peaks) as f64 / 1024.0,
        )
    }
}

fn ours(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
    command.arg("--ours").args(arguments);
    command
}

fn our_build(commit: &str, folders: &[&Path]) -> Command {
    let mut command = ours(&["build", commit]);
    command.args(folders);
    command
}

fn buildctl(arguments: &[&str]) -> Command {
    let mut command =
        Command::new(std::env::var_os("BUILDCTL").unwrap_or_else(|| "buildctl".into()));
    command.args(arguments);
    command
}

fn their_build(folder: &Path) -> Command {
    let mut command = buildctl(&["build", "--progress=plain", "--frontend=dockerfile.v0"]);
    for name in ["context", "dockerfile"] {
        command
            .arg("--local")
            .arg(format!("{name}={}", folder.display()));
    }
    command
}
