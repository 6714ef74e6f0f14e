//! Layouts of repositories and what they are. Each is there for a reason, which is its first field.

use pipeops_core::detect::{Detection, Detector, Language, LanguageDetector};
use pipeops_core::source::{MemTree, SourceTree};

use Language::*;

/// Why the layout is there, its files, the language, the app's folder, and the apps that are listed.
type Layout = (
    &'static str,
    &'static [(&'static str, &'static str)],
    Option<Language>,
    &'static str,
    &'static [&'static str],
);

const GO_MAIN: &str = "package main\n\nfunc main() {}\n";
const FLASK: &str = "from flask import Flask\napp = Flask(__name__)\n";
const EXPRESS: &str =
    r#"{"scripts": {"start": "node index.js"}, "dependencies": {"express": "4"}}"#;
const REACT: &str = r#"{"private": true, "scripts": {"start": "react-scripts start", "build": "react-scripts build"}, "dependencies": {"react": "18", "react-scripts": "5"}}"#;
const VITE: &str = r#"{"private": true, "scripts": {"dev": "vite", "build": "vite build"}, "devDependencies": {"vite": "5"}}"#;
const TOOLS: &str =
    r#"{"devDependencies": {"husky": "9", "prettier": "3"}, "scripts": {"prepare": "husky"}}"#;
const SPRING: &str =
    "<project><parent><artifactId>spring-boot-starter-parent</artifactId></parent></project>";
const LARAVEL: &str = r#"{"require": {"php": "^8.2", "laravel/framework": "^11"}}"#;
const CARGO: &str = "[package]\nname = \"app\"\n[dependencies]\naxum = \"0.8\"\n";

