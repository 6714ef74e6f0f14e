//! One checkout's set of servers: its number, ports and processes.
//!
//! Small state (numbers, ports, process records, sockets) is in `/run/pipeops-testbed/ID` and vanishes with a reboot, as the
//! processes do. Data and logs are in the cache.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::cache::{Cache, create_directory, lock_file, remove_tree, replace_file, write_file};
use crate::error::{Error, Result};
use crate::network;
use crate::process::{self, Process};

/// The purpose of the servers that `up` starts. The other purpose is building images.
pub const TESTS: &str = "tests";

const RUN: &str = "/run/pipeops-testbed";
/// Instances on one machine: each has its own address range, see [`network::AddressPlan`].
const INSTANCES: u8 = 50;
const FIRST_PORT: u16 = 20_000;
const PORTS: u16 = 100;

/// One checkout's set of servers.
#[derive(Debug)]
pub struct Instance {
    /// Eight hexadecimal digits from the checkout's path and `PIPEOPS_TESTBED_NAME`.
    pub id: String,
    /// Unique on this machine. Ports and addresses are derived from it.
    pub number: u8,
    /// The `testbed` folder of the checkout.
    pub testbed: PathBuf,
    /// Data and logs.
    pub data: PathBuf,
    run: PathBuf,
    ports: Mutex<()>,
}

/// The record of a server's process, written when it was started.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ProcessRecord {
    /// Its name within the server.
    pub name: String,
    /// The process.
    pub process: Process,
    /// Whether it's the first process of a PID namespace, which ends with it.
    pub namespace: bool,
}

impl Instance {
    /// The instance of this checkout for a purpose. Assigns a number if it has none yet.
    pub fn claim(cache: &Cache, testbed: &Path, purpose: &str) -> Result<Self> {
        let id = identify(testbed, purpose);
        let run = Path::new(RUN).join(&id);
        create_directory(Path::new(RUN))?;
        let lock = lock_file(
            &Path::new(RUN).join("lock"),
            "waiting for another checkout to start",
        )?;
        if read_number(&run).is_none() {
            let number = free_number()?;
            create_directory(&run)?;
            write_file(
                &run.join("checkout"),
                testbed.as_os_str().as_encoded_bytes(),
            )?;
            write_file(&run.join("number"), number.to_string())?;
        }
        drop(lock);
        Self::existing(cache, testbed, purpose).ok_or_else(|| Error::Damaged {
            path: run,
            why: "it has no number".to_owned(),
        })
    }

    /// The instance of this checkout for a purpose, and its lock, which is released on drop.
    pub fn claim_and_lock(cache: &Cache, testbed: &Path, purpose: &str) -> Result<(Self, File)> {
        let lock = Self::claim(cache, testbed, purpose)?.lock()?;
        // The previous holder of the lock may have released the instance.
        Ok((Self::claim(cache, testbed, purpose)?, lock))
    }

    /// The instance of this checkout, if any of its servers was started.
    pub fn existing(cache: &Cache, testbed: &Path, purpose: &str) -> Option<Self> {
        let id = identify(testbed, purpose);
        let run = Path::new(RUN).join(&id);
        let number = read_number(&run)?;
        let data = cache.instance(&id);
        Some(Self {
            id,
            number,
            testbed: testbed.to_owned(),
            data,
            run,
            ports: Mutex::new(()),
        })
    }

    /// Blocks other `up` and `down` commands of this checkout until the value is dropped.
    pub fn lock(&self) -> Result<File> {
        let path = Path::new(RUN).join(format!("{}.lock", self.id));
        lock_file(&path, "waiting for another `up` or `down` of this checkout")
    }

    /// The path of a Unix socket. It's short because the length of such paths is limited.
    pub fn socket(&self, name: &str) -> PathBuf {
        self.run.join(format!("{name}.sock"))
    }

