//! Classifies the commands of scripts: they build, serve files, watch sources, or run the app.

use super::command::{ScriptCommand, split};

/// What a command does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Runs the app.
    Run,
    /// Serves sources to their developer, or runs on a developer's machine or on another platform only.
    Develop,
    /// Runs this file and starts it again when sources change.
    Watch(String),
    /// Serves built files; where they are, if it says so.
    ServeFiles(Option<String>),
    /// Builds, checks or prepares something, and ends.
    Build,
}

/// A program, and its commands that build, that serve what was built, and that run it.
type Several = (
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
    &'static [&'static str],
);

/// Programs that know several commands: those that build, those that serve what was built, those that run it. Each other
/// command is for developers.
// One line per program.
#[rustfmt::skip]
const SEVERAL: &[Several] = &[
    ("astro", &["build", "check", "sync"], &["preview"], &[]),
    ("blitz", &["build", "codegen", "prisma"], &[], &["start"]),
    ("craco", &["build"], &[], &[]),
    ("docusaurus", &["build"], &["serve"], &[]),
    ("ember", &["build", "b"], &[], &[]),
    ("expo", &["export", "export:web", "prebuild"], &["serve"], &[]),
    ("expo-cli", &["build:web"], &[], &[]),
    ("farm", &["build"], &["preview"], &[]),
    ("gatsby", &["build"], &["serve"], &[]),
    ("hexo", &["generate", "g"], &[], &[]),
    ("next", &["build", "export", "lint"], &[], &["start"]),
    ("ng", &["build", "b"], &[], &["run"]),
    ("nuxi", &["build", "generate", "prepare"], &[], &["preview", "start"]),
    ("nuxt", &["build", "generate", "prepare"], &[], &["preview", "start"]),
    ("nuxt-ts", &["build", "generate"], &[], &["start"]),
    ("parcel", &["build"], &[], &[]),
    ("preact", &["build"], &["serve"], &[]),
    ("quasar", &["build"], &["serve"], &[]),
    ("react-app-rewired", &["build"], &[], &[]),
    ("react-router", &["build", "typegen"], &[], &[]),
    ("react-scripts", &["build"], &[], &[]),
    ("remix", &["build", "vite:build"], &[], &["start"]),
    ("rsbuild", &["build"], &["preview"], &[]),
    ("slidev", &["build"], &[], &[]),
    ("snowpack", &["build"], &[], &[]),
    ("stencil", &["build"], &[], &[]),
    ("svelte-kit", &["build", "sync", "package"], &["preview"], &[]),
    ("vinxi", &["build"], &[], &["start"]),
    ("vite", &["build", "optimize"], &["preview"], &[]),
    ("vitepress", &["build"], &["preview", "serve"], &[]),
    ("vue-cli-service", &["build", "lint"], &[], &[]),
    ("vuepress", &["build"], &[], &[]),
];

/// Programs that start a file again when it changes.
const WATCHERS: &[&str] = &["node-dev", "nodemon", "supervisor", "ts-node-dev", "tsnd"];

/// Programs that run on a developer's machine, on a phone, on another platform, or in another language.
const ELSEWHERE: &[&str] = &[
    "amplify",
    "browser-sync",
    "bundle",
    "cap",
    "cargo",
    "cordova",
    "docker",
    "docker-compose",
    "dotnet",
    "electron",
    "electron-forge",
    "firebase",
    "flask",
    "go",
    "gradle",
    "gradlew",
    "gunicorn",
    "hugo",
    "ionic",
    "java",
    "jekyll",
    "lite-server",
    "live-server",
    "meteor",
    "mix",
    "mvn",
    "mvnw",
    "netlify",
    "now",
    "parcel-bundler",
    "php",
    "pipenv",
    "plasmo",
    "poetry",
    "python",
    "python3",
    "rails",
    "react-native",
    "ruby",
    "serverless",
    "sls",
    "sst",
    "start-storybook",
    "storybook",
    "tauri",
    "uv",
    "uvicorn",
    "vercel",
    "web-ext",
    "webpack-dev-server",
    "wrangler",
];

/// Programs that build, check or prepare, and end.
const BUILDERS: &[&str] = &[
    "babel",
    "biome",
    "copyfiles",
    "cp",
    "cpx",
    "cypress",
    "del-cli",
    "drizzle-kit",
    "echo",
    "eleventy",
    "esbuild",
    "eslint",
    "graphql-codegen",
    "grunt",
    "gulp",
    "husky",
    "jest",
    "knex",
    "lessc",
    "lint-staged",
    "microbundle",
    "mkdir",
    "mocha",
    "mv",
    "ncc",
    "parcel-build",
    "pkgroll",
    "postcss",
    "prettier",
    "prisma",
    "rimraf",
    "rm",
    "rollup",
    "rspack",
    "sass",
    "sequelize",
    "sequelize-cli",
    "shx",
    "spago",
    "swc",
    "tailwindcss",
    "tailwind",
    "tsc",
    "tsc-alias",
    "tsdown",
    "tsup",
    "ttsc",
    "tspc",
    "typeorm",
    "unbuild",
    "vitest",
    "vue-tsc",
    "webpack",
    "webpack-cli",
    "svelte-check",
];

/// Programs that serve a folder.
const FILE_SERVERS: &[&str] = &[
    "http-server",
    "serve",
    "sirv",
    "static-server",
    "local-web-server",
    "ws",
];

