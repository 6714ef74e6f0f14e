//! Reads a `SolveRequest` and rejects what the stand-in does not implement.

use std::collections::{BTreeMap, HashMap};

use bollard_buildkit_proto::moby::buildkit::v1::{CacheOptionsEntry, SolveRequest};
use pipeops_core::ImageRef;
use serde::Deserialize;

use super::error::{BuildError, BuildResult};
use super::words::Variables;
use crate::oci::native_architecture;

/// A build, as asked for.
#[derive(Debug)]
pub(super) struct BuildRequest {
    /// The build's name: `Status` asks by it.
    pub(super) id: String,
    pub(super) session: String,
    /// Path of the Dockerfile in its folder.
    pub(super) filename: String,
    /// The names under which the client offers its folders.
    pub(super) context_dir: String,
    pub(super) dockerfile_dir: String,
    pub(super) target: Option<String>,
    /// `os/architecture`.
    pub(super) platform: String,
    pub(super) build_args: Variables,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) no_cache: bool,
    pub(super) export: Option<Export>,
    /// Exporters of type `tar`, by their numbers.
    pub(super) archives: Vec<usize>,
    /// Images that replace others, by the names of those.
    pub(super) contexts: BTreeMap<String, ImageRef>,
    /// From the frontend's attribute `cache-imports`: builds with a frontend do not look at `Cache.Imports`.
    pub(super) cache_imports: Vec<CacheOptionsEntry>,
    pub(super) cache_exports: Vec<CacheOptionsEntry>,
}

/// The image that a build makes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Export {
    pub(super) names: Vec<ImageRef>,
    pub(super) push: bool,
    /// Without a tag: `push-by-digest`.
    pub(super) by_digest: bool,
    /// Docker's media types instead of OCI's.
    pub(super) docker_types: bool,
    pub(super) annotations: BTreeMap<String, String>,
    /// The time of the image, and of what is younger in its history: `source-date-epoch`, in seconds.
    pub(super) epoch: Option<i64>,
}

/// Attributes that only say how commands are run or how much is printed: nothing here depends on them.
const WITHOUT_EFFECT: [&str; 11] = [
    "add-hosts",
    "cgroup-parent",
    "force-network-mode",
    "hostname",
    "image-resolve-mode",
    "multi-platform",
    "shm-size",
    "source",
    "ulimit",
    "cmdline",
    "context",
];

impl BuildRequest {
    pub(super) fn new(request: SolveRequest) -> BuildResult<Self> {
        check_frontend(&request)?;
        let cache = request.cache.clone().unwrap_or_default();
        let (export, archives) = exports(&request)?;
        let mut build = Self {
            id: request.r#ref,
            session: request.session,
            filename: "Dockerfile".to_owned(),
            context_dir: "context".to_owned(),
            dockerfile_dir: "dockerfile".to_owned(),
            target: None,
            platform: format!("linux/{}", native_architecture()),
            build_args: Variables::new(),
            labels: BTreeMap::new(),
            no_cache: false,
            export,
            archives,
            contexts: BTreeMap::new(),
            cache_imports: Vec::new(),
            cache_exports: cache.exports,
        };
        for (key, value) in request.frontend_attrs {
            build.attribute(&key, value)?;
        }
        Ok(build)
    }

    /// The time that `SOURCE_DATE_EPOCH` sets for the whole image, in seconds.
    pub(super) fn source_date_epoch(&self) -> Option<i64> {
        self.build_args.get("SOURCE_DATE_EPOCH")?.parse().ok()
    }

    fn attribute(&mut self, key: &str, value: String) -> BuildResult<()> {
        if let Some(name) = key.strip_prefix("build-arg:") {
            if name == "BUILDKIT_SYNTAX" {
                return Err(BuildError::unsupported(
                    "another frontend (BUILDKIT_SYNTAX)",
                ));
            }
            self.build_args.insert(name.to_owned(), value);
            return Ok(());
        }
        if let Some(name) = key.strip_prefix("label:") {
            self.labels.insert(name.to_owned(), value);
            return Ok(());
        }
        if let Some((name, image)) = key
            .strip_prefix("context:")
            .zip(value.strip_prefix("docker-image://"))
        {
            self.contexts
                .extend([name.to_owned()].into_iter().zip(names(image)?));
            return Ok(());
        }
        match key {
            "filename" => self.filename = value,
            "target" => self.target = Some(value).filter(|target| !target.is_empty()),
            "platform" => self.platform = single_platform(&value)?,
            "contextkey" => self.context_dir = value,
            "dockerfilekey" => self.dockerfile_dir = value,
            "cache-imports" => self.cache_imports = cache_imports(&value)?,
            "no-cache" if value.is_empty() => self.no_cache = true,
            // A context that is no folder of the client: git, HTTP, another build's result.
            "context" if value.contains("://") || value.starts_with("git@") => {
                return Err(BuildError::unsupported("a remote context"));
            }
            key if WITHOUT_EFFECT.contains(&key) => {}
            other => {
                let what = format!("the frontend attribute {other:?}");
                return Err(BuildError::unsupported(what));
            }
        }
        Ok(())
    }
}

fn check_frontend(request: &SolveRequest) -> BuildResult<()> {
    match request.frontend.as_str() {
        "dockerfile.v0" => Ok(()),
        "" => Err(BuildError::unsupported(
            "a build without a frontend (LLB, gateway)",
        )),
        "gateway.v0" => Err(BuildError::unsupported("a frontend image")),
        other => Err(BuildError::new(format!("invalid frontend: {other}"))),
    }
}

/// One cache in the attribute `cache-imports`.
#[derive(Deserialize)]
struct CacheImport {
    #[serde(rename = "Type", alias = "type")]
    kind: String,
    #[serde(rename = "Attrs", alias = "attrs", default)]
    attrs: HashMap<String, String>,
}

