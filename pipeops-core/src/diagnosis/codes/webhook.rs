//! Causes of refused webhooks.

pages! {
    UNKNOWN_FORGE = "webhook/unknown-forge" {
        title: "Webhook refused: InvalidSignature",
        meaning: "The request has no webhook headers of GitHub, GitLab, Gitea, Forgejo or Bitbucket.",
        fixes: ["Send the forge's own webhook to this address, not a request by hand"],
    }
    EMPTY_SECRET = "webhook/empty-secret" {
        title: "Webhook refused: InvalidSignature",
        meaning: "The project's webhook secret is empty, so anybody could sign a webhook.",
        fixes: ["Set a webhook secret in the project and the same one in the forge"],
    }
    UNSIGNED = "webhook/unsigned" {
        title: "Webhook refused: InvalidSignature",
        meaning: "A header that the signature needs is missing. Usually the webhook has no secret in the forge.",
        fixes: ["Set the project's webhook secret in the forge's webhook settings"],
    }
    MALFORMED_HEADER = "webhook/malformed-header" {
        title: "Webhook refused: InvalidSignature",
        meaning: "A header is there twice, is too long or has the wrong form. Usually a proxy between forge and server rewrites headers.",
        fixes: ["Let the forge reach this server without a proxy that rewrites headers"],
    }
    WRONG_SIGNATURE = "webhook/wrong-signature" {
        title: "Webhook refused: InvalidSignature",
        meaning: "The webhook was signed with another secret, or its body was changed in transit.",
        fixes: [
            "Set the same secret in the forge's webhook settings and in the project",
            "Let no proxy change the request's body",
        ],
    }
    STALE = "webhook/stale" {
        title: "Webhook refused: InvalidSignature",
        meaning: "The webhook carries the time of its signature, and that differs from this machine's clock by more than five minutes.",
        fixes: [
            "Set this machine's clock by NTP",
            "Send the webhook again from the forge",
        ],
    }
    NOT_A_SIGNING_KEY = "webhook/not-a-signing-key" {
        title: "Webhook refused: InvalidSignature",
        meaning: "The forge signs with a key of the form whsec_…, and the project's webhook secret has another form.",
        fixes: ["Copy the signing key from the webhook's settings in GitLab into the project"],
    }
    INVALID_PAYLOAD = "webhook/invalid-payload" {
        title: "Webhook refused: InvalidPayload",
        meaning: "The signature is right, but the body is not what this forge sends for this event.",
        fixes: [
            "Set the webhook's content type to application/json in the forge",
            "Let the webhook send push events only",
        ],
    }
    UNKNOWN_PROJECT = "webhook/unknown-project" {
        title: "Webhook refused: UnknownProject",
        meaning: "The last part of the webhook's address is the project's name, and no project has this name.",
        fixes: [
            "Correct the last part of the webhook's address",
            "Or create the project",
        ],
    }
    WRONG_REPOSITORY = "webhook/wrong-repository" {
        title: "Webhook refused: WrongRepository",
        meaning: "The signature is right, but the pushed repository is not the project's.",
        fixes: [
            "Remove the webhook from that repository",
            "Or set the project's repository to it",
        ],
    }
    BODY_TOO_LARGE = "webhook/body-too-large" {
        title: "Webhook refused: BodyTooLarge",
        meaning: "The body exceeds the server's limit. A push of many commits or files has a long body.",
        fixes: [
            "Push fewer commits at once",
            "Or raise the body limit in the server's options",
        ],
    }
    BODY_TIMEOUT = "webhook/body-timeout" {
        title: "Webhook refused: BodyTimeout",
        meaning: "The sender did not finish the body within the server's time limit.",
        fixes: ["Send the webhook again"],
    }
    BODY_CUT = "webhook/body-cut" {
        title: "Webhook refused: BodyCut",
        meaning: "The connection ended before the body was complete.",
        fixes: ["Send the webhook again"],
    }
}
