//! The forges that send webhooks.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A kind of git server that sends webhooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Forge {
    /// GitHub and GitHub Enterprise.
    GitHub,
    /// GitLab, also self-managed.
    GitLab,
    /// Gitea.
    Gitea,
    /// Forgejo.
    Forgejo,
    /// Bitbucket Cloud and Data Center.
    Bitbucket,
}

impl fmt::Display for Forge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The names of the variants are those of the products.
        fmt::Debug::fmt(self, f)
    }
}
