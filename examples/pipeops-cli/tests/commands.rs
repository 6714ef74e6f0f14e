//! The commands that need no server: their JSON shapes and exit codes are what scripts rely on.
#![expect(
    clippy::unwrap_used,
    reason = "a test that panics has failed, as it should"
)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::PostParams;
use kube::{Api, Client, Config};
use pipeops::testkit::buildkit::{BuildkitDaemon, BuildkitOptions};
use pipeops::testkit::git::{GitOptions, GitServer};
use pipeops::testkit::kubernetes::{Cluster, ClusterOptions, PodBehaviour, PullFailure};
use pipeops::testkit::registry::{BaseImage, Registry, RegistryOptions};
use serde_json::{Value, json};
use tempfile::TempDir;

#[test]
fn detect_names_language_evidence_and_start() {
    let dir = tree(&[
        ("requirements.txt", "flask==3.1.0\n"),
        ("app.py", "from flask import Flask\napp = Flask(__name__)\n"),
    ]);
    let found = json("detect .", dir.path(), 0);
    assert_eq!(found["language"], "python");
    assert_eq!(found["framework"], "flask");
    assert_eq!(found["path"], ".");
    assert!(found["confidence"].as_f64().unwrap() > 0.5);
    assert!(
        found["evidence"]
            .as_array()
            .unwrap()
            .iter()
            .any(|said| said["path"] == "requirements.txt")
    );
    for key in ["alternatives", "version", "packageManager", "start", "port"] {
        assert!(found.get(key).is_some(), "{key} is missing: {found}");
    }
}

#[test]
fn the_demo_ends_with_a_complete_rollout() {
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_pipeops"))
        .arg("demo")
        .current_dir(dir.path())
        // Servers of this machine are for other tests.
        .env_clear()
        .env("HOME", dir.path())
        .output()
        .unwrap();
    let text = format!("{output:?}");
    assert!(output.status.success(), "{text}");
    assert!(text.contains("Rollout complete"), "{text}");
}

#[test]
fn an_explicit_language_wins() {
    let dir = tree(&[("package.json", "{}"), ("main.py", "print()")]);
    let found = json("detect --language python .", dir.path(), 0);
    assert_eq!(
        (&found["language"], &found["confidence"]),
        (&json!("python"), &json!(1.0))
    );
}

#[test]
fn nothing_found_is_3_and_a_missing_folder_is_2() {
    let dir = tree(&[("notes.txt", "hello")]);
    let found = json("detect .", dir.path(), 3);
    assert_eq!(found["language"], Value::Null);
    assert_eq!(pipeops("detect missing", dir.path()).status.code(), Some(2));
    assert_eq!(
        pipeops("no-such-command", dir.path()).status.code(),
        Some(2)
    );
}

#[test]
fn dockerfile_args_lists_them_as_written() {
    let dir = tree(&[(
        "Dockerfile",
        "ARG A=1 B\nFROM alpine:${A} AS build\nARG X=1\nARG Y\nONBUILD ARG FOO\n",
    )]);
    let report = json("dockerfile args Dockerfile", dir.path(), 0);
    assert_eq!(
        report,
        json!({
            "escape": "\\", "syntax": null, "meta": ["A=1", "B"],
            "stages": [{ "from": "alpine:${A}", "name": "build", "args": ["X=1", "Y"], "onbuild": ["FOO"] }],
        })
    );
}

#[test]
fn a_dockerfile_that_does_not_parse_is_2_with_its_line() {
    let dir = tree(&[("Dockerfile", "FROM alpine\n\nRUNN true\n")]);
    let error = json("dockerfile args Dockerfile", dir.path(), 2);
    assert_eq!(error["error"]["line"], 3);
    let text = pipeops("dockerfile args Dockerfile", dir.path());
    assert!(
        String::from_utf8_lossy(&text.stderr).contains("RUNN"),
        "{text:?}"
    );
}

