//! A build and its options.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
#[cfg(feature = "ssh-keys")]
use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "ssh-keys")]
use pipeops_core::SecretString;
use pipeops_core::registry::TrustedRealms;
use pipeops_core::{BuildRequest, ImageRef};
use tokio::io::AsyncRead;

use super::context::{ContextSource, NamedContext};
use super::exported::Exported;
use super::frontend::{Frontend, Network, Provenance, ResolveMode};
#[cfg(feature = "ssh-keys")]
use crate::error::Error;
use crate::image_options::ImageOptions;
use crate::leak::LeakCheck;
use crate::output::Output;
use crate::session::ssh::Agent;
#[cfg(feature = "ssh-keys")]
use crate::session::ssh::keys::Key;
use crate::session::upload::Once;

/// One build with all its options, named after the call in BuildKit's API.
///
/// Run it with [`Client::solve`](crate::Client::solve). A [`Builder`](crate::Builder) or `Pool` creates one for each attempt
/// and passes it to the closure of [`BuilderOptions::customize`](crate::BuilderOptions::customize).
///
/// ```
/// use std::time::Duration;
/// use pipeops_buildkit::{BuildRequest, NamedContext, Output, Provenance, Solve};
///
/// let request = BuildRequest::new("./app", "registry.example.com/team/app:3f2a1c".parse()?)
///     .target("release")
///     .secret("npm-token", "s3cr3t"); // RUN --mount=type=secret,id=npm-token
/// let solve = Solve::new(request)
///     .timeout(Duration::from_secs(15 * 60))
///     .ssh_agent("default", "/run/user/1000/ssh-agent") // RUN --mount=type=ssh
///     .context("assets", NamedContext::Folder("/srv/assets".into())) // COPY --from=assets
///     .provenance(Provenance::Min)
///     .output(Output::oci("app.tar"));
/// assert_eq!(solve.request().target.as_deref(), Some("release"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// | Option | Default |
/// |---|---|
/// | push | yes, with gzip layers and OCI media types |
/// | context | the request's folder |
/// | time limit | 1 h |
/// | time limit for silent caches | 60 s to read a manifest, 10 min to write |
/// | leak check | the image and the daemon's record, without layers |
/// | attestations | none |
/// | network of steps | isolated |
/// | base images | tags are resolved at the registry for each build, digests aren't |
#[derive(Debug, Clone)]
pub struct Solve {
    pub(crate) request: BuildRequest,
    pub(crate) push: bool,
    pub(super) shared_key: Option<String>,
    pub(crate) timeout: Duration,
    pub(super) cache_timeout: Duration,
    pub(crate) trusted_realms: TrustedRealms,
    pub(crate) image: ImageOptions,
    pub(crate) outputs: Vec<Output>,
    /// The build context; `None` for the request's folder.
    pub(super) main: Option<ContextSource>,
    pub(super) contexts: BTreeMap<String, ContextSource>,
    pub(super) frontend: Frontend,
    pub(super) ssh: BTreeMap<String, Agent>,
    pub(crate) leak_check: Option<LeakCheck>,
    /// Records the progress of the export.
    pub(super) exported: Exported,
    /// An earlier attempt has emitted the warnings.
    pub(super) again: bool,
}

impl Solve {
    /// The default time limit of a build: one hour.
    pub const TIMEOUT: Duration = Duration::from_secs(3600);

    /// The default time limit for a silent cache server: one minute.
    pub const CACHE_TIMEOUT: Duration = Duration::from_secs(60);

    /// Creates a build that pushes the request's image.
    pub fn new(request: BuildRequest) -> Self {
        Self {
            request,
            push: true,
            shared_key: None,
            timeout: Self::TIMEOUT,
            cache_timeout: Self::CACHE_TIMEOUT,
            trusted_realms: TrustedRealms::default(),
            image: ImageOptions::default(),
            outputs: Vec::new(),
            main: None,
            contexts: BTreeMap::new(),
            frontend: Frontend::default(),
            ssh: BTreeMap::new(),
            leak_check: Some(LeakCheck::default()),
            exported: Exported::default(),
            again: false,
        }
    }
}

/// The request, results, limits and checks.
impl Solve {
    /// Returns the request.
    pub fn request(&self) -> &BuildRequest {
        &self.request
    }

    /// Builds without pushing. The result stays in the daemon's cache and goes to the [outputs](Solve::output), if any.
    #[must_use]
    pub fn without_push(mut self) -> Self {
        self.push = false;
        self
    }

