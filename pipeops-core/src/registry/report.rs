//! Registry errors in messages of other programs: BuildKit, containerd, CRI-O, Docker.

use super::codes;
use super::host::canonical;
use super::refusal::{Refusal, RefusalClass};

/// Statuses with their reason phrases, as Go prints them.
const PHRASES: [(u16, &str); 13] = [
    (400, "bad request"),
    (401, "unauthorized"),
    (403, "forbidden"),
    (404, "not found"),
    (405, "method not allowed"),
    (408, "request timeout"),
    (409, "conflict"),
    (412, "precondition failed"),
    (429, "too many requests"),
    (500, "internal server error"),
    (502, "bad gateway"),
    (503, "service unavailable"),
    (504, "gateway time"),
];

/// The text before the image reference in messages of BuildKit and containerd, and the operation that it means.
const MARKS: [(&str, Operation); 4] = [
    ("failed to push ", Operation::Push),
    ("failed to resolve source metadata for ", Operation::Resolve),
    ("failed to resolve reference ", Operation::Resolve),
    ("failed to resolve image ", Operation::Resolve),
];

/// What a program was doing with a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// Pushing an image.
    Push,
    /// Looking up an image.
    Resolve,
}

/// A registry error as another program reports it.
///
/// ```
/// use pipeops_core::registry::{RefusalClass, Report};
///
/// let report = Report::read("failed to push ghcr.io/a/b:1: unexpected status from PUT request to https://ghcr.io/v2/a/b/manifests/1: 429 Too Many Requests");
/// assert_eq!((report.host.as_deref(), report.class()), (Some("ghcr.io"), Some(RefusalClass::Throttled)));
/// assert_eq!(Report::read("exit code: 1").class(), None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The operation, if the message names it.
    pub operation: Option<Operation>,
    /// The image, as the message writes it.
    pub image: Option<String>,
    /// The registry: the host of an address in the message, or of the image.
    pub host: Option<String>,
    /// Status and codes.
    pub refusal: Refusal,
}

impl Report {
    /// Reads a message. The last status counts. Codes count only where they are alone between colons.
    pub fn read(message: &str) -> Self {
        let message = codes::bounded(message);
        let lower = message.to_ascii_lowercase();
        let mark = MARKS
            .iter()
            .filter_map(|(mark, operation)| Some((lower.rfind(mark)? + mark.len(), *operation)))
            .max_by_key(|(at, _)| *at);
        let (operation, image, said) = match mark {
            Some((at, operation)) => {
                let rest = &message[at..];
                let end = rest.find(": ").unwrap_or(rest.len());
                let image = rest[..end].trim_matches('"').to_owned();
                let said = rest.get(end + 2..).unwrap_or_default();
                (Some(operation), Some(image), said)
            }
            None => (None, None, message),
        };
        let host = host_of_url(message).or_else(|| host_of_image(image.as_deref()?));
        let mut errors = codes::text_entries(said);
        if operation.is_some() && is_denied(said) {
            errors.push(codes::ErrorEntry {
                code: "PERMISSION_DENIED".to_owned(),
                ..codes::ErrorEntry::default()
            });
        }
        // Phrases may stand anywhere.
        errors.push(codes::ErrorEntry {
            message: said.to_owned(),
            ..codes::ErrorEntry::default()
        });
        Self {
            operation,
            refusal: Refusal {
                host: host.as_deref().map(canonical).unwrap_or_default(),
                status: status(said).unwrap_or_default(),
                errors,
                retry_after: false,
            },
            image,
            host,
        }
    }

    /// What the registry meant; `None` if the message reports no registry error.
    pub fn class(&self) -> Option<RefusalClass> {
        self.refusal.class()
    }
}

/// Whether the text ends a registry's response with `permission denied`. The same words can be about files and sockets.
fn is_denied(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    let mut segments = text.split(": ").map(str::trim);
    segments.any(|segment| segment == "permission denied") && !text.contains("dial ")
}

/// The last HTTP status in a text that has its reason phrase: `429 Too Many Requests`.
fn status(text: &str) -> Option<u16> {
    let text = text.to_ascii_lowercase();
    let found = PHRASES.iter().filter_map(|(status, phrase)| {
        let text = &text;
        let shown = format!("{status} {phrase}");
        let places = text.match_indices(&shown);
        let alone =
            places.filter(|(at, _)| *at == 0 || text[..*at].ends_with([' ', '(', '[', '"']));
        Some((alone.last()?.0, *status))
    });
    found.max_by_key(|(at, _)| *at).map(|(_, status)| status)
}

fn host_of_url(message: &str) -> Option<String> {
    let (_, rest) = message.split_once("://")?;
    let authority = rest.split(['/', '"', ' ', '?']).next()?;
    // A login may stand in front.
    plausible(authority.rsplit('@').next()?)
}

fn host_of_image(image: &str) -> Option<String> {
    let image: crate::ImageRef = image.parse().ok()?;
    plausible(image.host())
}

