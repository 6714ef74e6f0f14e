//! The trait of servers, and the context in which they start.

use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::cache::{Cache, create_directory, write_file};
use crate::command::{run, tail};
use crate::error::{Error, Result};
use crate::golang::GoModule;
use crate::health::Health;
use crate::instance::Instance;
use crate::process::{self, Process};

/// A server that tests can run against.
pub trait Server: Sync {
    /// The name on the command line, and in `#[ignore = "needs testbed: NAME"]`.
    fn name(&self) -> &'static str;

    /// What it is, in one line for `cargo testbed --help`.
    fn summary(&self) -> &'static str;

    /// Servers that must be up before this one is started.
    fn needs(&self) -> &'static [&'static str] {
        &[]
    }

    /// Debian packages.
    fn packages(&self) -> &'static [&'static str] {
        &[]
    }

    /// Go modules that are built.
    fn modules(&self) -> &'static [&'static GoModule] {
        &[]
    }

    /// Base images that must be built before it starts.
    fn images(&self) -> &'static [&'static str] {
        &[]
    }

    /// Starts it, and returns when it can be used. Its directory exists and is empty.
    fn start(&self, context: &Context<'_>) -> Result<()>;

    /// Brings a running server up to date with this version of the program. `up` calls it instead of [`Self::start`].
    fn refresh(&self, _context: &Context<'_>) -> Result<()> {
        Ok(())
    }

    /// Checks its health once.
    fn health(&self, context: &Context<'_>) -> Health;

    /// Its address, for `cargo testbed status`.
    fn address(&self, context: &Context<'_>) -> Result<String>;

    /// What `cargo testbed env` exports for it.
    fn env(&self, _context: &Context<'_>) -> Result<Vec<(&'static str, String)>> {
        Ok(Vec::new())
    }

    /// Removes what its processes left outside its directory. Runs after they have ended, also after an interrupted start.
    fn clean(&self, _context: &Context<'_>) {}
}

/// The cache, the instance and the name with which a server starts.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// Where built programs and images are.
    pub cache: &'a Cache,
    /// The checkout's instance.
    pub instance: &'a Instance,
    /// The server's own name.
    pub server: &'static str,
}

impl<'a> Context<'a> {
    /// The context of one server.
    pub fn new(cache: &'a Cache, instance: &'a Instance, server: &dyn Server) -> Self {
        Self {
            cache,
            instance,
            server: server.name(),
        }
    }

    /// A path in the server's directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.instance.directory(self.server).join(name)
    }

    /// Creates a directory in the server's directory.
    pub fn create_directory(&self, name: &str) -> Result<PathBuf> {
        let path = self.path(name);
        create_directory(&path)?;
        Ok(path)
    }

    /// Writes a file in the server's directory.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> Result<PathBuf> {
        let path = self.path(name);
        write_file(&path, content)?;
        Ok(path)
    }

    /// Reads a short file of the server's directory.
    pub fn read(&self, name: &str) -> Result<String> {
        let path = self.path(name);
        std::fs::read_to_string(&path).map_err(Error::io("read", &path))
    }

    /// `127.0.0.1:PORT` for the port with this name.
    pub fn address(&self, port: &str) -> Result<String> {
        Ok(format!("127.0.0.1:{}", self.instance.port(port)?))
    }

    /// A program of a Go module.
    pub fn program(&self, module: &GoModule, name: &str) -> Result<PathBuf> {
        Ok(module
            .directory(self.cache, &self.instance.testbed)?
            .join(name))
    }

    /// Starts a process that outlives this program.
    pub fn spawn(&self, name: &str, command: &Command) -> Result<Process> {
        self.instance.spawn(self.server, name, command, false)
    }

    /// Starts a process in new process and mount namespaces: when it ends, or is killed, so is all that it
    /// started, and its mounts are gone. Its network is the host's, or that of the namespace file `network`.
    pub fn spawn_in_namespace(
        &self,
        name: &str,
        network: Option<&str>,
        command: &Command,
    ) -> Result<Process> {
        let mut wrapped = match network {
            Some(path) => {
                let mut nsenter = Command::new("nsenter");
                nsenter.arg(format!("--net={path}")).arg("unshare");
                nsenter
            }
            None => Command::new("unshare"),
        };
        wrapped.args(["--fork", "--kill-child", "--pid", "--mount", "--mount-proc"]);
        wrapped.arg(command.get_program()).args(command.get_args());
        wrapped.envs(
            command
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        self.instance.spawn(self.server, name, &wrapped, true)
    }

    /// Waits until a probe finds nothing wrong, or the process has ended, or `limit` has passed.
    pub fn await_healthy(
        &self,
        process: &str,
        limit: Duration,
        probe: impl Fn() -> Health,
    ) -> Result<()> {
        let started = Instant::now();
        loop {
            // Whether it lives is asked first: it may end between a failed probe and that question.
            let alive = self.is_alive(process)?;
            let Err(why) = probe() else { return Ok(()) };
            if !alive || started.elapsed() > limit {
                let log = self.instance.log(self.server, process);
                let (process, tail) = (format!("{}/{process}", self.server), tail(&log));
                return Err(match alive {
                    true => Error::Unhealthy {
                        process,
                        limit,
                        why,
                        log,
                        tail,
                    },
                    false => Error::Ended { process, log, tail },
                });
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Whether all processes of this server run.
    pub fn all_alive(&self) -> Health {
        let records = self.instance.processes(self.server)?;
        match records.iter().find(|record| !record.process.is_alive()) {
            Some(record) => Err(format!("`{}` exited", record.name)),
            None if records.is_empty() => Err("not started".to_owned()),
            None => Ok(()),
        }
    }

    /// The command that runs a program inside the namespaces of a process that [`Self::spawn_in_namespace`] started.
    pub fn inside(
        &self,
        process: Process,
        program: impl AsRef<std::ffi::OsStr>,
    ) -> Result<Command> {
        let first = process::child_of(process.pid)
            .ok_or_else(|| Error::Usage(format!("{}: the namespace is gone", self.server)))?;
        let mut command = Command::new("nsenter");
        command
            .args(["--target", &first.to_string(), "--pid", "--mount", "--net"])
            .arg(program);
        Ok(command)
    }

    fn is_alive(&self, process: &str) -> Result<bool> {
        let records = self.instance.processes(self.server)?;
        Ok(records
            .iter()
            .any(|record| record.name == process && record.process.is_alive()))
    }
}

/// A random word of 32 hexadecimal digits, for passwords and tokens.
pub fn random_word() -> Result<String> {
    use std::io::Read;
    let path = std::path::Path::new("/dev/urandom");
    let mut bytes = [0; 16];
    std::fs::File::open(path)
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(Error::io("read", path))?;
    Ok(hex::encode(bytes))
}

/// Runs a command as a probe.
pub fn probe(command: &mut Command) -> Health {
    run(command).map(drop).map_err(|error| match error {
        Error::Command { output, .. } => output.lines().next_back().unwrap_or("failed").to_owned(),
        other => other.to_string(),
    })
}
