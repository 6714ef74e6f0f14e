//! The base images of generated Dockerfiles: a table whose rows platform teams can replace.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::repository::version::{compare, shorten};

/// The base images of generated Dockerfiles, by role (`python.build`, `python.run`, …).
///
/// The name of an image may contain `{version}`. It becomes the version that the project requests, cut to the precision of the
/// image's tags, such as `3.12` for `3.12.4`: patch releases stay open so that builds get security fixes. A project that requests
/// no version gets the table's default. [`roles`](Self::roles) lists the roles, and [`complete`](Self::complete) their images.
///
/// Serde uses the field names in camel case, and every field is optional, so the table can be part of a configuration file.
///
/// ```
/// use pipeops_detect::BaseImages;
///
/// let images = BaseImages::default()
///     .with_registry_mirror("docker.io", "mirror.example.com/hub")
///     .with_image("go.run", "images.example.com/base/static:1");
/// assert_eq!(images.image("python.run", Some("3.13.1")), "mirror.example.com/hub/library/python:3.13-slim");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[non_exhaustive]
pub struct BaseImages {
    /// Image names that replace those of the built-in table, by role.
    pub images: BTreeMap<String, String>,
    /// Mirrors to pull from, by the host of the registry that they replace.
    pub mirrors: BTreeMap<String, String>,
    /// Digests to pin images to (`sha256:…`), by the image's full name without the digest and with mirrors applied.
    pub digests: BTreeMap<String, String>,
    /// The frontend image of a `# syntax=` line. Default: none.
    ///
    /// Generated Dockerfiles use only features of the frontend built into BuildKit 0.11 and newer. With a `# syntax=` line, each
    /// build first pulls the frontend image, and builds fail in clusters that can't reach its registry.
    pub frontend: Option<String>,
}

