//! Finds and stops processes that outlive this program.
//!
//! A PID alone isn't enough, because another process may get it after a crash. So each record has the start time, and signals
//! go through a pidfd, which is opened before the start time is compared.

use std::collections::HashMap;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The environment variable that marks every process of an instance; its value is the instance's id.
pub const MARK: &str = "PIPEOPS_TESTBED_INSTANCE";

/// The only variables that a server inherits. Servers read settings from the environment, and a developer's environment may
/// contain the output of `cargo testbed env`: docker-registry would use `REGISTRY_AUTH` as its own setting.
const INHERITED: &str = "HOME HTTPS_PROXY HTTP_PROXY LANG NO_PROXY PATH SSL_CERT_DIR SSL_CERT_FILE TMPDIR \
                         http_proxy https_proxy no_proxy";

/// A process, identified by PID and start time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its PID.
    pub pid: u32,
    /// When it started, in clock ticks since boot.
    pub started: u64,
}

impl Process {
    /// The process that currently has this PID.
    pub fn now(pid: u32) -> Option<Self> {
        Stat::read(pid).map(|stat| Self {
            pid,
            started: stat.started,
        })
    }

    /// Whether it's still running. A zombie isn't.
    pub fn is_alive(&self) -> bool {
        Stat::read(self.pid).is_some_and(|stat| stat.started == self.started && stat.state != 'Z')
    }

    /// Sends a signal. Does nothing if the process has exited.
    fn signal(&self, signal: Signal) {
        if let Some(handle) = self.open() {
            let _ = pidfd_send_signal(handle, signal);
        }
    }

    fn open(&self) -> Option<OwnedFd> {
        let pid = Pid::from_raw(i32::try_from(self.pid).ok()?)?;
        let handle = pidfd_open(pid, PidfdFlags::empty()).ok()?;
        // The handle now refers to one process for good. Check that it's the right one.
        self.is_alive().then_some(handle)
    }
}

/// Starts a command in a new session, with its output in `log`. Its environment has the instance's mark, the variables that the
/// command sets, and those in `INHERITED`.
pub fn spawn_detached(command: &Command, instance: &str, log: &Path) -> Result<Process> {
    let file = fs::File::create(log).map_err(Error::io("create", log))?;
    let again = file.try_clone().map_err(Error::io("open", log))?;
    let inherited = INHERITED.split(' ');
    let inherited = inherited.filter_map(|name| Some((name, std::env::var_os(name)?)));
    let own = command.get_envs();
    let own = own.filter_map(|(name, value)| Some((name, value?)));
    let mut detached = Command::new("setsid");
    detached
        .arg(command.get_program())
        .args(command.get_args())
        .env_clear()
        .envs(inherited)
        .envs(own)
        .env(MARK, instance)
        .stdin(Stdio::null())
        .stdout(file)
        .stderr(again);
    if let Some(directory) = command.get_current_dir() {
        detached.current_dir(directory);
    }
    let program = command.get_program().to_string_lossy().into_owned();
    let child = detached.spawn().map_err(|source| Error::Spawn {
        program: program.clone(),
        source,
    })?;
    Process::now(child.id()).ok_or_else(|| Error::Spawn {
        program,
        source: std::io::Error::other("it ended at once"),
    })
}

/// Stops processes: sends SIGTERM, waits up to `grace`, then sends SIGKILL.
pub fn end(processes: &[Process], grace: Duration) {
    for process in processes {
        process.signal(Signal::TERM);
    }
    if !wait_until(grace, || {
        processes.iter().all(|process| !process.is_alive())
    }) {
        kill(processes);
    }
}

/// Kills processes and waits until they have exited.
pub fn kill(processes: &[Process]) {
    for process in processes {
        process.signal(Signal::KILL);
    }
    wait_until(Duration::from_secs(10), || {
        processes.iter().all(|process| !process.is_alive())
    });
}

