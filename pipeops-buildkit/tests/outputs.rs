//! Results that a real daemon sends back, and what its frontend is told.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::{Command, Stdio};

use common::{Context, Recorder, Sink, env, registry_get, registry_json, run, unique};
use pipeops_buildkit::{
    AnnotationLevel, Compression, Error, ImageOptions, NamedContext, Network, Output, OutputTarget,
    Provenance, Solve,
};
use pipeops_core::Diagnose;
use pipeops_core::build::DockerfileSource;
use pipeops_core::event::{Discard, EventKind};
use tokio_util::task::AbortOnDropHandle;

/// A tree with what archives and folders must keep.
const TREE: &str = "FROM busybox AS made\nRUN mkdir -p /r/d/e && cd /r && echo text > d/a && chmod 4750 d/a && ln d/a d/hard \
    && ln -s ../../etc/passwd d/link && mkfifo pipe && touch -d '2003-02-01 04:05:06' d/a && chmod 555 d/e \
    && dd if=/dev/zero of=big bs=1M count=5\nFROM scratch\nCOPY --from=made /r /\n";

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn a_folder_gets_the_tree_and_keeps_what_it_had() {
    let out = tempfile::tempdir().unwrap();
    std::fs::write(out.path().join("mine"), "kept").unwrap();
    let context = Context::new(&[("Dockerfile", TREE)]);
    let solve = Solve::new(context.request())
        .without_push()
        .output(Output::local(out.path()));
    let events = Recorder::default();
    let solved = run(solve, &events).await.unwrap();
    let written = solved.outputs[0];
    assert_eq!(
        (written.files, written.bytes, written.skipped),
        (3, 5 + (5 << 20), 1),
        "{written:?}"
    );
    let at = |path: &str| out.path().join(path);
    let a = std::fs::metadata(at("d/a")).unwrap();
    assert_eq!(
        (a.mode() & 0o7777, a.mtime(), a.size()),
        (0o750, 1_044_072_306, 5),
        "no setuid"
    );
    assert_eq!(a.ino(), std::fs::metadata(at("d/hard")).unwrap().ino());
    assert_eq!(
        std::fs::read_link(at("d/link")).unwrap().to_str(),
        Some("../../etc/passwd")
    );
    assert_eq!(
        std::fs::metadata(at("d/e")).unwrap().permissions().mode() & 0o777,
        0o555
    );
    assert_eq!(std::fs::read_to_string(at("mine")).unwrap(), "kept");
    let moved = events
        .all()
        .into_iter()
        .any(|event| matches!(event, EventKind::Transfer { current, .. } if current > 0));
    assert!(moved, "its progress is shown");
}

