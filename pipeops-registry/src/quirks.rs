//! What registries mean by their answers: one table, most of it exceptions.
//!
//! The [distribution specification] lists codes and statuses; registries have their own ideas. Each exception is one row
//! with its reason.
//!
//! [distribution specification]: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes

use crate::host::{canonical, without_port};

/// An answer that refuses, as far as it matters here.
#[derive(Debug, Clone, Copy, Default)]
pub struct Answer<'a> {
    /// The registry.
    pub host: &'a str,
    /// The HTTP status.
    pub status: u16,
    /// Codes and messages of the body, as they came.
    pub says: &'a str,
    /// Whether it asks to wait (`Retry-After`).
    pub retry_after: bool,
}

/// What an answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Verdict {
    /// Wait, then try again.
    RateLimited,
    /// Log in again, then try once more.
    Renew,
    /// Not allowed; never try again.
    Denied,
    /// There is no such repository.
    NameUnknown,
    /// There is no such image or blob.
    NotFound,
    /// The tag exists and may not move.
    ImmutableTag,
    /// The registry has trouble; try again.
    Unavailable,
    /// The request itself is refused; the same one will be refused again.
    Invalid,
}

/// One row: an answer that fits all of its conditions means `verdict`.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Quirk {
    /// Which registries.
    pub hosts: Hosts,
    /// Which statuses, from and to; 0 to 999 is every one.
    pub statuses: (u16, u16),
    /// One of these words in the body, whatever its case; none means any body.
    pub says: &'static [&'static str],
    /// Only with `Retry-After`.
    pub retry_after: bool,
    /// What it means.
    pub verdict: Verdict,
    /// Why the row is there.
    pub why: &'static str,
}

/// Which registries a row is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hosts {
    /// All.
    Any,
    /// This one.
    Only(&'static str),
    /// Amazon's private registries.
    Ecr,
}

const ANY: Quirk = Quirk {
    hosts: Hosts::Any,
    statuses: (0, 999),
    says: &[],
    retry_after: false,
    verdict: Verdict::Invalid,
    why: "",
};

/// The table. The first row that fits decides: exceptions stand above the rules that they are exceptions of.
pub const QUIRKS: &[Quirk] = &[
    Quirk {
        hosts: Hosts::Ecr,
        statuses: (403, 403),
        says: &["expired"],
        verdict: Verdict::Renew,
        why: "ECR answers 403, not 401, once its 12-hour password has expired",
        ..ANY
    },
    Quirk {
        hosts: Hosts::Ecr,
        statuses: (400, 503),
        says: &["throttling", "rate exceeded"],
        verdict: Verdict::RateLimited,
        why: "ECR passes on the throttling errors of AWS (PutImage: 10 a second) under several statuses",
        ..ANY
    },
    Quirk {
        hosts: Hosts::Only("ghcr.io"),
        statuses: (403, 403),
        says: &["rate limit", "abuse"],
        verdict: Verdict::RateLimited,
        why: "GitHub's secondary rate limit is a 403",
        ..ANY
    },
    Quirk {
        statuses: (403, 403),
        retry_after: true,
        verdict: Verdict::RateLimited,
        why: "a refusal that names a time is a limit (GitHub's answer to HEAD has no body to say so)",
        ..ANY
    },
    Quirk {
        statuses: (429, 429),
        verdict: Verdict::RateLimited,
        why: "the status for it",
        ..ANY
    },
    Quirk {
        says: &["toomanyrequests"],
        verdict: Verdict::RateLimited,
        why: "the specification's code for it, which some registries send with another status",
        ..ANY
    },
    Quirk {
        statuses: (400, 499),
        says: &["immutable", "cannot be overwritten", "tag is locked"],
        verdict: Verdict::ImmutableTag,
        why: "ECR, Harbor, Google and Azure refuse to move a tag under 400, 403, 409 and 412, in words only",
        ..ANY
    },
    Quirk {
        statuses: (400, 499),
        says: &["name_unknown"],
        verdict: Verdict::NameUnknown,
        why: "the specification's code for it",
        ..ANY
    },
    Quirk {
        statuses: (400, 400),
        says: &["_invalid", "_unknown", "unsupported"],
        verdict: Verdict::Invalid,
        why: "codes of the specification about the request itself; they stand above the 400 of ECR Public",
        ..ANY
    },
    Quirk {
        hosts: Hosts::Only("public.ecr.aws"),
        statuses: (400, 400),
        verdict: Verdict::Renew,
        why: "ECR Public answers an expired token with 400 and no challenge",
        ..ANY
    },
    Quirk {
        statuses: (401, 401),
        verdict: Verdict::Renew,
        why: "the status for it",
        ..ANY
    },
    Quirk {
        statuses: (403, 403),
        verdict: Verdict::Denied,
        why: "the status for it",
        ..ANY
    },
    Quirk {
        statuses: (400, 499),
        says: &["\"denied\"", "denied:"],
        verdict: Verdict::Denied,
        why: "the specification's code for it under a status that is not 403",
        ..ANY
    },
    Quirk {
        statuses: (404, 404),
        verdict: Verdict::NotFound,
        why: "the status for it",
        ..ANY
    },
    Quirk {
        statuses: (408, 408),
        verdict: Verdict::Unavailable,
        why: "the registry did not get the request in time; the next one may be faster",
        ..ANY
    },
    Quirk {
        statuses: (500, 599),
        verdict: Verdict::Unavailable,
        why: "trouble on the registry's side",
        ..ANY
    },
];

