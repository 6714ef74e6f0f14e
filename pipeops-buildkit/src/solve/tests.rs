use jiff::Timestamp;
use pipeops_core::build::{BuildCache, DockerfileSource, S3Cache};
use pipeops_core::{BuildRequest, ImageRef, SecretString};

use super::context::NamedContext;
use super::files::Files;
use super::frontend::{Network, Provenance, ResolveMode};
use super::options::Solve;
use super::prepare::Prepared;
use crate::error::Error;

fn request(dir: &tempfile::TempDir) -> BuildRequest {
    std::fs::write(dir.path().join("Dockerfile"), "FROM scratch").unwrap();
    BuildRequest::new(dir.path(), "reg.io/team/app:1".parse().unwrap())
}

fn prepare(change: impl FnOnce(&mut BuildRequest)) -> Result<Prepared, Error> {
    let dir = tempfile::tempdir().unwrap();
    let mut request = request(&dir);
    change(&mut request);
    Solve::new(request).prepare()
}

#[test]
fn a_request_becomes_attributes_of_frontend_and_exporter() {
    let prepared = prepare(|request| {
        request.build_args.insert("A".into(), "1".into());
        request.labels.insert("l".into(), "2".into());
        request.target = Some("prod".into());
        request.platforms = vec!["linux/amd64".into(), "linux/arm64".into()];
        request.commit_time = Some(Timestamp::from_second(1_700_000_000).unwrap());
        request.no_cache = true;
    })
    .unwrap();
    let attributes = &prepared.request.frontend_attrs;
    for (key, value) in [
        ("filename", "Dockerfile"),
        ("build-arg:A", "1"),
        ("label:l", "2"),
        ("target", "prod"),
        ("platform", "linux/amd64,linux/arm64"),
        ("no-cache", ""),
    ] {
        assert_eq!(attributes[key], value);
    }
    let exporter = &prepared.request.exporters[0];
    assert_eq!(exporter.attrs["name"], "reg.io/team/app:1");
    assert_eq!(exporter.attrs["source-date-epoch"], "1700000000");
    assert!(!attributes.contains_key("build-arg:SOURCE_DATE_EPOCH"));
    assert_eq!(prepared.shared_key, "reg.io/team/app");
    assert!(!prepared.request.internal);
}

#[test]
fn a_request_with_keys_stays_out_of_the_daemons_history() {
    let prepared = prepare(|request| {
        let mut s3 = S3Cache::new("b", "r", "n");
        s3.keys = Some(("key-id".into(), SecretString::from("key-secret")));
        request.cache_from = vec![BuildCache::S3(s3)];
    })
    .unwrap();
    assert!(prepared.request.internal);
    assert_eq!(prepared.redactor.clean("a key-secret b"), "a [redacted] b");
}

#[test]
fn secrets_in_build_arguments_are_not_shown() {
    let prepared = prepare(|request| {
        *request = request.clone().build_arg("NPM_TOKEN", "npm_12345");
    })
    .unwrap();
    assert_eq!(prepared.redactor.clean("npm_12345"), "[redacted]");
    assert!(
        prepared.request.internal,
        "the daemon's history would show it"
    );
}

#[test]
fn what_cannot_be_built_is_refused_before_any_daemon_is_asked() {
    type Change = fn(&mut BuildRequest);
    let refused: [(&str, Change); 7] = [
        ("no tag", |request| {
            request.image = "reg.io/app".parse().unwrap()
        }),
        ("digest", |request| {
            let digest = format!("sha256:{}", "a".repeat(64)).parse().unwrap();
            request.image = request.image.with_digest(digest);
        }),
        ("not a valid name", |request| {
            drop(request.build_args.insert("A=B".into(), String::new()))
        }),
        ("os/arch", |request| request.platforms.push("a,b".into())),
        ("outside", |request| {
            request.dockerfile = DockerfileSource::Path("../Dockerfile".into())
        }),
        ("no deploy/x in", |request| {
            request.dockerfile = DockerfileSource::Path("./deploy/x".into())
        }),
        ("cannot read", |request| {
            request.context = "/nowhere/at/all".into()
        }),
    ];
    for (why, change) in refused {
        let error = prepare(change).err().expect(why);
        assert!(error.to_string().contains(why), "{error}");
    }
}

