//! How an image is written: the attributes of the exporters `image`, `oci` and `docker`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use pipeops_core::ImageRef;

use crate::error::Error;

/// How the layers of an image are compressed. zstd unpacks faster than gzip and is usually smaller; some older registries and
/// container runtimes only support gzip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Compression {
    /// No compression.
    Uncompressed,
    /// gzip, the default; levels 0 to 9.
    Gzip,
    /// zstd; levels 0 to 22. Needs OCI media types.
    Zstd,
    /// Seekable gzip for lazy pulling; levels 0 to 9. Needs OCI media types.
    Estargz,
}

impl Compression {
    fn as_str(self) -> &'static str {
        match self {
            Self::Uncompressed => "uncompressed",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Estargz => "estargz",
        }
    }

    fn levels(self) -> std::ops::RangeInclusive<u8> {
        match self {
            Self::Uncompressed => 0..=0,
            Self::Gzip | Self::Estargz => 0..=9,
            Self::Zstd => 0..=22,
        }
    }
}

/// The part of an image that an annotation is attached to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
#[non_exhaustive]
pub enum AnnotationLevel {
    /// Each platform's manifest.
    #[default]
    Manifest,
    /// The descriptors of the manifests, inside the index.
    ManifestDescriptor,
    /// The index, which exists if the image has several platforms or attestations.
    Index,
    /// The descriptor of the index, in an OCI layout.
    IndexDescriptor,
}

impl AnnotationLevel {
    fn prefix(self) -> &'static str {
        match self {
            Self::Manifest => "annotation-manifest.",
            Self::ManifestDescriptor => "annotation-manifest-descriptor.",
            Self::Index => "annotation-index.",
            Self::IndexDescriptor => "annotation-index-descriptor.",
        }
    }

    fn needs_index(self) -> bool {
        self != Self::Manifest
    }
}

/// How an image is written. Default: the daemon's defaults, with OCI media types.
///
/// ```
/// use pipeops_buildkit::{AnnotationLevel, Compression, ImageOptions};
///
/// let options = ImageOptions::default()
///     .compression(Compression::Zstd)
///     .compression_level(3)
///     .annotation(AnnotationLevel::Manifest, "org.opencontainers.image.revision", "3f2a1c");
/// # let _ = options;
/// ```
#[derive(Debug, Clone, Default)]
pub struct ImageOptions {
    names: Vec<ImageRef>,
    push_by_digest: bool,
    name_canonical: bool,
    unpack: Option<bool>,
    docker_media_types: bool,
    compression: Option<Compression>,
    level: Option<u8>,
    force_compression: bool,
    rewrite_timestamp: bool,
    source_date_epoch: Option<Timestamp>,
    inline_attestations: bool,
    annotations: BTreeMap<(AnnotationLevel, String), String>,
}

/// The image that the options apply to.
pub(crate) struct Subject<'a> {
    pub(crate) image: &'a ImageRef,
    pub(crate) commit_time: Option<Timestamp>,
    /// An index is made, not a single manifest.
    pub(crate) index: bool,
    pub(crate) push: bool,
    pub(crate) insecure: bool,
}

impl ImageOptions {
    /// Adds a name under which the image is pushed too.
    #[must_use]
    pub fn name(mut self, name: ImageRef) -> Self {
        self.names.push(name);
        self
    }

    /// Pushes by digest only, without a tag, for example one platform of an image that is joined later. The request's image and
    /// additional names may then lack a tag.
    #[must_use]
    pub fn push_by_digest(mut self) -> Self {
        self.push_by_digest = true;
        self
    }

    /// Also names the image `name@digest` in the daemon's image store.
    #[must_use]
    pub fn name_canonical(mut self) -> Self {
        self.name_canonical = true;
        self
    }

    /// Sets whether the image is unpacked in the daemon's image store. The OCI worker has no store.
    #[must_use]
    pub fn unpack(mut self, unpack: bool) -> Self {
        self.unpack = Some(unpack);
        self
    }

    /// Uses Docker's media types instead of OCI's.
    #[must_use]
    pub fn docker_media_types(mut self) -> Self {
        self.docker_media_types = true;
        self
    }

