//! Finds the secrets that private package registries need. They are mounted for the step that downloads, so they never become
//! part of the image or its history.

use super::app::App;
use super::secret::BuildSecret;
use crate::Language;

/// Settings of package managers for JavaScript.
const NPM: &[&str] = &[".npmrc", ".yarnrc.yml", "bunfig.toml"];

/// The secrets that the repository's own settings of private registries ask for.
///
/// Where a tool reads a credential from a variable that the settings name, the secret has that variable's name; where it
/// reads a file of credentials, the secret is that file.
pub(crate) fn needed(app: &App<'_>) -> Vec<BuildSecret> {
    let mut secrets = match app.language {
        Language::Nodejs | Language::Deno => variables_of(app, NPM),
        Language::Python => python(app),
        Language::Go => go(app),
        Language::Java | Language::Scala | Language::Clojure => maven(app),
        Language::Rust => cargo(app),
        Language::Ruby => bundler(app),
        Language::Php => composer(app),
        Language::Dotnet => nuget(app),
        _ => Vec::new(),
    };
    if !matches!(app.language, Language::Nodejs | Language::Deno) && app.folder.has("package.json")
    {
        // What builds assets installs packages as well.
        secrets.extend(variables_of(app, NPM));
    }
    secrets.sort();
    secrets.dedup_by(|a, b| a.id == b.id);
    secrets
}

/// Variables in `pip`'s files, and the indexes that uv and Poetry know by name.
fn python(app: &App<'_>) -> Vec<BuildSecret> {
    let mut secrets = variables_of(app, &["requirements.txt", "pip.conf", "Pipfile"]);
    let Some(project) = app.folder.toml("pyproject.toml") else {
        return secrets;
    };
    for (tool, list, prefix) in [
        // https://docs.astral.sh/uv/concepts/indexes/#authentication
        ("uv", "index", "UV_INDEX"),
        // https://python-poetry.org/docs/repositories/#configuring-credentials
        ("poetry", "source", "POETRY_HTTP_BASIC"),
    ] {
        let sources = project
            .get("tool")
            .and_then(|all| all.get(tool)?.get(list)?.as_array());
        for source in sources.into_iter().flatten() {
            let text = |key: &str| source.get(key).and_then(toml::Value::as_str);
            let (Some(name), Some(url)) = (text("name"), text("url")) else {
                continue;
            };
            if !is_public(url) {
                let prefix = format!("{prefix}_{}", variable_name(name));
                let why = format!("pyproject.toml installs packages from {}", host(url));
                secrets.push(BuildSecret::env(format!("{prefix}_USERNAME"), &why));
                secrets.push(BuildSecret::env(format!("{prefix}_PASSWORD"), &why));
            }
        }
    }
    secrets
}

/// Modules of hosts that are no public forge need a login, which git and Go read from `.netrc`.
fn go(app: &App<'_>) -> Vec<BuildSecret> {
    const PUBLIC: &[&str] = &["bitbucket.org", "git.sr.ht", "gitlab.com"];
    const PRIVATE_MARKS: &[&str] = &["git.", "gitlab.", "gitea.", "bitbucket.", "stash.", "code."];
    let text = app.folder.text("go.mod").unwrap_or_default();
    let modules = text
        .lines()
        .map(|line| line.trim().trim_start_matches("require "));
    let private = modules
        .filter_map(|line| line.split_once(" v"))
        .map(|(module, _)| module.split('/').next().unwrap_or_default())
        .find(|host| {
            // Names that lead to another host by a page (`gopkg.in`) are too many to list: a forge's name decides.
            !PUBLIC.contains(host) && PRIVATE_MARKS.iter().any(|mark| host.starts_with(mark))
        });
    let private = private.map(|host| {
        BuildSecret::file(
            "netrc",
            "/root/.netrc",
            format!("go.mod requires modules from {host}"),
        )
    });
    private.into_iter().collect()
}

