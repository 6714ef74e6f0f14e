//! The causes that a rollout's state can show: for each the page, the reason, and how long it may last.

use std::time::Duration;

use pipeops_core::RetryClass::{self, Exhausted, NeedsCredential, Permanent};
use pipeops_core::diagnosis::{Page, codes::rollout as codes};

/// How long a cause may last before it fails a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Grace {
    /// The cause is permanent: the rollout fails at once.
    None,
    /// The cause may be transient: the rollout fails if it lasts longer than this.
    For(Duration),
    /// The cause may end at any time: it only explains a rollout that reaches its deadline.
    UntilDeadline,
}

/// What is known about a cause besides its page.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rule {
    pub(crate) page: &'static Page,
    /// Why it happened. A `{detail}` at the end is replaced by the cluster's message.
    pub(crate) reason: &'static str,
    pub(crate) grace: Grace,
    /// Whether deploying again, unchanged, can help.
    pub(crate) class: RetryClass,
}

/// Defines the enum and the rule of each of its values.
macro_rules! causes {
    ($($cause:ident: $page:ident, $reason:literal, $grace:expr, $class:ident;)*) => {
        /// Why a rollout makes no progress. If there are several causes, the first in this order is reported.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub(crate) enum Cause {
            $($cause,)*
        }

        impl Cause {
            pub(crate) fn rule(self) -> Rule {
                let (page, reason, grace, class) = match self {
                    $(Self::$cause => (&codes::$page, $reason, $grace, $class),)*
                };
                Rule { page, reason, grace, class }
            }
        }
    };
}

