use crate::{BaseImages, Detection, Detector, generate};
use pipeops_core::source::MemTree;

/// A layout, the app's folder, the build context, the commands of the detection, and lines of the Dockerfile.
type Case = (
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static str,
    &'static str,
    &'static [&'static str],
);

const UV_ROOT: (&str, &str) = (
    "pyproject.toml",
    "[tool.uv.workspace]\nmembers = ['apps/*', 'libs/*']",
);
const GREETINGS: (&str, &str) = (
    "libs/greetings/pyproject.toml",
    "[project]\nname = 'greetings'\n[build-system]\nrequires = ['hatchling']",
);
const UV_API: (&str, &str) = (
    "apps/api/pyproject.toml",
    "[project]\nname = 'api'\ndependencies = ['greetings', 'flask']\n[tool.uv.sources]\ngreetings = {workspace = true}",
);
const APP: (&str, &str) = (
    "apps/api/main.py",
    "from flask import Flask\napp = Flask('x')\n",
);
const NODE_ROOT: (&str, &str) = (
    "package.json",
    r#"{"private": true, "workspaces": ["apps/*", "packages/*"]}"#,
);
const NODE_API: (&str, &str) = (
    "apps/api/package.json",
    r#"{"name": "api", "scripts": {"build": "tsc", "start": "node dist/app.js"}, "dependencies": {"types": "*"}}"#,
);
const NODE_WEB: (&str, &str) = (
    "apps/web/package.json",
    r#"{"name": "web", "scripts": {"build": "vite build"}, "devDependencies": {"vite": "7"}}"#,
);
const TYPES: (&str, &str) = (
    "packages/types/package.json",
    r#"{"name": "types", "scripts": {"build": "tsc"}, "dependencies": {"base": "*"}}"#,
);
const BASE: (&str, &str) = (
    "packages/base/package.json",
    r#"{"name": "base", "scripts": {"build": "tsc"}}"#,
);
const FLASK: &str = "from flask import Flask\napp = Flask('x')\n";
const GO_MAIN: &str = "package main\n\nfunc main() {\n\thttp.ListenAndServe(\":8080\", nil)\n}\n";
const LIBRARY: (&str, &str) = (
    "libs/greetings/pyproject.toml",
    "[project]\nname = 'greetings'",
);

