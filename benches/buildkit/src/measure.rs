//! Runs processes and measures either time or memory, because sampling memory takes time.

use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Sampling interval. Peaks between two samples are missed, on both sides alike.
const LOOK: Duration = Duration::from_micros(100);

/// Returns how long these take when they run concurrently.
///
/// # Panics
/// If one fails.
pub fn time(commands: Vec<Command>) -> Duration {
    let begin = Instant::now();
    let mut group = Group::start(commands);
    group
        .children
        .iter_mut()
        .for_each(|child| drop(child.wait()));
    let time = begin.elapsed();
    group.end();
    time
}

/// Returns their peak memory together in KiB when they run concurrently.
///
/// # Panics
/// If one fails.
pub fn memory(commands: Vec<Command>) -> u64 {
    let mut group = Group::start(commands);
    let mut most = 0;
    while group.children.iter_mut().any(runs) {
        most = most.max(group.children.iter().filter_map(resident).sum());
        std::thread::sleep(LOOK);
    }
    group.end();
    most
}

/// Concurrent processes.
struct Group {
    children: Vec<Child>,
    errors: tempfile::NamedTempFile,
}

impl Group {
    fn start(commands: Vec<Command>) -> Self {
        let errors = tempfile::NamedTempFile::new().expect("a file for the errors");
        let children = commands
            .into_iter()
            .map(|command| start(command, errors.as_file()))
            .collect();
        Self { children, errors }
    }

    fn end(mut self) {
        let well = |child: &mut Child| child.wait().is_ok_and(|status| status.success());
        if !self.children.iter_mut().all(well) {
            let text = std::fs::read_to_string(self.errors.path()).unwrap_or_default();
            panic!("a process failed:\n{text}");
        }
    }
}

fn start(mut command: Command, errors: &File) -> Child {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(errors.try_clone().expect("a second handle"))
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

fn runs(child: &mut Child) -> bool {
    child.try_wait().expect("it can be waited for").is_none()
}

/// Returns the current memory of a process in KiB. Shared pages, such as the program itself, are divided among the processes that
/// share them (`Pss`).
fn resident(child: &Child) -> Option<u64> {
    let rollup = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", child.id())).ok()?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.trim().trim_end_matches(" kB").trim().parse().ok()
}

/// The one in the middle.
pub fn median<T: Ord + Copy>(mut values: Vec<T>) -> T {
    values.sort_unstable();
    values[values.len() / 2]
}
