//! One build at one daemon: what is asked and what comes back.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bollard_buildkit_proto::moby::buildkit::v1::{Exporter, SolveRequest};
use pipeops_core::build::DockerfileSource;
use pipeops_core::cache::LocalCache;
use pipeops_core::secret::suspicion;
use pipeops_core::{BuildRequest, Digest, SecretString};
use tokio::io::AsyncRead;
use tokio::sync::mpsc;

use crate::cache::{CacheOutcome, Caches, Labels, probe};
use crate::check::{check_ignore_file, check_names, find_dockerfile, read_dockerfile};
use crate::error::Error;
use crate::exported::Exported;
use crate::frontend::{Frontend, NamedContext};
use crate::image_options::{ImageOptions, Subject};
use crate::leak::{LeakCheck, LeakReport, LeakSearch};
use crate::live_redactor::LiveRedactor;
use crate::output::{Output, OutputStats};
use crate::random;
use crate::remote::Main;
use crate::session::auth::{Access, Auth};
use crate::session::blobs::Blobs;
use crate::session::filesync::{FileSync, Sent, Source};
use crate::session::folder::Folder;
use crate::session::patterns::clean;
use crate::session::secrets::Secrets;
use crate::session::send::FileSend;
#[cfg(feature = "ssh-keys")]
use crate::session::ssh::keys::Key;
use crate::session::ssh::{Agent, Ssh};
use crate::session::stat::Seconds;
use crate::session::upload::{Once, Upload};
use crate::session::{Notes, Services};
use crate::times::seconds_for;

/// The frontend that turns Dockerfiles into build steps; it is part of every daemon.
pub(crate) const FRONTEND: &str = "dockerfile.v0";

/// A build to run with [`Client::solve`](crate::Client::solve).
#[derive(Debug, Clone)]
pub struct Solve {
    pub(crate) request: BuildRequest,
    push: bool,
    shared_key: Option<String>,
    pub(crate) timeout: Duration,
    cache_timeout: Duration,
    trusted_realms: BTreeSet<String>,
    exported: Exported,
    again: bool,
    pub(crate) image: ImageOptions,
    pub(crate) outputs: Vec<Output>,
    pub(crate) frontend: Frontend,
    ssh: BTreeMap<String, Agent>,
    streams: BTreeMap<String, Once>,
    pub(crate) main: Main,
    pub(crate) leak_check: Option<LeakCheck>,
}

impl Solve {
    /// The longest time for a build, when nothing else is said: one hour.
    pub const TIMEOUT: Duration = Duration::from_secs(3600);

    /// How long a build cache's server may stay silent, when nothing else is said: one minute.
    pub const CACHE_TIMEOUT: Duration = Duration::from_secs(60);

    /// Builds `request` and pushes the image.
    pub fn new(request: BuildRequest) -> Self {
        Self {
            request,
            push: true,
            shared_key: None,
            timeout: Self::TIMEOUT,
            cache_timeout: Self::CACHE_TIMEOUT,
            trusted_realms: BTreeSet::new(),
            exported: Exported::default(),
            again: false,
            image: ImageOptions::default(),
            outputs: Vec::new(),
            frontend: Frontend::default(),
            ssh: BTreeMap::new(),
            streams: BTreeMap::new(),
            main: Main::default(),
            leak_check: Some(LeakCheck::default()),
        }
    }

    /// Builds, but pushes nothing; the result stays in the daemon's cache.
    #[must_use]
    pub fn without_push(mut self) -> Self {
        self.push = false;
        self
    }

    /// Sets where it is noted how far the export came.
    pub(crate) fn exported(mut self, exported: Exported) -> Self {
        self.exported = exported;
        self
    }

    /// Sets how the pushed image is written.
    #[must_use]
    pub fn image(mut self, options: ImageOptions) -> Self {
        self.image = options;
        self
    }

    /// Writes the result here, too: see [`Output`]. With [`Solve::without_push`] it goes nowhere else.
    #[must_use]
    pub fn output(mut self, output: Output) -> Self {
        self.outputs.push(output);
        self
    }

