//! Classifies build failures.
//!
//! BuildKit has no codes for them, only texts. The texts here are from real daemons and registries; the tests contain the
//! originals. Messages of registries are classified by [`pipeops_core::registry`].

use pipeops_core::registry::report::Operation;
use pipeops_core::registry::{RefusalClass, Report};

use crate::cause::Cause;

/// What is known of a failure.
pub(crate) struct Clues<'a> {
    /// The daemon's message.
    pub(crate) message: &'a str,
    /// The exit code of the step's command.
    pub(crate) exit_code: Option<u32>,
    /// The failing step's name.
    pub(crate) step: &'a str,
    /// Its last lines.
    pub(crate) log: &'a [String],
}

/// Finds the cause.
pub(crate) fn classify(clues: &Clues<'_>) -> Cause {
    // What a user's command prints must not be taken for what the daemon or a registry said.
    if clues.exit_code.is_some() || clues.message.contains("did not complete successfully") {
        return command(clues);
    }
    let message = clues.message.to_ascii_lowercase();
    if message.contains("no space left on device") {
        return Cause::DiskFull;
    }
    if message.contains("no active session") || message.contains("session healthcheck failed") {
        return Cause::SessionLost;
    }
    let report = Report::read(clues.message);
    cache(&message)
        .or_else(|| damaged(&message))
        .or_else(|| dockerfile(clues.message, &message))
        .or_else(|| registry(&report, &message))
        .or_else(|| network(&report, &message))
        .unwrap_or_else(|| rest(clues, &message))
}

/// What shells, compilers and runtimes print when they, or a program that they started, got no more memory. The command's
/// own exit code is then any.
const STARVED: [&str; 8] = [
    " Killed    ",
    "] Killed",
    "signal: killed",
    "signal: 9, SIGKILL",
    "Killed signal terminated program",
    "heap out of memory",
    "java.lang.OutOfMemoryError",
    "annot allocate memory",
];

/// A `RUN` failed.
fn command(clues: &Clues<'_>) -> Cause {
    let printed = |text: &str| {
        clues
            .log
            .iter()
            .rev()
            .take(5)
            .any(|line| line.contains(text))
    };
    let printed_line = |text: &str| {
        clues
            .log
            .iter()
            .rev()
            .take(5)
            .any(|line| line.trim() == text)
    };
    let killed = clues.message.contains("cannot allocate memory") || clues.exit_code == Some(137);
    if killed || STARVED.iter().any(|text| printed(text)) || printed_line("Killed") {
        Cause::OutOfMemory
    } else if printed("No space left on device") || printed("no space left on device") {
        Cause::DiskFull
    } else if printed("exec format error") {
        Cause::ForeignPlatform
    } else {
        Cause::Instruction
    }
}

/// A cache was read, and a blob that its manifest names is missing or unreadable. Failures to write a cache don't fail the build.
fn cache(message: &str) -> Option<Cause> {
    let any = |texts: &[&str]| texts.iter().any(|text| message.contains(text));
    let unwritable = [
        "failed to configure ",
        "unknown cache exporter",
        "duplicate cache exports",
    ];
    if unwritable.iter().any(|text| message.starts_with(text)) && message.contains("cache export") {
        return Some(Cause::CacheUnwritable);
    }
    // S3, Azure, and the blobs of a registry's cache, whose images would name a manifest.
    if any(&["nosuchkey", "blobnotfound"]) || blob_is_gone(message) {
        return Some(Cause::CacheMissing);
    }
    any(&["operation error s3", "failed to load result from remote"])
        .then_some(Cause::CacheUnreadable)
}

/// A download doesn't match its digest. The error doesn't say whether it's a base image or a cache.
fn damaged(message: &str) -> Option<Cause> {
    let any = |texts: &[&str]| texts.iter().any(|text| message.contains(text));
    let damaged = message.contains("failed commit on ref")
        && any(&["unexpected commit digest", "failed size validation"]);
    damaged.then_some(Cause::ContentDamaged)
}

/// `content at https://HOST/v2/REPOSITORY/blobs/sha256:… not found`
fn blob_is_gone(message: &str) -> bool {
    let content = after(message, "content at ");
    content.is_some_and(|rest| rest.contains("/blobs/sha256:") && rest.contains("not found"))
}