/// Repositories beside Maven Central take their logins from `settings.xml`.
fn maven(app: &App<'_>) -> Vec<BuildSecret> {
    const PUBLIC: &[&str] = &[
        "repo1.maven.org",
        "repo.maven.apache.org",
        "maven.google.com",
        "dl.google.com",
        "repo.spring.io",
        "plugins.gradle.org",
        "jitpack.io",
        "oss.sonatype.org",
        "s01.oss.sonatype.org",
        "central.sonatype.com",
        "repo.clojars.org",
        "packages.confluent.io",
        "repository.apache.org",
        "repo.jenkins-ci.org",
    ];
    let pom = app.folder.text("pom.xml").unwrap_or_default();
    let private = pom
        .split("<repository>")
        .skip(1)
        .filter_map(|rest| {
            rest.split("</repository>")
                .next()?
                .split("<url>")
                .nth(1)?
                .split('<')
                .next()
        })
        .map(host)
        .find(|host| !host.is_empty() && !host.contains('$') && !PUBLIC.contains(host));
    if let Some(host) = private {
        return vec![BuildSecret::file(
            "maven-settings",
            "/root/.m2/settings.xml",
            format!("pom.xml installs packages from {host}"),
        )];
    }
    // Gradle's scripts read variables by name.
    let mut found = Vec::new();
    for file in [
        "settings.gradle",
        "settings.gradle.kts",
        "build.gradle",
        "build.gradle.kts",
        "build.sbt",
    ] {
        let text = app.folder.text(file).unwrap_or_default();
        for mark in ["System.getenv(", "environmentVariable(", "sys.env("] {
            for after in text.split(mark).skip(1) {
                let name = after.trim_start().trim_start_matches(['"', '\'']);
                let end = name.find(['"', '\'', ')']).unwrap_or(name.len());
                let name = &name[..end];
                if is_secret_name(name) {
                    found.push(BuildSecret::env(name, format!("{file} reads the variable")));
                }
            }
        }
    }
    found
}

/// <https://doc.rust-lang.org/cargo/reference/registry-authentication.html>
fn cargo(app: &App<'_>) -> Vec<BuildSecret> {
    let config = app
        .folder
        .toml(".cargo/config.toml")
        .or_else(|| app.folder.toml(".cargo/config"));
    let registries = config
        .as_ref()
        .and_then(|config| config.get("registries")?.as_table());
    let names = registries.into_iter().flat_map(toml::Table::keys);
    let secret = |name: &String| {
        BuildSecret::env(
            format!("CARGO_REGISTRIES_{}_TOKEN", variable_name(name)),
            format!(".cargo/config.toml names the registry {name}"),
        )
    };
    names.map(secret).collect()
}

/// <https://bundler.io/man/bundle-config.1.html#CREDENTIALS-FOR-GEM-SOURCES>
fn bundler(app: &App<'_>) -> Vec<BuildSecret> {
    let file = app
        .folder
        .first(&["Gemfile", "gems.rb"])
        .unwrap_or("Gemfile");
    let text = app.folder.text(file).unwrap_or_default();
    let urls = text.lines().filter_map(|line| {
        let rest = line.trim().strip_prefix("source")?;
        let rest = rest.trim_start_matches([' ', '(', '"', '\'']);
        rest.starts_with("http")
            .then(|| rest.split(['"', '\'']).next())?
    });
    let private = urls.filter(|url| !is_public(url)).map(|url| {
        let host = host(url);
        let name = host
            .replace('-', "___")
            .replace('.', "__")
            .to_ascii_uppercase();
        BuildSecret::env(
            format!("BUNDLE_{name}"),
            format!("{file} installs gems from {host}"),
        )
    });
    private.collect()
}

/// <https://getcomposer.org/doc/03-cli.md#composer-auth>
fn composer(app: &App<'_>) -> Vec<BuildSecret> {
    let json = app.folder.json("composer.json").unwrap_or_default();
    let repositories = match json.get("repositories") {
        Some(serde_json::Value::Array(all)) => all.iter().collect(),
        Some(serde_json::Value::Object(all)) => all.values().collect(),
        _ => Vec::new(),
    };
    let private = repositories
        .into_iter()
        .filter_map(|repository| repository.get("url")?.as_str())
        .find(|url| url.contains("://") && !is_public(url));
    let private = private.map(|url| {
        BuildSecret::env(
            "COMPOSER_AUTH",
            format!("composer.json installs packages from {}", host(url)),
        )
    });
    private.into_iter().collect()
}

