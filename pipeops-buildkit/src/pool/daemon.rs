//! The pool's state of one daemon.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use super::member::Member;
use super::platform::normal;
use super::status::{MemberState, MemberStatus};

/// The first wait after a failed probe, and the longest.
const BACKOFF: Duration = Duration::from_secs(1);
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);

/// A member, its health and its builds.
#[derive(Debug)]
pub(super) struct Daemon {
    pub(super) member: Member,
    /// Discovery still lists it.
    pub(super) listed: bool,
    health: Health,
    /// The platforms that it reports.
    workers: BTreeSet<String>,
    version: String,
    running: BTreeMap<u64, Running>,
    finished: u64,
    lost: u64,
    /// The average duration of its builds.
    average: Option<Duration>,
    last_error: Option<String>,
    /// The time of the next probe; `None` while a probe runs.
    due: Option<Instant>,
    failures: u32,
    /// Counts changes of its address and losses, to ignore answers to older probes.
    pub(super) generation: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Health {
    New,
    Up,
    Down,
}

/// A build that runs here.
#[derive(Debug)]
struct Running {
    namespace: String,
    since: Instant,
}

/// The result of a successful probe.
#[derive(Debug, Clone, Default)]
pub(super) struct Probed {
    pub(super) version: String,
    pub(super) platforms: Vec<String>,
}

impl Daemon {
    pub(super) fn new(member: Member, now: Instant) -> Self {
        Self {
            member,
            listed: true,
            health: Health::New,
            workers: BTreeSet::new(),
            version: String::new(),
            running: BTreeMap::new(),
            finished: 0,
            lost: 0,
            average: None,
            last_error: None,
            due: Some(now),
            failures: 0,
            generation: 0,
        }
    }

    /// Updates it from discovery.
    pub(super) fn relist(&mut self, member: Member, now: Instant) {
        if self.member.address != member.address {
            self.health = Health::New;
            self.failures = 0;
            self.generation += 1;
            self.due = Some(now);
        }
        self.listed = true;
        self.member = member;
    }

    /// Whether discovery no longer lists it and nothing runs there.
    pub(super) fn is_gone(&self) -> bool {
        !self.listed && self.running.is_empty()
    }

    pub(super) fn is_new(&self) -> bool {
        self.health == Health::New
    }

    /// Whether it accepts new builds, regardless of its capacity.
    pub(super) fn takes_builds(&self) -> bool {
        self.listed && !self.member.draining && self.health == Health::Up
    }

    /// Whether it wasn't probed yet and may accept builds for these platforms.
    pub(super) fn may_take_builds(&self, platforms: &[String]) -> bool {
        let fits = self.platforms().is_empty() || self.builds_for(platforms);
        self.listed && !self.member.draining && self.is_new() && fits
    }

    pub(super) fn platforms(&self) -> BTreeSet<String> {
        if self.member.platforms.is_empty() {
            self.workers.clone()
        } else {
            self.member
                .platforms
                .iter()
                .map(|name| normal(name))
                .collect()
        }
    }

    /// Whether it's known to build for all of these platforms.
    pub(super) fn builds_for(&self, platforms: &[String]) -> bool {
        platforms.is_empty() || {
            let known = self.platforms();
            platforms.iter().all(|name| known.contains(name))
        }
    }

    pub(super) fn capacity(&self, default: usize) -> usize {
        self.member.capacity.unwrap_or(default).max(1)
    }

    pub(super) fn has_capacity(&self, default: usize) -> bool {
        self.running.len() < self.capacity(default)
    }

    /// When a slot should be free here, by the average duration of its builds; `None` if unknown.
    pub(super) fn capacity_in(&self, default: usize, now: Instant) -> Option<Duration> {
        if self.has_capacity(default) {
            return Some(Duration::ZERO);
        }
        let average = self.average?;
        // A build that outlasts the average says nothing about its end.
        let rests = self
            .running
            .values()
            .filter_map(|running| average.checked_sub(now.duration_since(running.since)));
        rests.min()
    }

    pub(super) fn start(&mut self, ticket: u64, namespace: &str, now: Instant) {
        let running = Running {
            namespace: namespace.to_owned(),
            since: now,
        };
        self.running.insert(ticket, running);
    }

    /// Frees the slot of a build and returns its namespace.
    pub(super) fn leave(&mut self, ticket: u64) -> Option<String> {
        self.running
            .remove(&ticket)
            .map(|running| running.namespace)
    }

    /// Records a successful build, which proves as much as a probe.
    pub(super) fn finish(&mut self, ticket: u64, now: Instant, next_probe: Instant) {
        let Some(running) = self.running.get(&ticket) else {
            return;
        };
        let took = now.duration_since(running.since);
        // New builds count for a quarter: what people build changes over the day.
        self.average = Some(
            self.average
                .map_or(took, |average| average.mul_f64(0.75) + took.mul_f64(0.25)),
        );
        self.finished += 1;
        if self.health == Health::Up && self.due.is_some() {
            self.due = Some(next_probe);
        }
    }

    /// Records that a build lost it. It gets no builds until a probe succeeds, at `next_probe` at the earliest.
    pub(super) fn lose(&mut self, why: String, next_probe: Instant) {
        self.lost += 1;
        self.health = Health::Down;
        self.last_error = Some(why);
        self.generation += 1;
        self.due = Some(next_probe);
    }

    /// The time of the next probe.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due.filter(|_| self.listed)
    }

    pub(super) fn probing(&mut self) {
        self.due = None;
    }

    pub(super) fn probed(
        &mut self,
        result: Result<Probed, String>,
        now: Instant,
        interval: Duration,
    ) {
        match result {
            Ok(probed) => {
                self.health = Health::Up;
                self.failures = 0;
                self.version = probed.version;
                self.workers = probed.platforms.iter().map(|name| normal(name)).collect();
                self.due = Some(now + interval);
            }
            Err(why) => {
                self.health = Health::Down;
                self.last_error = Some(why);
                let wait = BACKOFF.saturating_mul(1 << self.failures.min(5));
                self.failures += 1;
                self.due = Some(now + wait.min(LONGEST_BACKOFF));
            }
        }
    }

    /// Its address with its last error, as readable text.
    pub(super) fn complaint(&self) -> String {
        let why = match (&self.last_error, self.health) {
            (_, Health::Up) if self.member.draining => "accepts no new builds",
            (_, Health::New) => "has not responded yet",
            (Some(error), _) => error.as_str(),
            (None, _) => "no error",
        };
        format!("{}: {why}", self.member.address)
    }

    pub(super) fn status(&self, default_capacity: usize, waiting: usize) -> MemberStatus {
        let draining = !self.listed
            || self.member.draining
            || (self.health == Health::Down && !self.running.is_empty());
        let state = match self.health {
            _ if draining => MemberState::Draining,
            Health::New => MemberState::New,
            Health::Up => MemberState::Up,
            Health::Down => MemberState::Down,
        };
        MemberStatus {
            name: self.member.name.clone(),
            address: self.member.address.to_string(),
            region: self.member.region.clone(),
            platforms: self.platforms().into_iter().collect(),
            version: self.version.clone(),
            state,
            running: self.running.len(),
            capacity: self.capacity(default_capacity),
            waiting,
            finished: self.finished,
            lost: self.lost,
            last_error: self.last_error.clone(),
        }
    }
}
