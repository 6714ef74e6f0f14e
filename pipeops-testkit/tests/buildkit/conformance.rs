//! What a real daemon does as well: run over the stand-in, and over a real one with the same registry.

use crate::client::{Client, Job, fresh};

/// The whole suite. `registry` is a host where everybody may push; the images pushed there are named by `prefix`.
pub(crate) async fn run(client: &Client, registry: &str) {
    let prefix = fresh("conformance");
    builds_and_pushes(client, &format!("{registry}/{prefix}/plain:1")).await;
    builds_on_what_it_pushed(client, &format!("{registry}/{prefix}/base:1")).await;
    stages_and_arguments(client).await;
    steps_are_cached_by_content(client).await;
    unchanged_files_are_not_sent_again(client).await;
    only_what_is_copied_is_asked_for(client).await;
    bad_dockerfiles(client).await;
    missing_things(client, registry).await;
}

async fn builds_and_pushes(client: &Client, image: &str) {
    let file =
        "FROM scratch\nCOPY hello.txt /greetings/\nENV A=1\nWORKDIR /app\nCMD [\"/hello\"]\n";
    let job = Job::new(file).file("hello.txt", "hello\n").push(image);
    let outcome = client.build(job).await;
    assert!(outcome.digest().starts_with("sha256:"));
    let response = &outcome.result.as_ref().unwrap().exporter_response;
    assert_eq!(response["image.name"], image);
    for key in ["containerimage.config.digest", "containerimage.descriptor"] {
        assert!(response.contains_key(key), "{key}");
    }
    for name in [
        "[internal] load build definition from Dockerfile",
        "[internal] load .dockerignore",
        "[internal] load build context",
        "[1/2] COPY hello.txt /greetings/",
        "[2/2] WORKDIR /app",
        "exporting to image",
    ] {
        let vertex = outcome.vertex(name);
        assert!(
            vertex.completed.is_some() && vertex.error.is_empty(),
            "{vertex:?}"
        );
    }
}

async fn builds_on_what_it_pushed(client: &Client, image: &str) {
    let job = Job::new("FROM scratch\nCOPY Dockerfile /base/\n").push(image);
    let base = client.build(job).await.digest();
    let job = Job::new(&format!(
        "FROM {image}\nCOPY --from={image} /base/Dockerfile /copy\n"
    ));
    let outcome = client.build(job.push(&format!("{image}-on-top"))).await;
    assert_ne!(outcome.digest(), base);
    outcome.vertex(&format!("[internal] load metadata for {image}"));
    outcome.vertex(&format!(
        "[stage-0 2/2] COPY --from={image} /base/Dockerfile /copy"
    ));
    let job = Job::new(&format!("FROM {image}\nCOPY Dockerfile /\n"));
    client
        .build(job)
        .await
        .vertex(&format!("[1/2] FROM {image}@{base}"));
}

async fn stages_and_arguments(client: &Client) {
    let file = "ARG DIR=default\nFROM scratch AS build\nARG DIR\nCOPY Dockerfile /$DIR/\n\
                FROM scratch AS unused\nCOPY nothing /\n\
                FROM scratch\nCOPY --from=build /given/Dockerfile /\n";
    let job = Job::new(file).attr("build-arg:DIR", "given");
    let outcome = client.build(job).await;
    outcome
        .result
        .as_ref()
        .expect("the stage that cannot be built is not needed");
    outcome.vertex("[build 1/1] COPY Dockerfile /given/");
    outcome.vertex("[stage-2 1/1] COPY --from=build /given/Dockerfile /");
    let target = Job::new(file).attr("target", "zz");
    let outcome = client.build(target).await;
    assert_eq!(
        outcome.error().message(),
        "target stage \"zz\" could not be found"
    );
}

async fn steps_are_cached_by_content(client: &Client) {
    let content = fresh("content");
    let job = |content: &str| Job::new("FROM scratch\nCOPY a /a\n").file("a", content);
    let cached = |outcome: &crate::client::Outcome| outcome.vertex("[1/1] COPY a /a").cached;
    assert!(!cached(&client.build(job(&content)).await));
    assert!(cached(&client.build(job(&content)).await));
    assert!(!cached(&client.build(job(&fresh("content"))).await));
    let outcome = client.build(job(&content).attr("no-cache", "")).await;
    assert!(!cached(&outcome));
    let outcome = client.build(job(&content).attr("no-cache", "other")).await;
    assert!(cached(&outcome));
}

