//! Questions that a real daemon's frontend answers.

mod common;

use common::{Context, client};
use pipeops_buildkit::{Cause, Solve};

const DOCKERFILE: &str = "ARG BASE=busybox\n# base is where it begins\nFROM ${BASE} AS base\n# VERSION is what is built\nARG VERSION=1\n\
    RUN --mount=type=secret,id=tok,required --mount=type=ssh --mount=type=cache,target=/c true\nfrom base AS Final\nCMD run me\n";

fn solve(context: &Context) -> Solve {
    Solve::new(context.request()).without_push()
}

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn the_linter_names_rules_and_lines() {
    let context = Context::new(&[("Dockerfile", DOCKERFILE)]);
    let client = client().await;
    let lint = client.lint(solve(&context)).await.unwrap();
    let rules: Vec<_> = lint
        .warnings
        .iter()
        .map(|warning| (warning.rule.as_str(), warning.lines()))
        .collect();
    assert!(
        rules.contains(&("StageNameCasing", Some(7..=7))),
        "{rules:?}"
    );
    assert!(
        rules.contains(&("JSONArgsRecommended", Some(8..=8))),
        "{rules:?}"
    );
    assert!(
        lint.error.is_none() && lint.warnings[0].url.starts_with("https://"),
        "{lint:?}"
    );

    context.write("Dockerfile", b"FROM busybox\nCOPY --from=nobody: /a /b\n");
    let broken = client.lint(solve(&context)).await.unwrap();
    assert!(broken.error.is_some(), "{broken:?}");
    context.write("Dockerfile", b"FROM busybox\nFOO bar\n");
    let error = client.targets(solve(&context)).await.unwrap_err();
    assert_eq!(
        error.build_failure().unwrap().cause,
        Cause::Dockerfile { line: Some(2) },
        "{error:?}"
    );
}

#[tokio::test]
#[ignore = "needs testbed: buildkit, registry"]
async fn targets_and_what_they_take_are_listed() {
    let context = Context::new(&[("Dockerfile", DOCKERFILE)]);
    let client = client().await;
    let targets = client.targets(solve(&context)).await.unwrap();
    let list: Vec<_> = targets
        .iter()
        .map(|target| (target.name.to_lowercase(), target.default))
        .collect();
    assert_eq!(
        list,
        [("base".to_owned(), false), ("final".to_owned(), true)],
        "{targets:?}"
    );
    assert_eq!(targets[0].description, "is where it begins");

    let request = context.request().build_arg("VERSION", "7");
    let outline = client
        .outline(Solve::new(request).without_push())
        .await
        .unwrap();
    let version = outline
        .args
        .iter()
        .find(|arg| arg.name == "VERSION")
        .unwrap();
    assert_eq!(
        (version.value.as_str(), version.description.as_str()),
        ("7", "is what is built")
    );
    assert!(
        outline.secrets[0].name == "tok" && outline.secrets[0].required,
        "{outline:?}"
    );
    assert_eq!(outline.ssh.len(), 1, "{outline:?}");
    assert_eq!(outline.ssh[0].name, "default");
    let builds = client.history(None).await.unwrap();
    // Ours have ids of 32 characters; buildctl's builds have no frontend either.
    let questions: Vec<_> = builds
        .iter()
        .filter(|build| build.frontend.is_empty() && build.id.len() == 32)
        .collect();
    assert!(
        questions.is_empty(),
        "they are no builds to remember: {questions:?}"
    );
}