/// The names in a tar archive.
fn names(archive: &[u8]) -> Vec<String> {
    let (mut names, mut at) = (Vec::new(), 0);
    while archive.get(at).is_some_and(|byte| *byte != 0) {
        let field = |from: usize, length: usize| {
            let text = &archive[at + from..at + from + length];
            String::from_utf8_lossy(text.split(|byte| *byte == 0).next().unwrap()).into_owned()
        };
        let size = usize::from_str_radix(field(124, 12).trim(), 8).unwrap();
        names.push(field(0, 100));
        at += 512 + size.div_ceil(512) * 512;
    }
    names
}

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn an_image_is_pushed_and_written_in_every_form_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let context = Context::new(&[("Dockerfile", TREE)]);
    let request = context.request();
    let sink = Sink::default();
    let solve = Solve::new(request.clone())
        .output(Output::tar(OutputTarget::writer(sink.clone())))
        .output(Output::oci(dir.path().join("oci.tar")))
        .output(Output::docker(dir.path().join("docker.tar")))
        .output(Output::local(dir.path().join("tree")));
    let solved = run(solve, &Discard).await.unwrap();
    let pushed = registry_get(&format!("{}/manifests/1", request.image.repository()))
        .await
        .0;
    assert_eq!(
        pushed.as_deref(),
        solved.digest.as_ref().map(|digest| digest.as_str())
    );

    let tar = sink.bytes();
    assert!(names(&tar).contains(&"d/a".to_owned()), "{:?}", names(&tar));
    assert_eq!(solved.outputs[0].bytes, tar.len() as u64);
    let oci = names(&std::fs::read(dir.path().join("oci.tar")).unwrap());
    assert!(
        oci.contains(&"index.json".to_owned()) && !oci.contains(&"d/a".to_owned()),
        "{oci:?}"
    );
    let docker = names(&std::fs::read(dir.path().join("docker.tar")).unwrap());
    assert!(docker.contains(&"manifest.json".to_owned()), "{docker:?}");
    assert!(dir.path().join("tree/d/a").exists());
    assert_eq!(
        solved
            .outputs
            .iter()
            .map(|written| written.files)
            .collect::<Vec<_>>(),
        [1, 1, 1, 3]
    );
    assert_eq!(
        std::fs::read_dir(dir.path()).unwrap().count(),
        3,
        "no partial file is left"
    );
}

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn a_result_that_cannot_be_written_is_our_error_and_names_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("missing/out.tar");
    let context = Context::new(&[("Dockerfile", TREE)]);
    let solve = Solve::new(context.request())
        .without_push()
        .output(Output::tar(path.as_path()));
    let error = run(solve, &Discard).await.unwrap_err();
    assert!(
        matches!(&error, Error::Output { path: named, .. } if *named == path.display().to_string()),
        "{error:?}"
    );
    assert!(error.diagnosis().to_string().contains("OutputNotWritten"));

    std::fs::create_dir_all(dir.path().join("tree/big/x")).unwrap();
    let solve = Solve::new(context.request())
        .without_push()
        .output(Output::local(dir.path().join("tree")));
    let error = run(solve, &Discard).await.unwrap_err();
    assert!(
        matches!(&error, Error::Output { path, .. } if path.ends_with("tree/big")),
        "{error:?}"
    );
}

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn an_image_is_written_as_its_options_say() {
    let context = Context::new(&[("Dockerfile", TREE)]);
    let mut request = context.request();
    request.commit_time = Some("2026-01-02T03:04:05Z".parse().unwrap());
    let second = format!("{}/{}:2", env("REGISTRY"), unique("bk"));
    let options = ImageOptions::default()
        .name(second.parse().unwrap())
        .compression(Compression::Zstd)
        .compression_level(1)
        .force_compression()
        .rewrite_timestamp()
        .annotation(AnnotationLevel::Manifest, "org.example.a", "1,2")
        .annotation(AnnotationLevel::Index, "org.example.b", "3");
    let solve = Solve::new(request.clone())
        .image(options)
        .provenance(Provenance::Min);
    let solved = run(solve, &Discard).await.unwrap();
    let repository = request.image.repository().to_owned();
    let (digest, index) = registry_json(&format!("{repository}/manifests/1")).await;
    assert_eq!(
        digest.as_deref(),
        solved.digest.as_ref().map(|digest| digest.as_str())
    );
    assert_eq!(index["annotations"]["org.example.b"], "3");
    assert_eq!(
        index["manifests"].as_array().unwrap().len(),
        2,
        "the image and its provenance: {index}"
    );
    let first = index["manifests"][0]["digest"].as_str().unwrap().to_owned();
    let (_, manifest) = registry_json(&format!("{repository}/manifests/{first}")).await;
    assert_eq!(manifest["annotations"]["org.example.a"], "1,2");
    assert!(
        manifest["layers"][0]["mediaType"]
            .as_str()
            .unwrap()
            .ends_with("+zstd"),
        "{manifest}"
    );
    let name = second
        .split_once('/')
        .unwrap()
        .1
        .trim_end_matches(":2")
        .to_owned();
    assert_eq!(registry_get(&format!("{name}/manifests/2")).await.0, digest);
}

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn an_image_without_a_tag_is_pushed_by_digest() {
    let context = Context::new(&[("Dockerfile", TREE)]);
    let request = context.request();
    let solve = Solve::new(request.clone()).image(ImageOptions::default().push_by_digest());
    let solved = run(solve, &Discard).await.unwrap();
    let digest = solved.digest.unwrap();
    let repository = request.image.repository();
    registry_get(&format!("{repository}/manifests/{}", digest.as_str())).await;
    let tags = common::http()
        .get(format!(
            "http://{}/v2/{repository}/tags/list",
            env("REGISTRY")
        ))
        .send()
        .await
        .unwrap();
    assert!(!tags.text().await.unwrap().contains("\"1\""));
}

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn steps_run_as_the_options_say() {
    let other = Context::new(&[
        ("said", "from the named folder\n"),
        ("ignored", ""),
        (".dockerignore", "ignored\n"),
    ]);
    let dockerfile = "FROM busybox AS always\nRUN head -c 8 /dev/urandom | od -An -tx1\nFROM base\nCOPY --from=other / /o\nCOPY --from=always /bin/true /t\n\
        RUN cat /o/said; ls /o; grep -c 10.1.2.3 /etc/hosts; df -k /dev/shm | awk 'END{print $2}'; ulimit -n; hostname; ls /sys/class/net | wc -l\n";
    let dockerfile = dockerfile.replace("RUN cat", &format!("RUN : {} && cat", unique("run")));
    let context = Context::new(&[("Dockerfile", &dockerfile)]);
    let solve = || {
        Solve::new(context.request())
            .without_push()
            .no_cache_stage("always")
            .context(
                "base",
                NamedContext::Image("docker.io/library/busybox:latest".parse().unwrap()),
            )
            .context("other", NamedContext::Folder(other.path().to_owned()))
            .add_host("db", "10.1.2.3".parse().unwrap())
            .shm_size(8 << 20)
            .ulimit("nofile", 321, 654)
            .hostname("builder-7")
            .network(Network::None)
    };
    let events = Recorder::default();
    run(solve(), &events).await.unwrap();
    let logs = events.logs();
    assert_eq!(
        &logs[1..],
        [
            "from the named folder",
            "said",
            "1",
            "8192",
            "321",
            "builder-7",
            "1"
        ],
        "{logs:?}"
    );
    // Only the named stage runs again; what comes of it is the same.
    let again = Recorder::default();
    run(solve(), &again).await.unwrap();
    assert_eq!(again.logs().len(), 1, "{:?}", again.logs());
    assert_ne!(again.logs()[0], logs[0]);
}

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn a_step_talks_to_the_agent_that_it_may_use() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("agent.sock");
    let _agent = tokio::net::UnixListener::bind(&socket).unwrap();
    // Busybox has no client of such sockets: what goes through one is tested beside the service.
    let ask = "RUN --mount=type=ssh,id=deploy,required=true ls -l $SSH_AUTH_SOCK | cut -c1\n";
    let context = Context::new(&[("Dockerfile", &format!("FROM busybox\n{ask}"))]);
    let solve = || Solve::new(context.fresh_request()).without_push();
    let events = Recorder::default();
    let agent = solve().ssh_agent("deploy", &socket);
    run(agent, &events).await.unwrap();
    assert_eq!(events.logs()[0], "s", "{:?}", events.logs());
    let error = run(solve(), &Discard).await.unwrap_err();
    assert!(error.to_string().contains("ssh"), "{error}");
}

