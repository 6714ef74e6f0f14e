//! Why an image cannot be pulled, read from the messages of kubelets and container runtimes.

use super::causes::Cause;

/// Texts that tell a cause, in lower case; the first row that matches is taken.
///
/// From containerd, CRI-O and Docker, and the registries behind them. The order matters: a registry that throttles or
/// refuses often says "not found" or "failed to fetch token" in the same sentence.
const NEEDLES: &[(Cause, &[&str])] = &[
    (
        Cause::ImageRateLimit,
        &[
            "toomanyrequests",
            "too many requests",
            "rate limit",
            "pull qps exceeded",
            "rate exceeded",
        ],
    ),
    (
        Cause::ImageAuthentication,
        &[
            "unauthorized",
            "authentication required",
            "no basic auth credentials",
            "pull access denied",
            "access denied",
            "access to the resource is denied",
            "insufficient_scope",
            "authorization failed",
            "authorization token has expired",
            "403 forbidden",
            "denied: ",
            "failed to fetch oauth token",
            "invalid username/password",
        ],
    ),
    (
        Cause::ImagePlatform,
        &[
            "no match for platform",
            "no matching manifest",
            "no image found in manifest list for architecture",
            "does not match the specified platform",
        ],
    ),
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
        Cause::ImageNotFound,
        &[
            "not found",
            "manifest unknown",
            "manifest_unknown",
            "name unknown",
            "name_unknown",
            "repository does not exist",
        ],
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
            "500 internal server error",
            "502 bad gateway",
            "503 service unavailable",
            "504 gateway time",
            "registry is unavailable",
        ],
    ),
];

/// What the runtime says before it comes to the point; cut off as often as it stands at the front.
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

/// The cause and what the runtime said about it, without its preamble.
pub(super) fn explain(image: &str, message: &str) -> (Cause, String) {
    let detail = without_preamble(image, message);
    // The image's own name may contain any of the texts.
    let text = match image {
        "" => message.to_lowercase(),
        image => message.replace(image, "").to_lowercase(),
    };
    let cause = NEEDLES
        .iter()
        .find(|(_, needles)| needles.iter().any(|needle| text.contains(needle)))
        .map_or(Cause::ImageOther, |(cause, _)| *cause);
    (cause, detail)
}

/// Whether a message says more than that something is tried again.
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

    fn cause(message: &str) -> Cause {
        explain(IMAGE, &message.replace("IMAGE", IMAGE)).0
    }

    #[test]
    fn real_messages_of_containerd_are_told_apart() {
        let pull = "rpc error: code = Unknown desc = failed to pull and unpack image \"IMAGE\": failed to resolve reference \"IMAGE\": ";
        let cases = [
            ("IMAGE: not found", Cause::ImageNotFound),
            (
                "failed to do request: Head \"http://127.0.0.1:5999/v2/app/manifests/x\": dial tcp 127.0.0.1:5999: connect: connection refused",
                Cause::ImageRegistryDown,
            ),
            (
                "pull access denied, repository does not exist or may require authorization: authorization failed: no basic auth credentials",
                Cause::ImageAuthentication,
            ),
            (
                "failed to authorize: failed to fetch anonymous token: unexpected status: 401 Unauthorized",
                Cause::ImageAuthentication,
            ),
            (
                "failed to copy: httpReadSeeker: failed open: unexpected status code https://h/v2/x: 429 Too Many Requests - Server message: toomanyrequests: You have reached your pull rate limit.",
                Cause::ImageRateLimit,
            ),
            (
                "failed to do request: Head \"https://h/v2/x\": tls: failed to verify certificate: x509: certificate signed by unknown authority",
                Cause::ImageTls,
            ),
            (
                "failed to do request: Head \"https://h/v2/x\": http: server gave HTTP response to HTTPS client",
                Cause::ImageTls,
            ),
            (
                "failed to do request: Head \"https://h/v2/x\": dial tcp: lookup h on 10.0.0.2:53: no such host",
                Cause::ImageDns,
            ),
            (
                "failed to do request: Head \"https://h/v2/x\": net/http: TLS handshake timeout",
                Cause::ImageRegistryDown,
            ),
            (
                "no match for platform in manifest: not found",
                Cause::ImagePlatform,
            ),
            (
                "failed to extract layer sha256:0: write /x: no space left on device: unknown",
                Cause::ImageNodeDisk,
            ),
            ("something that nobody has seen yet", Cause::ImageOther),
        ];
        for (message, expected) in cases {
            assert_eq!(cause(&format!("{pull}{message}")), expected, "{message}");
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
