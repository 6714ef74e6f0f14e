//! Waits for a place at a daemon.

use std::sync::Arc;
use std::time::Duration;

use pipeops_core::EventSink;
use pipeops_core::event::EventKind;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::error::PoolError;
use super::scheduler::{Grant, Outlook, Wanted};
use super::shared::{Place, Shared};

/// How often a waiting build looks at its clocks.
const LOOK: Duration = Duration::from_secs(1);

/// Shortest time between two events about the position in the queue.
const TELL: Duration = Duration::from_secs(5);

/// What a build got.
#[derive(Debug)]
pub(super) enum Got {
    /// A place at a daemon.
    Place(Place, Grant),
    /// No daemon builds for all of its platforms, but each platform has one.
    Apart,
}

/// Waits until the build has its place. Dropping the future gives up the place in the queue.
pub(super) async fn wait(
    shared: &Arc<Shared>,
    wanted: Wanted,
    events: &dyn EventSink,
) -> Result<Got, PoolError> {
    let platforms = wanted.platforms.clone();
    let (place, mut granted) = shared.enqueue(wanted)?;
    let mut clocks = Clocks::new(shared, platforms, place.ticket);
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            Ok(grant) = &mut granted => return Ok(Got::Place(place, grant)),
            _ = look.tick() => {}
            () = shared.changed.notified() => {}
        }
        if clocks.look()? {
            return Ok(Got::Apart);
        }
        if let Some(ahead) = clocks.news() {
            events.emit(EventKind::BuildWaiting { ahead });
        }
    }
}

/// For how long a build waits for what.
struct Clocks<'a> {
    shared: &'a Shared,
    platforms: Vec<String>,
    ticket: u64,
    since: Instant,
    /// Since when no daemon that could take it is up.
    dark: Option<Instant>,
    told: Option<(Instant, u64)>,
}

impl<'a> Clocks<'a> {
    fn new(shared: &'a Shared, platforms: Vec<String>, ticket: u64) -> Self {
        Self {
            shared,
            platforms,
            ticket,
            since: Instant::now(),
            dark: None,
            told: None,
        }
    }

    /// Fails when there is no use in waiting longer; gives whether to build apart.
    fn look(&mut self) -> Result<bool, PoolError> {
        let options = &self.shared.options;
        let now = Instant::now();
        if now.duration_since(self.since) >= options.patience {
            self.shared.scheduler().lose_patience(self.ticket, now);
        }
        let outlook = self.shared.scheduler().outlook(&self.platforms);
        match outlook {
            Outlook::Apart => return Ok(true),
            Outlook::Never => {
                return Err(PoolError::Platform {
                    wanted: self.platforms.clone(),
                    known: self.shared.scheduler().platforms(),
                });
            }
            Outlook::Good => self.dark = None,
            Outlook::Dark => {
                let since = *self.dark.get_or_insert(now);
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

    /// The position in the queue, when it is time to tell it.
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
