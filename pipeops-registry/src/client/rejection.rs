//! Rejected requests: reads and classifies the response.

use std::time::Duration;

use pipeops_core::Redactor;
use pipeops_core::registry::codes::{ErrorEntry, entries};
use pipeops_core::registry::refusal::retry_after;
use pipeops_core::registry::{Refusal, RefusalClass};
use pipeops_core::text::one_line;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Response, StatusCode};

use super::transport::{Request, Transport};
use crate::error::Error;

/// The most that is read of a body.
const MAX_REFUSAL_BYTES: usize = 16 * 1024;
/// The longest message.
const MAX_MESSAGE_CHARS: usize = 300;

/// A response that isn't a success.
#[derive(Debug)]
pub(super) struct Rejection {
    pub(super) class: RefusalClass,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    message: String,
    retry_after: Option<Duration>,
}

impl Rejection {
    /// Reads the response. `redactor` knows the credentials of the request, which registries may repeat.
    pub(super) async fn read(
        transport: &Transport,
        registry: &str,
        answer: Response,
        redactor: &Redactor,
    ) -> Self {
        let (status, headers) = (answer.status(), answer.headers().clone());
        // Without a readable body, the status decides.
        let body = transport
            .read(registry, answer, MAX_REFUSAL_BYTES)
            .await
            .unwrap_or_default();
        let text = String::from_utf8_lossy(&body);
        let wait = headers.get(RETRY_AFTER);
        let wait = wait.and_then(|value| retry_after(value.to_str().ok()?));
        let refusal = Refusal::from_response(registry, status.as_u16(), &text, wait.is_some());
        Self {
            class: refusal.class().unwrap_or(RefusalClass::Invalid),
            status,
            message: redacted(status, &text, redactor),
            retry_after: wait,
            headers,
        }
    }

    /// Replaces the class, if the caller knows more than the table.
    pub(super) fn meaning(mut self, class: Option<RefusalClass>) -> Self {
        self.class = class.unwrap_or(self.class);
        self
    }

    /// The error; `presented` says whether the request had credentials.
    pub(super) fn into_error(self, registry: &str, request: &Request, presented: bool) -> Error {
        let (host, repository) = (registry.to_owned(), request.repository.clone());
        let (action, message, retry_after) = (request.action, self.message, self.retry_after);
        match self.class {
            RefusalClass::Throttled => Error::RateLimited {
                host,
                retry_after,
                message,
            },
            RefusalClass::Unauthorized | RefusalClass::Expired => Error::Unauthorized {
                host,
                repository,
                action,
                presented,
                message,
            },
            RefusalClass::Denied | RefusalClass::Concealed => Error::Denied {
                host,
                repository,
                action,
                message,
            },
            RefusalClass::NameUnknown => Error::NameUnknown {
                host,
                repository,
                message,
            },
            RefusalClass::NotFound => Error::NotFound {
                what: format!("{host}/{repository}"),
            },
            RefusalClass::ImmutableTag => Error::ImmutableTag {
                host,
                repository,
                message,
            },
            RefusalClass::Unavailable => Error::Unavailable {
                host,
                status: self.status.as_u16(),
                retry_after,
                message,
            },
            _ => Error::BadAnswer {
                host,
                what: format!(
                    "{} to {} of {repository}: {message}",
                    self.status.as_u16(),
                    request.method
                ),
            },
        }
    }
}

/// The registry's message without secrets. The body is redacted before it's parsed, because codes change their case, and the
/// message after that, because JSON escapes characters.
fn redacted(status: StatusCode, body: &str, redactor: &Redactor) -> String {
    let errors = entries(&redactor.redact(body));
    let message = message(status, &errors);
    redactor.redact(&message).into_owned()
}

/// The registry's message: `CODE: message` of the first error.
fn message(status: StatusCode, errors: &[ErrorEntry]) -> String {
    let text = match errors.first() {
        Some(error) if error.code.is_empty() => error.message.clone(),
        Some(error) if error.message.is_empty() => error.code.clone(),
        Some(error) => format!("{}: {}", error.code, error.message),
        None => String::new(),
    };
    let clean: String = one_line(&text).chars().take(MAX_MESSAGE_CHARS).collect();
    match clean.trim() {
        "" => status.to_string().to_ascii_lowercase(),
        text => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_contains_no_secret() {
        let redactor = Redactor::new([r#"s3cr3t-Hunter2"x"#.into(), "s3cr3tHunter2".into()]);
        for body in [
            r#"{"error":"bad password s3cr3t-Hunter2\"x for bob"}"#,
            r#"{"error":"s3cr3tHunter2"}"#,
            r#"{"errors":[{"code":"s3cr3tHunter2","message":"no"}]}"#,
            "<Error><Code>s3cr3tHunter2</Code></Error>",
        ] {
            let message = redacted(StatusCode::UNAUTHORIZED, body, &redactor).to_lowercase();
            assert!(!message.contains("hunter2"), "{body}: {message}");
        }
    }

    #[test]
    fn the_message_is_bounded_and_clean() {
        let of = |body: &str| message(StatusCode::FORBIDDEN, &entries(body));
        assert_eq!(
            of(r#"{"errors":[{"code":"DENIED","message":"no\nway"}]}"#),
            "DENIED: no way"
        );
        assert_eq!(
            of(r#"{"details":"incorrect username or password"}"#),
            "incorrect username or password"
        );
        assert_eq!(of(""), "403 forbidden");
        assert_eq!(of(&"x".repeat(5000)).len(), MAX_MESSAGE_CHARS);
    }
}
