//! Causes of failed clones.

pages! {
    COMMIT_NOT_FOUND = "clone/commit-not-found" {
        title: "Deployment failed: CommitNotFound",
        meaning: "The repository exists, but the server does not have the commit or does not offer it. Usually the branch was rewritten or deleted after the push.",
        fixes: [
            "Push the commit again, or deploy the commit that the branch has now",
            "Check that the webhook belongs to the project's repository",
        ],
    }
    LOGIN_NEEDED = "clone/login-needed" {
        title: "Deployment failed: GitLoginRefused",
        meaning: "The git server asks for a login, and the project has none.",
        fixes: [
            "Set a git login in the project: user name and an access token that can read the repository",
        ],
    }
    LOGIN_REFUSED = "clone/login-refused" {
        title: "Deployment failed: GitLoginRefused",
        meaning: "The git server answered the project's user name and token with an authentication error.",
        fixes: [
            "Make a new access token in the forge and set it as the project's git login",
            "Check that the token may read this repository and has not expired",
        ],
    }
    REPOSITORY_NOT_FOUND = "clone/repository-not-found" {
        title: "Deployment failed: RepositoryNotFound",
        meaning: "The git server says that the repository does not exist. Many forges give the same answer when a login cannot read it.",
        fixes: [
            "Check the repository's URL in the project",
            "Check that the project's git login may read it",
        ],
    }
    UNREACHABLE = "clone/unreachable" {
        title: "Deployment failed: GitUnreachable",
        meaning: "The git server did not answer, answered that it is unavailable, or cut the connection.",
        fixes: [
            "Check that this machine can reach the forge",
            "Deploy again once the forge answers",
        ],
    }
    TOO_LARGE = "clone/too-large" {
        title: "Deployment failed: RepositoryTooLarge",
        meaning: "The commit has more bytes or files than the clone's limits allow.",
        fixes: [
            "Take large files out of the repository, for example with Git LFS",
            "Raise the clone's limits in the runner's options",
        ],
    }
    TIMEOUT = "clone/timeout" {
        title: "Deployment failed: CloneTimeout",
        meaning: "The clone did not end within its time limit: the server is slow, or the repository is large.",
        fixes: [
            "Deploy again",
            "Raise the clone's time limit in the runner's options",
        ],
    }
    WRITE = "clone/write" {
        title: "Deployment failed: WorkspaceError",
        meaning: "The file system of the workspaces refused a file of the commit.",
        fixes: [
            "Check that the disk of the workspaces is not full",
            "Rename files that this machine's file system cannot hold",
        ],
    }
    PROTOCOL = "clone/protocol" {
        title: "Deployment failed: GitProtocolError",
        meaning: "The server answered something that the git protocol does not allow here.",
        fixes: ["Check that the URL is a git repository that is served over https"],
    }
}
