//! How pods behave: the script of the kubelet.

use std::time::Duration;

use serde_json::Value;

use super::selector::LabelSelector;
use crate::fault::glob;

/// How the containers of an image behave, from the pull to the exit.
///
/// Durations are real time. The cluster's [speed](super::ClusterOptions::speed) doesn't scale them.
///
/// ```
/// use pipeops_testkit::kubernetes::{PodBehaviour, PullFailure};
///
/// let slow = PodBehaviour::ready().ready_after(std::time::Duration::from_millis(200));
/// let broken = PodBehaviour::crash(3).log(["cannot open the database"]);
/// let missing = PodBehaviour::pull_fails(PullFailure::NotFound).recovers_after(2);
/// # let _ = (slow, broken, missing);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PodBehaviour {
    /// From the start of the container until its readiness probe succeeds (default 5 ms). Without a readiness probe a
    /// container is ready as soon as it runs, as on a real node.
    pub(crate) ready_after: Duration,
    pub(crate) outcome: Outcome,
    /// What the container prints.
    pub(crate) log: Vec<String>,
    /// After this many failures the pod is as healthy as any.
    pub(crate) recovers_after: Option<u32>,
}

/// How it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Ready,
    Denied(String),
    Unschedulable(String),
    MountFails(String),
    SandboxFails(String),
    PullFails(PullFailure),
    CreateFails(String),
    RunFails(String),
    Crash(Exit),
    NeverStarted(String),
    NeverReady(String),
    LivenessFails { after: Duration, output: String },
}

/// How a container ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Exit {
    pub(crate) after: Duration,
    pub(crate) code: i32,
    pub(crate) reason: &'static str,
}

/// Why an image can't be pulled. The messages are those of a real kubelet with containerd.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PullFailure {
    /// The tag or the repository doesn't exist.
    NotFound,
    /// The registry requires credentials, or rejects the given ones.
    Unauthorized,
    /// The registry responds with 429.
    RateLimited,
    /// No server listens at the registry's address.
    ConnectionRefused,
    /// The registry doesn't respond in time.
    TimedOut,
    /// The registry's host name doesn't resolve.
    NoSuchHost,
    /// The registry's certificate isn't trusted.
    UnknownAuthority,
    /// The image exists, but not for this node's platform.
    NoMatchingPlatform,
    /// Another message.
    Other(String),
}

/// How long a pull takes, a start, and a stop.
pub(crate) const MOMENT: Duration = Duration::from_millis(5);

impl PodBehaviour {
    fn with(outcome: Outcome) -> Self {
        Self {
            ready_after: MOMENT,
            outcome,
            log: Vec::new(),
            recovers_after: None,
        }
    }

    /// The image is pulled, and the container starts and becomes ready.
    pub fn ready() -> Self {
        Self::with(Outcome::Ready)
    }

    /// The image can't be pulled: ErrImagePull, then ImagePullBackOff.
    pub fn pull_fails(why: PullFailure) -> Self {
        Self::with(Outcome::PullFails(why))
    }

    /// The container exits with this code and is restarted: CrashLoopBackOff.
    pub fn crash(exit_code: i32) -> Self {
        let reason = if exit_code == 0 { "Completed" } else { "Error" };
        Self::with(Outcome::Crash(Exit {
            after: MOMENT,
            code: exit_code,
            reason,
        }))
    }

    /// The container exceeds its memory limit: OOMKilled, exit code 137.
    pub fn oom_killed() -> Self {
        Self::with(Outcome::Crash(Exit {
            after: MOMENT,
            code: 137,
            reason: "OOMKilled",
        }))
    }

    /// The runtime can't start the command: RunContainerError. An example of a message is
    /// `exec: "/nope": stat /nope: no such file or directory`.
    pub fn run_fails(message: impl Into<String>) -> Self {
        Self::with(Outcome::RunFails(message.into()))
    }

    /// The runtime can't create the container: CreateContainerError.
    pub fn create_fails(message: impl Into<String>) -> Self {
        Self::with(Outcome::CreateFails(message.into()))
    }

    /// The readiness probe never succeeds. `output` is its output, such as `HTTP probe failed with statuscode: 503`.
    pub fn never_ready(output: impl Into<String>) -> Self {
        Self::with(Outcome::NeverReady(output.into()))
    }

