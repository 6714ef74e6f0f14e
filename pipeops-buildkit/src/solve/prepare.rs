//! Turns a [`Solve`] into the request for the daemon and the services of the build's session.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bollard_buildkit_proto::moby::buildkit::v1::{Exporter, SolveRequest};
use pipeops_core::build::DockerfileSource;
use pipeops_core::cache::LocalCache;
use pipeops_core::secret::suspicion;
use pipeops_core::{BuildRequest, SecretString};
use tokio::sync::mpsc;

use super::exported::Exported;
use super::files::Files;
use super::options::Solve;
use crate::cache::{Caches, Labels};
use crate::check::check_names;
use crate::error::Error;
use crate::image_options::Subject;
use crate::leak::LeakSearch;
use crate::live_redactor::LiveRedactor;
use crate::random;
use crate::session::Services;
use crate::session::access::Access;
use crate::session::auth::Auth;
use crate::session::blobs::Blobs;
use crate::session::filesync::{FileSync, Sent};
use crate::session::notes::Notes;
use crate::session::secrets::Secrets;
use crate::session::send::FileSend;
use crate::session::ssh::Ssh;
use crate::session::upload::Upload;

/// The frontend that turns Dockerfiles into build steps. Every daemon has it.
pub(crate) const FRONTEND: &str = "dockerfile.v0";

/// Everything that one attempt needs.
pub(crate) struct Prepared {
    pub(crate) request: SolveRequest,
    pub(crate) services: Services,
    pub(crate) shared_key: String,
    pub(super) notes: mpsc::Receiver<Error>,
    pub(super) sent: Arc<Sent>,
    pub(crate) redactor: LiveRedactor,
    pub(super) labels: Labels,
    pub(super) push: bool,
    pub(super) cache_timeout: Duration,
    /// Caches in folders of this machine that the build writes.
    pub(super) folders: Vec<LocalCache>,
    pub(super) exported: Exported,
    /// Emitted before the build starts.
    pub(super) warning: Option<String>,
    pub(super) leaks: LeakSearch,
}

impl Solve {
    /// Checks the request and prepares it for the daemon.
    ///
    /// Reads the disk, so don't call it on a thread that runs async tasks.
    pub(crate) fn prepare(&self) -> Result<Prepared, Error> {
        let request = &self.request;
        check_names(request, self.push)?;
        let plain_http = plain_http(request);
        let caches = Caches::new(&request.cache_from, &request.cache_to, &plain_http)?;
        let redactor = LiveRedactor::default();
        let keys = caches.keys.iter().cloned();
        let secrets = request.secrets.values().cloned();
        redactor.hide(secrets.chain(keys).chain(secret_args(request)));

        let mut files = Files::open(self)?;
        files.stores.extend(caches.stores.clone());
        let warning = files.warning.take().filter(|_| !self.again);
        let solve_request = self.solve_request(&files, &caches)?;
        let (notes, noted) = Notes::new();
        let sent = Arc::new(Sent::default());
        let sync = FileSync::new(files.folders, Arc::clone(&sent), notes.clone());
        let results = FileSend::new(&self.outputs, notes.clone());
        let access = self.access(&caches, plain_http);
        let credentials = Arc::clone(&request.credentials);
        let services = Services {
            files: Arc::new(sync),
            auth: Arc::new(Auth::new(credentials, access, notes, redactor.clone())?),
            secrets: Arc::new(Secrets::new(request.secrets.clone())?),
            results: Arc::new(results),
            ssh: Arc::new(Ssh::new(self.ssh.clone())),
            uploads: Arc::new(Upload::new(files.streams)),
            blobs: Arc::new(Blobs::new(files.stores)),
        };
        Ok(Prepared {
            request: solve_request,
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
            warning,
            leaks: self.leak_search(),
        })
    }

    /// The registry access that the build needs.
    fn access(&self, caches: &Caches, plain_http: BTreeSet<String>) -> Access {
        let mut writes = caches.writes.clone();
        if self.push {
            let names = std::iter::once(&self.request.image).chain(self.image.names());
            writes.extend(names.map(|name| (name.host().to_owned(), name.repository().to_owned())));
        }
        Access {
            writes,
            plain_http,
            trusted_realms: self.trusted_realms.clone(),
        }
    }

    fn leak_search(&self) -> LeakSearch {
        let is_inline = matches!(self.request.dockerfile, DockerfileSource::Inline(_));
        match self.leak_check {
            Some(_) if is_inline || self.main.is_none() => LeakSearch::new(&self.request),
            Some(_) => LeakSearch::without_dockerfile(&self.request),
            None => LeakSearch::default(),
        }
    }

    fn solve_request(&self, files: &Files, caches: &Caches) -> Result<SolveRequest, Error> {
        let mut attributes: HashMap<_, _> = self
            .frontend
            .attributes(&self.request)?
            .into_iter()
            .collect();
        attributes.extend(files.attributes.clone());
        if let Some(imports) = caches.frontend_attribute() {
            attributes.insert("cache-imports".to_owned(), imports);
        }
        let exporters = self.exporters()?;
        let first = exporters.first().cloned().unwrap_or_default();
        Ok(SolveRequest {
            r#ref: random::id()?,
            frontend: FRONTEND.to_owned(),
            frontend_attrs: attributes,
            entitlements: self.frontend.entitlements(),
            cache: Some(caches.options()),
            exporters,
            // Daemons before v0.13 know only these two.
            exporter_deprecated: first.r#type,
            exporter_attrs_deprecated: first.attrs,
            // The daemon's history shows requests in plain text to every client, so secrets must stay out of it.
            internal: !caches.keys.is_empty() || secret_args(&self.request).next().is_some(),
            ..SolveRequest::default()
        })
    }

    /// The exporters: first the outputs, whose numbers are their positions.
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
        // Last: each exporter's answer overwrites those before it, and the digest must be the pushed one.
        if self.push {
            exporters.push(exporter("image", self.image.attributes(&subject(true))?));
        }
        Ok(exporters)
    }
}

/// Hosts for which the request asks for plain HTTP.
fn plain_http(request: &BuildRequest) -> BTreeSet<String> {
    request
        .insecure_registry
        .then(|| request.image.host().to_owned())
        .into_iter()
        .collect()
}

/// Values of build arguments that look like secrets. They shouldn't be there, but are redacted.
fn secret_args(request: &BuildRequest) -> impl Iterator<Item = SecretString> {
    let secret = request
        .build_args
        .iter()
        .filter(|(key, value)| suspicion(key, value).is_some());
    secret.map(|(_, value)| SecretString::from(value.as_str()))
}
