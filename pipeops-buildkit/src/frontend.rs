//! What the Dockerfile frontend is told beyond the request: stages without cache, named contexts, attestations, and how the
//! containers of its steps run.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use pipeops_core::{BuildRequest, Digest, ImageRef};

use crate::error::Error;
use crate::hex::hex;
use crate::layout::Layout;
use crate::session::blobs::Store;
use crate::session::filesync::Source;
use crate::session::folder::Folder;
use crate::session::stat::Seconds;
use crate::solve::Solve;

/// Where `FROM name` and `COPY --from=name` find what they name, instead of a stage or an image.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NamedContext {
    /// A folder of this machine; it is sent like the build context, with its own `.dockerignore`.
    Folder(PathBuf),
    /// An image.
    Image(ImageRef),
    /// A repository that the daemon clones: `https://host/owner/name.git#ref`, or `git@host:owner/name.git`.
    Git(String),
    /// An archive or file that the daemon downloads.
    Http(String),
    /// An image in a folder of this machine that is an OCI image layout; its blobs go through the build's session.
    OciLayout {
        /// The folder.
        folder: PathBuf,
        /// Its tag in the folder's index; `None` for the only one.
        tag: Option<String>,
    },
}

impl NamedContext {
    /// Where the daemon finds it; empty for what it gets through the session.
    pub(crate) fn address(&self) -> &str {
        match self {
            Self::Git(address) | Self::Http(address) => address,
            _ => "",
        }
    }
}

/// How much provenance is attached to an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Provenance {
    /// What was built from which sources, without the build's configuration.
    Min,
    /// All of it, with the build's arguments and the Dockerfile: do not use it with arguments that are secret.
    Max,
}

/// How the containers of build steps reach the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Network {
    /// A network of their own, the default.
    Sandbox,
    /// Not at all.
    None,
    /// As the daemon does; the daemon must allow it (`insecure-entitlements = ["network.host"]`).
    Host,
}

/// When the daemon asks the registry for an image that it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ResolveMode {
    /// For tags always, for digests never.
    Default,
    /// Always.
    Pull,
    /// Only for what it has not got.
    PreferLocal,
}

/// See the methods of [`Solve`].
#[derive(Debug, Clone, Default)]
pub(crate) struct Frontend {
    no_cache_stages: Vec<String>,
    contexts: BTreeMap<String, NamedContext>,
    /// The images in OCI layouts among them, once their folders were opened.
    layouts: BTreeMap<String, Digest>,
    provenance: Option<Provenance>,
    /// The scanner; empty for the daemon's own.
    sbom: Option<String>,
    hosts: Vec<(String, IpAddr)>,
    shm_size: Option<u64>,
    ulimits: Vec<(String, i64, i64)>,
    network: Option<Network>,
    resolve_mode: Option<ResolveMode>,
    cgroup_parent: Option<String>,
    hostname: Option<String>,
    insecure: bool,
}

impl Solve {
    /// Runs the steps of this stage again, whatever is cached. For all stages set
    /// [`no_cache`](pipeops_core::BuildRequest::no_cache).
    #[must_use]
    pub fn no_cache_stage(mut self, name: impl Into<String>) -> Self {
        self.frontend.no_cache_stages.push(name.into());
        self
    }

    /// Replaces what `FROM name` and `COPY --from=name` mean.
    #[must_use]
    pub fn context(mut self, name: impl Into<String>, context: NamedContext) -> Self {
        self.frontend.contexts.insert(name.into(), context);
        self
    }

    /// Attaches provenance to the image, which is pushed as an index then. Default: none.
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

    /// Limits a resource of each process in build steps, by its name without `RLIMIT_`, in lower case: `nofile`. −1 is no
    /// limit.
    #[must_use]
    pub fn ulimit(mut self, name: impl Into<String>, soft: i64, hard: i64) -> Self {
        self.frontend.ulimits.push((name.into(), soft, hard));
        self
    }

    /// Sets how build steps reach the network, where the Dockerfile does not say so.
    #[must_use]
    pub fn network(mut self, network: Network) -> Self {
        self.frontend.network = Some(network);
        self
    }

    /// Sets when the registry is asked for an image that the daemon has.
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

    /// Lets the Dockerfile ask for `RUN --security=insecure`: a step that may do what the daemon may. The daemon must allow
    /// it, too (`insecure-entitlements = ["security.insecure"]`).
    #[must_use]
    pub fn allow_insecure_steps(mut self) -> Self {
        self.frontend.insecure = true;
        self
    }
}

