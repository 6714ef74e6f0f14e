//! What is asked of a daemon: a request and its options.

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

/// A build for [`Client::solve`](crate::Client::solve), named after the call of BuildKit's API.
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
    /// Where the progress of the export is noted.
    pub(super) exported: Exported,
    /// An earlier attempt has emitted the warnings.
    pub(super) again: bool,
}

impl Solve {
    /// The default limit for a build: one hour.
    pub const TIMEOUT: Duration = Duration::from_secs(3600);

    /// The default limit for the silence of a build cache's server: one minute.
    pub const CACHE_TIMEOUT: Duration = Duration::from_secs(60);

    /// Builds `request` and pushes the image.
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
    /// The request.
    pub fn request(&self) -> &BuildRequest {
        &self.request
    }

    /// Builds without pushing. The result stays in the daemon's cache.
    #[must_use]
    pub fn without_push(mut self) -> Self {
        self.push = false;
        self
    }

    /// Sets how the pushed image is written.
    #[must_use]
    pub fn image(mut self, options: ImageOptions) -> Self {
        self.image = options;
        self
    }

    /// Adds a place to write the result to: see [`Output`].
    #[must_use]
    pub fn output(mut self, output: Output) -> Self {
        self.outputs.push(output);
        self
    }

    /// Sets the name under which the daemon keeps the files of the context. The next build with the same name sends only what
    /// changed. Printable ASCII. Default: the image's name without its tag.
    #[must_use]
    pub fn shared_key(mut self, key: impl Into<String>) -> Self {
        self.shared_key = Some(key.into());
        self
    }

    /// Sets the time limit of the build. Default: [`Solve::TIMEOUT`].
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// Sets how long the server of a build cache may stay silent while a manifest is read. While a cache is written the limit
    /// is ten times as long, because a large layer moves without a report. At the limit the build ends with
    /// [`Cause::CacheSilent`](crate::Cause::CacheSilent) or [`Cause::CacheUnwritable`](crate::Cause::CacheUnwritable), and a
    /// [`Builder`](crate::Builder) builds again without this cache. Checked every 5 s. Default: [`Solve::CACHE_TIMEOUT`].
    ///
    /// A daemon that waits for a manifest stalls every build, even after this one is cancelled, so a pool avoids it for some
    /// minutes. To prevent that, this client first contacts the S3 servers that a cache names
    /// ([`endpoint`](pipeops_core::cache::S3Cache::endpoint)), for 10 s at most. A cache whose server accepts connections but
    /// never responds is skipped, with a warning.
    #[must_use]
    pub fn cache_timeout(mut self, limit: Duration) -> Self {
        self.cache_timeout = limit;
        self
    }

    /// Lets the credentials of `registry` be sent to a token server on the host `realm`, over TLS. By default they go only to
    /// hosts that share a registrable domain with the registry: see
    /// [`RealmPolicy`](pipeops_core::registry::RealmPolicy).
    #[must_use]
    pub fn trust_realm(mut self, registry: &str, realm: &str) -> Self {
        self.trusted_realms.insert(registry, realm);
        self
    }

    /// Sets how far the leak check after the build goes. It runs only when the build has secrets to look for; a leak is a
    /// warning and part of [`Solved::leaks`](crate::Solved::leaks). Default: image and record, without layers.
    #[must_use]
    pub fn leak_check(mut self, check: LeakCheck) -> Self {
        self.leak_check = Some(check);
        self
    }

    /// Skips the leak check.
    #[must_use]
    pub fn without_leak_check(mut self) -> Self {
        self.leak_check = None;
        self
    }

    /// Sets where the progress of the export is noted.
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
    /// The Dockerfile is the repository's, unless the request has its text.
    ///
    /// A private repository needs a token in the request's secret `GIT_AUTH_TOKEN`, or `GIT_AUTH_TOKEN.HOST` for one host
    /// ([Docker's documentation](https://docs.docker.com/build/building/secrets/#git-authentication-for-remote-contexts)), or an
    /// agent ([`Solve::ssh_agent`]) and an address of the form `git@host:owner/name.git`.
    #[must_use]
    pub fn git_context(mut self, address: impl Into<String>) -> Self {
        self.main = Some(ContextSource::Named(NamedContext::Git(address.into())));
        self
    }

    /// Builds an archive (tar, also compressed with gzip, bzip2 or xz) that the daemon downloads, instead of the request's
    /// folder. The Dockerfile is the archive's, unless the request has its text.
    #[must_use]
    pub fn http_context(mut self, address: impl Into<String>) -> Self {
        self.main = Some(ContextSource::Named(NamedContext::Http(address.into())));
        self
    }