/// `nuget.config` writes variables as `%NAME%`.
fn nuget(app: &App<'_>) -> Vec<BuildSecret> {
    let names = ["nuget.config", "NuGet.Config", "NuGet.config"];
    let Some(file) = app.folder.first(&names) else {
        return Vec::new();
    };
    let text = app.folder.text(file).unwrap_or_default();
    // Between two marks is a name, every second time.
    let names = text
        .split('%')
        .skip(1)
        .step_by(2)
        .filter(|name| is_variable(name));
    names
        .map(|name| BuildSecret::env(name, format!("{file} refers to the variable")))
        .collect()
}

/// The variables that these files refer to as `${NAME}`, `${NAME-default}` or `$NAME`.
fn variables_of(app: &App<'_>, files: &[&str]) -> Vec<BuildSecret> {
    let mut found = Vec::new();
    for file in files {
        let text = app.folder.text(file).unwrap_or_default();
        for name in variables(&text) {
            found.push(BuildSecret::env(
                name,
                format!("{file} refers to the variable"),
            ));
        }
    }
    found
}

fn variables(text: &str) -> Vec<&str> {
    let names = text.split('$').skip(1).map(|after| {
        let name = after.strip_prefix('{').unwrap_or(after);
        let end = name.find(|ch: char| !ch.is_ascii_alphanumeric() && ch != '_');
        &name[..end.unwrap_or(name.len())]
    });
    names.filter(|name| is_variable(name)).collect()
}

/// Whether it is written as variables of the environment are: they go into the Dockerfile.
fn is_variable(name: &str) -> bool {
    name.starts_with(|ch: char| ch.is_ascii_uppercase() || ch == '_')
        && name
            .chars()
            .all(|ch| ch.is_ascii_uppercase() || ch.is_ascii_digit() || ch == '_')
}

/// Whether a variable of this name holds a login rather than a setting of the build.
fn is_secret_name(name: &str) -> bool {
    const MARKS: &[&str] = &[
        "TOKEN",
        "PASSWORD",
        "SECRET",
        "KEY",
        "USER",
        "ACTOR",
        "CREDENTIAL",
    ];
    is_variable(name) && MARKS.iter().any(|mark| name.contains(mark))
}

/// A name as part of a variable's name.
fn variable_name(name: &str) -> String {
    let char = |ch: char| {
        if ch.is_ascii_alphanumeric() {
            ch.to_ascii_uppercase()
        } else {
            '_'
        }
    };
    name.chars().map(char).collect()
}

/// The host of a URL, without user and port.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    host.split(':').next().unwrap_or_default()
}

