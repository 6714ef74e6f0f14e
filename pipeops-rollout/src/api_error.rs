//! Errors of the Kubernetes API: the request and the server's response.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use pipeops_core::diagnosis::{Page, codes::rollout as codes};
use pipeops_core::retry::Retryable;
use pipeops_core::{Diagnose, Diagnosis, RetryClass};

use crate::text;

/// A request to the API server.
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
    /// A request with this verb for this resource.
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

/// A field that another field manager owns, with another value.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FieldConflict {
    /// The field manager: `kubectl-client-side-apply`, `helm`.
    pub manager: String,
    /// Its path: `.spec.replicas`.
    pub field: String,
}

impl fmt::Display for FieldConflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is managed by \"{}\"", self.field, self.manager)
    }
}

/// A field that the server rejects.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FieldProblem {
    /// Its path: `spec.replicas`; empty if the server names none.
    pub field: String,
    /// What is wrong with its value.
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

/// Why a request to the API server failed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ApiProblem {
    /// 401: the server rejected the credentials.
    Unauthorized,
    /// 403: RBAC, a quota or an admission rule forbids the request.
    Forbidden {
        /// The server's message.
        message: String,
    },
    /// 404: the server doesn't serve this kind.
    NoSuchKind,
    /// 404: the namespace doesn't exist.
    NoSuchNamespace,
    /// 404: the object doesn't exist.
    NotFound,
    /// 409: an object of this name already exists.
    AlreadyExists,
    /// 409: other field managers own these fields.
    Conflict(Vec<FieldConflict>),
    /// 409: the object has changed since it was read.
    Stale,
    /// 422: these fields are invalid.
    Invalid(Vec<FieldProblem>),
    /// 429: too many requests, even after retries.
    Throttled,
    /// 5xx, even after retries.
    Unavailable {
        /// The HTTP status.
        status: u16,
        /// The server's message.
        message: String,
    },
    /// No response in time, even after retries.
    TimedOut {
        /// The time limit of one attempt.
        after: Duration,
    },
    /// No connection, even after retries.
    Unreachable {
        /// The innermost cause: `connection refused`.
        message: String,
    },
    /// Any other error.
    Rejected {
        /// The HTTP status; 0 if the response was invalid.
        status: u16,
        /// The server's message, or why the response is invalid.
        message: String,
    },
}

impl fmt::Display for ApiProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unauthorized => f.write_str("the API server rejected the credentials"),
            Self::Forbidden { message } => write!(f, "forbidden: {message}"),
            Self::NoSuchKind => f.write_str("the cluster doesn't serve this kind"),
            Self::NoSuchNamespace => f.write_str("the namespace doesn't exist"),
            Self::NotFound => f.write_str("not found"),
            Self::AlreadyExists => f.write_str("already exists"),
            Self::Conflict(conflicts) => join(f, conflicts),
            Self::Stale => f.write_str("it has changed since it was read"),
            Self::Invalid(problems) => join(f, problems),
            Self::Throttled => f.write_str("too many requests"),
            Self::TimedOut { after } => write!(f, "no response within {} s", after.as_secs()),
            Self::Unreachable { message } => write!(f, "cannot reach the API server: {message}"),
            Self::Rejected { status: 0, message } => f.write_str(message),
            Self::Unavailable { status, message } | Self::Rejected { status, message } => {
                write!(
                    f,
                    "the API server responded with status {status}: {message}"
                )
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
    /// The request.
    pub action: Action,
    /// Why it failed.
    pub problem: ApiProblem,
}

impl ApiError {
    /// The failure of this request.
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

/// Classifies a `Status` by its reason and code, as
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
        // 501 is permanent.
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

/// The last error of the chain: the root cause.
fn innermost(error: &(dyn StdError + 'static)) -> String {
    let mut last: &dyn StdError = error;
    // Some chains loop. No other chain is this long.
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

    /// Its diagnosis already says so: transient problems are retried before they are returned.
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
        let (page, reason) = self.problem.page();
        let reason = reason
            .replace("{action}", &format!("{verb} {resource}"))
            .replace("{resource}", resource)
            .replace("{place}", &place);
        let diagnosis = Diagnosis::new(page)
            .error(self.to_string())
            .reason(reason)
            .class(self.class());
        match namespace.as_str() {
            "" => diagnosis,
            namespace => diagnosis.context("namespace", namespace),
        }
    }
}

impl ApiProblem {
    /// The page of this problem, and why it happens.
    fn page(&self) -> (&'static Page, &'static str) {
        use codes::*;
        match self {
            Self::Unauthorized => (
                &CLUSTER_UNAUTHORIZED,
                "the API server rejects PipeOps' credentials",
            ),
            Self::Forbidden { .. } => (&CLUSTER_FORBIDDEN, "PipeOps may not {action} in {place}"),
            Self::NoSuchKind => (
                &CLUSTER_NO_SUCH_KIND,
                "the cluster doesn't serve {resource}",
            ),
            Self::NoSuchNamespace => (&CLUSTER_NO_SUCH_NAMESPACE, "{place} doesn't exist"),
            Self::NotFound => (&CLUSTER_NOT_FOUND, "the object doesn't exist"),
            Self::AlreadyExists => (
                &CLUSTER_ALREADY_EXISTS,
                "an object of this name already exists",
            ),
            Self::Conflict(_) => (&CLUSTER_CONFLICT, "another tool manages these fields"),
            Self::Stale => (
                &CLUSTER_STALE,
                "another client changed the object at the same time",
            ),
            Self::Invalid(_) => (&CLUSTER_INVALID, "the API server rejects these fields"),
            Self::Throttled | Self::Unavailable { .. } | Self::TimedOut { .. } => (
                &CLUSTER_UNAVAILABLE,
                "the API server didn't respond, even after retries",
            ),
            Self::Unreachable { .. } => (&CLUSTER_UNREACHABLE, "no connection to the API server"),
            Self::Rejected { .. } => (&CLUSTER_REJECTED, "the API server rejected the request"),
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
    fn responses_name_every_field_and_what_is_missing() {
        let cases = [
            (
                json!({"code": 409, "reason": "Conflict", "details": {"causes": [
                    {"reason": "FieldManagerConflict", "message": "conflict with \"kubectl\" using apps/v1", "field": ".spec.replicas"}]}}),
                ".spec.replicas is managed by \"kubectl\"",
            ),
            (
                json!({"code": 422, "reason": "Invalid", "details": {"causes": [
                    {"reason": "FieldValueInvalid", "message": "Invalid value: -1", "field": "spec.replicas"},
                    {"reason": "FieldValueRequired", "message": "Required value", "field": "spec.selector"}]}}),
                "spec.replicas: Invalid value: -1; spec.selector: Required value",
            ),
            (
                json!({"code": 404, "message": "namespaces \"shop\" not found", "details": {"kind": "namespaces"}}),
                "the namespace doesn't exist",
            ),
            (
                json!({"code": 404, "message": "the server could not find the requested resource", "details": {}}),
                "the cluster doesn't serve this kind",
            ),
            (
                json!({"code": 404, "message": "deployments.apps \"web\" not found", "details": {"kind": "deployments"}}),
                "not found",
            ),
        ];
        for (status, text) in cases {
            assert_eq!(problem(status).to_string(), text);
        }
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
