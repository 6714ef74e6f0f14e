//! Sources of credentials: fixed ones, Docker's configuration, and chains of several.

mod chain;
mod docker_config;
mod fixed;
mod pull_secret;

pub use chain::Chain;
pub use docker_config::DockerConfig;
pub use fixed::StaticCredentials;
pub use pull_secret::pull_secret_json;

/// Whether `repository` is `prefix` or lies below it. The empty prefix is the whole registry.
fn is_below(repository: &str, prefix: &str) -> bool {
    match repository.strip_prefix(prefix) {
        Some(rest) => prefix.is_empty() || rest.is_empty() || rest.starts_with('/'),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_at_a_slash() {
        assert!(
            is_below("team/app", "team")
                && is_below("team/app", "team/app")
                && is_below("team/app", "")
        );
        assert!(!is_below("teams/app", "team") && !is_below("team", "team/app"));
    }
}
