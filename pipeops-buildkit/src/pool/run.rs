//! Runs one build, on several daemons if necessary.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use pipeops_core::event::EventKind;
use pipeops_core::{BuildRequest, Diagnose, Digest, EventSink};
use tokio::time::timeout;

use super::platform::normal;
use super::scheduler::{Grant, Wanted};
use super::shared::Shared;
use super::wait::{Got, wait};
use crate::builder::{Builder, Tries};
use crate::cause::Cause;
use crate::error::Error;
use crate::solve::{Exported, Solved};

/// How long a daemon that answers but fails gets no builds.
const HOLD: Duration = Duration::from_secs(30);

/// How long a daemon that waits for a silent cache gets no builds: it runs none until the cache responds.
const STUCK: Duration = Duration::from_secs(300);

/// Time limit for asking the registry whether a lost build had pushed.
const ANSWER: Duration = Duration::from_secs(60);

/// How a build of a pool ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// The image is in the registry.
    Built(Built),
    /// No daemon builds for all platforms: each is built by itself.
    PerPlatform,
}

/// An image that was built and pushed.
#[derive(Debug)]
pub(super) struct Built {
    pub(super) digest: Digest,
    pub(super) steps: usize,
    pub(super) cached: usize,
}

/// Builds `request` on one daemon; if that is lost, on another one.
pub(super) async fn run(
    shared: &Arc<Shared>,
    request: BuildRequest,
    by_digest: bool,
    events: &dyn EventSink,
) -> Result<Ended, Error> {
    let mut wanted = Wanted {
        namespace: (shared.options.namespace.0)(&request),
        platforms: request.platforms.iter().map(|name| normal(name)).collect(),
        avoid: BTreeSet::new(),
    };
    let mut build = None;
    loop {
        let (slot, grant) = match wait(shared, wanted.clone(), events).await? {
            Got::Slot(slot, grant) => (slot, grant),
            Got::PerPlatform => return Ok(Ended::PerPlatform),
        };
        // The time limit of a build starts with its first slot, not in the queue.
        let build = build.get_or_insert_with(|| Build {
            shared,
            tries: Tries::new(request.clone(), &shared.options.builder),
            by_digest,
            events,
            lost: 0,
            has_outputs: false,
        });
        let exported = Exported::default();
        match build.attempt(&grant, &exported).await {
            Ok(solved) => {
                slot.finished(&grant.member);
                return Ok(Ended::Built(built(solved)?));
            }
            Err(error) => match blames_daemon(&error) {
                Some(hold) => {
                    slot.lost(&grant.member, error.to_string(), hold);
                    if let Some(built) = build.pushed(&exported).await {
                        build.tell(&error, "the image was already pushed and is the result");
                        return Ok(Ended::Built(built));
                    }
                    build.leave_silent_cache(&error);
                    let first = wanted.avoid.insert(grant.member);
                    build.goes_elsewhere(error, first)?;
                }
                None => {
                    drop(slot);
                    let elsewhere = may_be_the_daemons(&error);
                    let without_cache = build.tries_again(error).await?;
                    if elsewhere && !without_cache {
                        wanted.avoid.insert(grant.member);
                    }
                }
            },
        }
    }
}

/// A build that was given a slot.
struct Build<'a> {
    shared: &'a Shared,
    tries: Tries<'a>,
    by_digest: bool,
    events: &'a dyn EventSink,
    /// Daemons that it lost.
    lost: u32,
    /// It writes results besides the pushed image.
    has_outputs: bool,
}