/// Role, name, how many parts of the version its tags have, and the version where the project asks for none.
type Row = (&'static str, &'static str, usize, &'static str);

// One line per role.
#[rustfmt::skip]
const TABLE: &[Row] = &[
    ("bun.build", "oven/bun:{version}-slim", 2, "1"),
    ("bun.run", "oven/bun:{version}-slim", 2, "1"),
    ("clojure.build", "clojure:temurin-{version}-tools-deps", 1, "17"),
    ("clojure.build.lein", "clojure:temurin-{version}-lein", 1, "17"),
    ("cobol.build", "debian:bookworm-slim", 0, ""),
    ("cobol.run", "debian:bookworm-slim", 0, ""),
    ("conda.build", "mambaorg/micromamba:1.5.8", 0, ""),
    ("conda.run", "debian:13-slim", 0, ""),
    ("cpp.build", "debian:bookworm-slim", 0, ""),
    ("cpp.run", "gcr.io/distroless/cc-debian12:nonroot", 0, ""),
    ("crystal.build", "crystallang/crystal:{version}-alpine", 3, "1.18.2"),
    ("crystal.run", "gcr.io/distroless/static-debian12:nonroot", 0, ""),
    ("dart.build", "dart:{version}", 2, "3.9"),
    ("dart.build.flutter", "ghcr.io/cirruslabs/flutter:3.35.7", 0, ""),
    ("dart.run", "gcr.io/distroless/base-debian12:nonroot", 0, ""),
    ("deno.build", "denoland/deno:{version}", 3, "2.5.6"),
    ("dotnet.build", "mcr.microsoft.com/dotnet/sdk:{version}", 2, "8.0"),
    ("dotnet.build.exact", "mcr.microsoft.com/dotnet/sdk:{version}", 3, "8.0"),
    ("dotnet.run", "mcr.microsoft.com/dotnet/aspnet:{version}", 2, "8.0"),
    ("dotnet.run.console", "mcr.microsoft.com/dotnet/runtime:{version}", 2, "8.0"),
    ("elixir.build", "elixir:{version}", 2, "1.18"),
    ("elixir.run", "elixir:{version}-slim", 2, "1.18"),
    ("gleam.build", "ghcr.io/gleam-lang/gleam:v{version}-erlang-slim", 3, "1.13.0"),
    ("gleam.run", "ghcr.io/gleam-lang/gleam:v{version}-erlang-slim", 3, "1.13.0"),
    ("go.build", "golang:{version}", 2, "1.26"),
    ("go.build.cgo", "golang:{version}-bookworm", 2, "1.26"),
    ("go.run", "gcr.io/distroless/static-debian12:nonroot", 0, ""),
    ("go.run.cgo", "gcr.io/distroless/base-debian12:nonroot", 0, ""),
    ("haskell.build", "haskell:{version}", 2, "9.6"),
    ("haskell.run", "debian:bookworm-slim", 0, ""),
    ("java.build", "eclipse-temurin:{version}", 1, "17"),
    ("java.build.gradle", "gradle:8-jdk{version}", 1, "17"),
    ("java.build.maven", "maven:3.9-eclipse-temurin-{version}", 1, "17"),
    ("java.run", "eclipse-temurin:{version}-jre", 1, "17"),
    ("java.run.tomcat", "tomcat:10.1-jre{version}-temurin", 1, "17"),
    ("java.run.tomcat.javax", "tomcat:9.0-jre{version}-temurin", 1, "17"),
    ("nodejs.build", "node:{version}-slim", 1, "22"),
    ("nodejs.build.native", "node:{version}", 1, "22"),
    ("nodejs.run", "node:{version}-slim", 1, "22"),
    ("nodejs.run.openssl", "node:{version}", 1, "22"),
    ("php.build", "composer:2", 0, ""),
    ("php.extensions", "mlocati/php-extension-installer:2", 0, ""),
    ("php.run", "php:{version}-apache", 2, "8.3"),
    ("php.run.cli", "php:{version}-cli", 2, "8.3"),
    ("python.build", "python:{version}", 2, "3.12"),
    ("python.run", "python:{version}-slim", 2, "3.12"),
    ("ruby.build", "ruby:{version}", 2, "3.4"),
    ("ruby.build.exact", "ruby:{version}", 3, "3.4"),
    ("ruby.run", "ruby:{version}-slim", 2, "3.4"),
    ("ruby.run.exact", "ruby:{version}-slim", 3, "3.4"),
    ("rust.build", "rust:{version}-slim-bookworm", 2, "1.95"),
    ("rust.build.headers", "rust:{version}-bookworm", 2, "1.95"),
    ("rust.run", "gcr.io/distroless/cc-debian12:nonroot", 0, ""),
    ("rust.run.debian", "debian:bookworm-slim", 0, ""),
    ("scala.build", "eclipse-temurin:{version}", 1, "17"),
    ("scala.build.sbt", "sbtscala/scala-sbt:eclipse-temurin-17.0.15_6_1.11.3_3.7.1", 0, ""),
    ("scheme.run", "debian:bookworm-slim", 0, ""),
    ("shell.run", "debian:bookworm-slim", 0, ""),
    ("static.build.hugo", "hugomods/hugo:exts-{version}", 3, "0.152.2"),
    ("static.build.jekyll", "ruby:3.3", 0, ""),
    ("static.build.mkdocs", "squidfunk/mkdocs-material:9.6", 0, ""),
    ("static.build.zola", "ghcr.io/getzola/zola:v{version}", 3, "0.21.0"),
    ("static.run", "nginxinc/nginx-unprivileged:1.28-alpine", 0, ""),
    ("swift.build", "swift:{version}-bookworm", 2, "6.1"),
    ("swift.run", "swift:{version}-bookworm-slim", 2, "6.1"),
    ("zig.build", "python:3.12-slim-bookworm", 0, ""),
    ("zig.run", "gcr.io/distroless/base-debian12:nonroot", 0, ""),
];

/// Parts of names of images that have no shell.
const SHELL_LESS: &[&str] = &["/distroless/", "cgr.dev/chainguard/", "getzola/zola:"];

/// Languages whose newer compilers build what asks for an older one: the version is a least one.
const BACKWARD_COMPATIBLE: &[&str] = &["crystal.", "go.", "rust.", "swift."];

impl BaseImages {
    /// Replaces the image of a role (`python.run`, `go.build`, …). `{version}` in `name` becomes the project's version. A role
    /// that doesn't exist has no effect; [`unknown_roles`](Self::unknown_roles) finds typos.
    #[must_use]
    pub fn with_image(mut self, role: impl Into<String>, name: impl Into<String>) -> Self {
        self.images.insert(role.into(), name.into());
        self
    }

    /// Pulls images of `registry` (`docker.io`, `gcr.io`) from `mirror` (`mirror.example.com/hub`) instead.
    #[must_use]
    pub fn with_registry_mirror(
        mut self,
        registry: impl Into<String>,
        mirror: impl Into<String>,
    ) -> Self {
        self.mirrors.insert(registry.into(), mirror.into());
        self
    }

    /// Pins `image` to a digest (`sha256:…`). `image` is the name that the Dockerfile would contain without the pin, such as
    /// `golang:1.26`.
    #[must_use]
    pub fn with_digest(mut self, image: impl Into<String>, digest: impl Into<String>) -> Self {
        self.digests.insert(image.into(), digest.into());
        self
    }

    /// Adds a `# syntax=` line with this frontend image to generated Dockerfiles.
    #[must_use]
    pub fn with_frontend(mut self, image: impl Into<String>) -> Self {
        self.frontend = Some(image.into());
        self
    }

    /// All roles, in alphabetical order.
    pub fn roles() -> impl Iterator<Item = &'static str> {
        TABLE.iter().map(|(role, ..)| *role)
    }

    /// The complete table: every role with its image name, replacements applied, `{version}` kept.
    #[must_use]
    pub fn complete(mut self) -> Self {
        for (role, name, ..) in TABLE {
            let name = || (*name).to_owned();
            self.images.entry((*role).to_owned()).or_insert_with(name);
        }
        self
    }

    /// The roles in [`images`](Self::images) that don't exist: typos, or roles of another release.
    pub fn unknown_roles(&self) -> impl Iterator<Item = &str> {
        let known = |role: &&str| Self::roles().any(|known| known == *role);
        self.images
            .keys()
            .map(String::as_str)
            .filter(move |role| !known(role))
    }

    /// The image of a role for a project that requests this version, with mirror and digest applied. Empty for an unknown role
    /// that [`images`](Self::images) doesn't name either.
    pub fn image(&self, role: &str, version: Option<&str>) -> String {
        let row = TABLE.iter().find(|(known, ..)| *known == role);
        let &(_, name, parts, default) = row.unwrap_or(&("", "", 0, ""));
        let name = self.images.get(role).map_or(name, String::as_str);
        let name = name.replace("{version}", &tag_version(role, version, parts, default));
        let name = self.mirrored(&name);
        match self.digests.get(&name) {
            Some(digest) => format!("{name}@{digest}"),
            None => name,
        }
    }

    /// Whether the image of a role has a shell: the built-in one and the one in its place.
    pub(crate) fn has_shell(&self, role: &str) -> bool {
        let row = TABLE.iter().find(|(known, ..)| *known == role);
        row.is_some_and(|(_, name, ..)| has_shell(name)) && has_shell(&self.image(role, None))
    }

    pub(crate) fn frontend(&self) -> Option<&str> {
        self.frontend.as_deref()
    }

    fn mirrored(&self, name: &str) -> String {
        let (host, rest) = match name.split_once('/') {
            Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => {
                (host, rest.to_owned())
            }
            Some(_) => ("docker.io", name.to_owned()),
            None => ("docker.io", format!("library/{name}")),
        };
        match self.mirrors.get(host) {
            Some(mirror) => format!("{}/{rest}", mirror.trim_end_matches('/')),
            None => name.to_owned(),
        }
    }
}

