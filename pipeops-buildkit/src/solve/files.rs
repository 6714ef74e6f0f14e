//! The files that the daemon may fetch through the session, and what the frontend is told about them.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use pipeops_core::BuildRequest;
use pipeops_core::build::DockerfileSource;

use super::context::{ContextSource, NamedContext};
use super::options::Solve;
use crate::check::{check_ignore_file, check_ignore_text, dockerfile_text, find_dockerfile};
use crate::error::Error;
use crate::hex::hex;
use crate::layout::Layout;
use crate::random;
use crate::session::blobs::Store;
use crate::session::filesync::Source;
use crate::session::folder::Folder;
use crate::session::patterns::clean;
use crate::session::stat::Seconds;
use crate::session::upload::{Once, Upload};
use crate::times::seconds_for;

/// The ignore file of an inline Dockerfile: BuildKit reads it before the context's `.dockerignore`.
const IGNORE_FILE: &str = "Dockerfile.dockerignore";

/// The files of one attempt, by the names under which the daemon asks for them.
#[derive(Debug, Default)]
pub(super) struct Files {
    pub(super) folders: HashMap<String, Source>,
    /// Images in OCI layouts.
    pub(super) stores: BTreeMap<String, Store>,
    pub(super) streams: BTreeMap<String, Once>,
    /// The frontend's attributes that name them.
    pub(super) attributes: BTreeMap<String, String>,
    /// A warning about the times of the files.
    pub(super) warning: Option<String>,
}

impl Files {
    /// Opens the build context, the Dockerfile and the named contexts.
    pub(super) fn open(solve: &Solve) -> Result<Self, Error> {
        let mut files = Self::default();
        let seconds = match &solve.main {
            None => files.open_request_folder(&solve.request)?,
            Some(source) => {
                let address = files.address("context", source, Seconds::default())?;
                files.set("context", address);
                Seconds::default()
            }
        };
        files.open_dockerfile(&solve.request, solve.main.is_some())?;
        for (name, source) in &solve.contexts {
            let address = files.address(name, source, seconds)?;
            // The frontend looks names up without it.
            let name = name.strip_suffix(":latest").unwrap_or(name);
            files.set(&format!("context:{name}"), address);
        }
        Ok(files)
    }

    /// Opens the request's folder as the build context. Returns the times that its files get.
    fn open_request_folder(&mut self, request: &BuildRequest) -> Result<Seconds, Error> {
        let (seconds, warning) = seconds_for(&dockerfile_text(request));
        self.warning = warning;
        let folder = Source::Folder(open_folder(&request.context, seconds)?);
        match &request.dockerfile {
            DockerfileSource::Path(path) => {
                let path = clean(path);
                find_dockerfile(&request.context, &path)?;
                let own = format!("{path}.dockerignore");
                check_ignore_file(&request.context, &[&own, ".dockerignore"])?;
                self.folders.insert("dockerfile".to_owned(), folder.clone());
            }
            // The request's own ignore patterns replace the folder's.
            _ if request.dockerignore.is_some() => {}
            _ => check_ignore_file(&request.context, &[".dockerignore"])?,
        }
        self.folders.insert("context".to_owned(), folder);
        Ok(seconds)
    }

    fn open_dockerfile(&mut self, request: &BuildRequest, remote: bool) -> Result<(), Error> {
        match &request.dockerfile {
            DockerfileSource::Path(path) => self.set("filename", clean(path)),
            DockerfileSource::Inline(text) => {
                let mut files = vec![("Dockerfile".to_owned(), text.clone().into())];
                if let Some(text) = &request.dockerignore {
                    check_ignore_text(IGNORE_FILE, text)?;
                    files.push((IGNORE_FILE.to_owned(), text.clone().into()));
                }
                self.folders
                    .insert("dockerfile".to_owned(), Source::Files(files));
                self.set("filename", "Dockerfile".to_owned());
                if remote {
                    // Without it the frontend looks for the file in the context.
                    self.set("dockerfilekey", "dockerfile".to_owned());
                }
            }
            _ => {
                return Err(Error::Invalid {
                    field: "dockerfile",
                    why: "unsupported Dockerfile source".to_owned(),
                });
            }
        }
        Ok(())
    }

    /// Opens a context. Returns how the frontend finds it.
    fn address(
        &mut self,
        name: &str,
        source: &ContextSource,
        seconds: Seconds,
    ) -> Result<String, Error> {
        source.check(name)?;
        Ok(match source {
            ContextSource::Named(NamedContext::Folder(path)) => {
                let name = local_name(name);
                let folder = Source::Folder(open_folder(path, seconds)?);
                self.folders.insert(name.clone(), folder);
                format!("local:{name}")
            }
            ContextSource::Named(NamedContext::Image(image)) => format!("docker-image://{image}"),
            ContextSource::Named(NamedContext::Git(url) | NamedContext::Http(url)) => url.clone(),
            ContextSource::Named(NamedContext::OciLayout { folder, tag }) => {
                let name = layout_name(name);
                let layout = Layout::new(folder);
                let found = layout.find(tag.as_deref()).map_err(unreadable(folder))?;
                let digest = found.ok_or_else(|| no_image(folder, tag.as_deref()))?;
                let store = Store {
                    layout,
                    writable: false,
                };
                self.stores.insert(format!("oci:{name}"), store);
                format!("oci-layout://{name}@{digest}")
            }
            ContextSource::Stream(stream) => {
                // Each attempt gets a new address, because the daemon keeps what it downloaded by address.
                let id = random::id()?;
                let address = Upload::address(&id);
                self.streams.insert(id, stream.clone());
                address
            }
        })
    }

    fn set(&mut self, key: &str, value: String) {
        self.attributes.insert(key.to_owned(), value);
    }
}

fn open_folder(path: &Path, seconds: Seconds) -> Result<Folder, Error> {
    Folder::new(path, seconds).map_err(unreadable(path))
}

fn unreadable(path: &Path) -> impl Fn(std::io::Error) -> Error {
    move |source| Error::Context {
        path: path.display().to_string(),
        source,
    }
}

fn no_image(folder: &Path, tag: Option<&str>) -> Error {
    let which = match tag {
        Some(tag) => format!("no image with the tag {tag:?}"),
        None => "no single image; select one by its tag".to_owned(),
    };
    Error::Invalid {
        field: "context",
        why: format!("the OCI layout in {} has {which}", folder.display()),
    }
}

/// The name under which the daemon asks for a layout. It's part of an image name, so it's encoded.
fn layout_name(name: &str) -> String {
    format!("layout-{}", hex(name.as_bytes()))
}

/// The name under which the daemon asks for the folder of a named context.
fn local_name(name: &str) -> String {
    format!("named-{}", name.strip_suffix(":latest").unwrap_or(name))
}
