//! The meaning of registry errors, as one table. Most rows are exceptions.
//!
//! The [distribution specification] lists codes and statuses, but many registries deviate. Each row of [`RULES`] says why it
//! exists.
//!
//! [distribution specification]: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes

use std::time::Duration;

use super::codes::{self, ErrorEntry};
use super::host::{canonical, is_ecr};

/// What a refusal means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefusalClass {
    /// Too many requests: wait, then retry.
    Throttled,
    /// Wrong credentials, or none.
    Unauthorized,
    /// The credential has expired: renew it, then retry once.
    Expired,
    /// The credential is valid but doesn't allow this.
    Denied,
    /// The repository doesn't exist, or the caller may not see it. The registry doesn't say which.
    Concealed,
    /// There is no such repository.
    NameUnknown,
    /// There is no such image or blob.
    NotFound,
    /// The tag exists and is immutable.
    ImmutableTag,
    /// The registry has a problem: retry.
    Unavailable,
    /// The request itself is invalid. A retry would fail too.
    Invalid,
}

impl RefusalClass {
    /// Whether a new credential can help.
    pub fn needs_credential(self) -> bool {
        matches!(self, Self::Unauthorized | Self::Expired)
    }

    /// Whether a token server refused the credential: status 401 or 403, or 400 with `invalid_grant`.
    pub fn refuses_login(self) -> bool {
        self.needs_credential() || matches!(self, Self::Denied | Self::Concealed)
    }
}

/// A refusal: the error response of a registry or a token server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Refusal {
    /// The registry.
    pub host: String,
    /// The HTTP status; 0 where it isn't known.
    pub status: u16,
    /// The errors of the body.
    pub errors: Vec<ErrorEntry>,
    /// Whether the response has `Retry-After`.
    pub retry_after: bool,
}

impl Refusal {
    /// Reads an HTTP response. `retry_after` says whether it has a valid `Retry-After` header.
    pub fn from_response(host: &str, status: u16, body: &str, retry_after: bool) -> Self {
        let mut errors = codes::entries(body);
        // Proxies wrap the answers of other registries: `{"code":"UNKNOWN","message":"toomanyrequests: …"}`.
        let wrapped = errors.iter().filter(|error| error.code == "UNKNOWN");
        let wrapped = wrapped.flat_map(|error| codes::text_entries(&error.message));
        let wrapped: Vec<ErrorEntry> = wrapped.collect();
        errors.extend(wrapped);
        // In plain text, the reason may stand in front of the code: `tag is immutable: denied`.
        if !body.trim_start().starts_with(['{', '[', '<', '"']) {
            errors.push(ErrorEntry {
                code: String::new(),
                message: codes::bounded(body).to_owned(),
            });
        }
        Self {
            host: host.to_owned(),
            status,
            errors,
            retry_after,
        }
    }

    /// What it means. `None` only if there is no status and neither a code nor a message decides.
    ///
    /// ```
    /// use pipeops_core::registry::{Refusal, RefusalClass};
    ///
    /// let body = r#"{"errors":[{"code":"DENIED","message":"You have exceeded a secondary rate limit"}]}"#;
    /// let refusal = Refusal::from_response("ghcr.io", 403, body, false);
    /// assert_eq!(refusal.class(), Some(RefusalClass::Throttled));
    /// ```
    pub fn class(&self) -> Option<RefusalClass> {
        let messages: Vec<String> = self
            .errors
            .iter()
            .map(|error| error.message.to_ascii_lowercase())
            .collect();
        let rule = RULES.iter().find(|rule| rule.fits(self, &messages));
        rule.map(|rule| rule.class)
    }
}

/// Longer waits are cut to this.
const MAX_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// The time that a `Retry-After` header asks for, a day at most: seconds, or a date ([RFC 9110, 10.2.3]).
///
/// [RFC 9110, 10.2.3]: https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3
pub fn retry_after(value: &str) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        let wait = value.parse().map_or(MAX_WAIT, Duration::from_secs);
        return Some(wait.min(MAX_WAIT));
    }
    let at = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
    let wait = at.duration_since(jiff::Timestamp::now());
    Some(Duration::try_from(wait).unwrap_or_default().min(MAX_WAIT))
}

