//! The base images that there are.

use super::{Input, PAUSE, Recipe};
use crate::servers::buildkit;

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
        inputs: &[Input::Program(&buildkit::MODULE, "dockerfile-frontend")],
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
        inputs: &[Input::Debian],
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
    Recipe {
        name: "python",
        references: &[
            "library/python:3",
            "library/python:3-slim",
            "library/python:3.11",
            "library/python:3.11-slim",
            "library/python:3.12",
            "library/python:3.12-slim",
            "library/python:3.12-slim-bookworm",
            "library/python:3.13",
            "library/python:3.13-slim",
            "library/python:3.13-slim-bookworm",
        ],
        from: &["debian"],
        ..Recipe::EMPTY
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
        from: &["python"],
        arguments: &[("PACKAGE", "uv")],
        dockerfile: Some("pypi-program"),
        ..Recipe::EMPTY
    },
    Recipe {
        name: "deno",
        references: &[
            "denoland/deno:2",
            "denoland/deno:debian",
            "denoland/deno:latest",
        ],
        from: &["debian", "python"],
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
        name: "java",
        references: &[
            "library/eclipse-temurin:17",
            "library/eclipse-temurin:17-jdk",
        ],
        arguments: &[("PACKAGE", "openjdk-17-jdk-headless")],
        ..DEBIAN_PACKAGE
    },
    Recipe {
        name: "java-runtime",
        references: &["library/eclipse-temurin:17-jre"],
        arguments: &[("PACKAGE", "openjdk-17-jre-headless")],
        ..DEBIAN_PACKAGE
    },
    Recipe {
        name: "php",
        references: &["library/php:8.2-cli", "library/php:8-cli"],
        arguments: &[("PACKAGE", "php-cli")],
        ..DEBIAN_PACKAGE
    },
    Recipe {
        name: "ruby",
        references: &[
            "library/ruby:3",
            "library/ruby:3-slim",
            "library/ruby:3.1",
            "library/ruby:3.1-slim",
        ],
        arguments: &[("PACKAGE", "ruby ruby-bundler")],
        ..DEBIAN_PACKAGE
    },
    Recipe {
        name: "nginx-unprivileged",
        references: &[
            "nginxinc/nginx-unprivileged:1-alpine",
            "nginxinc/nginx-unprivileged:alpine",
            "nginxinc/nginx-unprivileged:latest",
            "nginxinc/nginx-unprivileged:stable",
            "nginxinc/nginx-unprivileged:stable-alpine",
        ],
        from: &["debian"],
        ..Recipe::EMPTY
    },
];

const BUSYBOX: Input = Input::File("/bin/busybox");
const NODE: Recipe = Recipe {
    dockerfile: Some("node"),
    from: &["debian", "python"],
    ..Recipe::EMPTY
};
const DEBIAN_PACKAGE: Recipe = Recipe {
    dockerfile: Some("debian-package"),
    from: &["debian"],
    ..Recipe::EMPTY
};