    /// Sets how the pushed image is written: compression, annotations, names.
    ///
    /// ```
    /// use pipeops_buildkit::{BuildRequest, Compression, ImageOptions, Solve};
    ///
    /// let request = BuildRequest::new("./app", "registry.example.com/team/app:3f2a1c".parse()?);
    /// let image = ImageOptions::default()
    ///     .name("registry.example.com/team/app:latest".parse()?)
    ///     .compression(Compression::Zstd);
    /// let solve = Solve::new(request).image(image);
    /// # let _ = solve;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn image(mut self, options: ImageOptions) -> Self {
        self.image = options;
        self
    }

    /// Adds an output besides the pushed image, such as an archive or a folder. Can be called several times.
    ///
    /// ```
    /// use pipeops_buildkit::{BuildRequest, Output, Solve};
    ///
    /// let request = BuildRequest::new("./app", "registry.example.com/team/app:1".parse()?);
    /// let solve = Solve::new(request).without_push().output(Output::local("./dist"));
    /// # let _ = solve;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn output(mut self, output: Output) -> Self {
        self.outputs.push(output);
        self
    }

    /// Sets the name under which the daemon keeps the files of the context. The next build with the same name sends only what
    /// changed. Only printable ASCII is allowed. Default: the image's name without its tag.
    ///
    /// Give builds of untrusted code a separate key: the daemon identifies a file by its size and 57 bits of its content's hash,
    /// so an attacker can craft a file that passes for another one under the same key.
    #[must_use]
    pub fn shared_key(mut self, key: impl Into<String>) -> Self {
        self.shared_key = Some(key.into());
        self
    }

    /// Sets the time limit of the build, from preparing the context to the end of the push. The leak check has a separate limit.
    /// At the limit the build is cancelled and fails with [`Error::Timeout`](crate::Error::Timeout). Default: [`Solve::TIMEOUT`].
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// Sets how long the server of a build cache may stay silent while the daemon reads a manifest. For writing a cache the
    /// limit is ten times as long, because the upload of a large layer isn't reported. At the limit the build fails with
    /// [`Cause::CacheSilent`](crate::Cause::CacheSilent) or [`Cause::CacheUnwritable`](crate::Cause::CacheUnwritable), and a
    /// [`Builder`](crate::Builder) retries without this cache. Checked every 5 s. Default: [`Solve::CACHE_TIMEOUT`].
    ///
    /// A daemon that waits for a manifest stalls every build, even after this one is cancelled, so a pool avoids it for five
    /// minutes. To prevent that, the client first contacts the S3 servers that the caches name
    /// ([`endpoint`](pipeops_core::cache::S3Cache::endpoint)), for at most 10 s. It skips a cache whose server accepts
    /// connections but never responds, and emits a warning.
    #[must_use]
    pub fn cache_timeout(mut self, limit: Duration) -> Self {
        self.cache_timeout = limit;
        self
    }

    /// Allows the credentials of `registry` to be sent to a token server on the host `realm`, over TLS. By default they're sent
    /// only to hosts that share a registrable domain with the registry: see
    /// [`RealmPolicy`](pipeops_core::registry::RealmPolicy).
    ///
    /// ```
    /// use pipeops_buildkit::BuilderOptions;
    ///
    /// let options = BuilderOptions::default()
    ///     .customize(|solve| Ok(solve.trust_realm("registry.example.com", "login.example.net")));
    /// # let _ = options;
    /// ```
    #[must_use]
    pub fn trust_realm(mut self, registry: &str, realm: &str) -> Self {
        self.trusted_realms.insert(registry, realm);
        self
    }

    /// Sets what the leak check after the build searches. It runs only if the build has secrets. A leak doesn't fail the build:
    /// it's a warning and part of [`Solved::leaks`](crate::Solved::leaks). Default: image and record, without layers.
    #[must_use]
    pub fn leak_check(mut self, check: LeakCheck) -> Self {
        self.leak_check = Some(check);
        self
    }

    /// Skips the leak check, also for builds with secrets.
    #[must_use]
    pub fn without_leak_check(mut self) -> Self {
        self.leak_check = None;
        self
    }

    /// Sets the recorder for the progress of the export.
    #[cfg(feature = "pool")]
    pub(crate) fn exported(mut self, exported: Exported) -> Self {
        self.exported = exported;
        self
    }

    /// Sets whether an earlier attempt has emitted the warnings.
    pub(crate) fn again(mut self, again: bool) -> Self {
        self.again = again;
        self
    }
}

