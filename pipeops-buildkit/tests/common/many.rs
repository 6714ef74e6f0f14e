//! Many builds at once in a pool of real daemons.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pipeops_buildkit::{Error, Pool, PoolOptions, StaticMembers};
use pipeops_core::event::Discard;
use pipeops_core::{BuildRequest, BuiltImage, Diagnose};
use pipeops_registry::Registries;

use super::daemons::Daemon;
use super::{Context, registry_get, unique};

pub(crate) const BUILDS: usize = 50;

pub(crate) async fn daemons(count: usize) -> Vec<Daemon> {
    let mut daemons = Vec::new();
    for number in 0..count {
        daemons.push(Daemon::start(&format!("m{number}")).await);
    }
    daemons
}

pub(crate) fn options() -> PoolOptions {
    PoolOptions::default()
        .registry(Arc::new(Registries::default()))
        .probe_interval(Duration::from_secs(1))
}

pub(crate) fn pool(daemons: &[Daemon], options: PoolOptions) -> Pool {
    Pool::start(
        StaticMembers::new(daemons.iter().map(Daemon::member)),
        options,
    )
}

/// One build among many: some files, a step that works and one that waits.
pub(crate) fn context() -> Context {
    let dockerfile = "FROM busybox\nCOPY . /ctx\nRUN sha256sum /ctx/* > /sums && sleep 1\n";
    let context = Context::new(&[("Dockerfile", dockerfile), ("mark", &unique("pool"))]);
    for number in 0..20 {
        context.write(&format!("f{number}"), unique("f").repeat(100).as_bytes());
    }
    context
}

/// Runs all builds at once; `ended` is told how many have ended.
pub(crate) async fn build_all(
    pool: &Pool,
    ended: impl Fn(usize),
) -> Vec<(BuildRequest, Result<BuiltImage, Error>)> {
    let count = AtomicUsize::new(0);
    let builds = (0..BUILDS).map(|_| async {
        let context = context();
        let request = context.request();
        let result = pool.build(request.clone(), &Discard).await;
        ended(count.fetch_add(1, Ordering::Relaxed) + 1);
        (request, result)
    });
    futures::future::join_all(builds).await
}

pub(crate) async fn check(results: Vec<(BuildRequest, Result<BuiltImage, Error>)>) {
    for (request, result) in results {
        let built = result.unwrap_or_else(|failure| panic!("{}", failure.diagnosis()));
        let path = format!(
            "{}/manifests/{}",
            request.image.repository(),
            request.image.tag().unwrap()
        );
        assert_eq!(
            registry_get(&path).await.0.as_deref(),
            Some(built.digest.as_str())
        );
    }
}

/// The most memory that this process ever had, in MiB.
pub(crate) fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib / 1024
}

pub(crate) fn show(what: &str, begin: Instant, pool: &Pool) {
    let members: Vec<String> = pool
        .members()
        .iter()
        .map(|member| {
            format!(
                "{}: {} ended, {} lost",
                member.name, member.finished, member.lost
            )
        })
        .collect();
    println!(
        "{what}: {:.1} s, peak of this process {} MiB ({})",
        begin.elapsed().as_secs_f32(),
        peak_memory(),
        members.join("; ")
    );
}
