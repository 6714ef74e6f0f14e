//! Scopes: what a token allows.

use std::fmt;
use std::str::FromStr;

/// What a token allows ([token scopes]): actions on a resource.
///
/// ```
/// use pipeops_core::registry::Scope;
///
/// let scope: Scope = "repository:team/app:pull,push".parse()?;
/// assert_eq!((scope.repository(), scope.to_string().as_str()), (Some("team/app"), "repository:team/app:pull,push"));
/// assert!(Scope::pull("team/app").is_subset_of(&scope));
/// # Ok::<(), pipeops_core::registry::scope::InvalidScope>(())
/// ```
///
/// [token scopes]: https://distribution.github.io/distribution/spec/auth/scope/
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scope {
    kind: String,
    name: String,
    actions: Vec<String>,
}

/// The text isn't a scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} isn't a scope of the form type:name:action,action")]
pub struct InvalidScope(String);

impl Scope {
    /// Read one repository.
    pub fn pull(repository: impl Into<String>) -> Self {
        Self::of_repository(repository, &["pull"])
    }

    /// Read and write one repository.
    pub fn push(repository: impl Into<String>) -> Self {
        Self::of_repository(repository, &["pull", "push"])
    }

    /// Read, write and delete in one repository.
    pub fn delete(repository: impl Into<String>) -> Self {
        Self::of_repository(repository, &["pull", "push", "delete"])
    }

    /// The repository, unless the scope is about something else, such as the catalog.
    pub fn repository(&self) -> Option<&str> {
        (self.kind == "repository").then_some(self.name.as_str())
    }

    /// The actions, such as `pull` and `push`.
    pub fn actions(&self) -> impl Iterator<Item = &str> {
        self.actions.iter().map(String::as_str)
    }

    /// Whether the scope allows an action.
    pub fn allows(&self, action: &str) -> bool {
        self.actions
            .iter()
            .any(|known| known == action || known == "*")
    }

    /// Whether `other` allows everything that this scope allows.
    pub fn is_subset_of(&self, other: &Self) -> bool {
        (&self.kind, &self.name) == (&other.kind, &other.name)
            && self.actions.iter().all(|action| other.allows(action))
    }

    /// The scope with only those of its actions that `keep` accepts; `None` when none is left.
    #[must_use]
    pub fn narrowed(mut self, keep: impl Fn(&str) -> bool) -> Option<Self> {
        self.actions.retain(|action| keep(action));
        (!self.actions.is_empty()).then_some(self)
    }

    fn of_repository(repository: impl Into<String>, actions: &[&str]) -> Self {
        Self {
            kind: "repository".to_owned(),
            name: repository.into(),
            actions: actions.iter().map(|&action| action.to_owned()).collect(),
        }
    }
}

impl FromStr for Scope {
    type Err = InvalidScope;

    /// Reads one scope. A name may hold colons (`repository:host:5000/app:pull`); spaces separate scopes and are refused.
    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        let invalid = || InvalidScope(text.chars().take(200).collect());
        let (kind, rest) = text.split_once(':').ok_or_else(invalid)?;
        let (name, actions) = rest.rsplit_once(':').ok_or_else(invalid)?;
        let mut kept: Vec<String> = Vec::new();
        for action in actions.split(',') {
            if !action.is_empty() && !kept.iter().any(|known| known == action) {
                kept.push(action.to_owned());
            }
        }
        let broken = |c: char| c.is_whitespace() || c.is_control();
        if kind.is_empty() || name.is_empty() || kept.is_empty() || text.contains(broken) {
            return Err(invalid());
        }
        Ok(Self {
            kind: kind.to_owned(),
            name: name.to_owned(),
            actions: kept,
        })
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.kind, self.name, self.actions.join(","))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn scopes_are_read_and_written() {
        let scope: Scope = "repository:host:5000/app:pull,pull,push".parse().unwrap();
        assert_eq!(scope.repository(), Some("host:5000/app"));
        assert_eq!(scope.actions().collect::<Vec<_>>(), ["pull", "push"]);
        let catalog: Scope = "registry:catalog:*".parse().unwrap();
        assert_eq!(catalog.repository(), None);
        for text in [
            "",
            "repository",
            "repository:a",
            "repository:a:",
            ":a:pull",
            "repository::pull",
            "a:b c:d",
        ] {
            assert!(text.parse::<Scope>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_subset_has_the_same_resource_and_no_further_action() {
        assert!(Scope::pull("a").is_subset_of(&Scope::push("a")));
        assert!(!Scope::push("a").is_subset_of(&Scope::pull("a")));
        assert!(!Scope::pull("a").is_subset_of(&Scope::push("b")));
        assert!(Scope::delete("a").is_subset_of(&"repository:a:*".parse().unwrap()));
        let pull = Scope::push("a").narrowed(|action| action == "pull");
        assert_eq!(pull, Some(Scope::pull("a")));
        assert_eq!(Scope::pull("a").narrowed(|_| false), None);
    }

    proptest! {
        #[test]
        fn what_is_read_can_be_written_and_read_again(text in ".{0,60}") {
            if let Ok(scope) = text.parse::<Scope>() {
                prop_assert_eq!(scope.to_string().parse(), Ok(scope));
            }
        }

        #[test]
        fn what_is_written_parses_back(name in "[a-z0-9./:_-]{1,30}") {
            let scope = Scope::push(name);
            prop_assert_eq!(scope.to_string().parse(), Ok(scope));
        }
    }
}