    /// Replaces what `COPY --from=name` means by what this stream brings: one file named `context`, such as an archive. It is
    /// read once: a second attempt needs another one.
    #[must_use]
    pub fn context_stream(
        mut self,
        name: impl Into<String>,
        stream: impl AsyncRead + Send + Unpin + 'static,
    ) -> Self {
        self.streams.insert(name.into(), Once::new(stream));
        self
    }

    /// Lets `RUN --mount=type=ssh,id=…` use the SSH agent at this socket, such as the one that `SSH_AUTH_SOCK` names; a mount
    /// without an id uses `default`. Its keys stay where they are, but the build may sign with them. Unix only.
    #[must_use]
    pub fn ssh_agent(mut self, id: impl Into<String>, socket: impl Into<PathBuf>) -> Self {
        self.ssh.insert(id.into(), Agent::Socket(socket.into()));
        self
    }

    /// Lets `RUN --mount=type=ssh,id=…` sign with this key, as `ssh-keygen` writes it; called again for an id, with each of them.
    /// A mount without an id uses `default`. The key stays in this process. Kinds: Ed25519 and ECDSA (P-256, P-384), without a
    /// passphrase; for others there is [`Solve::ssh_agent`].
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is no such key.
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

    /// Sets the name under which the daemon keeps the files of the context, so that the next build with the same name sends
    /// only what changed. Printable ASCII. Default: the image's name without its tag.
    #[must_use]
    pub fn shared_key(mut self, key: impl Into<String>) -> Self {
        self.shared_key = Some(key.into());
        self
    }

    /// Sets the longest time for the build. Default: [`Solve::TIMEOUT`].
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// Sets the longest time that the server of a build cache may stay silent while a cache's manifest is read; ten times as
    /// long while a cache is written, as a large layer moves without a report. Then the build ends with
    /// [`Cause::CacheSilent`](crate::Cause::CacheSilent) or [`Cause::CacheUnwritable`](crate::Cause::CacheUnwritable),
    /// and a [`Builder`](crate::Builder) builds again without this cache. Looked at every 5 s. Default:
    /// [`Solve::CACHE_TIMEOUT`].
    ///
    /// A daemon that waits for a manifest goes on with no build at all, also when this one is given up: a
    /// [`Pool`](crate::Pool) leaves it alone for some minutes. To spare it that, S3 servers that a cache names
    /// ([`endpoint`](pipeops_core::cache::S3Cache::endpoint)) are asked from here first, for 10 s at most. What takes a
    /// connection and does not answer is left out, with a warning.
    #[must_use]
    pub fn cache_timeout(mut self, limit: Duration) -> Self {
        self.cache_timeout = limit;
        self
    }

    /// Trusts a token server that is on another host than its registry. By default credentials go to the registry's own
    /// host, its parent domain and Docker Hub's token server only.
    #[must_use]
    pub fn trust_realm(mut self, host: impl Into<String>) -> Self {
        self.trusted_realms.insert(host.into());
        self
    }

    /// Sets how far the leak check after the build goes. By default image and record are searched, and layers are not. It
    /// runs only when there is something to look for; what it finds is a warning and in [`Solved::leaks`].
    #[must_use]
    pub fn leak_check(mut self, check: LeakCheck) -> Self {
        self.leak_check = Some(check);
        self
    }

    /// Leaves the leak check out.
    #[must_use]
    pub fn without_leak_check(mut self) -> Self {
        self.leak_check = None;
        self
    }
}

impl Solve {
    /// Leaves out caches that would stop the daemon; gives them, and what people should know.
    pub(crate) async fn without_silent_caches(&mut self) -> (CacheOutcome, Vec<String>) {
        let (outcome, warnings) =
            probe::leave_silent_out(&mut self.request, self.cache_timeout).await;
        // What was said at the first attempt is not said again.
        (outcome, if self.again { Vec::new() } else { warnings })
    }

    /// Says that this build was tried before: what was said then is not said again.
    pub(crate) fn again(mut self, again: bool) -> Self {
        self.again = again;
        self
    }
}

