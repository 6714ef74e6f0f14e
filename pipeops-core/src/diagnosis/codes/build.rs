//! Causes of failed builds: requests, instructions, daemons, registries.

pages! {
    INVALID_ADDRESS = "build/invalid-address" {
        title: "Build failed: InvalidAddress",
        meaning: "The address of the BuildKit daemon is neither unix:///PATH nor tcp://HOST:PORT.",
        fixes: ["Use the form unix:///run/buildkit/buildkitd.sock or tcp://host:1234"],
    }
    DAEMON_UNREACHABLE = "build/daemon-unreachable" {
        title: "Build failed: DaemonUnreachable",
        meaning: "No BuildKit daemon answered at its address in time, or its certificates don't fit.",
        fixes: [
            "Start buildkitd, and let it listen at this address",
            "Set BUILDKIT_HOST to where it listens",
        ],
    }
    DAEMON_LOST = "build/daemon-lost" {
        title: "Build failed: DaemonLost",
        meaning: "The connection to the BuildKit daemon broke during the build, or the daemon went silent.",
        fixes: [
            "Build again; finished steps come from the daemon's cache",
            "Check the daemon's log: an out-of-memory kill is the likeliest cause",
        ],
    }
    SESSION_REFUSED = "build/session-refused" {
        title: "Build failed: SessionRefused",
        meaning: "The BuildKit daemon did not open the session through which it reads the build context.",
        fixes: ["Build again; give buildkitd more CPU if it happens often"],
    }
    SESSION_LOST = "build/session-lost" {
        title: "Build failed: SessionLost",
        meaning: "The BuildKit daemon lost the session through which it reads the build context.",
        fixes: ["Build again; give buildkitd more CPU if it happens often"],
    }
    CALL_REFUSED = "build/call-refused" {
        title: "Build failed: CallRefused",
        meaning: "The BuildKit daemon refused a call of its API, or answered it in an unknown form.",
        fixes: ["Check that the daemon is BuildKit v0.13 or newer"],
    }
    TIMEOUT = "build/timeout" {
        title: "Build failed: Timeout",
        meaning: "The build, or a call to the daemon, reached its time limit.",
        fixes: [
            "Look at the last lines of the log for a step that hangs",
            "Raise the build's time limit if the build needs longer",
        ],
    }
    CANCELLED = "build/cancelled" {
        title: "Build failed: Cancelled",
        meaning: "The build was cancelled at the BuildKit daemon, or the daemon was stopped.",
        fixes: ["Build again"],
    }
    INVALID_REQUEST = "build/invalid-request" {
        title: "Build failed: InvalidRequest",
        meaning: "An option of the build is invalid, whichever daemon builds it.",
        fixes: ["Correct this option in the build's configuration"],
    }
    DOCKERFILE_MISSING = "build/dockerfile-missing" {
        title: "Build failed: DockerfileMissing",
        meaning: "The build context has no file at the Dockerfile's path.",
        fixes: [
            "Add the file to the repository, or set the project's Dockerfile path",
            "If the repository has no Dockerfile, generate one",
        ],
    }
    INVALID_DOCKERFILE = "build/invalid-dockerfile" {
        title: "Build failed: InvalidDockerfile",
        meaning: "BuildKit can't parse the Dockerfile, or one of its instructions is invalid.",
        fixes: ["Correct the marked line of the Dockerfile"],
    }
    FILE_MISSING = "build/file-missing" {
        title: "Build failed: FileMissing",
        meaning: "A file that an instruction copies is not in the build context, or .dockerignore excludes it.",
        fixes: [
            "Check the path: it is relative to the context's root, not to the Dockerfile's folder",
            "Check that the file is committed, and that no pattern of .dockerignore matches it",
        ],
    }
    SECRET_MISSING = "build/secret-missing" {
        title: "Build failed: SecretMissing",
        meaning: "A step requires a build secret that the build doesn't have.",
        fixes: ["Add a build secret with this id"],
    }
    BASE_IMAGE_MISSING = "build/base-image-missing" {
        title: "Build failed: BaseImageMissing",
        meaning: "The registry has no such base image, or doesn't show it with this credential.",
        fixes: [
            "Check the image's name and tag after FROM",
            "If it is private, add a credential for its registry",
        ],
    }
    INSTRUCTION = "build/instruction" {
        title: "Build failed: InstructionFailed",
        meaning: "A command of the Dockerfile ended with an error.",
        fixes: [
            "Read the command's last output: it says why",
            "Run the same command on your machine, or in the image of the step before it",
        ],
    }
    OUT_OF_MEMORY = "build/out-of-memory" {
        title: "Build failed: OutOfMemory",
        meaning: "A command of the Dockerfile was killed because it needed more memory than the daemon has.",
        fixes: [
            "Give buildkitd more memory",
            "Make the command use less: fewer parallel jobs, a smaller heap (for Node.js NODE_OPTIONS=--max-old-space-size)",
        ],
    }
    FOREIGN_PLATFORM = "build/foreign-platform" {
        title: "Build failed: ForeignPlatform",
        meaning: "A command of the Dockerfile is a program for another processor than the daemon's.",
        fixes: [
            "Build for the daemon's platform, or use a base image that has this one",
            "Let the daemon's machine emulate it (qemu and binfmt_misc)",
        ],
    }
    DISK_FULL = "build/disk-full" {
        title: "Build failed: DiskFull",
        meaning: "The daemon, or a command of the build, met a full disk.",
        fixes: [
            "Free space with buildctl prune, and set the daemon's gc policy so that it frees space itself",
            "Give the daemon a larger disk",
        ],
    }
    CONTENT_DAMAGED = "build/content-damaged" {
        title: "Build failed: ContentDamaged",
        meaning: "A part of an image or cache doesn't match its digest. The daemon may keep it and fail again.",
        fixes: [
            "Build on another daemon, or run buildctl prune --all on this one",
            "If every daemon fails, push the base image again: its registry keeps the damaged part",
        ],
    }
    CONTEXT_UNREADABLE = "build/context-unreadable" {
        title: "Build failed: ContextUnreadable",
        meaning: "The user that runs the build can't read a file of the build context.",
        fixes: ["Make the file readable, or list it in .dockerignore"],
    }
    CONTEXT_CHANGED = "build/context-changed" {
        title: "Build failed: ContextChanged",
        meaning: "Another program wrote a file of the build context while the build read it.",
        fixes: [
            "List the file in .dockerignore if the image doesn't need it",
            "Build again when no program writes into the folder",
        ],
    }
    CERTIFICATE_UNREADABLE = "build/certificate-unreadable" {
        title: "Build failed: CertificateUnreadable",
        meaning: "A file with the client's certificate, its key or the daemon's authority is missing or unreadable.",
        fixes: ["Put ca.pem, cert.pem and key.pem where they are expected, readable by this user"],
    }
    OUTPUT_NOT_WRITTEN = "build/output-not-written" {
        title: "Build failed: OutputNotWritten",
        meaning: "The build succeeded, but this machine can't write its result.",
        fixes: ["Make the path writable, with enough free space on its disk"],
    }
    NO_DIGEST = "build/no-digest" {
        title: "Build failed: NoDigest",
        meaning: "The daemon pushed an image but didn't report its digest.",
        fixes: ["Use BuildKit v0.13 or newer"],
    }
    NO_RANDOMNESS = "build/no-randomness" {
        title: "Build failed: NoRandomness",
        meaning: "The operating system gave no random numbers, which the build needs for its id.",
        fixes: ["Build again, and check that no security profile blocks getrandom"],
    }
    NETWORK = "build/network-unreachable" {
        title: "Build failed: NetworkUnreachable",
        meaning: "The daemon, or a step of the build, can't reach a server.",
        fixes: ["Check the server's name, and that the daemon's network can reach it"],
    }
    CREDENTIAL_UNAVAILABLE = "build/credential-unavailable" {
        title: "Build failed: CredentialUnavailable",
        meaning: "The credential provider, or the registry's token server, gave no credential for the build.",
        fixes: [
            "Verify the registry's credentials",
            "Check the credential helper or cloud account behind this registry",
            "If the token server is down, build again in a few minutes",
        ],
    }
    FOREIGN_TOKEN_SERVER = "build/foreign-token-server" {
        title: "Build failed: ForeignTokenServer",
        meaning: "The registry names a token server on another host, to which credentials aren't sent.",
        fixes: [
            "If it is this registry's own token server, name its host as trusted in the builder's options",
            "Check the registry's name for a typing error",
        ],
    }
    REGISTRY_AUTH = "build/registry-auth" {
        title: "Build failed: Unauthorized",
        meaning: "A registry refused the build's credential, or requires one.",
        fixes: [
            "Verify the registry's credentials",
            "Check that the token has not expired and may write packages",
        ],
    }
    REGISTRY_DENIED = "build/registry-denied" {
        title: "Build failed: Denied",
        meaning: "A registry accepted the credential, but the account isn't permitted to push or pull here.",
        fixes: [
            "Give the account the right to push to this repository",
            "Check the repository's name for a typing error",
        ],
    }
    REGISTRY_RATE_LIMITED = "build/registry-rate-limited" {
        title: "Build failed: RateLimited",
        meaning: "A registry throttles requests of this client.",
        fixes: [
            "Wait some minutes, then build again",
            "Log in: anonymous clients have lower limits",
            "Let the daemon pull base images through a mirror",
        ],
    }
    REPOSITORY_MISSING = "build/repository-missing" {
        title: "Build failed: RepositoryMissing",
        meaning: "The repository doesn't exist, and the registry doesn't create it on push.",
        fixes: ["Create the repository, then build again"],
    }
    TAG_IMMUTABLE = "build/tag-immutable" {
        title: "Build failed: TagImmutable",
        meaning: "The tag exists, and the registry doesn't allow it to change.",
        fixes: ["Deploy the existing image, or push under another tag"],
    }
    REGISTRY_DOWN = "build/registry-down" {
        title: "Build failed: RegistryDown",
        meaning: "A registry answered with a server error (HTTP 500 or above).",
        fixes: ["Build again in a few minutes"],
    }
    BUILD_ERROR = "build/unknown" {
        title: "Build failed: BuildError",
        meaning: "The build failed with an error that PipeOps doesn't know.",
        fixes: ["Check the daemon's log"],
    }
}