fn dockerfile(original: &str, message: &str) -> Option<Cause> {
    if let Some(rest) = after(message, "dockerfile parse error on line ") {
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        return Some(Cause::Dockerfile {
            line: digits.parse().ok(),
        });
    }
    if message.contains("failed to calculate checksum of ref") && message.contains("not found") {
        let path = after(original, ": \"").and_then(|rest| rest.split('"').next());
        return Some(Cause::FileMissing {
            path: path.unwrap_or_default().to_owned(),
        });
    }
    if let (Some(rest), true) = (after(original, "secret "), message.ends_with(": not found")) {
        let id = rest.strip_suffix(": not found").unwrap_or(rest);
        return Some(Cause::SecretMissing { id: id.to_owned() });
    }
    const SENSELESS: [&str; 8] = [
        "the dockerfile cannot be empty",
        "syntax error in pattern",
        "failed to read dockerfile",
        "target stage ",
        "should not be blank",
        "failed to parse target platform",
        "failed to parse stage name",
        "invalid reference format",
    ];
    SENSELESS
        .iter()
        .any(|text| message.contains(text))
        .then_some(Cause::Dockerfile { line: None })
}

/// What a registry answered.
fn registry(report: &Report, message: &str) -> Option<Cause> {
    let host = || report.host.clone();
    let image = || Cause::BaseImageMissing {
        image: report.image.clone().unwrap_or_default(),
    };
    // Files of the context can be denied and missing as well.
    let about_registry = report.operation.is_some() || message.contains("/v2/");
    match (report.class()?, report.operation) {
        (RefusalClass::Throttled, _) => Some(Cause::RateLimited { host: host() }),
        (class, _) if class.needs_credential() => Some(Cause::Unauthorized { host: host() }),
        (RefusalClass::ImmutableTag, _) => Some(Cause::TagImmutable { host: host() }),
        (RefusalClass::Concealed, _) => Some(image()),
        (RefusalClass::Denied, _) if about_registry => Some(Cause::Denied { host: host() }),
        (RefusalClass::NameUnknown, Some(Operation::Push)) => {
            Some(Cause::RepositoryMissing { host: host() })
        }
        (RefusalClass::NameUnknown | RefusalClass::NotFound, Some(Operation::Resolve)) => {
            Some(image())
        }
        (RefusalClass::Unavailable, _) if about_registry => {
            Some(Cause::RegistryDown { host: host() })
        }
        _ => None,
    }
}

fn network(report: &Report, message: &str) -> Option<Cause> {
    const UNREACHABLE: [&str; 10] = [
        "connection refused",
        "connection reset",
        "no such host",
        "i/o timeout",
        "tls handshake timeout",
        "network is unreachable",
        "no route to host",
        "server misbehaving",
        "unexpected eof",
        "broken pipe",
    ];
    UNREACHABLE
        .iter()
        .any(|text| message.contains(text))
        .then(|| Cause::Network {
            host: report.host.clone(),
        })
}

fn rest(clues: &Clues<'_>, message: &str) -> Cause {
    if message.ends_with("context canceled") || message.contains("code = canceled") {
        return Cause::Cancelled;
    }
    // A transfer of files that the other side broke off.
    if clues.step.starts_with("[internal] load") && message.contains("transport is closing") {
        return Cause::SessionLost;
    }
    Cause::Unknown
}

fn after<'a>(text: &'a str, mark: &str) -> Option<&'a str> {
    text.find(mark).map(|at| &text[at + mark.len()..])
}

#[cfg(test)]
mod tests {
    use pipeops_core::RetryClass;
    use proptest::prelude::*;

    use super::*;

    fn of(message: &str) -> Cause {
        classify(&Clues {
            message,
            exit_code: None,
            step: "",
            log: &[],
        })
    }

    fn at(host: &str) -> Option<String> {
        Some(host.to_owned())
    }