/// Asks the agent for its keys and a signature by the first one, and prints both.
#[cfg(feature = "ssh-keys")]
const SIGN: &str = r#"
import os, socket, struct
text = lambda bytes: struct.pack(">I", len(bytes)) + bytes
agent = socket.socket(socket.AF_UNIX)
agent.connect(os.environ["SSH_AUTH_SOCK"])
answers = agent.makefile("rb")
def ask(message):
    agent.sendall(text(message))
    return answers.read(struct.unpack(">I", answers.read(4))[0])
length = lambda at: struct.unpack(">I", at[:4])[0]
keys = ask(bytes([11]))[5:]
key = keys[4:4 + length(keys)]
signature = ask(bytes([13]) + text(key) + text(b"data") + bytes(4))[5:]
print(key[-32:].hex())
print(signature[-64:].hex())
"#;

#[cfg(feature = "ssh-keys")]
#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn a_step_signs_with_a_key_of_this_process() {
    use ring::signature::{ED25519, UnparsedPublicKey};

    let key = include_str!("../src/session/ssh/testdata/ed25519");
    let run_it =
        "FROM python:3.13\nCOPY sign.py /\nRUN --mount=type=ssh,required=true python /sign.py\n";
    let context = Context::new(&[("Dockerfile", run_it), ("sign.py", SIGN)]);
    let solve = Solve::new(context.fresh_request()).without_push();
    let events = Recorder::default();
    run(solve.ssh_key("default", &key.into()).unwrap(), &events)
        .await
        .unwrap();
    let bytes = |hex: &String| -> Vec<u8> {
        let pairs = hex.as_bytes().chunks(2);
        let digits = pairs.map(|pair| std::str::from_utf8(pair).unwrap());
        digits
            .map(|pair| u8::from_str_radix(pair, 16).unwrap())
            .collect()
    };
    let [public, signature] = &events.logs()[..] else {
        panic!("{:?}", events.logs())
    };
    let public = UnparsedPublicKey::new(&ED25519, bytes(public));
    public.verify(b"data", &bytes(signature)).unwrap();
}

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn a_stream_is_a_named_context() {
    let text = unique("streamed").repeat(30_000);
    let dockerfile =
        "FROM busybox\nCOPY --from=sent context /sent\nRUN wc -c < /sent; head -c 8 /sent\n";
    let context = Context::new(&[("Dockerfile", dockerfile)]);
    let stream = std::io::Cursor::new(text.clone().into_bytes());
    let solve = Solve::new(context.request())
        .without_push()
        .context_stream("sent", stream);
    let events = Recorder::default();
    run(solve.clone(), &events).await.unwrap();
    assert_eq!(
        events.logs(),
        [text.len().to_string(), "streamed".to_owned()]
    );
    let error = run(solve, &Discard).await.unwrap_err();
    assert!(error.to_string().contains("earlier attempt"), "{error}");
}