/// What a build left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Solved {
    /// The build's name at its daemon.
    pub id: String,
    /// The digest of the image's manifest; `None` when nothing was pushed.
    pub digest: Option<Digest>,
    /// What the daemon says about the result, such as `containerimage.config.digest`.
    pub response: BTreeMap<String, String>,
    /// Steps of the Dockerfile that ran or were taken from cache.
    pub steps: usize,
    /// Steps of these that were taken from cache.
    pub cached: usize,
    /// Caches that could not be read or written.
    pub caches: CacheOutcome,
    /// What was sent of the context.
    pub context: ContextSent,
    /// What was written, in the order of [`Solve::output`].
    pub outputs: Vec<OutputStats>,
    /// Secrets of the build that can be read in its image or at the daemon.
    pub leaks: LeakReport,
}

/// What a build sent to the daemon from its context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ContextSent {
    /// Entries that were listed; the daemon compares them with what it has.
    pub entries: u64,
    /// Files that the daemon did not have and got.
    pub files: u64,
    /// Bytes of these files.
    pub bytes: u64,
}

/// Everything that one attempt needs.
pub(crate) struct Prepared {
    pub(crate) request: SolveRequest,
    pub(crate) services: Services,
    pub(crate) shared_key: String,
    pub(crate) notes: mpsc::Receiver<Error>,
    pub(crate) sent: Arc<Sent>,
    pub(crate) redactor: LiveRedactor,
    pub(crate) labels: Labels,
    pub(crate) push: bool,
    pub(crate) cache_timeout: Duration,
    /// Caches in folders of this side that the build writes.
    pub(crate) folders: Vec<LocalCache>,
    pub(crate) exported: Exported,
    /// What a person should know before it begins.
    pub(crate) warning: Option<String>,
    pub(crate) leaks: LeakSearch,
}

impl Solve {
    /// Checks the request and puts together what the daemon gets.
    ///
    /// Reads the disk: not for a thread that runs async tasks.
    pub(crate) fn prepare(&self) -> Result<Prepared, Error> {
        let request = &self.request;
        check_names(request, self.push)?;
        let plain_http = plain_http(request);
        let caches = Caches::new(&request.cache_from, &request.cache_to, &plain_http)?;
        let redactor = LiveRedactor::default();
        redactor.hide(
            request
                .secrets
                .values()
                .cloned()
                .chain(caches.keys.iter().cloned())
                .chain(secret_args(request)),
        );

        let (notes, noted) = Notes::new();
        let sent = Arc::new(Sent::default());
        let sources = self.sources()?;
        let mut frontend = self.frontend.clone();
        let mut stores = frontend.open_layouts()?;
        stores.extend(caches.stores.clone());
        let results = FileSend::new(&self.outputs, notes.clone());
        let mut access = Access {
            writes: caches.writes.clone(),
            plain_http,
            trusted_realms: self.trusted_realms.clone(),
        };
        if self.push {
            let names = std::iter::once(&request.image).chain(self.image.names());
            access
                .writes
                .extend(names.map(|name| (name.host().to_owned(), name.repository().to_owned())));
        }
        // Each attempt has addresses of its own: the daemon keeps what it downloaded by address.
        let mut streams = BTreeMap::new();
        for (name, stream) in &self.streams {
            let id = random::id()?;
            frontend.set_context(name, NamedContext::Http(Upload::address(&id)));
            streams.insert(id, stream.clone());
        }
        let mut place = self.main.place()?;
        streams.extend(place.as_mut().and_then(|place| place.stream.take()));
        let services = Services {
            files: Arc::new(FileSync::new(
                sources.folders,
                Arc::clone(&sent),
                notes.clone(),
            )),
            auth: Arc::new(Auth::new(
                Arc::clone(&request.credentials),
                access,
                notes,
                redactor.clone(),
            )?),
            secrets: Arc::new(Secrets::new(request.secrets.clone())?),
            results: Arc::new(results),
            ssh: Arc::new(Ssh::new(self.ssh.clone())),
            uploads: Arc::new(Upload::new(streams)),
            blobs: Arc::new(Blobs::new(stores)),
        };
        let mut attributes = frontend_attributes(request, &sources.filename, &caches);
        attributes.extend(frontend.attributes(request)?);
        if let Some(place) = place {
            attributes.extend(place.attributes(&request.dockerfile));
        }
        Ok(Prepared {
            request: self.solve_request(attributes, &caches)?,
            services,
            shared_key: self
                .shared_key
                .clone()
                .unwrap_or_else(|| request.image.name()),
            notes: noted,
            sent,
            redactor,
            labels: caches.labels,
            push: self.push,
            cache_timeout: self.cache_timeout,
            folders: caches.folders,
            exported: self.exported.clone(),
            warning: sources.warning.filter(|_| !self.again),
            leaks: self.leak_search(),
        })
    }

