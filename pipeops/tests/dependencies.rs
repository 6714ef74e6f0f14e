//! Crates depend on each other only as ARCHITECTURE.md draws it, and the dependency tree keeps its promises.
#![expect(
    clippy::unwrap_used,
    reason = "a test that panics has failed, as it should"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Each crate of the workspace and the crates of the workspace that it may depend on, tests and examples aside.
const DEPENDENCIES: &[(&str, &[&str])] = &[
    ("pipeops-core", &[]),
    ("pipeops-dockerfile", &["pipeops-core"]),
    ("pipeops-detect", &["pipeops-core", "pipeops-dockerfile"]),
    ("pipeops-testkit", &["pipeops-core", "pipeops-dockerfile"]),
    ("pipeops-buildkit", &["pipeops-core", "pipeops-dockerfile"]),
    ("pipeops-registry", &["pipeops-core"]),
    ("pipeops-manifest", &["pipeops-core"]),
    ("pipeops-rollout", &["pipeops-core"]),
    (
        "pipeops-runner",
        &[
            "pipeops-core",
            "pipeops-detect",
            "pipeops-dockerfile",
            "pipeops-registry",
            "pipeops-manifest",
            "pipeops-rollout",
        ],
    ),
    (
        "pipeops",
        &[
            "pipeops-core",
            "pipeops-detect",
            "pipeops-dockerfile",
            "pipeops-buildkit",
            "pipeops-registry",
            "pipeops-manifest",
            "pipeops-rollout",
            "pipeops-runner",
            "pipeops-testkit",
        ],
    ),
    ("pipeops-cli", &["pipeops"]),
    ("testbed", &[]),
];

/// Crates in the tree of `cargo add pipeops-core`, itself included: it is compiled by everybody.
const MOST_IN_CORE: usize = 15;

/// One TLS provider (ring), one runtime (tokio): these must not be anywhere.
const NOWHERE: &[&str] = &[
    "aws-lc-rs",
    "aws-lc-sys",
    "openssl-sys",
    "native-tls",
    "async-std",
    "smol",
];

#[test]
fn crates_depend_on_each_other_as_the_architecture_draws() {
    let metadata = metadata();
    let allowed: BTreeMap<&str, &[&str]> = DEPENDENCIES.iter().copied().collect();
    for package in members(&metadata) {
        let name = text(package, "name");
        let allowed = allowed
            .get(name)
            .unwrap_or_else(|| panic!("{name} is missing from DEPENDENCIES"));
        for dependency in package["dependencies"].as_array().unwrap() {
            let to = text(dependency, "name");
            let inside = DEPENDENCIES.iter().any(|(known, _)| *known == to);
            let for_tests = dependency["kind"] == "dev";
            assert!(
                !inside || for_tests || allowed.contains(&to),
                "{name} must not depend on {to}"
            );
        }
    }
}

#[test]
fn core_stays_small() {
    let tree = normal_dependencies("pipeops-core");
    assert!(
        tree.len() <= MOST_IN_CORE,
        "pipeops-core has {} crates: {tree:?}",
        tree.len()
    );
}

#[test]
fn registries_and_rollouts_do_not_compile_the_detector() {
    for name in ["pipeops-registry", "pipeops-rollout", "pipeops-manifest"] {
        let tree = normal_dependencies(name);
        for other in ["pipeops-detect", "pipeops-dockerfile"] {
            assert!(!tree.contains(other), "{name} depends on {other}");
        }
    }
}

#[test]
fn there_is_one_tls_provider_and_one_runtime() {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().unwrap();
    let found: Vec<&str> = packages
        .iter()
        .map(|p| text(p, "name"))
        .filter(|name| NOWHERE.contains(name))
        .collect();
    assert!(found.is_empty(), "the tree has {found:?}");
}

/// Clippy checks our own code against `rust-version` (`incompatible_msrv`); this checks what we depend on.
#[test]
fn no_dependency_wants_a_newer_rust_than_we_promise() {
    let metadata = metadata();
    let promised = members(&metadata)
        .map(|p| version(text(p, "rust_version")))
        .min()
        .unwrap();
    for package in metadata["packages"].as_array().unwrap() {
        let Some(wanted) = package["rust_version"].as_str() else {
            continue;
        };
        assert!(
            version(wanted) <= promised,
            "{} wants Rust {wanted}",
            text(package, "name")
        );
    }
}

fn metadata() -> Value {
    // For this platform only: crates of other platforms need not have been fetched.
    let output = cargo(&[
        "metadata",
        "--format-version=1",
        "--locked",
        "--filter-platform",
        &host(),
    ]);
    serde_json::from_slice(&output).unwrap()
}

fn host() -> String {
    let version = String::from_utf8(cargo(&["-vV"])).unwrap();
    version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .unwrap()
        .to_owned()
}

fn members(metadata: &Value) -> impl Iterator<Item = &Value> {
    let ids: BTreeSet<&str> = metadata["workspace_members"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .filter(move |package| ids.contains(text(package, "id")))
}

fn normal_dependencies(package: &str) -> BTreeSet<String> {
    let output = cargo(&[
        "tree", "--locked", "-p", package, "-e", "normal", "--prefix", "none", "-f", "{lib}",
    ]);
    String::from_utf8(output)
        .unwrap()
        .lines()
        .map(|line| line.trim_end_matches(" (*)").replace('_', "-"))
        .collect()
}

fn cargo(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key]
        .as_str()
        .unwrap_or_else(|| panic!("no {key} in {value}"))
}

/// `1.90` or `1.90.1` as numbers that compare.
fn version(text: &str) -> Vec<u32> {
    let mut parts: Vec<u32> = text.split('.').map(|part| part.parse().unwrap()).collect();
    parts.resize(3, 0);
    parts
}
