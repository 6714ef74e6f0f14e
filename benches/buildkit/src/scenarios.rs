//! What is compared.

use std::io;
use std::path::Path;
use std::process::Command;

use crate::measure::{Taken, median, together};
use crate::tree::Tree;

/// Builds at the same time.
const AT_ONCE: usize = 50;

/// Two commits, one after the other.
const COMMIT: &str = "2026-01-02T03:04:05Z";
const NEXT_COMMIT: &str = "2026-01-02T04:04:05Z";

/// A scenario's name and what measures it.
type Scenario = (&'static str, fn() -> io::Result<()>);

const ALL: [Scenario; 5] = [
    ("info", info),
    ("cached", cached),
    ("context", context),
    ("large", large),
    ("at-once", at_once),
];

/// Runs the named scenarios, or all.
pub fn run(names: &[String]) {
    println!("{:34} {:>10} {:>10} {:>7} {:>10} {:>10}", "", "ours", "buildctl", "×", "ours", "buildctl");
    for (name, measure) in ALL {
        if names.is_empty() || names.iter().any(|wanted| wanted == name) {
            measure().unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }
}

fn info() -> io::Result<()> {
    let mut pair = Pair::default();
    for _ in 0..21 {
        pair.ours(vec![ours(&["info"])]);
        pair.theirs(vec![buildctl(&["debug", "info"])]);
    }
    pair.print("connect, version");
    Ok(())
}

fn cached() -> io::Result<()> {
    let (our_tree, their_tree) = (Tree::empty()?, Tree::empty()?);
    let mut pair = Pair::default();
    for round in 0..16 {
        if round == 1 {
            // The first one filled the cache.
            pair = Pair::default();
        }
        pair.ours(vec![our_build(COMMIT, &[our_tree.path()])]);
        pair.theirs(vec![their_build(their_tree.path())]);
    }
    pair.print("a build that is all cached");
    Ok(())
}

fn context() -> io::Result<()> {
    let mut pairs: [Pair; 5] = Default::default();
    for _ in 0..5 {
        let (mut our_tree, mut their_tree) = (Tree::many()?, Tree::many()?);
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
    let names = ["cold", "unchanged", "one file changed", "a fresh clone", "a fresh clone, one file changed"];
    for (pair, name) in pairs.into_iter().zip(names) {
        pair.print(&format!("10,000 files: {name}"));
    }
    Ok(())
}

fn large() -> io::Result<()> {
    let mut pair = Pair::default();
    for _ in 0..3 {
        let (our_tree, their_tree) = (Tree::one(512 << 20)?, Tree::one(512 << 20)?);
        pair.ours(vec![our_build(COMMIT, &[our_tree.path()])]);
        pair.theirs(vec![their_build(their_tree.path())]);
    }
    pair.print("one file of 512 MB, cold");
    Ok(())
}

fn at_once() -> io::Result<()> {
    let trees: Vec<Tree> = (0..AT_ONCE).map(|_| Tree::empty()).collect::<io::Result<_>>()?;
    let folders: Vec<&Path> = trees.iter().map(Tree::path).collect();
    let mut pair = Pair::default();
    for round in 0..5 {
        for tree in &trees {
            std::fs::write(tree.path().join("f"), format!("ours {round} {}", tree.path().display()))?;
        }
        pair.ours(vec![our_build(COMMIT, &folders)]);
        for tree in &trees {
            std::fs::write(tree.path().join("f"), format!("theirs {round} {}", tree.path().display()))?;
        }
        pair.theirs(folders.iter().map(|folder| their_build(folder)).collect());
    }
    pair.print("50 small builds at once");
    Ok(())
}

/// The runs of both.
#[derive(Default)]
struct Pair {
    ours: Vec<Taken>,
    theirs: Vec<Taken>,
}

impl Pair {
    fn ours(&mut self, commands: Vec<Command>) {
        self.ours.push(together(commands));
    }

    fn theirs(&mut self, commands: Vec<Command>) {
        self.theirs.push(together(commands));
    }

    fn print(self, name: &str) {
        let (ours, theirs) = (median(self.ours), median(self.theirs));
        let ratio = theirs.time.as_secs_f64() / ours.time.as_secs_f64();
        let mib = |taken: Taken| taken.peak as f64 / 1024.0;
        println!(
            "{name:34} {:>8.3} s {:>8.3} s {ratio:>6.2}× {:>6.1} MiB {:>6.1} MiB",
            ours.time.as_secs_f64(),
            theirs.time.as_secs_f64(),
            mib(ours),
            mib(theirs)
        );
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
    let mut command = Command::new(std::env::var_os("BUILDCTL").unwrap_or_else(|| "buildctl".into()));
    command.args(arguments);
    command
}

fn their_build(folder: &Path) -> Command {
    let mut command = buildctl(&["build", "--progress=plain", "--frontend=dockerfile.v0"]);
    for name in ["context", "dockerfile"] {
        command.arg("--local").arg(format!("{name}={}", folder.display()));
    }
    command
}