    fn leak_search(&self) -> LeakSearch {
        let is_inline = matches!(self.request.dockerfile, DockerfileSource::Inline(_));
        match self.leak_check {
            Some(_) if is_inline || self.main.is_folder() => LeakSearch::new(&self.request),
            Some(_) => LeakSearch::without_dockerfile(&self.request),
            None => LeakSearch::default(),
        }
    }

    fn solve_request(
        &self,
        frontend_attrs: HashMap<String, String>,
        caches: &Caches,
    ) -> Result<SolveRequest, Error> {
        let exporters = self.exporters()?;
        let first = exporters.first().cloned().unwrap_or_default();
        Ok(SolveRequest {
            r#ref: random::id()?,
            frontend: FRONTEND.to_owned(),
            frontend_attrs,
            entitlements: self.frontend.entitlements(),
            cache: Some(caches.options()),
            exporters,
            // Daemons before v0.13 know only these two.
            exporter_deprecated: first.r#type,
            exporter_attrs_deprecated: first.attrs,
            // The daemon's history keeps requests in plain text for every client to read: no place for secrets.
            internal: !caches.keys.is_empty() || secret_args(&self.request).next().is_some(),
            ..SolveRequest::default()
        })
    }
}

impl Solve {
    /// The exporters: first the outputs in their order, on which their numbers depend.
    fn exporters(&self) -> Result<Vec<Exporter>, Error> {
        let subject = |push| Subject {
            image: &self.request.image,
            commit_time: self.request.commit_time,
            index: self.request.platforms.len() > 1 || self.frontend.has_attestations(),
            push,
            insecure: self.request.insecure_registry,
        };
        let exporter = |kind: &str, attrs: BTreeMap<String, String>| Exporter {
            r#type: kind.to_owned(),
            attrs: attrs.into_iter().collect(),
        };
        let mut exporters = Vec::new();
        for output in &self.outputs {
            exporters.push(exporter(
                output.exporter(),
                output.attributes(&subject(false))?,
            ));
        }
        // Last: each exporter's answer overwrites those before it, and the digest must be what was pushed.
        if self.push {
            exporters.push(exporter("image", self.image.attributes(&subject(true))?));
        }
        Ok(exporters)
    }
}

/// Hosts that speak plain HTTP because the request says so.
fn plain_http(request: &BuildRequest) -> BTreeSet<String> {
    request
        .insecure_registry
        .then(|| request.image.host().to_owned())
        .into_iter()
        .collect()
}

/// Values of build arguments that look like secrets. They do not belong there, but must not be shown either.
fn secret_args(request: &BuildRequest) -> impl Iterator<Item = SecretString> {
    let secret = request
        .build_args
        .iter()
        .filter(|(key, value)| suspicion(key, value).is_some());
    secret.map(|(_, value)| SecretString::from(value.as_str()))
}

/// What the daemon may fetch.
struct Sources {
    folders: HashMap<String, Source>,
    /// The Dockerfile's name for the frontend.
    filename: String,
    /// What a person should know about it.
    warning: Option<String>,
}

impl Solve {
    fn sources(&self) -> Result<Sources, Error> {
        match self.main.is_folder() {
            true => folder_sources(&self.request, &self.frontend),
            false => remote_sources(&self.request, &self.frontend),
        }
    }
}

