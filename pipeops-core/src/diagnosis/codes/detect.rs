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
    INCOMPLETE = "detect/incomplete" {
        title: "Build failed: IncompleteRepository",
        meaning: "The app's own build needs something that the repository lacks, or can't read something in it.",
        fixes: [
            "Commit what is missing",
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
    START_COMMAND = "detect/start-command" {
        title: "Build failed: StartCommand",
        meaning: "The start command, usually of a Procfile, calls a program that the generated image doesn't have.",
        fixes: [
            "Change the command in the Procfile to one that runs the built app itself, such as `node server.js` or `./bin/api`",
            "Or remove the line `web:`, if the detected start command is right",
            "Or add a Dockerfile to the repository: PipeOps builds it as it is",
        ],
    }
    BUILD_SETTINGS = "detect/build-settings" {
        title: "Build failed: BuildSettings",
        meaning: "Files of the app read settings such as passwords while the app is built. The values would stay in the image, where everybody who can pull it can read them.",
        fixes: [
            "Read the settings when the app starts: in Elixir, move them to `config/runtime.exs`",
            "Or add a Dockerfile to the repository: PipeOps builds it as it is",
        ],
    }
}
