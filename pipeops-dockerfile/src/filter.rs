//! The filter for build arguments: which of them a Dockerfile can see.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::declared::Declarations;
use super::{Dockerfile, Stage};
use pipeops_core::secret::suspicion;

/// The commit, id and time of a build, for Dockerfiles that declare them.
///
/// A Dockerfile that declares one of these names gets the value:
///
/// | Value | Names |
/// |---|---|
/// | the commit's SHA | `PIPEOPS_COMMIT`, `COMMIT_SHA`, `GIT_COMMIT`, `GIT_SHA`, `SOURCE_COMMIT`, `VCS_REF` |
/// | the build's id | `PIPEOPS_BUILD_ID`, `BUILD_ID` |
/// | the commit's time, RFC 3339 in UTC | `PIPEOPS_COMMIT_TIME`, `BUILD_TIMESTAMP`, `BUILD_DATE` |
/// | the commit's time, in seconds | `SOURCE_DATE_EPOCH` |
///
/// All times are the commit's, not the current time, so a second build of the same commit gives the same image, from the cache.
/// Undeclared names are never passed: as a build argument, `SOURCE_DATE_EPOCH` is part of the cache key of every `COPY` and
/// `WORKDIR`, so a new commit would invalidate every step. (Builders set an image's time through the exporter instead.)
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct BuildMetadata {
    /// The commit's SHA. An empty string counts as `None`.
    pub commit: Option<String>,
    /// The build's or deployment's ID. An empty string counts as `None`.
    pub build_id: Option<String>,
    /// The commit's time.
    pub commit_time: Option<Timestamp>,
}

impl BuildMetadata {
    /// The metadata of a build: the commit's SHA and the build's ID. The commit's time is unset.
    pub fn new(commit: impl Into<String>, build_id: impl Into<String>) -> Self {
        let some = |text: String| (!text.is_empty()).then_some(text);
        Self {
            commit: some(commit.into()),
            build_id: some(build_id.into()),
            commit_time: None,
        }
    }

    /// Sets the commit's time.
    #[must_use]
    pub fn commit_time(mut self, time: impl Into<Option<Timestamp>>) -> Self {
        self.commit_time = time.into();
        self
    }

    /// Names, value and what it is.
    fn values(&self) -> Vec<(&'static [&'static str], String, &'static str)> {
        const COMMIT: &[&str] = &[
            "PIPEOPS_COMMIT",
            "COMMIT_SHA",
            "GIT_COMMIT",
            "GIT_SHA",
            "SOURCE_COMMIT",
            "VCS_REF",
        ];
        const ID: &[&str] = &["PIPEOPS_BUILD_ID", "BUILD_ID"];
        const TIME: &[&str] = &["PIPEOPS_COMMIT_TIME", "BUILD_TIMESTAMP", "BUILD_DATE"];
        let seconds = |time: Timestamp| Timestamp::from_second(time.as_second()).unwrap_or(time);
        let time = self.commit_time.map(|time| seconds(time).to_string());
        [
            (COMMIT, self.commit.clone(), "the commit's SHA"),
            (ID, self.build_id.clone(), "the build's id"),
            (TIME, time, "the commit's time"),
        ]
        .into_iter()
        .filter_map(|(names, value, what)| {
            let value = value.filter(|value| !value.is_empty())?;
            Some((names, value, what))
        })
        .collect()
    }
}

/// Build arguments, sorted into kept and dropped ones. Made by [`filter`].
///
/// `Display` lists the keys with the reasons, but no values.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Filtered {
    /// The arguments to pass to the build, sorted by key.
    pub kept: Vec<KeptArg>,
    /// The user's arguments that the build doesn't get, sorted by key.
    pub dropped: Vec<DroppedArg>,
    /// Warnings for the user: values that look like secrets, and declarations that the filter can't see. Never contain values.
    pub warnings: Vec<String>,
}

