//! What builds need of the repository, and of the system: each is there before the step that needs it.

use super::*;
use crate::Detector;
use pipeops_core::Diagnose;
use pipeops_core::source::MemTree;

fn generated(files: &[(&str, &str)], path: &str) -> Result<String, GenerateError> {
    let tree: MemTree = files.iter().copied().collect();
    let detection = Detector::new().path(path).detect(&tree);
    generate(&tree, &detection, &BaseImages::default()).map(|generated| generated.dockerfile)
}

const FLASK: (&str, &str) = ("app.py", "from flask import Flask\napp = Flask(__name__)\n");
const RAILS: (&str, &str) = ("config/application.rb", "");
const AXUM: (&str, &str) = (
    "Cargo.toml",
    "[package]\nname = \"articles\"\n[dependencies]\naxum = \"0.8\"\nsqlx = \"0.8\"\n",
);
const QUERY: (&str, &str) = (
    "src/main.rs",
    "async fn one(db: &sqlx::PgPool) { let _ = sqlx::query!(\"SELECT 1\").fetch_one(db).await; }\nfn main() {}\n",
);

/// Files, and texts that follow one another in the Dockerfile.
type Case = (
    &'static [(&'static str, &'static str)],
    &'static [&'static str],
);

// One line per project.
#[rustfmt::skip]
const CASES: &[Case] = &[
    // Libraries and headers for packages without wheels.
    (&[("requirements.txt", "flask==3.0.0\ngunicorn==23.0.0\npython-ldap==3.4.4\nuwsgi==2.0.28\n"), FLASK], &["libldap2-dev libsasl2-dev", "pip install", "ldap-utils libsasl2-2 libxml2"]),
    (&[("requirements.txt", "flask\ngunicorn\nxmlsec\n"), FLASK], &["libxmlsec1-dev", "pip install", "libxmlsec1-openssl"]),
    (&[("requirements.txt", "flask\ngunicorn\npycairo\nmysqlclient\n"), FLASK], &["libcairo2-dev", "pip install", "libcairo2 libmariadb3"]),
    (&[("pyproject.toml", "[project]\nname = 'x'\ndependencies = ['flask', 'gunicorn', 'django-auth-ldap']"), ("uv.lock", "[[package]]\nname = \"python-ldap\"\n"), FLASK], &["libldap2-dev", "uv sync", "ldap-utils"]),
    (&[("requirements.txt", "flask\ngunicorn\npsycopg2\n"), FLASK], &["FROM python", "RUN python -m venv", "libpq5"]),
    // Packages of the project.
    (&[("Pipfile", "[packages]\nflask = \"*\"\ngunicorn = \"*\"\nhelpers = {path = \"./modules/helpers\"}\n"), ("Pipfile.lock", "{}"), ("modules/helpers/pyproject.toml", ""), FLASK], &["COPY . .", "pipenv sync"]),
    (&[("Pipfile", "[packages]\nflask = \"*\"\n[packages.helpers]\npath = \"modules/helpers\"\neditable = true\n"), FLASK], &["COPY . .", "pipenv install"]),
    (&[("Pipfile", "[packages]\nflask = \"*\"\n"), ("Pipfile.lock", "{}"), FLASK], &["COPY Pipfile Pipfile.lock ./", "pipenv sync"]),
    (&[("pyproject.toml", "[project]\nname = 'x'\ndependencies = ['flask', 'helpers @ file:///${PROJECT_ROOT}/helpers']"), ("pdm.lock", ""), ("helpers/pyproject.toml", ""), FLASK], &["COPY . .", "pdm sync"]),
    (&[("pyproject.toml", "[tool.poetry.dependencies]\nflask = '*'\nhelpers = {path='helpers'}"), ("poetry.lock", ""), FLASK], &["COPY . .", "poetry install"]),
    (&[("pyproject.toml", "[project]\nname = 'x'\ndependencies = ['flask', 'helpers']\n[tool.uv.sources.helpers]\npath='helpers'"), ("uv.lock", ""), FLASK], &["COPY . .", "uv sync"]),
    (&[("requirements/prod.txt", "-r ./sub/../base.txt\n"), ("requirements/base.txt", "flask\n-c ../limits/c.txt\n"), ("limits/c.txt", "flask==3\n"), FLASK], &["COPY requirements/prod.txt ./requirements/", "COPY requirements/base.txt ./requirements/", "COPY limits/c.txt ./limits/", "pip install"]),
    (&[("composer.json", r#"{"extra": {"merge-plugin": {"include": ["modules/*/composer.json"]}}}"#), ("public/index.php", "")], &["COPY . .", "composer install"]),
    (&[("composer.json", r#"{"extra": {"patches": {"a/b": {"x": "patches/x.diff"}}}}"#), ("public/index.php", "")], &["COPY . .", "composer install"]),
    (&[("composer.json", r#"{"type": "project", "repositories": [{"type": "vcs", "url": "https://example.com/path"}], "config": {"x": "path"}}"#), ("public/index.php", "")], &["COPY composer.json ./", "composer install"]),
    (&[("Gemfile", "source \"https://rubygems.org\"\nrequire File.join(File.dirname(__FILE__), \"lib/gemfile_helper.rb\")\ngem \"rails\"\ngem \"puma\"\n"), ("Gemfile.lock", ""), ("lib/gemfile_helper.rb", ""), RAILS, ("config.ru", "run Rails.application")], &["COPY . .", "bundle install"]),
    (&[("Gemfile", "eval_gemfile 'Gemfile.common'\ngem 'rails'\ngem 'puma'\n"), ("Gemfile.lock", ""), RAILS], &["COPY . .", "bundle install"]),
    (&[("Gemfile", "source 'https://rubygems.org'\nruby file: '.ruby-version'\ngem 'rails', require: false\ngem 'puma'\n"), ("Gemfile.lock", ""), RAILS], &["COPY Gemfile Gemfile.lock ./", "bundle install"]),
    (&[("package.json", r#"{"scripts": {"start": "node a.js"}, "dependencies": {"x": "file:./lib"}}"#), ("a.js", ""), ("lib/package.json", "{}")], &["COPY . .", "npm install"]),
    // Crates that replace those of the registry, and the command that serves.
    (&[("Cargo.toml", "[workspace]\nmembers = [\"crates/*\"]\n[patch.crates-io]\nitoa = { path = \"vendor/itoa\" }\n"), ("Cargo.lock", "version = 4"), ("crates/sync/Cargo.toml", "[package]\nname = \"sync\"\n[dependencies]\naxum = \"0.8\"\n"), ("crates/sync/src/main.rs", "#[derive(Parser)]\nenum Command {\n    /// Starts the server.\n    Start { #[clap(long, default_value_t = 8888)] port: u16 },\n    DefaultConfig,\n}\nfn main() {}\n"), ("vendor/itoa/Cargo.toml", "[package]\nname = \"itoa\"\n"), ("vendor/itoa/src/lib.rs", "")],
        &["COPY vendor/itoa ./vendor/itoa", "cargo build --release --locked --package sync --bin sync", "COPY . .", "CMD [\"/usr/local/bin/app\", \"start\"]"]),
    // A feature without which the sources stop the compiler.
    (&[("Cargo.toml", "[package]\nname = \"vault\"\n[features]\ndefault = []\nsqlite = []\npostgres = []\n[dependencies]\nrocket = \"0.5\"\n"), ("Cargo.lock", ""), ("src/main.rs", "fn main() {}"), ("build.rs", "fn main() {\n    #[cfg(not(any(feature = \"sqlite\", feature = \"postgres\")))]\n    compile_error!(\"x\");\n}\n")], &["cargo build --release --locked --features sqlite --bin vault"]),
    // Queries that were checked before.
    (&[AXUM, ("Cargo.lock", ""), QUERY, (".sqlx/query-1.json", "{}")], &["ENV SQLX_OFFLINE=true", "cargo build"]),
    (&[AXUM, ("Cargo.lock", ""), QUERY, ("sqlx-data.json", "{}")], &["ENV SQLX_OFFLINE=true", "cargo build"]),
    (&[AXUM, ("Cargo.lock", ""), ("src/main.rs", "// sqlx::query!(\nfn main() { sqlx::query(\"SELECT 1\"); my_query!(); }")], &["WORKDIR /src\nCOPY", "cargo build"]),
];

#[test]
fn what_a_step_needs_is_there_before_it() {
    let mut wrong = Vec::new();
    for (files, expected) in CASES {
        let text = generated(files, "").unwrap_or_else(|error| error.to_string());
        let mut rest = text.as_str();
        for expected in *expected {
            match rest.split_once(expected) {
                Some((_, after)) => rest = after,
                None => {
                    wrong.push(format!("no {expected:?} in its place in\n{text}"));
                    break;
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n---\n"));
}

#[test]
fn queries_that_nothing_was_prepared_for_are_said_before_the_build() {
    for files in [
        &[AXUM, ("Cargo.lock", ""), QUERY] as &[_],
        &[
            AXUM,
            ("src/main.rs", "mod db;\nfn main() {}"),
            (
                "src/db/mod.rs",
                "use sqlx::query_as;\nfn x() { query_as!(X, \"SELECT 1\"); }",
            ),
        ],
        &[
            ("Cargo.toml", "[workspace]\nmembers = ['a', 'b']"),
            ("a/Cargo.toml", "[package]\nname = 'a'"),
            ("a/src/main.rs", "fn main() {}"),
            (
                "b/Cargo.toml",
                "[package]\nname = 'b'\n[dependencies]\nsqlx = '0.8'",
            ),
            (
                "b/src/lib.rs",
                "pub async fn x() { sqlx::query_file!(\"a.sql\"); }",
            ),
        ],
    ] {
        let error = generated(files, "").unwrap_err();
        let diagnosis = error.diagnosis().to_string();
        assert!(
            diagnosis.contains("detect/incomplete") || diagnosis.contains("IncompleteRepository"),
            "{diagnosis}"
        );
        assert!(diagnosis.contains("cargo sqlx prepare"), "{diagnosis}");
    }
}
