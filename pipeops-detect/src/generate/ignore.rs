//! The `.dockerignore` of a generated Dockerfile.

use super::app::App;
use crate::Language;

/// What no image needs, whatever the language.
const ALWAYS: &[&str] = &[
    ".git",
    ".github",
    ".gitlab",
    ".gitignore",
    ".gitattributes",
    ".idea",
    ".vscode",
    ".DS_Store",
    "**/*.log",
    "# Settings of developers' machines, with secrets in them.",
    "**/.env",
    "**/.env.*",
    "!**/.env.example",
    "Dockerfile",
    ".dockerignore",
];

/// The tree's own file, or one for the language.
pub(crate) fn text(app: &App<'_>) -> String {
    if let Some(own) = app.folder.text(".dockerignore") {
        return own;
    }
    let language: &[&str] = match app.language {
        Language::Nodejs => &["**/node_modules", ".next", ".nuxt", ".output", "coverage"],
        Language::Python => &[
            "**/__pycache__",
            "**/*.pyc",
            ".venv",
            "venv",
            ".pytest_cache",
            ".mypy_cache",
            ".ruff_cache",
            ".tox",
        ],
        Language::Scala => &["**/target", "**/.bsp", "**/.metals", "**/.bloop", "out"],
        Language::Clojure => &[
            "target",
            ".cpcache",
            "**/.cljs_node_repl",
            "**/node_modules",
        ],
        Language::Elixir => &[
            "_build",
            "deps",
            "cover",
            "**/node_modules",
            "priv/static/assets",
        ],
        Language::Java => &["target", "build", ".gradle"],
        Language::Rust => &["target"],
        Language::Ruby => &[".bundle", "vendor/bundle", "log/*", "tmp/*", "node_modules"],
        // Symfony's own `.env` holds defaults, is committed, and must be there; the others are the developer's.
        Language::Php if app.framework() == "symfony" => {
            &["vendor", "node_modules", "var", "!.env"]
        }
        Language::Php => &["vendor", "node_modules"],
        Language::Dotnet => &["**/bin", "**/obj"],
        // `vendor` of Go is part of the sources.
        _ => &["**/node_modules"],
    };
    let mut lines: Vec<&str> = ALWAYS.to_vec();
    lines.extend(language);
    lines.join("\n") + "\n"
}