    /// Sets the compression of new layers. Default: gzip.
    #[must_use]
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = Some(compression);
        self
    }

    /// Sets the compression level: 0 to 9, for zstd 0 to 22. Default: the daemon's.
    #[must_use]
    pub fn compression_level(mut self, level: u8) -> Self {
        self.level = Some(level);
        self
    }

    /// Also recompresses existing layers, such as those of base images.
    #[must_use]
    pub fn force_compression(mut self) -> Self {
        self.force_compression = true;
        self
    }

    /// Sets the creation time of the image (`SOURCE_DATE_EPOCH`). Default: the request's commit time.
    #[must_use]
    pub fn source_date_epoch(mut self, time: Timestamp) -> Self {
        self.source_date_epoch = Some(time);
        self
    }

    /// Clamps the times of files in layers to the image's creation time, for reproducible images.
    ///
    /// ```
    /// use pipeops_buildkit::{BuildRequest, ImageOptions, Solve};
    ///
    /// let request = BuildRequest::new("./app", "registry.example.com/team/app:3f2a1c".parse()?)
    ///     .commit_time("2026-11-30T08:00:00Z".parse()?);
    /// let solve = Solve::new(request).image(ImageOptions::default().rewrite_timestamp());
    /// # let _ = solve;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Needs a time: the request's commit time or [`ImageOptions::source_date_epoch`].
    #[must_use]
    pub fn rewrite_timestamp(mut self) -> Self {
        self.rewrite_timestamp = true;
        self
    }

    /// Includes attestations in the image even where the daemon wouldn't by default.
    #[must_use]
    pub fn inline_attestations(mut self) -> Self {
        self.inline_attestations = true;
        self
    }

    /// Adds an annotation. A later value for the same level and key wins. Levels other than [`AnnotationLevel::Manifest`] need an
    /// image with an index.
    #[must_use]
    pub fn annotation(
        mut self,
        level: AnnotationLevel,
        key: impl Into<String>,
        value: impl Into<String>,
    ) -> Self {
        self.annotations.insert((level, key.into()), value.into());
        self
    }

    /// Additional names of the image.
    pub(crate) fn names(&self) -> &[ImageRef] {
        &self.names
    }

    /// The exporter's attributes.
    pub(crate) fn attributes(
        &self,
        subject: &Subject<'_>,
    ) -> Result<BTreeMap<String, String>, Error> {
        self.check(subject)?;
        let epoch = self.source_date_epoch.or(subject.commit_time);
        let mut attributes = BTreeMap::from([("name".to_owned(), self.name_list(subject))]);
        let mut set = |key: &str, value: String| attributes.insert(key.to_owned(), value);
        let yes = || "true".to_owned();
        set("oci-mediatypes", (!self.docker_media_types).to_string());
        if subject.push {
            set("push", yes());
        }
        if subject.push && subject.insecure {
            set("registry.insecure", yes());
        }
        for (key, wanted) in [
            ("push-by-digest", self.push_by_digest),
            ("name-canonical", self.name_canonical),
            ("force-compression", self.force_compression),
            ("rewrite-timestamp", self.rewrite_timestamp),
            ("attestation-inline", self.inline_attestations),
        ] {
            if wanted {
                set(key, yes());
            }
        }
        if let Some(unpack) = self.unpack {
            set("unpack", unpack.to_string());
        }
        if let Some(compression) = self.compression {
            set("compression", compression.as_str().to_owned());
        }
        if let Some(level) = self.level {
            set("compression-level", level.to_string());
        }
        if let Some(time) = epoch {
            // Here and not as a build argument: as such it changes the cache key of WORKDIR, and of all steps after it, with
            // every commit.
            set("source-date-epoch", time.as_second().max(0).to_string());
        }
        for ((level, key), value) in &self.annotations {
            set(&format!("{}{key}", level.prefix()), value.clone());
        }
        Ok(attributes)
    }

    fn name_list(&self, subject: &Subject<'_>) -> String {
        let text = |name: &ImageRef| {
            if self.push_by_digest {
                name.name()
            } else {
                name.to_string()
            }
        };
        let names: Vec<String> = std::iter::once(subject.image)
            .chain(&self.names)
            .map(text)
            .collect();
        names.join(",")
    }

    /// Rejects what the daemon would reject after the build, or silently ignore.
    fn check(&self, subject: &Subject<'_>) -> Result<(), Error> {
        let refuse = |field, why: String| Err(Error::Invalid { field, why });
        let compression = self.compression.unwrap_or(Compression::Gzip);
        if let Some(level) = self
            .level
            .filter(|level| !compression.levels().contains(level))
        {
            let range = compression.levels();
            let (name, first, last) = (compression.as_str(), range.start(), range.end());
            return refuse(
                "compression_level",
                format!("{level} is not a level of {name}: use {first} to {last}"),
            );
        }
        if self.docker_media_types
            && matches!(compression, Compression::Zstd | Compression::Estargz)
        {
            return refuse(
                "compression",
                format!("{} needs OCI media types", compression.as_str()),
            );
        }
        if self.rewrite_timestamp && self.source_date_epoch.or(subject.commit_time).is_none() {
            return refuse(
                "rewrite_timestamp",
                "there is no time to clamp to: set commit_time or source_date_epoch".to_owned(),
            );
        }
        if let Some(name) = self.names.iter().find(|name| name.digest().is_some()) {
            return refuse(
                "names",
                format!("{name} has a digest, which is unknown before the build"),
            );
        }
        if let Some(name) = self
            .names
            .iter()
            .find(|name| name.tag().is_none() && !self.push_by_digest)
        {
            return refuse("names", format!("{name} has no tag"));
        }
        self.check_annotations(subject)
    }

    fn check_annotations(&self, subject: &Subject<'_>) -> Result<(), Error> {
        for (level, key) in self.annotations.keys() {
            let why = if key.is_empty() || key.contains(char::is_whitespace) {
                format!("{key:?} is not a valid key")
            } else if self.docker_media_types {
                format!("{key}: Docker's media types don't support annotations")
            } else if level.needs_index() && !subject.index {
                format!(
                    "{key}: the image has no index, because it has one platform and no attestations"
                )
            } else {
                continue;
            };
            return Err(Error::Invalid {
                field: "annotations",
                why,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes(
        options: ImageOptions,
        index: bool,
        time: Option<i64>,
    ) -> Result<BTreeMap<String, String>, String> {
        let image = "reg.io/team/app:1".parse().unwrap();
        let subject = Subject {
            image: &image,
            commit_time: time.map(|time| Timestamp::from_second(time).unwrap()),
            index,
            push: true,
            insecure: false,
        };
        options
            .attributes(&subject)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn each_option_is_its_attribute_and_nothing_else() {
        let o = ImageOptions::default;
        let cases: [(ImageOptions, &[(&str, &str)]); 12] = [
            (o(), &[]),
            (
                o().name("b.io/x:2".parse().unwrap()),
                &[("name", "reg.io/team/app:1,b.io/x:2")],
            ),
            (
                o().push_by_digest(),
                &[("push-by-digest", "true"), ("name", "reg.io/team/app")],
            ),
            (o().name_canonical(), &[("name-canonical", "true")]),
            (o().unpack(false), &[("unpack", "false")]),
            (o().docker_media_types(), &[("oci-mediatypes", "false")]),
            (
                o().compression(Compression::Zstd).compression_level(22),
                &[("compression", "zstd"), ("compression-level", "22")],
            ),
            (
                o().compression(Compression::Estargz).force_compression(),
                &[("compression", "estargz"), ("force-compression", "true")],
            ),
            (
                o().source_date_epoch(Timestamp::from_second(7).unwrap())
                    .rewrite_timestamp(),
                &[("source-date-epoch", "7"), ("rewrite-timestamp", "true")],
            ),
            (o().inline_attestations(), &[("attestation-inline", "true")]),
            (
                o().annotation(AnnotationLevel::Manifest, "a.b", "c,d"),
                &[("annotation-manifest.a.b", "c,d")],
            ),
            (
                o().annotation(AnnotationLevel::Index, "a", "1")
                    .annotation(AnnotationLevel::ManifestDescriptor, "a", "2")
                    .annotation(AnnotationLevel::IndexDescriptor, "a", "3"),
                &[
                    ("annotation-index.a", "1"),
                    ("annotation-manifest-descriptor.a", "2"),
                    ("annotation-index-descriptor.a", "3"),
                ],
            ),
        ];
        for (options, expected) in cases {
            let mut all = BTreeMap::from([
                ("name", "reg.io/team/app:1"),
                ("push", "true"),
                ("oci-mediatypes", "true"),
            ]);
            all.extend(expected.iter().copied());
            let all: BTreeMap<String, String> = all
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect();
            assert_eq!(
                attributes(options.clone(), true, None).unwrap(),
                all,
                "{options:?}"
            );
        }
    }

    #[test]
    fn what_the_daemon_would_refuse_late_is_refused_early() {
        let o = ImageOptions::default;
        for (options, why) in [
            (
                o().compression_level(10),
                "10 is not a level of gzip: use 0 to 9",
            ),
            (
                o().compression(Compression::Uncompressed)
                    .compression_level(1),
                "uncompressed",
            ),
            (
                o().compression(Compression::Zstd).docker_media_types(),
                "needs OCI media types",
            ),
            (o().rewrite_timestamp(), "no time to clamp to"),
            (o().name("a.io/b".parse().unwrap()), "has no tag"),
            (
                o().annotation(AnnotationLevel::Manifest, "a b", ""),
                "not a valid key",
            ),
            (
                o().annotation(AnnotationLevel::Index, "a", ""),
                "has no index",
            ),
            (
                o().docker_media_types()
                    .annotation(AnnotationLevel::Manifest, "a", ""),
                "support annotations",
            ),
        ] {
            let error = attributes(options, false, None).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
        assert_eq!(
            attributes(o().rewrite_timestamp(), false, Some(5)).unwrap()["source-date-epoch"],
            "5"
        );
    }
}
