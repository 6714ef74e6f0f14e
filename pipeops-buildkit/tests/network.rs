//! The network between a client and a daemon (a stand-in): what goes over it when nothing is to be said, and what happens when
//! it falls silent. The clock is set forward, not waited for.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::Recorder;
use common::standin::{LIMIT, World, make};
use pipeops_buildkit::{Address, Client, ConnectOptions, Error, Solve};
use pipeops_core::Diagnose;
use pipeops_core::event::{Discard, EventKind};
use pipeops_testkit::buildkit::BuildkitDaemon;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What lies between: it keeps what the client says, and may hold back everything.
struct Network {
    address: Address,
    said: Arc<Mutex<Vec<u8>>>,
    frozen: watch::Sender<bool>,
    _tasks: JoinSet<()>,
}

impl Network {
    async fn to(daemon: &BuildkitDaemon) -> Self {
        Self::with(daemon, Duration::ZERO).await
    }

    /// It lies still for `pause` after each piece that the client says.
    async fn with(daemon: &BuildkitDaemon, pause: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("tcp://{}", listener.local_addr().unwrap());
        let server = daemon.address().trim_start_matches("tcp://").to_owned();
        let said = Arc::new(Mutex::new(Vec::new()));
        let (frozen, watch) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let heard = Arc::clone(&said);
        tasks.spawn(async move {
            let (client, _) = listener.accept().await.unwrap();
            let server = TcpStream::connect(server).await.unwrap();
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) = server.into_split();
            let keep = Keep {
                heard: &heard,
                pause,
            };
            let up = pass(&mut from_client, &mut to_server, &watch, Some(keep));
            let down = pass(&mut from_server, &mut to_client, &watch, None);
            tokio::join!(up, down);
        });
        Self {
            address: Address::parse(&address).unwrap(),
            said,
            frozen,
            _tasks: tasks,
        }
    }

    /// From now on nothing arrives any more, in neither direction; the connection stays.
    fn freeze(&self) {
        self.frozen.send_replace(true);
    }

    async fn client(&self) -> Client {
        Client::connect(&self.address, ConnectOptions::default())
            .await
            .unwrap()
    }

    /// The kinds of the HTTP/2 frames that the client sent, without acknowledgements.
    fn frames(&self) -> Vec<u8> {
        const PREFACE: usize = 24;
        let said = self.said.lock().unwrap();
        let (mut frames, mut rest) = (Vec::new(), &said[PREFACE..]);
        while let [a, b, c, kind, flags, ..] = rest {
            let length = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
            let acknowledges = flags & 1 == 1 && [SETTINGS, PING].contains(kind);
            if !acknowledges {
                frames.push(*kind);
            }
            rest = rest.get(9 + length..).unwrap_or_default();
        }
        frames
    }
}

const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;

/// The most that passes at once.
const PIECE: usize = 16 << 10;

/// What is kept of one direction, and how slow it is.
struct Keep<'a> {
    heard: &'a Mutex<Vec<u8>>,
    pause: Duration,
}

async fn pass(
    from: &mut (impl AsyncReadExt + Unpin),
    to: &mut (impl AsyncWriteExt + Unpin),
    frozen: &watch::Receiver<bool>,
    keep: Option<Keep<'_>>,
) {
    let mut buffer = vec![0; PIECE];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        if *frozen.borrow() {
            std::future::pending::<()>().await;
        }
        if let Some(keep) = &keep {
            let piece = &buffer[..length];
            keep.heard.lock().unwrap().extend_from_slice(piece);
            if !keep.pause.is_zero() {
                tokio::time::sleep(keep.pause).await;
            }
        }
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}

/// Lets this much time pass at once, second by second.
async fn pass_time(time: Duration) {
    tokio::time::pause();
    for _ in 0..time.as_secs() {
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    tokio::time::resume();
}

/// The daemon takes two pings of an idle connection for an attack and ends it (GOAWAY, too_many_pings).
#[tokio::test]
async fn an_idle_connection_sends_no_pings() {
    let world = World::new().await;
    let network = Network::to(world.daemon()).await;
    let client = network.client().await;
    client.info().await.unwrap();
    pass_time(Duration::from_secs(3_600)).await;
    client.info().await.unwrap();
    let frames = network.frames();
    assert_eq!(
        frames.iter().filter(|kind| **kind == HEADERS).count(),
        2,
        "{frames:?}"
    );
    assert!(!frames.contains(&PING), "{frames:?}");
}

/// Nobody closes the connection: only the silence says that the daemon is gone.
#[tokio::test]
async fn a_network_that_falls_silent_is_a_lost_daemon() {
    let world = World::of([make(|rule| rule.takes(Duration::from_secs(36_000)))]).await;
    let network = Network::to(world.daemon()).await;
    let client = network.client().await;
    let (solve, events) = (
        Solve::new(world.request("app")),
        Arc::new(Recorder::default()),
    );
    let watch = Arc::clone(&events);
    let build = tokio::spawn(async move { client.solve(solve, &*watch).await });
    events.began("RUN make").await;
    network.freeze();
    // Much less than the build's own limit of an hour.
    pass_time(Duration::from_secs(120)).await;
    let ended = tokio::time::timeout(LIMIT, build);
    let error = ended
        .await
        .expect("it waits for ever")
        .unwrap()
        .unwrap_err();
    assert!(
        matches!(&error, Error::DaemonLost { why, .. } if why.contains("silent")),
        "{error:?}"
    );
    assert!(error.diagnosis().class.is_transient());
}

/// gRPC clients take 4 MiB by default; the daemon sends up to 16.
#[tokio::test]
async fn a_message_of_many_megabytes_is_taken() {
    // 5 MiB.
    const LINES: usize = 5 << 14;
    let line = "a line of sixty-four bytes, which comes again and again and aga\n";
    let world = World::of([make(|rule| rule.stdout(line.repeat(LINES)))]).await;
    let lines = Mutex::new(0);
    let count = |event: EventKind| {
        if let EventKind::Log { line: shown, .. } = event {
            assert_eq!(format!("{shown}\n"), line);
            *lines.lock().unwrap() += 1;
        }
    };
    world.solve(world.request("app"), &count).await.unwrap();
    assert_eq!(*lines.lock().unwrap(), LINES);
}

/// What a daemon takes slowly waits on the way; it is not lost, and the daemon is not given up.
#[tokio::test]
async fn a_daemon_that_reads_slowly_gets_everything() {
    const SIZE: usize = 2 << 20;
    let world = World::new().await;
    world.write("Dockerfile", "FROM scratch\nCOPY a /\n");
    let content: Vec<u8> = (0..SIZE).map(|at| (at / 7) as u8).collect();
    world.context.write("a", &content);
    let network = Network::with(world.daemon(), Duration::from_millis(2)).await;
    let solve = Solve::new(world.request("app")).timeout(LIMIT);
    let solved = network.client().await.solve(solve, &Discard).await.unwrap();
    assert!(solved.context.bytes >= SIZE as u64, "{:?}", solved.context);
    assert!(network.said.lock().unwrap().len() >= SIZE);
}
