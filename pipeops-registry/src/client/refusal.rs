//! Refusals of registries, read and understood.

use std::time::Duration;

use pipeops_core::Redactor;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Response, StatusCode};

use super::transport::{Request, Transport};
use crate::error::Error;
use crate::quirks::{Answer, Verdict, classify};

/// More of a refusal is not read.
const MAX_REFUSAL_BYTES: usize = 16 * 1024;
/// More of a refusal is not shown.
const MAX_MESSAGE_CHARS: usize = 300;

/// A refusal, read and understood.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) verdict: Verdict,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    message: String,
    retry_after: Option<Duration>,
}

impl Refusal {
    /// Reads a refusal. `redactor` knows what was presented: registries may repeat it.
    pub(super) async fn read(
        transport: &Transport,
        registry: &str,
        answer: Response,
        redactor: &Redactor,
    ) -> Self {
        let (status, headers) = (answer.status(), answer.headers().clone());
        // A refusal whose body cannot be read is still one.
        let body = transport
            .read(registry, answer, MAX_REFUSAL_BYTES)
            .await
            .unwrap_or_default();
        let text = String::from_utf8_lossy(&body);
        let retry_after = headers
            .get(RETRY_AFTER)
            .and_then(|value| retry_after(value.to_str().ok()?));
        let verdict = classify(&Answer {
            host: registry,
            status: status.as_u16(),
            says: &text,
            retry_after: retry_after.is_some(),
        });
        Self {
            verdict,
            status,
            message: redactor.redact(&message(status, &text)).into_owned(),
            headers,
            retry_after,
        }
    }

    /// The same refusal with another meaning, if one is given: the caller knows more than the table.
    pub(super) fn meaning(mut self, verdict: Option<Verdict>) -> Self {
        self.verdict = verdict.unwrap_or(self.verdict);
        self
    }

    /// The error that this refusal is, for a request that presented credentials or not.
    pub(super) fn into_error(self, registry: &str, request: &Request, presented: bool) -> Error {
        let (host, repository) = (registry.to_owned(), request.repository.clone());
        let (action, message, retry_after) = (request.action, self.message, self.retry_after);
        match self.verdict {
            Verdict::RateLimited => Error::RateLimited {
                host,
                retry_after,
                message,
            },
            Verdict::Renew => Error::Unauthorized {
                host,
                repository,
                action,
                presented,
                message,
            },
            Verdict::Denied => Error::Denied {
                host,
                repository,
                action,
                message,
            },
            Verdict::NameUnknown => Error::NameUnknown {
                host,
                repository,
                message,
            },
            Verdict::NotFound => Error::NotFound {
                what: format!("{host}/{repository}"),
            },
            Verdict::ImmutableTag => Error::ImmutableTag {
                host,
                repository,
                message,
            },
            Verdict::Unavailable => Error::Unavailable {
                host,
                status: self.status.as_u16(),
                retry_after,
                message,
            },
            Verdict::Invalid => Error::BadAnswer {
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

/// Seconds or a date ([RFC 9110, 10.2.3]).
///
/// [RFC 9110, 10.2.3]: https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3
fn retry_after(value: &str) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
    let wait = at.duration_since(jiff::Timestamp::now());
    Some(Duration::try_from(wait).unwrap_or_default())
}

/// The registry's own words: `code: message` of the first error, or the beginning of whatever came.
fn message(status: StatusCode, body: &str) -> String {
    let json: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    let error = &json["errors"][0];
    let text = match (error["code"].as_str(), error["message"].as_str()) {
        (Some(code), Some(message)) if !message.is_empty() => format!("{code}: {message}"),
        (Some(code), _) => code.to_owned(),
        // Token servers answer in OAuth's words, or in their own.
        _ => ["error_description", "details", "message", "error"]
            .iter()
            .find_map(|key| json[*key].as_str())
            .unwrap_or(body)
            .to_owned(),
    };
    let clean: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MAX_MESSAGE_CHARS)
        .collect();
    match clean.trim() {
        "" => status.to_string().to_ascii_lowercase(),
        text => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registrys_words_are_bounded_and_clean() {
        let of = |body: &str| message(StatusCode::FORBIDDEN, body);
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

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(retry_after("7"), Some(Duration::from_secs(7)));
        assert_eq!(
            retry_after("Wed, 21 Oct 2015 07:28:00 GMT"),
            Some(Duration::ZERO)
        );
        assert!(retry_after("Wed, 21 Oct 2099 07:28:00 GMT").unwrap() > Duration::from_secs(3600));
        assert_eq!(retry_after("soon"), None);
    }
}
