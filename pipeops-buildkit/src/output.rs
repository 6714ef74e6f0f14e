//! Results of a build besides the pushed image: files, folders and streams of this machine.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::AsyncWrite;

use crate::error::Error;
use crate::image_options::{ImageOptions, Subject};

/// A result to write besides the pushed image: see [`Solve::output`](crate::Solve::output).
///
/// ```
/// use pipeops_buildkit::{Output, OutputTarget};
///
/// let outputs = [
///     Output::oci(OutputTarget::file("app.oci.tar")),
///     Output::local("dist").platform_split(false),
///     Output::tar(OutputTarget::writer(tokio::io::sink())),
/// ];
/// # let _ = outputs;
/// ```
#[derive(Debug, Clone)]
pub struct Output {
    pub(crate) kind: Kind,
    pub(crate) to: To,
    options: ImageOptions,
    platform_split: Option<bool>,
}

/// In which form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Tar,
    Oci,
    Docker,
    Local,
}

/// Where to.
#[derive(Debug, Clone)]
pub(crate) enum To {
    Stream(OutputTarget),
    Folder(PathBuf),
}

/// Where a stream of bytes goes.
#[derive(Clone)]
pub struct OutputTarget(pub(crate) TargetKind);

/// Something that takes bytes.
pub(crate) type Writer = Box<dyn AsyncWrite + Send + Unpin>;

#[derive(Clone)]
pub(crate) enum TargetKind {
    File(PathBuf),
    /// Taken out by the one build that writes to it.
    Writer(Arc<Mutex<Option<Writer>>>),
}

impl OutputTarget {
    /// A file. It is replaced when it is complete: a failed build leaves an older file unchanged.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self(TargetKind::File(path.into()))
    }

    /// A writer, flushed and shut down at the end. It serves one attempt; a retry needs another one.
    pub fn writer(writer: impl AsyncWrite + Send + Unpin + 'static) -> Self {
        Self(TargetKind::Writer(Arc::new(Mutex::new(Some(Box::new(
            writer,
        ))))))
    }

    /// Takes the writer out, the first time.
    pub(crate) fn take(writer: &Mutex<Option<Writer>>) -> Option<Writer> {
        writer.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl fmt::Debug for OutputTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            TargetKind::File(path) => f.debug_tuple("File").field(path).finish(),
            TargetKind::Writer(_) => f.write_str("Writer"),
        }
    }
}

impl From<&str> for OutputTarget {
    fn from(path: &str) -> Self {
        Self::file(path)
    }
}

impl From<&Path> for OutputTarget {
    fn from(path: &Path) -> Self {
        Self::file(path)
    }
}

impl From<PathBuf> for OutputTarget {
    fn from(path: PathBuf) -> Self {
        Self::file(path)
    }
}

/// How much of one [`Output`] was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct OutputStats {
    /// Files; 1 for a stream that ended well.
    pub files: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// Entries that are not written to a folder: devices, pipes, sockets.
    pub skipped: u64,
}

impl Output {
    /// The root file system as a tar archive.
    pub fn tar(target: impl Into<OutputTarget>) -> Self {
        Self::new(Kind::Tar, To::Stream(target.into()))
    }

    /// The image as a tar archive of an OCI layout.
    pub fn oci(target: impl Into<OutputTarget>) -> Self {
        Self::new(Kind::Oci, To::Stream(target.into()))
    }

    /// The image as a tar archive that `docker load` takes.
    pub fn docker(target: impl Into<OutputTarget>) -> Self {
        Self::new(Kind::Docker, To::Stream(target.into()))
    }

    /// The root file system in a folder, which is created if necessary. Existing files stay, unless they have the same name.
    /// Nothing is written outside the folder. Files belong to this process, and setuid and setgid bits are dropped, so that a
    /// program of the image can't run with this user's rights. Unix only.
    pub fn local(folder: impl Into<PathBuf>) -> Self {
        Self::new(Kind::Local, To::Folder(folder.into()))
    }

    fn new(kind: Kind, to: To) -> Self {
        Self {
            kind,
            to,
            options: ImageOptions::default(),
            platform_split: None,
        }
    }

    /// Sets how the image is written; for [`Output::oci`] and [`Output::docker`].
    #[must_use]
    pub fn options(mut self, options: ImageOptions) -> Self {
        self.options = options;
        self
    }

    /// Sets whether each platform gets a separate folder; for [`Output::tar`] and [`Output::local`]. Default: only when there
    /// are several platforms.
    #[must_use]
    pub fn platform_split(mut self, split: bool) -> Self {
        self.platform_split = Some(split);
        self
    }

    /// The exporter's name.
    pub(crate) fn exporter(&self) -> &'static str {
        match self.kind {
            Kind::Tar => "tar",
            Kind::Oci => "oci",
            Kind::Docker => "docker",
            Kind::Local => "local",
        }
    }

    /// The exporter's attributes.
    pub(crate) fn attributes(
        &self,
        subject: &Subject<'_>,
    ) -> Result<BTreeMap<String, String>, Error> {
        let mut attributes = match self.kind {
            Kind::Oci => self.options.attributes(subject)?,
            Kind::Docker => self
                .options
                .clone()
                .docker_media_types()
                .attributes(subject)?,
            Kind::Tar | Kind::Local => {
                let epoch = subject
                    .commit_time
                    .map(|time| time.as_second().max(0).to_string());
                epoch
                    .into_iter()
                    .map(|epoch| ("source-date-epoch".to_owned(), epoch))
                    .collect()
            }
        };
        match (self.kind, self.platform_split) {
            (Kind::Tar | Kind::Local, Some(split)) => {
                attributes.insert("platform-split".to_owned(), split.to_string());
            }
            (Kind::Oci | Kind::Docker, Some(_)) => {
                let why = format!(
                    "the {} exporter has one archive for all platforms",
                    self.exporter()
                );
                return Err(Error::Invalid {
                    field: "platform_split",
                    why,
                });
            }
            _ => {}
        }
        Ok(attributes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Pairs = &'static [(&'static str, &'static str)];

    fn attributes(output: &Output) -> Result<BTreeMap<String, String>, Error> {
        let image = "reg.io/app:1".parse().unwrap();
        let commit_time = Some(jiff::Timestamp::from_second(9).unwrap());
        output.attributes(&Subject {
            image: &image,
            commit_time,
            index: false,
            push: false,
            insecure: true,
        })
    }

    #[test]
    fn each_kind_has_its_attributes() {
        let cases: [(Output, &str, Pairs); 5] = [
            (Output::tar("x"), "tar", &[("source-date-epoch", "9")]),
            (
                Output::tar("x").platform_split(true),
                "tar",
                &[("source-date-epoch", "9"), ("platform-split", "true")],
            ),
            (Output::local("x"), "local", &[("source-date-epoch", "9")]),
            (
                Output::oci("x"),
                "oci",
                &[
                    ("source-date-epoch", "9"),
                    ("name", "reg.io/app:1"),
                    ("oci-mediatypes", "true"),
                ],
            ),
            (
                Output::docker("x"),
                "docker",
                &[
                    ("source-date-epoch", "9"),
                    ("name", "reg.io/app:1"),
                    ("oci-mediatypes", "false"),
                ],
            ),
        ];
        for (output, exporter, expected) in cases {
            assert_eq!(output.exporter(), exporter);
            let expected: BTreeMap<String, String> = expected
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect();
            assert_eq!(attributes(&output).unwrap(), expected, "{output:?}");
        }
        assert!(attributes(&Output::oci("x").platform_split(true)).is_err());
    }
}
