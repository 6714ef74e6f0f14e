//! Why an image can't be pulled, according to the messages of kubelets and container runtimes.

use pipeops_core::registry::{RefusalClass, Report};

use super::causes::Cause;

/// Phrases that decide the cause before the registry's response is parsed, in lower case. A missing platform ends in "not found".
const BEFORE_REFUSALS: &[(Cause, &[&str])] = &[
    (Cause::ImageRateLimit, &["pull qps exceeded"]),
    (
        Cause::ImagePlatform,
        &[
            "no match for platform",
            "no matching manifest",
            "no image found in manifest list for architecture",
            "does not match the specified platform",
        ],
    ),
];

/// Phrases of failures without a response from the registry, in lower case.
const CONNECTION: &[(Cause, &[&str])] = &[
    (
        Cause::ImageTls,
        &[
            "x509:",
            "certificate signed by unknown authority",
            "certificate has expired",
            "server gave http response to https client",
            "remote error: tls",
            "tls: ",
        ],
    ),
    (
        Cause::ImageDns,
        &[
            "no such host",
            "server misbehaving",
            "temporary failure in name resolution",
            "name or service not known",
        ],
    ),
    (
        Cause::ImageNodeDisk,
        &["no space left on device", "disk quota exceeded"],
    ),
    (
        Cause::ImageRegistryDown,
        &[
            "connection refused",
            "connection reset",
            "i/o timeout",
            "handshake timeout",
            "deadline exceeded",
            "no route to host",
            "network is unreachable",
            "unexpected eof",
            ": eof",
            "registry is unavailable",
        ],
    ),
];

/// What precedes the actual error in a runtime's message, repeatedly.
const PREAMBLES: &[&str] = &[
    "Back-off pulling image \"{image}\"",
    "Failed to pull image \"{image}\"",
    "failed to pull and unpack image \"{image}\"",
    "failed to resolve reference \"{image}\"",
    "failed to resolve image \"{image}\"",
    "failed to do request",
    "ErrImagePull",
    "ImagePullBackOff",
    "RegistryUnavailable",
    "rpc error",
    "{image}",
];

/// The cause and the runtime's message without its preamble.
pub(super) fn explain(image: &str, message: &str) -> (Cause, String) {
    let detail = without_preamble(image, message);
    // The image's name may contain any of the phrases.
    let text = match image {
        "" => message.to_owned(),
        image => message.replace(image, ""),
    };
    let lower = text.to_lowercase();
    let cause = find(BEFORE_REFUSALS, &lower)
        .or_else(|| refusal(&text))
        .or_else(|| find(CONNECTION, &lower))
        .unwrap_or(Cause::ImageOther);
    (cause, detail)
}

fn find(phrases: &[(Cause, &[&str])], text: &str) -> Option<Cause> {
    let found = phrases
        .iter()
        .find(|(_, phrases)| phrases.iter().any(|phrase| text.contains(phrase)));
    found.map(|(cause, _)| *cause)
}

/// The registry's response, if there was one.
fn refusal(text: &str) -> Option<Cause> {
    Some(match Report::read(text).class()? {
        RefusalClass::Throttled => Cause::ImageRateLimit,
        RefusalClass::Unauthorized
        | RefusalClass::Expired
        | RefusalClass::Denied
        | RefusalClass::Concealed => Cause::ImageAuthentication,
        RefusalClass::NameUnknown | RefusalClass::NotFound => Cause::ImageNotFound,
        RefusalClass::Unavailable => Cause::ImageRegistryDown,
        _ => return None,
    })
}

/// Whether the message says more than that the pull is retried.
pub(super) fn says_why(image: &str, message: &str) -> bool {
    !without_preamble(image, message).is_empty()
}

