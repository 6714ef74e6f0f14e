//! The leak check: finds secrets of a build in its image and in the daemon's record.

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

/// What the leak check of a build searches.
///
/// It searches for the exact values of the build's secrets, plain, in base64 and percent-encoded. By default it covers the
/// image's configuration, history and attestations, and the daemon's record of the build, which all of its clients can read.
///
/// ```
/// use std::time::Duration;
/// use pipeops_buildkit::{BuildRequest, LeakCheck, Solve};
///
/// let request = BuildRequest::new("./app", "registry.example.com/team/app:1".parse()?).secret("npm-token", "s3cr3t-value");
/// let check = LeakCheck::default().keep_record().timeout(Duration::from_secs(30));
/// let solve = Solve::new(request).leak_check(check);
/// # let _ = solve;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeakCheck {
    /// Also search the files of the image's layers.
    layers: bool,
    /// Limit for the unpacked size of the searched layers, in bytes. Default: 16 GiB.
    pub layer_bytes: u64,
    /// Remove the daemon's record of the build if it contains a secret. Default: true.
    pub forget: bool,
    /// Time limit for the check. Default: 60 s, with layers 10 min.
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
    /// Also searches the files of the image's layers, which downloads the whole image. Layers compressed with zstd are reported
    /// as unchecked. Sets the time limit to 10 min.
    ///
    /// ```
    /// use pipeops_buildkit::{BuilderOptions, LeakCheck};
    ///
    /// let options = BuilderOptions::default().customize(|solve| Ok(solve.leak_check(LeakCheck::default().layers())));
    /// # let _ = options;
    /// ```
    #[cfg(feature = "layers")]
    #[must_use]
    pub fn layers(mut self) -> Self {
        self.layers = true;
        self.timeout = Duration::from_secs(600);
        self
    }

    /// Sets the limit for the unpacked size of the searched layers, in bytes.
    #[must_use]
    pub fn layer_bytes(mut self, limit: u64) -> Self {
        self.layer_bytes = limit;
        self
    }

    /// Keeps the daemon's record of the build even if it contains a secret.
    #[must_use]
    pub fn keep_record(mut self) -> Self {
        self.forget = false;
        self
    }

    /// Sets the time limit for the check.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }
}

/// The result of a leak check. It contains names and places, never secret values.
///
/// ```
/// use pipeops_buildkit::LeakReport;
///
/// fn accept(report: &LeakReport) -> Result<(), String> {
///     match report.leaks.iter().find(|leak| !leak.suspected) {
///         Some(leak) => Err(leak.to_string()), // build secret "npm" leaks into the image's history (RUN …): …
///         None => Ok(()),
///     }
/// }
/// # assert!(accept(&LeakReport::default()).is_ok());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct LeakReport {
    /// The names of the secrets that were searched for.
    pub searched: Vec<String>,
    /// The leaks that were found.
    pub leaks: Vec<Leak>,
    /// What couldn't be searched, and why. It may contain leaks.
    pub unchecked: Vec<String>,
    /// Whether the daemon's record of the build contained a secret and was removed.
    pub record_removed: bool,
}

/// One secret in one place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Leak {
    /// The secret's name: `build secret "npm"`, `build argument NPM_TOKEN`.
    pub secret: String,
    /// Whether it wasn't declared as a secret but looks like one.
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
        /// The field's name.
        field: String,
    },
    /// The history of the image.
    History {
        /// The first 80 characters of the instruction, with secrets redacted.
        instruction: String,
    },
    /// An annotation or an attestation of the image.
    Metadata {
        /// `annotations`, or the type of the attestation.
        name: String,
    },
    /// A file of a layer. Deleting it in a later layer doesn't remove it.
    Layer {
        /// The layer's digest.
        digest: String,
        /// The file's path.
        path: String,
    },
    /// The daemon's record of the build, which every client of the daemon can read.
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
        write!(f, "{}{looks} leaks into {}", self.secret, self.place)?;
        f.write_str(match self.place {
            LeakPlace::Record { .. } => "",
            _ => ": everyone who can pull the image can read it",
        })
    }
}

impl LeakReport {
    /// Whether everything was searched and nothing was found.
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
    /// Searches an image that this daemon built, and its record of the build. `image` is the digest that the build reported,
    /// `build` the build's [`id`](crate::Solved::id).
    ///
    /// Builds do this automatically, see [`Solve::leak_check`](crate::Solve::leak_check). Call this for a second search, for
    /// example of the layers. Problems aren't errors: they're listed in [`LeakReport::unchecked`].
    ///
    /// ```no_run
    /// # async fn run(client: pipeops_buildkit::Client, solved: pipeops_buildkit::Solved) {
    /// use pipeops_buildkit::{LeakCheck, LeakSearch};
    ///
    /// let search = LeakSearch::default().secret("npm-token", "s3cr3t-value");
    /// let report = client.find_leaks(&search, solved.digest.as_ref(), Some(&solved.id), &LeakCheck::default()).await;
    /// for leak in &report.leaks {
    ///     println!("{leak}");
    /// }
    /// # }
    /// ```
    pub async fn find_leaks(
        &self,
        search: &LeakSearch,
        image: Option<&Digest>,
        build: Option<&str>,
        check: &LeakCheck,
    ) -> LeakReport {
        let mut report = LeakReport::default();
        let Some(needles) = Needles::new(search.secrets()).map(Arc::new) else {
            report.skip("everything: the secrets are too large");
            return report;
        };
        if needles.is_empty() {
            return report;
        }
        report.searched = needles.names();
        for name in needles.too_short() {
            report.skip(format!("{name}: too short to search for"));
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
                "everything after the time limit of {:?}",
                check.timeout
            ));
        }
        report
    }
}