/// Contexts and SSH.
impl Solve {
    /// Builds a repository that the daemon clones, `https://host/owner/name.git#REF:FOLDER`, instead of the request's folder.
    /// The Dockerfile comes from the repository unless the request has an inline one.
    ///
    /// A private repository needs a token in the request's secret `GIT_AUTH_TOKEN`, or `GIT_AUTH_TOKEN.HOST` for one host
    /// ([Docker's documentation](https://docs.docker.com/build/building/secrets/#git-authentication-for-remote-contexts)), or an
    /// agent ([`Solve::ssh_agent`]) and an address of the form `git@host:owner/name.git`.
    ///
    /// ```
    /// use pipeops_buildkit::{BuildRequest, Solve};
    ///
    /// let request = BuildRequest::new(".", "registry.example.com/team/app:main".parse()?)
    ///     .secret("GIT_AUTH_TOKEN", "ghp_token");
    /// let solve = Solve::new(request).git_context("https://github.com/acme/shop.git#main:backend");
    /// # let _ = solve;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn git_context(mut self, address: impl Into<String>) -> Self {
        self.main = Some(ContextSource::Named(NamedContext::Git(address.into())));
        self
    }

    /// Builds an archive (tar, optionally compressed with gzip, bzip2 or xz) that the daemon downloads, instead of the request's
    /// folder. The Dockerfile comes from the archive unless the request has an inline one.
    #[must_use]
    pub fn http_context(mut self, address: impl Into<String>) -> Self {
        self.main = Some(ContextSource::Named(NamedContext::Http(address.into())));
        self
    }

    /// Like [`Solve::http_context`], but streams an archive from this process. The stream is read once, so a retry needs a new
    /// one. From the second build on a folder is faster, because only its changes are sent.
    ///
    /// ```no_run
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// use pipeops_buildkit::{BuildRequest, Solve};
    ///
    /// // As `docker build - < context.tar.gz`; the request's folder isn't used.
    /// let request = BuildRequest::new(".", "registry.example.com/team/app:1".parse()?);
    /// let solve = Solve::new(request).archive_context(tokio::fs::File::open("context.tar.gz").await?);
    /// # let _ = solve;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn archive_context(mut self, archive: impl AsyncRead + Send + Unpin + 'static) -> Self {
        self.main = Some(ContextSource::Stream(Once::new(archive)));
        self
    }

    /// Sets what `FROM name` and `COPY --from=name` refer to.
    #[must_use]
    pub fn context(mut self, name: impl Into<String>, context: NamedContext) -> Self {
        let source = ContextSource::Named(context);
        self.contexts.insert(name.into(), source);
        self
    }

    /// Sets what `COPY --from=name` refers to: a stream that the build sees as one file named `context`. The stream is read
    /// once, so a retry needs a new one.
    ///
    /// ```
    /// use pipeops_buildkit::{BuildRequest, Solve};
    ///
    /// // COPY --from=config context /app/config.json
    /// let request = BuildRequest::new("./app", "registry.example.com/team/app:1".parse()?);
    /// let solve = Solve::new(request).context_stream("config", &br#"{"log":"info"}"#[..]);
    /// # let _ = solve;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn context_stream(
        mut self,
        name: impl Into<String>,
        stream: impl AsyncRead + Send + Unpin + 'static,
    ) -> Self {
        let source = ContextSource::Stream(Once::new(stream));
        self.contexts.insert(name.into(), source);
        self
    }

    /// Gives `RUN --mount=type=ssh,id=…` access to the SSH agent at this socket, such as the one in `SSH_AUTH_SOCK`. A mount
    /// without an id uses `default`. The build can sign with the agent's keys but can't read them. Unix only.
    ///
    /// ```no_run
    /// use pipeops_buildkit::{BuildRequest, Solve};
    ///
    /// // RUN --mount=type=ssh git clone git@github.com:acme/private.git
    /// let request = BuildRequest::new("./app", "registry.example.com/team/app:1".parse()?);
    /// let solve = Solve::new(request).ssh_agent("default", std::env::var("SSH_AUTH_SOCK")?);
    /// # let _ = solve;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn ssh_agent(mut self, id: impl Into<String>, socket: impl Into<PathBuf>) -> Self {
        self.ssh.insert(id.into(), Agent::Socket(socket.into()));
        self
    }

    /// Lets `RUN --mount=type=ssh,id=…` sign with this private key, in the format that `ssh-keygen` writes. Further calls with
    /// the same id add keys. A mount without an id uses `default`. The key stays in this process. Ed25519 and ECDSA (P-256,
    /// P-384) keys without a passphrase are supported; for others use [`Solve::ssh_agent`].
    ///
    /// ```no_run
    /// use pipeops_buildkit::{BuildRequest, SecretString, Solve};
    ///
    /// let key = SecretString::from(std::fs::read_to_string("deploy_key")?);
    /// let request = BuildRequest::new(".", "registry.example.com/team/app:1".parse()?);
    /// let solve = Solve::new(request).ssh_key("default", &key)?;
    /// # let _ = solve;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Invalid`] if the key isn't supported.
    #[cfg(feature = "ssh-keys")]
    pub fn ssh_key(mut self, id: impl Into<String>, key: &SecretString) -> Result<Self, Error> {
        let key = Key::parse(key).map_err(|why| Error::Invalid {
            field: "ssh_key",
            why,
        })?;
        let key = Arc::new(key);
        match self.ssh.entry(id.into()).or_insert(Agent::Keys(Vec::new())) {
            Agent::Keys(keys) => keys.push(key),
            socket => *socket = Agent::Keys(vec![key]),
        }
        Ok(self)
    }
}

