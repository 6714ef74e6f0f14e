//! Runs processes and takes their time and peak memory.

use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How often the peak is looked up: what a process takes in its last moments is missed, for all contenders alike.
const LOOK: Duration = Duration::from_millis(1);

/// What one run took.
#[derive(Debug, Clone, Copy)]
pub struct Taken {
    pub time: Duration,
    /// Peak memory in KiB, of all processes together.
    pub peak: u64,
}

/// Runs these at the same time until all have ended.
///
/// # Panics
/// When one fails: then there is nothing to compare.
pub fn together(commands: Vec<Command>) -> Taken {
    let log = tempfile::NamedTempFile::new().expect("a file for the errors");
    let begin = Instant::now();
    let mut running: Vec<Running> = commands
        .into_iter()
        .map(|command| Running::start(command, log.as_file()))
        .collect();
    while running.iter_mut().any(Running::look) {
        std::thread::sleep(LOOK);
    }
    let time = begin.elapsed();
    if running.iter().any(|process| process.failed) {
        let text = std::fs::read_to_string(log.path()).unwrap_or_default();
        panic!("a contender failed:\n{text}");
    }
    Taken {
        time,
        peak: running.iter().map(|process| process.peak).sum(),
    }
}

struct Running {
    child: Child,
    peak: u64,
    ended: bool,
    failed: bool,
}

impl Running {
    fn start(mut command: Command, log: &File) -> Self {
        let log = log.try_clone().expect("a second handle");
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self {
            child,
            peak: 0,
            ended: false,
            failed: false,
        }
    }

    /// Notes the peak; tells whether the process runs.
    fn look(&mut self) -> bool {
        if self.ended {
            return false;
        }
        self.peak = self.peak.max(peak(self.child.id()).unwrap_or(0));
        if let Some(status) = self.child.try_wait().expect("it can be waited for") {
            self.ended = true;
            self.failed = !status.success();
        }
        !self.ended
    }
}

/// `VmHWM` of a process.
fn peak(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").trim().parse().ok()
}

/// The run in the middle, by time and by memory.
pub fn median(mut runs: Vec<Taken>) -> Taken {
    let middle = runs.len() / 2;
    runs.sort_by_key(|run| run.time);
    let time = runs[middle].time;
    runs.sort_by_key(|run| run.peak);
    Taken {
        time,
        peak: runs[middle].peak,
    }
}
