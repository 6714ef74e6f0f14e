//! Outputs of a build besides the pushed image: local files, folders and streams.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::AsyncWrite;

use crate::error::Error;
use crate::image_options::{ImageOptions, Subject};

/// An output of a build besides the pushed image, for [`Solve::output`](crate::Solve::output).
///
/// ```
/// use pipeops_buildkit::{BuildRequest, Output, OutputTarget, Solve};
///
/// let request = BuildRequest::new("./app", "registry.example.com/team/app:1".parse()?);
/// let solve = Solve::new(request)
///     .without_push()
///     .output(Output::oci("app.oci.tar"))
///     .output(Output::local("dist").platform_split(false))
///     .output(Output::tar(OutputTarget::writer(tokio::io::sink())));
/// # let _ = solve;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// [`Solved::outputs`](crate::Solved::outputs) says what each output received.
#[derive(Debug, Clone)]
pub struct Output {
    pub(crate) kind: Kind,
    pub(crate) to: To,
    options: ImageOptions,
    platform_split: Option<bool>,
}

/// The format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Tar,
    Oci,
    Docker,
    Local,
}

/// The destination.
#[derive(Debug, Clone)]
pub(crate) enum To {
    Stream(OutputTarget),
    Folder(PathBuf),
}

/// The destination of an archive: a file or a writer. Paths convert into it.
///
/// ```
/// use pipeops_buildkit::{Output, OutputTarget};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// // Process the archive while the build sends it.
/// let (writer, reader) = tokio::io::duplex(1 << 20);
/// let output = Output::tar(OutputTarget::writer(writer));
/// # let _ = (output, reader);
/// # }
/// ```
#[derive(Clone)]
pub struct OutputTarget(pub(crate) TargetKind);

/// A writer.
pub(crate) type Writer = Box<dyn AsyncWrite + Send + Unpin>;

#[derive(Clone)]
pub(crate) enum TargetKind {
    File(PathBuf),
    /// Taken by the build that writes to it.
    Writer(Arc<Mutex<Option<Writer>>>),
}

impl OutputTarget {
    /// A file. It's replaced once the archive is complete, so a failed build leaves an existing file unchanged.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self(TargetKind::File(path.into()))
    }

    /// A writer, which is flushed and shut down at the end. It serves one attempt; a retry needs a new one.
    pub fn writer(writer: impl AsyncWrite + Send + Unpin + 'static) -> Self {
        Self(TargetKind::Writer(Arc::new(Mutex::new(Some(Box::new(
            writer,
        ))))))
    }

    /// Takes the writer; `None` if it was taken before.
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

/// What one [`Output`] received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct OutputStats {
    /// The number of written files; 1 for a complete archive.
    pub files: u64,
    /// Their total size in bytes.
    pub bytes: u64,
    /// The number of entries that aren't written to a folder: devices, pipes, sockets.
    pub skipped: u64,
}

impl Output {
    /// The root file system of the target stage as a tar archive, without the image's configuration.
    pub fn tar(target: impl Into<OutputTarget>) -> Self {
        Self::new(Kind::Tar, To::Stream(target.into()))
    }

    /// The image as a tar archive of an OCI layout, for tools such as `skopeo` and `crane`.
    pub fn oci(target: impl Into<OutputTarget>) -> Self {
        Self::new(Kind::Oci, To::Stream(target.into()))
    }

    /// The image as a tar archive for `docker load`.
    pub fn docker(target: impl Into<OutputTarget>) -> Self {
        Self::new(Kind::Docker, To::Stream(target.into()))
    }

    /// The root file system in a folder, which is created if necessary. Existing files stay unless they have the same name.
    /// Nothing is written outside the folder. Files belong to this process's user, and setuid and setgid bits are dropped, so
    /// that a program from the image can't run with this user's permissions. Unix only.
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

    /// Sets how the image is written. Only for [`Output::oci`] and [`Output::docker`].
    #[must_use]
    pub fn options(mut self, options: ImageOptions) -> Self {
        self.options = options;
        self
    }

    /// Sets whether each platform gets a separate folder. Only for [`Output::tar`] and [`Output::local`]. Default: only if there
    /// are several platforms. The folders are named after the platforms, such as `linux_amd64`.
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
                    "the {} exporter writes one archive for all platforms",
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
