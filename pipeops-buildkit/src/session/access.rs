//! What the registries of one build are used for.

use std::collections::BTreeSet;

use pipeops_core::RegistryScope;
use pipeops_core::registry::{Scope, TrustedRealms};

/// What the registries of one build are used for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Access {
    /// Host and repository of everything that this build writes.
    pub(crate) writes: BTreeSet<(String, String)>,
    /// Hosts that speak plain HTTP; loopback does anyway.
    pub(crate) plain_http: BTreeSet<String>,
    /// Hosts of token servers that are trusted beyond [`RealmPolicy`](pipeops_core::registry::RealmPolicy).
    pub(crate) trusted_realms: TrustedRealms,
}

impl Access {
    /// What a provider is told when only the host is known.
    pub(super) fn scope_of_host(&self, host: &str) -> RegistryScope {
        let written = self.writes.iter().find(|(written, _)| written == host);
        written.map_or_else(RegistryScope::default, |(_, repository)| {
            RegistryScope::push(repository)
        })
    }

    /// The scopes that the daemon may have of those that it asked for, and how they look to a provider.
    ///
    /// Base images are read from wherever the Dockerfile says; only the repositories of this build are written.
    pub(super) fn narrow(&self, host: &str, asked: &[String]) -> (Vec<String>, RegistryScope) {
        let mut scope = RegistryScope::default();
        let mut granted = Vec::new();
        let asked = asked.iter().flat_map(|text| text.split(' '));
        for asked in asked.filter_map(|text| text.parse::<Scope>().ok()) {
            let Some(repository) = asked.repository().map(str::to_owned) else {
                continue;
            };
            let writable = self.may_write(host, &repository);
            let Some(kept) = asked.narrowed(|action| action == "pull" || writable) else {
                continue;
            };
            if kept.allows("push") {
                scope = RegistryScope::push(repository);
            } else if scope.repository.is_none() {
                scope = RegistryScope::pull(repository);
            }
            granted.push(kept.to_string());
        }
        (granted, scope)
    }

    fn may_write(&self, host: &str, repository: &str) -> bool {
        self.writes
            .contains(&(host.to_owned(), repository.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_narrowed_to_what_the_build_writes() {
        let access = Access {
            writes: [("reg.io".to_owned(), "team/app".to_owned())].into(),
            ..Access::default()
        };
        let asked = [
            "repository:team/app:pull,push".into(),
            "repository:library/x:pull,push repository:y:push".into(),
            "registry:catalog:*".into(),
        ];
        let (granted, scope) = access.narrow("reg.io", &asked);
        assert_eq!(
            granted,
            ["repository:team/app:pull,push", "repository:library/x:pull"]
        );
        assert_eq!(scope, RegistryScope::push("team/app"));
        let (granted, scope) = access.narrow("other.io", &asked);
        assert_eq!(
            granted,
            ["repository:team/app:pull", "repository:library/x:pull"]
        );
        assert!(!scope.push);
    }
}