// One line per layout.
#[rustfmt::skip]
const CASES: &[Case] = &[
    // Workspaces of uv.
    ("uv", &[UV_ROOT, ("uv.lock", ""), UV_API, APP, GREETINGS], "apps/api", ".",
        &["install uv sync --locked --no-dev --package api", "start cd apps/api && ", "COPY . /app", "WORKDIR /app/apps/api", "uv sync --locked --no-dev --package api --no-editable"]),
    ("uv without a lock file", &[UV_ROOT, UV_API, APP, GREETINGS], "apps/api", ".", &["uv sync --no-dev --package api"]),
    ("a workspace in a folder", &[("py/pyproject.toml", "[tool.uv.workspace]\nmembers = ['*']"), ("py/uv.lock", ""), ("py/api/pyproject.toml", "[project]\nname = 'api'"), ("py/api/main.py", FLASK)], "py/api", "py", &["uv sync --locked --no-dev --package api", "WORKDIR /app/api"]),
    ("excluded from the workspace", &[("pyproject.toml", "[tool.uv.workspace]\nmembers = ['apps/*']\nexclude = ['apps/api']"), ("uv.lock", ""), UV_API, APP], "apps/api", "apps/api", &[]),
    // Python's other tools name folders.
    ("poetry", &[("apps/api/pyproject.toml", "[tool.poetry]\nname = 'api'\n[tool.poetry.dependencies]\nflask = '*'\ngreetings = {path = \"../../libs/greetings\", develop = true}"), ("apps/api/poetry.lock", ""), APP, LIBRARY], "apps/api", ".",
        &["install cd apps/api && poetry install --only main", "COPY . /app", "WORKDIR /app/apps/api"]),
    ("pdm", &[("apps/api/pyproject.toml", "[project]\nname = 'api'\ndependencies = ['flask', 'greetings @ file:///${PROJECT_ROOT}/../../libs/greetings']"), ("apps/api/pdm.lock", ""), APP, LIBRARY], "apps/api", ".", &["COPY . /app"]),
    ("pipenv", &[("apps/api/Pipfile", "[packages]\nflask = '*'\ngreetings = {path = '../../libs/greetings', editable = true}"), ("apps/api/Pipfile.lock", "{}"), APP, LIBRARY], "apps/api", ".", &["COPY . /app"]),
    ("pip", &[("apps/api/requirements.txt", "flask\n-e ../../libs/greetings\n"), APP, LIBRARY], "apps/api", ".", &["COPY . /app", "pip install -r requirements.txt"]),
    ("a list in a folder above", &[("apps/api/requirements.txt", "-r ../common.txt\n"), ("apps/common.txt", "flask"), APP], "apps/api", "apps", &["WORKDIR /app/api"]),
    ("constraints above", &[("apps/api/requirements.txt", "flask\n-c ../../constraints.txt\n"), ("constraints.txt", "flask==3"), APP], "apps/api", ".", &["COPY . /app"]),
    ("a library of a library", &[("a/api/requirements.txt", "flask\n../lib\n"), ("a/api/main.py", FLASK), ("a/lib/pyproject.toml", "[project]\ndependencies = ['x @ file:../../b/x']"), ("b/x/pyproject.toml", "[project]")], "a/api", ".", &["WORKDIR /app/a/api"]),
    ("what is not there is not needed", &[("apps/api/requirements.txt", "flask\n# ../../libs\n"), APP, LIBRARY], "apps/api", "apps/api", &["COPY requirements.txt"]),
    // Workspaces of Node.js.
    ("npm", &[NODE_ROOT, ("package-lock.json", "{}"), NODE_API, NODE_WEB, TYPES, BASE], "apps/api", ".",
        &["install npm ci", "start cd apps/api && npm run start", "npm run build --workspace=packages/base && npm run build --workspace=packages/types && npm run build --workspace=apps/api", "WORKDIR /app/apps/api"]),
    ("yarn", &[NODE_ROOT, ("yarn.lock", "__metadata:\n"), NODE_API, TYPES, BASE], "apps/api", ".", &["install yarn install --immutable", "yarn workspace types run build && yarn workspace api run build"]),
    ("bun", &[NODE_ROOT, ("bun.lock", ""), NODE_API, TYPES, BASE], "apps/api", ".", &["install bun install --frozen-lockfile", "bun run --cwd packages/types build"]),
    ("pnpm", &[("package.json", "{}"), ("pnpm-workspace.yaml", "packages: ['apps/*', 'packages/*']"), ("pnpm-lock.yaml", ""), NODE_API, TYPES, BASE], "apps/api", ".",
        &["install pnpm install --frozen-lockfile", "build pnpm --filter ./apps/api... run build", "start cd apps/api && pnpm run start"]),
    ("files of a member", &[NODE_ROOT, ("package-lock.json", "{}"), NODE_API, NODE_WEB, TYPES, BASE], "apps/web", ".", &["output apps/web/dist", "COPY --from=build /app/apps/web/dist"]),
    ("a member with its own lock file", &[NODE_ROOT, NODE_API, TYPES, ("apps/api/package-lock.json", "{}")], "apps/api", "apps/api", &["install npm ci"]),
    ("a package by its path", &[("api/package.json", r#"{"scripts": {"start": "node a.js"}, "dependencies": {"x": "file:../lib"}}"#), ("api/a.js", ""), ("lib/package.json", "{}")], "api", ".", &["COPY . /app", "WORKDIR /app/api", "COPY --from=build /app /app"]),
    ("files of a package by its path", &[("web/package.json", r#"{"scripts": {"build": "vite build"}, "devDependencies": {"vite": "7", "x": "link:../lib"}}"#), ("lib/package.json", "{}")], "web", ".", &["output web/dist", "COPY . /app", "COPY --from=build /app/web/dist /usr/share/nginx/html"]),
    ("settings above", &[("api/package.json", r#"{"scripts": {"build": "tsc", "start": "node dist/a.js"}, "devDependencies": {"typescript": "5"}}"#), ("api/tsconfig.json", r#"{"extends": "../tsconfig.base.json"}"#), ("tsconfig.base.json", "{}")], "api", ".", &["WORKDIR /app/api"]),
    // Workspaces of Cargo.
    ("cargo", &[("Cargo.toml", "[workspace]\nmembers = ['crates/*']"), ("Cargo.lock", ""), ("crates/api/Cargo.toml", "[package]\nname = 'api'\n[dependencies]\ncore = {path = '../core'}"), ("crates/api/src/main.rs", ""), ("crates/job/Cargo.toml", "[package]\nname = 'job'"), ("crates/job/src/main.rs", ""), ("crates/core/Cargo.toml", "[package]\nname = 'core'"), ("crates/core/src/lib.rs", "")], "crates/api", ".",
        &["build cargo build --release --locked --bin api", "start ./target/release/api", "cargo build --release --locked --package api --bin api"]),
    ("a crate by its path", &[("api/Cargo.toml", "[package]\nname = 'api'\n[dependencies]\nx = { path = \"../x\" }"), ("api/Cargo.lock", ""), ("api/src/main.rs", ""), ("x/Cargo.toml", "[package]\nname = 'x'"), ("x/src/lib.rs", "")], "api", ".", &["COPY . /src", "WORKDIR /src/api", "target=/src/api/target"]),
    // Go.
    ("go.work", &[("go.work", "go 1.22\nuse (\n\t./api\n\t./lib\n\t./job\n)"), ("api/go.mod", "module x/api"), ("api/main.go", GO_MAIN), ("job/go.mod", "module x/job"), ("job/main.go", GO_MAIN), ("lib/go.mod", "module x/lib"), ("lib/a.go", "package lib")], "api", ".", &["build go build -o app ./api", "COPY lib/go.mod"]),
    ("a program of a module", &[("go.mod", "module x"), ("cmd/api/main.go", GO_MAIN), ("cmd/job/main.go", GO_MAIN)], "cmd/api", ".", &["build go build -o app ./cmd/api"]),
    ("a replaced module", &[("api/go.mod", "module x/api\nrequire x/lib v0.0.0\nreplace x/lib => ../lib"), ("api/main.go", GO_MAIN), ("lib/go.mod", "module x/lib")], "api", ".", &["COPY . /src", "WORKDIR /src/api"]),
    // Maven and Gradle.
    ("maven", &[("pom.xml", "<project><packaging>pom</packaging><modules><module>a</module><module>b</module><module>lib</module></modules></project>"), ("a/pom.xml", "<project><artifactId>a</artifactId><version>1</version></project>"), ("a/src/main/java/A.java", "public class A {\n public static void main(String[] args) {}\n}"), ("b/pom.xml", "<project><artifactId>b</artifactId><version>1</version></project>"), ("b/src/main/java/B.java", "public class B {\n public static void main(String[] args) {}\n}"), ("lib/pom.xml", "<project></project>")], "a", ".", &["package dependency:copy-dependencies -DincludeScope=runtime -DskipTests -pl a -am", "COPY lib/pom.xml"]),
    ("gradle", &[("settings.gradle", "include 'api', 'job', 'lib'"), ("api/build.gradle", "plugins { id 'application' }"), ("job/build.gradle", "plugins { id 'application' }"), ("lib/build.gradle", "plugins { id 'java-library' }")], "api", ".", &["gradle --no-daemon :api:installDist", "cp -r api/build/install/api /out"]),
    ("a parent of Maven that lists no modules", &[("parent/pom.xml", "<project><packaging>pom</packaging></project>"), ("api/pom.xml", "<project><parent><relativePath>../parent/pom.xml</relativePath></parent><artifactId>api</artifactId><version>1</version></project>"), ("api/src/main/java/A.java", "public class A {\n public static void main(String[] args) {}\n}")], "api", ".", &["COPY . /app", "WORKDIR /app/api"]),
    // .NET.
    (".NET", &[("src/Api/Api.csproj", "<Project Sdk=\"Microsoft.NET.Sdk.Web\"><TargetFramework>net8.0</TargetFramework><ProjectReference Include=\"..\\Lib\\Lib.csproj\" /></Project>"), ("src/Lib/Lib.csproj", "<Project Sdk=\"Microsoft.NET.Sdk\"></Project>")], "src/Api", "src", &["COPY . /src", "WORKDIR /src/Api", "dotnet publish Api.csproj"]),
    (".NET with central versions", &[("src/Api/Api.csproj", "<Project Sdk=\"Microsoft.NET.Sdk.Web\"><TargetFramework>net8.0</TargetFramework></Project>"), ("Directory.Packages.props", "<Project />")], "src/Api", ".", &["WORKDIR /src/src/Api"]),
    // Others that name folders.
    ("composer", &[("api/composer.json", r#"{"repositories": [{"type": "path", "url": "../packages/*"}], "require": {"shop/core": "*"}}"#), ("api/public/index.php", ""), ("packages/core/composer.json", "{}")], "api", ".", &["COPY . /"]),
    ("bundler", &[("api/Gemfile", "source 'https://rubygems.org'\ngem 'sinatra'\ngem 'core', path: '../core'"), ("api/Gemfile.lock", ""), ("api/config.ru", "run X"), ("core/core.gemspec", "")], "api", ".", &["COPY . /app", "WORKDIR /app/api"]),
    ("dart", &[("api/pubspec.yaml", "name: api\ndependencies:\n  shelf: any\n  core:\n    path: ../core"), ("api/bin/server.dart", "void main() {}"), ("core/pubspec.yaml", "name: core")], "api", ".", &["COPY . /src", "WORKDIR /src/api"]),
];

fn detected(files: &[(&str, &str)], path: &str) -> (MemTree, Detection) {
    let tree: MemTree = files.iter().copied().collect();
    let detection = Detector::new().path(path).detect(&tree);
    (tree, detection)
}

#[test]
fn what_an_app_needs_of_the_repository_is_in_its_build_context() {
    let mut wrong = Vec::new();
    for (name, files, path, context, expected) in CASES {
        let (tree, detection) = detected(files, path);
        assert_eq!(detection.path, *path, "{name}");
        if detection.build_context() != *context {
            wrong.push(format!(
                "{name}: context {}\n{detection}",
                detection.build_context()
            ));
            continue;
        }
        let dockerfile = match generate(&tree, &detection, &BaseImages::default()) {
            Ok(generated) => generated.dockerfile,
            Err(error) => {
                wrong.push(format!("{name}: {error}\n{detection}"));
                continue;
            }
        };
        let fact = |name: &str, value: &Option<String>| match value {
            Some(value) => format!("{name} {value}\n"),
            None => String::new(),
        };
        let text = fact("install", &detection.install)
            + &fact("build", &detection.build)
            + &fact("start", &detection.start)
            + &fact("output", &detection.output)
            + &dockerfile;
        for expected in *expected {
            if !text.contains(expected) {
                wrong.push(format!("{name}: no {expected:?} in\n{text}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n---\n"));
}

#[test]
fn the_app_that_is_found_below_the_root_has_the_same_context() {
    let files = [UV_ROOT, ("uv.lock", ""), UV_API, APP, GREETINGS];
    let (_, detection) = detected(&files, "");
    assert_eq!(
        (detection.path.as_str(), detection.build_context()),
        ("apps/api", "."),
        "{detection}"
    );
}

#[test]
fn a_command_of_the_user_runs_in_the_apps_folder() {
    let (tree, mut detection) = detected(
        &[UV_ROOT, ("uv.lock", ""), UV_API, APP, GREETINGS],
        "apps/api",
    );
    detection.start = Some("cd apps/api && python main.py".to_owned());
    let generated = generate(&tree, &detection, &BaseImages::default()).unwrap();
    assert!(
        generated
            .dockerfile
            .ends_with("CMD [\"python\", \"main.py\"]\n"),
        "{}",
        generated.dockerfile
    );
    assert!(generated.dockerignore.contains("**/.venv\n"));
}

#[test]
fn a_context_that_the_user_sets_is_that_of_the_app_or_none() {
    let files = [("apps/api/requirements.txt", "flask"), APP];
    let (tree, mut detection) = detected(&files, "apps/api");
    // Nothing says that more is needed: the Dockerfile is for the app's folder, whatever is sent beside it.
    detection.context = Some("elsewhere".to_owned());
    let generated = generate(&tree, &detection, &BaseImages::default()).unwrap();
    assert!(generated.dockerfile.contains("WORKDIR /app\n"));
}

#[test]
fn hostile_paths_end() {
    let deep = "../".repeat(10_000) + "x";
    let requirements =
        format!("flask\n-e {deep}\n-e ../..\n-e ../../../../etc\n-r ../requirements.txt\n");
    let files = [
        ("a/api/requirements.txt", requirements.as_str()),
        ("a/api/main.py", FLASK),
        (
            "a/requirements.txt",
            "-r api/requirements.txt\n-r ../a/requirements.txt",
        ),
    ];
    let (_, detection) = detected(&files, "a/api");
    assert_eq!(detection.build_context(), ".");
}

#[test]
fn the_apps_of_a_workspace_are_listed_with_their_starts() {
    for (files, apps, says) in [
        (
            &[NODE_ROOT, NODE_API, NODE_WEB, TYPES, BASE] as &[_],
            &["apps/api", "apps/web"] as &[&str],
            "apps/api: an app of the workspace, started by `npm run start`",
        ),
        (
            &[
                ("go.mod", "module x"),
                ("cmd/one/main.go", GO_MAIN),
                ("cmd/two/main.go", GO_MAIN),
            ],
            &["cmd/one", "cmd/two"],
            "cmd/two/main.go: a program: `go build ./cmd/two`",
        ),
        (
            &[
                ("Cargo.toml", "[workspace]\nmembers = ['a', 'b']"),
                ("a/Cargo.toml", "[package]\nname = 'one'"),
                ("a/src/main.rs", ""),
                ("b/Cargo.toml", "[package]\nname = 'two'"),
                ("b/src/main.rs", ""),
            ],
            &["a", "b"],
            "b/src/main.rs: started by `./target/release/two`",
        ),
        (
            &[
                ("settings.gradle", "include 'one', 'two'"),
                ("one/build.gradle", "plugins { id 'application' }"),
                ("two/build.gradle", "plugins { id 'application' }"),
            ],
            &["one", "two"],
            "two/build.gradle: started by `two/build/install/two/bin/two`",
        ),
        (
            &[
                (
                    "pom.xml",
                    "<project><packaging>pom</packaging><modules><module>rest-a</module><module>rest-b</module></modules></project>",
                ),
                (
                    "rest-a/pom.xml",
                    "<project><artifactId>rest-a</artifactId><artifactId>quarkus-rest</artifactId><artifactId>quarkus-maven-plugin</artifactId></project>",
                ),
                (
                    "rest-b/pom.xml",
                    "<project><artifactId>rest-b</artifactId><artifactId>quarkus-rest</artifactId><artifactId>quarkus-maven-plugin</artifactId></project>",
                ),
            ],
            &["rest-a", "rest-b"],
            "rest-a/pom.xml: started by `java -jar rest-a/target/quarkus-app/quarkus-run.jar`",
        ),
    ] {
        let (tree, detection) = detected(files, "");
        assert_eq!(detection.apps, apps);
        let evidence: Vec<String> = detection.evidence.iter().map(ToString::to_string).collect();
        assert!(
            evidence.iter().any(|evidence| evidence == says),
            "no {says} in {evidence:#?}"
        );
        let error = generate(&tree, &detection, &BaseImages::default()).unwrap_err();
        let diagnosis = crate::Diagnose::diagnosis(&error);
        assert_eq!(diagnosis.code.as_str(), "deployment/several-apps");
        assert_eq!(
            diagnosis.context.get("choice").map(String::as_str),
            apps.first().copied()
        );
        let fixes = diagnosis.to_string();
        for app in apps {
            assert!(fixes.contains(&format!("`--path {app}`")), "{fixes}");
        }
        for app in apps {
            let (tree, detection) = detected(files, app);
            assert_eq!(
                (detection.path.as_str(), detection.build_context()),
                (*app, ".")
            );
            generate(&tree, &detection, &BaseImages::default()).unwrap();
        }
    }
}
