//! Causes of failed rollouts: image pulls, pods, the rollout itself, the cluster's API.

pages! {
    IMAGE_PULL_INVALID_NAME = "image-pull/invalid-name" {
        title: "Deployment failed: InvalidImageName",
        meaning: "The node can't parse the image's name. A container waits with the reason InvalidImageName.",
        fixes: ["Correct the image or repository name: lower case, no spaces"],
    }
    IMAGE_PULL_AUTH = "image-pull/auth" {
        title: "Deployment failed: ImagePullBackOff",
        meaning: "The registry rejected the cluster's pull credentials, or the cluster has none. The pod's state or events show the registry's response.",
        fixes: ["Verify registry credentials in project settings", "Ensure image tag exists in registry",
            "Check registry is accessible from cluster"],
    }
    IMAGE_PULL_NOT_FOUND = "image-pull/not-found" {
        title: "Deployment failed: ImagePullBackOff",
        meaning: "The registry responds but has no such repository, tag or digest.",
        fixes: ["Ensure image tag exists in registry", "Verify the repository name",
            "Deploy again, so that the image is built and pushed"],
    }
    IMAGE_PULL_PLATFORM = "image-pull/platform" {
        title: "Deployment failed: ImagePullBackOff",
        meaning: "The image exists, but not for the operating system and processor of the node.",
        fixes: ["Build the image for the platforms of the cluster's nodes (linux/amd64, linux/arm64)",
            "Or schedule the pods on nodes of the image's platform"],
    }
    IMAGE_PULL_RATE_LIMIT = "image-pull/rate-limit" {
        title: "Deployment failed: ImagePullBackOff",
        meaning: "The registry limits the rate of pulls, and the limit lasted longer than the grace period of two minutes.",
        fixes: ["Wait until the limit resets, then deploy again",
            "Pull with an account that has a higher limit", "Use a registry mirror near the cluster"],
    }
    IMAGE_PULL_TLS = "image-pull/tls" {
        title: "Deployment failed: ImagePullBackOff",
        meaning: "The TLS handshake between the node and the registry failed: the certificate is untrusted, expired or issued for another name, or the registry speaks plain HTTP.",
        fixes: ["Install the registry's certificate authority on the cluster's nodes",
            "Check that the registry's certificate is valid for its name and hasn't expired",
            "If the registry speaks plain HTTP, configure it as insecure on the nodes"],
    }
    IMAGE_PULL_DNS = "image-pull/dns" {
        title: "Deployment failed: ImagePullBackOff",
        meaning: "The node can't resolve the registry's host name.",
        fixes: ["Check the registry's host name", "Check DNS on the cluster's nodes"],
    }
    IMAGE_PULL_REGISTRY_DOWN = "image-pull/registry-down" {
        title: "Deployment failed: ImagePullBackOff",
        meaning: "The node couldn't connect to the registry, or got only server errors, for longer than the grace period.",
        fixes: ["Check registry is accessible from cluster", "Check that the registry is running",
            "Deploy again once it responds"],
    }
    IMAGE_PULL_NODE_DISK = "image-pull/node-disk" {
        title: "Deployment failed: ImagePullBackOff",
        meaning: "The node can't store the image because its disk or disk quota is full.",
        fixes: ["Free disk space on the node, or add nodes", "Make the image smaller"],
    }
    IMAGE_PULL_NEVER = "image-pull/never" {
        title: "Deployment failed: ErrImageNeverPull",
        meaning: "The image isn't on the node, and the container's pull policy is Never.",
        fixes: ["Set the image pull policy to IfNotPresent", "Or load the image onto the nodes"],
    }
    IMAGE_PULL_INSPECT = "image-pull/inspect" {
        title: "Deployment failed: ImageInspectError",
        meaning: "The node's container runtime can't read the stored image.",
        fixes: ["Check the node's container runtime and disk", "Build and push the image again"],
    }
    IMAGE_PULL_OTHER = "image-pull/other" {
        title: "Deployment failed: ImagePullBackOff",
        meaning: "The node can't pull the image, and the error message matches no known cause.",
        fixes: ["Check registry is accessible from cluster", "Ensure image tag exists in registry",
            "Verify registry credentials"],
    }

    POD_RUNS_AS_ROOT = "pod/runs-as-root" {
        title: "Deployment failed: CreateContainerConfigError",
        meaning: "The pod must not run as root, but the image runs as root or sets its user by name. Kubernetes can check only numeric user IDs.",
        fixes: ["Add a numeric USER other than 0 to the Dockerfile", "Or set the app's user ID"],
    }
    POD_CONFIG_MISSING = "pod/config-missing" {
        title: "Deployment failed: CreateContainerConfigError",
        meaning: "The container takes an environment variable or a file from a ConfigMap or Secret that doesn't exist or lacks the key.",
        fixes: ["Create the missing ConfigMap, Secret or key in the app's namespace",
            "Or remove the reference to it from the app's configuration"],
    }
    POD_CONFIG = "pod/config" {
        title: "Deployment failed: CreateContainerConfigError",
        meaning: "The node can't assemble the container's configuration.",
        fixes: ["Correct the container's configuration"],
    }
    POD_COMMAND_NOT_FOUND = "pod/command-not-found" {
        title: "Deployment failed: RunContainerError",
        meaning: "The image has no file at the path of the container's command. The container runtime reported this, or a shell exited with code 127.",
        fixes: ["Correct the start command or the Dockerfile's ENTRYPOINT and CMD",
            "Check that the build copies the program into the final stage of the image",
            "For a script, check that the image has the interpreter that the first line names"],
    }
    POD_COMMAND_NOT_EXECUTABLE = "pod/command-not-executable" {
        title: "Deployment failed: RunContainerError",
        meaning: "The container's command exists, but the container's user can't execute it. The container runtime reported this, or a shell exited with code 126.",
        fixes: ["Make the file executable in the Dockerfile: RUN chmod +x",
            "Check that the command is a file and not a folder", "Check that the container's user can read it"],
    }
    POD_COMMAND_PLATFORM = "pod/command-platform" {
        title: "Deployment failed: RunContainerError",
        meaning: "The node's kernel can't execute the program: it's built for another processor, or it's a script without an interpreter line.",
        fixes: ["Build the image for the platforms of the cluster's nodes (linux/amd64, linux/arm64)",
            "For a script, check that its first line names an interpreter (#!/bin/sh)"],
    }
    POD_OUT_OF_MEMORY = "pod/out-of-memory" {
        title: "Deployment failed: OOMKilled",
        meaning: "The kernel killed the container because it used more memory than its limit.",
        fixes: ["Raise the memory limit",
            "Limit the program's own memory (JVM heap, Node's --max-old-space-size, worker count)",
            "Look for a memory leak in the last output"],
    }
    POD_STARTUP_PROBE = "pod/startup-probe" {
        title: "Deployment failed: StartupProbeFailed",
        meaning: "The container runs, but its startup probe didn't succeed within the startup budget.",
        fixes: ["Check that the application listens on the configured port, on all addresses (0.0.0.0)",
            "Check the health path", "Give it more time to start"],
    }
    POD_LIVENESS_PROBE = "pod/liveness-probe" {
        title: "Deployment failed: LivenessProbeFailed",
        meaning: "The node restarted the container because its liveness probe failed.",
        fixes: ["Find out why the application stops responding: see the last output",
            "Check the liveness path and port", "Raise the probe's timeout"],
    }
    POD_EXITED = "pod/exited" {
        title: "Deployment failed: CrashLoopBackOff",
        meaning: "The container's main process exited with code 0, but a deployment must keep running.",
        fixes: ["Start the application in the foreground: the container ends with its main process",
            "Correct the start command"],
    }
    POD_CRASHED = "pod/crashed" {
        title: "Deployment failed: CrashLoopBackOff",
        meaning: "The container's main process repeatedly exited with an error.",
        fixes: ["Read the last output: it says why the application ends",
            "Check that it gets the environment variables and secrets that it needs",
            "Run the image locally with the same environment"],
    }
    POD_CONTAINER_START = "pod/container-start" {
        title: "Deployment failed: CreateContainerError",
        meaning: "The node's container runtime can't create or start the container.",
        fixes: ["Check the node's container runtime",
            "Check the container's mounts, command and security settings"],
    }
    POD_START_HOOK = "pod/start-hook" {
        title: "Deployment failed: PostStartHookError",
        meaning: "The container's postStart hook failed, so the node stopped the container.",
        fixes: ["Correct the hook's command, or remove it"],
    }
    POD_STOP_HOOK = "pod/stop-hook" {
        title: "Deployment failed: FailedPreStopHook",
        meaning: "The container's preStop hook failed.",
        fixes: ["Correct the hook's command, or remove it"],
    }
    POD_SECURITY_STANDARD = "pod/security-standard" {
        title: "Deployment failed: PodSecurityViolation",
        meaning: "The API server rejects the pods because they violate the namespace's Pod Security Standard.",
        fixes: ["Remove the setting that the message names from the app's configuration",
            "Or relax the Pod Security level of the app's namespace"],
    }
    POD_SERVICE_ACCOUNT = "pod/service-account" {
        title: "Deployment failed: ServiceAccountNotFound",
        meaning: "The API server rejects the pods because their service account doesn't exist.",
        fixes: ["Create the service account in the app's namespace",
            "Or correct its name in the app's configuration"],
    }
    POD_ADMISSION_DENIED = "pod/admission-denied" {
        title: "Deployment failed: AdmissionDenied",
        meaning: "An admission webhook or a validating admission policy of the cluster rejects the pods.",
        fixes: ["Change what the message names", "Or ask the cluster's administrators for an exception"],
    }
    POD_ADMISSION_UNAVAILABLE = "pod/admission-unavailable" {
        title: "Deployment failed: AdmissionWebhookUnavailable",
        meaning: "The API server can't create the pods because an admission webhook doesn't respond.",
        fixes: ["Check the service behind the webhook", "Deploy again once it responds"],
    }
    POD_QUOTA = "pod/quota" {
        title: "Deployment failed: QuotaExceeded",
        meaning: "The namespace's resource quota doesn't allow the new pods, and no old pod freed enough of it in time.",
        fixes: ["Raise the quota of the app's namespace",
            "Lower the requests and limits, or the number of replicas",
            "Remove applications that are no longer needed from the namespace"],
    }
    POD_LIMIT_RANGE = "pod/limit-range" {
        title: "Deployment failed: LimitRangeViolation",
        meaning: "The requests or limits of the pods are outside the namespace's limit range.",
        fixes: ["Change the requests and limits as the message says"],
    }
    POD_CREATE = "pod/create" {
        title: "Deployment failed: FailedCreate",
        meaning: "The API server rejects the pods, and its message matches no known cause.",
        fixes: ["Correct what the message names"],
    }
    POD_VOLUME_SOURCE_MISSING = "pod/volume-source-missing" {
        title: "Deployment failed: FailedMount",
        meaning: "A volume of the pod takes its files from a ConfigMap or Secret that doesn't exist.",
        fixes: ["Create the missing ConfigMap or Secret in the app's namespace",
            "Or remove the volume from the app's configuration"],
    }
    POD_VOLUME = "pod/volume" {
        title: "Deployment failed: FailedMount",
        meaning: "The node can't attach or mount a volume of the pod.",
        fixes: ["Check the volume claim and its storage class", "Check whether another node still holds the volume",
            "Check the storage driver of the cluster"],
    }
    POD_SANDBOX = "pod/sandbox" {
        title: "Deployment failed: FailedCreatePodSandBox",
        meaning: "The node can't create the pod's sandbox, usually because of its network plugin.",
        fixes: ["Check the network plugin on the node", "Check whether the pod network has free addresses",
            "Deploy again once the node is healthy"],
    }
    POD_EVICTED = "pod/evicted" {
        title: "Deployment failed: Evicted",
        meaning: "The node ran out of memory, disk or process IDs and evicted the pod.",
        fixes: ["Raise the requests to what the application uses",
            "Add nodes, or free disk and memory on them"],
    }
    POD_PREEMPTED = "pod/preempted" {
        title: "Deployment failed: Preempted",
        meaning: "The scheduler evicted the pod in favor of pods with a higher priority.",
        fixes: ["Raise the priority class of the application", "Add nodes to the cluster"],
    }
    POD_REFUSED = "pod/refused" {
        title: "Deployment failed: PodRefused",
        meaning: "The pod's node rejected the pod, shut down or was lost.",
        fixes: ["Check the health of the cluster's nodes", "Check that the nodes have enough capacity for the pod's requests"],
    }
    POD_DEADLINE = "pod/deadline" {
        title: "Deployment failed: DeadlineExceeded",
        meaning: "Kubernetes stopped the pod because it ran longer than its activeDeadlineSeconds.",
        fixes: ["Remove activeDeadlineSeconds from the pod: it is meant for jobs"],
    }
    POD_UNSCHEDULABLE = "pod/unschedulable" {
        title: "Deployment failed: Unschedulable",
        meaning: "The scheduler found no node with enough capacity for the pod that also meets its constraints.",
        fixes: ["Lower the CPU and memory requests", "Add nodes, or larger ones, to the cluster",
            "Check node selectors, tolerations and affinity"],
    }
    POD_READINESS_PROBE = "pod/readiness-probe" {
        title: "Deployment failed: ReadinessProbeFailed",
        meaning: "The container runs, but its readiness probe didn't succeed before the rollout's deadline.",
        fixes: ["Check that the application listens on the configured port, on all addresses (0.0.0.0)",
            "Check the health path", "Check what the application waits for: see the last output"],
    }

    PAUSED = "rollout/paused" {
        title: "Deployment failed: DeploymentPaused",
        meaning: "The Deployment is paused, so Kubernetes doesn't replace its pods.",
        fixes: ["Resume the Deployment with kubectl rollout resume"],
    }
    PROGRESS_DEADLINE = "rollout/progress-deadline" {
        title: "Deployment failed: ProgressDeadlineExceeded",
        meaning: "No new pod became ready within the Deployment's progressDeadlineSeconds, and the pods show no cause.",
        fixes: ["Check the state of the pods", "Give the application more time to start"],
    }
    DEADLINE = "rollout/deadline" {
        title: "Deployment failed: DeadlineExceeded",
        meaning: "The rollout didn't complete before its deadline, and the pods show no cause.",
        fixes: ["Check the state of the pods", "Give the rollout more time"],
    }
    INVALID_STACK = "rollout/invalid-stack" {
        title: "Deployment failed: InvalidStack",
        meaning: "The stack has no Deployment with the app's name, or has an object that doesn't belong to the app. Nothing was applied.",
        fixes: ["Correct the app's configuration"],
    }
    BUSY = "rollout/busy" {
        title: "Deployment failed: Busy",
        meaning: "Another process is deploying the app and holds its Lease.",
        fixes: ["Wait until it ends, then deploy again"],
    }
    LEASE_LOST = "rollout/lease-lost" {
        title: "Deployment failed: LeaseLost",
        meaning: "Another process took the app's Lease, or PipeOps couldn't renew it in time.",
        fixes: ["Deploy again; the rollout resumes where it stopped"],
    }
    RECORD_UNREADABLE = "rollout/record-unreadable" {
        title: "Deployment failed: RecordUnreadable",
        meaning: "The ConfigMap that records the app's revisions was edited by hand or written by a newer version of PipeOps.",
        fixes: ["Use the version of PipeOps that wrote it",
            "Or delete the ConfigMap; the next deployment creates a new one"],
    }
    NOT_FOUND = "rollout/not-found" {
        title: "Deployment failed: NotFound",
        meaning: "The app was never deployed to this namespace, or was deleted.",
        fixes: ["Check the name and the namespace", "Deploy it"],
    }
    NOTHING_TO_UNDO = "rollout/nothing-to-undo" {
        title: "Deployment failed: NothingToUndo",
        meaning: "The app has no earlier healthy revision.",
        fixes: ["Deploy the commit that you want to go back to"],
    }
    REVISION_INCOMPLETE = "rollout/revision-incomplete" {
        title: "Deployment failed: RevisionIncomplete",
        meaning: "A ConfigMap or Secret of the earlier revision was deleted, so its pods couldn't start.",
        fixes: ["Deploy the commit of the earlier revision again"],
    }
    ROLLBACK_INCOMPLETE = "rollout/rollback-incomplete" {
        title: "Deployment failed: RollbackIncomplete",
        meaning: "The new revision failed, and the last healthy revision didn't become healthy again before the rollback's deadline.",
        fixes: ["Check the state of the pods and of the cluster", "Deploy again; the rollback resumes"],
    }

    CLUSTER_UNAUTHORIZED = "cluster/unauthorized" {
        title: "Deployment failed: Unauthorized",
        meaning: "The API server rejected the kubeconfig's credentials (401).",
        fixes: ["Renew the credentials in the kubeconfig that PipeOps uses"],
    }
    CLUSTER_FORBIDDEN = "cluster/forbidden" {
        title: "Deployment failed: Forbidden",
        meaning: "The API server denied the request (403): the account lacks a permission, or a quota or an admission rule forbids it.",
        fixes: ["Grant PipeOps' account the verb and resource that the message names (Role and RoleBinding)",
            "If the message names a quota or a policy, raise it or change the manifests"],
    }
    CLUSTER_NO_SUCH_KIND = "cluster/no-such-kind" {
        title: "Deployment failed: NoSuchKind",
        meaning: "The API server doesn't serve the kind of one of the objects.",
        fixes: ["Install the API that provides this kind, or remove the object from the manifests"],
    }
    CLUSTER_NO_SUCH_NAMESPACE = "cluster/no-such-namespace" {
        title: "Deployment failed: NoSuchNamespace",
        meaning: "The app's namespace doesn't exist, and PipeOps isn't configured to create it.",
        fixes: ["Create the namespace: kubectl create namespace",
            "Or let PipeOps create namespaces (RolloutOptions::create_namespace)"],
    }
    CLUSTER_NOT_FOUND = "cluster/not-found" {
        title: "Deployment failed: NotFound",
        meaning: "The API server returned 404: the object doesn't exist, or was deleted in the meantime.",
        fixes: ["Deploy again"],
    }
    CLUSTER_ALREADY_EXISTS = "cluster/already-exists" {
        title: "Deployment failed: AlreadyExists",
        meaning: "An object with this name already exists, and PipeOps doesn't manage it.",
        fixes: ["Delete it, or choose another name"],
    }
    CLUSTER_CONFLICT = "cluster/conflict" {
        title: "Deployment failed: Conflict",
        meaning: "Another field manager owns fields of an object that PipeOps didn't create. PipeOps takes over fields only of objects that it created.",
        fixes: ["Stop managing the object with the other tool, or delete the object",
            "Or choose another name for the application"],
    }
    CLUSTER_STALE = "cluster/stale" {
        title: "Deployment failed: Conflict",
        meaning: "Another client changed the object after PipeOps read it and before PipeOps wrote it.",
        fixes: ["Try again"],
    }
    CLUSTER_INVALID = "cluster/invalid" {
        title: "Deployment failed: Invalid",
        meaning: "The API server rejected the values of some fields (422).",
        fixes: ["Correct the named fields in the app's configuration"],
    }
    CLUSTER_UNAVAILABLE = "cluster/unavailable" {
        title: "Deployment failed: ClusterUnavailable",
        meaning: "The API server throttled requests, returned server errors or didn't respond in time. PipeOps retried without success.",
        fixes: ["Check the health of the cluster's API server", "Deploy again once it responds"],
    }
    CLUSTER_UNREACHABLE = "cluster/unreachable" {
        title: "Deployment failed: ClusterUnreachable",
        meaning: "PipeOps couldn't connect to the API server. It retried without success.",
        fixes: ["Check the server address in the kubeconfig, and the network to it"],
    }
    CLUSTER_REJECTED = "cluster/rejected" {
        title: "Deployment failed: Rejected",
        meaning: "The API server rejected the request, or its response couldn't be read. The message says why.",
        fixes: ["Correct what the message names"],
    }
}