/// One row: a refusal that meets all conditions has this `class`.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Rule {
    /// Which registries.
    pub hosts: Hosts,
    /// Which statuses.
    pub statuses: Statuses,
    /// One of these codes; none means any, or no code at all.
    pub codes: &'static [&'static str],
    /// One of these phrases in a message, in lower case; none means any message. Each has a space, which names of
    /// repositories and tags can't have.
    pub phrases: &'static [&'static str],
    /// Only with `Retry-After`.
    pub retry_after: bool,
    /// What it means.
    pub class: RefusalClass,
    /// Why the row exists.
    pub why: &'static str,
}

/// The registries that a row applies to.
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

/// The statuses that a row applies to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Statuses {
    /// All, and none.
    Any,
    /// From and to.
    Known(u16, u16),
    /// From and to, or none: the words of another program don't always name one.
    KnownOrNone(u16, u16),
    /// None.
    Unknown,
}

const ANY: Rule = Rule {
    hosts: Hosts::Any,
    statuses: Statuses::Any,
    codes: &[],
    phrases: &[],
    retry_after: false,
    class: RefusalClass::Invalid,
    why: "",
};

/// A client error, or no status.
const REFUSED: Statuses = Statuses::KnownOrNone(400, 499);

/// The table. The first matching row decides, so exceptions precede their rules.
pub const RULES: &[Rule] = &[
    Rule {
        codes: &[
            "TOOMANYREQUESTS",
            "TOOMANYREQUESTSEXCEPTION",
            "THROTTLINGEXCEPTION",
            "THROTTLING",
            "REQUESTLIMITEXCEEDED",
            "RESOURCE_EXHAUSTED",
            "SLOWDOWN",
        ],
        class: RefusalClass::Throttled,
        why: "the codes of the specification, AWS and Google, which also come with other statuses than 429",
        ..ANY
    },
    Rule {
        statuses: Statuses::Known(429, 429),
        class: RefusalClass::Throttled,
        why: "the status for it, also of Docker Hub's spent quota",
        ..ANY
    },
    Rule {
        hosts: Hosts::Ecr,
        statuses: Statuses::Known(400, 503),
        phrases: &["rate exceeded"],
        class: RefusalClass::Throttled,
        why: "ECR passes on the throttling errors of AWS (PutImage: 10 a second) under several statuses",
        ..ANY
    },
    Rule {
        hosts: Hosts::Only("ghcr.io"),
        statuses: Statuses::KnownOrNone(403, 403),
        phrases: &["rate limit", "abuse detection"],
        class: RefusalClass::Throttled,
        why: "GitHub's secondary rate limit is a 403",
        ..ANY
    },
    Rule {
        statuses: Statuses::Known(403, 403),
        phrases: &["rate limit exceeded", "too many requests"],
        class: RefusalClass::Throttled,
        why: "Quay's limit is a 403, told in words only",
        ..ANY
    },
    Rule {
        statuses: Statuses::Unknown,
        phrases: &["rate limit", "rate exceeded", "too many requests"],
        class: RefusalClass::Throttled,
        why: "other programs leave out the status and keep the words",
        ..ANY
    },
    Rule {
        statuses: Statuses::Known(403, 403),
        retry_after: true,
        class: RefusalClass::Throttled,
        why: "a refusal that names a time is a limit (GitHub's answer to HEAD has no body to say so)",
        ..ANY
    },
    Rule {
        statuses: REFUSED,
        codes: &["EXPIREDTOKENEXCEPTION"],
        class: RefusalClass::Expired,
        why: "the code of AWS for it",
        ..ANY
    },
    Rule {
        statuses: Statuses::KnownOrNone(400, 403),
        phrases: &[
            "token has expired",
            "token included in the request is expired",
        ],
        class: RefusalClass::Expired,
        why: "ECR answers 403, not 401, once its 12-hour password has expired, also behind another name",
        ..ANY
    },
    Rule {
        statuses: REFUSED,
        codes: &["NAME_UNKNOWN", "REPOSITORYNOTFOUNDEXCEPTION"],
        class: RefusalClass::NameUnknown,
        why: "the codes of the specification and of AWS for it",
        ..ANY
    },
    Rule {
        statuses: Statuses::KnownOrNone(404, 404),
        codes: &[
            "MANIFEST_UNKNOWN",
            "BLOB_UNKNOWN",
            "IMAGENOTFOUNDEXCEPTION",
            "NOSUCHKEY",
        ],
        class: RefusalClass::NotFound,
        why: "the codes of the specification, AWS and object storage for it",
        ..ANY
    },
    Rule {
        statuses: REFUSED,
        codes: &["IMAGETAGALREADYEXISTSEXCEPTION"],
        class: RefusalClass::ImmutableTag,
        why: "the code of AWS for it",
        ..ANY
    },
    Rule {
        statuses: REFUSED,
        phrases: &[
            "is immutable",
            "as immutable",
            "immutable tag",
            "immutable tags",
            "tag immutability",
            "cannot be overwritten",
            "tag is locked",
        ],
        class: RefusalClass::ImmutableTag,
        why: "ECR, Harbor, Google and Azure refuse to move a tag under 400, 403, 409 and 412, in words only",
        ..ANY
    },
    Rule {
        statuses: Statuses::KnownOrNone(400, 400),
        codes: &[
            "BLOB_UNKNOWN",
            "BLOB_UPLOAD_INVALID",
            "BLOB_UPLOAD_UNKNOWN",
            "DIGEST_INVALID",
            "MANIFEST_BLOB_UNKNOWN",
            "MANIFEST_INVALID",
            "MANIFEST_UNKNOWN",
            "MANIFEST_UNVERIFIED",
            "NAME_INVALID",
            "PAGINATION_NUMBER_INVALID",
            "RANGE_INVALID",
            "SIZE_INVALID",
            "TAG_INVALID",
            "UNSUPPORTED",
        ],
        class: RefusalClass::Invalid,
        why: "codes of the specification about the request itself; they stand above the 400 of ECR Public",
        ..ANY
    },
    Rule {
        hosts: Hosts::Only("public.ecr.aws"),
        statuses: Statuses::Known(400, 400),
        class: RefusalClass::Expired,
        why: "ECR Public answers an expired token with 400 and no challenge",
        ..ANY
    },
    Rule {
        statuses: Statuses::Unknown,
        phrases: &["pull access denied"],
        class: RefusalClass::Concealed,
        why: "containerd's and Docker's words for a 401 to a pull: registries hide private repositories that way",
        ..ANY
    },
    Rule {
        statuses: Statuses::KnownOrNone(400, 403),
        codes: &["INSUFFICIENT_SCOPE"],
        class: RefusalClass::Denied,
        why: "OAuth's code for a token that is good and doesn't reach far enough, sent with 401",
        ..ANY
    },
    Rule {
        statuses: Statuses::KnownOrNone(400, 403),
        phrases: &[
            "failed to fetch oauth token",
            "failed to fetch anonymous token",
        ],
        codes: &["DENIED", "UNAUTHORIZED"],
        class: RefusalClass::Unauthorized,
        why: "a token server's refusal is about the credential, whatever its code",
        ..ANY
    },
    Rule {
        statuses: Statuses::Known(400, 403),
        phrases: &[
            "failed to fetch oauth token",
            "failed to fetch anonymous token",
        ],
        class: RefusalClass::Unauthorized,
        why: "a token server's refusal is about the credential, whatever its status",
        ..ANY
    },
    Rule {
        statuses: Statuses::KnownOrNone(400, 403),
        codes: &["INVALID_GRANT"],
        class: RefusalClass::Unauthorized,
        why: "OAuth's code for a refused credential, sent with 400",
        ..ANY
    },
    Rule {
        statuses: Statuses::Known(401, 401),
        class: RefusalClass::Unauthorized,
        why: "the status for it",
        ..ANY
    },
    Rule {
        statuses: Statuses::Unknown,
        codes: &["UNAUTHORIZED", "INVALID_TOKEN"],
        class: RefusalClass::Unauthorized,
        why: "the codes of the specification and of OAuth for it, where the status is left out",
        ..ANY
    },
    Rule {
        statuses: Statuses::Unknown,
        phrases: &[
            "authentication required",
            "no basic auth credentials",
            "unauthorized to access repository",
            "invalid username/password",
            "authorization failed",
        ],
        class: RefusalClass::Unauthorized,
        why: "the words of registries, containerd and CRI-O for a missing or wrong login",
        ..ANY
    },
    Rule {
        statuses: Statuses::Known(403, 403),
        class: RefusalClass::Denied,
        why: "the status for it",
        ..ANY
    },
    Rule {
        statuses: REFUSED,
        codes: &[
            "DENIED",
            "ACCESSDENIED",
            "ACCESSDENIEDEXCEPTION",
            "PERMISSION_DENIED",
        ],
        class: RefusalClass::Denied,
        why: "the codes of the specification, AWS and Google under a status that isn't 403",
        ..ANY
    },
    Rule {
        statuses: Statuses::Unknown,
        phrases: &["access denied", "access to the resource is denied"],
        class: RefusalClass::Denied,
        why: "other programs leave out the code and keep the words",
        ..ANY
    },
    Rule {
        statuses: REFUSED,
        phrases: &[
            "the repository with name",
            "repository not found",
            "repository does not exist",
        ],
        class: RefusalClass::NameUnknown,
        why: "ECR's and Docker Hub's words for it; containerd shows codes that it doesn't know as `unknown`",
        ..ANY
    },
    Rule {
        statuses: Statuses::Known(404, 404),
        class: RefusalClass::NotFound,
        why: "the status for it",
        ..ANY
    },
    Rule {
        statuses: Statuses::Unknown,
        codes: &["NOT_FOUND"],
        class: RefusalClass::NotFound,
        why: "containerd's word for a 404",
        ..ANY
    },
    Rule {
        statuses: Statuses::Unknown,
        phrases: &["not found"],
        class: RefusalClass::NotFound,
        why: "Docker's words for it: `manifest for x:1 not found`",
        ..ANY
    },
    Rule {
        statuses: Statuses::Known(408, 408),
        class: RefusalClass::Unavailable,
        why: "the registry did not get the request in time; the next one may be faster",
        ..ANY
    },
    Rule {
        statuses: Statuses::Known(500, 599),
        class: RefusalClass::Unavailable,
        why: "trouble on the registry's side",
        ..ANY
    },
    Rule {
        statuses: Statuses::Known(1, 999),
        class: RefusalClass::Invalid,
        why: "no other row fits: a refusal of the request itself",
        ..ANY
    },
];