causes! {
    InvalidImageName: IMAGE_PULL_INVALID_NAME, "the image's name is invalid: {detail}", Grace::None, Permanent;
    ImageAuthentication: IMAGE_PULL_AUTH, "authentication required", Grace::None, NeedsCredential;
    ImageNotFound: IMAGE_PULL_NOT_FOUND, "image not found in the registry", Grace::None, Permanent;
    ImagePlatform: IMAGE_PULL_PLATFORM, "the image doesn't exist for the node's platform: {detail}", Grace::None, Permanent;
    // Registries throttle for minutes, and kubelets retry with back-off.
    ImageRateLimit: IMAGE_PULL_RATE_LIMIT, "the registry limits how often images are pulled: {detail}", seconds(120), Exhausted;
    ImageTls: IMAGE_PULL_TLS, "the nodes don't trust the registry's certificate: {detail}", seconds(20), Permanent;
    ImageDns: IMAGE_PULL_DNS, "the nodes can't resolve the registry's name: {detail}", seconds(60), Exhausted;
    ImageRegistryDown: IMAGE_PULL_REGISTRY_DOWN, "the nodes can't reach the registry: {detail}", seconds(90), Exhausted;
    ImageNodeDisk: IMAGE_PULL_NODE_DISK, "the node's disk is full: {detail}", seconds(120), Exhausted;
    ImageNeverPulled: IMAGE_PULL_NEVER, "the image isn't on the node, and its pull policy is Never", Grace::None, Permanent;
    ImageInspect: IMAGE_PULL_INSPECT, "the node can't read the image: {detail}", seconds(60), Exhausted;
    ImageOther: IMAGE_PULL_OTHER, "{detail}", seconds(60), Exhausted;
    RunsAsRoot: POD_RUNS_AS_ROOT, "the image runs as root or names its user, and the pod must not run as root: {detail}", Grace::None, Permanent;
    // Operators that copy Secrets into namespaces need a moment.
    ConfigMissing: POD_CONFIG_MISSING, "the pod refers to missing configuration: {detail}", seconds(15), Permanent;
    ConfigOther: POD_CONFIG, "{detail}", seconds(15), Permanent;
    CommandNotFound: POD_COMMAND_NOT_FOUND, "the container's command doesn't exist in the image", Grace::None, Permanent;
    CommandNotExecutable: POD_COMMAND_NOT_EXECUTABLE, "the container's command isn't executable", Grace::None, Permanent;
    CommandPlatform: POD_COMMAND_PLATFORM, "the program was built for another platform", Grace::None, Permanent;
    OutOfMemory: POD_OUT_OF_MEMORY, "the container used more memory than its limit", Grace::UntilDeadline, Permanent;
    StartupProbe: POD_STARTUP_PROBE, "the startup probe didn't succeed in time: {detail}", Grace::UntilDeadline, Permanent;
    LivenessProbe: POD_LIVENESS_PROBE, "the liveness probe failed, and the container was restarted: {detail}", Grace::UntilDeadline, Permanent;
    Exited: POD_EXITED, "the container exited without an error", Grace::UntilDeadline, Permanent;
    Crashed: POD_CRASHED, "the container crashes on startup: {detail}", Grace::UntilDeadline, Permanent;
    ContainerOther: POD_CONTAINER_START, "the node can't start the container: {detail}", seconds(30), Permanent;
    StartHook: POD_START_HOOK, "a lifecycle hook of the container failed: {detail}", Grace::UntilDeadline, Permanent;
    PodSecurity: POD_SECURITY_STANDARD, "the namespace's Pod Security Standard rejects the pod: {detail}", Grace::None, Permanent;
    ServiceAccountMissing: POD_SERVICE_ACCOUNT, "the pods' service account doesn't exist: {detail}", seconds(15), Permanent;
    AdmissionDenied: POD_ADMISSION_DENIED, "an admission webhook or policy rejects the pod: {detail}", seconds(10), Permanent;
    AdmissionDown: POD_ADMISSION_UNAVAILABLE, "an admission webhook doesn't respond: {detail}", seconds(90), Exhausted;
    // Old pods may release what new ones need.
    Quota: POD_QUOTA, "the namespace's resource quota is used up: {detail}", seconds(90), Exhausted;
    LimitRange: POD_LIMIT_RANGE, "the namespace's limit range rejects the pod: {detail}", Grace::None, Permanent;
    CreateOther: POD_CREATE, "the pods can't be created: {detail}", seconds(30), Permanent;
    VolumeSourceMissing: POD_VOLUME_SOURCE_MISSING, "a volume's source doesn't exist: {detail}", seconds(30), Permanent;
    Volume: POD_VOLUME, "a volume can't be mounted: {detail}", seconds(150), Exhausted;
    Sandbox: POD_SANDBOX, "the node can't set up the pod's network: {detail}", seconds(90), Exhausted;
    Evicted: POD_EVICTED, "the node ran out of a resource and evicted the pod: {detail}", Grace::UntilDeadline, Exhausted;
    Preempted: POD_PREEMPTED, "a pod with a higher priority preempted the pod: {detail}", Grace::UntilDeadline, Exhausted;
    PodRefused: POD_REFUSED, "the node rejected the pod or became unavailable: {detail}", Grace::UntilDeadline, Exhausted;
    PodDeadline: POD_DEADLINE, "the pod ran longer than its activeDeadlineSeconds", Grace::UntilDeadline, Permanent;
    // An autoscaler may add the missing node.
    Unschedulable: POD_UNSCHEDULABLE, "no node fits the pod: {detail}", Grace::UntilDeadline, Exhausted;
    ReadinessProbe: POD_READINESS_PROBE, "the container runs, but its readiness probe fails: {detail}", Grace::UntilDeadline, Permanent;
    StopHook: POD_STOP_HOOK, "the preStop hook of the container failed: {detail}", Grace::UntilDeadline, Permanent;
    Paused: PAUSED, "the Deployment is paused: Kubernetes doesn't update its pods", Grace::UntilDeadline, Permanent;
    ProgressDeadline: PROGRESS_DEADLINE, "no new pod became ready within the Deployment's progress deadline", Grace::None, Permanent;
    Deadline: DEADLINE, "the rollout didn't complete in time: {detail}", Grace::None, Permanent;
}

const fn seconds(seconds: u64) -> Grace {
    Grace::For(Duration::from_secs(seconds))
}
