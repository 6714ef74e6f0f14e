//! Builds and pushes images at one daemon, with retries.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use pipeops_core::credential::CredentialKind;
use pipeops_core::event::EventKind;
use pipeops_core::retry::{Attempts, Next};
use pipeops_core::{
    Backoff, BuildRequest, BuiltImage, Diagnose, EventSink, Failure, ImageBuilder, RegistryScope,
};

use crate::address::Address;
use crate::cache::trial::CacheTrial;
use crate::cause::Cause;
use crate::client::{Client, ConnectOptions};
use crate::error::Error;
use crate::hook::Hook;
use crate::solve::{Solve, Solved};

/// Sets options of a build beyond its request.
type Customize = dyn Fn(Solve) -> Result<Solve, Error> + Send + Sync;

/// How a [`Builder`] builds.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BuilderOptions {
    /// How to reach the daemon.
    pub connect: ConnectOptions,
    /// Time limit for one image, all attempts together. Default: 1 h.
    pub timeout: Duration,
    /// When and how often a build is retried after a transient failure: a registry that throttles or is down, a lost daemon.
    /// Finished steps come from the daemon's cache. Default: 3 attempts, waits of up to 2 s and 4 s.
    pub backoff: Backoff,
    customize: Option<Hook<Customize>>,
}