impl Rule {
    /// `messages` are in lower case.
    fn fits(&self, refusal: &Refusal, messages: &[String]) -> bool {
        let coded = |code: &&str| refusal.errors.iter().any(|error| error.code == **code);
        let said = |phrase: &&str| messages.iter().any(|message| says(message, phrase));
        self.statuses.contains(refusal.status)
            && (!self.retry_after || refusal.retry_after)
            && (self.codes.is_empty() || self.codes.iter().any(coded))
            && (self.phrases.is_empty() || self.phrases.iter().any(said))
            && self.hosts.contains(&refusal.host)
    }
}

/// Whether a message has this phrase as whole words: `is immutable` isn't in `this is immutable-app`.
fn says(message: &str, phrase: &str) -> bool {
    let in_name = |c: char| c.is_alphanumeric() || "-_/@".contains(c);
    message.match_indices(phrase).any(|(at, _)| {
        let before = message[..at].chars().next_back();
        let after = message[at + phrase.len()..].chars().next();
        !before.is_some_and(|c| in_name(c) || c == '.') && !after.is_some_and(in_name)
    })
}

impl Statuses {
    fn contains(self, status: u16) -> bool {
        match self {
            Self::Any => true,
            Self::Known(from, to) => (from..=to).contains(&status),
            Self::KnownOrNone(from, to) => status == 0 || (from..=to).contains(&status),
            Self::Unknown => status == 0,
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    const ECR: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";

    fn class(host: &str, status: u16, body: &str) -> RefusalClass {
        Refusal::from_response(host, status, body, false)
            .class()
            .unwrap()
    }

    /// Answers of real registries; `REPO` stands for the repository.
    const ANSWERS: &[(&str, u16, &str, RefusalClass)] = &[
        (
            ECR,
            403,
            r#"{"errors":[{"code":"DENIED","message":"Your authorization token has expired. Reauthenticate and try again."}]}"#,
            RefusalClass::Expired,
        ),
        (
            ECR,
            403,
            r#"{"errors":[{"code":"DENIED","message":"User: arn:aws:iam::1:user/x is not authorized to perform: ecr:InitiateLayerUpload on resource: arn:aws:ecr:eu-west-1:1:repository/REPO"}]}"#,
            RefusalClass::Denied,
        ),
        (
            ECR,
            400,
            "ThrottlingException: Rate exceeded",
            RefusalClass::Throttled,
        ),
        (
            ECR,
            400,
            r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#,
            RefusalClass::Throttled,
        ),
        (
            ECR,
            400,
            r#"{"errors":[{"code":"TAG_INVALID","message":"The image tag '1' already exists in the 'REPO' repository and cannot be overwritten because the tag is immutable."}]}"#,
            RefusalClass::ImmutableTag,
        ),
        (
            ECR,
            404,
            r#"{"errors":[{"code":"NAME_UNKNOWN","message":"The repository with name 'REPO' does not exist in the registry with id '1'"}]}"#,
            RefusalClass::NameUnknown,
        ),
        (
            "harbor.example.com",
            412,
            r#"{"errors":[{"code":"PRECONDITION","message":"Failed to process request due to 'REPO:1' configured as immutable."}]}"#,
            RefusalClass::ImmutableTag,
        ),
        (
            "europe-docker.pkg.dev",
            403,
            r#"{"errors":[{"code":"DENIED","message":"Permission \"artifactregistry.repositories.uploadArtifacts\" denied on resource \"projects/p/REPO\" (or it may not exist)"}]}"#,
            RefusalClass::Denied,
        ),
        (
            "europe-docker.pkg.dev",
            429,
            r#"{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"Quota exceeded"}}"#,
            RefusalClass::Throttled,
        ),
        (
            "ghcr.io",
            403,
            r#"{"errors":[{"code":"DENIED","message":"You have exceeded a secondary rate limit"}]}"#,
            RefusalClass::Throttled,
        ),
        (
            "ghcr.io",
            403,
            r#"{"errors":[{"code":"DENIED","message":"permission_denied: write_package"}]}"#,
            RefusalClass::Denied,
        ),
        ("public.ecr.aws", 400, "Bad Request", RefusalClass::Expired),
        (
            "public.ecr.aws",
            400,
            r#"{"errors":[{"code":"MANIFEST_INVALID"}]}"#,
            RefusalClass::Invalid,
        ),
        (
            "registry-1.docker.io",
            429,
            r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your pull rate limit"}]}"#,
            RefusalClass::Throttled,
        ),
        (
            "quay.io",
            502,
            "<html>Bad Gateway</html>",
            RefusalClass::Unavailable,
        ),
        ("r.io", 408, "", RefusalClass::Unavailable),
        (
            "quay.io",
            403,
            r#"{"message":"rate limit exceeded"}"#,
            RefusalClass::Throttled,
        ),
        (
            "r.io",
            503,
            r#"{"errors":[{"code":"UNKNOWN","message":"toomanyrequests: slow down"}]}"#,
            RefusalClass::Throttled,
        ),
        (
            "r.io",
            400,
            r#"{"errors":[{"code":"UNKNOWN","message":"toomanyrequests: slow down"}]}"#,
            RefusalClass::Throttled,
        ),
        (
            "r.io",
            403,
            r#"{"errors":[{"code":"DENIED","message":"The security token has expired"}]}"#,
            RefusalClass::Expired,
        ),
        (
            "r.io",
            403,
            r#"{"errors":[{"code":"DENIED","message":"REPO has immutable tags"}]}"#,
            RefusalClass::ImmutableTag,
        ),
        (
            "r.io",
            409,
            "tag is immutable: denied",
            RefusalClass::ImmutableTag,
        ),
        (
            "public.ecr.aws",
            400,
            r#"{"errors":[{"code":"RANGE_INVALID"}]}"#,
            RefusalClass::Invalid,
        ),
        (
            "public.ecr.aws",
            400,
            r#"{"errors":[{"code":"PAGINATION_NUMBER_INVALID"}]}"#,
            RefusalClass::Invalid,
        ),
        (
            "r.io",
            400,
            r#"{"error":"invalid_grant"}"#,
            RefusalClass::Unauthorized,
        ),
        (
            "r.io",
            401,
            r#"{"errors":[{"code":"UNAUTHORIZED","message":"unauthorized to access repository: REPO, action: push"}]}"#,
            RefusalClass::Unauthorized,
        ),
        (
            "r.io",
            404,
            r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown","detail":{"name":"REPO"}}]}"#,
            RefusalClass::NotFound,
        ),
        (
            "r.io",
            404,
            r#"{"errors":[{"code":"DENIED"}]}"#,
            RefusalClass::Denied,
        ),
        (
            "r.io",
            400,
            r#"{"errors":[{"code":"NAME_INVALID","message":"REPO"}]}"#,
            RefusalClass::Invalid,
        ),
        ("r.io", 418, "", RefusalClass::Invalid),
    ];

    #[test]
    fn real_answers_of_real_registries() {
        for (host, status, body, expected) in ANSWERS {
            assert_eq!(
                class(host, *status, body),
                *expected,
                "{host} {status} {body}"
            );
        }
    }

    #[test]
    fn the_name_of_a_repository_changes_nothing() {
        for name in [
            "team/immutable-x",
            "throttling-x",
            "toomanyrequests",
            "denied",
            "immutable",
            "team/name_unknown",
            "expired",
            "a/rate.limit",
            "is-immutable",
        ] {
            for (host, status, body, expected) in ANSWERS {
                let body = body.replace("REPO", name);
                assert_eq!(
                    class(host, *status, &body),
                    *expected,
                    "{host} {status} {body}"
                );
            }
        }
        assert!(!says("this is immutable-app", "is immutable"));
        assert!(says("the tag is immutable.", "is immutable"));
    }

    #[test]
    fn words_outside_of_messages_mean_nothing() {
        let body = r#"{"errors":[{"code":"UNSUPPORTED","detail":{"why":"the tag is immutable"}}],"note":"TOOMANYREQUESTS"}"#;
        assert_eq!(class("r.io", 405, body), RefusalClass::Invalid);
        assert_eq!(
            class("r.io", 403, "<p>the tag is immutable"),
            RefusalClass::Denied
        );
    }

    #[test]
    fn a_login_is_refused_by_few_answers() {
        for (status, body, refuses) in [
            (401, "", true),
            (403, "", true),
            (400, r#"{"error":"invalid_grant"}"#, true),
            (400, "", false),
            (301, "", false),
            (307, "", false),
            (405, "", false),
            (413, "", false),
            (418, "", false),
        ] {
            let class = class("r.io", status, body);
            assert_eq!(class.refuses_login(), refuses, "{status} {body}");
        }
    }

    #[test]
    fn a_refusal_that_names_a_time_is_a_limit() {
        let refusal = Refusal::from_response("ghcr.io", 403, "", true);
        assert_eq!(refusal.class(), Some(RefusalClass::Throttled));
    }

    #[test]
    fn exceptions_are_of_their_registry_only() {
        let said = r#"{"message":"abuse detection mechanism"}"#;
        assert_eq!(class("ghcr.io", 403, said), RefusalClass::Throttled);
        assert_eq!(class("r.io", 403, said), RefusalClass::Denied);
        assert_eq!(class("r.io", 400, "Bad Request"), RefusalClass::Invalid);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(retry_after("7"), Some(Duration::from_secs(7)));
        assert_eq!(
            retry_after("Wed, 21 Oct 2015 07:28:00 GMT"),
            Some(Duration::ZERO)
        );
        for long in [
            "Wed, 21 Oct 2099 07:28:00 GMT",
            "18446744073709551615",
            "99999999999999999999",
        ] {
            assert_eq!(retry_after(long), Some(MAX_WAIT), "{long}");
        }
        for wrong in ["soon", "", "-1"] {
            assert_eq!(retry_after(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn every_row_says_why_and_can_be_reached() {
        for (index, rule) in RULES.iter().enumerate() {
            assert!(!rule.why.is_empty());
            // A name has no space: it can't be taken for a phrase.
            assert!(
                rule.phrases.iter().all(|phrase| phrase.contains(' ')),
                "{rule:?}"
            );
            let host = match rule.hosts {
                Hosts::Any => "r.io",
                Hosts::Only(name) => name,
                Hosts::Ecr => ECR,
            };
            let status = match rule.statuses {
                Statuses::Any | Statuses::Unknown => 0,
                Statuses::Known(from, _) | Statuses::KnownOrNone(from, _) => from,
            };
            let first = |said: &str| said.to_owned();
            let error = ErrorEntry {
                code: rule
                    .codes
                    .first()
                    .map(|code| first(code))
                    .unwrap_or_default(),
                message: rule
                    .phrases
                    .first()
                    .map(|phrase| first(phrase))
                    .unwrap_or_default(),
            };
            let refusal = Refusal {
                host: host.to_owned(),
                status,
                errors: vec![error.clone()],
                retry_after: rule.retry_after,
            };
            let fits = RULES
                .iter()
                .position(|row| row.fits(&refusal, std::slice::from_ref(&error.message)));
            assert_eq!(
                fits,
                Some(index),
                "row {index} is hidden by another one: {rule:?}"
            );
        }
    }
}