    /// Messages of buildkitd v0.34.2, with Debian's docker-registry 2.8 and scripted answers in the form of Docker Hub and ECR.
    #[test]
    fn messages_of_registries() {
        for (message, cause) in [
            (
                "127.0.0.1:5000/nothere:1: failed to resolve source metadata for 127.0.0.1:5000/nothere:1: 127.0.0.1:5000/nothere:1: not found",
                Cause::BaseImageMissing {
                    image: "127.0.0.1:5000/nothere:1".into(),
                },
            ),
            (
                "b: failed to resolve source metadata for docker.io/library/b:latest: docker.io/library/b:latest: not found (did you mean a?)",
                Cause::BaseImageMissing {
                    image: "docker.io/library/b:latest".into(),
                },
            ),
            (
                "x: failed to resolve source metadata for docker.io/a/x:1: pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed",
                Cause::BaseImageMissing {
                    image: "docker.io/a/x:1".into(),
                },
            ),
            (
                "failed to push 127.0.0.1:5001/app:1: unexpected status from HEAD request to http://127.0.0.1:5001/v2/app/blobs/sha256:2f: 401 Unauthorized",
                Cause::Unauthorized {
                    host: at("127.0.0.1:5001"),
                },
            ),
            (
                "failed to push 127.0.0.1:27013/app:1: denied: Your authorization token has expired. Reauthenticate and try again.",
                Cause::Unauthorized {
                    host: at("127.0.0.1:27013"),
                },
            ),
            (
                "failed to push 127.0.0.1:27012/app:1: denied",
                Cause::Denied {
                    host: at("127.0.0.1:27012"),
                },
            ),
            (
                "failed to push h.io/a:1: permission denied",
                Cause::Denied { host: at("h.io") },
            ),
            (
                "failed to push 127.0.0.1:27011/app:1: toomanyrequests: toomanyrequests: rate exceeded",
                Cause::RateLimited {
                    host: at("127.0.0.1:27011"),
                },
            ),
            (
                "r/x:1: failed to resolve source metadata for r/x:1: unexpected status from HEAD request to http://127.0.0.1:27030/v2/x/manifests/1: 429 Too Many Requests",
                Cause::RateLimited {
                    host: at("127.0.0.1:27030"),
                },
            ),
            (
                "failed to push 127.0.0.1:27014/app:1: unknown: The repository with name app does not exist in the registry with id 1",
                Cause::RepositoryMissing {
                    host: at("127.0.0.1:27014"),
                },
            ),
            (
                "failed to push h.io/app:1: unknown: The image tag 1 already exists in the app repository and cannot be overwritten because the repository is immutable.",
                Cause::TagImmutable { host: at("h.io") },
            ),
            (
                "failed to push 127.0.0.1:27016/app:1: unexpected status from POST request to http://127.0.0.1:27016/v2/app/blobs/uploads/: 503 Service Unavailable: oops",
                Cause::RegistryDown {
                    host: at("127.0.0.1:27016"),
                },
            ),
            (
                "failed to push 127.0.0.1:1/app:1: failed to do request: Head \"http://127.0.0.1:1/v2/app/blobs/sha256:2f\": dial tcp 127.0.0.1:1: connect: connection refused",
                Cause::Network {
                    host: at("127.0.0.1:1"),
                },
            ),
            (
                "nosuch.invalid/x:1: failed to resolve source metadata for nosuch.invalid/x:1: failed to do request: Head \"https://nosuch.invalid/v2/x/manifests/1\": dial tcp: lookup nosuch.invalid on 10.0.0.1:53: no such host",
                Cause::Network {
                    host: at("nosuch.invalid"),
                },
            ),
        ] {
            assert_eq!(of(message), cause, "{message}");
        }
    }

    #[test]
    fn names_of_images_are_not_what_a_registry_said() {
        for name in ["denied", "unauthorized", "team/toomanyrequests"] {
            let message = format!(
                "{name}: failed to resolve source metadata for docker.io/{name}:1: docker.io/{name}:1: not found"
            );
            let image = format!("docker.io/{name}:1");
            assert_eq!(of(&message), Cause::BaseImageMissing { image });
            let message = format!(
                "failed to push h.io/{name}:1: failed to do request: Head \"https://h.io/v2/{name}/blobs/sha256:2f\": dial tcp 10.0.0.1:443: i/o timeout"
            );
            assert_eq!(of(&message), Cause::Network { host: at("h.io") });
        }
    }

