//! Validates environment variables and the pull Secret.

use pipeops_core::secret::{Suspicion, suspicion};

use super::problems::{Problems, brief};
use crate::app::{App, Kind};
use crate::error::ConfigProblem;
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

/// Values that look like secrets but are stored where they stay readable: in a ConfigMap or in the Deployment.
pub(super) fn warnings(app: &App) -> Vec<ConfigProblem> {
    let env = app.env.iter().filter_map(|(name, value)| {
        let why = suspicion(name, value)?;
        Some(ConfigProblem::new(
            format!("env.{}", brief(name)),
            format!(
                "looks like a secret ({why}), but env is stored in a readable ConfigMap; set it as a secret instead"
            ),
        ))
    });
    let words = [("command", &app.command), ("args", &app.args)];
    let words = words
        .into_iter()
        .flat_map(|(path, words)| words.iter().map(move |word| (path, word)));
    let words = words.filter_map(|(path, word)| {
        let why = embedded_secret(word)?;
        Some(ConfigProblem::new(
            path,
            format!("contains {why}, which everyone who can read the Deployment sees; set it as a secret and read the variable"),
        ))
    });
    env.chain(words).collect()
}

/// A secret in a word, or behind the `=` of an option. Its name says little: `--key` takes a column's as well.
fn embedded_secret(word: &str) -> Option<&'static str> {
    let value = word.split_once('=').map_or(word, |(_, value)| value);
    [word, value]
        .into_iter()
        .find_map(|text| match suspicion("", text) {
            Some(Suspicion::Format(format)) => Some(format),
            _ => None,
        })
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

#[cfg(test)]
mod tests {
    use crate::fixtures;

    #[test]
    fn values_that_look_like_secrets_are_named_and_not_shown() {
        // Put together here, so that no scanner takes the test for a leak.
        let token = format!("ghp_{}", "a1B2c3D4e5F6g7H8");
        let mut app = fixtures::app()
            .env("DATABASE_URL", "postgres://shop:hunter22@db/shop")
            .env("SMTP_PASSWORD", "hunter22")
            .env("CLIENT", &token)
            .env("CACHE_URL", "redis://cache:6379/0")
            .env("TOKEN_PATH", "/run/secrets/token")
            .env("LOG_LEVEL", "info")
            .secret("API_KEY", "hunter22");
        app.args = vec![
            "--dsn=mysql://shop:hunter22@db/shop".to_owned(),
            token,
            "--key=name".to_owned(),
        ];
        let found = app.warnings();
        let paths: Vec<&str> = found.iter().map(|warning| warning.path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "env.CLIENT",
                "env.DATABASE_URL",
                "env.SMTP_PASSWORD",
                "args",
                "args"
            ]
        );
        let text: String = found.iter().map(|warning| format!("{warning}\n")).collect();
        assert!(
            text.contains("(a URL with a password)") && text.contains("as a secret"),
            "{text}"
        );
        assert!(
            !text.contains("hunter22") && !text.contains("ghp_"),
            "{text}"
        );
        assert!(fixtures::app().warnings().is_empty());
    }
}
