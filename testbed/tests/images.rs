//! Base images have what Docker's official ones have: packages with C code build on full images, and fail on slim ones as in
//! the world.
#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    reason = "a test that panics has failed, as it should"
)]

use std::process::Command;

/// Builds an image from these lines and throws it away; what the build printed.
fn build(from: &str, step: &str) -> Result<String, String> {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("FROM {from}\nRUN {step}\n");
    std::fs::write(folder.path().join("Dockerfile"), text).unwrap();
    let folder = folder.path().display();
    let variable = |name| std::env::var(name).expect(name);
    let output = Command::new(variable("BUILDCTL"))
        .args(["--addr", &variable("BUILDKIT_HOST")])
        .args([
            "build",
            "--progress=plain",
            "--no-cache",
            "--frontend=dockerfile.v0",
        ])
        .arg(format!("--local=context={folder}"))
        .arg(format!("--local=dockerfile={folder}"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() {
        Ok(said)
    } else {
        Err(said)
    }
}

#[test]
#[ignore = "needs testbed: buildkit, registry, python:3.12, python:3.12-slim, python:3.13, node:22, ruby:3.3"]
fn packages_build_from_source_on_full_images() {
    for (image, step) in [
        ("python:3.12", "pip install --no-binary psycopg2 psycopg2"),
        (
            "python:3.13",
            "pip install --no-binary psycopg2,mysqlclient psycopg2 mysqlclient",
        ),
        ("node:22", "npm install --build-from-source bufferutil@4"),
        (
            "ruby:3.3",
            "pg_config --version && mysql_config --version && g++ --version",
        ),
    ] {
        build(image, step).unwrap_or_else(|said| panic!("{image}: {said}"));
    }
    let said = build(
        "python:3.12-slim",
        "pip install --no-binary psycopg2 psycopg2",
    )
    .unwrap_err();
    assert!(said.contains("pg_config executable not found"), "{said}");
    let compiled = "apt-get update && apt-get install -y gcc libpq-dev && pip install --no-binary psycopg2 psycopg2";
    build("python:3.12-slim", compiled).unwrap_or_else(|said| panic!("{said}"));
}

#[test]
#[ignore = "needs testbed: buildkit, registry"]
fn an_image_is_built_when_it_is_first_asked_for() {
    let said = build(
        "docker.io/library/debian:bookworm-slim",
        "cat /etc/debian_version",
    )
    .unwrap();
    assert!(said.contains(" 12."), "{said}");
    let unknown = build("no-such-image:1", "true").unwrap_err();
    assert!(unknown.contains("no-such-image:1"), "{unknown}");
}