#[test]
fn a_pattern_that_no_daemon_reads_is_named() {
    let write = |name: &'static str| {
        move |request: &mut BuildRequest| {
            std::fs::write(request.context.join(name), "ok\n[a\n").unwrap();
        }
    };
    for name in [".dockerignore", "Dockerfile.dockerignore"] {
        let error = prepare(write(name)).err().unwrap().to_string();
        assert!(
            error.contains(&format!("{name}: invalid pattern \"[a\"")),
            "{error}"
        );
    }
}

#[test]
fn an_inline_dockerfile_has_its_own_ignore_file() {
    let broken = |request: &mut BuildRequest| {
        request.dockerfile = DockerfileSource::Inline("FROM scratch".into());
        request.dockerignore = Some("[a\n".into());
    };
    let error = prepare(broken).err().unwrap().to_string();
    assert!(
        error.contains("Dockerfile.dockerignore: invalid pattern \"[a\""),
        "{error}"
    );
    // The context's own isn't read.
    let replaced = |request: &mut BuildRequest| {
        std::fs::write(request.context.join(".dockerignore"), "[a\n").unwrap();
        request.dockerfile = DockerfileSource::Inline("FROM scratch".into());
        request.dockerignore = Some("a\n".into());
    };
    assert!(prepare(replaced).is_ok());
}

#[test]
fn an_inline_dockerfile_needs_no_file() {
    let prepared = prepare(|request| {
        std::fs::remove_file(request.context.join("Dockerfile")).unwrap();
        request.dockerfile = DockerfileSource::Inline("FROM scratch".into());
    });
    assert_eq!(
        prepared.unwrap().request.frontend_attrs["filename"],
        "Dockerfile"
    );
}

/// A build whose context is elsewhere; the request's folder does not exist.
fn remote(dockerfile: Option<&str>) -> Solve {
    let mut request = BuildRequest::new("/nowhere/at/all", "r.io/a:1".parse().unwrap());
    if let Some(text) = dockerfile {
        request.dockerfile = DockerfileSource::Inline(text.into());
    }
    Solve::new(request)
}

fn attribute(solve: &Solve, key: &str) -> Option<String> {
    let prepared = solve.prepare().unwrap();
    prepared.request.frontend_attrs.get(key).cloned()
}

/// A build that adds no other attributes of its own than the two for its context.
fn solve() -> Solve {
    remote(None).http_context("http://h/a")
}

/// What the frontend is told besides the context, as `key=value` in order.
fn attributes(solve: &Solve) -> Result<String, String> {
    let prepared = solve.prepare().map_err(|error| error.to_string())?;
    let told = prepared.request.frontend_attrs.into_iter();
    let mut told: Vec<String> = told
        .filter(|(key, _)| !["context", "filename"].contains(&key.as_str()))
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    told.sort();
    Ok(told.join(" "))
}

#[test]
fn the_daemon_is_told_where_the_files_are_and_no_folder_is_read() {
    let git = remote(None).git_context("https://h/o/n.git#main:app");
    assert_eq!(
        attribute(&git, "context").unwrap(),
        "https://h/o/n.git#main:app"
    );
    assert_eq!(attribute(&git, "dockerfilekey"), None);
    let http = remote(Some("FROM x")).http_context("https://h/a.tgz");
    assert_eq!(attribute(&http, "context").unwrap(), "https://h/a.tgz");
    assert_eq!(attribute(&http, "dockerfilekey").unwrap(), "dockerfile");
}

#[test]
fn each_attempt_reads_an_archive_at_an_address_of_its_own() {
    let archive = remote(None).archive_context(&b""[..]);
    let address = || attribute(&archive, "context").unwrap();
    assert!(address().starts_with("http://buildkit-session/"));
    assert_ne!(address(), address());
}