/// What the daemon may fetch when the request's folder is the context.
fn folder_sources(request: &BuildRequest, frontend: &Frontend) -> Result<Sources, Error> {
    let (seconds, warning) = seconds_for(&dockerfile_text(request));
    let folder = Folder::new(&request.context, seconds).map_err(|source| Error::Context {
        path: request.context.display().to_string(),
        source,
    })?;
    let (dockerfile, filename) = match &request.dockerfile {
        DockerfileSource::Path(path) => {
            let path = clean(path);
            find_dockerfile(&request.context, &path)?;
            check_ignore_file(
                &request.context,
                &[&format!("{path}.dockerignore"), ".dockerignore"],
            )?;
            (Source::Folder(folder.clone()), path)
        }
        DockerfileSource::Inline(text) => {
            check_ignore_file(&request.context, &[".dockerignore"])?;
            (inline(text), "Dockerfile".to_owned())
        }
        _ => return Err(unknown_dockerfile()),
    };
    let mut folders = frontend.folders(seconds)?;
    folders.extend([
        ("context".to_owned(), Source::Folder(folder)),
        ("dockerfile".to_owned(), dockerfile),
    ]);
    Ok(Sources {
        folders,
        filename,
        warning,
    })
}

/// What it may fetch when the context comes from elsewhere: named folders, and a Dockerfile that is there as text.
fn remote_sources(request: &BuildRequest, frontend: &Frontend) -> Result<Sources, Error> {
    let mut folders = frontend.folders(Seconds::default())?;
    let filename = match &request.dockerfile {
        DockerfileSource::Path(path) => clean(path),
        DockerfileSource::Inline(text) => {
            folders.insert("dockerfile".to_owned(), inline(text));
            "Dockerfile".to_owned()
        }
        _ => return Err(unknown_dockerfile()),
    };
    Ok(Sources {
        folders,
        filename,
        warning: None,
    })
}

fn inline(dockerfile: &str) -> Source {
    Source::Files(vec![(
        "Dockerfile".to_owned(),
        dockerfile.to_owned().into(),
    )])
}

fn unknown_dockerfile() -> Error {
    Error::Invalid {
        field: "dockerfile",
        why: "this kind of source is not known here".to_owned(),
    }
}

/// The Dockerfile; empty when there is none, which is said later.
fn dockerfile_text(request: &BuildRequest) -> Vec<u8> {
    match &request.dockerfile {
        DockerfileSource::Inline(text) => text.clone().into_bytes(),
        DockerfileSource::Path(path) => read_dockerfile(&request.context, &clean(path)),
        _ => Vec::new(),
    }
}