/// What a command does.
pub(crate) fn kind(command: &ScriptCommand) -> Kind {
    let program = command.program();
    let watches = ["--watch", "-w", "--serve", "watch", "serve"]
        .iter()
        .any(|word| command.has(word));
    if let Some((_, builds, serves, runs)) = SEVERAL.iter().find(|(name, ..)| *name == program) {
        let word = command.operand().unwrap_or_default();
        return match word {
            _ if builds.contains(&word) => Kind::Build,
            _ if serves.contains(&word) => Kind::ServeFiles(None),
            _ if runs.contains(&word) => Kind::Run,
            _ => Kind::Develop,
        };
    }
    match program {
        "nest" if command.argument(0) == "build" => Kind::Build,
        "nest" => Kind::Watch(String::new()),
        "tsx" | "bun" | "node" | "deno"
            if ["watch", "--watch", "--hot"]
                .iter()
                .any(|word| command.has(word)) =>
        {
            let file = command.words.iter().skip(1).find(|word| is_program(word));
            Kind::Watch(file.cloned().unwrap_or_default())
        }
        "bun" if command.argument(0) == "build" => Kind::Build,
        _ if WATCHERS.contains(&program) => Kind::Watch(watched(command)),
        _ if ELSEWHERE.contains(&program) => Kind::Develop,
        _ if FILE_SERVERS.contains(&program) => Kind::ServeFiles(served(command)),
        _ if BUILDERS.contains(&program) && watches => Kind::Develop,
        _ if BUILDERS.contains(&program) => Kind::Build,
        "concurrently" | "npm-run-all" | "run-p" | "run-s"
            if command.words.iter().skip(1).any(|word| develops(word)) =>
        {
            Kind::Develop
        }
        _ => Kind::Run,
    }
}

/// Whether a command runs the package on a desktop, on a phone or on another platform.
pub(crate) fn runs_elsewhere(command: &ScriptCommand) -> bool {
    let beside = [
        "browser-sync",
        "lite-server",
        "live-server",
        "webpack-dev-server",
    ];
    let program = command.program();
    ELSEWHERE.contains(&program) && !beside.contains(&program)
}

/// Whether a quoted command is one for developers; `npm:dev` is as well, and what starts several other scripts.
fn develops(word: &str) -> bool {
    if ["npm ", "yarn ", "pnpm "]
        .iter()
        .any(|manager| word.starts_with(manager))
    {
        return true;
    }
    let names = ["dev", "watch", "client", "serve"];
    names
        .iter()
        .any(|name| word.rsplit([':', ' ']).next() == Some(name))
        || split(word)
            .iter()
            .any(|command| matches!(kind(command), Kind::Develop | Kind::Watch(_)))
}

/// The file that a watcher runs: `nodemon --exec ts-node src/a.ts`, `nodemon src/a`.
fn watched(command: &ScriptCommand) -> String {
    let words: Vec<&str> = command
        .words
        .iter()
        .skip(1)
        .flat_map(|word| word.split(' '))
        .collect();
    let file = words.iter().find(|word| is_program(word));
    let last = || words.last().filter(|word| !word.starts_with('-'));
    file.or_else(last)
        .map(|word| (*word).to_owned())
        .unwrap_or_default()
}

fn is_program(word: &str) -> bool {
    [".js", ".ts", ".mjs", ".cjs", ".mts", ".cts", ".tsx", ".jsx"]
        .iter()
        .any(|end| word.ends_with(end))
}

/// The folder that is served: `serve -l 3000 -s build`.
fn served(command: &ScriptCommand) -> Option<String> {
    let folder =
        |word: &&str| !word.starts_with('-') && !word.contains(':') && word.parse::<u16>().is_err();
    let told = command
        .option(&["-s", "--single", "-d", "--directory"])
        .filter(folder);
    let found = told.or_else(|| command.operands().find(folder));
    found.map(|word| {
        word.trim_start_matches("./")
            .trim_end_matches('/')
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_do_different_things() {
        let watch = |file: &str| Kind::Watch(file.to_owned());
        let files = |folder: &str| Kind::ServeFiles(Some(folder.to_owned()));
        for (script, expected) in [
            ("node server.js", Kind::Run),
            ("next start -p 1", Kind::Run),
            ("next", Kind::Develop),
            ("vite", Kind::Develop),
            ("vite --host", Kind::Develop),
            ("vite build", Kind::Build),
            ("vite preview", Kind::ServeFiles(None)),
            ("serve -s build -l 3000", files("build")),
            ("npx serve ./dist", files("dist")),
            ("http-server dist/web -p 80", files("dist/web")),
            ("npx http-server build -a localhost -p 5001", files("build")),
            ("http-server -a 0.0.0.0 -c 10 ./out/", files("out")),
            ("sirv public --port 5000 --host 0.0.0.0", files("public")),
            ("ws --directory dist --port 80", files("dist")),
            ("http-server -p 80 -a localhost", Kind::ServeFiles(None)),
            ("nodemon server.js", watch("server.js")),
            ("nodemon --exec 'ts-node src/a.ts'", watch("src/a.ts")),
            ("tsx watch --clear-screen=false src/a.ts", watch("src/a.ts")),
            ("tsx src/a.ts", Kind::Run),
            ("node --watch a.js", watch("a.js")),
            ("nest start --watch", watch("")),
            ("tsc -w", Kind::Develop),
            ("tsc -p .", Kind::Build),
            ("webpack serve", Kind::Develop),
            ("ng serve", Kind::Develop),
            ("electron .", Kind::Develop),
            ("concurrently \"npm:server\" \"npm:client\"", Kind::Develop),
            ("concurrently 'node a.js' 'node b.js'", Kind::Run),
            ("./start.sh", Kind::Run),
        ] {
            assert_eq!(kind(&split(script)[0]), expected, "{script}");
        }
    }
}
