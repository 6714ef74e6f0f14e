//! BuildKit's attributes for each kind of cache.

use std::collections::{BTreeMap, BTreeSet};

use pipeops_core::cache::{AzblobCache, BuildCache, GhaCache, S3Cache};
use pipeops_core::{Digest, SecretString};

use super::{local, slots};
use crate::error::Error;

pub(super) type Attributes = BTreeMap<&'static str, String>;

/// BuildKit's name for the kind.
pub(super) fn kind(cache: &BuildCache) -> &'static str {
    match cache {
        BuildCache::S3(_) => "s3",
        BuildCache::Registry { .. } => "registry",
        BuildCache::Inline => "inline",
        BuildCache::Gha(_) => "gha",
        BuildCache::Azblob(_) => "azblob",
        BuildCache::Local(_) => "local",
        // `check` refuses others before.
        _ => "",
    }
}

/// What is sent to read a cache: a set of attributes for each of its manifests.
pub(super) fn imports(cache: &BuildCache, plain_http: &BTreeSet<String>) -> Vec<Attributes> {
    match cache {
        BuildCache::S3(s3) => slots::names(s3).map(|name| of_s3(s3, &name)).collect(),
        BuildCache::Local(local) => {
            let digest = local::manifest(local);
            let import = |digest: Digest| {
                Attributes::from([("src", local::name(local)), ("digest", digest.to_string())])
            };
            digest.map(import).into_iter().collect()
        }
        other => vec![of_other(other, plain_http)],
    }
}

/// What is sent to write a cache.
pub(super) fn export(cache: &BuildCache, plain_http: &BTreeSet<String>) -> Attributes {
    let mut attributes = match cache {
        BuildCache::S3(s3) => of_s3(s3, &slots::next(s3)),
        BuildCache::Local(local) => Attributes::from([("dest", local::name(local))]),
        // It has neither modes nor errors.
        BuildCache::Inline => return Attributes::new(),
        other => of_other(other, plain_http),
    };
    // All stages, not only those of the result; and a cache that cannot be written is no reason to lose the image.
    attributes.extend([
        ("mode", "max".to_owned()),
        ("ignore-error", "true".to_owned()),
    ]);
    if matches!(cache, BuildCache::Registry { .. }) {
        // A plain image manifest: some registries refuse the older form, an index of layers.
        attributes.extend([
            ("image-manifest", "true".to_owned()),
            ("oci-mediatypes", "true".to_owned()),
        ]);
    }
    attributes
}

/// The secrets among the attributes.
pub(super) fn secrets(cache: &BuildCache) -> Vec<SecretString> {
    let all = match cache {
        BuildCache::S3(s3) => [
            s3.keys.as_ref().map(|(_, secret)| secret),
            s3.session_token.as_ref(),
        ],
        BuildCache::Gha(gha) => [Some(&gha.token), None],
        BuildCache::Azblob(azblob) => [azblob.key.as_ref(), None],
        _ => [None, None],
    };
    all.into_iter().flatten().cloned().collect()
}

/// The daemon reports these late and not well, or, worse, takes its own environment instead.
pub(super) fn check(cache: &BuildCache) -> Result<(), Error> {
    match cache {
        BuildCache::S3(s3) => check_s3(s3),
        BuildCache::Gha(gha) => check_gha(gha),
        BuildCache::Azblob(azblob) => check_azblob(azblob),
        BuildCache::Local(local) if local.folder.as_os_str().is_empty() || local.tag.is_empty() => {
            refuse("a local cache needs a folder and a tag".to_owned())
        }
        BuildCache::Registry { .. } | BuildCache::Inline | BuildCache::Local(_) => Ok(()),
        _ => refuse("unsupported kind of cache".to_owned()),
    }
}

/// As [`check`], for a cache that is read.
pub(super) fn check_import(cache: &BuildCache) -> Result<(), Error> {
    match cache {
        BuildCache::Inline => refuse(
            "an inline cache can only be written; to read it, use a registry cache with the image's name"
                .to_owned(),
        ),
        other => check(other),
    }
}