impl Filtered {
    /// The kept arguments, as [`BuildRequest::build_args`](pipeops_core::BuildRequest::build_args) takes them.
    pub fn args(&self) -> BTreeMap<String, String> {
        let pair = |arg: &KeptArg| (arg.key.clone(), arg.value.clone());
        self.kept.iter().map(pair).collect()
    }
}

impl fmt::Display for Filtered {
    /// Without values, because one of them may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.kept.iter().map(|arg| &arg.key);
        let keys = keys.chain(self.dropped.iter().map(|arg| &arg.key));
        let width = keys.map(|key| key.chars().count()).max().unwrap_or(0);
        for KeptArg { key, why, .. } in &self.kept {
            writeln!(f, "kept     {key:width$}  {why}")?;
        }
        for DroppedArg { key, why } in &self.dropped {
            writeln!(f, "dropped  {key:width$}  {why}")?;
        }
        for warning in &self.warnings {
            writeln!(f, "warning: {warning}")?;
        }
        Ok(())
    }
}

/// An argument to pass to the build.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct KeptArg {
    /// The key.
    pub key: String,
    /// The value. Omitted from `Debug`.
    pub value: String,
    /// Why it is kept.
    pub why: String,
}

impl fmt::Debug for KeptArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptArg")
            .field("key", &self.key)
            .field("why", &self.why)
            .finish_non_exhaustive()
    }
}

/// An argument of the user that the build doesn't get.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DroppedArg {
    /// The key.
    pub key: String,
    /// Why it is dropped.
    pub why: String,
}

/// Keeps the user's arguments that a build of `file` can use, and adds the metadata that `file` declares.
///
/// The filter keeps arguments that any `ARG` declares (before the first `FROM`, in a stage, or after `ONBUILD`), the proxies and
/// platforms that BuildKit predefines, `SOURCE_DATE_EPOCH`, and BuildKit's harmless `BUILDKIT_*` settings. A user's value takes
/// precedence over metadata of the same name.
///
/// ```
/// use std::collections::BTreeMap;
/// use pipeops_dockerfile::{BuildMetadata, Dockerfile, filter};
///
/// let file = Dockerfile::parse(b"FROM alpine\nARG VERSION COMMIT_SHA\n")?;
/// let user = BTreeMap::from([("VERSION".into(), "1".into()), ("OTHER".into(), "2".into())]);
/// let filtered = filter(&file, &user, &BuildMetadata::new("4b825dc", "42"));
/// let keys: Vec<String> = filtered.args().into_keys().collect();
/// assert_eq!(keys, ["COMMIT_SHA", "VERSION"]);
/// assert_eq!(filtered.dropped[0].why, "no ARG declares it");
/// # Ok::<(), pipeops_dockerfile::ParseError>(())
/// ```
pub fn filter(
    file: &Dockerfile<'_>,
    user: &BTreeMap<String, String>,
    metadata: &BuildMetadata,
) -> Filtered {
    let declared = Declarations::of(file);
    let mut filtered = Filtered::default();
    let mut undeclared = false;
    for (key, value) in user {
        match decide(key, &declared) {
            ArgDecision::Keep(why) => filtered.keep(key, value, why),
            ArgDecision::Drop(why) => filtered.drop(key, why),
            ArgDecision::Undeclared => {
                undeclared = true;
                filtered.drop(key, declared.why_not(key));
            }
        }
        warn_secret(&mut filtered, key, value);
    }
    add_metadata(&mut filtered, &declared, metadata, user);
    filtered.kept.sort_by(|a, b| a.key.cmp(&b.key));
    warn_frontend(&mut filtered, file);
    if undeclared {
        warn_unseen(&mut filtered, file, &declared);
    }
    filtered
}

impl Filtered {
    fn keep(&mut self, key: &str, value: &str, why: String) {
        self.kept.push(KeptArg {
            key: key.to_owned(),
            value: value.to_owned(),
            why,
        });
    }