fn frontend_attributes(
    request: &BuildRequest,
    filename: &str,
    caches: &Caches,
) -> HashMap<String, String> {
    let mut attributes = HashMap::from([("filename".to_owned(), filename.to_owned())]);
    let mut set = |key: &str, value: String| attributes.insert(key.to_owned(), value);
    if let Some(target) = &request.target {
        set("target", target.clone());
    }
    if !request.platforms.is_empty() {
        set("platform", request.platforms.join(","));
    }
    if request.no_cache {
        // Empty means every stage.
        set("no-cache", String::new());
    }
    if let Some(imports) = caches.frontend_attribute() {
        set("cache-imports", imports);
    }
    for (key, value) in &request.build_args {
        set(&format!("build-arg:{key}"), value.clone());
    }
    for (key, value) in &request.labels {
        set(&format!("label:{key}"), value.clone());
    }
    attributes
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use pipeops_core::build::{BuildCache, S3Cache};

    use super::*;

    /// What a test changes in a request.
    type Change = Box<dyn FnOnce(&mut BuildRequest)>;

    fn request(dir: &tempfile::TempDir) -> BuildRequest {
        std::fs::write(dir.path().join("Dockerfile"), "FROM scratch").unwrap();
        BuildRequest::new(dir.path(), "reg.io/team/app:1".parse().unwrap())
    }

    fn prepare(change: impl FnOnce(&mut BuildRequest)) -> Result<Prepared, Error> {
        let dir = tempfile::tempdir().unwrap();
        let mut request = request(&dir);
        change(&mut request);
        Solve::new(request).prepare()
    }

    #[test]
    fn a_request_becomes_attributes_of_frontend_and_exporter() {
        let prepared = prepare(|request| {
            request.build_args.insert("A".into(), "1".into());
            request.labels.insert("l".into(), "2".into());
            request.target = Some("prod".into());
            request.platforms = vec!["linux/amd64".into(), "linux/arm64".into()];
            request.commit_time = Some(Timestamp::from_second(1_700_000_000).unwrap());
            request.no_cache = true;
        })
        .unwrap();
        let attributes = &prepared.request.frontend_attrs;
        for (key, value) in [
            ("filename", "Dockerfile"),
            ("build-arg:A", "1"),
            ("label:l", "2"),
            ("target", "prod"),
            ("platform", "linux/amd64,linux/arm64"),
            ("no-cache", ""),
        ] {
            assert_eq!(attributes[key], value);
        }
        let exporter = &prepared.request.exporters[0];
        assert_eq!(exporter.attrs["name"], "reg.io/team/app:1");
        assert_eq!(exporter.attrs["source-date-epoch"], "1700000000");
        assert!(!attributes.contains_key("build-arg:SOURCE_DATE_EPOCH"));
        assert_eq!(prepared.shared_key, "reg.io/team/app");
        assert!(!prepared.request.internal);
    }

    #[test]
    fn a_request_with_keys_stays_out_of_the_daemons_history() {
        let prepared = prepare(|request| {
            let mut s3 = S3Cache::new("b", "r", "n");
            s3.keys = Some(("key-id".into(), SecretString::from("key-secret")));
            request.cache_from = vec![BuildCache::S3(s3)];
        })
        .unwrap();
        assert!(prepared.request.internal);
        assert_eq!(prepared.redactor.clean("a key-secret b"), "a [redacted] b");
    }

    #[test]
    fn secrets_in_build_arguments_are_not_shown() {
        let prepared = prepare(|request| {
            drop(
                request
                    .build_args
                    .insert("NPM_TOKEN".into(), "npm_12345".into()),
            )
        })
        .unwrap();
        assert_eq!(prepared.redactor.clean("npm_12345"), "[redacted]");
        assert!(
            prepared.request.internal,
            "the daemon's history would show it"
        );
    }

    #[test]
    fn what_cannot_be_built_is_refused_before_any_daemon_is_asked() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let refused: [(&str, Change); 7] = [
            (
                "no tag",
                Box::new(|request| request.image = "reg.io/app".parse().unwrap()),
            ),
            (
                "digest",
                Box::new(move |request| {
                    request.image = format!("reg.io/app:1@{digest}").parse().unwrap()
                }),
            ),
            (
                "not a name",
                Box::new(|request| drop(request.build_args.insert("A=B".into(), String::new()))),
            ),
            (
                "os/arch",
                Box::new(|request| request.platforms.push("a,b".into())),
            ),
            (
                "outside",
                Box::new(|request| {
                    request.dockerfile = DockerfileSource::Path("../Dockerfile".into())
                }),
            ),
            (
                "no deploy/x in",
                Box::new(|request| {
                    request.dockerfile = DockerfileSource::Path("./deploy/x".into())
                }),
            ),
            (
                "cannot read",
                Box::new(|request| request.context = "/nowhere/at/all".into()),
            ),
        ];
        for (why, change) in refused {
            let error = prepare(change).err().expect(why);
            assert!(error.to_string().contains(why), "{error}");
        }
    }

    #[test]
    fn a_pattern_that_no_daemon_reads_is_named() {
        let write = |name: &'static str| {
            move |request: &mut BuildRequest| {
                std::fs::write(request.context.join(name), "ok\n[a\n").unwrap();
            }
        };
        for name in [".dockerignore", "Dockerfile.dockerignore"] {
            let error = prepare(write(name)).err().unwrap().to_string();
            assert!(
                error.contains(&format!("{name}: the pattern \"[a\"")),
                "{error}"
            );
        }
    }

    #[test]
    fn an_inline_dockerfile_needs_no_file() {
        let prepared = prepare(|request| {
            std::fs::remove_file(request.context.join("Dockerfile")).unwrap();
            request.dockerfile = DockerfileSource::Inline("FROM scratch".into());
        });
        assert_eq!(
            prepared.unwrap().request.frontend_attrs["filename"],
            "Dockerfile"
        );
    }
}
