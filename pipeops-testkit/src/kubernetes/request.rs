//! Parses the path and query of a request.

use percent_encoding::percent_decode_str;

use super::resources::{self, Resource};
use super::status::{ApiError, ApiResult};
pub(crate) use crate::serve::Query;

/// What a path means.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Route {
    /// `/healthz`, `/livez`, `/readyz`.
    Health,
    /// `/api` or `/apis`.
    Groups { core: bool },
    /// `/api/v1` or `/apis/{group}/{version}`.
    Resources { group: String, version: String },
    /// Objects.
    Objects(Target),
    /// Nothing is served there, in a part of the tree where API objects are.
    NoResource,
    /// Nothing is served there.
    Unknown,
}

/// One object, or all of a kind.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Target {
    pub(crate) resource: &'static Resource,
    /// Empty for all namespaces and for kinds without one.
    pub(crate) namespace: String,
    /// Empty for a collection.
    pub(crate) name: String,
    /// Empty for the object itself.
    pub(crate) subresource: String,
}

impl Target {
    pub(crate) fn new(resource: &'static Resource, namespace: &str, name: &str) -> Self {
        Self {
            resource,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            subresource: String::new(),
        }
    }

    pub(crate) fn status(mut self) -> Self {
        "status".clone_into(&mut self.subresource);
        self
    }

    pub(crate) fn key(&self) -> super::store::Key {
        super::store::Key::new(self.resource, &self.namespace, &self.name)
    }
}

/// Reads a path.
pub(crate) fn route(path: &str) -> Route {
    let parts: Vec<String> = path
        .split('/')
        .filter(|part| !part.is_empty())
        .map(|part| percent_decode_str(part).decode_utf8_lossy().into_owned())
        .collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    match parts.as_slice() {
        ["healthz" | "livez" | "readyz"] => Route::Health,
        ["api"] => Route::Groups { core: true },
        ["apis"] => Route::Groups { core: false },
        ["api", "v1", rest @ ..] => in_version("", "v1", rest),
        ["apis", group, version, rest @ ..] => in_version(group, version, rest),
        _ => Route::Unknown,
    }
}

fn in_version(group: &str, version: &str, rest: &[&str]) -> Route {
    if rest.is_empty() {
        return Route::Resources {
            group: group.to_owned(),
            version: version.to_owned(),
        };
    }
    let find = |plural: &str| resources::find(group, version, plural);
    // `/namespaces/a/pods` is about pods; `/namespaces/a/status` is about the namespace.
    let target = match rest {
        ["namespaces", namespace, plural, rest @ ..]
            if find(plural).is_some_and(|r| r.namespaced) =>
        {
            find(plural).and_then(|resource| target(resource, namespace, rest))
        }
        [plural, rest @ ..] => find(plural).and_then(|resource| {
            if resource.namespaced && !rest.is_empty() {
                return None;
            }
            target(resource, "", rest)
        }),
        [] => None,
    };
    target.map_or(Route::NoResource, Route::Objects)
}

fn target(resource: &'static Resource, namespace: &str, rest: &[&str]) -> Option<Target> {
    let mut target = Target::new(resource, namespace, "");
    match rest {
        [] => {}
        [name] => (*name).clone_into(&mut target.name),
        [name, subresource] => {
            (*name).clone_into(&mut target.name);
            (*subresource).clone_into(&mut target.subresource);
        }
        _ => return None,
    }
    Some(target)
}

impl Query {
    /// A parameter; empty when it is missing.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    /// A flag; a bare parameter counts as set.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.get(name)
            .is_some_and(|value| !matches!(value, "false" | "0"))
    }

    /// A number; none when it is missing.
    pub(crate) fn number(&self, name: &str) -> ApiResult<Option<u64>> {
        let text = self.text(name);
        if text.is_empty() {
            return Ok(None);
        }
        text.parse().map(Some).map_err(|_| {
            ApiError::bad_request(format!(
                "strconv.ParseUint: parsing {text:?} of {name}: invalid syntax"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::resources::{DEPLOYMENTS, NAMESPACES, PODS};
    use super::*;

    fn objects(path: &str) -> Target {
        match route(path) {
            Route::Objects(target) => target,
            other => panic!("{path} is {other:?}"),
        }
    }

    #[test]
    fn paths_name_objects() {
        assert_eq!(objects("/api/v1/pods"), Target::new(&PODS, "", ""));
        assert_eq!(
            objects("/apis/apps/v1/namespaces/a/deployments/x/status"),
            Target::new(&DEPLOYMENTS, "a", "x").status()
        );
        assert_eq!(
            objects("/api/v1/namespaces/a"),
            Target::new(&NAMESPACES, "", "a")
        );
        assert_eq!(
            objects("/api/v1/namespaces/a/status"),
            Target::new(&NAMESPACES, "", "a").status()
        );
    }

    #[test]
    fn what_is_not_served_is_unknown() {
        for path in [
            "/apis/apps/v1/foos",
            "/apis/apps/v2/deployments",
            "/api/v1/pods/x",
            "/api/v1/namespaces/a/pods/x/log/more",
        ] {
            assert_eq!(route(path), Route::NoResource, "{path}");
        }
        assert_eq!(route("/nonsense"), Route::Unknown);
    }

    #[test]
    fn queries_are_decoded() {
        let query = Query::parse("labelSelector=app%3Da%2Cb%20in%20(c)&watch=true&limit=x&force");
        assert_eq!(query.text("labelSelector"), "app=a,b in (c)");
        assert!(query.flag("watch") && query.flag("force") && !query.flag("other"));
        assert!(query.number("limit").is_err());
    }
}