    fn drop(&mut self, key: &str, why: String) {
        let key = key.to_owned();
        self.dropped.push(DroppedArg { key, why });
    }
}

enum ArgDecision {
    Keep(String),
    Drop(String),
    Undeclared,
}

fn decide(key: &str, declared: &Declarations<'_>) -> ArgDecision {
    if key.is_empty() || key.contains(['=', '\0', '\n']) {
        return ArgDecision::Drop("not a valid name".to_owned());
    }
    // Before declarations: an ARG of this name does not take the control from BuildKit.
    if let Some(control) = key.strip_prefix("BUILDKIT_") {
        return decide_control(control, declared.why(key));
    }
    match declared.why(key).or_else(|| predefined(key)) {
        Some(why) => ArgDecision::Keep(why),
        None => ArgDecision::Undeclared,
    }
}

/// BuildKit's own controls. What changes who runs the build, what is said about it, or whose cache it sees is the
/// platform's to set, not the project's.
fn decide_control(control: &str, declared: Option<String>) -> ArgDecision {
    const HARMLESS: &[&str] = &[
        "BUILD_NAME",
        "CONTEXT_KEEP_GIT_DIR",
        "DOCKERFILE_CHECK",
        "GIT_ADVICE",
        "INLINE_CACHE",
        "MULTI_PLATFORM",
        "SANDBOX_HOSTNAME",
        "SBOM_SCAN_CONTEXT",
        "SBOM_SCAN_STAGE",
    ];
    let refused = match control {
        "SYNTAX" => "it would replace the frontend image that parses the Dockerfile",
        "CACHE_MOUNT_NS" => "it would give access to the cache mounts of other projects",
        _ if control.starts_with("ATTEST_") => "it would change the image's attestations",
        _ if HARMLESS.contains(&control) => {
            return ArgDecision::Keep("a BuildKit setting".to_owned());
        }
        _ => match declared {
            Some(why) => return ArgDecision::Keep(why),
            None => "not a BuildKit setting that projects can change",
        },
    };
    ArgDecision::Drop(refused.to_owned())
}

/// What BuildKit knows without a declaration.
fn predefined(key: &str) -> Option<String> {
    const PROXIES: &[&str] = &[
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "FTP_PROXY",
        "NO_PROXY",
        "ALL_PROXY",
    ];
    const PLATFORM: &[&str] = &["PLATFORM", "OS", "OSVERSION", "ARCH", "VARIANT"];
    let platform = |rest: &str| PLATFORM.contains(&rest);
    if PROXIES.iter().any(|proxy| proxy.eq_ignore_ascii_case(key)) {
        return Some("predefined: a proxy for RUN, not part of the cache key".to_owned());
    }
    if key == "TARGETSTAGE"
        || key.strip_prefix("BUILD").is_some_and(platform)
        || key.strip_prefix("TARGET").is_some_and(platform)
    {
        return Some("predefined: the platform for FROM lines".to_owned());
    }
    (key == SOURCE_DATE_EPOCH).then(|| "predefined: the timestamp of files and image".to_owned())
}

const SOURCE_DATE_EPOCH: &str = "SOURCE_DATE_EPOCH";

fn add_metadata(
    filtered: &mut Filtered,
    declared: &Declarations<'_>,
    metadata: &BuildMetadata,
    user: &BTreeMap<String, String>,
) {
    for (names, value, what) in metadata.values() {
        for name in names.iter().filter(|name| !user.contains_key(**name)) {
            if let Some(why) = declared.why(name) {
                filtered.keep(name, &value, format!("{what}; {why}"));
            }
        }
    }
    if let Some(time) = metadata.commit_time
        && !user.contains_key(SOURCE_DATE_EPOCH)
        && let Some(why) = declared.why(SOURCE_DATE_EPOCH)
    {
        let why = format!("the commit's time; {why}");
        filtered.keep(SOURCE_DATE_EPOCH, &time.as_second().to_string(), why);
    }
}

