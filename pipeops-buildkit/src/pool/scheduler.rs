//! Decides where builds run and which of them wait. Plain data without tasks or a clock.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::daemon::{Daemon, Probed};
use super::error::PoolError;
use super::member::Member;
use super::options::PoolOptions;
use super::queue::Queue;
use super::rank::score;
use super::status::MemberStatus;
use crate::address::Address;

/// The daemon that a build needs.
#[derive(Debug, Clone, Default)]
pub(super) struct Wanted {
    pub(super) namespace: String,
    /// The platforms in normalized spelling; empty for the daemon's own.
    pub(super) platforms: Vec<String>,
    /// Names of daemons that lost this build before; they're the last choice.
    pub(super) avoid: BTreeSet<String>,
}

/// A slot on a daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) member: String,
    pub(super) address: Address,
}

/// Whether the pool can take a build now, later or never.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Availability {
    /// A suitable daemon is up.
    Ready,
    /// No single daemon, but each platform has one that is up.
    PerPlatform,
    /// No suitable daemon is up at the moment.
    Down,
    /// No daemon builds for the platforms.
    Unsupported,
}

/// A build in the queue.
#[derive(Debug)]
struct Waiting {
    wanted: Wanted,
    /// It no longer waits for its first choice.
    impatient: bool,
    grant: oneshot::Sender<Grant>,
}

/// All daemons and all builds of one pool.
#[derive(Debug)]
pub(super) struct Scheduler {
    options: PoolOptions,
    daemons: BTreeMap<String, Daemon>,
    queue: Queue<Waiting>,
    /// Running builds by namespace.
    running: HashMap<String, usize>,
    next_ticket: u64,
    /// Why the list of members wasn't available the last time.
    discovery_error: Option<String>,
}

impl Scheduler {
    pub(super) fn new(options: PoolOptions) -> Self {
        Self {
            options,
            daemons: BTreeMap::new(),
            queue: Queue::new(),
            running: HashMap::new(),
            next_ticket: 0,
            discovery_error: None,
        }
    }

    /// Adds a build to the queue and returns its ticket.
    pub(super) fn enqueue(
        &mut self,
        wanted: Wanted,
        grant: oneshot::Sender<Grant>,
        now: Instant,
    ) -> Result<u64, PoolError> {
        let limit = self.options.queue_limit;
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let namespace = wanted.namespace.clone();
        let waiting = Waiting {
            wanted,
            impatient: false,
            grant,
        };
        self.queue.push(ticket, &namespace, waiting);
        self.settle(now);
        // Only who has to wait can be one too many.
        if self.queue.len() > limit && self.queue.cancel(ticket).is_some() {
            return Err(PoolError::QueueFull { limit });
        }
        Ok(ticket)
    }

    /// The build ended or was cancelled.
    pub(super) fn leave(&mut self, ticket: u64, now: Instant) {
        if self.queue.cancel(ticket).is_some() {
            return;
        }
        let Some(namespace) = self
            .daemons
            .values_mut()
            .find_map(|daemon| daemon.leave(ticket))
        else {
            return;
        };
        if let Some(count) = self.running.get_mut(&namespace) {
            *count -= 1;
            if *count == 0 {
                self.running.remove(&namespace);
            }
        }
        self.daemons.retain(|_, daemon| !daemon.is_gone());
        self.settle(now);
    }

    /// The build succeeded; `leave` follows.
    pub(super) fn finish(&mut self, ticket: u64, member: &str, now: Instant) {
        let next_probe = now + self.options.probe_interval;
        if let Some(daemon) = self.daemons.get_mut(member) {
            daemon.finish(ticket, now, next_probe);
        }
    }

    /// A build lost this daemon, which is probed again after `hold`.
    pub(super) fn lose(&mut self, member: &str, why: String, hold: Duration, now: Instant) {
        if let Some(daemon) = self.daemons.get_mut(member) {
            daemon.lose(why, now + hold);
        }
    }

    /// The build uses any daemon from now on.
    pub(super) fn lose_patience(&mut self, ticket: u64, now: Instant) {
        if let Some(waiting) = self.queue.get_mut(ticket)
            && !std::mem::replace(&mut waiting.impatient, true)
        {
            self.settle(now);
        }
    }

    /// Updates the members from discovery.
    pub(super) fn set_members(&mut self, members: Vec<Member>, now: Instant) {
        self.discovery_error = None;
        self.daemons
            .values_mut()
            .for_each(|daemon| daemon.listed = false);
        for member in members {
            match self.daemons.get_mut(&member.name) {
                Some(daemon) if daemon.listed => {}
                Some(daemon) => daemon.relist(member, now),
                None => drop(
                    self.daemons
                        .insert(member.name.clone(), Daemon::new(member, now)),
                ),
            }
        }
        self.daemons.retain(|_, daemon| !daemon.is_gone());
        self.settle(now);
    }

    /// The list of members isn't available; the members stay.
    pub(super) fn discovery_failed(&mut self, why: String) {
        self.discovery_error = Some(why);
    }

    pub(super) fn discovery_error(&self) -> Option<String> {
        self.discovery_error.clone()
    }

