//! The table of causes: what each one is called, why it happens, what to do, and how long it may last.
//!
//! `{app}`, `{namespace}`, `{revision}`, `{pod}`, `{container}`, `{image}`, `{registry}`, `{name}` and `{detail}` are filled in.

use std::time::Duration;

use pipeops_core::RetryClass::{self, Exhausted, NeedsCredential, Permanent};

/// How long a cause may last before it fails the rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Grace {
    /// It cannot pass: the rollout fails at once.
    None,
    /// It may pass: the rollout fails when it lasts longer.
    For(Duration),
    /// It may pass at any time: it only explains a rollout that reached its deadline.
    UntilDeadline,
}

/// Why a rollout does not get on. Where several hold at once, the first in this order is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the table below says what each one is")]
pub enum Cause {
    InvalidImageName,
    ImageAuthentication,
    ImageNotFound,
    ImagePlatform,
    ImageRateLimit,
    ImageTls,
    ImageDns,
    ImageRegistryDown,
    ImageNodeDisk,
    ImageNeverPulled,
    ImageInspect,
    ImageOther,
    RunsAsRoot,
    ConfigMissing,
    ConfigOther,
    CommandNotFound,
    CommandNotExecutable,
    CommandPlatform,
    OutOfMemory,
    StartupProbe,
    LivenessProbe,
    Exited,
    Crashed,
    ContainerOther,
    Hook,
    PodSecurity,
    ServiceAccountMissing,
    AdmissionDenied,
    AdmissionDown,
    Quota,
    LimitRange,
    CreateOther,
    VolumeSourceMissing,
    Volume,
    Sandbox,
    Evicted,
    Preempted,
    PodRefused,
    PodDeadline,
    Unschedulable,
    ReadinessProbe,
    PreStopHook,
    Paused,
    ProgressDeadline,
    Deadline,
}

/// What is said about a cause.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Explanation {
    /// The cause.
    pub cause: Cause,
    /// Its short name, as Kubernetes calls it where it has a name there.
    pub title: &'static str,
    /// Why it happens.
    pub reason: &'static str,
    /// What to do, the likeliest first.
    pub fixes: &'static [&'static str],
    /// A command that starts the first fix.
    pub run: &'static str,
    /// How long it may last.
    pub grace: Grace,
    /// Whether deploying again, unchanged, can help.
    pub class: RetryClass,
}

impl Cause {
    /// What is said about it.
    pub fn explanation(self) -> &'static Explanation {
        // A unit test holds the table to the order of the enum.
        &TABLE[self as usize]
    }
}

/// All causes in their order.
pub fn causes() -> &'static [Explanation] {
    TABLE
}

const STATUS: &str = "pipeops rollout status {app} --namespace {namespace}";
const SHOW: &str = "pipeops project show {app}";
const DEPLOY: &str = "pipeops deploy {app} --commit {revision}";
const REGISTRY: &str = "pipeops project registry update {app}";
const DOCTOR: &str = "pipeops doctor";

const fn seconds(seconds: u64) -> Grace {
    Grace::For(Duration::from_secs(seconds))
}

const fn row(
    cause: Cause,
    title: &'static str,
    reason: &'static str,
    fixes: &'static [&'static str],
    run: &'static str,
    grace: Grace,
    class: RetryClass,
) -> Explanation {
    Explanation {
        cause,
        title,
        reason,
        fixes,
        run,
        grace,
        class,
    }
}

