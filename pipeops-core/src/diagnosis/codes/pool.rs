//! Causes that keep a pool of BuildKit daemons from taking a build.

pages! {
    QUEUE_FULL = "build-pool/queue-full" {
        title: "Build failed: QueueFull",
        meaning: "As many builds wait for a BuildKit daemon as the pool allows.",
        fixes: [
            "Build again when fewer builds wait",
            "Add daemons to the pool, or raise its queue limit",
        ],
    }
    NO_CAPACITY = "build-pool/no-capacity" {
        title: "Build failed: NoCapacity",
        meaning: "All daemons were busy with other builds until the time limit for waiting.",
        fixes: [
            "Add daemons to the pool, or raise its capacity",
            "Look for builds that hang: they keep their place until their own time limit",
        ],
    }
    UNREACHABLE = "build-pool/unreachable" {
        title: "Build failed: DaemonsUnreachable",
        meaning: "None of the pool's daemons that could take the build answered in time.",
        fixes: ["Start buildkitd on them, and let it listen at these addresses"],
    }
    NO_MEMBERS = "build-pool/no-members" {
        title: "Build failed: DaemonsUnreachable",
        meaning: "The list, DNS name or Service that names the pool's members is empty or can't be read.",
        fixes: [
            "Check the list, DNS name or Service that names the pool's members",
            "Start a BuildKit daemon there",
        ],
    }
    PLATFORM = "build-pool/platform" {
        title: "Build failed: NoDaemonForPlatform",
        meaning: "No daemon of the pool builds for one of the requested platforms.",
        fixes: [
            "Add a daemon on such a machine to the pool",
            "Install emulation (qemu and binfmt_misc) beside a daemon of the pool",
        ],
    }
    NO_REGISTRY_CLIENT = "build-pool/no-registry-client" {
        title: "Build failed: NoRegistryClient",
        meaning: "Each platform can be built on its own daemon, but the pool has no registry client to join the images.",
        fixes: ["Give the pool a registry client: PoolOptions::registry(Arc::new(pipeops_registry::Registries::default()))"],
    }
    NAME_UNKNOWN = "build-pool/name-unknown" {
        title: "Build failed: PoolNameUnknown",
        meaning: "The DNS name of the pool's members has no address.",
        fixes: [
            "Check the name",
            "In Kubernetes, write it as SERVICE.NAMESPACE.svc and make the Service headless (clusterIP: None)",
        ],
    }
    SERVICE_UNREADABLE = "build-pool/service-unreadable" {
        title: "Build failed: PoolServiceUnreadable",
        meaning: "The Kubernetes API doesn't list the pods behind the pool's Service.",
        fixes: [
            "Give the account a Role with the verbs list and watch on endpointslices (discovery.k8s.io)",
            "Check that the API server can be reached",
        ],
    }
}
