//! Causes of a missing Dockerfile.

pages! {
    NO_START = "detect/no-start" {
        title: "Build failed: NoStartCommand",
        meaning: "PipeOps detects the language, but finds no start script, no Procfile and no main file with a usual name.",
        fixes: [
            "Add a Procfile with a line `web: COMMAND`",
            "Or add a Dockerfile to the repository: PipeOps builds it as it is",
        ],
    }
    NO_PROJECT = "detect/no-project" {
        title: "Build failed: NoProject",
        meaning: "The language is .NET, but the install command is not `dotnet restore PROJECT`, which says what to publish.",
        fixes: [
            "Correct the app's folder, or set the install command to `dotnet restore PROJECT`",
            "Or add a Dockerfile to the repository: PipeOps builds it as it is",
        ],
    }
}