/// All processes that have this instance's mark in their environment, except `known` ones and their descendants.
pub fn marked(instance: &str, known: &[Process]) -> Vec<Process> {
    let mark = format!("{MARK}={instance}").into_bytes();
    let is_marked = |pid: &u32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment
            .split(|byte| *byte == 0)
            .any(|entry| entry == mark)
    };
    let family = Family::read();
    let is_known = |pid: u32| {
        known
            .iter()
            .any(|known| known.is_alive() && family.descends(pid, known.pid))
    };
    pids()
        .filter(is_marked)
        .filter(|pid| !is_known(*pid))
        .filter_map(Process::now)
        .filter(Process::is_alive)
        .collect()
}

/// A process and all that descend from it.
pub fn family(root: Process) -> Vec<Process> {
    if !root.is_alive() {
        return Vec::new();
    }
    let all = Family::read();
    let members = all
        .0
        .iter()
        .filter(|(pid, _)| all.descends(**pid, root.pid));
    members
        .map(|(pid, stat)| Process {
            pid: *pid,
            started: stat.started,
        })
        .collect()
}

/// The resident memory of a process and all that descend from it, in bytes.
pub fn memory(root: Process) -> u64 {
    let stats = family(root)
        .into_iter()
        .filter_map(|member| Stat::read(member.pid));
    stats.map(|stat| stat.resident).sum::<u64>() * rustix::param::page_size() as u64
}

/// A snapshot of all processes on this machine.
struct Family(HashMap<u32, Stat>);

impl Family {
    fn read() -> Self {
        Self(
            pids()
                .filter_map(|pid| Some((pid, Stat::read(pid)?)))
                .collect(),
        )
    }

    /// Whether `pid` is `ancestor` or one of its descendants.
    fn descends(&self, mut pid: u32, ancestor: u32) -> bool {
        while pid != ancestor {
            match self.0.get(&pid) {
                Some(stat) if stat.parent != 0 => pid = stat.parent,
                _ => return false,
            }
        }
        true
    }
}

/// The first child of a process.
pub fn child_of(pid: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

fn pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten();
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

fn wait_until(limit: Duration, done: impl Fn() -> bool) -> bool {
    let started = Instant::now();
    while started.elapsed() < limit {
        if done() {
            return true;
        }
        thread::sleep(Duration::from_millis(20));
    }
    done()
}

/// Fields of `/proc/PID/stat`.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    state: char,
    parent: u32,
    started: u64,
    resident: u64,
}

impl Stat {
    fn read(pid: u32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The name in parentheses can contain spaces and parentheses, so the fields start after the last parenthesis.
    fn parse(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line[line.rfind(')')? + 1..].split_whitespace().collect();
        Some(Self {
            state: fields.first()?.chars().next()?,
            parent: fields.get(1)?.parse().ok()?,
            started: fields.get(19)?.parse().ok()?,
            resident: fields.get(21)?.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_parentheses_does_not_shift_the_fields() {
        let line = "42 (a) S 1 (b)) S 7 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1000000 321 18446744073709551615";
        let expected = Stat {
            state: 'S',
            parent: 7,
            started: 987_654,
            resident: 321,
        };
        assert_eq!(Stat::parse(line), Some(expected));
    }

    #[test]
    fn a_reused_pid_is_another_process() {
        let me = Process::now(std::process::id()).unwrap();
        assert!(me.is_alive());
        let earlier = Process {
            started: me.started - 1,
            ..me
        };
        assert!(!earlier.is_alive());
        // Were the start time not compared, this would end the test itself.
        end(&[earlier], Duration::ZERO);
        kill(&[earlier]);
    }

    #[test]
    fn a_detached_process_is_marked_and_can_be_ended() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        let id = format!("test-{}", std::process::id());
        let process = spawn_detached(Command::new("sleep").arg("600"), &id, &log).unwrap();
        let limit = Duration::from_secs(60);
        // `setsid` becomes `sleep` in place, so the mark may be seen a moment later.
        assert!(wait_until(limit, || marked(&id, &[]).contains(&process)));
        // The kernel adds up a process's pages now and then.
        assert!(wait_until(limit, || memory(process) > 0));
        assert!(marked(&id, &[process]).is_empty(), "it is known");
        end(&[process], limit);
        assert!(!process.is_alive() && marked(&id, &[]).is_empty());
    }
}