impl Default for BuilderOptions {
    fn default() -> Self {
        Self {
            connect: ConnectOptions::default(),
            timeout: Solve::TIMEOUT,
            backoff: Backoff::default()
                .base(Duration::from_secs(2))
                .total(Solve::TIMEOUT),
            customize: None,
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

    /// Sets the time limit for one image.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// Sets when and how often a build is retried.
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Sets options that a [`BuildRequest`] does not have: SSH agents and keys, named contexts, attestations, annotations, more
    /// outputs, limits of steps. The closure receives each build with its [`request`](Solve::request) and returns it with more
    /// options. An error ends the build.
    ///
    /// It is called once per attempt, at whichever daemon, so streams and writers that serve one build are made inside it. A
    /// pool that builds each platform on its own daemon calls it for each of them, with one platform in the request. The time
    /// limit of [`BuilderOptions::timeout`] stays in force, and the image is always pushed.
    ///
    /// ```
    /// use pipeops_buildkit::{AnnotationLevel, BuilderOptions, ImageOptions, NamedContext};
    ///
    /// let options = BuilderOptions::default().customize(|solve| {
    ///     let revision = solve.request().labels.get("org.opencontainers.image.revision").cloned();
    ///     let image = ImageOptions::default();
    ///     let image = match revision {
    ///         Some(sha) => image.annotation(AnnotationLevel::Manifest, "org.opencontainers.image.revision", sha),
    ///         None => image,
    ///     };
    ///     Ok(solve.image(image).ssh_agent("default", "/run/ssh-agent").context("assets", NamedContext::Folder("/srv/assets".into())))
    /// });
    /// # let _ = options;
    /// ```
    #[must_use]
    pub fn customize(
        mut self,
        customize: impl Fn(Solve) -> Result<Solve, Error> + Send + Sync + 'static,
    ) -> Self {
        self.customize = Some(Hook(Arc::new(customize)));
        self
    }
}

/// Builds images at one daemon.
///
/// Each attempt opens a connection and a session. The builder waits for a daemon that restarts, renews credentials that a
/// registry refuses, once, and skips a damaged build cache.
#[derive(Debug, Clone)]
pub struct Builder {
    address: Address,
    options: BuilderOptions,
}

impl Builder {
    /// A builder at `address`. It connects when it builds.
    pub fn new(address: Address, options: BuilderOptions) -> Self {
        Self { address, options }
    }

    /// Builds and pushes one image and reports to `events`. Dropping the future cancels the build.
    ///
    /// # Errors
    /// [`Error::Build`] when the build failed, [`Error::Exhausted`] when it was retried in vain, other variants when it could
    /// not start.
    pub async fn build(
        &self,
        request: BuildRequest,
        events: &dyn EventSink,
    ) -> Result<BuiltImage, Error> {
        let image = request.image.clone();
        let mut tries = Tries::new(request, &self.options);
        loop {
            let solve = tries.begin()?;
            let error = match self.attempt(solve, events).await {
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

    /// Connects and builds once.
    pub(crate) async fn attempt(
        &self,
        solve: Solve,
        events: &dyn EventSink,
    ) -> Result<Solved, Error> {
        let client = Client::connect(&self.address, self.options.connect.clone()).await?;
        client.solve(solve, events).await
    }
}

#[async_trait]
impl ImageBuilder for Builder {
    async fn build(
        &self,
        request: BuildRequest,
        events: &dyn EventSink,
    ) -> Result<BuiltImage, Failure> {
        Ok(self.build(request, events).await?)
    }
}

/// The attempts for one image.
pub(crate) struct Tries<'a> {
    pub(crate) request: BuildRequest,
    /// Those that count. Attempts without a cache, and those that a daemon lost, don't.
    attempts: Attempts,
    /// When the last one began.
    begun: Instant,
    /// What is left of the caches.
    caches: CacheTrial,
    options: &'a BuilderOptions,
}

/// The next attempt.
pub(crate) struct Again {
    wait: Duration,
    what: String,
    /// It skips one more cache than the last one.
    #[cfg_attr(
        not(feature = "pool"),
        expect(dead_code, reason = "a pool changes the daemon otherwise")
    )]
    pub(crate) without_cache: bool,
}

impl<'a> Tries<'a> {
    pub(crate) fn new(request: BuildRequest, options: &'a BuilderOptions) -> Self {
        Self {
            request,
            attempts: Attempts::new(options.backoff),
            begun: Instant::now(),
            caches: CacheTrial::default(),
            options,
        }
    }

    /// Begins the next attempt, with the time that is left.
    pub(crate) fn begin(&mut self) -> Result<Solve, Error> {
        self.begun = Instant::now();
        let left = self.options.timeout.saturating_sub(self.attempts.elapsed());
        let mut solve = Solve::new(self.request.clone())
            .again(self.attempts.made() > 1)
            .timeout(left);
        if let Some(Hook(customize)) = &self.options.customize {
            solve = customize(solve)?;
            solve.timeout = solve.timeout.min(left);
            solve.push = true;
        }
        Ok(solve)
    }

    /// Warns that the build is retried, and waits.
    pub(crate) async fn wait(&self, again: Again, error: &Error, events: &dyn EventSink) {
        let title = error.diagnosis().title;
        let lost = self.begun.elapsed().as_secs_f32();
        events.emit(EventKind::Warning {
            message: format!("{title}: {} ({lost:.1} s were lost)", again.what),
        });
        tokio::time::sleep(again.wait).await;
    }

    /// Prepares the next attempt; `None` when a retry can't help.
    pub(crate) async fn next(&mut self, error: &Error) -> Option<Again> {
        if let Some(what) = self.leave_cache(error) {
            return Some(Again {
                wait: Duration::ZERO,
                what,
                without_cache: true,
            });
        }
        match self.attempts.next(error.diagnosis().class, None)? {
            Next::WithNewCredential => self.renew_credential(error).await,
            Next::After(wait) => {
                let what = format!(
                    "trying again in {:.1} s (attempt {} of {})",
                    wait.as_secs_f32(),
                    self.attempts.made(),
                    self.options.backoff.attempts
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

    /// Removes a cache from the request that may be to blame. Returns what changed.
    pub(crate) fn leave_cache(&mut self, error: &Error) -> Option<String> {
        self.caches.leave_out(&mut self.request, error)
    }

    async fn renew_credential(&mut self, error: &Error) -> Option<Again> {
        let host = refusing_host(error).unwrap_or_else(|| self.request.image.host().to_owned());
        let scope = RegistryScope::push(self.request.image.repository());
        let credential = self
            .request
            .credentials
            .credential(&host, &scope)
            .await
            .ok()?;
        if credential.kind == CredentialKind::Anonymous {
            // Nothing to renew.
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
        if self.attempts.made() > 1 && error.diagnosis().class.is_transient() {
            Error::Exhausted {
                attempts: self.attempts.made(),
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