/// What an answer means. Anything that no row fits is [`Verdict::Invalid`].
///
/// ```
/// use pipeops_registry::quirks::{Answer, Verdict, classify};
///
/// let mut answer = Answer::default();
/// (answer.host, answer.status) = ("123456789012.dkr.ecr.eu-west-1.amazonaws.com", 403);
/// answer.says = "DENIED: Your authorization token has expired. Reauthenticate and try again.";
/// assert_eq!(classify(&answer), Verdict::Renew);
/// answer.host = "registry.example.com";
/// assert_eq!(classify(&answer), Verdict::Denied);
/// ```
pub fn classify(answer: &Answer<'_>) -> Verdict {
    let says = answer.says.to_ascii_lowercase();
    QUIRKS
        .iter()
        .find(|quirk| quirk.fits(answer, &says))
        .map_or(Verdict::Invalid, |quirk| quirk.verdict)
}

/// What the words of another program mean that spoke to a registry, such as BuildKit's error of a failed push. `None` where
/// they name no HTTP status.
///
/// ```
/// use pipeops_registry::quirks::{Verdict, classify_text};
///
/// let says = "failed to push ghcr.io/a/b:1: unexpected status from PUT request to https://ghcr.io/v2/a/b/manifests/1: 429 Too Many Requests";
/// assert_eq!(classify_text("ghcr.io", says), Some(Verdict::RateLimited));
/// assert_eq!(classify_text("ghcr.io", "exit code 1"), None);
/// ```
pub fn classify_text(host: &str, says: &str) -> Option<Verdict> {
    let mut answer = Answer {
        host,
        says,
        ..Answer::default()
    };
    if let Some(status) = status_in(says) {
        answer.status = status;
        return Some(classify(&answer));
    }
    let lower = says.to_ascii_lowercase();
    let spoken = ["toomanyrequests", "name_unknown", "immutable"]
        .iter()
        .any(|word| lower.contains(word));
    // A status that only the rows about words look at.
    answer.status = 499;
    spoken.then(|| classify(&answer))
}

impl Quirk {
    fn fits(&self, answer: &Answer<'_>, says: &str) -> bool {
        let (from, to) = self.statuses;
        (from..=to).contains(&answer.status)
            && (!self.retry_after || answer.retry_after)
            && (self.says.is_empty() || self.says.iter().any(|word| says.contains(word)))
            && self.hosts.contains(answer.host)
    }
}

impl Hosts {
    fn contains(self, host: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Only(name) => canonical(host) == name,
            Self::Ecr => is_ecr(host),
        }
    }
}

/// Whether the host is a private registry of Amazon: `123456789012.dkr.ecr.eu-west-1.amazonaws.com` and its variants for
/// FIPS, China, the European cloud and dual stack.
pub fn is_ecr(host: &str) -> bool {
    let host = without_port(host).to_ascii_lowercase();
    let Some((account, rest)) = host.split_at_checked(12) else {
        return false;
    };
    let service = [".dkr.ecr.", ".dkr-ecr.", ".dkr.ecr-fips.", ".dkr-ecr-fips."];
    let domain = [
        ".amazonaws.com",
        ".amazonaws.com.cn",
        ".amazonaws.eu",
        ".on.aws",
        ".on.amazonwebservices.com.cn",
    ];
    account.bytes().all(|b| b.is_ascii_digit())
        && service.iter().any(|part| rest.starts_with(part))
        && domain.iter().any(|end| rest.ends_with(end))
}

