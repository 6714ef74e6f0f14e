//! Real daemons that a test starts, and may kill.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use pipeops_buildkit::{Address, Client, ConnectOptions, Error, Member};
use rustix::process::{Pid, Signal, kill_process};
use tokio::net::{TcpListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::env;

/// One buildkitd with a folder of its own, in namespaces of its own: its build steps end with it.
pub(crate) struct Daemon {
    name: String,
    process: Child,
    folder: tempfile::TempDir,
}

impl Daemon {
    /// Starts one and waits until it answers.
    pub(crate) async fn start(name: &str) -> Self {
        Self::start_after(name, "true").await
    }

    /// Starts one on a disk of this size.
    pub(crate) async fn with_disk(size: &str) -> Self {
        let mount = format!("mount -t tmpfs -o size={size} none \"$ROOT\"");
        Self::start_after("small", &mount).await
    }

    /// Starts one after a shell command in its namespaces.
    async fn start_after(name: &str, command: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        std::fs::create_dir(&root).unwrap();
        let registry = env("REGISTRY");
        let config = format!(
            "root = \"{root}\"\n\
             [grpc]\naddress = [\"unix://{folder}/sock\"]\n\
             [worker.oci]\nenabled = true\n[worker.containerd]\nenabled = false\n[cdi]\ndisabled = true\n\
             [registry.\"docker.io\"]\nmirrors = [\"{registry}\"]\n[registry.\"{registry}\"]\nhttp = true\n",
            root = root.display(),
            folder = folder.path().display(),
        );
        let path = folder.path().join("buildkitd.toml");
        std::fs::write(&path, config).unwrap();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let process = Command::new("unshare")
            .args(["--fork", "--kill-child", "--pid", "--mount", "--mount-proc"])
            .args([
                "sh",
                "-c",
                &format!("{command} && exec \"$0\" --config \"$1\""),
            ])
            .arg(env("BUILDKITD"))
            .arg(path)
            .env("ROOT", root)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .process_group(0)
            .spawn()
            .unwrap();
        let daemon = Self {
            name: name.to_owned(),
            process,
            folder,
        };
        daemon.wait().await;
        daemon
    }

    pub(crate) fn address(&self) -> Address {
        Address::Unix(self.folder.path().join("sock"))
    }

    pub(crate) fn member(&self) -> Member {
        Member::new(self.address()).name(&self.name)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) async fn client(&self) -> Client {
        self.try_connect().await.unwrap()
    }

    async fn try_connect(&self) -> Result<Client, Error> {
        Client::connect(&self.address(), ConnectOptions::default()).await
    }

    /// `kill -9`, at once with all that it runs.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// SIGTERM: it takes no new connections and ends its builds.
    pub(crate) fn terminate(&self) {
        let own = self.process.id();
        let children = std::fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap();
        let pid: i32 = children.split_whitespace().next().unwrap().parse().unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), Signal::TERM).unwrap();
    }

    async fn wait(&self) {
        for _ in 0..300 {
            if let Ok(client) = self.try_connect().await
                && client.workers().await.is_ok()
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap();
        panic!("buildkitd does not answer: {log}");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The network between this process and a daemon. Dropping it cuts all connections.
pub(crate) struct Network {
    address: Address,
    frozen: watch::Sender<bool>,
    _tasks: JoinSet<()>,
}

impl Network {
    /// `daemon` listens on a Unix socket.
    pub(crate) async fn to(daemon: &Address) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("tcp://{}", listener.local_addr().unwrap());
        let Address::Unix(socket) = daemon.clone() else {
            panic!("{daemon} is not a socket")
        };
        let (frozen, watch) = watch::channel(false);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let server = UnixStream::connect(&socket).await.unwrap();
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) = server.into_split();
                let mut watch = watch.clone();
                connections.spawn(async move {
                    let up = tokio::io::copy(&mut from_client, &mut to_server);
                    let freeze = async move {
                        let _ = watch.wait_for(|frozen| *frozen).await.map(drop);
                    };
                    let down = async {
                        let copy = tokio::io::copy(&mut from_server, &mut to_client);
                        tokio::select! {
                            _ = copy => {}
                            () = freeze => std::future::pending().await,
                        }
                    };
                    tokio::join!(up, down).0.ok();
                });
            }
        });
        Self {
            address: Address::parse(&address).unwrap(),
            frozen,
            _tasks: tasks,
        }
    }

    pub(crate) fn address(&self) -> Address {
        self.address.clone()
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(&self.address, ConnectOptions::default())
            .await
            .unwrap()
    }

    /// From now on nothing comes back from the daemon.
    pub(crate) fn freeze(&self) {
        self.frozen.send_replace(true);
    }
}
