//! Errors of the Kubernetes API: what was requested, and what the server answered.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use pipeops_core::diagnosis::codes::rollout as codes;
use pipeops_core::retry::Retryable;
use pipeops_core::{Diagnose, Diagnosis, RetryClass};

use crate::text;

/// What was asked of the API server.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Action {
    /// The RBAC verb: `get`, `list`, `watch`, `create`, `update`, `patch` or `delete`.
    pub verb: &'static str,
    /// The RBAC resource with its group: `pods/log`, `deployments.apps`.
    pub resource: String,
    /// The object's name; empty for lists and watches.
    pub name: String,
    /// The namespace; empty for cluster-wide objects.
    pub namespace: String,
}

impl Action {
    /// This verb on this resource.
    pub fn new(
        verb: &'static str,
        resource: impl Into<String>,
        name: impl Into<String>,
        namespace: impl Into<String>,
    ) -> Self {
        Self {
            verb,
            resource: resource.into(),
            name: name.into(),
            namespace: namespace.into(),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)?;
        if !self.name.is_empty() {
            write!(f, " \"{}\"", self.name)?;
        }
        if !self.namespace.is_empty() {
            write!(f, " in namespace \"{}\"", self.namespace)?;
        }
        Ok(())
    }
}

/// A field that another field manager owns with another value.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FieldConflict {
    /// Who owns it: `kubectl-client-side-apply`, `helm`.
    pub manager: String,
    /// Its path: `.spec.replicas`.
    pub field: String,
}

impl fmt::Display for FieldConflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is managed by \"{}\"", self.field, self.manager)
    }
}

/// A field with a value that the server refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FieldProblem {
    /// Its path: `spec.replicas`; empty when the server names none.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

impl fmt::Display for FieldProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.field, self.message)
        }
    }
}

/// What the API server said.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ApiProblem {
    /// 401: the credential was refused.
    Unauthorized,
    /// 403: RBAC, a quota or an admission rule forbids it.
    Forbidden {
        /// The server's words.
        message: String,
    },
    /// 404: the server does not serve this kind.
    NoSuchKind,
    /// 404: the namespace does not exist.
    NoSuchNamespace,
    /// 404: the object does not exist.
    NotFound,
    /// 409: an object of this name exists.
    AlreadyExists,
    /// 409: other field managers own these fields.
    Conflict(Vec<FieldConflict>),
    /// 409: the object was changed since it was read.
    Stale,
    /// 422: these fields are refused.
    Invalid(Vec<FieldProblem>),
    /// 429: too many requests, also after several tries.
    Throttled,
    /// 5xx, also after several tries.
    Unavailable {
        /// The HTTP status.
        status: u16,
        /// The server's words.
        message: String,
    },
    /// No answer in time, also after several tries.
    TimedOut {
        /// The limit of one try.
        after: Duration,
    },
    /// No connection, also after several tries.
    Unreachable {
        /// The innermost cause: `connection refused`.
        message: String,
    },
    /// Any other refusal.
    Rejected {
        /// The HTTP status; 0 when the answer could not be read.
        status: u16,
        /// The server's words.
        message: String,
    },
}

impl fmt::Display for ApiProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unauthorized => f.write_str("the cluster refused the credential"),
            Self::Forbidden { message } => write!(f, "forbidden: {message}"),
            Self::NoSuchKind => f.write_str("the cluster does not serve this kind"),
            Self::NoSuchNamespace => f.write_str("the namespace does not exist"),
            Self::NotFound => f.write_str("not found"),
            Self::AlreadyExists => f.write_str("it exists already"),
            Self::Conflict(conflicts) => join(f, conflicts),
            Self::Stale => f.write_str("it was changed since it was read"),
            Self::Invalid(problems) => join(f, problems),
            Self::Throttled => f.write_str("too many requests"),
            Self::Unavailable { status, message } => {
                write!(f, "the API server answered {status}: {message}")
            }
            Self::TimedOut { after } => write!(f, "no answer within {} s", after.as_secs()),
            Self::Unreachable { message } => write!(f, "cannot reach the API server: {message}"),
            Self::Rejected { status: 0, message } => f.write_str(message),
            Self::Rejected { status, message } => {
                write!(f, "the API server answered {status}: {message}")
            }
        }
    }
}

fn join<T: fmt::Display>(f: &mut fmt::Formatter<'_>, items: &[T]) -> fmt::Result {
    for (index, item) in items.iter().enumerate() {
        let separator = if index == 0 { "" } else { "; " };
        write!(f, "{separator}{item}")?;
    }
    Ok(())
}

/// A request to the Kubernetes API that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot {action}: {problem}")]
#[non_exhaustive]
pub struct ApiError {
    /// What was asked.
    pub action: Action,
    /// What came back.
    pub problem: ApiProblem,
}

impl ApiError {
    /// This problem of this action.
    pub fn new(action: Action, problem: ApiProblem) -> Self {
        Self { action, problem }
    }