#[test]
fn dockerfile_filter_says_why() {
    let dir = tree(&[("Dockerfile", "FROM alpine\nARG WANTED\n")]);
    let arguments = "dockerfile filter Dockerfile --build-arg WANTED=1 --build-arg OTHER=2";
    let filtered = json(arguments, dir.path(), 0);
    let keys = |list: &str| -> Vec<String> {
        let entries = filtered[list].as_array().unwrap();
        entries
            .iter()
            .map(|entry| entry["key"].as_str().unwrap().to_owned())
            .collect()
    };
    assert!(keys("kept").contains(&"WANTED".to_owned()));
    assert_eq!(keys("dropped"), ["OTHER"]);
    assert!(!filtered["dropped"][0]["why"].as_str().unwrap().is_empty());
}

#[test]
fn dockerfile_generate_writes_once_and_overwrites_nothing() {
    let dir = tree(&[("app.py", "print()"), (".dockerignore", "mine\n")]);
    let first = pipeops("dockerfile generate --write .", dir.path());
    assert!(first.status.success(), "{first:?}");
    let written = fs::read_to_string(dir.path().join("Dockerfile")).unwrap();
    assert!(
        written.contains("FROM ") && written.contains("USER "),
        "{written}"
    );
    assert_eq!(
        fs::read_to_string(dir.path().join(".dockerignore")).unwrap(),
        "mine\n"
    );
}

#[test]
fn a_dockerignore_of_another_dockerfile_is_replaced_for_the_generated_one() {
    let own = "*\n!gate-linux-*\n";
    let dir = tree(&[
        ("go.mod", "module example.com/gate\ngo 1.24\n"),
        ("main.go", "package main\nfunc main() {}\n"),
        (".dockerignore", own),
    ]);
    let said = text("dockerfile generate --write .", dir.path());
    assert!(said.contains("wrote ./Dockerfile.dockerignore"), "{said}");
    let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
    assert_eq!(read(".dockerignore"), own);
    let written = read("Dockerfile.dockerignore");
    assert!(
        written.contains("**/.env\n") && !written.contains("\n*\n"),
        "{written}"
    );
}

#[test]
fn manifests_are_a_yaml_stream_that_ends_with_the_workload() {
    let dir = tree(&[("secret", "hunter2\n")]);
    let image = format!(
        "registry.example.com/shop:4f2c9ab@sha256:{}",
        "a".repeat(64)
    );
    let arguments =
        format!("manifests --name shop --image {image} --env LOG=info --secret-file KEY=secret");
    let text = text(&arguments, dir.path());
    let documents: Vec<&str> = text
        .split("---\n")
        .filter(|document| !document.is_empty())
        .collect();
    assert!(
        documents.last().unwrap().contains("kind: Deployment"),
        "{text}"
    );
    assert!(
        !text.contains("hunter2") && !text.contains("aHVudGVyMg"),
        "a secret was printed"
    );
}

#[test]
fn app_files_in_yaml_and_json_write_variants_as_keys() {
    let image = format!("registry.example.com/shop:1@sha256:{}", "a".repeat(64));
    let app = format!("name: shop\nnamespace: shop\nrevision: r1\nimage: {image}\n");
    let dir = tree(&[("app.yaml", &app)]);
    for (health, expected) in [
        ("{http: {path: /up}}", "path: /up"),
        (r#"{"http": {"path": "/up"}}"#, "path: /up"),
        ("{exec: {command: [check]}}", "- check"),
        ("tcp", "tcpSocket:"),
        ("none", "kind: Deployment"),
    ] {
        fs::write(
            dir.path().join("app.yaml"),
            format!("{app}health: {health}\n"),
        )
        .unwrap();
        let text = text("manifests -f app.yaml", dir.path());
        assert!(text.contains(expected), "{health}: {text}");
    }
}

#[test]
fn all_that_is_wrong_with_an_app_is_said_at_once() {
    let dir = tree(&[]);
    let arguments = "manifests --name Bad_Name --image registry.example.com/shop:1 --replicas 0";
    let output = pipeops(arguments, dir.path());
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("name") && text.contains("digest"), "{text}");
}