fn plausible(host: &str) -> Option<String> {
    (!host.is_empty() && host.len() < 256).then(|| host.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn class(message: &str) -> Option<RefusalClass> {
        Report::read(message).class()
    }

    #[test]
    fn messages_name_operation_image_and_host() {
        let report = Report::read(
            "b: failed to resolve source metadata for docker.io/library/b:latest: docker.io/library/b:latest: not found (did you mean a?)",
        );
        assert_eq!(report.operation, Some(Operation::Resolve));
        assert_eq!(report.image.as_deref(), Some("docker.io/library/b:latest"));
        assert_eq!(report.host.as_deref(), Some("docker.io"));
        assert_eq!(report.class(), Some(RefusalClass::NotFound));
        let report = Report::read("failed to push 127.0.0.1:27012/app:1: denied");
        assert_eq!(report.operation, Some(Operation::Push));
        assert_eq!(report.host.as_deref(), Some("127.0.0.1:27012"));
        let report = Report::read("Get \"http://user:p@w@h:5000/x\": denied");
        assert_eq!(report.host.as_deref(), Some("h:5000"));
    }

    #[test]
    fn the_last_status_of_a_text_counts() {
        let said = "retried after 503 Service Unavailable, then 401 Unauthorized";
        assert_eq!(class(said), Some(RefusalClass::Unauthorized));
        assert_eq!(
            class("push failed: toomanyrequests: slow down"),
            Some(RefusalClass::Throttled)
        );
        for said in [
            "mkdir /x: permission denied",
            "failed to push h/a:1: dial tcp 10.0.0.1:443: permission denied",
            "port 5000",
            "app:502 Bad Gateway",
            "exit code: 404",
        ] {
            assert_eq!(class(said), None, "{said}");
        }
    }

    #[test]
    fn messages_of_docker_and_cri_o() {
        for (message, expected) in [
            (
                "Error response from daemon: toomanyrequests: You have reached your unauthenticated pull rate limit",
                RefusalClass::Throttled,
            ),
            (
                "rpc error: code = Unknown desc = denied: requested access to the resource is denied",
                RefusalClass::Denied,
            ),
            (
                "reading manifest 1 in quay.io/a/b: unauthorized: access to the requested resource is not authorized",
                RefusalClass::Unauthorized,
            ),
            (
                "reading manifest 1 in docker.io/a/b: manifest unknown",
                RefusalClass::NotFound,
            ),
            (
                "pinging container registry h: received unexpected HTTP status: 503 Service Unavailable",
                RefusalClass::Unavailable,
            ),
            (
                "errors:\ndenied: requested access to the resource is denied\n",
                RefusalClass::Denied,
            ),
            (
                "unexpected status code https://h/v2/x: 429 Too Many Requests - Server message: toomanyrequests: wait",
                RefusalClass::Throttled,
            ),
            (
                "failed to authorize: failed to fetch oauth token: unexpected status from POST request to https://h/token: 403 Forbidden",
                RefusalClass::Unauthorized,
            ),
            (
                "reading manifest 1 in quay.io/a/b: unexpected status code: 403 Forbidden - Server message: rate limit exceeded",
                RefusalClass::Throttled,
            ),
            (
                "unauthorized to access repository: a/b, action: pull",
                RefusalClass::Unauthorized,
            ),
            (
                "failed to resolve reference \"h/a:1\": unauthorized - the client is unknown",
                RefusalClass::Unauthorized,
            ),
            (
                "failed to resolve reference \"h/a:1\": failed [403 Forbidden]",
                RefusalClass::Denied,
            ),
            (
                "failed to push h.io/a:1: permission denied",
                RefusalClass::Denied,
            ),
            (
                "failed to push h.io/a:1: denied: your token has expired",
                RefusalClass::Expired,
            ),
            (
                "failed to authorize: failed to fetch oauth token: unexpected status from POST request to https://h/token: 503 Service Unavailable",
                RefusalClass::Unavailable,
            ),
            (
                "failed to push h.io/a:1: push access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed",
                RefusalClass::Denied,
            ),
        ] {
            assert_eq!(class(message), Some(expected), "{message}");
        }
    }

    #[test]
    fn the_name_of_an_image_changes_nothing() {
        for name in [
            "denied",
            "unauthorized",
            "team/toomanyrequests",
            "h.io/immutable-x",
            "throttling-x",
        ] {
            let message = format!(
                "{name}: failed to resolve source metadata for docker.io/{name}:latest: docker.io/{name}:latest: not found"
            );
            assert_eq!(class(&message), Some(RefusalClass::NotFound), "{message}");
            let message = format!("failed to push h.io/{name}:1: denied");
            assert_eq!(class(&message), Some(RefusalClass::Denied), "{message}");
        }
    }

    proptest! {
        #[test]
        fn any_message_is_read_without_panic(message in ".{0,200}") {
            class(&message);
            class(&format!("failed to push {message}: denied"));
        }
    }
}
