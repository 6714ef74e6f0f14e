//! Builds and pushes images for [`ImageBuilder`], trying again where that can help.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use pipeops_core::credential::CredentialKind;
use pipeops_core::event::EventKind;
use pipeops_core::{
    Backoff, BuildRequest, BuiltImage, Diagnose, EventSink, Failure, ImageBuilder, RegistryScope,
    RetryClass,
};

use crate::address::Address;
use crate::cache::trial::CacheTrial;
use crate::cause::Cause;
use crate::client::{Client, ConnectOptions};
use crate::error::Error;
use crate::leak::LeakCheck;
use crate::random;
use crate::solve::{Solve, Solved};

/// How a [`Builder`] builds.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BuilderOptions {
    /// How to reach the daemon.
    pub connect: ConnectOptions,
    /// Longest time for one image, all attempts together. Default: 1 h.
    pub timeout: Duration,
    /// How often and when a build is tried again that failed for a reason that may pass: a registry that throttles or is
    /// down, a daemon that was lost. Steps that were done come from the daemon's cache. Default: 3 attempts, waits of up
    /// to 2 s and 4 s.
    pub backoff: Backoff,
    /// Longest time that the server of a build cache may stay silent: see [`Solve::cache_timeout`]. Default: 60 s.
    pub cache_timeout: Duration,
    /// Hosts of token servers that are trusted although they are not on their registry's host.
    pub trusted_realms: BTreeSet<String>,
    /// How far the leak check after each build goes; `None` leaves it out. Default: image and record, without layers.
    pub leak_check: Option<LeakCheck>,
}

impl Default for BuilderOptions {
    fn default() -> Self {
        Self {
            connect: ConnectOptions::default(),
            timeout: Solve::TIMEOUT,
            backoff: Backoff::default()
                .base(Duration::from_secs(2))
                .total(Solve::TIMEOUT),
            cache_timeout: Solve::CACHE_TIMEOUT,
            trusted_realms: BTreeSet::new(),
            leak_check: Some(LeakCheck::default()),
        }
    }
}

impl BuilderOptions {
    /// Sets how to reach the daemon.
    #[must_use]
    pub fn connect(mut self, options: ConnectOptions) -> Self {
        self.connect = options;
        self
    }

    /// Sets the longest time for one image.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// Sets how often and when a build is tried again.
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Sets the longest time that the server of a build cache may stay silent.
    #[must_use]
    pub fn cache_timeout(mut self, limit: Duration) -> Self {
        self.cache_timeout = limit;
        self
    }

    /// Trusts the token server on this host.
    #[must_use]
    pub fn trust_realm(mut self, host: impl Into<String>) -> Self {
        self.trusted_realms.insert(host.into());
        self
    }

    /// Sets how far the leak check after each build goes.
    #[must_use]
    pub fn leak_check(mut self, check: Option<LeakCheck>) -> Self {
        self.leak_check = check;
        self
    }
}

/// Builds images at one daemon.
///
/// Each attempt has its own connection and session. A daemon that restarts is waited for; credentials that a registry
/// refuses are renewed once; a build cache with holes is left out.
#[derive(Debug, Clone)]
pub struct Builder {
    address: Address,
    options: BuilderOptions,
}

impl Builder {
    /// A builder at `address`. Connects when it builds, not before.
    pub fn new(address: Address, options: BuilderOptions) -> Self {
        Self { address, options }
    }

    /// Connects and builds once.
    pub(crate) async fn attempt(
        &self,
        mut solve: Solve,
        events: &dyn EventSink,
    ) -> Result<Solved, Error> {
        let client = Client::connect(&self.address, self.options.connect.clone()).await?;
        solve.leak_check.clone_from(&self.options.leak_check);
        solve = solve.cache_timeout(self.options.cache_timeout);
        for host in &self.options.trusted_realms {
            solve = solve.trust_realm(host);
        }
        client.solve(solve, events).await
    }

    async fn build_image(
        &self,
        request: BuildRequest,
        events: &dyn EventSink,
    ) -> Result<BuiltImage, Error> {
        let image = request.image.clone();
        let mut tries = Tries::new(request, &self.options);
        loop {
            let error = match self.attempt(tries.begin(), events).await {
                Ok(solved) => {
                    let digest = solved.digest.ok_or(Error::NoDigest)?;
                    return Ok(BuiltImage::new(&image, digest, solved.steps, solved.cached));
                }
                Err(error) => error,
            };
            let Some(again) = tries.next(&error).await else {
                return Err(tries.give_up(error));
            };
            tries.wait(again, &error, events).await;
        }
    }
}