#[test]
fn a_project_is_created_shown_and_completed() {
    let dir = tree(&[("token", "s3cr3t-token\n")]);
    let run = |arguments: &str| pipeops(&format!("--data data -o json {arguments}"), dir.path());
    let created = run("project create shop --repository https://git.example.com/a/shop.git");
    let missing = &json_of(&created, 0)["missing"];
    assert!(
        !missing.as_array().unwrap().is_empty(),
        "the image is missing: {created:?}"
    );
    let login = "--registry-username ci --registry-password-file token";
    let image = "--image registry.example.com/a/shop";
    let updated = run(&format!("project registry update shop {login} {image}"));
    assert_eq!(json_of(&updated, 0)["missing"], json!([]));
    assert!(
        !String::from_utf8_lossy(&updated.stdout).contains("s3cr3t"),
        "a secret was printed"
    );
    assert_eq!(json_of(&run("project list"), 0)[0]["name"], "shop");
    assert_eq!(run("project show other").status.code(), Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn base_images_are_pinned_to_what_their_registry_has() {
    let registry = Registry::start(RegistryOptions::default()).await.unwrap();
    let mirror = json!({ "mirrors": { "docker.io": registry.host() } }).to_string();
    let dir = tree(&[("index.html", "hello"), ("images.json", &mirror)]);
    let generate = "dockerfile generate --base-images images.json";
    let pinned = "dockerfile generate --base-images images.json --pin";

    let missing = pipeops(pinned, dir.path());
    let said = String::from_utf8_lossy(&missing.stderr).into_owned();
    assert_eq!(missing.status.code(), Some(3), "{said}");
    assert!(said.contains("Base image not found"), "{said}");

    let plain = text(generate, dir.path());
    let from = plain
        .lines()
        .find(|line| line.starts_with("FROM "))
        .unwrap();
    let name = from.strip_prefix(&format!("FROM {}/", registry.host()));
    let (repository, tag) = name.and_then(|name| name.rsplit_once(':')).unwrap();
    let digest = registry.seed(repository, tag, &BaseImage::new()).unwrap();
    assert_eq!(
        text(pinned, dir.path()),
        plain.replace(from, &format!("{from}@{digest}"))
    );
}

#[test]
fn explain_prints_pages_and_suggests_near_codes() {
    let dir = tree(&[]);
    let text = |arguments: &str| text(arguments, dir.path());
    let page = text("explain image-pull/auth");
    assert!(page.starts_with("image-pull/auth: "), "{page}");
    assert!(
        page.ends_with("\nRun: pipeops project registry update PROJECT\n"),
        "{page}"
    );
    assert!(text("explain").contains("\n\nimage-pull/"));
    assert!(text("explain imagepullbackoff").contains("image-pull/auth "));

    let all = json("explain", dir.path(), 0);
    let one = json("explain image-pull/auth", dir.path(), 0);
    assert!(all.as_array().unwrap().contains(&one), "{one}");

    let unknown = pipeops("-o json explain image-pul/auth", dir.path());
    let error = &json_of(&unknown, 3)["error"];
    assert_eq!(error["code"], "cli/no-such-code");
    assert!(
        error["fixes"][0]
            .as_str()
            .unwrap()
            .contains("image-pull/auth"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_image_pull_is_explained_with_the_command() {
    let cluster = Cluster::start(ClusterOptions::default()).await.unwrap();
    cluster.behaviour("*", PodBehaviour::pull_fails(PullFailure::Unauthorized));
    let dir = tree(&[("kubeconfig", &cluster.kubeconfig())]);
    let labels = json!({ "app": "shop", "app.kubernetes.io/managed-by": "pipeops" });
    let deployment = json!({
        "metadata": { "name": "shop", "labels": labels },
        "spec": {
            "selector": { "matchLabels": { "app": "shop" } },
            "template": {
                "metadata": { "labels": labels },
                "spec": { "containers": [{ "name": "shop", "image": "registry/app:abc123" }] },
            },
        },
    });
    let client = Client::try_from(Config::new(cluster.url().parse().unwrap())).unwrap();
    Api::<Deployment>::default_namespaced(client)
        .create(
            &PostParams::default(),
            &serde_json::from_value(deployment).unwrap(),
        )
        .await
        .unwrap();

    let block = "❌ Deployment failed: ImagePullBackOff\n\n\
                 Error: Failed to pull image \"registry/app:abc123\"\n\
                 Reason: authentication required\n\n\
                 Fix:\n\
                 1. Verify registry credentials in project settings\n\
                 2. Ensure image tag exists in registry\n\
                 3. Check registry is accessible from cluster\n\n\
                 Run: pipeops project registry update shop\n";
    let mut text = String::new();
    for _ in 0..600 {
        let output = Command::new(env!("CARGO_BIN_EXE_pipeops"))
            .args(["rollout", "status", "shop", "--namespace", "default"])
            .env_clear()
            .env("KUBECONFIG", dir.path().join("kubeconfig"))
            .output()
            .unwrap();
        text = format!("{}", String::from_utf8_lossy(&output.stdout));
        if text.contains(block) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn deploy_finds_the_commit_that_is_meant() {
    let git = GitServer::start(GitOptions::default()).await.unwrap();
    let repository = git.create("team/shop");
    let files = [("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n")];
    let old = repository.commit(&files, "First").unwrap();
    let newer = [files[0], ("a", "2")];
    let new = repository.commit(&newer, "Second").unwrap();
    repository.tag("v1", &old).unwrap();

    let registry = Registry::start(RegistryOptions::default()).await.unwrap();
    let buildkit = BuildkitDaemon::start(BuildkitOptions::default());
    let (buildkit, cluster) = (
        buildkit.await.unwrap(),
        Cluster::start(ClusterOptions::default()),
    );
    let cluster = cluster.await.unwrap();
    let dir = tree(&[("kubeconfig", &cluster.kubeconfig())]);
    let run = |folder: &Path, arguments: &str| {
        Command::new(env!("CARGO_BIN_EXE_pipeops"))
            .args(["--output", "json"])
            .args(arguments.split_whitespace())
            .current_dir(folder)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", dir.path())
            .env("PIPEOPS_DATA", dir.path().join("data"))
            .env("BUILDKIT_HOST", buildkit.address())
            .env("KUBECONFIG", dir.path().join("kubeconfig"))
            .output()
            .unwrap()
    };
    let image = format!("{}/team/shop", registry.host());
    let create = format!(
        "project create shop --image {image} --repository {}",
        repository.url()
    );
    json_of(&run(dir.path(), &create), 0);
    let deployed = |folder: &Path, arguments: &str| {
        let output = run(folder, &format!("deploy shop {arguments}"));
        let text = String::from_utf8(output.stdout.clone()).unwrap();
        let first: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        assert!(output.status.success(), "{text}");
        first["commit"].as_str().unwrap().to_owned()
    };
    assert_eq!(deployed(dir.path(), ""), new, "the head of the branch");
    assert_eq!(deployed(dir.path(), "--commit v1"), old);
    assert_eq!(
        deployed(dir.path(), &format!("--commit {}", &new[..7])),
        new
    );

    let checkout = dir.path().join("checkout");
    let cloned = Command::new("git")
        .args(["clone", "--quiet", "--branch", "v1", repository.url()])
        .arg(&checkout)
        .output()
        .unwrap();
    assert!(cloned.status.success(), "{cloned:?}");
    assert_eq!(deployed(&checkout, ""), old, "the HEAD of the checkout");

    let unknown = json_of(&run(dir.path(), "deploy shop --commit mian"), 3);
    let error = unknown["error"].to_string();
    assert!(
        error.contains(repository.url()) && error.contains("mian"),
        "{error}"
    );
    assert!(
        unknown["error"]["fixes"][0]
            .as_str()
            .unwrap()
            .contains("main"),
        "{error}"
    );
}

fn tree(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in files {
        fs::write(dir.path().join(path), text).unwrap();
    }
    dir
}

/// Runs a command line without quotes.
fn pipeops(arguments: &str, dir: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pipeops"))
        .args(arguments.split_whitespace())
        .current_dir(dir)
        .env_clear()
        .output()
        .unwrap()
}

/// What a successful command prints.
fn text(arguments: &str, dir: &Path) -> String {
    let output = pipeops(arguments, dir);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// What a command prints as JSON. It must end with this code.
fn json(arguments: &str, dir: &Path, code: i32) -> Value {
    json_of(&pipeops(&format!("-o json {arguments}"), dir), code)
}

fn json_of(output: &Output, code: i32) -> Value {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}