async fn unchanged_files_are_not_sent_again(client: &Client) {
    let key = fresh("client");
    let job = |b: &str, time: i64| {
        let mut job = Job::new("FROM scratch\nCOPY . /\n")
            .file("a", "same")
            .file("b", b);
        job.offer.shared_key.clone_from(&key);
        job.offer.files[2].time = time;
        job
    };
    let sent = async |job: Job| {
        let outcome = client.build(job).await;
        outcome.result.as_ref().expect("the build succeeds");
        let mut sent = outcome.asked.lock().unwrap().sent.clone();
        sent.sort();
        sent.dedup();
        sent
    };
    assert_eq!(sent(job("1", 1_000)).await, ["Dockerfile", "a", "b"]);
    // The Dockerfile itself is sent for each build, outside of the context.
    assert_eq!(sent(job("1", 1_000)).await, ["Dockerfile"]);
    assert_eq!(sent(job("2", 2_000)).await, ["Dockerfile", "b"]);
    // Size and time are all that is compared: this change is not seen.
    assert_eq!(sent(job("3", 2_000)).await, ["Dockerfile"]);
}

async fn only_what_is_copied_is_asked_for(client: &Client) {
    let job = Job::new("FROM scratch\nCOPY src lib/x /app/\n")
        .file(".dockerignore", "# a comment\n*.log\n!keep.log\n")
        .file("lib/x", "1")
        .file("src/main.rs", "2");
    let outcome = client.build(job).await;
    outcome.result.as_ref().expect("the build succeeds");
    let asked = outcome.asked.lock().unwrap();
    let context = asked.transfers.iter().rfind(|(dir, ..)| dir == "context");
    let (_, follow, exclude) = context.unwrap();
    assert_eq!(follow, &["lib/x", "src"]);
    assert_eq!(exclude, &["*.log", "!keep.log"]);
}

async fn bad_dockerfiles(client: &Client) {
    let outcome = client.build(Job::new("FROM scratch\nCOPPY x\n")).await;
    let message =
        "dockerfile parse error on line 2: unknown instruction: COPPY (did you mean COPY?)";
    assert_eq!(outcome.error().message(), message);
    let source = outcome.detail("errdefs.Source").unwrap();
    assert_eq!(source["info"]["filename"], "Dockerfile");
    assert_eq!(source["ranges"][0]["start"]["line"], 2);
    let outcome = client.build(Job::new("ARG X=1\n")).await;
    assert_eq!(
        outcome.error().message(),
        "dockerfile contains no stages to build"
    );
    let missing = Job::default().file("README", "no Dockerfile here");
    let outcome = client.build(missing).await;
    let message = outcome.error().message().to_owned();
    assert!(
        message.contains("failed to read dockerfile: open Dockerfile: no such file or directory"),
        "{message}"
    );
}

async fn missing_things(client: &Client, registry: &str) {
    let outcome = client.build(Job::new("FROM scratch\nCOPY nope /x\n")).await;
    let message = outcome.error().message().to_owned();
    assert!(
        message.starts_with("failed to compute cache key: "),
        "{message}"
    );
    assert!(message.ends_with("\"/nope\": not found"), "{message}");
    assert_eq!(
        outcome.detail("errdefs.Source").unwrap()["ranges"][0]["start"]["line"],
        2
    );
    assert!(outcome.detail("errdefs.Vertex").unwrap()["digest"].is_string());
    assert!(
        outcome
            .vertex("[1/1] COPY nope /x")
            .error
            .ends_with("\"/nope\": not found")
    );

    let image = format!("{registry}/no/such:1");
    let outcome = client
        .build(Job::new(&format!("FROM {image}\nCOPY a /\n")))
        .await;
    let message =
        format!("{image}: failed to resolve source metadata for {image}: {image}: not found");
    assert_eq!(outcome.error().message(), message);
    let vertex = outcome.vertex(&format!("[internal] load metadata for {image}"));
    assert_eq!(vertex.error, format!("{image}: not found"));
    assert_eq!(
        outcome.detail("errdefs.Source").unwrap()["ranges"][0]["start"]["line"],
        1
    );

    let outcome = client
        .build(Job::new("FROM 127.0.0.1:1/x:1\nCOPY a /\n"))
        .await;
    assert!(
        outcome
            .error()
            .message()
            .ends_with("dial tcp 127.0.0.1:1: connect: connection refused")
    );
}