    #[test]
    fn messages_about_the_dockerfile_and_the_context() {
        for (message, cause) in [
            (
                "dockerfile parse error on line 2: unknown instruction: FOO (did you mean FROM?)",
                Cause::Dockerfile { line: Some(2) },
            ),
            (
                "the Dockerfile cannot be empty",
                Cause::Dockerfile { line: None },
            ),
            (
                "target stage \"nope\" could not be found",
                Cause::Dockerfile { line: None },
            ),
            (
                "base name (${BASE}) should not be blank",
                Cause::Dockerfile { line: None },
            ),
            (
                "failed to compute cache key: failed to calculate checksum of ref k839::vhw: \"/nothere\": not found",
                Cause::FileMissing {
                    path: "/nothere".into(),
                },
            ),
            (
                "secret tok: not found",
                Cause::SecretMissing { id: "tok".into() },
            ),
            (
                "write /var/lib/x/big.bin: no space left on device",
                Cause::DiskFull,
            ),
            (
                "failed to add snapshot qg7d1n6jf44a4ckhpz28nxabm to lease: write /var/lib/buildkit/runc-overlayfs/containerdmeta.db: no space left on device",
                Cause::DiskFull,
            ),
            (
                "failed to copy: httpReadSeeker: operation error S3: GetObject, https response error StatusCode: 404, RequestID: 1, api error NoSuchKey: The specified key does not exist.",
                Cause::CacheMissing,
            ),
            (
                "no active session for abc: context deadline exceeded",
                Cause::SessionLost,
            ),
            (
                "failed to copy: httpReadSeeker: failed open: content at http://127.0.0.1:5000/v2/cache/blobs/sha256:00 not found: not found",
                Cause::CacheMissing,
            ),
            (
                "operation error S3: GetObject, https response error StatusCode: 403, RequestID: 1, api error AccessDenied: Access Denied.",
                Cause::CacheUnreadable,
            ),
            (
                "failed to configure s3 cache exporter: upload_parallelism must be a positive integer",
                Cause::CacheUnwritable,
            ),
            (
                "failed to load cache key: failed commit on ref \"layer-sha256:2c\": unexpected commit digest sha256:0a, expected sha256:2c: failed precondition",
                Cause::ContentDamaged,
            ),
            (
                "failed to prepare extraction snapshot: failed commit on ref \"layer-sha256:2c\": \"layer-sha256:2c\" failed size validation: 12 != 13: failed precondition",
                Cause::ContentDamaged,
            ),
            ("context canceled: context canceled", Cause::Cancelled),
            ("something new", Cause::Unknown),
        ] {
            assert_eq!(of(message), cause, "{message}");
        }
    }

    #[test]
    fn what_a_command_prints_is_not_what_a_registry_said() {
        let run = |exit_code, line: &str| {
            let message = "process \"/bin/sh -c npm publish 429 Too Many Requests\" did not complete successfully: exit code: 1";
            classify(&Clues {
                message,
                exit_code,
                step: "[2/2] RUN x",
                log: &[line.to_owned()],
            })
        };
        assert_eq!(
            run(Some(1), "npm ERR! 401 Unauthorized"),
            Cause::Instruction
        );
        assert_eq!(run(Some(137), ""), Cause::OutOfMemory);
        // The shell survived, its child did not.
        for line in [
            "Killed",
            "make: *** [Makefile:2: all] Killed",
            "sh: line 1:    12 Killed                  tail /dev/zero",
            "go build: /usr/lib/go/compile: signal: killed",
            "  process didn't exit successfully: `rustc` (signal: 9, SIGKILL: kill)",
            "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory",
        ] {
            assert_eq!(run(Some(2), line), Cause::OutOfMemory, "{line}");
        }
        assert_eq!(run(Some(2), "Killed 3 stale workers"), Cause::Instruction);
        assert_eq!(
            run(Some(1), "dd: error writing '/x': No space left on device"),
            Cause::DiskFull
        );
        assert_eq!(
            run(Some(1), "exec /bad: exec format error"),
            Cause::ForeignPlatform
        );
        assert_eq!(run(None, ""), Cause::Instruction);
    }

    #[test]
    fn only_what_may_pass_by_itself_is_tried_again() {
        assert_eq!(Cause::Instruction.retry_class(), RetryClass::Permanent);
        assert_eq!(
            Cause::Denied { host: None }.retry_class(),
            RetryClass::Permanent
        );
        assert_eq!(
            Cause::RateLimited { host: None }.retry_class(),
            RetryClass::Transient
        );
        assert_eq!(
            Cause::Unauthorized { host: None }.retry_class(),
            RetryClass::NeedsCredential
        );
    }

    proptest! {
        #[test]
        fn no_message_panics(message in ".{0,200}") {
            of(&message);
            of(&format!("failed to push {message}: denied"));
            of(&format!("failed to resolve source metadata for {message}: not found"));
        }
    }
}