#[async_trait]
impl ImageBuilder for Builder {
    async fn build(
        &self,
        request: BuildRequest,
        events: &dyn EventSink,
    ) -> Result<BuiltImage, Failure> {
        Ok(self.build_image(request, events).await?)
    }
}

/// The attempts for one image.
pub(crate) struct Tries<'a> {
    pub(crate) request: BuildRequest,
    begin: Instant,
    /// When the last one began.
    attempt: Instant,
    pub(crate) made: u32,
    /// A credential was renewed; it is not a second time.
    renewed: bool,
    /// What is left of the caches.
    caches: CacheTrial,
    options: &'a BuilderOptions,
}

/// What the next attempt is about.
pub(crate) struct Again {
    wait: Duration,
    what: String,
    /// It is as the last one, but reads or writes one cache less.
    pub(crate) without_cache: bool,
}

impl<'a> Tries<'a> {
    pub(crate) fn new(request: BuildRequest, options: &'a BuilderOptions) -> Self {
        Self {
            request,
            begin: Instant::now(),
            attempt: Instant::now(),
            made: 0,
            renewed: false,
            caches: CacheTrial::default(),
            options,
        }
    }

    /// Begins the next attempt, with the time that is left.
    pub(crate) fn begin(&mut self) -> Solve {
        self.made += 1;
        self.attempt = Instant::now();
        let left = self.options.timeout.saturating_sub(self.begin.elapsed());
        Solve::new(self.request.clone())
            .timeout(left)
            .again(self.made > 1)
    }

    /// Says why `error` is not the end, and waits.
    pub(crate) async fn wait(&self, again: Again, error: &Error, events: &dyn EventSink) {
        let title = error.diagnosis().title;
        let lost = self.attempt.elapsed().as_secs_f32();
        events.emit(EventKind::Warning {
            message: format!("{title}: {} ({lost:.1} s were lost)", again.what),
        });
        tokio::time::sleep(again.wait).await;
    }

    /// Prepares the next attempt, or `None` when there is no use in one.
    pub(crate) async fn next(&mut self, error: &Error) -> Option<Again> {
        if let Some(what) = self.leave_cache(error) {
            // Not one of the attempts that a passing trouble may use up.
            self.made -= 1;
            return Some(Again {
                wait: Duration::ZERO,
                what,
                without_cache: true,
            });
        }
        match error.diagnosis().class {
            RetryClass::NeedsCredential => self.renew_credential(error).await,
            RetryClass::Transient => {
                let backoff = self.options.backoff;
                let wait = backoff.delay(self.made, self.begin.elapsed(), random::fraction())?;
                let what = format!(
                    "trying again in {:.1} s (attempt {} of {})",
                    wait.as_secs_f32(),
                    self.made + 1,
                    backoff.attempts
                );
                Some(Again {
                    wait,
                    what,
                    without_cache: false,
                })
            }
            _ => None,
        }
    }

    /// Takes a cache out of the request that may be to blame; gives what is different now.
    pub(crate) fn leave_cache(&mut self, error: &Error) -> Option<String> {
        self.caches.leave_out(&mut self.request, error)
    }

    async fn renew_credential(&mut self, error: &Error) -> Option<Again> {
        let host = refusing_host(error).unwrap_or_else(|| self.request.image.host().to_owned());
        if std::mem::replace(&mut self.renewed, true) {
            return None;
        }
        let scope = RegistryScope::push(self.request.image.repository());
        let credential = self
            .request
            .credentials
            .credential(&host, &scope)
            .await
            .ok()?;
        if credential.kind == CredentialKind::Anonymous {
            // There is nothing to renew.
            return None;
        }
        self.request.credentials.refused(&host);
        Some(Again {
            wait: Duration::ZERO,
            what: format!("trying again with a new credential for {host}"),
            without_cache: false,
        })
    }

    pub(crate) fn give_up(&self, error: Error) -> Error {
        if self.made > 1 && error.diagnosis().class.is_transient() {
            Error::Exhausted {
                attempts: self.made,
                source: Box::new(error),
            }
        } else {
            error
        }
    }
}

fn refusing_host(error: &Error) -> Option<String> {
    match error {
        Error::Credentials { host, .. } => Some(host.clone()),
        _ => match &error.build_failure()?.cause {
            Cause::Unauthorized { host } => host.clone(),
            _ => None,
        },
    }
}
