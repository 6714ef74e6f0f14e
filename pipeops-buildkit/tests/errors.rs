//! Failures made at real daemons: what one sees, and whether it is tried again. `cargo testbed up buildkit registry` starts
//! what is needed. Where the daemon itself must fail, the test starts one of its own: as root, with `unshare`.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::time::Duration;

use common::daemons::{Daemon, Network};
use common::{Context, Recorder, env, solve, unique};
use pipeops_buildkit::{Cause, Error, Solve};
use pipeops_core::event::Discard;
use pipeops_core::{Diagnose, RetryClass};

const HOLD: &str = "FROM busybox\nRUN echo holding; sleep 600\n";

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn carets_point_at_the_word_that_is_wrong() {
    let image = format!("{}/not/{}:1", env("REGISTRY"), unique("there"));
    let base = format!("FROM busybox AS x\nFROM {image}\nRUN true\n");
    for (dockerfile, word) in [
        (base.as_str(), image.as_str()),
        (
            "FROM busybox\nCOPY Dockerfile src/app.jsn /x/\n",
            "src/app.jsn",
        ),
        ("FROM busybox\nRUNN make\n", "RUNN"),
        (
            "FROM busybox\nRUN --mount=type=secret,id=npm-token,required true\n",
            "npm-token",
        ),
        (
            "FROM busybox\nCOPY --from=127.0.0.1:1/x:1 /a /b\n",
            "127.0.0.1:1",
        ),
    ] {
        let context = Context::new(&[("Dockerfile", dockerfile)]);
        let error = solve(context.fresh_request(), &Discard).await.unwrap_err();
        let failure = error.build_failure().unwrap();
        let source = failure
            .source
            .as_ref()
            .unwrap_or_else(|| panic!("{failure:?}"));
        let shown = source.to_string();
        let carets = shown
            .lines()
            .find(|line| line.ends_with('^'))
            .unwrap_or_else(|| panic!("{failure:?}"));
        let above = shown
            .lines()
            .take_while(|line| !line.ends_with('^'))
            .last()
            .unwrap();
        let column = carets.find('^').unwrap();
        assert_eq!(&above[column..][..carets.len() - column], word, "{shown}");
    }
}

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn a_full_disk_is_named_whoever_meets_it() {
    let daemon = Daemon::with_disk("24m").await;
    let client = daemon.client().await;
    let context = Context::new(&[]);
    context.write("blob", &vec![7; 40 << 20]);
    for dockerfile in [
        "FROM busybox\nRUN dd if=/dev/zero of=/big bs=1M count=40\n",
        "FROM scratch\nCOPY blob /\n",
    ] {
        context.write("Dockerfile", dockerfile.as_bytes());
        let solve = Solve::new(context.fresh_request());
        let error = client.solve(solve, &Discard).await.unwrap_err();
        let failure = error.build_failure().unwrap_or_else(|| panic!("{error:?}"));
        assert_eq!(failure.cause, Cause::DiskFull, "{failure:?}");
        assert_eq!(error.diagnosis().class, RetryClass::Permanent);
    }
}

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn a_daemon_that_is_killed_or_cut_off_is_lost() {
    for kills in [true, false] {
        let mut daemon = Daemon::start("lost").await;
        let network = Network::to(&daemon.address()).await;
        let client = network.client().await;
        let (context, events) = (Context::new(&[("Dockerfile", HOLD)]), Recorder::default());
        let lose = async {
            events.heard("holding").await;
            match kills {
                true => daemon.kill(),
                false => drop(network),
            }
        };
        let build = client.solve(Solve::new(context.fresh_request()), &events);
        let (result, ()) = tokio::join!(build, lose);
        let error = result.unwrap_err();
        assert!(matches!(error, Error::DaemonLost { .. }), "{error:?}");
        assert_eq!(error.diagnosis().class, RetryClass::Transient);
    }
}

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn a_build_that_takes_too_long_is_said_to() {
    let context = Context::new(&[("Dockerfile", HOLD)]);
    let solve = Solve::new(context.fresh_request()).timeout(Duration::from_secs(3));
    let error = common::client()
        .await
        .solve(solve, &Discard)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
    assert_eq!(error.diagnosis().class, RetryClass::Permanent);
}