fn cache_imports(value: &str) -> BuildResult<Vec<CacheOptionsEntry>> {
    let imports: Vec<CacheImport> = serde_json::from_str(value).map_err(|error| {
        BuildError::new(format!(
            "failed to unmarshal cache-imports ({value:?}): {error}"
        ))
    })?;
    let entry = |import: CacheImport| CacheOptionsEntry {
        r#type: import.kind,
        attrs: import.attrs,
    };
    Ok(imports.into_iter().map(entry).collect())
}

fn single_platform(value: &str) -> BuildResult<String> {
    let parts: Vec<&str> = value.split('/').collect();
    match parts.as_slice() {
        _ if value.contains(',') => Err(BuildError::unsupported("a build for several platforms")),
        [os, architecture] | [os, architecture, _]
            if !os.is_empty() && !architecture.is_empty() =>
        {
            Ok(format!("{os}/{architecture}"))
        }
        _ => {
            let message = format!("failed to parse platform {value}: invalid platform");
            Err(BuildError::new(message))
        }
    }
}

/// The exporter of the image, and the numbers of the others.
fn exports(request: &SolveRequest) -> BuildResult<(Option<Export>, Vec<usize>)> {
    let (mut export, mut archives) = (None, Vec::new());
    for (number, exporter) in request.exporters.iter().enumerate() {
        match exporter.r#type.as_str() {
            "image" if export.is_none() => export = Some(image_export(&exporter.attrs)?),
            "tar" => archives.push(number),
            other => {
                let what = format!("the exporter {other:?} (only one \"image\", and \"tar\")");
                return Err(BuildError::unsupported(what));
            }
        }
    }
    Ok((export, archives))
}

fn image_export(attrs: &HashMap<String, String>) -> BuildResult<Export> {
    let mut export = Export::default();
    for (key, value) in attrs {
        let yes = matches!(value.as_str(), "" | "1" | "true");
        if let Some(annotation) = key.strip_prefix("annotation-manifest.") {
            export
                .annotations
                .insert(annotation.to_owned(), value.clone());
            continue;
        }
        match key.as_str() {
            "name" => export.names = names(value)?,
            "push" => export.push = yes,
            "push-by-digest" => export.by_digest = yes,
            "oci-mediatypes" => export.docker_types = !yes,
            "source-date-epoch" if !value.is_empty() => export.epoch = Some(epoch(value)?),
            "compression" if value != "gzip" => {
                let what = format!("the compression {value:?} (only gzip)");
                return Err(BuildError::unsupported(what));
            }
            // What an unpacked or a kept image would be needed for does not exist here; loopback is plain HTTP anyway;
            // layers are gzip at one level.
            "compression" | "compression-level" | "force-compression" | "registry.insecure"
            | "store" | "unpack" | "source-date-epoch" | "name-canonical"
            | "danglingNameFormat" => {}
            other => {
                let what = format!("the exporter attribute {other:?}");
                return Err(BuildError::unsupported(what));
            }
        }
    }
    let tagged = export.names.iter().find(|name| name.tag().is_some());
    if let (true, Some(name)) = (export.by_digest, tagged) {
        let message = format!("can't push tagged ref {name} by digest");
        return Err(BuildError::new(message));
    }
    Ok(export)
}

fn epoch(value: &str) -> BuildResult<i64> {
    let invalid = |error| BuildError::new(format!("invalid SOURCE_DATE_EPOCH value: {error}"));
    value.parse().map_err(invalid)
}

fn names(value: &str) -> BuildResult<Vec<ImageRef>> {
    let names = value.split(',').filter(|name| !name.is_empty());
    let names = names.map(|name| {
        name.parse()
            .map_err(|error| BuildError::new(format!("failed to parse {name}: {error}")))
    });
    names.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(attrs: &[(&str, &str)]) -> BuildResult<BuildRequest> {
        let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        BuildRequest::new(SolveRequest {
            frontend: "dockerfile.v0".to_owned(),
            frontend_attrs: attrs.iter().map(own).collect(),
            ..SolveRequest::default()
        })
    }

    #[test]
    fn attributes_are_taken_as_buildkit_names_them() {
        let build = request(&[
            ("filename", "docker/api.Dockerfile"),
            ("build-arg:A", "1"),
            ("label:team", "x"),
            ("no-cache", ""),
            ("platform", "linux/arm64/v8"),
        ])
        .unwrap();
        assert_eq!(build.filename, "docker/api.Dockerfile");
        assert_eq!(
            (
                build.build_args["A"].as_str(),
                build.labels["team"].as_str()
            ),
            ("1", "x")
        );
        assert_eq!(
            (build.no_cache, build.platform.as_str()),
            (true, "linux/arm64")
        );
    }

    #[test]
    fn the_time_of_an_image_is_a_number_of_seconds() {
        let export = |value: &str| {
            let attrs = [("source-date-epoch".to_owned(), value.to_owned())];
            image_export(&attrs.into())
        };
        assert_eq!(export("1700000000").unwrap().epoch, Some(1_700_000_000));
        assert_eq!(export("").unwrap().epoch, None);
        assert!(export("yesterday").is_err());
    }

    #[test]
    fn what_is_not_known_is_refused_and_not_ignored() {
        for attrs in [
            [("attest:sbom", "")],
            [("platform", "linux/amd64,linux/arm64")],
            [("context", "https://github.com/a/b.git")],
            [("requestid", "frontend.outline")],
            [("no-cache", "one-stage")],
        ] {
            assert!(request(&attrs).is_err(), "{attrs:?}");
        }
    }
}