/// Names of resource limits, as the frontend knows them.
const LIMITS: [&str; 15] = [
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

impl Frontend {
    /// Whether the result gets an index because of what is attached to it.
    pub(crate) fn has_attestations(&self) -> bool {
        self.provenance.is_some() || self.sbom.is_some()
    }

    /// Replaces what a name means.
    pub(crate) fn set_context(&mut self, name: &str, context: NamedContext) {
        self.contexts.insert(name.to_owned(), context);
    }

    /// What the build may do beyond the usual.
    pub(crate) fn entitlements(&self) -> Vec<String> {
        let host = (self.network == Some(Network::Host)).then_some("network.host");
        let insecure = self.insecure.then_some("security.insecure");
        host.into_iter()
            .chain(insecure)
            .map(str::to_owned)
            .collect()
    }

    /// The folders among the named contexts, by the names under which the daemon asks for them.
    pub(crate) fn folders(&self, seconds: Seconds) -> Result<HashMap<String, Source>, Error> {
        let mut folders = HashMap::new();
        for (name, context) in &self.contexts {
            if let NamedContext::Folder(path) = context {
                let folder = Folder::new(path, seconds).map_err(|source| Error::Context {
                    path: path.display().to_string(),
                    source,
                })?;
                folders.insert(local_name(name), Source::Folder(folder));
            }
        }
        Ok(folders)
    }

    /// Finds the images in OCI layouts; gives their folders, by the names under which the daemon asks for them.
    pub(crate) fn open_layouts(&mut self) -> Result<BTreeMap<String, Store>, Error> {
        let mut stores = BTreeMap::new();
        for (name, context) in &self.contexts {
            let NamedContext::OciLayout { folder, tag } = context else {
                continue;
            };
            let layout = Layout::new(folder);
            let found = layout.find(tag.as_deref());
            let found = found.map_err(|source| Error::Context {
                path: folder.display().to_string(),
                source,
            })?;
            let digest = found.ok_or_else(|| no_image(folder, tag.as_deref()))?;
            self.layouts.insert(name.clone(), digest);
            let store = Store {
                layout,
                writable: false,
            };
            stores.insert(format!("oci:{}", layout_name(name)), store);
        }
        Ok(stores)
    }

    /// The attributes that the frontend takes.
    pub(crate) fn attributes(
        &self,
        request: &BuildRequest,
    ) -> Result<BTreeMap<String, String>, Error> {
        self.check()?;
        let mut attributes = BTreeMap::new();
        let mut set = |key: &str, value: String| drop(attributes.insert(key.to_owned(), value));
        if !self.no_cache_stages.is_empty() && !request.no_cache {
            set("no-cache", self.no_cache_stages.join(","));
        }
        for (name, context) in &self.contexts {
            let specifier = self.specifier(name, context)?;
            // The frontend looks names up without it.
            let name = name.strip_suffix(":latest").unwrap_or(name);
            set(&format!("context:{name}"), specifier);
        }
        if let Some(provenance) = self.provenance {
            let mode = if provenance == Provenance::Max {
                "max"
            } else {
                "min"
            };
            set("attest:provenance", format!("mode={mode}"));
        }
        if let Some(scanner) = &self.sbom {
            let generator = if scanner.is_empty() {
                String::new()
            } else {
                format!("generator={scanner}")
            };
            set("attest:sbom", generator);
        }
        if !self.hosts.is_empty() {
            let hosts: Vec<String> = self
                .hosts
                .iter()
                .map(|(name, address)| format!("{name}={address}"))
                .collect();
            set("add-hosts", hosts.join(","));
        }
        if let Some(bytes) = self.shm_size {
            set("shm-size", bytes.to_string());
        }
        if !self.ulimits.is_empty() {
            let limits: Vec<String> = self
                .ulimits
                .iter()
                .map(|(name, soft, hard)| format!("{name}={soft}:{hard}"))
                .collect();
            set("ulimit", limits.join(","));
        }
        if let Some(network) = self.network {
            let mode = match network {
                Network::Sandbox => "sandbox",
                Network::None => "none",
                Network::Host => "host",
            };
            set("force-network-mode", mode.to_owned());
        }
        if let Some(mode) = self.resolve_mode {
            let mode = match mode {
                ResolveMode::Default => "default",
                ResolveMode::Pull => "pull",
                ResolveMode::PreferLocal => "local",
            };
            set("image-resolve-mode", mode.to_owned());
        }
        for (key, value) in [
            ("cgroup-parent", &self.cgroup_parent),
            ("hostname", &self.hostname),
        ] {
            if let Some(value) = value {
                set(key, value.clone());
            }
        }
        Ok(attributes)
    }

    fn specifier(&self, name: &str, context: &NamedContext) -> Result<String, Error> {
        Ok(match context {
            NamedContext::Folder(_) => format!("local:{}", local_name(name)),
            NamedContext::Image(image) => format!("docker-image://{image}"),
            NamedContext::Git(url) | NamedContext::Http(url) => url.clone(),
            NamedContext::OciLayout { folder, tag } => {
                let digest = self
                    .layouts
                    .get(name)
                    .ok_or_else(|| no_image(folder, tag.as_deref()))?;
                format!("oci-layout://{}@{digest}", layout_name(name))
            }
        })
    }

    /// Refuses what the frontend would misread or refuse.
    fn check(&self) -> Result<(), Error> {
        let refuse = |field, why: String| Err(Error::Invalid { field, why });
        let odd = |text: &str| {
            text.is_empty()
                || text.contains(|c: char| {
                    c == ',' || c == '"' || c == '=' || c.is_whitespace() || c.is_control()
                })
        };
        if let Some(name) = self.no_cache_stages.iter().find(|name| odd(name)) {
            return refuse(
                "no_cache_stage",
                format!("{name:?} is not the name of a stage"),
            );
        }
        if let Some((name, _)) = self.hosts.iter().find(|(name, _)| odd(name)) {
            return refuse("add_host", format!("{name:?} is not the name of a host"));
        }
        for (name, soft, hard) in &self.ulimits {
            if !LIMITS.contains(&name.as_str()) {
                return refuse(
                    "ulimit",
                    format!("{name:?} is none of {}", LIMITS.join(", ")),
                );
            }
            if *soft < -1 || *hard < -1 || (*hard != -1 && (*soft == -1 || soft > hard)) {
                return refuse(
                    "ulimit",
                    format!("{name}: the soft limit {soft} is above the hard limit {hard}"),
                );
            }
        }
        for (field, value) in [
            ("cgroup_parent", &self.cgroup_parent),
            ("hostname", &self.hostname),
        ] {
            if let Some(value) = value
                .as_ref()
                .filter(|value| value.is_empty() || value.contains(char::is_control))
            {
                return refuse(field, format!("{value:?} is not one"));
            }
        }
        self.contexts
            .iter()
            .try_for_each(|(name, context)| check_context(name, context))
    }
}

pub(crate) fn check_context(name: &str, context: &NamedContext) -> Result<(), Error> {
    let refuse = |why: String| {
        Err(Error::Invalid {
            field: "context",
            why,
        })
    };
    let valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-/:@".contains(c);
    if name.is_empty() || !name.chars().all(valid) {
        return refuse(format!(
            "{name:?} is not a name as FROM takes it: lower case, digits and ._-/:@"
        ));
    }
    if name == "scratch" {
        return refuse("scratch is always empty and cannot be replaced".to_owned());
    }
    let known = match context {
        NamedContext::Folder(_) | NamedContext::Image(_) | NamedContext::OciLayout { .. } => true,
        NamedContext::Git(url) => {
            let remote = url.split(['#', '?']).next().unwrap_or_default();
            url.starts_with("git@")
                || url.starts_with("git://")
                || (url.starts_with("http") && remote.ends_with(".git"))
        }
        NamedContext::Http(url) => url.starts_with("http://") || url.starts_with("https://"),
    };
    match known {
        true => Ok(()),
        false => refuse(format!(
            "{name}: the daemon would not read its address as one of this kind: git@…, git://… or http(s)://….git for a repository, http(s)://… for an archive"
        )),
    }
}

fn no_image(folder: &Path, tag: Option<&str>) -> Error {
    let which = match tag {
        Some(tag) => format!("no image with the tag {tag:?}"),
        None => "not exactly one image; say which by its tag".to_owned(),
    };
    Error::Invalid {
        field: "context",
        why: format!("the OCI layout in {} has {which}", folder.display()),
    }
}

/// The name under which the daemon asks for a layout: part of an image's name, so that not every character will do.
fn layout_name(name: &str) -> String {
    format!("layout-{}", hex(name.as_bytes()))
}

/// The name under which the daemon asks for a folder; no other folder has one of this kind.
fn local_name(name: &str) -> String {
    format!("named-{}", name.strip_suffix(":latest").unwrap_or(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn solve() -> Solve {
        Solve::new(BuildRequest::new("/ctx", "r.io/a:1".parse().unwrap()))
    }

    fn attributes(solve: &Solve) -> Result<BTreeMap<String, String>, String> {
        solve
            .frontend
            .attributes(&solve.request)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn each_option_is_its_attribute_and_nothing_else() {
        let image: ImageRef = "r.io/base:1".parse().unwrap();
        let cases: [(Solve, &[(&str, &str)]); 18] = [
            (solve(), &[]),
            (
                solve().no_cache_stage("a").no_cache_stage("b"),
                &[("no-cache", "a,b")],
            ),
            (
                solve().context("base", NamedContext::Folder("/x".into())),
                &[("context:base", "local:named-base")],
            ),
            (
                solve().context("alpine:latest", NamedContext::Image(image.clone())),
                &[("context:alpine", "docker-image://r.io/base:1")],
            ),
            (
                solve().context("src", NamedContext::Git("https://h/o/n.git#main".into())),
                &[("context:src", "https://h/o/n.git#main")],
            ),
            (
                solve().context("src", NamedContext::Http("https://h/a.tgz".into())),
                &[("context:src", "https://h/a.tgz")],
            ),
            (
                solve().provenance(Provenance::Min),
                &[("attest:provenance", "mode=min")],
            ),
            (
                solve().provenance(Provenance::Max),
                &[("attest:provenance", "mode=max")],
            ),
            (solve().sbom(), &[("attest:sbom", "")]),
            (
                solve().sbom_by(&image),
                &[("attest:sbom", "generator=r.io/base:1")],
            ),
            (
                solve()
                    .add_host("db", "10.0.0.1".parse().unwrap())
                    .add_host("v6", "::1".parse().unwrap()),
                &[("add-hosts", "db=10.0.0.1,v6=::1")],
            ),
            (solve().shm_size(67_108_864), &[("shm-size", "67108864")]),
            (
                solve().ulimit("nofile", 1024, 2048).ulimit("core", -1, -1),
                &[("ulimit", "nofile=1024:2048,core=-1:-1")],
            ),
            (
                solve().network(Network::None),
                &[("force-network-mode", "none")],
            ),
            (
                solve().network(Network::Host),
                &[("force-network-mode", "host")],
            ),
            (
                solve().resolve_mode(ResolveMode::PreferLocal),
                &[("image-resolve-mode", "local")],
            ),
            (
                solve().cgroup_parent("/builds"),
                &[("cgroup-parent", "/builds")],
            ),
            (solve().hostname("builder"), &[("hostname", "builder")]),
        ];
        for (solve, expected) in cases {
            let expected: BTreeMap<String, String> = expected
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect();
            assert_eq!(attributes(&solve).unwrap(), expected);
        }
        assert_eq!(
            solve()
                .network(Network::Host)
                .allow_insecure_steps()
                .frontend
                .entitlements(),
            ["network.host", "security.insecure"]
        );
        assert!(solve().frontend.entitlements().is_empty());
    }

    #[test]
    fn an_image_in_a_layout_is_named_by_its_digest() {
        let folder = tempfile::tempdir().unwrap();
        let digest = format!("sha256:{}", "a".repeat(64));
        let index = format!(r#"{{"manifests": [{{"digest": "{digest}"}}]}}"#);
        std::fs::write(folder.path().join("index.json"), index).unwrap();
        let with = |tag: Option<&str>| {
            let context = NamedContext::OciLayout {
                folder: folder.path().to_owned(),
                tag: tag.map(str::to_owned),
            };
            solve().context("base:latest", context)
        };
        let mut solve = with(None);
        let stores = solve.frontend.open_layouts().unwrap();
        let (id, store) = stores.first_key_value().unwrap();
        let name = id.strip_prefix("oci:").unwrap();
        assert!(!store.writable);
        assert_eq!(
            attributes(&solve).unwrap()["context:base"],
            format!("oci-layout://{name}@{digest}")
        );
        let error = with(Some("2")).frontend.open_layouts().unwrap_err();
        assert!(error.to_string().contains("tag \"2\""), "{error}");
    }

    #[test]
    fn all_stages_without_cache_are_more_than_some() {
        let mut solve = solve().no_cache_stage("a");
        solve.request.no_cache = true;
        assert!(attributes(&solve).unwrap().is_empty());
    }

    #[test]
    fn what_the_frontend_would_misread_is_refused() {
        let git = |url: &str| solve().context("a", NamedContext::Git(url.into()));
        for (solve, why) in [
            (solve().no_cache_stage("a,b"), "not the name of a stage"),
            (solve().no_cache_stage(""), "not the name of a stage"),
            (
                solve().add_host("a=b", "::1".parse().unwrap()),
                "not the name of a host",
            ),
            (solve().ulimit("files", 1, 1), "none of core"),
            (solve().ulimit("nofile", 2, 1), "above the hard limit"),
            (solve().ulimit("nofile", -1, 1), "above the hard limit"),
            (
                solve().context("Base", NamedContext::Folder("/".into())),
                "lower case",
            ),
            (
                solve().context("scratch", NamedContext::Folder("/".into())),
                "always empty",
            ),
            (git("https://h/o/n"), "would not read"),
            (git("ssh://h/o/n"), "would not read"),
            (
                solve().context("a", NamedContext::Http("ftp://h".into())),
                "would not read",
            ),
            (solve().hostname(""), "is not one"),
        ] {
            let error = attributes(&solve).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }
}
