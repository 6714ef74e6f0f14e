//! Validates environment variables and the pull Secret.

use super::problems::{Problems, brief};
use crate::app::{App, Kind};
use crate::names;

/// Kubernetes' limit for a ConfigMap or Secret.
const MAX_DATA_BYTES: usize = 1024 * 1024;

pub(super) fn check(app: &App, found: &mut Problems) {
    let env = app.env.iter().map(|(name, value)| (name, value.as_str()));
    variables("env", env, found);
    let secrets = app
        .secrets
        .iter()
        .map(|(name, value)| (name, value.expose()));
    variables("secrets", secrets, found);
    let in_both = |name: &&String| app.env.contains_key(*name);
    for name in app.secrets.keys().filter(in_both) {
        found.add(
            format!("secrets.{}", brief(name)),
            "is also in env; remove one of the two",
        );
    }
    for (path, value) in [
        ("env.PORT", app.env.get("PORT").map(String::as_str)),
        ("secrets.PORT", app.secrets.get("PORT").map(|s| s.expose())),
    ] {
        let agrees = value.is_none_or(|value| value == app.port.to_string());
        found.require(
            agrees || app.kind == Kind::Worker,
            path,
            format!(
                "must be {}, the value of port; change port instead",
                app.port
            ),
        );
    }
    pull_secret(app, found);
}

fn variables<'a>(
    path: &str,
    entries: impl Iterator<Item = (&'a String, &'a str)>,
    found: &mut Problems,
) {
    let mut total = 0;
    for (name, value) in entries {
        total += name.len() + value.len();
        let at = || format!("{path}.{}", brief(name));
        found.require(
            names::is_env_name(name),
            at(),
            "the name may contain letters, digits, '_', '-' and '.', and must not begin with a digit",
        );
        found.require(
            !value.contains('\0'),
            at(),
            "the value must not contain a NUL byte",
        );
    }
    found.require(
        total <= MAX_DATA_BYTES,
        path,
        format!("{total} bytes in total exceed Kubernetes' limit of {MAX_DATA_BYTES}"),
    );
}

fn pull_secret(app: &App, found: &mut Problems) {
    let Some(secret) = &app.pull_secret else {
        return;
    };
    let auths = serde_json::from_str::<serde_json::Value>(secret.expose()).ok();
    let valid = auths.is_some_and(|json| json["auths"].is_object());
    found.require(
        valid && secret.expose().len() <= MAX_DATA_BYTES,
        "pullSecret",
        "must be the JSON of a .dockerconfigjson with an \"auths\" object",
    );
}
