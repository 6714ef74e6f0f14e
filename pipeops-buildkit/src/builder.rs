//! Builds and pushes images on one daemon, with retries.

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

/// How a [`Builder`] connects, retries and limits builds.
///
/// Everything else that a build can have is set on its [`Solve`]: see [`BuilderOptions::customize`].
///
/// ```
/// use std::time::Duration;
/// use pipeops_buildkit::{Backoff, BuilderOptions, ConnectOptions, LeakCheck};
///
/// let options = BuilderOptions::default()
///     .connect(ConnectOptions::default().connect_timeout(Duration::from_secs(3)))
///     .timeout(Duration::from_secs(20 * 60))
///     .backoff(Backoff::default().attempts(5))
///     .customize(|solve| {
///         let check = LeakCheck::default().timeout(Duration::from_secs(20));
///         Ok(solve.leak_check(check).trust_realm("registry.example.com", "login.example.net"))
///     });
/// assert_eq!(options.timeout.as_secs(), 1_200);
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BuilderOptions {
    /// How to connect to the daemon. Default: 10 s for the connection, no TLS.
    pub connect: ConnectOptions,
    /// Time limit for one image, including all attempts and waits. Default: 1 h.
    pub timeout: Duration,
    /// How often a build is retried after a transient failure, such as a throttling registry or a lost daemon, and how long it
    /// waits in between. Finished steps come from the daemon's cache. Default: 3 attempts, waits of up to 2 s and 4 s.
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
    /// Sets how to connect to the daemon.
    #[must_use]
    pub fn connect(mut self, options: ConnectOptions) -> Self {
        self.connect = options;
        self
    }

    /// Sets the time limit for one image, including all attempts and waits.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// Sets how often a build is retried, and the waits in between.
    ///
    /// ```
    /// use std::time::Duration;
    /// use pipeops_buildkit::{Backoff, BuilderOptions};
    ///
    /// // Up to 5 attempts, with waits of up to 1, 2, 4 and 8 s.
    /// let options = BuilderOptions::default().backoff(Backoff::default().attempts(5).base(Duration::from_secs(1)));
    /// # let _ = options;
    /// ```
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Sets options that a [`BuildRequest`] doesn't have: SSH agents and keys, named contexts, attestations, annotations,
    /// outputs, limits of steps, the leak check, the time limit for silent caches. The closure receives each build with its
    /// [`request`](Solve::request) and returns it with more options. If it returns an error, the build fails with that error.
    /// A second call replaces the first closure.
    ///
    /// The closure runs once per attempt, so create streams and writers that serve one build inside it. A pool that builds
    /// each platform on a separate daemon calls it for each platform, with that platform alone in the request.
    /// [`BuilderOptions::timeout`] stays in force, and the image is always pushed.
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

/// Builds and pushes images on one daemon. For several daemons use a `Pool`.
///
/// Each attempt opens a new connection. The builder waits for a daemon that restarts, renews a refused credential once, and
/// skips a damaged build cache. Clones are cheap, and any number of builds can run at once.
///
/// ```
/// use pipeops_buildkit::{Address, BuildRequest, Builder, BuilderOptions, Diagnose, EventKind};
/// # use pipeops_testkit::{buildkit::{BuildkitDaemon, BuildkitOptions}, registry::{Registry, RegistryOptions}};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let registry = Registry::start(RegistryOptions::default()).await?;
/// # let daemon = BuildkitDaemon::start(BuildkitOptions::default()).await?;
/// # let (daemon_address, registry_host) = (daemon.address(), registry.host());
/// # let folder = tempfile::tempdir()?;
/// # std::fs::write(folder.path().join("Dockerfile"), "FROM scratch\nARG VERSION\nCOPY Dockerfile /\n")?;
/// let builder = Builder::new(Address::parse(&daemon_address)?, BuilderOptions::default());
/// let image = format!("{registry_host}/team/app:3f2a1c").parse()?;
/// let request = BuildRequest::new(folder.path(), image).build_arg("VERSION", "1.2").label("team", "shop");
/// let show = |event: EventKind| if let EventKind::Log { line, .. } = event { println!("{line}") };
/// match builder.build(request, &show).await {
///     Ok(built) => println!("{}: {} steps, {} from cache", built.image, built.steps, built.cached),
///     Err(error) => panic!("{}", error.diagnosis()),
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Private registries
/// The request's credential provider supplies the logins for base images and for the push. `pipeops-registry` has providers for
/// Docker's configuration and cloud registries; your own needs the crate `async-trait`:
///
/// ```
/// use std::sync::Arc;
/// use pipeops_buildkit::{BuildRequest, Credential, CredentialProvider, Failure, RegistryScope, SecretString};
///
/// /// The login of one registry.
/// #[derive(Debug)]
/// struct Login {
///     host: String,
///     user: String,
///     password: SecretString,
/// }
///
/// #[async_trait::async_trait]
/// impl CredentialProvider for Login {
///     async fn credential(&self, host: &str, _: &RegistryScope) -> Result<Credential, Failure> {
///         Ok(match host == self.host {
///             true => Credential::basic(&self.user, self.password.clone()),
///             false => Credential::anonymous(),
///         })
///     }
/// }
///
/// let login = Login { host: "registry.example.com".into(), user: "ci".into(), password: "s3cr3t".into() };
/// let request = BuildRequest::new("./app", "registry.example.com/team/app:1".parse()?).credentials(Arc::new(login));
/// # let _ = request;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Builder {
    address: Address,
    options: BuilderOptions,
}

impl Builder {
    /// Creates a builder for the daemon at `address`. It connects when it builds, not here.
    pub fn new(address: Address, options: BuilderOptions) -> Self {
        Self { address, options }
    }

    /// Builds and pushes one image and reports progress to `events`: a `View`, a closure, or [`Discard`](crate::Discard). To
    /// cancel the build, drop the future.
    ///
    /// # Errors
    /// [`Error::Build`] if the build failed, [`Error::Exhausted`] if all attempts failed, other variants if the build couldn't
    /// start.
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
            what: format!("trying again after asking for the credential of {host} once more"),
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
