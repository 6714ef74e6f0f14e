use super::*;
use crate::{Detector, Language};
use pipeops_core::Diagnose;
use pipeops_core::source::MemTree;
use pipeops_dockerfile::{Arguments, Dockerfile, Keyword};

mod starts;

fn generated(files: &[(&str, &str)]) -> Generated {
    let tree: MemTree = files.iter().copied().collect();
    let detection = Detector::new().detect(&tree);
    generate(&tree, &detection, &BaseImages::default()).unwrap()
}

/// Small projects, one for each recipe and each way through it.
// One line per project.
#[rustfmt::skip]
const PROJECTS: &[&[(&str, &str)]] = &[
    &[("app.py", "from http.server import HTTPServer\nos.environ['PORT']")],
    &[("requirements.txt", "flask\ngunicorn\n-r more.txt"), ("more.txt", "x"), ("app.py", "app = Flask(__name__)")],
    &[("requirements.txt", "fastapi\nuvicorn\nx @ git+https://example.com/x"), ("main.py", "app = FastAPI()")],
    &[("pyproject.toml", "[project]\ndependencies=[\"flask\"]\n[build-system]"), ("uv.lock", ""), ("app.py", "app = Flask(__name__)")],
    &[("pyproject.toml", "[tool.poetry.dependencies]\nflask='*'"), ("poetry.lock", ""), ("app.py", "app = Flask(__name__)")],
    &[("pyproject.toml", "[project]\nname='x'"), ("pdm.lock", ""), ("main.py", "")],
    &[("Pipfile", "[packages]\nflask='*'"), ("Pipfile.lock", ""), ("main.py", "")],
    &[("pyproject.toml", "[project]\nname='x'\n[project.scripts]\nserve='x:main'")],
    &[("requirements.txt", "mkdocs"), ("mkdocs.yml", "")],
    &[("environment.yml", "dependencies:\n  - python=3.11\n"), ("main.py", "")],
    &[("runtime.txt", "python-2.7.18"), ("requirements.txt", "flask"), ("main.py", "")],
    &[("pyproject.toml", "[project]\ndependencies=[\"fastapi\"]"), ("main.py", "from fastapi import FastAPI\napp = FastAPI()")],
    &[("pyproject.toml", "[project]\n[tool.uv.workspace]\nmembers=['a']"), ("uv.lock", ""), ("main.py", "")],
    &[("pyproject.toml", "[tool.poetry]\nname='x'\n[tool.poetry.scripts]\nserve='x:main'"), ("poetry.lock", "")],
    &[("requirements.txt", "django\ngunicorn\npsycopg2\nplaywright"), ("manage.py", "'DJANGO_SETTINGS_MODULE', 'a.settings'\nimport django"), ("a/wsgi.py", ""), ("a/settings.py", "STATIC_ROOT = 'x'"), ("package.json", r#"{"scripts":{"build":"vite build"}}"#), ("package-lock.json", "{}")],
    &[("package.json", r#"{"scripts":{"start":"node server.js"}}"#), ("server.js", "")],
    &[("package.json", r#"{"scripts":{"start":"node server.js"},"dependencies":{"express":"4"}}"#), ("package-lock.json", "{}"), ("server.js", "")],
    &[("package.json", r#"{"scripts":{"build":"next build","start":"next start"},"dependencies":{"next":"15"}}"#), ("pnpm-lock.yaml", "")],
    &[("package.json", r#"{"scripts":{"start":"tsx a.ts","postinstall":"x"},"devDependencies":{"tsx":"4"}}"#), ("yarn.lock", "")],
    &[("package.json", r#"{"scripts":{"build":"vite build"},"devDependencies":{"vite":"5"}}"#), ("bun.lock", "")],
    &[("package.json", r#"{"scripts":{"build":"next build","start":"next start"},"dependencies":{"next":"15"}}"#), ("next.config.mjs", "export default { output: 'standalone' }"), ("public/a.svg", "")],
    &[("package.json", r#"{"scripts":{"build":"nuxt build"},"dependencies":{"nuxt":"3"}}"#), ("yarn.lock", "__metadata:")],
    &[("package.json", r#"{"scripts":{"build":"vite build"},"devDependencies":{"@sveltejs/kit":"2"}}"#), ("svelte.config.js", "import a from '@sveltejs/adapter-auto'"), ("package-lock.json", "{}")],
    &[("package.json", r#"{"scripts":{"start":"node a.js"},"dependencies":{"@prisma/client":"5","prisma":"5","bcrypt":"5"}}"#), ("prisma/schema.prisma", ""), ("a.js", "x.listen(process.env.PORT)")],
    &[("package.json", r#"{"workspaces":["apps/*"],"scripts":{"start":"npm start -w web"}}"#), ("apps/web/package.json", r#"{"name":"web","scripts":{"build":"next build","start":"next start"},"dependencies":{"next":"15"}}"#), ("package-lock.json", "{}")],
    &[("package.json", r#"{"scripts":{"build":"astro build"},"dependencies":{"astro":"5"}}"#), ("bun.lock", "")],
    &[("deno.json", r#"{"imports":{"lume/":"https://deno.land/x/lume/"}}"#), (".npmrc", "//r/:_authToken=${NPM_TOKEN}")],
    &[("go.mod", "module x\ngo 1.22"), ("go.sum", ""), ("main.go", "package main\nfunc main() {}"), ("templates/a.html", "")],
    &[("go.mod", "module x\nrequire github.com/mattn/go-sqlite3 v1"), ("cmd/api/main.go", "package main\nfunc main() {}")],
    &[("go.work", "go 1.22\nuse (\n./api\n./lib\n)"), ("api/go.mod", "module api\nreplace x => ../lib"), ("api/main.go", "package main\nimport \"C\"\nfunc main() {}"), ("lib/go.mod", "module lib")],
    &[("go.mod", "module x"), ("vendor/modules.txt", ""), ("main.go", "package main\nfunc main() {}")],
    &[("main.go", "package main\nfunc main() {}")],
    &[("pom.xml", "<artifactId>a</artifactId><version>1</version><java.version>17</java.version> spring-boot-maven-plugin")],
    &[("pom.xml", "io.quarkus quarkus-maven-plugin"), ("mvnw", ""), (".mvn/wrapper/x", "")],
    &[("pom.xml", "<packaging>pom</packaging><module>core</module><module>api</module>"), ("core/pom.xml", "<artifactId>core</artifactId>"), ("api/pom.xml", "<artifactId>api</artifactId>"), ("api/src/main/java/a/A.java", "package a;\nclass A { static void main(String[] x) {} }")],
    &[("pom.xml", "<packaging>war</packaging> jakarta.servlet")],
    &[("pom.xml", "<mainClass>a.B</mainClass> maven-shade-plugin io.dropwizard"), ("config.yml", "")],
    &[("settings.gradle.kts", "include(\"app\")"), ("app/build.gradle.kts", "plugins {\n    application\n}"), ("gradlew", ""), ("gradle/libs.versions.toml", "")],
    &[("build.sbt", "name := \"shop\""), ("project/plugins.sbt", "\"sbt-native-packager\"")],
    &[("build.sbt", "assembly / assemblyJarName := \"x.jar\""), ("project/plugins.sbt", "\"sbt-assembly\"")],
    &[("build.sbt", "name := \"shop\""), ("src/main/scala/Main.scala", "")],
    &[("build.mill", "object api extends ScalaModule {}"), ("mill", "")],
    &[("project.clj", "(defproject shop \"0.1\" :main shop.core)")],
    &[("deps.edn", "{:aliases {:build {}}}"), ("build.clj", "(def uber-file \"target/shop.jar\")\n(defn uber [_])")],
    &[("mix.exs", "app: :shop,\nmod: {Shop, []}\n{:phoenix, \"~> 1.7\"}\n\"assets.deploy\": []"), ("mix.lock", ""), ("config/config.exs", ""), ("assets/package.json", "{}")],
    &[("mix.exs", "app: :tool,\nescript: [main_module: Tool]\n")],
    &[("build.gradle", "id 'org.springframework.boot'"), ("gradlew", "")],
    &[("Cargo.toml", "[package]\nname='shop'"), ("Cargo.lock", "[[package]]\nname='pq-sys'"), ("src/main.rs", ""), ("src/lib.rs", ""), ("templates/a.html", "")],
    &[("Cargo.toml", "[package]\nname='shop'\n[dependencies]\nx={path='../x'}\nrocket='0.5'"), ("Cargo.lock", "[[package]]\nname='prost-build'"), ("src/main.rs", "")],
    &[("Cargo.toml", "[package]\nname='page'\n[dependencies]\nyew='0.21'"), ("src/main.rs", ""), ("Trunk.toml", "")],
    &[("Cargo.toml", "[package]\nname='page'\n[package.metadata.leptos]\nx=1"), ("src/main.rs", "")],
    &[("Gemfile", "gem 'rails'"), ("Gemfile.lock", ""), ("config/application.rb", ""), ("app/assets/x", "")],
    &[("Gemfile", "gem 'rails'\ngem 'propshaft'\ngem 'bootsnap'\ngem 'pg'"), ("config/application.rb", ""), ("package.json", r#"{"scripts":{"build":"esbuild"}}"#), ("yarn.lock", "")],
    &[("Gemfile", "gem 'x', path: 'x'\ngem 'execjs'"), ("app.rb", "")],
    &[("Gemfile", "gem 'jekyll'"), ("_config.yml", "")],
    &[("config.ru", "")],
    &[("composer.json", r#"{"require":{"slim/slim":"4"}}"#), ("public/index.php", "")],
    &[("composer.json", r#"{"require":{"laravel/framework":"12"}}"#), ("composer.lock", "{}"), ("public/index.php", ""), ("package.json", r#"{"scripts":{"build":"vite build"}}"#)],
    &[("composer.json", r#"{"require":{"symfony/framework-bundle":"7"}}"#), ("public/index.php", "")],
    &[("bot.php", "<?php")],
    &[("index.php", "")],
    &[("Web.csproj", "Microsoft.NET.Sdk.Web <TargetFramework>net8.0")],
    &[("Shop.sln", "\"src\\Api\\Api.csproj\", \"src\\Core\\Core.csproj\""), ("src/Api/Api.csproj", "Microsoft.NET.Sdk.Web <TargetFrameworks>net8.0;net9.0</TargetFrameworks><PublishAot>true<ProjectReference Include=\"..\\Core\\Core.csproj\"/>"), ("src/Core/Core.csproj", ""), ("global.json", r#"{"sdk":{"version":"9.0.100"}}"#)],
    &[("Job.csproj", "Microsoft.NET.Sdk.Worker <TargetFramework>net8.0<")],
    &[("deno.json", "{}"), ("main.ts", "Deno.serve")],
    &[("index.html", "")],
    &[("hugo.toml", ""), ("content/a.md", "")],
    &[("hugo.toml", ""), ("go.mod", "module x"), ("package-lock.json", "{}")],
    &[("config.toml", "base_url='x'"), ("content/a.md", "")],
    &[("_config.yml", ""), ("_posts/a.md", "")],
    &[("book.toml", ""), ("src/SUMMARY.md", "")],
    &[("mkdocs.yml", ""), ("docs/index.md", "")],
    &[("Staticfile", "root: web\npushstate: enabled"), ("web/x.html", "")],
    &[("gleam.toml", "name='shop'\n[dependencies]\nwisp='1'"), ("src/shop.gleam", "pub fn main() {}")],
    &[("gleam.toml", "name='shop'\ntarget='javascript'\n[dependencies]\nlustre='5'"), ("manifest.toml", "")],
    &[("shard.yml", "name: shop\ntargets:\n  shop:\n    main: src/shop.cr\n"), ("shard.lock", "")],
    &[("shard.yml", "name: shop\ndependencies:\n  kemal:\n    github: x\n"), ("src/shop.cr", "")],
    &[("pubspec.yaml", "name: shop\ndependencies:\n  shelf: ^1.0.0\n"), ("bin/server.dart", "")],
    &[("pubspec.yaml", "name: shop\ndependencies:\n  dart_frog: ^1.0.0\n"), ("routes/index.dart", ""), ("pubspec.lock", "")],
    &[("pubspec.yaml", "dependencies:\n  flutter:\n    sdk: flutter\n"), ("web/index.html", "")],
    &[("Package.swift", ".package(url: \"https://github.com/vapor/vapor.git\")\n.executableTarget(name: \"App\")"), ("Public/x", "")],
    &[("stack.yaml", "resolver: lts-22.1"), ("package.yaml", "name: shop\ndependencies:\n- hasql\nexecutables:\n  shop:\n    main: Main.hs\n")],
    &[("cabal.project", ""), ("shop.cabal", "executable shop\n")],
    &[("build.zig", "b.addExecutable(.{ .name = \"shop\" })"), ("build.zig.zon", ".minimum_zig_version = \"0.14.0\"")],
    &[("CMakeLists.txt", "project(shop)\nfind_package(OpenSSL REQUIRED)\nadd_executable(shop main.cc)"), ("main.cc", "#include <crow.h>\nint main() {}")],
    &[("meson.build", "executable('shop', 'main.cc')\ndependency('libpq')")],
    &[("configure.ac", ""), ("src/Makefile.am", "bin_PROGRAMS = shop")],
    &[("Makefile", "TARGET = shop"), ("main.c", "int main() {}")],
    &[("src/main.cbl", "       IDENTIFICATION DIVISION.")],
    &[("haunt.scm", "")],
    &[("main.scm", "(use-modules (web server))")],
    &[("start.sh", "#!/usr/bin/env bash")],
    &[("start.sh", "#!/bin/zsh")],
];

#[test]
fn each_recipe_keeps_what_all_promise() {
    for files in PROJECTS {
        let generated = generated(files);
        let text = &generated.dockerfile;
        let file =
            Dockerfile::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let last = file.stages.last().unwrap();
        let argument = |keyword| {
            last.instructions()
                .rfind(|instruction| instruction.keyword == keyword)
                .map(|found| found.arguments)
        };
        assert!(
            matches!(argument(Keyword::User), Some(Arguments::Text(user)) if user.text == "65532:65532"),
            "{text}"
        );
        assert!(
            matches!(argument(Keyword::Cmd), Some(Arguments::Exec(_))),
            "{text}"
        );
        let config = file.image_config(file.stages.len() - 1, &Default::default());
        assert_eq!(config.ports.first().copied(), generated.port, "{text}");
        assert!(
            file.stages
                .iter()
                .all(|stage| stage.from.text.contains(':')),
            "{text}"
        );
        assert!(!text.contains("/venv") || file.stages.len() >= 2, "{text}");
    }
}

#[test]
fn each_instruction_has_its_reason() {
    for files in PROJECTS {
        let generated = generated(files);
        let lines: Vec<&str> = generated.dockerfile.lines().collect();
        let file = Dockerfile::parse(generated.dockerfile.as_bytes()).unwrap();
        let starts = file.stages.iter().flat_map(|stage| {
            let own = stage
                .instructions()
                .map(|instruction| *instruction.lines().start());
            own.chain([*stage.lines().start()])
        });
        for start in starts {
            assert!(
                generated.reasons.iter().any(|reason| reason.line == start),
                "{}",
                lines[start - 1]
            );
        }
        assert!(generated.explained().lines().count() > lines.len());
    }
}

#[test]
fn the_same_input_gives_the_same_text() {
    for files in PROJECTS {
        assert_eq!(generated(files), generated(files));
    }
}

#[test]
fn a_python_app_with_dependencies() {
    let files = [
        ("requirements.txt", "flask\ngunicorn\n"),
        ("app.py", "app = Flask(__name__)"),
    ];
    let expected = r#"FROM python:3.12 AS build
WORKDIR /app
RUN python -m venv /venv
ENV PATH=/venv/bin:$PATH \
    VIRTUAL_ENV=/venv
COPY requirements.txt ./
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install -r requirements.txt

FROM python:3.12-slim
ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PATH=/venv/bin:$PATH \
    HOME=/tmp \
    PORT=8080
WORKDIR /app
COPY --from=build /venv /venv
COPY . .
USER 65532:65532
EXPOSE 8080
CMD ["/bin/sh", "-c", "exec gunicorn --bind 0.0.0.0:$PORT app:app"]
"#;
    assert_eq!(generated(&files).dockerfile, expected);
}

#[test]
fn a_node_app_with_a_lock_file() {
    let package = r#"{"scripts":{"start":"node server.js"},"dependencies":{"express":"4"},"engines":{"node":"20.x"}}"#;
    let files = [
        ("package.json", package),
        ("package-lock.json", "{}"),
        ("server.js", "app.listen(process.env.PORT)"),
    ];
    let expected = r#"FROM node:20-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN --mount=type=cache,target=/root/.npm \
    npm ci --omit=dev
COPY . .

FROM node:20-slim
ENV NODE_ENV=production \
    PATH=/app/node_modules/.bin:$PATH \
    HOME=/tmp \
    PORT=8080
WORKDIR /app
COPY --from=build /app ./
USER 65532:65532
EXPOSE 8080
CMD ["node", "server.js"]
"#;
    assert_eq!(generated(&files).dockerfile, expected);
}

#[test]
fn scripts_run_without_their_manager_where_they_can() {
    let command = |scripts: &str| {
        let package = format!("{{\"scripts\":{scripts}}}");
        let text = generated(&[("package.json", &package), ("yarn.lock", "")]).dockerfile;
        text.lines().last().unwrap().to_owned()
    };
    assert_eq!(
        command(r#"{"start":"node a.js"}"#),
        r#"CMD ["node", "a.js"]"#
    );
    assert_eq!(
        command(r#"{"start":"node a.js","prestart":"x"}"#),
        r#"CMD ["npm", "run", "start"]"#
    );
    assert_eq!(
        command(r#"{"start":"yarn serve"}"#),
        r#"CMD ["npm", "run", "start"]"#
    );
    assert_eq!(
        command(r#"{"start":"A=1 node a.js"}"#),
        r#"CMD ["/bin/sh", "-c", "A=1 node a.js"]"#
    );
}

#[test]
fn dependencies_of_rust_are_a_layer_before_the_sources() {
    let text = generated(&[
        ("Cargo.toml", "[workspace]\nmembers=['crates/*']"),
        ("Cargo.lock", ""),
        ("crates/api/Cargo.toml", "[package]\nname='api'"),
        ("crates/api/src/main.rs", ""),
        ("crates/core/Cargo.toml", "[package]\nname='core-lib'"),
        ("crates/core/src/lib.rs", ""),
    ])
    .dockerfile;
    let expected = r#"FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY crates/api/Cargo.toml ./crates/api/
COPY crates/core/Cargo.toml ./crates/core/
RUN mkdir -p crates/api/src \
 && printf '//! Stub.\nfn main() {}\n' > crates/api/src/main.rs \
 && mkdir -p crates/core/src \
 && printf '//! Stub.\n' > crates/core/src/lib.rs
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    cargo build --release --locked --package api --bin api
COPY . .
"#;
    assert!(text.starts_with(expected), "{text}");
}

/// The files of a project, and lines of its Dockerfile.
type Lines = (
    &'static [(&'static str, &'static str)],
    &'static [&'static str],
);

const NEXT: (&str, &str) = (
    "package.json",
    r#"{"scripts":{"build":"next build","start":"next start"},"dependencies":{"next":"15"}}"#,
);

// One line per project.
#[rustfmt::skip]
const SHIPPED: &[Lines] = &[
    (&[NEXT, ("next.config.mjs", "export default { output: 'standalone' }"), ("public/a", "")], &["COPY --from=build /app/.next/standalone ./", "COPY --from=build /app/public ./public", r#"CMD ["node", "server.js"]"#]),
    (&[NEXT, ("next.config.mjs", "")], &["    && ln -s /tmp .next/cache", "    npm prune --omit=dev --ignore-scripts", r#"CMD ["next", "start"]"#]),
    (&[("package.json", r#"{"scripts":{"build":"nuxt build"},"dependencies":{"nuxt":"3"}}"#)], &["COPY --from=build /app/.output ./.output", r#"CMD ["node", ".output/server/index.mjs"]"#]),
    (&[("package.json", r#"{"scripts":{"build":"vite build"},"devDependencies":{"@sveltejs/kit":"2"}}"#), ("svelte.config.js", "import a from '@sveltejs/adapter-auto'"), ("pnpm-lock.yaml", "lockfileVersion: '9.0'")], &["    pnpm install --frozen-lockfile \\", "    && pnpm add --save-dev @sveltejs/adapter-node@5", "RUN GCP_BUILDPACKS=1 pnpm run build", r#"CMD ["node", "build"]"#]),
    (&[("package.json", r#"{"workspaces":["apps/*"],"scripts":{"start":"yarn workspace api start"}}"#), ("apps/api/package.json", r#"{"name":"api","scripts":{"build":"tsc","start":"node dist/a.js"}}"#), ("yarn.lock", "")], &["RUN yarn workspace api run build", "WORKDIR /app/apps/api", r#"CMD ["node", "dist/a.js"]"#]),
    (&[("package.json", r#"{"scripts":{"start":"prisma migrate deploy && node a.js"},"dependencies":{"prisma":"5"}}"#), ("prisma/schema.prisma", "")], &["FROM node:22", "RUN npx prisma generate", r#"CMD ["/bin/sh", "-c", "prisma migrate deploy && exec node a.js"]"#]),
    (&[("package.json", r#"{"scripts":{"start":"node a.js"},"dependencies":{"better-sqlite3":"11"}}"#), ("pnpm-lock.yaml", "lockfileVersion: '6.0'")], &["FROM node:22 AS build", "    npm install --global pnpm@8", "FROM node:22-slim"]),
    (&[("package.json", r#"{"scripts":{"start":"node a.js"},"dependencies":{"x":"1"}}"#), ("yarn.lock", "__metadata:")], &["ENV YARN_NODE_LINKER=node-modules \\", "    yarn workspaces focus --all --production"]),
];

const RAILS: (&str, &str) = (
    "Gemfile",
    "gem 'rails'\ngem 'propshaft'\ngem 'jsbundling-rails'",
);
const RAILS_APP: (&str, &str) = ("config/application.rb", "");
const LARAVEL: (&str, &str) = (
    "composer.json",
    r#"{"require": {"laravel/framework": "^11.0"}}"#,
);
const INDEX: (&str, &str) = ("public/index.php", "");
const PHOENIX: (&str, &str) = (
    "mix.exs",
    "app: :talk, mod: {Talk, []}\n {:phoenix, \"~> 1.7\"},",
);
const YARN_4: (&str, &str) = (
    "package.json",
    r#"{"packageManager": "yarn@4.9.2", "engines": {"node": "25.2.1"}, "scripts": {"build": "vite build"}}"#,
);
const BERRY: (&str, &str) = ("yarn.lock", "__metadata:\n  version: 8\n");
const YARNRC: (&str, &str) = (".yarnrc.yml", "nodeLinker: node-modules\n");

/// Servers in other languages with a front end: its version and its package manager are those that projects of Node.js have.
// One line per project.
#[rustfmt::skip]
const ASSETS: &[Lines] = &[
    (&[RAILS, RAILS_APP, YARN_4, BERRY, YARNRC, (".yarn/releases/x.cjs", "")], &["FROM node:25-slim AS node", "    npm install --global --force @yarnpkg/cli-dist@4.9.2", "COPY package.json yarn.lock .yarnrc.yml ./", "COPY .yarn ./.yarn", "    yarn install --immutable"]),
    (&[RAILS, RAILS_APP, ("package.json", r#"{"scripts": {"build": "bun bun.config.js"}, "engines": {"bun": ">=1.1.30 <1.2.0"}}"#), ("bun.lock", "")], &["FROM oven/bun:1.1-slim AS bun", "COPY --from=bun /usr/local/bin/bun /usr/local/bin/", "    bun install --frozen-lockfile"]),
    (&[LARAVEL, INDEX, ("package.json", r#"{"packageManager": "yarn@4.6.0", "scripts": {"build": "vite build"}}"#), BERRY, YARNRC], &["    npm install --global --force @yarnpkg/cli-dist@4.6.0", "COPY package.json yarn.lock .yarnrc.yml ./", "    yarn install --immutable", "RUN yarn run build && rm -rf node_modules"]),
    (&[LARAVEL, INDEX, ("package.json", r#"{"scripts": {"production": "mix --production"}}"#), ("pnpm-lock.yaml", "lockfileVersion: '6.0'"), (".nvmrc", "20")], &["FROM node:20-slim AS assets", "    npm install --global pnpm@8", "RUN pnpm run production && rm -rf node_modules"]),
    (&[LARAVEL, INDEX, ("package.json", r#"{"scripts": {"build": "vite build"}, "devDependencies": {"node-sass": "9"}}"#), ("bun.lockb", ""), (".bun-version", "1.2.4")], &["FROM oven/bun:1.2-slim AS assets", "COPY package.json bun.lockb ./", "RUN bun run build && rm -rf node_modules"]),
    (&[LARAVEL, INDEX, ("package.json", r#"{"scripts": {"build": "vite build"}, "devDependencies": {"node-sass": "9"}}"#)], &["FROM node:22 AS assets"]),
    (&[PHOENIX, ("assets/package.json", r#"{"scripts": {"deploy": "webpack --mode production"}, "packageManager": "yarn@4.1.0"}"#), ("assets/yarn.lock", "__metadata:"), (".tool-versions", "elixir 1.18.1\nnodejs 20.1.0")], &["FROM node:20-slim AS node", "COPY --from=node /usr/local/bin/node /usr/local/bin/", "    npm install --global --force @yarnpkg/cli-dist@4.1.0", "COPY assets/package.json assets/yarn.lock ./assets/", "    cd assets && yarn install --immutable", "RUN mix compile && yarn --cwd assets run deploy && mix phx.digest"]),
    (&[PHOENIX, ("assets/package.json", r#"{"scripts": {"build": "vite build"}}"#), ("assets/bun.lock", "")], &["FROM oven/bun:1-slim AS bun", "    cd assets && bun install --frozen-lockfile"]),
    (&[("requirements.txt", "flask"), ("app.py", "app = Flask(__name__)"), YARN_4, BERRY], &["FROM node:25-slim AS assets", "ENV YARN_NODE_LINKER=node-modules \\", "    yarn install --immutable"]),
    // Bun's own version, not the one of Node.js that `engines` names as well.
    (&[("package.json", r#"{"scripts": {"start": "bun run a.ts"}, "engines": {"node": ">=20", "bun": ">=1.1.30 <1.2.0"}}"#), ("a.ts", "Bun.serve({})")], &["FROM oven/bun:1.1-slim", r#"CMD ["bun", "run", "a.ts"]"#]),
    (&[("package.json", r#"{"scripts": {"start": "bun run a.ts"}, "engines": {"node": ">=20"}}"#), ("bun.lock", ""), ("a.ts", "Bun.serve({})")], &["FROM oven/bun:1-slim"]),
    // Yarn's own folder is copied, not all sources.
    (&[("package.json", r#"{"scripts": {"start": "node a.js"}, "dependencies": {"x": "1"}}"#), BERRY, YARNRC, (".yarn/releases/yarn-4.1.0.cjs", "")], &["COPY package.json yarn.lock .yarnrc.yml ./", "COPY .yarn ./.yarn"]),
];

#[test]
fn assets_of_other_languages_are_built_as_those_of_node() {
    for (files, lines) in ASSETS {
        let text = generated(files).dockerfile;
        for line in *lines {
            assert!(text.lines().any(|own| own == *line), "{line}\n{text}");
        }
        assert!(!text.contains("corepack"), "{text}");
    }
}

const VITE: &str =
    r#"{"private": true, "scripts": {"build": "vite build"}, "devDependencies": {"vite": "6"}}"#;
const WEB: (&str, &str) = ("web/package.json", VITE);
const UI: (&str, &str) = ("frontend/package.json", VITE);
const GO: (&str, &str) = ("go.mod", "module example.com/board\ngo 1.24");
const MAIN: (&str, &str) = (
    "main.go",
    "package main\n\nfunc main() {\n\thttp.Handle(\"/\", http.FileServer(http.Dir(\"web/dist\")))\n}\n",
);

/// Servers with a front end in a folder: it is built by its own plan, and copied where the server reads it.
// One line per project.
#[rustfmt::skip]
const FRONT_ENDS: &[Lines] = &[
    (&[GO, ("main.go", "package main\nfunc main() {}"), ("web/web.go", "package web\n\n//go:embed all:dist\nvar Files embed.FS"), WEB, ("web/package-lock.json", "{}"), ("web/.nvmrc", "20")], &["FROM node:20-slim AS assets-web", "COPY web/package.json web/package-lock.json ./web/", "    cd web && npm ci", "COPY web ./web", "RUN cd web && npm run build", "COPY --from=assets-web /app/web/dist ./web/dist"]),
    (&[GO, MAIN, WEB, ("web/pnpm-lock.yaml", "lockfileVersion: '9.0'")], &["    cd web && pnpm install --frozen-lockfile", "COPY --from=assets-web /app/web/dist ./web/dist"]),
    (&[("pyproject.toml", "[project]\nname = \"recipes\"\nversion = \"1\"\ndependencies = [\"fastapi\", \"uvicorn\"]"), ("recipes/app.py", "app = FastAPI()\napp.mount(\"/\", StaticFiles(directory=pathlib.Path(__file__).parents[1] / \"frontend\" / \"dist\"))"), UI], &["FROM node:22-slim AS assets-frontend", "COPY --from=assets-frontend /app/frontend/dist ./frontend/dist"]),
    (&[("pom.xml", "<artifactId>spring-boot-starter-web</artifactId>spring-boot-maven-plugin"), ("src/main/java/A.java", ""), UI, ("frontend/vite.config.ts", "export default { build: { outDir: '../src/main/resources/static' } }"), ("frontend/bun.lock", "")], &["FROM oven/bun:1-slim AS assets-frontend", "COPY --from=assets-frontend /app/src/main/resources/static ./src/main/resources/static"]),
    (&[("Cargo.toml", "[package]\nname='shop'"), ("src/main.rs", "ServeDir::new(\"web/dist\")"), WEB], &["COPY --from=assets-web /app/web/dist ./web/dist"]),
    (&[("Web.csproj", "Microsoft.NET.Sdk.Web <TargetFramework>net8.0<"), ("client/package.json", r#"{"scripts": {"build": "vite build --outDir ../wwwroot"}, "devDependencies": {"vite": "6"}}"#)], &["COPY --from=assets-client /app/wwwroot ./wwwroot"]),
    (&[("Web.csproj", "Microsoft.NET.Sdk.Web <TargetFramework>net8.0</TargetFramework><Exec Command=\"npm run build\" />"), ("ClientApp/package.json", VITE)], &["FROM node:22-slim AS node", "COPY --from=node /usr/local/bin/node /usr/local/bin/"]),
    // What a package beside the manifest builds is taken with the sources.
    (&[GO, ("main.go", "package main\nfunc main() {}"), ("package.json", r#"{"scripts": {"build": "esbuild web/app.ts --bundle --outdir=static/js"}, "devDependencies": {"esbuild": "1"}}"#)], &["FROM node:22-slim AS assets", "COPY --from=assets /app ./", "COPY --from=assets /app/static/js ./static/js"]),
    // A package that needs its files to be installed is copied once, and all of a folder may be compiled in.
    (&[GO, ("main.go", "package main\nfunc main() {}"), ("web/embed.go", "package web\n\n//go:embed build/*\nvar f embed.FS"), ("web/package.json", r#"{"scripts": {"build": "vite build --outDir build", "postinstall": "node patch.js"}, "devDependencies": {"vite": "6"}}"#), ("resources/embed.go", "package resources\n\n//go:embed *\nvar f embed.FS"), ("resources/en.json", ""), ("seed.json", "")], &["COPY web ./web", "COPY --from=assets-web /app/web/build ./web/build", "COPY seed.json ./"]),
    // What is no source is there at run time.
    (&[GO, ("cmd/main.go", "package main\nfunc main() {}"), ("schema.sql", ""), ("queries/all.sql", ""), ("i18n/en.json", ""), ("static/page.html", "")], &["COPY schema.sql ./", "COPY queries ./queries", "COPY i18n ./i18n", "COPY static ./static"]),
    (&[("Cargo.toml", "[package]\nname='shop'"), ("src/main.rs", ""), ("seed.json", ""), ("lang/en.ftl", "")], &["COPY seed.json ./", "COPY lang ./lang"]),
];

#[test]
fn front_ends_below_a_server_are_where_it_reads_them() {
    for (files, lines) in FRONT_ENDS {
        let text = generated(files).dockerfile;
        for line in *lines {
            assert!(text.lines().any(|own| own == *line), "{line}\n{text}");
        }
        Dockerfile::parse(text.as_bytes()).unwrap();
    }
    // Compiled in: only the stage that compiles has it.
    let text = generated(FRONT_ENDS[0].0).dockerfile;
    assert_eq!(text.matches("/app/web/dist").count(), 1, "{text}");
    for (files, _) in FRONT_ENDS {
        let text = generated(files).dockerfile;
        assert!(text.matches("\nCOPY web ./web\n").count() <= 1, "{text}");
        assert!(!text.contains("COPY resources"), "{text}");
    }
    let text = generated(FRONT_ENDS[1].0).dockerfile;
    assert_eq!(text.matches("/app/web/dist").count(), 2, "{text}");
}

#[test]
fn a_front_end_beside_its_server_is_built_into_it() {
    let files = [
        (
            "package.json",
            r#"{"name": "both", "private": true, "workspaces": ["frontend"]}"#,
        ),
        ("bun.lock", ""),
        ("frontend/package.json", VITE),
        ("frontend/index.html", ""),
        (
            "frontend/vite.config.ts",
            "export default { build: { outDir: \"../backend/app/frontend\" } }",
        ),
        (
            "pyproject.toml",
            "[tool.uv.workspace]\nmembers = [\"backend\"]",
        ),
        ("uv.lock", "version = 1"),
        (
            "backend/pyproject.toml",
            "[project]\nname = \"app\"\nversion = \"1\"\ndependencies = [\"fastapi[standard]\"]",
        ),
        (
            "backend/app/main.py",
            "from fastapi import FastAPI\napp = FastAPI()\napp.mount(\"/\", StaticFiles(directory=\"app/frontend\", html=True))",
        ),
    ];
    let tree: MemTree = files.into_iter().collect();
    let found = Detector::new().detect(&tree);
    assert_eq!(
        (found.language, found.path.as_str()),
        (Some(Language::Python), "backend"),
        "{found}"
    );
    let text = generated(&files).dockerfile;
    for line in [
        "FROM oven/bun:1-slim AS assets-frontend",
        "    bun install --frozen-lockfile",
        "RUN cd frontend && bun run build",
        "COPY --from=assets-frontend /app/backend/app/frontend ./app/frontend",
    ] {
        assert!(text.lines().any(|own| own == line), "{line}\n{text}");
    }
    // Without a workspace: the folder above is the context all the same.
    let files = [
        ("web/package.json", VITE),
        ("web/index.html", ""),
        ("server/go.mod", "module server"),
        (
            "server/main.go",
            "package main\n\nfunc main() {\n\thttp.FileServer(http.Dir(\"../web/dist\"))\n}\n",
        ),
    ];
    let tree: MemTree = files.into_iter().collect();
    let found = Detector::new().path("server").detect(&tree);
    let generated = generate(&tree, &found, &BaseImages::default()).unwrap();
    let copy = "COPY --from=assets-web /app/web/dist ../web/dist";
    assert!(
        generated.dockerfile.contains(copy),
        "{}",
        generated.dockerfile
    );
    assert_eq!(found.build_context(), ".");
}

#[test]
fn what_a_server_builds_itself_is_built_once() {
    let spring = "<artifactId>spring-boot-starter-web</artifactId>spring-boot-maven-plugin";
    let pom = format!("{spring}<artifactId>frontend-maven-plugin</artifactId>");
    let package = ("package.json", VITE);
    let text = generated(&[("pom.xml", &pom), ("src/main/java/A.java", ""), package]).dockerfile;
    assert!(!text.contains("node:"), "{text}");
    let gradle = "plugins {\n    id 'org.springframework.boot' version '3.4.0'\n    id 'com.github.node-gradle.node'\n}";
    let files = [
        ("build.gradle", gradle),
        ("settings.gradle", ""),
        ("src/main/java/A.java", ""),
        package,
    ];
    let text = generated(&files).dockerfile;
    assert!(
        text.contains("COPY --from=node /usr/local/bin/node"),
        "{text}"
    );
    assert!(!text.contains("AS assets"), "{text}");
    let text = generated(&[("pom.xml", spring), ("src/main/java/A.java", ""), package]).dockerfile;
    assert!(text.contains("COPY --from=assets /app ./"), "{text}");
}

#[test]
fn front_ends_that_nothing_serves_are_apps_of_their_own() {
    let files = [GO, ("main.go", "package main\nfunc main() {}"), WEB];
    let tree: MemTree = files.into_iter().collect();
    let found = Detector::new().detect(&tree);
    assert_eq!(found.apps, [".", "web"]);
    let said = found
        .evidence
        .iter()
        .find(|fact| fact.path == "web")
        .unwrap();
    assert!(said.says.contains("web/dist"), "{said}");
    assert!(!generated(&files).dockerfile.contains("node:"));
    let tree: MemTree = [GO, MAIN, WEB].into_iter().collect();
    let found = Detector::new().detect(&tree);
    let said = found
        .evidence
        .iter()
        .find(|fact| fact.path == "web/package.json");
    let expected = "a front end: built in a stage of its own into web/dist, which main.go serves";
    assert_eq!(
        (said.unwrap().says.as_str(), found.apps.len()),
        (expected, 0)
    );
}

#[test]
fn ports_that_nothing_names_are_defaults() {
    let server = r#"{"scripts": {"start": "node a.js"}, "dependencies": {"express": "4"}}"#;
    for (files, port, default) in [
        (
            &[("package.json", server), ("a.js", "app.listen(port)")] as &[_],
            8080,
            true,
        ),
        (
            &[("package.json", server), ("a.js", "app.listen(3000)")],
            3000,
            false,
        ),
        (
            &[
                ("package.json", server),
                ("a.js", "app.listen(process.env.PORT)"),
            ],
            8080,
            false,
        ),
        (
            &[GO, ("main.go", "package main\nfunc main() {}")],
            8080,
            true,
        ),
        (
            &[
                GO,
                ("main.go", "package main\nfunc main() {}"),
                ("config/config.yaml", "server:\n  port: 9000\n"),
            ],
            9000,
            false,
        ),
        (
            &[
                GO,
                ("main.go", "package main\nfunc main() {}"),
                ("Dockerfile", "FROM x\nEXPOSE 9000\n"),
            ],
            9000,
            false,
        ),
        (
            &[
                ("requirements.txt", "flask\ngunicorn"),
                ("app.py", "app = Flask(__name__)"),
            ],
            8080,
            false,
        ),
        (&[("index.html", "")], 8080, false),
        (
            &[(
                "pom.xml",
                "<artifactId>spring-boot-starter-web</artifactId>spring-boot-maven-plugin",
            )],
            8080,
            false,
        ),
    ] {
        let tree: MemTree = files.iter().copied().collect();
        let found = Detector::new().detect(&tree);
        assert_eq!(
            (found.port, found.port_default),
            (Some(port), default),
            "{found}"
        );
        let report = found.to_string();
        assert_eq!(report.contains("(default)"), default, "{report}");
        let json = serde_json::to_value(&found).unwrap();
        assert_eq!(json["portDefault"] == true, default, "{json}");
        let said = found
            .evidence
            .iter()
            .any(|fact| fact.says.contains("is the default"));
        assert_eq!(said, default, "{found}");
    }
}

#[test]
fn images_of_node_ship_only_what_runs() {
    for (files, lines) in SHIPPED {
        let text = generated(files).dockerfile;
        for line in *lines {
            assert!(text.lines().any(|own| own == *line), "{line}\n{text}");
        }
    }
}

#[test]
fn paths_without_a_file_get_the_page_of_single_page_apps_only() {
    let text = |build: &str, dependency: &str| {
        let package =
            format!(r#"{{"scripts":{{"build":"{build}"}},"dependencies":{{"{dependency}":"1"}}}}"#);
        generated(&[("package.json", &package), ("index.html", "")]).dockerfile
    };
    assert!(text("vite build", "vite").contains("/index.html; }"));
    assert!(text("astro build", "astro").contains("=404; }"));
}

const SHARD: (&str, &str) = ("shard.yml", "name: api\ntargets:\n  api: {}");

/// A file, a command of the user, and what the Dockerfile makes of it.
#[rustfmt::skip]
const COMMANDS: &[((&str, &str), &str, &str)] = &[
    (("global.json", "{}"), "dotnet restore src/api/api.csproj", "publish src/api/api.csproj "),
    (("go.mod", "module x"), "go build -o app ./cmd/api", "-o /out/app ./cmd/api\n"),
    (SHARD, "shards build --release x", "shards build x --production"),
    (SHARD, "crystal build src/y.cr", "crystal build src/y.cr "),
    (("pubspec.yaml", "name: x"), "dart compile exe bin/a.dart -o a", "exe bin/a.dart -o /out/app"),
    (("api.cob", "PROGRAM-ID. API."), "cobc -x -o bin/b b.cob", "-o /out/app b.cob\n"),
    (("deps.edn", "{:aliases {:build {}}}"), "clojure -T:x uber", "clojure -P -T:x\n"),
];

#[test]
fn commands_that_were_not_detected_keep_their_target() {
    for &(file, command, expected) in COMMANDS {
        let tree = MemTree::from([file]);
        let mut detection = Detector::new().detect(&tree);
        detection.start = Some("./app".to_owned());
        if command.starts_with("dotnet ") {
            detection.language = Some(Language::Dotnet);
            detection.install = Some(command.to_owned());
        } else {
            detection.build = Some(command.to_owned());
        }
        let generated = generate(&tree, &detection, &BaseImages::default()).unwrap();
        let text = generated.dockerfile;
        assert!(text.contains(expected), "{command}: {text}");
    }
}

#[test]
fn variables_of_a_start_command_are_kept_without_a_shell() {
    let tree = MemTree::from([("go.mod", "module x"), ("main.go", "package main")]);
    let mut detection = Detector::new().detect(&tree);
    detection.language = Some(Language::Go);
    detection.port = Some(8080);
    for (start, expected) in [
        ("A=1 B='2' bin/x a", "\nENV A=1 \\\n    B=2\nUSER "),
        ("env A=$PORT bin/x a", "\nENV A=$PORT\nUSER "),
        (
            "A='1 2' B=:$PORT/ bin/x a",
            "\nENV A=\"1 2\" \\\n    B=:${PORT}/\nUSER ",
        ),
    ] {
        detection.start = Some(start.to_owned());
        let generated = generate(&tree, &detection, &BaseImages::default()).unwrap();
        let text = generated.dockerfile;
        assert!(text.contains(expected), "{start}: {text}");
        assert!(
            text.ends_with("CMD [\"/usr/local/bin/app\", \"a\"]\n"),
            "{text}"
        );
    }
    detection.start = Some("A=1\\ B='x A-B=2 bin/x a".to_owned());
    let error = generate(&tree, &detection, &BaseImages::default()).unwrap_err();
    assert!(error.to_string().contains("isn't closed"), "{error}");
}

#[test]
fn what_cannot_be_generated_says_what_to_do() {
    let error = |files: &[(&str, &str)]| {
        let tree: MemTree = files.iter().copied().collect();
        let detection = Detector::new().detect(&tree);
        generate(&tree, &detection, &BaseImages::default()).unwrap_err()
    };
    assert!(matches!(
        error(&[("x", "")]),
        GenerateError::NoLanguage { .. }
    ));
    assert!(matches!(
        error(&[("requirements.txt", "requests")]),
        GenerateError::NoStart { .. }
    ));
    let mut detection = Detection::default();
    detection.language = Some(Language::Dotnet);
    detection.start = Some("dotnet x.dll".to_owned());
    assert!(matches!(
        generate(&MemTree::default(), &detection, &BaseImages::default()),
        Err(GenerateError::NoProject { .. })
    ));
    let several = error(&[
        ("a/main.go", "package main\nfunc main() {}"),
        ("a/go.mod", "module a"),
        ("b/app.py", ""),
    ]);
    assert!(several.diagnosis().reason.contains("a, b"), "{several:?}");
}

#[test]
fn errors_repeat_why_nothing_is_started() {
    let kit = r#"{"private": true, "scripts": {"build": "vite build"}, "devDependencies": {"@sveltejs/kit": "2.5.0", "@sveltejs/adapter-vercel": "5.0.0", "vite": "6.0.0"}}"#;
    let config = "import adapter from \"@sveltejs/adapter-vercel\"; export default { kit: { adapter: adapter() } }";
    let electron = r#"{"main": "main.js", "scripts": {"start": "electron ."}, "dependencies": {"electron": "30"}}"#;
    for (language, files, why) in [
        (
            Language::Nodejs,
            &[("package.json", kit), ("svelte.config.js", config)] as &[_],
            "svelte.config.js: the adapter @sveltejs/adapter-vercel builds for another platform: use @sveltejs/adapter-node",
        ),
        (
            Language::Nodejs,
            &[("package.json", electron), ("main.js", "")],
            "package.json: `start` runs electron, which isn't a server",
        ),
        (
            Language::Nodejs,
            &[
                (
                    "package.json",
                    r#"{"scripts": {"build": "vite build"}, "devDependencies": {"vite": "6"}}"#,
                ),
                (
                    "vite.config.ts",
                    "export default { build: { outDir: '../static' } }",
                ),
            ],
            "vite.config.ts: builds into ../static, outside of its folder: a server there serves it",
        ),
        (
            Language::Go,
            &[
                GO,
                ("cmd/a/main.go", "package main\nfunc main() {}"),
                ("cmd/b/main.go", "package main\nfunc main() {}"),
            ],
            "cmd/a/main.go: one of several programs, and nothing says which is the app: ./cmd/a, ./cmd/b",
        ),
        (
            Language::Elixir,
            &[("mix.exs", "apps_path: \"apps\"")],
            "mix.exs: defines no release of the umbrella (`releases:` is missing)",
        ),
    ] {
        let tree: MemTree = files.iter().copied().collect();
        let detection = Detector::new().language(language).detect(&tree);
        let error = generate(&tree, &detection, &BaseImages::default()).unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
        assert_eq!(error.diagnosis().reason, why);
    }
}

#[test]
fn a_trees_own_dockerignore_stays() {
    let files = [("app.py", ""), (".dockerignore", "mine\n")];
    assert_eq!(generated(&files).dockerignore, "mine\n");
    assert!(generated(&files[..1]).dockerignore.contains("**/.env\n"));
}

#[test]
fn a_frontend_is_named_only_on_request() {
    let tree = MemTree::from([("app.py", "")]);
    let detection = Detector::new().detect(&tree);
    let images = BaseImages::default().with_frontend("docker/dockerfile:1");
    let text = generate(&tree, &detection, &images).unwrap().dockerfile;
    assert!(
        text.starts_with("# syntax=docker/dockerfile:1\nFROM "),
        "{text}"
    );
}

#[test]
fn images_of_go_have_what_the_sources_ask_for() {
    let text = generated(&[
        ("go.mod", "module example.com/shop\n"),
        ("Makefile", "build:\n\tgo build -tags embedded .\n"),
        (
            "main.go",
            "package main\n\nfunc main() {\n\texec.Command(\"git\", \"init\")\n}\n",
        ),
        (
            "config/config.go",
            "package config\n\ntype Server struct {\n\tListen string `default:\"127.0.0.1\" env:\"SHOP_LISTEN\"`\n}\n",
        ),
        (
            "web/web.go",
            "//go:build embedded\n\npackage web\n\n//go:embed page.html\nvar page string\n",
        ),
        ("web/page.html", "shop"),
    ])
    .dockerfile;
    for part in [
        "CGO_ENABLED=0 go build -tags embedded -trimpath",
        "FROM debian:bookworm-slim\n",
        "ca-certificates git ",
        "ENV SHOP_LISTEN=0.0.0.0 ",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}