/// Whether packages come from a registry that is open to everybody.
fn is_public(url: &str) -> bool {
    const PUBLIC: &[&str] = &[
        "asset-packagist.org",
        "download.pytorch.org",
        "files.pythonhosted.org",
        "github.com",
        "gitlab.com",
        "packages.drupal.org",
        "packagist.org",
        "pypi.org",
        "pypi.python.org",
        "repo.packagist.org",
        "rubygems.org",
        "test.pypi.org",
        "wheels.vllm.ai",
        "wpackagist.org",
        "index.rubygems.org",
    ];
    PUBLIC.contains(&host(url))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::secret::SecretTarget;
    use crate::{BaseImages, Detector, generate};
    use pipeops_core::source::MemTree;

    /// A language, the files of a project, the secrets and where they are mounted.
    type Case = (
        Language,
        &'static [(&'static str, &'static str)],
        &'static [(&'static str, &'static str)],
    );

    const PACKAGE: (&str, &str) = ("package.json", r#"{"dependencies": {"a": "1"}}"#);
    const MAIN: (&str, &str) = ("main.go", "package main");

    // One line per project.
    #[rustfmt::skip]
    const CASES: &[Case] = &[
        (Language::Nodejs, &[PACKAGE, (".npmrc", "//npm.example.com/:_authToken=${NPM_TOKEN}\n")], &[("NPM_TOKEN", "NPM_TOKEN")]),
        (Language::Nodejs, &[PACKAGE, (".npmrc", "save-exact=true")], &[]),
        (Language::Python, &[("requirements.txt", "--index-url https://x:${PIP_TOKEN}@pypi.example.com/simple\nflask")], &[("PIP_TOKEN", "PIP_TOKEN")]),
        (Language::Python, &[("pyproject.toml", "[project]\nname='x'\n[[tool.uv.index]]\nname='in-house'\nurl='https://pypi.example.com/simple'\n[[tool.uv.index]]\nname='pypi'\nurl='https://pypi.org/simple'"), ("uv.lock", "")], &[("UV_INDEX_IN_HOUSE_PASSWORD", "UV_INDEX_IN_HOUSE_PASSWORD"), ("UV_INDEX_IN_HOUSE_USERNAME", "UV_INDEX_IN_HOUSE_USERNAME")]),
        (Language::Go, &[("go.mod", "module x\n\nrequire (\n\tgit.example.com/a/b v1.0.0\n\tgithub.com/a/b v1.0.0\n)"), MAIN], &[("netrc", "/root/.netrc")]),
        (Language::Go, &[("go.mod", "module x\nrequire gorm.io/gorm v1.25.0\n"), MAIN], &[]),
        (Language::Java, &[("pom.xml", "<project><artifactId>shop</artifactId><version>1</version><parent><artifactId>spring-boot-starter-parent</artifactId></parent><build><plugins><plugin><artifactId>spring-boot-maven-plugin</artifactId></plugin></plugins></build><repositories><repository><id>x</id><url>https://nexus.example.com/m2</url></repository></repositories></project>")], &[("maven-settings", "/root/.m2/settings.xml")]),
        (Language::Rust, &[("Cargo.toml", "[package]\nname='x'"), ("src/main.rs", ""), (".cargo/config.toml", "[registries.in-house]\nindex='sparse+https://x/'")], &[("CARGO_REGISTRIES_IN_HOUSE_TOKEN", "CARGO_REGISTRIES_IN_HOUSE_TOKEN")]),
        (Language::Ruby, &[("Gemfile", "source 'https://rubygems.org'\nsource \"https://gems.my-shop.com\" do\nend")], &[("BUNDLE_GEMS__MY___SHOP__COM", "BUNDLE_GEMS__MY___SHOP__COM")]),
        (Language::Php, &[("composer.json", r#"{"repositories": [{"type": "composer", "url": "https://repo.example.com"}]}"#), ("index.php", "")], &[("COMPOSER_AUTH", "COMPOSER_AUTH")]),
        (Language::Dotnet, &[("a.csproj", "<Project Sdk=\"Microsoft.NET.Sdk.Web\">"), ("nuget.config", "<add key=\"ClearTextPassword\" value=\"%NUGET_TOKEN%\" />")], &[("NUGET_TOKEN", "NUGET_TOKEN")]),
    ];

    #[test]
    fn settings_of_private_registries_name_their_secrets() {
        for (language, files, expected) in CASES {
            let tree: MemTree = files
                .iter()
                .copied()
                .chain([("Procfile", "web: x")])
                .collect();
            let detection = Detector::new().language(*language).detect(&tree);
            let generated = generate(&tree, &detection, &BaseImages::default()).unwrap();
            let mut found = Vec::new();
            for secret in &generated.secrets {
                let mount = format!("--mount={} ", secret.mount());
                assert!(generated.dockerfile.contains(&mount), "{secret:?}");
                let (SecretTarget::Env(target) | SecretTarget::File(target)) = &secret.target;
                found.push((secret.id.as_str(), target.as_str()));
            }
            assert_eq!(found, *expected, "{files:?}");
        }
    }

    #[test]
    fn hosts_are_read_without_logins() {
        let url = "https://user:x@pypi.example.com:8443/simple";
        assert_eq!(host(url), "pypi.example.com");
        assert!(
            is_public("https://rubygems.org") && !is_public("https://rubygems.org.example.com")
        );
    }

    #[test]
    fn what_is_no_variable_gets_into_no_dockerfile() {
        assert_eq!(
            variables("a=${NPM_TOKEN} b=$X c=${x} d=$(id) e=${A\nB}"),
            ["NPM_TOKEN", "X", "A"]
        );
    }
}