fn warn_secret(filtered: &mut Filtered, key: &str, value: &str) {
    let Some(by) = suspicion(key, value) else {
        return;
    };
    filtered.warnings.push(format!(
        "`{key}` looks like a secret ({by}). Build arguments stay readable in the image history. Pass it as a build secret and \
         use `RUN --mount=type=secret,id={key},env={key} …`"
    ));
}

fn warn_frontend(filtered: &mut Filtered, file: &Dockerfile<'_>) {
    let Some(syntax) = &file.directives.syntax else {
        return;
    };
    let name = syntax.strip_prefix("docker.io/").unwrap_or(syntax);
    let name = name.split(['@', ':']).next().unwrap_or_default();
    if !matches!(name, "docker/dockerfile" | "docker/dockerfile-upstream") {
        filtered.warnings.push(format!(
            "`# syntax={syntax}` isn't Docker's frontend and may declare arguments in its own way; only Docker's syntax was \
             checked"
        ));
    }
}

/// Says where declarations may be that cannot be seen.
fn warn_unseen(filtered: &mut Filtered, file: &Dockerfile<'_>, declared: &Declarations<'_>) {
    let mut bases: Vec<&str> = Vec::new();
    for (index, stage) in file.stages.iter().enumerate() {
        let base = &*stage.from.text;
        if base != "scratch" && !is_stage(base, &file.stages[..index]) && !bases.contains(&base) {
            bases.push(base);
        }
    }
    if !bases.is_empty() {
        let bases = bases.join("`, `");
        filtered.warnings.push(format!(
            "ONBUILD ARGs of the base image (`{bases}`) can't be checked: if one of them needs a dropped argument, declare it in \
             the Dockerfile as well"
        ));
    }
    for arg in declared.with_variables() {
        filtered.warnings.push(format!(
            "line {}: the name of `ARG {}` contains variables, so it isn't known before the build",
            arg.line, arg.key
        ));
    }
}