fn without_preamble(image: &str, message: &str) -> String {
    let mut rest = message.trim();
    'next: loop {
        for preamble in PREAMBLES {
            let preamble = preamble.replace("{image}", image);
            let Some(tail) = rest
                .strip_prefix(&preamble)
                .filter(|_| !preamble.is_empty())
            else {
                continue;
            };
            if tail.is_empty() {
                return String::new();
            }
            // `rpc error: code = NotFound desc = …`
            let tail = tail
                .strip_prefix(": code = ")
                .and_then(|tail| tail.split_once(" desc = "))
                .map(|(_, tail)| tail)
                .or_else(|| tail.strip_prefix(": "));
            if let Some(tail) = tail {
                rest = tail;
                continue 'next;
            }
        }
        return rest.to_owned();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGE: &str = "registry.example.com/tls-not-found:abc123";

    /// Messages of containerd, after what it says before each of them.
    const MESSAGES: &str = r#"
ImageNotFound: IMAGE: not found
ImageRegistryDown: failed to do request: Head "http://127.0.0.1:5999/v2/app/manifests/x": dial tcp 127.0.0.1:5999: connect: connection refused
ImageAuthentication: pull access denied, repository does not exist or may require authorization: authorization failed: no basic auth credentials
ImageAuthentication: failed to authorize: failed to fetch anonymous token: unexpected status: 401 Unauthorized
ImageRateLimit: failed to copy: httpReadSeeker: failed open: unexpected status code https://h/v2/x: 429 Too Many Requests - Server message: toomanyrequests: You have reached your pull rate limit.
ImageTls: failed to do request: Head "https://h/v2/x": tls: failed to verify certificate: x509: certificate signed by unknown authority
ImageTls: failed to do request: Head "https://h/v2/x": http: server gave HTTP response to HTTPS client
ImageDns: failed to do request: Head "https://h/v2/x": dial tcp: lookup h on 10.0.0.2:53: no such host
ImageRegistryDown: failed to do request: Head "https://h/v2/x": net/http: TLS handshake timeout
ImagePlatform: no match for platform in manifest: not found
ImageNodeDisk: failed to extract layer sha256:0: write /x: no space left on device: unknown
ImageDns: failed to authorize: failed to fetch oauth token: Post "https://h/token": dial tcp: lookup h: no such host
ImageAuthentication: failed to authorize: failed to fetch oauth token: unexpected status from POST request to https://h/token: 403 Forbidden
ImageRegistryDown: unexpected status from HEAD request to https://h/v2/immutable-x/manifests/1: 502 Bad Gateway
ImageNotFound: manifest for h/x:1 not found
ImageRateLimit: unexpected status code: 403 Forbidden - Server message: rate limit exceeded
ImageAuthentication: unauthorized to access repository: a/b, action: pull
ImageAuthentication: unauthorized - the client is unknown
ImageAuthentication: failed [403 Forbidden]
ImageOther: something new
"#;

    #[test]
    fn real_messages_of_containerd_are_told_apart() {
        let pull = "rpc error: code = Unknown desc = failed to pull and unpack image \"IMAGE\": failed to resolve reference \"IMAGE\": ";
        for line in MESSAGES.trim().lines() {
            let (expected, message) = line.split_once(": ").unwrap();
            let message = format!("{pull}{message}").replace("IMAGE", IMAGE);
            let (cause, _) = explain(IMAGE, &message);
            assert_eq!(format!("{cause:?}"), expected, "{message}");
        }
    }

    #[test]
    fn the_preamble_is_cut_off() {
        let message = format!(
            "Back-off pulling image \"{IMAGE}\": ErrImagePull: rpc error: code = NotFound desc = failed to pull and unpack image \"{IMAGE}\": failed to resolve reference \"{IMAGE}\": {IMAGE}: not found"
        );
        assert_eq!(
            explain(IMAGE, &message),
            (Cause::ImageNotFound, "not found".into())
        );
        assert!(!says_why(
            IMAGE,
            &format!("Back-off pulling image \"{IMAGE}\"")
        ));
        assert!(says_why(IMAGE, &message));
        assert_eq!(explain("", "some text").1, "some text");
    }
}