    /// The daemons to probe now, each with its generation.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<(String, Address, u64)> {
        let due = self
            .daemons
            .iter_mut()
            .filter(|(_, daemon)| daemon.due().is_some_and(|at| at <= now));
        due.map(|(name, daemon)| {
            daemon.probing();
            (
                name.clone(),
                daemon.member.address.clone(),
                daemon.generation,
            )
        })
        .collect()
    }

    /// The time of the next probe.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.daemons.values().filter_map(Daemon::due).min()
    }

    /// Records the result of a probe.
    pub(super) fn probed(
        &mut self,
        name: &str,
        generation: u64,
        result: Result<Probed, String>,
        now: Instant,
    ) {
        let interval = self.options.probe_interval;
        if let Some(daemon) = self.daemons.get_mut(name)
            && daemon.generation == generation
        {
            daemon.probed(result, now, interval);
        }
        self.settle(now);
    }

    /// The number of builds that get a slot before this one; `None` once it has one.
    pub(super) fn ahead(&self, ticket: u64) -> Option<usize> {
        self.queue.ahead(ticket)
    }

    pub(super) fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Whether daemons for these platforms are up.
    pub(super) fn availability(&self, wanted: &[String]) -> Availability {
        let listed = || self.daemons.values().filter(|daemon| daemon.listed);
        let up = |platforms: &[String]| {
            listed().any(|daemon| daemon.takes_builds() && daemon.builds_for(platforms))
        };
        if up(wanted) {
            return Availability::Ready;
        }
        if listed().any(Daemon::is_new) {
            return Availability::Down;
        }
        if wanted.len() > 1 && wanted.iter().all(|one| up(std::slice::from_ref(one))) {
            return Availability::PerPlatform;
        }
        // A daemon that was never up may build for anything.
        let hope =
            listed().any(|daemon| daemon.platforms().is_empty() || daemon.builds_for(wanted));
        if hope || listed().next().is_none() {
            Availability::Down
        } else {
            Availability::Unsupported
        }
    }

    /// All platforms of the listed daemons.
    pub(super) fn platforms(&self) -> Vec<String> {
        let listed = self.daemons.values().filter(|daemon| daemon.listed);
        let all: BTreeSet<String> = listed.flat_map(Daemon::platforms).collect();
        all.into_iter().collect()
    }

    /// Each listed daemon with its last error.
    pub(super) fn complaints(&self) -> Vec<String> {
        let listed = self.daemons.values().filter(|daemon| daemon.listed);
        listed.map(Daemon::complaint).collect()
    }

    pub(super) fn status(&self) -> Vec<MemberStatus> {
        let mut waiting: HashMap<&str, usize> = HashMap::new();
        for (_, _, build) in self.queue.iter() {
            if let Some(first) = self.ranked(&build.wanted).first() {
                *waiting.entry(first.member.name.as_str()).or_default() += 1;
            }
        }
        let status = |(name, daemon): (&String, &Daemon)| {
            daemon.status(
                self.options.capacity,
                waiting.get(name.as_str()).copied().unwrap_or(0),
            )
        };
        self.daemons.iter().map(status).collect()
    }

    /// Assigns slots to builds while any build can get one.
    fn settle(&mut self, now: Instant) {
        while self.has_capacity()
            && let Some((ticket, member)) = self.next(now)
        {
            self.start(ticket, &member, now);
        }
    }

    fn has_capacity(&self) -> bool {
        let capacity = self.options.capacity;
        self.daemons
            .values()
            .any(|daemon| daemon.takes_builds() && daemon.has_capacity(capacity))
    }

    /// The next build that can get a slot, and where.
    fn next(&self, now: Instant) -> Option<(u64, String)> {
        let limit = self.options.namespace_limit.unwrap_or(usize::MAX);
        let may_run = |namespace: &str| self.running.get(namespace).copied().unwrap_or(0) < limit;
        self.queue
            .iter()
            .filter(|(_, namespace, _)| may_run(namespace))
            .find_map(|(ticket, _, build)| Some((ticket, self.place(build, now)?)))
    }

    fn start(&mut self, ticket: u64, member: &str, now: Instant) {
        let Some((namespace, waiting)) = self.queue.serve(ticket) else {
            return;
        };
        let Some(daemon) = self.daemons.get_mut(member) else {
            return;
        };
        daemon.start(ticket, &namespace, now);
        *self.running.entry(namespace).or_default() += 1;
        // Who does not wait any more says so itself.
        let _ = waiting.grant.send(Grant {
            member: member.to_owned(),
            address: daemon.member.address.clone(),
        });
    }

    /// The daemon for a build: its first choice, or the next one with capacity if the wait would be too long.
    fn place(&self, build: &Waiting, now: Instant) -> Option<String> {
        let capacity = self.options.capacity;
        let ranked = self.ranked(&build.wanted);
        let first = ranked.first()?;
        let worth_waiting = || {
            let soon = |wait| wait <= self.options.patience;
            // When a process starts, its daemons answer one after another: the first to do so must not get everything.
            !build.impatient
                && (first.is_new() || first.capacity_in(capacity, now).is_some_and(soon))
        };
        let free = ranked
            .iter()
            .find(|daemon| daemon.takes_builds() && daemon.has_capacity(capacity))?;
        let spill = free.member.name != first.member.name;
        (!spill || !worth_waiting()).then(|| free.member.name.clone())
    }

    /// The suitable daemons for a build, best first, including those that weren't probed yet.
    fn ranked(&self, wanted: &Wanted) -> Vec<&Daemon> {
        let able = |daemon: &&Daemon| {
            let known = daemon.takes_builds() && daemon.builds_for(&wanted.platforms);
            known || daemon.may_take_builds(&wanted.platforms)
        };
        let mut ranked: Vec<_> = self
            .daemons
            .values()
            .filter(able)
            .map(|daemon| {
                let name = &daemon.member.name;
                let lost = wanted.avoid.contains(name);
                let far =
                    self.options.region.is_some() && daemon.member.region != self.options.region;
                let score = score(
                    name,
                    &wanted.namespace,
                    daemon.capacity(self.options.capacity),
                );
                (lost, far, score, daemon)
            })
            .collect();
        ranked.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)).then(b.2.total_cmp(&a.2)));
        ranked.into_iter().map(|(.., daemon)| daemon).collect()
    }
}
