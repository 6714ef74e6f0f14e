//! Throttling, trouble, and answers that no registry gives.

use crate::*;

#[tokio::test]
async fn throttling_is_waited_for_three_times_at_most() {
    let registry = seeded(RegistryOptions::default()).await;
    let client = client(Anonymous);
    let twice = registry.faults().add(
        Fault::too_many_requests(0)
            .on(Matcher::operation("upload.start"))
            .times(2),
    );
    client.check_push(&image(&registry, "1")).await.unwrap();
    assert_eq!(twice.fired(), 2);

    let always = registry.faults().add(
        Fault::too_many_requests(0)
            .on(Matcher::operation("upload.start"))
            .always(),
    );
    let error = client.check_push(&image(&registry, "1")).await.unwrap_err();
    assert!(
        matches!(error.last(), Error::RateLimited { .. }),
        "{error:?}"
    );
    assert_eq!(
        (always.fired(), error.retry_class()),
        (3, RetryClass::Exhausted)
    );
}

#[tokio::test]
async fn a_wait_that_is_too_long_is_told_and_not_waited_for() {
    let registry = seeded(RegistryOptions::default()).await;
    let fault = registry.faults().add(
        Fault::too_many_requests(3600)
            .on(Matcher::operation("manifest.get"))
            .always(),
    );
    let error = client(Anonymous)
        .manifest(&image(&registry, "1"))
        .await
        .unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(3600)));
    assert_eq!(fault.fired(), 1);
}

#[tokio::test]
async fn denied_is_never_tried_again() {
    let registry = seeded(RegistryOptions::default()).await;
    let denied = Fault::status(403).body(r#"{"errors":[{"code":"DENIED","message":"no"}]}"#);
    let fault = registry
        .faults()
        .add(denied.on(Matcher::operation("upload.start")).always());
    let error = client(Anonymous)
        .check_push(&image(&registry, "1"))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Denied { .. }), "{error:?}");
    assert_eq!(fault.fired(), 1);
}

#[tokio::test]
async fn trouble_of_the_registry_passes() {
    let registry = seeded(RegistryOptions::default()).await;
    let client = client(Anonymous);
    for fault in [
        Fault::status(503),
        Fault::status(408),
        Fault::Refuse,
        Fault::Cut { after_bytes: 10 },
    ] {
        let fault = registry
            .faults()
            .add(fault.on(Matcher::operation("manifest.get").method("GET")));
        client
            .manifest(&image(&registry, "1"))
            .await
            .unwrap_or_else(|error| panic!("{error:?}"));
        assert_eq!(fault.fired(), 1);
    }
}

#[tokio::test]
async fn a_registry_that_is_down_or_silent_is_named() {
    let registry = seeded(RegistryOptions::default()).await;
    registry.faults().add(
        Fault::Delay(Duration::from_secs(600))
            .on(Matcher::any())
            .always(),
    );
    let impatient = RegistryClient::new(
        Arc::new(Anonymous),
        options().answer_timeout(Duration::from_millis(50)),
    )
    .unwrap();
    let error = impatient.resolve(&image(&registry, "1")).await.unwrap_err();
    assert!(matches!(error.last(), Error::Timeout { .. }), "{error:?}");

    registry.crash();
    let error = client(Anonymous)
        .resolve(&image(&registry, "1"))
        .await
        .unwrap_err();
    assert!(
        matches!(error.last(), Error::Unreachable { host, .. } if *host == registry.host()),
        "{error:?}"
    );
    assert!(
        error.diagnosis().reason.contains("refused"),
        "{}",
        error.diagnosis()
    );
}

#[tokio::test]
async fn answers_that_no_registry_gives_are_refused() {
    let registry = seeded(RegistryOptions::default()).await;
    let client = client(Anonymous);
    let pinned =
        image(&registry, "1").with_digest(registry.manifest(REPOSITORY, "1").unwrap().digest);
    let get = || Matcher::operation("manifest.get").method("GET");

    registry
        .faults()
        .add(Fault::status(200).body("{}").on(get()));
    let error = client.manifest(&pinned).await.unwrap_err();
    assert!(
        matches!(&error, Error::BadAnswer { what, .. } if what.contains("requested sha256:")),
        "{error:?}"
    );

    registry
        .faults()
        .add(Fault::status(200).body("x".repeat(5 << 20)).on(get()));
    let error = client.manifest(&image(&registry, "1")).await.unwrap_err();
    assert!(
        matches!(&error, Error::BadAnswer { what, .. } if what.contains("more than")),
        "{error:?}"
    );
}

#[tokio::test]
async fn credentials_and_requests_go_to_no_foreign_host() {
    let registry = seeded(basic()).await;
    let client = client(bob(&registry, "hunter2"));
    for (status, name, value) in [
        (
            401,
            "WWW-Authenticate",
            r#"Bearer realm="http://169.254.169.254/token",service="x""#,
        ),
        (307, "Location", "http://169.254.169.254/latest/meta-data"),
        (307, "Location", "https://storage.example.com/x"),
    ] {
        registry.faults().add(
            Fault::status(status)
                .header(name, value)
                .on(Matcher::operation("manifest.get")),
        );
        let error = client.manifest(&image(&registry, "1")).await.unwrap_err();
        assert!(
            matches!(error, Error::ForeignHost { .. }),
            "{value}: {error:?}"
        );
    }
}

#[tokio::test]
async fn a_registry_that_repeats_a_secret_is_redacted() {
    let registry = seeded(basic()).await;
    let client = client(bob(&registry, "hunter2"));
    client.resolve(&image(&registry, "1")).await.unwrap();
    let echo = Fault::status(403)
        .body(r#"{"errors":[{"code":"DENIED","message":"bob:hunter2 may not"}]}"#);
    registry
        .faults()
        .add(echo.on(Matcher::operation("upload.start")));
    let error = client.check_push(&image(&registry, "1")).await.unwrap_err();
    assert!(matches!(error, Error::Denied { .. }), "{error:?}");
    assert!(
        !format!("{error} {error:?} {}", error.diagnosis()).contains("hunter2"),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_repository_that_has_to_be_created_first_is_named() {
    let registry = seeded(RegistryOptions::default()).await;
    registry.faults().add(
        Fault::status(404)
            .body("")
            .on(Matcher::operation("upload.start")),
    );
    let error = client(Anonymous)
        .check_push(&image(&registry, "1"))
        .await
        .unwrap_err();
    assert!(matches!(&error, Error::NameUnknown { repository, .. } if repository == REPOSITORY));
    assert!(error.diagnosis().fixes[0].contains("Create the repository team/app"));
}