/// As `FROM` finds stages: their names are in lower case, and it compares exactly. Only `--from` takes any case.
fn is_stage(base: &str, earlier: &[Stage<'_>]) -> bool {
    earlier
        .iter()
        .any(|stage| stage.name.as_deref() == Some(base))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\
ARG TAG=1
FROM alpine:${TAG} AS base
ARG VERSION=0 'QUOTED'=x
ONBUILD ARG LATER
FROM base
ARG COMMIT_SHA
ARG BUILD_DATE
ARG BUILDKIT_SYNTAX
";

    fn filtered(file: &str, user: &[(&str, &str)]) -> Filtered {
        let file = Dockerfile::parse(file.as_bytes()).unwrap();
        let user = user.iter().map(|&(k, v)| (k.to_owned(), v.to_owned()));
        let time: Timestamp = "2026-11-23T06:00:00.5Z".parse().unwrap();
        let metadata = BuildMetadata::new("4b825dc", "").commit_time(time);
        filter(&file, &user.collect(), &metadata)
    }

    fn why(key: &str) -> (bool, String) {
        let filtered = filtered(FILE, &[(key, "v")]);
        let kept = filtered.kept.iter().find(|arg| arg.key == key);
        match kept {
            Some(arg) => (true, arg.why.clone()),
            None => (false, filtered.dropped[0].why.clone()),
        }
    }

    #[test]
    fn each_key_is_kept_or_dropped_for_a_reason() {
        for (key, kept, reason) in [
            ("TAG", true, "ARG before the first FROM, line 1"),
            ("VERSION", true, "ARG of stage `base`, line 3"),
            ("QUOTED", true, "ARG of stage `base`, line 3"),
            ("LATER", true, "ONBUILD ARG of stage `base`, line 4"),
            ("COMMIT_SHA", true, "ARG of stage 1, line 6"),
            ("https_proxy", true, "proxy"),
            ("ALL_PROXY", true, "proxy"),
            ("TARGETARCH", true, "platform"),
            ("TARGETSTAGE", true, "platform"),
            ("SOURCE_DATE_EPOCH", true, "time"),
            ("BUILDKIT_INLINE_CACHE", true, "a BuildKit setting"),
            ("BUILDKIT_SYNTAX", false, "frontend"),
            ("BUILDKIT_ATTEST_SBOM", false, "attestations"),
            ("BUILDKIT_CACHE_MOUNT_NS", false, "other projects"),
            ("BUILDKIT_NEW", false, "not a BuildKit setting"),
            ("version", false, "`VERSION` is declared"),
            ("BUILDSTAGE", false, "no ARG declares it"),
            ("BUILD_ID", false, "no ARG declares it"),
            ("", false, "not a valid name"),
        ] {
            let (was_kept, why) = why(key);
            assert_eq!(was_kept, kept, "{key}: {why}");
            assert!(why.contains(reason), "{key}: {why}");
        }
    }

    #[test]
    fn metadata_comes_only_where_declared_and_never_over_the_user() {
        let args = filtered(FILE, &[]).args();
        assert_eq!(args["COMMIT_SHA"], "4b825dc");
        assert_eq!(args["BUILD_DATE"], "2026-11-23T06:00:00Z");
        assert_eq!(args.len(), 2, "{args:?}");
        let args = filtered("FROM a\nARG SOURCE_DATE_EPOCH\n", &[]).args();
        assert_eq!(args["SOURCE_DATE_EPOCH"], "1795413600");
        let user = [("COMMIT_SHA", "mine"), ("SOURCE_DATE_EPOCH", "0")];
        let args = filtered(FILE, &user).args();
        assert_eq!(args["COMMIT_SHA"], "mine");
        assert_eq!(args["SOURCE_DATE_EPOCH"], "0");
    }

    #[test]
    fn secrets_are_warned_about_and_never_shown() {
        let filtered = filtered("FROM a\nARG NPM_TOKEN\n", &[("NPM_TOKEN", "hunter2")]);
        assert!(filtered.warnings[0].contains("--mount=type=secret,id=NPM_TOKEN"));
        let shown = format!("{filtered} {filtered:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn only_arguments_that_hold_a_secret_are_warned_about() {
        let user = [
            ("SENTRY_AUTH_TOKEN", "x"),
            ("AUTH_MODULE_VERSION", "1.4.2"),
            ("SECRET_PASSPHRASE_FILE", "passphrase.txt"),
            ("TOKEN_FILE_PATH", "/run/token"),
            ("NEXT_PUBLIC_API_KEY", "x"),
            ("BUILD_SHA", "4b825dc642cb6eb9a060e54bf8d69288fbee4904"),
        ];
        let file = user.map(|(key, _)| format!("ARG {key}\n")).concat();
        let warnings = filtered(&format!("FROM a\n{file}"), &user).warnings;
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(
            warnings[0].starts_with("`SENTRY_AUTH_TOKEN`"),
            "{warnings:?}"
        );
    }

    #[test]
    fn what_cannot_be_seen_is_said_only_when_it_matters() {
        let file = "FROM node:20 AS a\nFROM a\nFROM scratch\nARG X_${Y}\n";
        let warnings = filtered(file, &[("Z", "1")]).warnings;
        assert!(warnings[0].contains("(`node:20`)"), "{warnings:?}");
        assert!(warnings[1].contains("line 4"), "{warnings:?}");
        assert!(filtered(file, &[]).warnings.is_empty());
    }

    #[test]
    fn foreign_frontends_are_named() {
        for (syntax, foreign) in [
            ("docker/dockerfile:1", false),
            ("docker.io/docker/dockerfile@sha256:00", false),
            ("docker/dockerfile-upstream:master-labs", false),
            ("example.com/other:1", true),
        ] {
            let file = format!("# syntax={syntax}\nFROM a\n");
            assert_eq!(
                !filtered(&file, &[]).warnings.is_empty(),
                foreign,
                "{syntax}"
            );
        }
    }
}
