//! ServiceAccount, ConfigMap and Secrets.

use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit, Mac};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret, ServiceAccount};
use pipeops_core::SecretString;
use sha2::Sha256;

use super::metadata::Metadata;
use crate::app::App;
use crate::names::with_suffix;

/// Hexadecimal digits of a content hash in a name: 40 bits, as in the hash of a pod template.
const HASH_DIGITS: usize = 10;

/// The names of ConfigMap and Secret; `None` if there is nothing to store.
///
/// A name contains a hash of the content, and the object is immutable. So pods of an old revision, and a rollback to it, get the
/// original values.
pub(super) struct ConfigNames {
    pub(super) config_map: Option<String>,
    pub(super) secret: Option<String>,
}

impl ConfigNames {
    pub(super) fn new(app: &App, hash_key: Option<&[u8]>) -> Self {
        let env = app
            .env
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let secrets = app
            .secrets
            .iter()
            .map(|(name, value)| (name.as_str(), value.expose()));
        Self {
            config_map: hashed_name(app, "config", env, None),
            secret: hashed_name(app, "secret", secrets, hash_key),
        }
    }

    pub(super) fn config_map(&self, app: &App, metadata: &Metadata) -> Option<ConfigMap> {
        let name = self.config_map.as_ref()?;
        Some(ConfigMap {
            metadata: metadata.object(name),
            data: Some(app.env.clone()),
            immutable: Some(true),
            ..ConfigMap::default()
        })
    }

    pub(super) fn secret(&self, app: &App, metadata: &Metadata) -> Option<Secret> {
        let name = self.secret.as_ref()?;
        let data = app
            .secrets
            .iter()
            .map(|(name, value)| (name.clone(), bytes(value)));
        Some(Secret {
            metadata: metadata.object(name),
            data: Some(data.collect()),
            type_: Some("Opaque".to_owned()),
            immutable: Some(true),
            ..Secret::default()
        })
    }
}

/// The name of the Secret with the pull credentials.
///
/// It has no hash and isn't immutable, because pods of old revisions must pull with renewed credentials.
pub(super) fn pull_secret_name(app: &App) -> Option<String> {
    app.pull_secret
        .as_ref()
        .map(|_| with_suffix(&app.name, "registry"))
}

pub(super) fn pull_secret(app: &App, metadata: &Metadata) -> Option<Secret> {
    let json = app.pull_secret.as_ref()?;
    Some(Secret {
        metadata: metadata.object(pull_secret_name(app)?),
        data: Some(BTreeMap::from([(
            ".dockerconfigjson".to_owned(),
            bytes(json),
        )])),
        type_: Some("kubernetes.io/dockerconfigjson".to_owned()),
        ..Secret::default()
    })
}

/// A ServiceAccount without a token: the application doesn't call the API server.
pub(super) fn service_account(app: &App, metadata: &Metadata) -> ServiceAccount {
    ServiceAccount {
        metadata: metadata.object(&app.name),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}

fn bytes(secret: &SecretString) -> ByteString {
    ByteString(secret.expose().as_bytes().to_vec())
}

/// `app-role-hash` for this content; `None` if it's empty.
fn hashed_name<'a>(
    app: &App,
    role: &str,
    entries: impl Iterator<Item = (&'a str, &'a str)>,
    key: Option<&[u8]>,
) -> Option<String> {
    let mut entries = entries.peekable();
    entries.peek()?;
    // One hash for all entries: a weak value can't be guessed if there is a strong one beside it. Without a key, anyone who
    // can read names can test guesses: see `StandardManifests::with_hash_key`.
    let mut hash = Hmac::<Sha256>::new_from_slice(key.unwrap_or_default()).ok()?;
    for part in entries.flat_map(|(name, value)| [name, value]) {
        // Lengths first, so that different contents never give the same bytes.
        hash.update(&(part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let mut digits = hex::encode(hash.finalize().into_bytes());
    digits.truncate(HASH_DIGITS);
    Some(with_suffix(&app.name, &format!("{role}-{digits}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    #[test]
    fn the_name_changes_with_the_content_and_only_with_it() {
        let name = |app: App| ConfigNames::new(&app, None).config_map;
        let app = fixtures::app().env("A", "BC");
        let mut next = app.clone();
        next.revision = "another".parse();
        assert_eq!(name(app.clone()), name(next));
        assert_ne!(name(app.clone()), name(app.clone().env("A", "2")));
        assert_ne!(name(app.clone()), name(app.clone().env("B", "")));
        assert_ne!(name(app), name(fixtures::app().env("AB", "C")));
    }

    #[test]
    fn a_key_changes_the_hash_of_secrets() {
        let app = fixtures::app().secret("PIN", "1234");
        let name = |key: Option<&[u8]>| ConfigNames::new(&app, key).secret;
        assert_ne!(name(None), name(Some(b"key")));
        assert_eq!(name(Some(b"key")), name(Some(b"key")));
    }

    #[test]
    fn nothing_is_written_for_nothing() {
        let app = fixtures::app();
        let metadata = Metadata::of(&app, &fixtures::revision());
        let config = ConfigNames::new(&app, None);
        assert!(config.config_map(&app, &metadata).is_none());
        assert!(config.secret(&app, &metadata).is_none());
        assert!(pull_secret(&app, &metadata).is_none());
    }
}