    /// The port with this name: a free port on the first call, then always the same one.
    pub fn port(&self, name: &str) -> Result<u16> {
        let _guard = self.ports.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.run.join("ports.json");
        let mut ports: BTreeMap<String, u16> = read_json(&path)?.unwrap_or_default();
        if let Some(port) = ports.get(name) {
            return Ok(*port);
        }
        let first = FIRST_PORT + u16::from(self.number) * PORTS;
        let taken: Vec<u16> = ports.values().copied().collect();
        let port = free_port(first..first + PORTS, &taken)?;
        ports.insert(name.to_owned(), port);
        write_json(&path, &ports)?;
        Ok(port)
    }

    /// Where a server keeps data and logs.
    pub fn directory(&self, server: &str) -> PathBuf {
        self.data.join(server)
    }

    /// The log of one of a server's processes.
    pub fn log(&self, server: &str, process: &str) -> PathBuf {
        self.directory(server).join(format!("{process}.log"))
    }

    /// Starts a process that outlives this program, and records it.
    pub fn spawn(
        &self,
        server: &str,
        name: &str,
        command: &Command,
        namespace: bool,
    ) -> Result<Process> {
        let process = process::spawn_detached(command, &self.id, &self.log(server, name))?;
        let record = ProcessRecord {
            name: name.to_owned(),
            process,
            namespace,
        };
        write_json(
            &self.run.join(format!("{server}.{name}.process.json")),
            &record,
        )?;
        Ok(process)
    }

    /// The processes of a server in the order in which they started.
    pub fn processes(&self, server: &str) -> Result<Vec<ProcessRecord>> {
        let mut records: Vec<ProcessRecord> = Vec::new();
        for path in self.records(server) {
            records.extend(read_json::<ProcessRecord>(&path)?);
        }
        records.sort_by_key(|record| record.process.started);
        Ok(records)
    }

    /// Stops the processes of a server, the last one first, and removes their records.
    pub fn end_processes(&self, server: &str) -> Result<()> {
        let (namespaces, plain): (Vec<_>, Vec<_>) = self
            .processes(server)?
            .into_iter()
            .rev()
            .partition(|record| record.namespace);
        // Processes in a namespace are killed at once, because the namespace is discarded with its mounts. All of them must have
        // exited before the control groups can be removed.
        let members: Vec<Process> = namespaces
            .iter()
            .flat_map(|record| process::family(record.process))
            .collect();
        process::kill(&members);
        let plain: Vec<Process> = plain.iter().map(|record| record.process).collect();
        process::end(&plain, Duration::from_secs(2));
        for path in self.records(server) {
            let _ = fs::remove_file(path);
        }
        Ok(())
    }

    /// Kills marked processes of this instance that have no record. An `up` leaves them if it's killed after it starts a process and
    /// before it writes the record.
    pub fn end_strays(&self) -> Result<()> {
        let mut recorded = Vec::new();
        for path in self.records("") {
            recorded.extend(read_json::<ProcessRecord>(&path)?.map(|record| record.process));
        }
        // A stray may just have started another process, so this repeats until none is left.
        for _ in 0..20 {
            let strays = process::marked(&self.id, &recorded);
            if strays.is_empty() {
                break;
            }
            process::kill(&strays);
        }
        Ok(())
    }

    /// Records that a server has started and is healthy.
    pub fn mark_up(&self, server: &str) -> Result<()> {
        write_file(&self.up_mark(server), "")
    }

    /// Removes the record that a server is healthy.
    pub fn mark_down(&self, server: &str) {
        let _ = fs::remove_file(self.up_mark(server));
    }

    /// Whether this server's start was completed.
    pub fn is_up(&self, server: &str) -> bool {
        self.up_mark(server).exists()
    }

    /// Removes all files of the instance and frees its number.
    pub fn release(&self) -> Result<()> {
        remove_tree(&self.data)?;
        remove_tree(&self.run)
    }

    fn up_mark(&self, server: &str) -> PathBuf {
        self.run.join(format!("{server}.up"))
    }

    /// The files of the process records of a server; of all servers if `server` is empty.
    fn records(&self, server: &str) -> Vec<PathBuf> {
        let is_record = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let owner = name
                .strip_suffix(".process.json")
                .and_then(|name| name.split_once('.'));
            owner.is_some_and(|(owner, _)| server.is_empty() || server == owner)
        };
        let entries = fs::read_dir(&self.run).into_iter().flatten();
        entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(is_record)
            .collect()
    }
}

