//! Causes in the configuration of projects.

pages! {
    INCOMPLETE = "project/incomplete" {
        title: "Deployment refused: ProjectIncomplete",
        meaning: "A deployment needs a repository, a webhook secret, an image name and an environment with a branch and a cluster that the service knows. The error names what is missing.",
        fixes: ["Add the missing settings to the project"],
    }
    INVALID_NAME = "project/invalid-name" {
        title: "Invalid configuration: InvalidName",
        meaning: "Names of projects and environments become names and labels of Kubernetes objects: up to 53 lower-case letters, digits and dashes, beginning with a letter.",
        fixes: ["Choose another name, such as my-app"],
    }
    INVALID_GIT_NAME = "project/invalid-git-name" {
        title: "Invalid name: InvalidGitName",
        meaning: "A ref must be a branch or tag that git accepts. A repository's URL must use https (or http on loopback) and hold no credentials.",
        fixes: ["Correct the name and send it again"],
    }
}