    /// The startup probe never succeeds: the container is killed and restarted. Without a startup probe the readiness
    /// probe fails instead.
    pub fn never_started(output: impl Into<String>) -> Self {
        Self::with(Outcome::NeverStarted(output.into()))
    }

    /// The container becomes ready. After this time its liveness probe fails, and it's killed and restarted.
    pub fn liveness_fails(after: Duration, output: impl Into<String>) -> Self {
        Self::with(Outcome::LivenessFails {
            after,
            output: output.into(),
        })
    }

    /// The pod can't be scheduled: FailedScheduling.
    pub fn unschedulable(message: impl Into<String>) -> Self {
        Self::with(Outcome::Unschedulable(message.into()))
    }

    /// A volume can't be mounted: FailedMount. The pod stays in ContainerCreating.
    pub fn mount_fails(message: impl Into<String>) -> Self {
        Self::with(Outcome::MountFails(message.into()))
    }

    /// The pod's network can't be set up: FailedCreatePodSandBox.
    pub fn sandbox_fails(message: impl Into<String>) -> Self {
        Self::with(Outcome::SandboxFails(message.into()))
    }

    /// The API server rejects the pod (a quota, an admission webhook): ReplicaFailure with FailedCreate. The message follows
    /// `pods "app-" is forbidden:`.
    pub fn denied(message: impl Into<String>) -> Self {
        Self::with(Outcome::Denied(message.into()))
    }

    /// Sets the time from the start of the container until its readiness probe succeeds. Default: 5 ms. Without a readiness
    /// probe, a container is ready when it starts.
    #[must_use]
    pub fn ready_after(mut self, time: Duration) -> Self {
        self.ready_after = time;
        self
    }

    /// Sets the time from the start of the container until it crashes. Default: 5 ms. Has no effect on other behaviours.
    #[must_use]
    pub fn crash_after(mut self, time: Duration) -> Self {
        if let Outcome::Crash(exit) = &mut self.outcome {
            exit.after = time;
        }
        self
    }

    /// Sets the lines that the container prints.
    #[must_use]
    pub fn log(mut self, lines: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.log = lines.into_iter().map(Into::into).collect();
        self
    }

    /// A pod recovers after this many failures: its next try succeeds.
    #[must_use]
    pub fn recovers_after(mut self, failures: u32) -> Self {
        self.recovers_after = Some(failures);
        self
    }

    /// What happens at the next try, after this many failures.
    pub(crate) fn outcome_after(&self, failures: u32) -> &Outcome {
        match self.recovers_after {
            Some(limit) if failures >= limit => &Outcome::Ready,
            _ => &self.outcome,
        }
    }
}

impl Default for PodBehaviour {
    fn default() -> Self {
        Self::ready()
    }
}

impl PullFailure {
    /// The kubelet's words for an image.
    pub(crate) fn message(&self, image: &str) -> String {
        let (host, repository, reference) = parts(image);
        let resolve = |why: &str| {
            format!(
                "failed to pull and unpack image \"{image}\": failed to resolve reference \"{image}\": {why}"
            )
        };
        // Registries on this machine are spoken to in plain HTTP.
        let scheme = if host.starts_with("127.") || host.starts_with("localhost") {
            "http"
        } else {
            "https"
        };
        let url = format!("{scheme}://{host}/v2/{repository}/manifests/{reference}");
        let request = |why: &str| resolve(&format!("failed to do request: Head \"{url}\": {why}"));
        let (code, message) = match self {
            Self::NotFound => ("NotFound", resolve(&format!("{image}: not found"))),
            Self::Unauthorized => (
                "Unknown",
                resolve(
                    "pull access denied, repository does not exist or may require authorization: authorization failed: no basic auth credentials",
                ),
            ),
            Self::RateLimited => (
                "Unknown",
                resolve(&format!(
                    "unexpected status from HEAD request to {url}: 429 Too Many Requests"
                )),
            ),
            Self::ConnectionRefused => (
                "Unknown",
                request(&format!("dial tcp {host}: connect: connection refused")),
            ),
            Self::TimedOut => ("Unknown", request(&format!("dial tcp {host}: i/o timeout"))),
            Self::NoSuchHost => (
                "Unknown",
                request(&format!("dial tcp: lookup {host}: no such host")),
            ),
            Self::UnknownAuthority => (
                "Unknown",
                request(
                    "tls: failed to verify certificate: x509: certificate signed by unknown authority",
                ),
            ),
            Self::NoMatchingPlatform => (
                "NotFound",
                format!(
                    "failed to pull and unpack image \"{image}\": no match for platform in manifest: not found"
                ),
            ),
            Self::Other(words) => return words.clone(),
        };
        match code {
            // The kubelet drops a code that says nothing.
            "Unknown" => message,
            code => format!("rpc error: code = {code} desc = {message}"),
        }
    }
}