    /// Whether a retry can help.
    pub fn is_transient(&self) -> bool {
        matches!(
            self.problem,
            ApiProblem::Throttled
                | ApiProblem::Unavailable { .. }
                | ApiProblem::TimedOut { .. }
                | ApiProblem::Unreachable { .. }
        )
    }

    /// Whether deploying again, unchanged, can help.
    fn class(&self) -> RetryClass {
        match self.problem {
            ApiProblem::Unauthorized => RetryClass::NeedsCredential,
            ApiProblem::Stale => RetryClass::Transient,
            _ if self.is_transient() => RetryClass::Exhausted,
            _ => RetryClass::Permanent,
        }
    }

    pub(crate) fn from_kube(action: Action, error: kube::Error) -> Self {
        let problem = match error {
            kube::Error::Api(status) => of_status(&status),
            kube::Error::Auth(_) => ApiProblem::Unauthorized,
            kube::Error::HyperError(_)
            | kube::Error::Service(_)
            | kube::Error::ReadEvents(_)
            | kube::Error::HttpError(_) => ApiProblem::Unreachable {
                message: innermost(&error),
            },
            other => ApiProblem::Rejected {
                status: 0,
                message: innermost(&other),
            },
        };
        Self { action, problem }
    }
}

/// Sorts a `Status` by its reason and code, as
/// [apimachinery](https://github.com/kubernetes/apimachinery/blob/master/pkg/api/errors/errors.go) does.
fn of_status(status: &kube::core::Status) -> ApiProblem {
    let message = text::clean(&status.message);
    let causes = status
        .details
        .as_ref()
        .map_or(&[][..], |details| &details.causes);
    match (status.code, status.reason.as_str()) {
        (401, _) => ApiProblem::Unauthorized,
        (403, _) => ApiProblem::Forbidden { message },
        (404, _) => missing(&message, status.details.as_ref().map(|d| d.kind.as_str())),
        (409, "AlreadyExists") => ApiProblem::AlreadyExists,
        (409, _) => match field_conflicts(causes) {
            conflicts if conflicts.is_empty() => ApiProblem::Stale,
            conflicts => ApiProblem::Conflict(conflicts),
        },
        (422, _) => ApiProblem::Invalid(field_problems(causes, message)),
        (429, _) => ApiProblem::Throttled,
        // 501 says that it will never work.
        (code @ (500 | 502..=599), _) => ApiProblem::Unavailable {
            status: code,
            message,
        },
        (code, _) => ApiProblem::Rejected {
            status: code,
            message,
        },
    }
}

fn missing(message: &str, kind: Option<&str>) -> ApiProblem {
    if kind == Some("namespaces") {
        ApiProblem::NoSuchNamespace
    } else if message.contains("could not find the requested resource")
        || message.contains("page not found")
    {
        ApiProblem::NoSuchKind
    } else {
        ApiProblem::NotFound
    }
}

fn field_conflicts(causes: &[kube::core::response::StatusCause]) -> Vec<FieldConflict> {
    causes
        .iter()
        .filter(|cause| cause.reason == "FieldManagerConflict")
        .map(|cause| FieldConflict {
            // The message reads: conflict with "kubectl" using apps/v1
            manager: cause
                .message
                .split('"')
                .nth(1)
                .unwrap_or(&cause.message)
                .to_owned(),
            field: cause.field.clone(),
        })
        .collect()
}

fn field_problems(
    causes: &[kube::core::response::StatusCause],
    message: String,
) -> Vec<FieldProblem> {
    let mut problems: Vec<_> = causes
        .iter()
        .map(|cause| FieldProblem {
            field: cause.field.clone(),
            message: text::clean(&cause.message),
        })
        .collect();
    if problems.is_empty() {
        problems.push(FieldProblem {
            field: String::new(),
            message,
        });
    }
    problems
}