    /// As [`Solve::http_context`], with an archive of this process, which is sent whole and read once: a second attempt needs
    /// another one. A folder is faster from the second build on, because only changes are sent.
    #[must_use]
    pub fn archive_context(mut self, archive: impl AsyncRead + Send + Unpin + 'static) -> Self {
        self.main = Some(ContextSource::Stream(Once::new(archive)));
        self
    }

    /// Replaces what `FROM name` and `COPY --from=name` refer to.
    #[must_use]
    pub fn context(mut self, name: impl Into<String>, context: NamedContext) -> Self {
        let source = ContextSource::Named(context);
        self.contexts.insert(name.into(), source);
        self
    }

    /// Replaces what `COPY --from=name` refers to with this stream: one file named `context`, such as an archive. It is read
    /// once: a second attempt needs another one.
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

    /// Lets `RUN --mount=type=ssh,id=…` use the SSH agent at this socket, such as the one that `SSH_AUTH_SOCK` names; a mount
    /// without an id uses `default`. The build can sign with the agent's keys but not read them. Unix only.
    #[must_use]
    pub fn ssh_agent(mut self, id: impl Into<String>, socket: impl Into<PathBuf>) -> Self {
        self.ssh.insert(id.into(), Agent::Socket(socket.into()));
        self
    }

    /// Lets `RUN --mount=type=ssh,id=…` sign with this key, in the format of `ssh-keygen`. Further calls for the same id add
    /// keys. A mount without an id uses `default`. The key stays in this process. Supported: Ed25519 and ECDSA (P-256, P-384)
    /// without a passphrase; for other keys use [`Solve::ssh_agent`].
    ///
    /// # Errors
    /// [`Error::Invalid`] when the key is not supported.
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
    /// Runs the steps of this stage again even if they are cached. For all stages set
    /// [`no_cache`](pipeops_core::BuildRequest::no_cache).
    #[must_use]
    pub fn no_cache_stage(mut self, name: impl Into<String>) -> Self {
        self.frontend.no_cache_stages.push(name.into());
        self
    }

    /// Attaches provenance to the image, which is then pushed as an index. Default: none.
    #[must_use]
    pub fn provenance(mut self, provenance: Provenance) -> Self {
        self.frontend.provenance = Some(provenance);
        self
    }

    /// Attaches a list of the image's packages, made by BuildKit's default scanner image. Default: none.
    #[must_use]
    pub fn sbom(mut self) -> Self {
        self.frontend.sbom = Some(String::new());
        self
    }

    /// As [`Solve::sbom`], made by this scanner image.
    #[must_use]
    pub fn sbom_by(mut self, scanner: &ImageRef) -> Self {
        self.frontend.sbom = Some(scanner.to_string());
        self
    }

    /// Adds a line to `/etc/hosts` of all build steps.
    #[must_use]
    pub fn add_host(mut self, name: impl Into<String>, address: IpAddr) -> Self {
        self.frontend.hosts.push((name.into(), address));
        self
    }

    /// Sets the size of `/dev/shm` in build steps, in bytes.
    #[must_use]
    pub fn shm_size(mut self, bytes: u64) -> Self {
        self.frontend.shm_size = Some(bytes);
        self
    }

    /// Limits a resource of each process in build steps. The name is in lower case, without `RLIMIT_`: `nofile`. −1 means no
    /// limit.
    #[must_use]
    pub fn ulimit(mut self, name: impl Into<String>, soft: i64, hard: i64) -> Self {
        self.frontend.ulimits.push((name.into(), soft, hard));
        self
    }

    /// Sets the network of build steps that do not set it in the Dockerfile.
    #[must_use]
    pub fn network(mut self, network: Network) -> Self {
        self.frontend.network = Some(network);
        self
    }

    /// Sets when the daemon asks the registry for an image that it already has.
    #[must_use]
    pub fn resolve_mode(mut self, mode: ResolveMode) -> Self {
        self.frontend.resolve_mode = Some(mode);
        self
    }

    /// Runs build steps below this cgroup.
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

    /// Allows `RUN --security=insecure`: a step with all the daemon's permissions. The daemon must allow it too
    /// (`insecure-entitlements = ["security.insecure"]`).
    #[must_use]
    pub fn allow_insecure_steps(mut self) -> Self {
        self.frontend.insecure = true;
        self
    }
}
