//! Waits for a slot on a daemon.

use std::sync::Arc;
use std::time::Duration;

use pipeops_core::EventSink;
use pipeops_core::event::EventKind;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::error::PoolError;
use super::scheduler::{Availability, Grant, Wanted};
use super::shared::{BuildSlot, Shared};

/// The interval at which a waiting build checks its limits.
const LOOK: Duration = Duration::from_secs(1);

/// Minimum time between two events about the position in the queue.
const TELL: Duration = Duration::from_secs(5);

/// The result of waiting.
#[derive(Debug)]
pub(super) enum Got {
    /// A slot on a daemon.
    Slot(BuildSlot, Grant),
    /// No daemon builds for all of its platforms, but each platform has one.
    PerPlatform,
}

/// Waits for a slot. Dropping the future leaves the queue.
pub(super) async fn wait(
    shared: &Arc<Shared>,
    wanted: Wanted,
    events: &dyn EventSink,
) -> Result<Got, PoolError> {
    let platforms = wanted.platforms.clone();
    let (slot, mut granted) = shared.enqueue(wanted)?;
    let mut clocks = Clocks::new(shared, platforms, slot.ticket);
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            Ok(grant) = &mut granted => return Ok(Got::Slot(slot, grant)),
            _ = look.tick() => {}
            () = shared.changed.notified() => {}
        }
        if clocks.look()? {
            return Ok(Got::PerPlatform);
        }
        if let Some(ahead) = clocks.news() {
            events.emit(EventKind::BuildWaiting { ahead });
        }
    }
}

/// The limits of a waiting build.
struct Clocks<'a> {
    shared: &'a Shared,
    platforms: Vec<String>,
    ticket: u64,
    since: Instant,
    /// The time since when no suitable daemon is up.
    down_since: Option<Instant>,
    told: Option<(Instant, u64)>,
}

impl<'a> Clocks<'a> {
    fn new(shared: &'a Shared, platforms: Vec<String>, ticket: u64) -> Self {
        Self {
            shared,
            platforms,
            ticket,
            since: Instant::now(),
            down_since: None,
            told: None,
        }
    }

    /// Fails at a limit. Returns whether to build each platform separately.
    fn look(&mut self) -> Result<bool, PoolError> {
        let options = &self.shared.options;
        let now = Instant::now();
        if now.duration_since(self.since) >= options.patience {
            self.shared.scheduler().lose_patience(self.ticket, now);
        }
        let availability = self.shared.scheduler().availability(&self.platforms);
        match availability {
            Availability::PerPlatform => return Ok(true),
            Availability::Unsupported => {
                return Err(PoolError::Platform {
                    wanted: self.platforms.clone(),
                    known: self.shared.scheduler().platforms(),
                });
            }
            Availability::Ready => self.down_since = None,
            Availability::Down => {
                let since = *self.down_since.get_or_insert(now);
                let limit = options.unreachable_timeout;
                if now.duration_since(since) >= limit {
                    let scheduler = self.shared.scheduler();
                    return Err(PoolError::Unreachable {
                        limit,
                        members: scheduler.complaints(),
                        discovery: scheduler.discovery_error(),
                    });
                }
            }
        }
        if now.duration_since(self.since) >= options.wait_timeout {
            let limit = options.wait_timeout;
            return Err(PoolError::WaitTimeout { limit });
        }
        Ok(false)
    }

    /// The position in the queue, if an event is due.
    fn news(&mut self) -> Option<u64> {
        let ahead = self.shared.scheduler().ahead(self.ticket)?;
        let ahead = u64::try_from(ahead).unwrap_or(u64::MAX);
        let now = Instant::now();
        let known = self
            .told
            .is_some_and(|(at, told)| told == ahead || now.duration_since(at) < TELL);
        if known {
            return None;
        }
        self.told = Some((now, ahead));
        Some(ahead)
    }
}