fn identify(testbed: &Path, purpose: &str) -> String {
    let name = std::env::var_os("PIPEOPS_TESTBED_NAME").unwrap_or_default();
    let mut hash = Sha256::new();
    for part in [
        testbed.as_os_str().as_encoded_bytes(),
        name.as_encoded_bytes(),
        purpose.as_bytes(),
    ] {
        hash.update(part);
        hash.update([0]);
    }
    hex::encode(&hash.finalize()[..4])
}

fn read_number(run: &Path) -> Option<u8> {
    fs::read_to_string(run.join("number"))
        .ok()?
        .trim()
        .parse()
        .ok()
}

fn free_number() -> Result<u8> {
    let entries = fs::read_dir(RUN).map_err(Error::io("read", Path::new(RUN)))?;
    let taken: Vec<u8> = entries
        .filter_map(|entry| read_number(&entry.ok()?.path()))
        .collect();
    let routes = network::routes()?;
    (0..INSTANCES)
        .find(|number| {
            !taken.contains(number) && network::AddressPlan::new(*number).is_free(&routes)
        })
        .ok_or_else(|| Error::Machine {
            what: "no address range is left for another set of servers".to_owned(),
            fix: format!(
                "run `cargo testbed down` in one of the checkouts listed in {RUN}/*/checkout"
            ),
        })
}

fn free_port(range: std::ops::Range<u16>, taken: &[u16]) -> Result<u16> {
    let is_free =
        |port: &u16| !taken.contains(port) && TcpListener::bind(("127.0.0.1", *port)).is_ok();
    range.clone().find(is_free).ok_or_else(|| Error::Machine {
        what: format!(
            "all ports from {} to {} are in use",
            range.start,
            range.end - 1
        ),
        fix: "run `ss -ltnp` to see which programs use them".to_owned(),
    })
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| Error::Damaged {
                path: path.to_owned(),
                why: error.to_string(),
            }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("read", path)(error)),
    }
}

fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<()> {
    let text = serde_json::to_vec(value).map_err(|error| Error::Damaged {
        path: path.to_owned(),
        why: error.to_string(),
    })?;
    replace_file(path, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(root: &Path) -> Instance {
        let (data, run) = (root.join("data"), root.join("run"));
        create_directory(&data.join("sleeper")).unwrap();
        create_directory(&run).unwrap();
        let id = format!("unit-{}", std::process::id());
        Instance {
            id,
            number: 49,
            testbed: root.to_owned(),
            data,
            run,
            ports: Mutex::new(()),
        }
    }

    #[test]
    fn checkouts_have_different_ids() {
        let id = identify(Path::new("/a/testbed"), TESTS);
        assert_eq!(id.len(), 8);
        assert_ne!(id, identify(Path::new("/b/testbed"), TESTS));
        assert_ne!(id, identify(Path::new("/a/testbed"), "images"));
    }

    #[test]
    fn a_port_stays_with_its_name() {
        let root = tempfile::tempdir().unwrap();
        let instance = instance(root.path());
        let etcd = instance.port("etcd").unwrap();
        assert_ne!(etcd, instance.port("gitea").unwrap());
        assert_eq!(etcd, instance.port("etcd").unwrap());
    }

    #[test]
    fn a_taken_port_is_passed_over() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let taken = listener.local_addr().unwrap().port();
        assert!(free_port(taken..taken + 1, &[]).is_err());
    }

    #[test]
    fn processes_are_written_down_and_ended() {
        let root = tempfile::tempdir().unwrap();
        let instance = instance(root.path());
        let process = instance
            .spawn("sleeper", "sleep", Command::new("sleep").arg("600"), false)
            .unwrap();
        assert_eq!(instance.processes("sleeper").unwrap()[0].process, process);
        assert!(
            instance.processes("sleep").unwrap().is_empty(),
            "a prefix is another server"
        );
        instance.end_processes("sleeper").unwrap();
        assert!(!process.is_alive() && instance.processes("sleeper").unwrap().is_empty());
    }
}