fn of_other(cache: &BuildCache, plain_http: &BTreeSet<String>) -> Attributes {
    match cache {
        BuildCache::Registry { image } => {
            let mut attributes = Attributes::from([("ref", image.to_string())]);
            if plain_http.contains(image.host()) {
                attributes.insert("registry.insecure", "true".to_owned());
            }
            attributes
        }
        BuildCache::Gha(gha) => Attributes::from([
            ("scope", gha.scope.clone()),
            ("url_v2", gha.url.clone()),
            ("token", gha.token.expose().to_owned()),
            ("version", "2".to_owned()),
        ]),
        BuildCache::Azblob(azblob) => of_azblob(azblob),
        _ => Attributes::new(),
    }
}

fn of_s3(s3: &S3Cache, name: &str) -> Attributes {
    let mut attributes = Attributes::from([
        ("bucket", s3.bucket.clone()),
        ("region", s3.region.clone()),
        ("name", name.to_owned()),
    ]);
    set(&mut attributes, "prefix", &s3.prefix);
    if let Some(endpoint) = &s3.endpoint {
        set(&mut attributes, "endpoint_url", endpoint);
        // Servers other than AWS rarely have a host name for each bucket.
        set(&mut attributes, "use_path_style", "true");
    }
    if let Some((id, secret)) = &s3.keys {
        set(&mut attributes, "access_key_id", id);
        set(&mut attributes, "secret_access_key", secret.expose());
    }
    if let Some(token) = &s3.session_token {
        set(&mut attributes, "session_token", token.expose());
    }
    if let Some(age) = s3.touch_refresh {
        set(
            &mut attributes,
            "touch_refresh",
            &format!("{}s", age.as_secs()),
        );
    }
    attributes
}

fn of_azblob(azblob: &AzblobCache) -> Attributes {
    let mut attributes = Attributes::from([
        ("account_url", azblob.account_url.clone()),
        ("name", azblob.name.clone()),
    ]);
    set(&mut attributes, "prefix", &azblob.prefix);
    set(
        &mut attributes,
        "container",
        azblob.container.as_deref().unwrap_or_default(),
    );
    if let Some(key) = &azblob.key {
        set(&mut attributes, "secret_access_key", key.expose());
    }
    attributes
}

fn set(attributes: &mut Attributes, key: &'static str, value: &str) {
    if !value.is_empty() {
        attributes.insert(key, value.to_owned());
    }
}

fn check_s3(s3: &S3Cache) -> Result<(), Error> {
    let refuse = |why: &str| refuse(format!("the S3 cache {:?} {why}", s3.name));
    if s3.bucket.is_empty() {
        return refuse("has no bucket");
    }
    if s3.region.is_empty() {
        return refuse("has no region; most S3-compatible servers accept us-east-1");
    }
    if s3.name.is_empty() {
        return refuse("has no name; CacheNamespace creates one");
    }
    if s3.name.contains(';') {
        return refuse("has a ';' in its name, which BuildKit uses as a separator");
    }
    Ok(())
}

fn check_gha(gha: &GhaCache) -> Result<(), Error> {
    if gha.url.is_empty() {
        return refuse(
            "the GitHub Actions cache has no address; set ACTIONS_RESULTS_URL".to_owned(),
        );
    }
    if gha.token.is_empty() {
        return refuse(
            "the GitHub Actions cache has no token; set ACTIONS_RUNTIME_TOKEN".to_owned(),
        );
    }
    Ok(())
}

fn check_azblob(azblob: &AzblobCache) -> Result<(), Error> {
    let scheme = ["https://", "http://"];
    if !scheme
        .iter()
        .any(|scheme| azblob.account_url.starts_with(scheme))
    {
        return refuse(format!(
            "{:?} is not the address of an Azure storage account, which begins with https://",
            azblob.account_url
        ));
    }
    if azblob.name.contains(';') {
        return refuse(format!(
            "the Azure cache {:?} has a ';' in its name, which BuildKit uses as a separator",
            azblob.name
        ));
    }
    Ok(())
}

fn refuse(why: String) -> Result<(), Error> {
    Err(Error::Invalid {
        field: "cache",
        why,
    })
}