#[test]
fn each_option_is_its_attribute_and_nothing_else() {
    let image: ImageRef = "r.io/base:1".parse().unwrap();
    let with = |name, context| solve().context(name, context);
    let hosts = solve().add_host("db", "10.0.0.1".parse().unwrap());
    let limits = solve().ulimit("nofile", 1024, 2048);
    for (solve, told) in [
        (solve(), ""),
        (
            solve().no_cache_stage("a").no_cache_stage("b"),
            "no-cache=a,b",
        ),
        (
            with("base", NamedContext::Folder("/".into())),
            "context:base=local:named-base",
        ),
        (
            with("alpine:latest", NamedContext::Image(image.clone())),
            "context:alpine=docker-image://r.io/base:1",
        ),
        (
            with("src", NamedContext::Git("https://h/n.git#main".into())),
            "context:src=https://h/n.git#main",
        ),
        (
            with("src", NamedContext::Http("https://h/a.tgz".into())),
            "context:src=https://h/a.tgz",
        ),
        (
            solve().provenance(Provenance::Min),
            "attest:provenance=mode=min",
        ),
        (
            solve().provenance(Provenance::Max),
            "attest:provenance=mode=max",
        ),
        (solve().sbom(), "attest:sbom="),
        (solve().sbom_by(&image), "attest:sbom=generator=r.io/base:1"),
        (
            hosts.add_host("v6", "::1".parse().unwrap()),
            "add-hosts=db=10.0.0.1,v6=::1",
        ),
        (solve().shm_size(67_108_864), "shm-size=67108864"),
        (
            limits.ulimit("core", -1, -1),
            "ulimit=nofile=1024:2048,core=-1:-1",
        ),
        (solve().network(Network::None), "force-network-mode=none"),
        (solve().network(Network::Host), "force-network-mode=host"),
        (
            solve().resolve_mode(ResolveMode::PreferLocal),
            "image-resolve-mode=local",
        ),
        (solve().cgroup_parent("/builds"), "cgroup-parent=/builds"),
        (solve().hostname("builder"), "hostname=builder"),
    ] {
        assert_eq!(attributes(&solve).unwrap(), told);
    }
    let unsafe_steps = solve().network(Network::Host).allow_insecure_steps();
    let allowed = unsafe_steps.frontend.entitlements();
    assert_eq!(allowed, ["network.host", "security.insecure"]);
    assert!(solve().frontend.entitlements().is_empty());
}

#[test]
fn an_image_in_a_layout_is_named_by_its_digest() {
    let folder = tempfile::tempdir().unwrap();
    let digest = format!("sha256:{}", "a".repeat(64));
    let index = format!(r#"{{"manifests": [{{"digest": "{digest}"}}]}}"#);
    std::fs::write(folder.path().join("index.json"), index).unwrap();
    let with = |tag: Option<&str>| {
        let context = NamedContext::OciLayout {
            folder: folder.path().to_owned(),
            tag: tag.map(str::to_owned),
        };
        solve().context("base:latest", context)
    };
    let files = Files::open(&with(None)).unwrap();
    let (id, store) = files.stores.first_key_value().unwrap();
    let name = id.strip_prefix("oci:").unwrap();
    assert!(!store.writable);
    assert_eq!(
        files.attributes["context:base"],
        format!("oci-layout://{name}@{digest}")
    );
    let error = Files::open(&with(Some("2"))).unwrap_err();
    assert!(error.to_string().contains("tag \"2\""), "{error}");
}

#[test]
fn all_stages_without_cache_are_more_than_some() {
    let mut solve = solve().no_cache_stage("a");
    solve.request.no_cache = true;
    assert_eq!(attributes(&solve).unwrap(), "no-cache=");
}

#[test]
fn what_the_frontend_would_misread_is_refused() {
    let git = |url: &str| solve().context("a", NamedContext::Git(url.into()));
    for (solve, why) in [
        (solve().no_cache_stage("a,b"), "not the name of a stage"),
        (solve().no_cache_stage(""), "not the name of a stage"),
        (
            solve().add_host("a=b", "::1".parse().unwrap()),
            "not the name of a host",
        ),
        (solve().ulimit("files", 1, 1), "none of core"),
        (solve().ulimit("nofile", 2, 1), "above the hard limit"),
        (solve().ulimit("nofile", -1, 1), "above the hard limit"),
        (
            solve().context("Base", NamedContext::Folder("/".into())),
            "lower-case",
        ),
        (
            solve().context("scratch", NamedContext::Folder("/".into())),
            "reserved",
        ),
        (git("https://h/o/n"), "unsupported address"),
        (git("ssh://h/o/n"), "unsupported address"),
        (
            remote(None).git_context("https://h/o/n"),
            "unsupported address",
        ),
        (remote(None).http_context("/etc"), "unsupported address"),
        (
            solve().context("a", NamedContext::Http("ftp://h".into())),
            "unsupported address",
        ),
        (solve().hostname(""), "is empty or"),
    ] {
        let error = attributes(&solve).unwrap_err();
        assert!(error.contains(why), "{error}");
    }
}
