//! Causes of failed logins, pulls and pushes.

pages! {
    INVALID_IMAGE_NAME = "registry/invalid-image-name" {
        title: "Invalid image name: InvalidImageName",
        meaning: "The text isn't a valid image name.",
        fixes: ["Write the image as host/path:tag in lower case, for example registry.example.com/team/app:v1"],
    }

    LOGIN_MISSING = "registry/login-missing" {
        title: "Registry login failed: Unauthorized",
        meaning: "The registry requires a login, and PipeOps has no credentials for it.",
        fixes: ["Add credentials for the registry"],
    }

    LOGIN_REFUSED = "registry/login-refused" {
        title: "Registry login failed: Unauthorized",
        meaning: "The registry or its token server rejected PipeOps' credentials.",
        fixes: [
            "Verify the registry's credentials",
            "Check that the token hasn't expired or been revoked",
        ],
    }

    HELPER_UNSUPPORTED = "registry/helper-unsupported" {
        title: "Registry login failed: HelperUnsupported",
        meaning: "The docker configuration keeps the login in a credential helper. PipeOps doesn't run credential helpers.",
        fixes: ["Add the user name and a token directly"],
    }

    FOREIGN_HOST = "registry/foreign-host" {
        title: "Registry login failed: ForeignHost",
        meaning: "The registry named a token server or a storage host that doesn't belong to it. PipeOps sends credentials only to hosts of the registry's own domain and to hosts that are trusted explicitly.",
        fixes: [
            "Check the registry's host name",
            "If the host is right, add it to the trusted hosts of this registry",
        ],
    }

    DENIED = "registry/denied" {
        title: "Registry access failed: Denied",
        meaning: "The registry accepted the login but denied the action. Many registries also deny access to repositories that don't exist.",
        fixes: [
            "Grant the user or token access to the repository",
            "Check the repository's name: it may not exist",
        ],
    }

    REPOSITORY_MISSING = "registry/repository-missing" {
        title: "Registry access failed: NameUnknown",
        meaning: "The registry has no such repository, and doesn't create repositories on push.",
        fixes: [
            "Create the repository in the registry",
            "Check the repository's name",
        ],
    }

    RATE_LIMITED = "registry/rate-limited" {
        title: "Registry access failed: RateLimited",
        meaning: "The registry rejected requests because there were too many in a short time. PipeOps waited and retried without success.",
        fixes: [
            "Wait until the limit is lifted",
            "Log in: anonymous users have lower limits",
        ],
    }

    UNAVAILABLE = "registry/unavailable" {
        title: "Registry access failed: Unavailable",
        meaning: "The registry returned a server error. PipeOps retried without success.",
        fixes: [
            "Try again later",
            "Check the registry's status page or its logs",
        ],
    }

    UNREACHABLE = "registry/unreachable" {
        title: "Registry access failed: Unreachable",
        meaning: "PipeOps couldn't connect to the registry, or the connection was cut.",
        fixes: [
            "Check the registry's host name and port",
            "Check that the registry is running and that no firewall blocks the connection",
        ],
    }

    TIMEOUT = "registry/timeout" {
        title: "Registry access failed: Timeout",
        meaning: "The registry accepted the connection but didn't respond in time.",
        fixes: ["Check the network between PipeOps and the registry"],
    }

    TLS = "registry/tls" {
        title: "Registry access failed: Tls",
        meaning: "The TLS connection failed. Usually the registry's certificate is self-signed, expired or issued for another name.",
        fixes: [
            "Check that the registry presents a valid certificate for its name",
            "Trust the registry's certificate authority",
        ],
    }

    IMAGE_MISSING = "registry/image-missing" {
        title: "Image missing: NotFound",
        meaning: "The registry has the repository, but no image with this tag or digest.",
        fixes: [
            "Check the image's name, tag and digest",
            "Build and push it again",
        ],
    }

    TAG_IMMUTABLE = "registry/tag-immutable" {
        title: "Push refused: ImmutableTag",
        meaning: "The tag already names an image, and the repository's settings forbid moving tags.",
        fixes: [
            "Deploy the image that this tag already names",
            "Allow tags to move in the repository's settings",
        ],
    }

    INVALID_IMAGE = "registry/invalid-image" {
        title: "Invalid image name: InvalidImage",
        meaning: "The name of the image can't be used for this action, for example because it has no tag.",
        fixes: ["Write the image as host/path:tag or host/path@sha256:…"],
    }

    INVALID_CONFIGURATION = "registry/invalid-configuration" {
        title: "Registry configuration failed: InvalidConfiguration",
        meaning: "A docker configuration, a pull secret or an option of the registry client can't be read.",
        fixes: ["Correct the file or option that the message names"],
    }

    BAD_ANSWER = "registry/bad-answer" {
        title: "Registry access failed: BadAnswer",
        meaning: "The response doesn't follow the OCI distribution specification, is too large, or has the wrong digest.",
        fixes: ["Check that the host is a container registry and that no proxy responds in its place"],
    }
}