/// The last HTTP status that stands in a text with its reason phrase: `429 Too Many Requests`.
fn status_in(text: &str) -> Option<u16> {
    const PHRASES: [(&str, u16); 9] = [
        ("400 bad request", 400),
        ("401 unauthorized", 401),
        ("403 forbidden", 403),
        ("404 not found", 404),
        ("408 request timeout", 408),
        ("429 too many requests", 429),
        ("500 internal server error", 500),
        ("502 bad gateway", 502),
        ("503 service unavailable", 503),
    ];
    let text = text.to_ascii_lowercase();
    let found = PHRASES
        .iter()
        .filter_map(|(phrase, status)| Some((text.rfind(phrase)?, *status)));
    found.max_by_key(|(at, _)| *at).map(|(_, status)| status)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ECR: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";

    fn verdict(host: &str, status: u16, says: &str) -> Verdict {
        classify(&Answer {
            host,
            status,
            says,
            retry_after: false,
        })
    }

    #[test]
    fn real_answers_of_real_registries() {
        for (host, status, says, expected) in [
            (
                ECR,
                403,
                r#"{"errors":[{"code":"DENIED","message":"Your authorization token has expired. Reauthenticate and try again."}]}"#,
                Verdict::Renew,
            ),
            (
                ECR,
                403,
                r#"{"errors":[{"code":"DENIED","message":"User: arn:aws:iam::1:user/x is not authorized to perform: ecr:InitiateLayerUpload"}]}"#,
                Verdict::Denied,
            ),
            (
                ECR,
                400,
                "ThrottlingException: Rate exceeded",
                Verdict::RateLimited,
            ),
            (
                ECR,
                400,
                r#"{"errors":[{"code":"TAG_INVALID","message":"The image tag '1' already exists in the 'a' repository and cannot be overwritten because the tag is immutable."}]}"#,
                Verdict::ImmutableTag,
            ),
            (
                ECR,
                404,
                r#"{"errors":[{"code":"NAME_UNKNOWN","message":"The repository with name 'a' does not exist"}]}"#,
                Verdict::NameUnknown,
            ),
            (
                "ghcr.io",
                403,
                r#"{"errors":[{"code":"DENIED","message":"You have exceeded a secondary rate limit"}]}"#,
                Verdict::RateLimited,
            ),
            (
                "ghcr.io",
                403,
                r#"{"errors":[{"code":"DENIED","message":"permission_denied: write_package"}]}"#,
                Verdict::Denied,
            ),
            ("public.ecr.aws", 400, "Bad Request", Verdict::Renew),
            (
                "public.ecr.aws",
                400,
                r#"{"errors":[{"code":"MANIFEST_INVALID"}]}"#,
                Verdict::Invalid,
            ),
            (
                "registry-1.docker.io",
                429,
                r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your pull rate limit"}]}"#,
                Verdict::RateLimited,
            ),
            (
                "quay.io",
                502,
                "<html>Bad Gateway</html>",
                Verdict::Unavailable,
            ),
            ("r.io", 408, "", Verdict::Unavailable),
            (
                "r.io",
                401,
                r#"{"errors":[{"code":"UNAUTHORIZED"}]}"#,
                Verdict::Renew,
            ),
            (
                "r.io",
                404,
                r#"{"errors":[{"code":"MANIFEST_UNKNOWN"}]}"#,
                Verdict::NotFound,
            ),
            (
                "r.io",
                404,
                r#"{"errors":[{"code":"DENIED"}]}"#,
                Verdict::Denied,
            ),
            (
                "r.io",
                400,
                r#"{"errors":[{"code":"NAME_INVALID"}]}"#,
                Verdict::Invalid,
            ),
            ("r.io", 418, "", Verdict::Invalid),
        ] {
            assert_eq!(
                verdict(host, status, says),
                expected,
                "{host} {status} {says}"
            );
        }
    }

    #[test]
    fn a_refusal_that_names_a_time_is_a_limit() {
        let answer = Answer {
            host: "ghcr.io",
            status: 403,
            says: "",
            retry_after: true,
        };
        assert_eq!(classify(&answer), Verdict::RateLimited);
    }

    #[test]
    fn exceptions_are_of_their_registry_only() {
        assert_eq!(verdict("r.io", 403, "token has expired"), Verdict::Denied);
        assert_eq!(verdict("r.io", 400, "Bad Request"), Verdict::Invalid);
    }

    #[test]
    fn hosts_of_ecr() {
        for host in [
            ECR,
            "123456789012.dkr-ecr.us-east-1.on.aws",
            "123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com",
            "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn",
        ] {
            assert!(is_ecr(host), "{host}");
        }
        for host in [
            "12345678901x.dkr.ecr.eu-west-1.amazonaws.com",
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com.evil.com",
            "123456789012.s3.amazonaws.com",
            "public.ecr.aws",
            "ö.dkr.ecr.x.amazonaws.com",
        ] {
            assert!(!is_ecr(host), "{host}");
        }
    }

    #[test]
    fn the_last_status_of_a_text_counts() {
        let says = "retried after 503 Service Unavailable, then 401 Unauthorized";
        assert_eq!(classify_text("r.io", says), Some(Verdict::Renew));
        assert_eq!(
            classify_text("r.io", "push failed: toomanyrequests: slow down"),
            Some(Verdict::RateLimited)
        );
        assert_eq!(classify_text("r.io", "port 5000"), None);
    }

    #[test]
    fn every_row_says_why_and_can_be_reached() {
        for (index, quirk) in QUIRKS.iter().enumerate() {
            assert!(!quirk.why.is_empty());
            let host = match quirk.hosts {
                Hosts::Any => "r.io",
                Hosts::Only(name) => name,
                Hosts::Ecr => ECR,
            };
            let says = quirk.says.first().copied().unwrap_or_default();
            let answer = Answer {
                host,
                status: quirk.statuses.0,
                says,
                retry_after: quirk.retry_after,
            };
            let first = QUIRKS
                .iter()
                .position(|row| row.fits(&answer, &says.to_ascii_lowercase()));
            assert_eq!(
                first,
                Some(index),
                "row {index} is hidden by another one: {quirk:?}"
            );
        }
    }
}
