//! Whether a secret of a build can be read where it does not belong.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use pipeops_core::Digest;

use crate::client::Client;

mod assignments;
mod document;
mod image;
#[cfg(feature = "layers")]
mod layers;
mod needles;
mod record;
mod search;

pub use search::LeakSearch;

use needles::Needles;

/// How far the leak check of a build goes.
///
/// It looks for the exact values of the build's secrets, also in base64 and percent-encoded, in the configuration and the
/// history of the image, its attestations, and the record that the daemon keeps of the build and shows to each of its
/// clients.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeakCheck {
    /// Look into the files of the image's layers too.
    layers: bool,
    /// Unpacked bytes of layers that are read at most. Default: 16 GiB.
    pub layer_bytes: u64,
    /// Have the daemon forget its record of the build if a secret can be read in it. Default: true.
    pub forget: bool,
    /// Longest time for the check. Default: 60 s, with layers 10 min.
    pub timeout: Duration,
}

impl Default for LeakCheck {
    fn default() -> Self {
        Self {
            layers: false,
            layer_bytes: 16 << 30,
            forget: true,
            timeout: Duration::from_secs(60),
        }
    }
}

impl LeakCheck {
    /// Looks into the files of the image's layers, too: reads the whole image. Layers in zstd are reported as not looked at.
    #[cfg(feature = "layers")]
    #[must_use]
    pub fn layers(mut self) -> Self {
        self.layers = true;
        self.timeout = Duration::from_secs(600);
        self
    }

    /// Sets how many unpacked bytes of layers are read at most.
    #[must_use]
    pub fn layer_bytes(mut self, limit: u64) -> Self {
        self.layer_bytes = limit;
        self
    }

    /// Leaves the daemon's record of the build as it is.
    #[must_use]
    pub fn keep_record(mut self) -> Self {
        self.forget = false;
        self
    }

    /// Sets the longest time for the check.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }
}

/// What a leak check found. It holds names and places, never a secret.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct LeakReport {
    /// Which secrets were looked for, by name.
    pub searched: Vec<String>,
    /// Where one can be read.
    pub leaks: Vec<Leak>,
    /// What could not be looked at, and why: an empty `leaks` says nothing of it.
    pub unchecked: Vec<String>,
    /// The daemon's record of the build held a secret and was removed.
    pub record_removed: bool,
}

/// One secret in one place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Leak {
    /// Which secret: `build secret "npm"`, `build argument NPM_TOKEN`.
    pub secret: String,
    /// It was not declared as a secret but looks like one.
    pub suspected: bool,
    /// Where it can be read.
    pub place: LeakPlace,
}

/// Where a secret can be read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum LeakPlace {
    /// A field of the image's configuration: `Env NPM_TOKEN`, `Labels build`, `Cmd`.
    Config {
        /// Its name.
        field: String,
    },
    /// The history of the image.
    History {
        /// The beginning of the instruction, secrets taken out.
        instruction: String,
    },
    /// An annotation or an attestation of the image.
    Metadata {
        /// Its name or type.
        name: String,
    },
    /// A file of the image. Deleting it in a later layer does not help.
    Layer {
        /// The layer's digest.
        digest: String,
        /// The file's path.
        path: String,
    },
    /// The record of the build that the daemon keeps: every client of the daemon can read it.
    Record {
        /// Which part: `build-arg:NPM_TOKEN`, `log`.
        part: String,
    },
}

impl fmt::Display for LeakPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config { field } => write!(f, "the image's configuration ({field})"),
            Self::History { instruction } => write!(f, "the image's history ({instruction})"),
            Self::Metadata { name } => write!(f, "the image's metadata ({name})"),
            Self::Layer { digest, path } => {
                let short = digest.get(..19).unwrap_or(digest);
                write!(f, "the file {path} of the image's layer {short}")
            }
            Self::Record { part } => write!(f, "the daemon's record of the build ({part})"),
        }
    }
}

impl fmt::Display for Leak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let looks = if self.suspected {
            ", which looks like a secret,"
        } else {
            ""
        };
        write!(f, "{}{looks} can be read in {}", self.secret, self.place)?;
        f.write_str(match self.place {
            LeakPlace::Record { .. } => "",
            _ => ": whoever can pull the image has it",
        })
    }
}

impl LeakReport {
    /// Nothing was found, and all was looked at.
    pub fn is_clean(&self) -> bool {
        self.leaks.is_empty() && self.unchecked.is_empty()
    }

    fn add(&mut self, needles: &Needles, found: impl IntoIterator<Item = (usize, LeakPlace)>) {
        let leak = |(index, place): (usize, LeakPlace)| {
            let secret = needles.secret(index);
            Leak {
                secret: secret.name.clone(),
                suspected: secret.suspicion.is_some(),
                place,
            }
        };
        let all: BTreeSet<Leak> = self
            .leaks
            .drain(..)
            .chain(found.into_iter().map(leak))
            .collect();
        self.leaks = all.into_iter().collect();
    }

    fn skip(&mut self, what: impl Into<String>) {
        self.unchecked.push(what.into());
    }
}

impl Client {
    /// Looks for secrets in an image that this daemon built, and in its record of the build: `image` is the digest that the
    /// build reported, `build` the build's [`id`](crate::Solved::id).
    ///
    /// Builds do this by themselves, see [`Solve::leak_check`](crate::Solve::leak_check); this is for another look, such as
    /// into the layers. What cannot be looked at is no error but stands in [`LeakReport::unchecked`].
    pub async fn find_leaks(
        &self,
        search: &LeakSearch,
        image: Option<&Digest>,
        build: Option<&str>,
        check: &LeakCheck,
    ) -> LeakReport {
        let mut report = LeakReport::default();
        let Some(needles) = Needles::new(search.secrets()).map(Arc::new) else {
            report.skip("anything: the secrets are too large");
            return report;
        };
        if needles.is_empty() {
            return report;
        }
        report.searched = needles.names();
        for name in needles.too_short() {
            report.skip(format!("{name}: too short to be told from other text"));
        }
        let work = async {
            if let Some(build) = build {
                self.search_record(build, &needles, check.forget, &mut report)
                    .await;
            }
            if let Some(image) = image {
                self.search_image(image.as_str(), &needles, check, &mut report)
                    .await;
            }
        };
        if tokio::time::timeout(check.timeout, work).await.is_err() {
            report.skip(format!(
                "what was left after {:?}, the check's time limit",
                check.timeout
            ));
        }
        report
    }
}