/// What `docker build - < context.tar` does.
#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn an_archive_is_the_whole_context() {
    let text = unique("archived");
    let mut tar = tar::Builder::new(Vec::new());
    let dockerfile = "FROM busybox\nCOPY own /own\nRUN cat /own\n";
    for (path, content) in [("app/Dockerfile", dockerfile), ("own", &text)] {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len().try_into().unwrap());
        header.set_mode(0o644);
        tar.append_data(&mut header, path, content.as_bytes())
            .unwrap();
    }
    let tar = tar.into_inner().unwrap();
    let nowhere = Context::new(&[]);
    let build = |dockerfile| {
        let mut request = nowhere.request();
        request.dockerfile = dockerfile;
        let archive = std::io::Cursor::new(tar.clone());
        Solve::new(request).without_push().archive_context(archive)
    };
    let events = Recorder::default();
    let own = DockerfileSource::Path("app/Dockerfile".into());
    run(build(own), &events).await.unwrap();
    assert_eq!(events.logs(), [text.as_str()]);
    let events = Recorder::default();
    let inline = DockerfileSource::Inline("FROM busybox\nCOPY own /\nRUN rev /own\n".into());
    run(build(inline), &events).await.unwrap();
    let reversed: String = text.chars().rev().collect();
    assert_eq!(events.logs(), [reversed]);
}

/// Serves the repositories in a folder until it is dropped. It has its port from the beginning, and starts git's own server for
/// each connection.
struct GitServer {
    port: u16,
    _accepting: AbortOnDropHandle<()>,
}

impl GitServer {
    async fn start(folder: &std::path::Path) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        // Not by way of `git`, whose child would outlive it.
        let git = Command::new("git").arg("--exec-path").output();
        let tools = String::from_utf8(git.unwrap().stdout).unwrap();
        let server = format!("{}/git-daemon", tools.trim());
        let base = format!("--base-path={}", folder.display());
        let accepting = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let connection = connection.into_std().unwrap();
                connection.set_nonblocking(false).unwrap();
                let mut child = Command::new(&server)
                    .args(["--inetd", "--log-destination=none", "--export-all", &base])
                    .stdin(OwnedFd::from(connection.try_clone().unwrap()))
                    .stdout(OwnedFd::from(connection))
                    .stderr(Stdio::null())
                    .spawn()
                    .unwrap();
                // It ends with its connection.
                std::thread::spawn(move || child.wait());
            }
        });
        Self {
            port,
            _accepting: AbortOnDropHandle::new(accepting),
        }
    }
}

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn a_repository_is_the_whole_context_or_a_named_one() {
    let text = unique("cloned");
    let repository = Context::new(&[
        (
            "app/Dockerfile",
            "FROM busybox\nCOPY own /own\nRUN cat /own\n",
        ),
        ("app/own", &text),
    ]);
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .current_dir(repository.path())
            .args(["-c", "user.name=t", "-c", "user.email=t@t"])
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    git(&["init", "--quiet", "--initial-branch=main"]);
    git(&["add", "."]);
    git(&["commit", "--quiet", "--message=first"]);
    let server = GitServer::start(repository.path().parent().unwrap()).await;
    let name = repository.path().file_name().unwrap().to_str().unwrap();
    let address = format!("git://127.0.0.1:{}/{name}/.git#main:app", server.port);

    let nowhere = Context::new(&[]);
    let solve = Solve::new(nowhere.fresh_request()).without_push();
    let events = Recorder::default();
    run(solve.git_context(&address), &events).await.unwrap();
    // Before it, git says what it fetches.
    assert_eq!(events.logs().last(), Some(&text));

    let dockerfile = "FROM busybox\nCOPY --from=src own /own\nRUN cat /own\n";
    let context = Context::new(&[("Dockerfile", dockerfile)]);
    let solve = Solve::new(context.fresh_request()).without_push();
    let events = Recorder::default();
    run(solve.context("src", NamedContext::Git(address)), &events)
        .await
        .unwrap();
    assert_eq!(events.logs().last(), Some(&text));
}
