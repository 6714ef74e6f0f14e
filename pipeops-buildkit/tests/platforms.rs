//! Images for two processors from one Dockerfile, at one real daemon: cross-built, and built under emulation.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::io::Read;
use std::time::Duration;

use common::{Context, Recorder, client, platform_manifests, registry_get, unique};
use pipeops_buildkit::{Solve, Solved};
use pipeops_core::{BuildRequest, EventSink};

/// The processors, and what an ELF file calls them (`e_machine`).
const PLATFORMS: [(&str, u16); 2] = [("amd64", 62), ("arm64", 183)];

/// Compiled where the daemon is, for where the image will be.
const CROSS: &str = "FROM --platform=$BUILDPLATFORM golang:1.26 AS build\nARG TARGETARCH\nCOPY main.go /src/\n\
    RUN cd /src && CGO_ENABLED=0 GOARCH=$TARGETARCH go build -o /app main.go\nFROM scratch\nCOPY --from=build /app /app\n";

/// Says for which processor it was compiled, and lets a second process of itself say so, too.
const PROGRAM: &str = r#"package main

import (
	"os"
	"runtime"
)

func main() {
	if len(os.Args) > 1 {
		println("child", runtime.GOARCH, "MARK")
		return
	}
	println("parent", runtime.GOARCH, "MARK")
	files := []*os.File{os.Stdin, os.Stdout, os.Stderr}
	child, err := os.StartProcess("/app", []string{"/app", "child"}, &os.ProcAttr{Files: files})
	if err != nil {
		println(err.Error())
		os.Exit(1)
	}
	state, _ := child.Wait()
	os.Exit(state.ExitCode())
}
"#;

fn context(dockerfile: &str) -> (Context, String) {
    let mark = unique("platform");
    let program = PROGRAM.replace("MARK", &mark);
    let context = Context::new(&[("Dockerfile", dockerfile), ("main.go", &program)]);
    (context, mark)
}

fn for_both(context: &Context) -> BuildRequest {
    let mut request = context.request();
    request.platforms = PLATFORMS
        .iter()
        .map(|(name, _)| format!("linux/{name}"))
        .collect();
    request
}

async fn build(request: BuildRequest, events: &dyn EventSink) -> Solved {
    let solve = Solve::new(request).timeout(Duration::from_secs(300));
    client().await.solve(solve, events).await.unwrap()
}

/// Checks that the registry has one image for each platform, with a program for its processor.
async fn check(request: &BuildRequest, solved: &Solved) {
    let digest = solved.digest.as_ref().unwrap().as_str();
    let names = PLATFORMS.map(|(name, _)| name);
    let manifests = platform_manifests(&request.image, digest, &names).await;
    for (manifest, (name, machine)) in manifests.iter().zip(PLATFORMS) {
        let layer = manifest["layers"][0]["digest"].as_str().unwrap();
        let path = format!("{}/blobs/{layer}", request.image.repository());
        let (_, layer) = registry_get(&path).await;
        assert_eq!(machines(&layer), [machine], "{name}");
    }
}

/// For which processors the programs in a layer are.
fn machines(layer: &[u8]) -> Vec<u16> {
    let mut tar = Vec::new();
    flate2::read::GzDecoder::new(layer)
        .read_to_end(&mut tar)
        .unwrap();
    // Each file in an archive begins at a multiple of this.
    let programs = tar
        .chunks(512)
        .filter(|block| block.starts_with(b"\x7fELF"));
    programs
        .map(|block| u16::from_le_bytes([block[18], block[19]]))
        .collect()
}

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn both_platforms_are_compiled_where_the_daemon_is() {
    let (context, _) = context(CROSS);
    let request = for_both(&context);
    let solved = build(request.clone(), &Recorder::default()).await;
    check(&request, &solved).await;
}

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn steps_of_the_other_platform_really_run() {
    let workers = client().await.workers().await.unwrap();
    let builds_for = &workers[0].platforms;
    assert!(
        builds_for.iter().any(|name| name == "linux/arm64"),
        "the daemon does not emulate arm64, see `cargo testbed up buildkit`: {builds_for:?}"
    );
    let (context, mark) = context(&format!("{CROSS}RUN [\"/app\"]\n"));
    let request = for_both(&context);
    let events = Recorder::default();
    let solved = build(request.clone(), &events).await;
    let logs = events.logs();
    for (name, _) in PLATFORMS {
        for who in ["parent", "child"] {
            let line = format!("{who} {name} {mark}");
            assert!(logs.contains(&line), "{line} is missing: {logs:?}");
        }
    }
    check(&request, &solved).await;
}
