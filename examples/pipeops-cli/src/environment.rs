//! The servers that the environment names. `cargo testbed env` prints these variables for the testbed.

use std::env;

use pipeops::core::SecretString;

/// The servers that the environment names; `None` for all others.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// `BUILDKIT_HOST`: `unix:///…` or `tcp://…`; a comma-separated list is a pool.
    pub buildkit: Option<String>,
    /// `KUBECONFIG`, or an existing `~/.kube/config`, or a pod's service account.
    pub kubernetes: bool,
    /// `REGISTRY`: host and port, with an optional path prefix.
    pub registry: Option<Registry>,
    /// `S3_ENDPOINT`, `S3_BUCKET`, `S3_REGION`, `S3_ACCESS_KEY_ID`, `S3_SECRET_ACCESS_KEY`.
    pub s3: Option<S3>,
    /// `GITEA_URL`, `GITEA_USERNAME`, `GITEA_TOKEN`.
    pub gitea: Option<Gitea>,
}

/// A registry and how to log in.
#[derive(Debug, Clone)]
pub struct Registry {
    /// Host and port, and a path prefix.
    pub prefix: String,
    /// `REGISTRY_USERNAME` and `REGISTRY_PASSWORD`.
    pub login: Option<(String, SecretString)>,
}

/// A bucket for build cache.
#[derive(Debug, Clone)]
pub struct S3 {
    /// The server's address; AWS when `None`.
    pub endpoint: Option<String>,
    /// The bucket.
    pub bucket: String,
    /// The region.
    pub region: String,
    /// Key id and secret; `None` for the daemon's role.
    pub keys: Option<(String, SecretString)>,
}

/// A Gitea server, and the token of a user with the right to create repositories.
#[derive(Debug, Clone)]
pub struct Gitea {
    /// The server's address.
    pub url: String,
    /// The token's owner.
    pub username: String,
    /// The token.
    pub token: SecretString,
}

impl Environment {
    /// Reads the environment of this process.
    pub fn read() -> Self {
        Self {
            buildkit: variable("BUILDKIT_HOST"),
            kubernetes: kubernetes_is_configured(),
            registry: variable("REGISTRY").map(|prefix| Registry {
                prefix,
                login: pair("REGISTRY_USERNAME", "REGISTRY_PASSWORD"),
            }),
            s3: variable("S3_BUCKET").map(|bucket| S3 {
                endpoint: variable("S3_ENDPOINT"),
                bucket,
                region: variable("S3_REGION").unwrap_or_else(|| "us-east-1".to_owned()),
                keys: pair("S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"),
            }),
            gitea: variable("GITEA_URL")
                .zip(pair("GITEA_USERNAME", "GITEA_TOKEN"))
                .map(|(url, (username, token))| Gitea {
                    url: url.trim_end_matches('/').to_owned(),
                    username,
                    token,
                }),
        }
    }
}

/// A variable that is set and not empty.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn pair(name: &str, secret: &str) -> Option<(String, SecretString)> {
    variable(name).zip(variable(secret).map(SecretString::from))
}

fn kubernetes_is_configured() -> bool {
    let default = env::home_dir().map(|home| home.join(".kube/config"));
    variable("KUBECONFIG").is_some()
        || variable("KUBERNETES_SERVICE_HOST").is_some()
        || default.is_some_and(|path| path.is_file())
}
