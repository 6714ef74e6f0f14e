//! Causes of failed deployments in the pipeline itself: workspace, plan, step limits, runners.

pages! {
    RUNNER_LOST = "deployment/runner-lost" {
        title: "Deployment failed: RunnerLost",
        meaning: "Each runner that claimed the deployment was killed or lost its connection to the database before the end.",
        fixes: [
            "Look at the runners' own logs: running out of memory is the usual cause",
            "Deploy the commit again",
        ],
    }
    INTERNAL = "deployment/internal-error" {
        title: "Deployment failed: InternalError",
        meaning: "A step panicked. That is a defect of PipeOps or of a part that is plugged into it.",
        fixes: ["Report it with the deployment's log"],
    }
    STEP_TIMEOUT = "deployment/step-timeout" {
        title: "Deployment failed: StepTimeout",
        meaning: "The step did not end within its limit: it hangs, or the limit is too short.",
        fixes: [
            "Look at the last lines of the log for what it waited for",
            "Raise the step's limit in the runner's options",
        ],
    }
    WORKSPACE = "deployment/workspace" {
        title: "Deployment failed: WorkspaceError",
        meaning: "The folder for workspaces, or the source in it, cannot be read or written.",
        fixes: [
            "Check that the folder of workspaces can be written and that its disk is not full",
        ],
    }
    FOLDER_NOT_FOUND = "deployment/folder-not-found" {
        title: "Build failed: FolderNotFound",
        meaning: "The project names a folder that the commit does not have, or that is a link out of the repository.",
        fixes: ["Correct the app's folder"],
    }
    DOCKERFILE_NOT_FOUND = "deployment/dockerfile-not-found" {
        title: "Build failed: DockerfileNotFound",
        meaning: "The commit has no usable Dockerfile at the path that the project names.",
        fixes: [
            "Commit a Dockerfile at this path",
            "Or remove the Dockerfile from the settings: PipeOps generates one",
        ],
    }
    NO_LANGUAGE = "deployment/no-language" {
        title: "Build failed: NoLanguageDetected",
        meaning: "The app's folder has no Dockerfile and no file by which PipeOps detects a language.",
        fixes: [
            "Set the app's folder, if it is not the root of the repository",
            "Set the language",
            "Commit a Dockerfile",
        ],
    }
    SEVERAL_APPS = "deployment/several-apps" {
        title: "Build failed: SeveralApps",
        meaning: "PipeOps found several apps, and nothing says which one to deploy.",
        fixes: [
            "Set the app's folder to one of them, with `--path` on the command line",
            "Set the language, if they differ in it",
            "Commit a Dockerfile",
        ],
    }
    INVALID_APP = "deployment/invalid-app" {
        title: "Deployment failed: InvalidApp",
        meaning: "The environment overrides settings of the app by their JSON names, and one does not exist or has another type.",
        fixes: ["Correct the environment's overrides"],
    }
    NO_FETCHER = "deployment/no-source-fetcher" {
        title: "Start failed: NoSourceFetcher",
        meaning: "PipeOps was compiled without git, and the embedding program sets no source fetcher.",
        fixes: [
            "Enable the feature `git` of pipeops-runner",
            "Or set a fetcher: ServiceBuilder::fetcher",
        ],
    }
}