/// The Dockerfile frontend and the containers of build steps.
impl Solve {
    /// Ignores the cache for the steps of this stage, such as one that installs security updates. Can be called several times. For
    /// all stages set
    /// [`no_cache`](pipeops_core::BuildRequest::no_cache).
    #[must_use]
    pub fn no_cache_stage(mut self, name: impl Into<String>) -> Self {
        self.frontend.no_cache_stages.push(name.into());
        self
    }

    /// Attaches a provenance attestation to the image, which is then pushed as an index. Default: none.
    ///
    /// ```
    /// use pipeops_buildkit::{BuildRequest, Provenance, Solve};
    ///
    /// let request = BuildRequest::new("./app", "registry.example.com/team/app:1".parse()?);
    /// let solve = Solve::new(request).provenance(Provenance::Min).sbom();
    /// # let _ = solve;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn provenance(mut self, provenance: Provenance) -> Self {
        self.frontend.provenance = Some(provenance);
        self
    }

    /// Attaches an SBOM, a list of the image's packages, from BuildKit's default scanner image. Default: none.
    #[must_use]
    pub fn sbom(mut self) -> Self {
        self.frontend.sbom = Some(String::new());
        self
    }

    /// Like [`Solve::sbom`], with this scanner image.
    #[must_use]
    pub fn sbom_by(mut self, scanner: &ImageRef) -> Self {
        self.frontend.sbom = Some(scanner.to_string());
        self
    }

    /// Adds a line to `/etc/hosts` of all build steps. Can be called several times.
    ///
    /// ```
    /// use pipeops_buildkit::{BuildRequest, Network, Solve};
    ///
    /// let request = BuildRequest::new("./app", "registry.example.com/team/app:1".parse()?);
    /// let solve = Solve::new(request)
    ///     .add_host("db", "10.1.2.3".parse()?)
    ///     .network(Network::Sandbox)
    ///     .shm_size(256 << 20) // 256 MiB
    ///     .ulimit("nofile", 4_096, 8_192);
    /// # let _ = solve;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn add_host(mut self, name: impl Into<String>, address: IpAddr) -> Self {
        self.frontend.hosts.push((name.into(), address));
        self
    }

    /// Sets the size of `/dev/shm` in build steps, in bytes. Default: the daemon's, usually 64 MiB.
    #[must_use]
    pub fn shm_size(mut self, bytes: u64) -> Self {
        self.frontend.shm_size = Some(bytes);
        self
    }

    /// Sets the soft and the hard limit of a resource for each process in build steps. The name is in lower case, without
    /// `RLIMIT_`, such as `nofile`. −1 means no limit.
    #[must_use]
    pub fn ulimit(mut self, name: impl Into<String>, soft: i64, hard: i64) -> Self {
        self.frontend.ulimits.push((name.into(), soft, hard));
        self
    }

    /// Sets the network of build steps, unless the Dockerfile does with `RUN --network`. Default: [`Network::Sandbox`].
    ///
    /// ```
    /// use pipeops_buildkit::{BuildRequest, Network, Solve};
    ///
    /// // Steps can't download anything: everything must come from the context and base images.
    /// let request = BuildRequest::new("./app", "registry.example.com/team/app:1".parse()?);
    /// let solve = Solve::new(request).network(Network::None);
    /// # let _ = solve;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn network(mut self, network: Network) -> Self {
        self.frontend.network = Some(network);
        self
    }

    /// Sets when the daemon asks the registry for a base image that it already has. Default: [`ResolveMode::Default`].
    #[must_use]
    pub fn resolve_mode(mut self, mode: ResolveMode) -> Self {
        self.frontend.resolve_mode = Some(mode);
        self
    }

    /// Sets the parent cgroup of build steps.
    #[must_use]
    pub fn cgroup_parent(mut self, path: impl Into<String>) -> Self {
        self.frontend.cgroup_parent = Some(path.into());
        self
    }

    /// Sets the host name of build steps.
    #[must_use]
    pub fn hostname(mut self, name: impl Into<String>) -> Self {
        self.frontend.hostname = Some(name.into());
        self
    }

    /// Allows `RUN --security=insecure`: steps that run with all permissions of the daemon. The daemon must allow it too
    /// (`insecure-entitlements = ["security.insecure"]`). Such a step can control the daemon's machine, so never allow it for
    /// untrusted code.
    #[must_use]
    pub fn allow_insecure_steps(mut self) -> Self {
        self.frontend.insecure = true;
        self
    }
}