/// The last error of the chain, where the true cause is.
fn innermost(error: &(dyn StdError + 'static)) -> String {
    let mut last: &dyn StdError = error;
    // Chains that loop exist; no honest one is this long.
    for _ in 0..16 {
        match last.source() {
            Some(source) => last = source,
            None => break,
        }
    }
    text::clean(&last.to_string())
}

impl Retryable for ApiError {
    fn retry_class(&self) -> RetryClass {
        match self.is_transient() {
            true => RetryClass::Transient,
            false => RetryClass::Permanent,
        }
    }

    /// Its diagnosis says so already: transient problems are retried before they are returned.
    fn exhausted(self, _attempts: u32) -> Self {
        self
    }
}

impl Diagnose for ApiError {
    fn diagnosis(&self) -> Diagnosis {
        let Action {
            verb,
            resource,
            namespace,
            ..
        } = &self.action;
        let place = match namespace.as_str() {
            "" => "the cluster".to_owned(),
            namespace => format!("namespace \"{namespace}\""),
        };
        let because = |page, reason: &str| {
            let diagnosis = Diagnosis::new(page).error(self.to_string()).reason(reason);
            diagnosis.class(self.class())
        };
        let diagnosis = match &self.problem {
            ApiProblem::Unauthorized => because(
                &codes::CLUSTER_UNAUTHORIZED,
                "the cluster does not accept PipeOps' credential",
            ),
            ApiProblem::Forbidden { .. } => because(
                &codes::CLUSTER_FORBIDDEN,
                &format!("PipeOps may not {verb} {resource} in {place}"),
            ),
            ApiProblem::NoSuchKind => because(
                &codes::CLUSTER_NO_SUCH_KIND,
                &format!("the cluster does not serve {resource}"),
            ),
            ApiProblem::NoSuchNamespace => because(
                &codes::CLUSTER_NO_SUCH_NAMESPACE,
                &format!("{place} does not exist"),
            ),
            ApiProblem::NotFound => because(&codes::CLUSTER_NOT_FOUND, "the object does not exist"),
            ApiProblem::AlreadyExists => because(
                &codes::CLUSTER_ALREADY_EXISTS,
                "an object of this name exists",
            ),
            ApiProblem::Conflict(_) => because(
                &codes::CLUSTER_CONFLICT,
                "another tool manages these fields",
            ),
            ApiProblem::Stale => because(
                &codes::CLUSTER_STALE,
                "another client changed the object at the same time",
            ),
            ApiProblem::Invalid(_) => {
                because(&codes::CLUSTER_INVALID, "the cluster refuses these fields")
            }
            ApiProblem::Throttled
            | ApiProblem::Unavailable { .. }
            | ApiProblem::TimedOut { .. } => because(
                &codes::CLUSTER_UNAVAILABLE,
                "the API server did not answer, also after several tries",
            ),
            ApiProblem::Unreachable { .. } => because(
                &codes::CLUSTER_UNREACHABLE,
                "no connection to the API server",
            ),
            ApiProblem::Rejected { .. } => because(
                &codes::CLUSTER_REJECTED,
                "the API server refused the request",
            ),
        };
        match namespace.as_str() {
            "" => diagnosis,
            namespace => diagnosis.context("namespace", namespace),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn problem(status: serde_json::Value) -> ApiProblem {
        of_status(&serde_json::from_value(status).unwrap())
    }

    #[test]
    fn a_conflict_names_manager_and_field() {
        let problem = problem(
            json!({"code": 409, "reason": "Conflict", "details": {"causes": [
                {"reason": "FieldManagerConflict", "message": "conflict with \"kubectl\" using apps/v1", "field": ".spec.replicas"}
            ]}}),
        );
        assert_eq!(
            problem.to_string(),
            ".spec.replicas is managed by \"kubectl\""
        );
    }

    #[test]
    fn an_invalid_object_names_every_field() {
        let problem = problem(
            json!({"code": 422, "reason": "Invalid", "details": {"causes": [
                {"reason": "FieldValueInvalid", "message": "Invalid value: -1: must be greater than or equal to 0", "field": "spec.replicas"},
                {"reason": "FieldValueRequired", "message": "Required value", "field": "spec.selector"}
            ]}}),
        );
        assert_eq!(
            problem.to_string(),
            "spec.replicas: Invalid value: -1: must be greater than or equal to 0; spec.selector: Required value"
        );
    }

    #[test]
    fn the_three_kinds_of_404_differ() {
        let of = |message, kind| {
            problem(
                json!({"code": 404, "reason": "NotFound", "message": message, "details": {"kind": kind}}),
            )
        };
        assert_eq!(
            of("namespaces \"shop\" not found", "namespaces"),
            ApiProblem::NoSuchNamespace
        );
        assert_eq!(
            of("the server could not find the requested resource", ""),
            ApiProblem::NoSuchKind
        );
        assert_eq!(
            of("deployments.apps \"web\" not found", "deployments"),
            ApiProblem::NotFound
        );
    }

    #[test]
    fn forbidden_says_verb_resource_and_namespace() {
        let error = ApiError::new(
            Action::new("patch", "deployments.apps", "web", "shop"),
            ApiProblem::Forbidden {
                message: "no".into(),
            },
        );
        let diagnosis = error.diagnosis();
        assert_eq!(
            diagnosis.reason,
            "PipeOps may not patch deployments.apps in namespace \"shop\""
        );
        assert_eq!(diagnosis.code, codes::CLUSTER_FORBIDDEN);
        assert_eq!(diagnosis.context["namespace"], "shop");
    }

    #[test]
    fn only_what_may_pass_is_transient() {
        let action = || Action::new("get", "pods", "", "");
        let transient = |code: u16| {
            ApiError::new(action(), problem(json!({"code": code, "message": "m"}))).is_transient()
        };
        assert!(transient(429) && transient(500) && transient(503));
        assert!(!transient(501) && !transient(422) && !transient(409) && !transient(400));
    }
}
