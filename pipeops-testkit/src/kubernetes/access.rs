//! Authorization: everything is allowed except what a test denies.

use super::request::Target;
use super::status::ApiError;
use crate::fault::glob;

/// The user of every client.
const USER: &str = "pipeops-testkit";

/// What is denied: patterns of verbs and resources.
#[derive(Debug, Default)]
pub(crate) struct Denials(Vec<(String, String)>);

impl Denials {
    pub(crate) fn add(&mut self, verb: &str, resource: &str) {
        self.0.push((verb.to_owned(), resource.to_owned()));
    }

    fn denies(&self, verb: &str, resource: &str) -> bool {
        self.0
            .iter()
            .any(|(verbs, resources)| glob(verbs, verb) && glob(resources, resource))
    }

    /// Refuses a request that is denied.
    pub(crate) fn check(&self, verb: &str, target: &Target) -> Result<(), ApiError> {
        let resource = with_subresource(target.resource.plural, &target.subresource);
        if !self.denies(verb, &resource) {
            return Ok(());
        }
        let place = if target.namespace.is_empty() {
            "at the cluster scope".to_owned()
        } else {
            format!("in the namespace {:?}", target.namespace)
        };
        let why = format!(
            "User {USER:?} cannot {verb} resource {resource:?} in API group {:?} {place}",
            target.resource.group
        );
        let mut error = ApiError::forbidden(target.resource, &target.name, &why);
        if target.name.is_empty() {
            error.message = format!("{} is forbidden: {why}", target.resource.qualified());
        }
        Err(error)
    }
}

fn with_subresource(resource: &str, subresource: &str) -> String {
    if subresource.is_empty() {
        resource.to_owned()
    } else {
        format!("{resource}/{subresource}")
    }
}

#[cfg(test)]
mod tests {
    use super::super::resources::PODS;
    use super::*;

    #[test]
    fn what_is_denied_is_refused() {
        let mut denials = Denials::default();
        denials.add("*", "pods/log");
        let mut target = Target::new(&PODS, "a", "x");
        assert!(denials.check("get", &target).is_ok());
        "log".clone_into(&mut target.subresource);
        assert_eq!(denials.check("get", &target).unwrap_err().code, 403);
    }
}