#[rustfmt::skip]
static TABLE: &[Explanation] = &[
    row(Cause::InvalidImageName, "InvalidImageName", "the image's name is not valid: {detail}",
        &["Correct the image or repository name in project settings: lower case, no spaces"],
        SHOW, Grace::None, Permanent),
    row(Cause::ImageAuthentication, "ImagePullBackOff", "authentication required",
        &["Verify registry credentials in project settings", "Ensure image tag exists in registry",
          "Check registry is accessible from cluster"],
        REGISTRY, Grace::None, NeedsCredential),
    row(Cause::ImageNotFound, "ImagePullBackOff", "image not found in the registry",
        &["Ensure image tag exists in registry: {image}", "Verify the repository name in project settings",
          "Deploy again, so that the image is built and pushed"],
        DEPLOY, Grace::None, Permanent),
    row(Cause::ImagePlatform, "ImagePullBackOff", "the image does not exist for the node's platform: {detail}",
        &["Build the image for the platforms of the cluster's nodes (linux/amd64, linux/arm64)",
          "Or schedule the pods on nodes of the image's platform"],
        SHOW, Grace::None, Permanent),
    // Registries throttle for minutes; kubelets try again with back-off meanwhile.
    row(Cause::ImageRateLimit, "ImagePullBackOff", "the registry limits how often images are pulled: {detail}",
        &["Wait until the limit is over, then deploy again",
          "Pull with credentials of an account with a higher limit",
          "Use a registry mirror near the cluster"],
        REGISTRY, seconds(120), Exhausted),
    row(Cause::ImageTls, "ImagePullBackOff", "the nodes do not trust the registry's certificate: {detail}",
        &["Install the registry's certificate authority on the cluster's nodes",
          "Check that the registry's certificate is valid for its name and not expired",
          "For a registry that speaks plain http, configure it as such on the nodes"],
        DOCTOR, seconds(20), Permanent),
    row(Cause::ImageDns, "ImagePullBackOff", "the registry's name cannot be resolved on the nodes: {detail}",
        &["Check the registry's host name in project settings: {registry}", "Check DNS on the cluster's nodes"],
        SHOW, seconds(60), Exhausted),
    row(Cause::ImageRegistryDown, "ImagePullBackOff", "the registry cannot be reached from the cluster: {detail}",
        &["Check registry is accessible from cluster: {registry}", "Check that the registry is running",
          "Deploy again once it answers"],
        DOCTOR, seconds(90), Exhausted),
    row(Cause::ImageNodeDisk, "ImagePullBackOff", "the node's disk is full: {detail}",
        &["Free disk space on the node, or add nodes", "Make the image smaller"],
        DOCTOR, seconds(120), Exhausted),
    row(Cause::ImageNeverPulled, "ErrImageNeverPull", "the image is not on the node and its pull policy is Never",
        &["Set the image pull policy to IfNotPresent", "Or load the image onto the nodes"],
        SHOW, Grace::None, Permanent),
    row(Cause::ImageInspect, "ImageInspectError", "the node cannot read the image: {detail}",
        &["Check the container runtime and the disk of the node", "Build and push the image again"],
        DEPLOY, seconds(60), Exhausted),
    row(Cause::ImageOther, "ImagePullBackOff", "{detail}",
        &["Check registry is accessible from cluster: {registry}", "Ensure image tag exists in registry",
          "Verify registry credentials in project settings"],
        REGISTRY, seconds(60), Exhausted),
    row(Cause::RunsAsRoot, "CreateContainerConfigError", "the image runs as root or names its user, and the pod must not run as root: {detail}",
        &["Add a numeric USER that is not 0 to the Dockerfile", "Or set the user id in project settings"],
        SHOW, Grace::None, Permanent),
    // Operators that copy Secrets into namespaces need a moment.
    row(Cause::ConfigMissing, "CreateContainerConfigError", "the pod refers to configuration that does not exist: {detail}",
        &["Create the missing {name} in namespace {namespace}", "Or remove the reference to it from the project's configuration"],
        SHOW, seconds(15), Permanent),
    row(Cause::ConfigOther, "CreateContainerConfigError", "{detail}",
        &["Correct the container's configuration"],
        SHOW, seconds(15), Permanent),
    row(Cause::CommandNotFound, "RunContainerError", "the container's command does not exist in the image",
        &["Correct the start command in project settings or the Dockerfile's ENTRYPOINT and CMD",
          "Check that the build copies the program into the final stage of the image",
          "For a shell script, check that the interpreter of its first line is in the image"],
        SHOW, Grace::None, Permanent),
    row(Cause::CommandNotExecutable, "RunContainerError", "the container's command may not be executed",
        &["Make the file executable in the Dockerfile: RUN chmod +x", "Check that the command is a file and not a folder",
          "Check that the container's user may read it"],
        SHOW, Grace::None, Permanent),
    row(Cause::CommandPlatform, "RunContainerError", "the program was built for another platform",
        &["Build the image for the platforms of the cluster's nodes (linux/amd64, linux/arm64)",
          "For a script, check that its first line names an interpreter (#!/bin/sh)"],
        SHOW, Grace::None, Permanent),
    row(Cause::OutOfMemory, "OOMKilled", "the container used more memory than its limit",
        &["Raise the memory limit in project settings",
          "Limit the program's own memory (JVM heap, Node's --max-old-space-size, worker count)",
          "Look for a memory leak in the last output"],
        SHOW, Grace::UntilDeadline, Permanent),
    row(Cause::StartupProbe, "StartupProbeFailed", "the container did not start up in time: {detail}",
        &["Check that the application listens on the configured port, on all addresses (0.0.0.0)",
          "Check the health path in project settings", "Give it more time to start in project settings"],
        SHOW, Grace::UntilDeadline, Permanent),
    row(Cause::LivenessProbe, "LivenessProbeFailed", "the container was restarted because its liveness check failed: {detail}",
        &["Check why the application stops answering: see the last output",
          "Check the liveness path and port in project settings", "Give the check a longer time-out"],
        SHOW, Grace::UntilDeadline, Permanent),
    row(Cause::Exited, "CrashLoopBackOff", "the container ended by itself without an error",
        &["Start the application in the foreground: the container ends with its first process",
          "Correct the start command in project settings"],
        SHOW, Grace::UntilDeadline, Permanent),
    row(Cause::Crashed, "CrashLoopBackOff", "the container crashes at start: {detail}",
        &["Read the last output: it says why the application ends",
          "Check the environment variables and secrets that it needs in project settings",
          "Run the image locally with the same environment"],
        SHOW, Grace::UntilDeadline, Permanent),
    row(Cause::ContainerOther, "CreateContainerError", "the node cannot start the container: {detail}",
        &["Check the container runtime of the node", "Check the container's mounts, command and security settings"],
        DOCTOR, seconds(30), Permanent),
    row(Cause::Hook, "PostStartHookError", "a lifecycle hook of the container failed: {detail}",
        &["Correct the hook's command, or remove it"],
        SHOW, Grace::UntilDeadline, Permanent),
    row(Cause::PodSecurity, "PodSecurityViolation", "the namespace's Pod Security Standard refuses the pod: {detail}",
        &["Remove the setting that the message names from the project's configuration",
          "Or relax the Pod Security level of namespace {namespace}"],
        SHOW, Grace::None, Permanent),
    row(Cause::ServiceAccountMissing, "ServiceAccountNotFound", "the pods' service account does not exist: {detail}",
        &["Create the service account in namespace {namespace}", "Or correct its name in the project's configuration"],
        SHOW, seconds(15), Permanent),
    row(Cause::AdmissionDenied, "AdmissionDenied", "an admission webhook or policy refuses the pod: {detail}",
        &["Change what the message names", "Or ask the cluster's administrators for an exception"],
        SHOW, seconds(10), Permanent),
    row(Cause::AdmissionDown, "AdmissionWebhookUnavailable", "an admission webhook of the cluster does not answer: {detail}",
        &["Check the service behind the webhook", "Deploy again once it answers"],
        DOCTOR, seconds(90), Exhausted),
    // Old pods may release what new ones need.
    row(Cause::Quota, "QuotaExceeded", "the namespace's resource quota is used up: {detail}",
        &["Raise the quota of namespace {namespace}", "Lower the requests and limits, or the number of replicas, in project settings",
          "Remove applications that are no longer needed from the namespace"],
        SHOW, seconds(90), Exhausted),
    row(Cause::LimitRange, "LimitRangeViolation", "the namespace's limit range refuses the pod: {detail}",
        &["Change the requests and limits in project settings as the message says"],
        SHOW, Grace::None, Permanent),
    row(Cause::CreateOther, "FailedCreate", "the pods cannot be created: {detail}",
        &["Correct what the message names"],
        STATUS, seconds(30), Permanent),
    row(Cause::VolumeSourceMissing, "FailedMount", "a volume's source does not exist: {detail}",
        &["Create the missing {name} in namespace {namespace}", "Or remove the volume from the project's configuration"],
        SHOW, seconds(30), Permanent),
    row(Cause::Volume, "FailedMount", "a volume cannot be mounted: {detail}",
        &["Check the volume claim and its storage class", "Check whether another node still holds the volume",
          "Check the storage driver of the cluster"],
        STATUS, seconds(150), Exhausted),
    row(Cause::Sandbox, "FailedCreatePodSandBox", "the node cannot set up the pod's network: {detail}",
        &["Check the network plugin on the node", "Check whether the pod network has free addresses",
          "Deploy again once the node is healthy"],
        DOCTOR, seconds(90), Exhausted),
    row(Cause::Evicted, "Evicted", "the node ran out of a resource and evicted the pod: {detail}",
        &["Raise the requests in project settings to what the application uses", "Add nodes, or free disk and memory on them"],
        STATUS, Grace::UntilDeadline, Exhausted),
    row(Cause::Preempted, "Preempted", "pods with a higher priority took the pod's place: {detail}",
        &["Raise the priority class of the application", "Add nodes to the cluster"],
        STATUS, Grace::UntilDeadline, Exhausted),
    row(Cause::PodRefused, "PodRefused", "the node refused the pod or went away: {detail}",
        &["Check the health of the cluster's nodes", "Check that the nodes have room for the pod's requests"],
        DOCTOR, Grace::UntilDeadline, Exhausted),
    row(Cause::PodDeadline, "DeadlineExceeded", "the pod ran longer than its activeDeadlineSeconds",
        &["Remove activeDeadlineSeconds from the pod: it is meant for jobs"],
        SHOW, Grace::UntilDeadline, Permanent),
    // An autoscaler may bring the node that is missing.
    row(Cause::Unschedulable, "Unschedulable", "no node fits the pod: {detail}",
        &["Lower the CPU and memory requests in project settings", "Add nodes, or larger ones, to the cluster",
          "Check node selectors, tolerations and affinity"],
        SHOW, Grace::UntilDeadline, Exhausted),
    row(Cause::ReadinessProbe, "ReadinessProbeFailed", "the container runs and its readiness check does not pass: {detail}",
        &["Check that the application listens on the configured port, on all addresses (0.0.0.0)",
          "Check the health path in project settings", "Check what the application waits for: see the last output"],
        SHOW, Grace::UntilDeadline, Permanent),
    row(Cause::PreStopHook, "FailedPreStopHook", "the hook that runs before a container stops failed: {detail}",
        &["Correct the hook's command, or remove it"],
        SHOW, Grace::UntilDeadline, Permanent),
    row(Cause::Paused, "DeploymentPaused", "the Deployment is paused: changes of its pods are held back",
        &["Resume it: kubectl rollout resume deployment/{app} --namespace {namespace}"],
        STATUS, Grace::UntilDeadline, Permanent),
    row(Cause::ProgressDeadline, "ProgressDeadlineExceeded", "no new pod became ready within the Deployment's progress deadline",
        &["Check the state of the pods", "Give the application more time to start in project settings"],
        STATUS, Grace::None, Permanent),
    row(Cause::Deadline, "DeadlineExceeded", "the rollout did not complete in time: {detail}",
        &["Check the state of the pods", "Give the rollout more time"],
        STATUS, Grace::None, Permanent),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_causes() {
        for (index, row) in TABLE.iter().enumerate() {
            assert_eq!(row.cause as usize, index, "{:?}", row.cause);
        }
        assert_eq!(Cause::Deadline as usize, TABLE.len() - 1);
    }

    #[test]
    fn every_row_says_a_fix_and_a_known_command() {
        for row in TABLE {
            assert!(
                !row.fixes.is_empty() && !row.reason.is_empty(),
                "{:?}",
                row.cause
            );
            assert!(
                [STATUS, SHOW, DEPLOY, REGISTRY, DOCTOR].contains(&row.run),
                "{:?}",
                row.cause
            );
        }
    }
}