/// Whether an image has `/bin/sh`. Images that this crate doesn't know count as ones that have it.
pub(crate) fn has_shell(name: &str) -> bool {
    let less = name == "scratch" || SHELL_LESS.iter().any(|part| name.contains(part));
    // Variants for developers have one.
    let tag = name.rsplit('/').next().unwrap_or_default();
    !less || (name.contains("cgr.dev/") && tag.contains("-dev"))
}

fn tag_version(role: &str, asked: Option<&str>, parts: usize, default: &str) -> String {
    let is_version =
        |text: &&str| !text.is_empty() && text.chars().all(|ch| ch.is_ascii_digit() || ch == '.');
    let Some(asked) = asked.filter(is_version).map(|asked| shorten(asked, parts)) else {
        return default.to_owned();
    };
    let least = BACKWARD_COMPATIBLE
        .iter()
        .any(|language| role.starts_with(language));
    // `python:3` would move to the next minor version some day.
    let too_open = asked.split('.').count() < parts && default.starts_with(&format!("{asked}."));
    if too_open || (least && compare(&asked, default).is_le()) {
        return default.to_owned();
    }
    asked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_follow_the_project() {
        let images = BaseImages::default();
        for (role, version, expected) in [
            ("python.run", Some("3.11.4"), "python:3.11-slim"),
            ("python.run", Some("3"), "python:3.12-slim"),
            ("python.run", None, "python:3.12-slim"),
            ("python.run", Some("$(x)"), "python:3.12-slim"),
            ("nodejs.run", Some("20.11.0"), "node:20-slim"),
            ("bun.run", Some("1.1.30"), "oven/bun:1.1-slim"),
            ("bun.run", Some("1"), "oven/bun:1-slim"),
            ("bun.run", None, "oven/bun:1-slim"),
            ("go.build", Some("1.22"), "golang:1.26"),
            ("go.build", Some("1.27.1"), "golang:1.27"),
            ("java.run", Some("17"), "eclipse-temurin:17-jre"),
            (
                "go.run",
                Some("1.22"),
                "gcr.io/distroless/static-debian12:nonroot",
            ),
        ] {
            assert_eq!(images.image(role, version), expected);
        }
    }

    #[test]
    fn teams_replace_mirror_and_pin() {
        let images = BaseImages::default()
            .with_image("python.run", "base/python:{version}-hardened")
            .with_registry_mirror("gcr.io", "mirror.local:5000/gcr/")
            .with_digest("golang:1.26", "sha256:00");
        assert_eq!(
            images.image("python.run", Some("3.13")),
            "base/python:3.13-hardened"
        );
        assert_eq!(
            images.image("go.run", None),
            "mirror.local:5000/gcr/distroless/static-debian12:nonroot"
        );
        assert_eq!(images.image("go.build", None), "golang:1.26@sha256:00");
    }

    #[test]
    fn misspelt_roles_are_found() {
        let images = BaseImages::default().with_image("pyton.run", "x");
        assert!(images.unknown_roles().eq(["pyton.run"]));
        let complete = BaseImages::default().with_image("go.run", "x").complete();
        assert_eq!(complete.unknown_roles().count(), 0);
        assert_eq!(complete.images["go.run"], "x");
        assert_eq!(complete.images["python.run"], "python:{version}-slim");
    }

    #[test]
    fn images_without_a_shell_are_known() {
        let less = |role: &&str| !BaseImages::default().has_shell(role);
        let found: Vec<&str> = BaseImages::roles().filter(less).collect();
        let expected = [
            "cpp.run",
            "crystal.run",
            "dart.run",
            "go.run",
            "go.run.cgo",
            "rust.run",
            "static.build.zola",
            "zig.run",
        ];
        assert_eq!(found, expected);
        let replaced = BaseImages::default()
            .with_image("java.run", "gcr.io/distroless/java21-debian12:nonroot")
            .with_image("python.run", "cgr.dev/chainguard/python:latest-dev")
            .with_image("go.run", "images.example.com/base/static:1");
        for (role, expected) in [("java.run", false), ("python.run", true), ("go.run", false)] {
            assert_eq!(replaced.has_shell(role), expected, "{role}");
        }
    }

    #[test]
    fn the_table_is_sorted_and_survives_json() {
        assert!(BaseImages::roles().is_sorted());
        let images = BaseImages::default().with_frontend("docker/dockerfile:1");
        let json = serde_json::to_string(&images).unwrap();
        assert_eq!(serde_json::from_str::<BaseImages>(&json).unwrap(), images);
    }
}
