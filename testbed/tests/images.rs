//! Base images have what Docker's official images have: packages with C code build on full images, and fail on slim ones.
#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    reason = "a test that panics has failed, as it should"
)]

use std::process::Command;

/// Builds an image and discards it; returns the output of the build.
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
    const PSYCOPG2: &str = "pip install --no-binary psycopg2 psycopg2";
    let mysqlclient = "pip install --no-binary mysqlclient mysqlclient";
    let addon = "mkdir /app && cd /app && npm install --build-from-source bufferutil@4";
    let compiled = format!("apt-get update && apt-get install -y gcc libpq-dev && {PSYCOPG2}");
    for (image, step) in [
        ("python:3.12", PSYCOPG2),
        ("python:3.13", mysqlclient),
        ("node:22", addon),
        (
            "ruby:3.3",
            "pg_config --version && mysql_config --version && g++ --version",
        ),
        ("python:3.12-slim", &compiled),
    ] {
        build(image, step).unwrap_or_else(|said| panic!("{image}: {said}"));
    }
    let said = build("python:3.12-slim", PSYCOPG2).unwrap_err();
    assert!(said.contains("pg_config executable not found"), "{said}");
}

/// Takes an image out of the registry, where `install` or an earlier test may have put it.
fn forget(repository: &str, tag: &str) {
    let registry = std::env::var("REGISTRY").expect("REGISTRY");
    let url = format!("http://{registry}/v2/{repository}/manifests");
    let curl = |arguments: &[&str], reference: &str| {
        let mut curl = Command::new("curl");
        let manifest = "Accept: application/vnd.oci.image.manifest.v1+json";
        curl.args(["--silent", "--show-error", "--header", manifest]);
        let output = curl.args(arguments).arg(format!("{url}/{reference}"));
        String::from_utf8(output.output().unwrap().stdout).unwrap()
    };
    let head = curl(&["--head"], tag).to_lowercase();
    let digest = head
        .lines()
        .find_map(|line| line.strip_prefix("docker-content-digest: "));
    if let Some(digest) = digest {
        curl(&["--fail", "--request", "DELETE"], digest.trim());
    }
    let head = curl(&["--head"], tag);
    assert!(head.contains(" 404 "), "{head}");
}

#[test]
#[ignore = "needs testbed: buildkit, registry"]
fn an_image_that_the_registry_lacks_is_there_when_it_is_asked_for() {
    forget("library/debian", "bookworm-slim");
    let said = build(
        "docker.io/library/debian:bookworm-slim",
        "cat /etc/debian_version",
    )
    .unwrap();
    assert!(said.contains(" 12."), "{said}");
    let unknown = build("no-such-image:1", "true").unwrap_err();
    assert!(unknown.contains("no-such-image:1"), "{unknown}");
}