impl Build<'_> {
    async fn attempt(&mut self, grant: &Grant, exported: &Exported) -> Result<Solved, Error> {
        let mut solve = self.tries.begin()?.exported(exported.clone());
        self.has_outputs = !solve.outputs.is_empty();
        if self.lost > 0 {
            solve = solve.again(true);
        }
        if self.by_digest {
            // The image is there by its digest alone, until the parts are joined under the tag.
            solve.image = solve.image.push_by_digest().name_canonical();
        }
        let builder = Builder::new(grant.address.clone(), self.shared.options.builder.clone());
        builder.attempt(solve, self.events).await
    }

    /// The daemon is not to blame: waits before the retry, or fails if a retry can't help. Returns whether the retry skips a
    /// cache.
    async fn tries_again(&mut self, error: Error) -> Result<bool, Error> {
        match self.tries.next(&error).await {
            Some(again) => {
                let without_cache = again.without_cache;
                self.tries.wait(again, &error, self.events).await;
                Ok(without_cache)
            }
            None => Err(self.tries.give_up(error)),
        }
    }

    /// Removes a silent cache from the request, so that it doesn't stall the next daemon too.
    fn leave_silent_cache(&mut self, error: &Error) {
        if let Some(message) = self.tries.leave_cache(error) {
            self.events.emit(EventKind::Warning { message });
        }
    }

    /// The daemon was lost: warns, or fails after too many. `first` is whether this is its first loss in this build.
    fn goes_elsewhere(&mut self, error: Error, first: bool) -> Result<(), Error> {
        if first && matches!(error, Error::Connect { .. }) {
            // It drains, or discovery still lists it although it is gone: the build did not start there.
            self.tell(&error, "using another daemon");
            return Ok(());
        }
        self.lost += 1;
        let attempts = self.shared.options.attempts;
        if self.lost >= attempts {
            let source = Box::new(error);
            return Err(Error::Exhausted { attempts, source });
        }
        let next = self.lost + 1;
        let again = format!("retrying on another daemon (attempt {next} of {attempts})");
        self.tell(&error, &again);
        Ok(())
    }

    /// The image of a build whose daemon was lost, if it was pushed: the tag names exactly the digest that the daemon reported.
    /// An image with this digest is identical, whoever pushed it.
    async fn pushed(&self, exported: &Exported) -> Option<Built> {
        // Other outputs may be missing although the image is there.
        if !exported.began() || self.has_outputs {
            return None;
        }
        let registry = self.shared.options.registry.as_ref()?;
        let digest = exported.digest()?;
        let mut question = self.tries.request.clone();
        if self.by_digest {
            question.image = question.image.with_digest(digest.clone());
        }
        // If the registry does not answer, the next push will fail with the reason.
        let answer = timeout(ANSWER, registry.digest(&question)).await.ok()?;
        let found = answer.ok().flatten()?;
        let counts = exported.counts();
        (found == digest).then_some(Built {
            digest,
            steps: counts.steps,
            cached: counts.cached,
        })
    }

    fn tell(&self, error: &Error, what: &str) {
        let message = format!("{}: {error}: {what}", error.diagnosis().title);
        self.events.emit(EventKind::Warning { message });
    }
}

fn built(solved: Solved) -> Result<Built, Error> {
    Ok(Built {
        digest: solved.digest.ok_or(Error::NoDigest)?,
        steps: solved.steps,
        cached: solved.cached,
    })
}

/// Whether to use another daemon, and how long this one gets no builds at least.
fn blames_daemon(error: &Error) -> Option<Duration> {
    match error {
        // A probe finds out when it is back.
        Error::Connect { .. } | Error::DaemonLost { .. } => Some(Duration::ZERO),
        Error::Session { .. } | Error::Call { .. } => Some(HOLD),
        Error::Build(failure) => match failure.cause {
            Cause::SessionLost | Cause::Cancelled => Some(Duration::ZERO),
            Cause::DiskFull => Some(HOLD),
            Cause::CacheSilent { .. } => Some(STUCK),
            _ => None,
        },
        _ => None,
    }
}

/// Whether another daemon may succeed although this one works: it has another network, and no damaged part. This one still
/// gets other builds, which may need neither.
fn may_be_the_daemons(error: &Error) -> bool {
    error.build_failure().is_some_and(|failure| {
        matches!(failure.cause, Cause::Network { .. } | Cause::ContentDamaged)
    })
}
