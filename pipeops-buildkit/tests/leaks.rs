//! The leak check against a real daemon. `cargo testbed up buildkit registry` starts one; `cargo testbed env` prints the
//! environment that the tests need.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[cfg(feature = "layers")]
use pipeops_buildkit::LeakPlace;
use pipeops_buildkit::{Error, LeakCheck, LeakReport, LeakSearch, Solve};
use pipeops_core::BuildRequest;
use pipeops_core::event::Discard;

mod common;
use common::{Context, Recorder, client, run, solve, unique};

fn places(report: &LeakReport) -> Vec<String> {
    assert_eq!(report.unchecked, [""; 0]);
    report
        .leaks
        .iter()
        .map(|leak| format!("{} in {}", leak.secret, leak.place))
        .collect()
}

fn with_secret(context: &Context, value: &str) -> BuildRequest {
    context.fresh_request().secret("tok", value)
}

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn a_secret_that_is_only_mounted_leaks_nowhere() {
    let context = Context::new(&[(
        "Dockerfile",
        "FROM busybox\nRUN --mount=type=secret,id=tok wc -c /run/secrets/tok\n",
    )]);
    let events = Recorder::default();
    let request = with_secret(&context, &unique("s3cr3t"));
    let solved = solve(request, &events).await.unwrap();
    assert!(solved.leaks.is_clean(), "{:?}", solved.leaks);
    assert_eq!(solved.leaks.searched, ["build secret \"tok\""]);
    assert_eq!(events.warnings(), [""; 0]);
}

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn arguments_that_become_variables_and_history_are_found() {
    let secret = unique("s3cr3t");
    let dockerfile = "FROM busybox\nARG API_TOKEN\nARG DB_PASSWORD=hunter2hunter2\nENV T=$API_TOKEN\nLABEL l=x-$API_TOKEN\nRUN true\nWORKDIR /w\n";
    let context = Context::new(&[("Dockerfile", dockerfile)]);
    let request = context.fresh_request().build_arg("API_TOKEN", &secret);
    let events = Recorder::default();
    let solved = solve(request, &events).await.unwrap();
    assert_eq!(
        places(&solved.leaks),
        [
            "build argument API_TOKEN in the image's configuration (Env T)",
            "build argument API_TOKEN in the image's configuration (Labels l)",
            "build argument API_TOKEN in the image's history (ARG API_TOKEN=[redacted])",
            "build argument API_TOKEN in the image's history (ENV T=[redacted])",
            "build argument API_TOKEN in the image's history (LABEL l=x-[redacted])",
            "build argument API_TOKEN in the image's history (RUN |2 API_TOKEN=[redacted] [redacted] /bin/sh -c true # buildkit)",
            "value of DB_PASSWORD in the Dockerfile in the image's history (ARG [redacted])",
            "value of DB_PASSWORD in the Dockerfile in the image's history (RUN |2 API_TOKEN=[redacted] [redacted] /bin/sh -c true # buildkit)",
        ]
    );
    // Nothing at the daemon: builds with such arguments stay out of its history.
    assert!(!solved.leaks.record_removed);
    let told = events.warnings().join("\n");
    assert!(told.contains("Env T") && !told.contains(&secret), "{told}");
}

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn a_secret_that_was_printed_is_taken_from_the_daemons_history() {
    let secret = unique("s3cr3t");
    for (end, fails) in [("true", false), ("exit 3", true)] {
        let dockerfile =
            format!("FROM busybox\nRUN --mount=type=secret,id=tok cat /run/secrets/tok; {end}\n");
        let context = Context::new(&[("Dockerfile", &dockerfile)]);
        let events = Recorder::default();
        let result = solve(with_secret(&context, &secret), &events).await;
        assert_eq!(matches!(result, Err(Error::Build(_))), fails, "{result:?}");
        let told = events.warnings();
        assert_eq!(
            told[0],
            "build secret \"tok\" leaks into the daemon's record of the build (log)"
        );
        assert!(
            told[1].contains("contained a secret and was removed"),
            "{told:?}"
        );
        if let Ok(solved) = result {
            assert!(solved.leaks.record_removed);
            // It is really gone.
            let search = LeakSearch::default().secret("tok", secret.as_str());
            let again = client()
                .await
                .find_leaks(&search, None, Some(&solved.id), &LeakCheck::default())
                .await;
            assert!(again.is_clean(), "{again:?}");
        }
    }
}

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn a_record_is_kept_on_request() {
    let secret = unique("s3cr3t");
    let context = Context::new(&[(
        "Dockerfile",
        "FROM busybox\nRUN --mount=type=secret,id=tok cat /run/secrets/tok\n",
    )]);
    let solve =
        Solve::new(with_secret(&context, &secret)).leak_check(LeakCheck::default().keep_record());
    let solved = run(solve, &Discard).await.unwrap();
    let search = LeakSearch::default().secret("tok", secret.as_str());
    let again = client()
        .await
        .find_leaks(
            &search,
            solved.digest.as_ref(),
            Some(&solved.id),
            &LeakCheck::default(),
        )
        .await;
    assert_eq!(
        places(&again),
        ["tok in the daemon's record of the build (log)"]
    );
    assert!(again.record_removed && !solved.leaks.record_removed);
}

#[cfg(feature = "layers")]
#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn a_secret_that_was_copied_into_the_image_is_found_in_its_layer() {
    let secret = unique("s3cr3t");
    let dockerfile = "FROM busybox\nRUN --mount=type=secret,id=tok cp /run/secrets/tok /leak; mkdir /a; base64 -w0 /run/secrets/tok > /a/b64\nRUN rm /leak\n";
    let context = Context::new(&[("Dockerfile", dockerfile)]);
    let solved = solve(with_secret(&context, &secret), &Discard)
        .await
        .unwrap();
    assert!(
        solved.leaks.is_clean(),
        "layers are read on request only: {:?}",
        solved.leaks
    );

    let deep = Solve::new(with_secret(&context, &secret)).leak_check(LeakCheck::default().layers());
    let solved = run(deep, &Discard).await.unwrap();
    let path = |place: &LeakPlace| match place {
        LeakPlace::Layer { path, .. } => path.clone(),
        other => panic!("{other}"),
    };
    let paths: Vec<String> = solved
        .leaks
        .leaks
        .iter()
        .map(|leak| path(&leak.place))
        .collect();
    assert_eq!(
        (paths, solved.leaks.unchecked.as_slice()),
        (vec!["/a/b64".to_owned(), "/leak".to_owned()], [].as_slice())
    );
}