/// Host, repository and tag or digest of an image, as a runtime completes them.
pub(crate) fn parts(image: &str) -> (String, String, String) {
    let (name, reference) = match image.split_once('@') {
        Some((name, digest)) => (name.to_owned(), digest.to_owned()),
        None => match image.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name.to_owned(), tag.to_owned()),
            _ => (image.to_owned(), "latest".to_owned()),
        },
    };
    // A digest may follow a tag, which counts for nothing then.
    let name = match name.rsplit_once(':') {
        Some((before, tag)) if image.contains('@') && !tag.contains('/') => before.to_owned(),
        _ => name,
    };
    match name.split_once('/') {
        Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => {
            (host.to_owned(), rest.to_owned(), reference)
        }
        Some(_) => ("registry-1.docker.io".into(), name, reference),
        None => (
            "registry-1.docker.io".into(),
            format!("library/{name}"),
            reference,
        ),
    }
}

/// All scripts of a cluster; the latest that matches counts.
#[derive(Debug, Default)]
pub(crate) struct Behaviours(Vec<(Subject, PodBehaviour)>);

#[derive(Debug)]
enum Subject {
    Image(String),
    Labels(LabelSelector),
}

impl Behaviours {
    pub(crate) fn for_image(&mut self, pattern: &str, behaviour: PodBehaviour) {
        self.0.push((Subject::Image(pattern.to_owned()), behaviour));
    }

    pub(crate) fn for_labels(&mut self, selector: LabelSelector, behaviour: PodBehaviour) {
        self.0.push((Subject::Labels(selector), behaviour));
    }

    /// The script for a container of a pod.
    pub(crate) fn find(&self, labels: &Value, image: &str) -> PodBehaviour {
        let found = self.0.iter().rev().find(|(subject, _)| match subject {
            Subject::Image(pattern) => glob(pattern, image),
            Subject::Labels(selector) => selector.matches(labels),
        });
        found
            .map(|(_, behaviour)| behaviour.clone())
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_latest_script_counts() {
        let mut all = Behaviours::default();
        all.for_image("*/app:*", PodBehaviour::crash(1));
        all.for_image("*:good", PodBehaviour::ready());
        all.for_labels(
            LabelSelector::parse("app=x").unwrap(),
            PodBehaviour::oom_killed(),
        );
        let none = json!({});
        assert_eq!(all.find(&none, "r/app:1"), PodBehaviour::crash(1));
        assert_eq!(all.find(&none, "r/app:good"), PodBehaviour::ready());
        assert_eq!(
            all.find(&json!({"app": "x"}), "r/app:good"),
            PodBehaviour::oom_killed()
        );
        assert_eq!(all.find(&none, "other"), PodBehaviour::default());
    }

    #[test]
    fn a_pod_recovers_after_its_failures() {
        let behaviour = PodBehaviour::crash(1).recovers_after(2);
        assert_ne!(behaviour.outcome_after(1), &Outcome::Ready);
        assert_eq!(behaviour.outcome_after(2), &Outcome::Ready);
    }

    #[test]
    fn images_have_parts() {
        let of = |image| {
            let (host, repository, reference) = parts(image);
            format!("{host} {repository} {reference}")
        };
        assert_eq!(of("redis"), "registry-1.docker.io library/redis latest");
        assert_eq!(of("127.0.0.1:5000/a/b:1"), "127.0.0.1:5000 a/b 1");
        assert_eq!(of("r.io/a:1@sha256:ab"), "r.io a sha256:ab");
    }

    #[test]
    fn the_words_are_the_real_ones() {
        assert_eq!(
            PullFailure::NotFound.message("r/app:1"),
            "rpc error: code = NotFound desc = failed to pull and unpack image \"r/app:1\": failed to resolve reference \"r/app:1\": r/app:1: not found"
        );
    }
}