// One line per layout.
#[rustfmt::skip]
const LAYOUTS: &[Layout] = &[
    // One language.
    ("go with a module", &[("go.mod", "module x"), ("main.go", GO_MAIN)], Some(Go), ".", &[]),
    ("go with cmd", &[("go.mod", "module x"), ("cmd/api/main.go", GO_MAIN), ("internal/a/a.go", "package a")], Some(Go), ".", &[]),
    ("go without a module", &[("main.go", GO_MAIN)], Some(Go), ".", &[]),
    ("go with vendored modules", &[("go.mod", "module x"), ("main.go", GO_MAIN), ("vendor/modules.txt", ""), ("vendor/a/package.json", EXPRESS)], Some(Go), ".", &[]),
    ("node without dependencies", &[("package.json", r#"{"scripts": {"start": "node a.js"}}"#), ("a.js", "")], Some(Nodejs), ".", &[]),
    ("node with a main only", &[("package.json", r#"{"main": "index.js"}"#), ("index.js", "")], Some(Nodejs), ".", &[]),
    ("node without package.json", &[("index.js", "require('http')")], Some(Nodejs), ".", &[]),
    ("node with installed packages", &[("package.json", EXPRESS), ("index.js", ""), ("node_modules/x/index.php", ""), ("node_modules/x/composer.json", LARAVEL)], Some(Nodejs), ".", &[]),
    ("a front end", &[("package.json", VITE), ("index.html", "")], Some(Nodejs), ".", &[]),
    ("python by requirements", &[("requirements.txt", "flask"), ("app.py", FLASK)], Some(Python), ".", &[]),
    ("python by pyproject", &[("pyproject.toml", "[project]\nname = \"x\"\ndependencies = [\"fastapi\"]"), ("main.py", "app = FastAPI()")], Some(Python), ".", &[]),
    ("python by a program only", &[("main.py", "print(1)")], Some(Python), ".", &[]),
    ("python by one file of any name", &[("scrape.py", "print(1)")], Some(Python), ".", &[]),
    ("python by Pipfile", &[("Pipfile", "[packages]\nflask = \"*\""), ("app.py", FLASK)], Some(Python), ".", &[]),
    ("django", &[("manage.py", ""), ("shop/settings.py", ""), ("shop/wsgi.py", ""), ("requirements.txt", "Django")], Some(Python), ".", &[]),
    ("python with a checked-in environment", &[("main.py", ""), ("venv/lib/x/package.json", EXPRESS), (".venv/x.go", "")], Some(Python), ".", &[]),
    ("maven", &[("pom.xml", SPRING), ("src/main/java/A.java", "")], Some(Java), ".", &[]),
    ("gradle without a wrapper", &[("build.gradle.kts", "plugins { id(\"org.springframework.boot\") }"), ("src/main/kotlin/A.kt", "")], Some(Java), ".", &[]),
    ("rust", &[("Cargo.toml", CARGO), ("src/main.rs", "")], Some(Rust), ".", &[]),
    ("a cargo workspace", &[("Cargo.toml", "[workspace]\nmembers = [\"crates/*\"]"), ("crates/web/Cargo.toml", CARGO), ("crates/web/src/main.rs", "")], Some(Rust), ".", &["crates/web"]),
    ("rails", &[("Gemfile", "gem 'rails'"), ("config/application.rb", "")], Some(Ruby), ".", &[]),
    ("ruby by gems.rb", &[("gems.rb", "gem 'sinatra'"), ("app.rb", "")], Some(Ruby), ".", &[]),
    ("ruby by rack only", &[("config.ru", "")], Some(Ruby), ".", &[]),
    ("php without composer", &[("index.php", "<?php")], Some(Php), ".", &[]),
    ("dotnet below a solution", &[("A.sln", ""), ("src/A/A.csproj", "<Project Sdk=\"Microsoft.NET.Sdk.Web\">")], Some(Dotnet), ".", &[]),
    ("phoenix", &[("mix.exs", "{:phoenix, \"~> 1.7\"}"), ("assets/package.json", VITE)], Some(Elixir), ".", &[]),
    ("deno", &[("deno.json", "{}"), ("main.ts", "Deno.serve(f)")], Some(Deno), ".", &[]),
    ("a page", &[("index.html", ""), ("style.css", "")], Some(Static), ".", &[]),
    ("hugo", &[("hugo.toml", ""), ("content/a.md", ""), ("themes/x/package.json", TOOLS)], Some(Static), ".", &[]),
    ("go: tools of a build are no program", &[("go.mod", "module x"), ("tools.go", "//go:build tools\n\npackage main\nfunc main() {}\n"), ("cmd/api/run.go", GO_MAIN)], Some(Go), ".", &[]),
    ("a cargo workspace with its program at the root", &[("Cargo.toml", "[package]\nname = \"app\"\n[workspace]\nmembers = [\"core\"]"), ("src/main.rs", ""), ("core/Cargo.toml", "[package]\nname = \"core\""), ("core/src/lib.rs", "")], Some(Rust), ".", &[]),
    ("gradle projects below settings", &[("settings.gradle", "include 'api'\ninclude 'core'"), ("api/build.gradle", "plugins { id 'application' }"), ("core/build.gradle", "plugins { id 'java-library' }")], Some(Java), ".", &["api"]),
    ("sbt", &[("build.sbt", "name := \"x\""), ("project/build.properties", "sbt.version=1.10.2"), ("src/main/scala/Main.scala", "")], Some(Scala), ".", &[]),
    ("play with files for browsers", &[("build.sbt", ""), ("project/plugins.sbt", "addSbtPlugin(\"com.typesafe.play\" % \"sbt-plugin\" % \"2.9.0\")"), ("app/controllers/A.scala", ""), ("package.json", VITE)], Some(Scala), ".", &[]),
    ("mill", &[("build.sc", "object app extends ScalaModule"), ("mill", "")], Some(Scala), ".", &[]),
    ("leiningen", &[("project.clj", "(defproject x \"1\" :main x.core)"), ("src/x/core.clj", "")], Some(Clojure), ".", &[]),
    ("clojure with ClojureScript beside it", &[("deps.edn", "{:aliases {:build {}}}"), ("build.clj", "(defn uber [_] (b/uber {}))"), ("shadow-cljs.edn", ""), ("package.json", TOOLS)], Some(Clojure), ".", &[]),
    ("dotnet projects that refer to one another, without a solution", &[("src/Api/Api.csproj", "<Project Sdk=\"Microsoft.NET.Sdk.Web\"><ProjectReference Include=\"..\\Core\\Core.csproj\" />"), ("src/Core/Core.csproj", "")], Some(Dotnet), "src", &[]),
    ("go beside its front end", &[("backend/go.mod", "module x"), ("backend/cmd/server/main.go", GO_MAIN), ("frontend/package.json", VITE)], None, ".", &["backend", "frontend"]),
    ("go with pages of another build", &[("go.mod", "module x"), ("main.go", GO_MAIN), ("web/package.json", VITE), ("web/index.html", "")], Some(Go), ".", &[]),
    ("a desktop app is its front end", &[("package.json", VITE), ("index.html", ""), ("src-tauri/Cargo.toml", "[package]\nname = \"app\"\n[dependencies]\ntauri = \"2\""), ("src-tauri/src/main.rs", "")], Some(Nodejs), ".", &[]),
    ("rust built into files for browsers", &[("Cargo.toml", "[package]\nname = \"page\"\n[dependencies]\nyew = \"0.21\""), ("src/main.rs", ""), ("index.html", "<link data-trunk>")], Some(Rust), ".", &[]),
    ("dotnet with a client", &[("Web.csproj", "<Project Sdk=\"Microsoft.NET.Sdk.Web\">"), ("ClientApp/package.json", REACT)], Some(Dotnet), ".", &[]),
    ("dotnet beside its front end", &[("backend/Api.csproj", "<Project Sdk=\"Microsoft.NET.Sdk.Web\">"), ("frontend/package.json", VITE)], None, ".", &["backend", "frontend"]),
    ("an umbrella", &[("mix.exs", "apps_path: \"apps\", releases: [all: []]"), ("apps/web/mix.exs", "app: :web, {:phoenix, \"~> 1.7\"}")], Some(Elixir), ".", &["apps/web"]),
    ("node by package.json5", &[("package.json5", "{scripts: {start: 'node a.js'}}"), ("a.js", "")], Some(Nodejs), ".", &[]),
    ("node by a broken package.json", &[("package.json", "<<<<<<< HEAD"), ("index.js", "require('http')")], Some(Nodejs), ".", &[]),
    ("node by typescript only", &[("server.ts", "import http from 'node:http'")], Some(Nodejs), ".", &[]),
    ("bun by a program only", &[("index.ts", "Bun.serve({})")], Some(Nodejs), ".", &[]),
    ("deno by a program only", &[("server.ts", "Deno.serve(f)")], Some(Deno), ".", &[]),
    ("deno with packages of npm", &[("deno.json", r#"{"tasks": {"start": "deno run -A main.ts"}}"#), ("deno.lock", "{}"), ("main.ts", "import e from 'npm:express'"), ("package.json", r#"{"dependencies": {"chalk": "5"}}"#)], Some(Deno), ".", &[]),
    ("zola", &[("config.toml", "base_url = 'x'"), ("content/a.md", ""), ("templates/index.html", "")], Some(Static), ".", &[]),
    ("jekyll as github builds it", &[("_config.yml", ""), ("_posts/2024-01-01-a.md", ""), ("_layouts/default.html", "")], Some(Static), ".", &[]),
    ("a book", &[("book.toml", ""), ("src/SUMMARY.md", "")], Some(Static), ".", &[]),
    ("a folder that is named to be served", &[("Staticfile", "root: web"), ("web/a.html", "")], Some(Static), ".", &[]),
    ("gleam", &[("gleam.toml", "name = \"shop\""), ("manifest.toml", ""), ("src/shop.gleam", "pub fn main() {}")], Some(Gleam), ".", &[]),
    ("crystal", &[("shard.yml", "name: shop\ntargets:\n  shop:\n    main: src/shop.cr\n"), ("src/shop.cr", "")], Some(Crystal), ".", &[]),
    ("dart", &[("pubspec.yaml", "name: api\ndependencies:\n  shelf: ^1.4.0\n"), ("bin/server.dart", "")], Some(Dart), ".", &[]),
    ("flutter for phones is nothing to run", &[("pubspec.yaml", "dependencies:\n  flutter:\n    sdk: flutter\n"), ("ios/Podfile", ""), ("android/build.gradle", "com.android.application")], Some(Dart), ".", &[]),
    ("swift", &[("Package.swift", ".executableTarget(name: \"App\")"), ("Sources/App/main.swift", "")], Some(Swift), ".", &[]),
    ("haskell by stack", &[("stack.yaml", "resolver: lts-22.7"), ("package.yaml", "name: shop\nexecutables:\n  shop:\n    main: Main.hs\n")], Some(Haskell), ".", &[]),
    ("haskell by cabal", &[("shop.cabal", "executable shop\n  main-is: Main.hs\n"), ("app/Main.hs", "")], Some(Haskell), ".", &[]),
    ("zig", &[("build.zig", "b.addExecutable(.{ .name = \"shop\" })"), ("src/main.zig", "")], Some(Zig), ".", &[]),
    ("c++ by cmake", &[("CMakeLists.txt", "project(shop)\nadd_executable(shop src/main.cpp)"), ("src/main.cpp", "int main() {}")], Some(Cpp), ".", &[]),
    ("c by make", &[("Makefile", "TARGET = shop"), ("main.c", "int main() {}")], Some(Cpp), ".", &[]),
    ("cobol", &[("src/pay.cbl", "")], Some(Cobol), ".", &[]),
    ("scheme", &[("main.scm", "(display 1)")], Some(Scheme), ".", &[]),
    ("a shell script", &[("start.sh", "#!/bin/sh")], Some(Shell), ".", &[]),
    ("django one folder down, its packages at the root", &[("requirements.txt", "Django\ngunicorn"), ("site/manage.py", "django"), ("site/shop/settings.py", ""), ("site/shop/wsgi.py", "")], Some(Python), ".", &[]),
    ("python by a package in src", &[("pyproject.toml", "[project]\ndependencies = [\"fastapi\"]\n[build-system]"), ("src/shop/main.py", "from fastapi import FastAPI\napp = FastAPI()")], Some(Python), ".", &[]),
    ("python by requirements in a folder", &[("requirements/production.txt", "-r base.txt"), ("requirements/base.txt", "flask"), ("app.py", FLASK)], Some(Python), ".", &[]),
    ("python by conda", &[("environment.yml", "dependencies:\n  - flask"), ("app.py", FLASK)], Some(Python), ".", &[]),
    ("a bot with a page that says it is alive", &[("requirements.txt", "discord.py\nflask"), ("main.py", "import discord\ndiscord.Client()"), ("keep_alive.py", FLASK)], Some(Python), ".", &[]),
    ("documents by mkdocs alone", &[("requirements.txt", "mkdocs-material"), ("mkdocs.yml", ""), ("docs/index.md", "")], Some(Python), ".", &[]),
    ("ruby documents with a front end of their own", &[("Gemfile", "gem 'jekyll'"), ("_config.yml", ""), ("package.json", TOOLS)], Some(Ruby), ".", &[]),
    ("a worker of sidekiq", &[("Gemfile", "gem 'sidekiq'"), ("boot.rb", "")], Some(Ruby), ".", &[]),
    ("wordpress without composer", &[("index.php", ""), ("wp-settings.php", ""), ("wp-content/themes/x/package.json", VITE)], Some(Php), ".", &[]),
    ("php with two indexes", &[("composer.json", "{\"require\": {\"cakephp/cakephp\": \"5\"}}"), ("index.php", ""), ("webroot/index.php", "")], Some(Php), ".", &[]),
    ("a telegram bot in php", &[("bot.php", "<?php")], Some(Php), ".", &[]),
    // A second language that accompanies the first.
    ("node with linters of deno", &[("package.json", EXPRESS), ("index.js", ""), ("deno.json", r#"{"lint": {}, "fmt": {"lineWidth": 100}}"#)], Some(Nodejs), ".", &[]),
    ("django with styles by tailwind", &[("manage.py", ""), ("requirements.txt", "django"), ("package.json", r#"{"scripts": {"build": "tailwindcss -i a.css -o b.css", "start": "tailwindcss --watch"}, "devDependencies": {"tailwindcss": "3"}}"#)], Some(Python), ".", &[]),
    ("go with files by esbuild", &[("go.mod", "module x"), ("main.go", GO_MAIN), ("package.json", r#"{"scripts": {"build": "esbuild web/app.ts --outdir=static"}, "devDependencies": {"esbuild": "1"}}"#)], Some(Go), ".", &[]),
    ("python started by a script of npm", &[("requirements.txt", "flask"), ("app.py", FLASK), ("package.json", r#"{"scripts": {"start": "python app.py"}, "devDependencies": {"concurrently": "9"}}"#)], Some(Python), ".", &[]),
    ("releases by node", &[("Cargo.toml", CARGO), ("src/main.rs", ""), ("package.json", r#"{"devDependencies": {"semantic-release": "24", "@commitlint/cli": "19"}, "scripts": {"release": "semantic-release"}}"#), ("package-lock.json", "{}")], Some(Rust), ".", &[]),
    ("laravel builds files for browsers", &[("composer.json", LARAVEL), ("artisan", ""), ("public/index.php", ""), ("package.json", VITE)], Some(Php), ".", &[]),
    ("rails builds files for browsers", &[("Gemfile", "gem 'rails'"), ("config/application.rb", ""), ("package.json", VITE), ("yarn.lock", "")], Some(Ruby), ".", &[]),
    ("django builds files for browsers", &[("manage.py", ""), ("requirements.txt", "django"), ("package.json", VITE)], Some(Python), ".", &[]),
    ("flask serves a front end", &[("requirements.txt", "flask"), ("app.py", FLASK), ("package.json", REACT)], Some(Python), ".", &[]),
    ("spring with a front end", &[("pom.xml", SPRING), ("src/main/java/A.java", ""), ("package.json", VITE)], Some(Java), ".", &[]),
    ("go with commit hooks of node", &[("go.mod", "module x"), ("main.go", GO_MAIN), ("package.json", TOOLS)], Some(Go), ".", &[]),
    ("rust with a page", &[("Cargo.toml", CARGO), ("src/main.rs", ""), ("index.html", "")], Some(Rust), ".", &[]),
    ("node with python tools", &[("package.json", EXPRESS), ("index.js", ""), ("pyproject.toml", "[tool.ruff]")], Some(Nodejs), ".", &[]),
    ("node with documentation by mkdocs", &[("package.json", EXPRESS), ("index.js", ""), ("requirements.txt", "mkdocs"), ("mkdocs.yml", "")], Some(Nodejs), ".", &[]),
    ("node with fastlane", &[("package.json", EXPRESS), ("index.js", ""), ("Gemfile", "gem 'fastlane'")], Some(Nodejs), ".", &[]),
    ("python with scripts of php in packages", &[("requirements.txt", "flask"), ("app.py", FLASK), ("vendor/a/index.php", ""), ("vendor/a/composer.json", LARAVEL)], Some(Python), ".", &[]),
    ("functions for deno beside node", &[("package.json", EXPRESS), ("index.js", ""), ("supabase/functions/x/index.ts", "Deno.serve")], Some(Nodejs), ".", &[]),
    ("tests in another language", &[("go.mod", "module x"), ("main.go", GO_MAIN), ("tests/requirements.txt", "pytest"), ("e2e/package.json", EXPRESS)], Some(Go), ".", &[]),
    // Folders.
    ("one folder only", &[("app/go.mod", "module x"), ("app/main.go", GO_MAIN), ("README.md", "")], Some(Go), "app", &[]),
    ("deeper", &[("src/services/api/package.json", EXPRESS), ("src/services/api/index.js", "")], Some(Nodejs), "src/services/api", &[]),
    ("an app and its tests", &[("api/app.py", FLASK), ("api/requirements.txt", "flask"), ("e2e/package.json", EXPRESS)], Some(Python), "api", &[]),
    ("tools at the root", &[("package.json", TOOLS), ("server/go.mod", "module x"), ("server/main.go", GO_MAIN)], Some(Go), "server", &[]),
    ("front end and back end", &[("frontend/package.json", REACT), ("backend/requirements.txt", "flask"), ("backend/app.py", FLASK)], None, ".", &["backend", "frontend"]),
    ("a back end in packages and its front end", &[("backend/pyproject.toml", "[project]\ndependencies = [\"fastapi[standard]\"]"), ("backend/app/main.py", "from fastapi import FastAPI\napp = FastAPI()"), ("frontend/package.json", VITE), ("frontend/index.html", "")], None, ".", &["backend", "frontend"]),
    ("laravel and a front end", &[("api/composer.json", LARAVEL), ("api/public/index.php", ""), ("web/package.json", REACT)], None, ".", &["api", "web"]),
    ("several services", &[("a/go.mod", "module a"), ("a/main.go", GO_MAIN), ("b/package.json", EXPRESS), ("b/index.js", ""), ("lib/x.txt", "")], None, ".", &["a", "b"]),
    ("examples only", &[("examples/a/package.json", EXPRESS), ("examples/a/index.js", "")], Some(Nodejs), "examples/a", &[]),
    ("a node workspace", &[("package.json", r#"{"private": true, "workspaces": ["apps/*"]}"#), ("apps/a/package.json", EXPRESS), ("apps/b/package.json", REACT)], Some(Nodejs), ".", &["apps/a", "apps/b"]),
    ("a pnpm workspace", &[("package.json", TOOLS), ("pnpm-workspace.yaml", "packages:\n  - apps/*\n"), ("apps/a/package.json", EXPRESS)], Some(Nodejs), ".", &["apps/a"]),
    ("a yarn workspace as an object", &[("package.json", r#"{"private": true, "workspaces": {"packages": ["services/**", "!**/shared"]}}"#), ("services/x/api/package.json", EXPRESS), ("services/shared/package.json", EXPRESS)], Some(Nodejs), ".", &["services/x/api"]),
    ("libraries are no apps", &[("package.json", r#"{"workspaces": ["apps/*", "packages/*"]}"#), ("apps/web/package.json", REACT), ("packages/ui/package.json", r#"{"name": "ui", "main": "dist/index.js", "types": "dist/index.d.ts", "scripts": {"build": "vite build"}, "devDependencies": {"vite": "5"}}"#), ("packages/config/package.json", r#"{"main": "index.js", "dependencies": {"eslint": "9"}}"#), ("packages/config/index.js", "")], Some(Nodejs), ".", &["apps/web"]),
    ("projects of nx", &[("package.json", r#"{"scripts": {"start": "nx serve"}, "dependencies": {"express": "4", "next": "15"}}"#), ("nx.json", "{}"), ("apps/api/project.json", r#"{"projectType": "application", "targets": {"build": {"executor": "@nx/webpack:webpack"}}}"#), ("apps/api-e2e/project.json", r#"{"projectType": "application", "targets": {"build": {}}}"#), ("libs/ui/project.json", r#"{"projectType": "library", "targets": {"build": {}}}"#)], Some(Nodejs), ".", &["apps/api"]),
    ("a deno workspace", &[("deno.json", r#"{"workspace": ["./api", "./lib"]}"#), ("api/deno.json", "{}"), ("api/main.ts", "Deno.serve(f)"), ("lib/deno.json", r#"{"exports": "./x.ts"}"#)], Some(Deno), ".", &["api"]),
    ("a go workspace", &[("go.work", "use (\n\t./a\n\t./b\n)"), ("a/go.mod", "module a"), ("a/main.go", GO_MAIN), ("b/go.mod", "module b"), ("b/b.go", "package b")], Some(Go), ".", &["a"]),
    ("maven modules", &[("pom.xml", "<modules><module>api</module><module>core</module></modules> spring-boot"), ("api/pom.xml", "<artifactId>spring-boot-maven-plugin</artifactId>"), ("core/pom.xml", "")], Some(Java), ".", &["api"]),
    // Nothing.
    ("documents", &[("README.md", ""), ("LICENSE", "")], None, ".", &[]),
    ("a Procfile is no language", &[("Procfile", "web: node x.js")], None, ".", &[]),
    ("dependencies only", &[("node_modules/a/package.json", EXPRESS), ("vendor/b/go.mod", "module b")], None, ".", &[]),
];

fn detect(files: &[(&str, &str)]) -> Detection {
    Detector::new().detect(&files.iter().copied().collect::<MemTree>())
}

#[test]
fn layouts_are_what_they_are() {
    let mut wrong = Vec::new();
    for &(reason, files, language, path, apps) in LAYOUTS {
        let found = detect(files);
        if (found.language, found.path.as_str()) != (language, path) || found.apps != apps {
            wrong.push(format!(
                "{reason}: expected {language:?} in {path} {apps:?}\n{found}"
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} wrong:\n{}",
        wrong.len(),
        LAYOUTS.len(),
        wrong.join("\n")
    );
}

#[test]
fn each_conclusion_has_evidence_that_is_there() {
    for &(reason, files, ..) in LAYOUTS {
        let tree: MemTree = files.iter().copied().collect();
        let found = Detector::new().detect(&tree);
        assert_eq!(
            found.language.is_some() || !found.apps.is_empty(),
            !found.evidence.is_empty(),
            "{reason}"
        );
        for evidence in &found.evidence {
            let is_file = tree.read(&evidence.path, 0).unwrap().is_some();
            assert!(
                is_file || !tree.list(&evidence.path).unwrap().is_empty(),
                "{reason}: {evidence:?}"
            );
        }
        assert!((0.0..=1.0).contains(&found.confidence), "{reason}");
        let others: Vec<f64> = found
            .alternatives
            .iter()
            .map(|other| other.confidence)
            .collect();
        assert!(
            others.iter().all(|&other| other <= found.confidence)
                && others.is_sorted_by(|a, b| a >= b),
            "{reason}"
        );
    }
}

#[test]
fn what_is_told_always_wins() {
    for &(reason, files, ..) in LAYOUTS {
        for &language in Language::ALL {
            let tree: MemTree = files.iter().copied().collect();
            let found = Detector::new().language(language).detect(&tree);
            assert_eq!(
                (found.language, found.confidence),
                (Some(language), 1.0),
                "{reason}"
            );
        }
    }
    let tree = MemTree::from([
        ("package.json", EXPRESS),
        ("api/app.py", FLASK),
        ("api/requirements.txt", "flask"),
    ]);
    let found = Detector::new().language(Python).detect(&tree);
    assert_eq!(
        (found.path.as_str(), found.framework.as_deref()),
        ("api", Some("flask"))
    );
}

#[test]
fn a_folder_is_looked_at_by_itself() {
    let tree = MemTree::from([
        ("package.json", EXPRESS),
        ("api/go.mod", "module x"),
        ("api/main.go", GO_MAIN),
    ]);
    for (path, language) in [
        ("api", Some(Go)),
        ("./api/", Some(Go)),
        ("nowhere", None),
        ("../api", None),
    ] {
        assert_eq!(
            Detector::new().path(path).detect(&tree).language,
            language,
            "{path}"
        );
    }
}

#[test]
fn a_procfile_starts_and_a_dockerfile_is_reported() {
    let found = detect(&[
        ("requirements.txt", "flask"),
        ("app.py", FLASK),
        ("Procfile", "worker: python work.py\n"),
    ]);
    assert_eq!(
        (found.start.as_deref(), found.port),
        (Some("python work.py"), None)
    );
    let found = detect(&[
        ("go.mod", "module x"),
        ("main.go", GO_MAIN),
        ("Dockerfile", "FROM scratch\nEXPOSE 9000/tcp\n"),
    ]);
    assert_eq!(
        (found.language, found.dockerfile.as_deref(), found.port),
        (Some(Go), Some("Dockerfile"), Some(9000))
    );
    let found = detect(&[("Dockerfile", "not one")]);
    assert_eq!(
        (found.language, found.dockerfile.as_deref()),
        (None, Some("Dockerfile"))
    );
}

#[test]
fn detectors_of_ones_own_combine_with_the_rules() {
    #[derive(Debug)]
    struct Cobol(f64);
    impl LanguageDetector for Cobol {
        fn detect(&self, tree: &dyn SourceTree) -> Detection {
            let mut found = Detection::default();
            if tree.read("main.cob", 0).is_ok_and(|file| file.is_some()) {
                found.language = Some(Static);
                found.framework = Some("cobol".to_owned());
                found.path = ".".to_owned();
                found.confidence = self.0;
            }
            found
        }
    }
    let tree = MemTree::from([("main.cob", ""), ("main.py", "")]);
    let framework = |confidence| {
        Detector::new()
            .with(Cobol(confidence))
            .detect(&tree)
            .framework
    };
    assert_eq!(framework(1.0).as_deref(), Some("cobol"));
    assert_eq!(framework(0.1), None);
}

#[test]
fn json_has_the_documented_shape() {
    let json =
        serde_json::to_value(detect(&[("package.json", EXPRESS), ("index.js", "")])).unwrap();
    let object = json.as_object().unwrap();
    for key in [
        "language",
        "framework",
        "path",
        "confidence",
        "evidence",
        "alternatives",
        "version",
        "packageManager",
        "start",
        "port",
    ] {
        assert!(object.contains_key(key), "{key} is missing in {json}");
    }
    assert_eq!(json["language"], "nodejs");
    let evidence = &json["evidence"][0];
    assert!(
        evidence["path"].is_string() && evidence["says"].is_string(),
        "{json}"
    );
}

#[test]
fn a_report_says_what_and_why() {
    let report = detect(&[
        ("requirements.txt", "flask"),
        ("app.py", FLASK),
        ("package.json", VITE),
    ])
    .to_string();
    for text in [
        "python (flask)",
        "Start",
        "requirements.txt  depends on flask",
        "It could also be\n  nodejs",
    ] {
        assert!(report.contains(text), "{text} is missing in\n{report}");
    }
}
