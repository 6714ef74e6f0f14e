//! Logging in, renewing, and being refused.

use crate::*;

#[tokio::test]
async fn basic_credentials_are_sent_once_they_are_asked_for() {
    let registry = seeded(basic()).await;
    let client = client(bob(&registry, "hunter2"));
    client.check_push(&image(&registry, "1")).await.unwrap();
    assert!(client.exists(&image(&registry, "1")).await.unwrap());
    let requests = registry.requests();
    let refused = requests.iter().filter(|seen| seen.status == Some(401));
    assert_eq!(refused.count(), 1, "only the first request is refused");
}

#[tokio::test]
async fn missing_and_wrong_credentials_are_found_before_a_build() {
    let registry = seeded(basic()).await;
    let error = client(Anonymous)
        .check_push(&image(&registry, "1"))
        .await
        .unwrap_err();
    assert_eq!(presented(&error), Some(false), "{error:?}");
    assert_eq!(error.diagnosis().code.as_str(), "registry/login-missing");

    let error = client(bob(&registry, "wrong-password"))
        .check_push(&image(&registry, "1"))
        .await
        .unwrap_err();
    assert_eq!(presented(&error), Some(true), "{error:?}");
    assert_eq!(error.retry_class(), RetryClass::NeedsCredential);
    assert!(
        !format!("{error} {error:?} {}", error.diagnosis()).contains("wrong-password"),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_check_of_a_push_stores_nothing() {
    let registry = Registry::start(token()).await.unwrap();
    client(bob(&registry, "hunter2"))
        .check_push(&image(&registry, "1"))
        .await
        .unwrap();
    assert_eq!(count(&registry, "upload.cancel"), 1);
    assert_eq!(registry.repositories(), [] as [&str; 0]);
}

#[tokio::test]
async fn a_token_is_asked_for_once_and_renewed_when_it_is_refused() {
    let registry = seeded(token()).await;
    let client = client(bob(&registry, "hunter2"));
    for _ in 0..3 {
        assert!(client.exists(&image(&registry, "1")).await.unwrap());
    }
    assert_eq!(count(&registry, "token"), 1);
    registry.expire_tokens();
    assert!(client.exists(&image(&registry, "1")).await.unwrap());
    assert_eq!(count(&registry, "token"), 2);
}

#[tokio::test]
async fn an_identity_token_logs_in() {
    let registry = seeded(token()).await;
    let mut credential = Credential::anonymous();
    credential.kind = CredentialKind::IdentityToken("refresh-me".into());
    let client = client(StaticCredentials::new().with(&registry.host(), credential));
    client.check_push(&image(&registry, "1")).await.unwrap();
}

#[tokio::test]
async fn a_wrong_password_at_the_token_server_is_unauthorized() {
    let registry = seeded(token()).await;
    let error = client(bob(&registry, "wrong-password"))
        .resolve(&image(&registry, "1"))
        .await
        .unwrap_err();
    assert_eq!(presented(&error), Some(true), "{error:?}");
}

#[tokio::test]
async fn a_reader_may_not_push_and_is_not_asked_twice() {
    let registry = seeded(token()).await;
    let reader =
        StaticCredentials::new().with(&registry.host(), Credential::basic("reader", "hunter2"));
    let client = client(reader);
    assert!(client.exists(&image(&registry, "1")).await.unwrap());
    let error = client.check_push(&image(&registry, "1")).await.unwrap_err();
    let denied = matches!(error, Error::Denied { .. }) || presented(&error) == Some(true);
    assert!(denied && !error.retry_class().is_transient(), "{error:?}");
}

/// Gives the old password until it is refused, then the new one, as a provider of short-lived passwords does.
#[derive(Debug, Default)]
struct Rotating {
    refusals: AtomicU32,
}

#[async_trait::async_trait]
impl CredentialProvider for Rotating {
    async fn credential(&self, _: &str, _: &RegistryScope) -> Result<Credential, Failure> {
        let renewed = self.refusals.load(Ordering::SeqCst) > 0;
        let password = if renewed { "hunter3" } else { "hunter2" };
        Ok(Credential::basic("bob", password))
    }

    fn refused(&self, _: &str) {
        self.refusals.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_password_that_was_changed_is_renewed_and_tried_again() {
    for options in [basic(), token()] {
        let registry = seeded(options).await;
        let client = client(Rotating::default());
        client.check_push(&image(&registry, "1")).await.unwrap();
        assert!(registry.set_password("bob", "hunter3"));
        registry.expire_tokens();
        client
            .check_push(&image(&registry, "1"))
            .await
            .unwrap_or_else(|error| panic!("{error:?}"));
    }
}
