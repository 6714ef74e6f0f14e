//! How a Ruby app is built and started.

use super::gems::{GEMFILES, Gems};
use crate::findings::{Findings, Role, weight};
use crate::plan::Command;
use crate::repository::folder::Folder;
use crate::repository::port::DEFAULT_PORT;
use crate::repository::port::{self, Port};
use crate::repository::shell::is_name;
use crate::repository::stand_in;

/// Names that programs have, the likeliest first.
const PROGRAMS: &[&str] = &[
    "app.rb",
    "main.rb",
    "server.rb",
    "web.rb",
    "application.rb",
    "bot.rb",
    "run.rb",
    "start.rb",
    "index.rb",
    "worker.rb",
    "api.rb",
];

/// Site generators: how they build, and into which folder.
const SITES: &[(&str, &str, &str)] = &[
    ("jekyll", "bundle exec jekyll build", "_site"),
    ("bridgetown", "bundle exec bridgetown deploy", "output"),
    ("middleman", "bundle exec middleman build", "build"),
    ("nanoc", "bundle exec nanoc compile", "output"),
];

/// Gems that make files for browsers out of an app's assets.
const PIPELINES: &[&str] = &[
    "sprockets-rails",
    "sprockets",
    "propshaft",
    "sassc-rails",
    "sass-rails",
    "webpacker",
    "shakapacker",
    "vite_rails",
    "jsbundling-rails",
    "cssbundling-rails",
    "tailwindcss-rails",
    "dartsass-rails",
    "importmap-rails",
];

/// Finds how the app is built and started.
pub(crate) fn find(found: &mut Findings, folder: &Folder<'_>, gems: &Gems) {
    let framework = found.framework.clone().unwrap_or_default();
    if let Some((_, build, output)) = SITES.iter().find(|(name, ..)| *name == framework) {
        let config = folder.text("_config.yml").unwrap_or_default();
        let told = config
            .lines()
            .find_map(|line| line.strip_prefix("destination:"));
        let told = told.map(|told| {
            told.trim()
                .trim_start_matches("./")
                .trim_matches(['"', '\''])
        });
        let told = told.filter(|told| !told.is_empty() && !told.starts_with(['/', '.']));
        found.output = Some(told.unwrap_or(output).to_owned());
        found.plan.build = Some(Command::new(build).into());
        found.port = Some(DEFAULT_PORT);
        found.role = Role::Frontend;
        return;
    }
    if framework == "rails" && rails(found, folder, gems) {
        return;
    }
    if found
        .add_file(weight::ENTRY, folder, &["config.ru"], "a Rack app")
        .is_some()
    {
        found.plan.start = Some(rack(folder, gems));
        found.port = Some(DEFAULT_PORT);
        return;
    }
    if framework != "sinatra" && worker(found, folder, gems) {
        return;
    }
    program(found, folder, &framework);
}

/// An app, not an engine: that has no configuration of its own.
fn rails(found: &mut Findings, folder: &Folder<'_>, gems: &Gems) -> bool {
    const FILES: &[&str] = &[
        "config/application.rb",
        "bin/rails",
        "config/environment.rb",
    ];
    if found
        .add_file(weight::ENTRY, folder, FILES, "a Rails app")
        .is_none()
    {
        return false;
    }
    found.port = Some(3000);
    found.plan.start = Some(Command::new("bundle exec rails server -b 0.0.0.0 -p $PORT"));
    let config = folder.text("config/application.rb").unwrap_or_default();
    let is_api = config
        .lines()
        .any(|line| line.trim() == "config.api_only = true");
    let pipeline = PIPELINES.iter().find(|gem| gems.installs(gem));
    let has_assets = folder.has_dir("app") && folder.sub("app").has_dir("assets");
    if pipeline.is_some() && !is_api || has_assets {
        // Rails before 7.1 does not know the other variable.
        let (secret, value) =
            match gems.is_below("railties", "7.1") || gems.is_below("rails", "7.1") {
                true => ("SECRET_KEY_BASE", "build-only"),
                false => ("SECRET_KEY_BASE_DUMMY", "1"),
            };
        let build = Command::new("bundle exec rails assets:precompile")
            .variable("RAILS_ENV", "production")
            .variable(secret, value);
        let build = required(folder, gems)
            .into_iter()
            .fold(build, |build, (name, value)| {
                // The secret has a stand-in of its own.
                match name == "SECRET_KEY_BASE" {
                    true => build,
                    false => build.variable(&name, value),
                }
            });
        found.plan.build = Some(build.into());
    }
    true
}

/// The variables without which Rails can't load its settings, with stand-ins for the build.
fn required(folder: &Folder<'_>, gems: &Gems) -> Vec<(String, &'static str)> {
    let database = if gems.installs("mysql2") || gems.installs("trilogy") {
        "mysql2://build:build@localhost/build"
    } else if gems.installs("pg") {
        "postgresql://build:build@localhost/build"
    } else {
        "sqlite3:/tmp/build.sqlite3"
    };
    let mut files: Vec<String> = [
        "config/application.rb",
        "config/database.yml",
        "config/environments/production.rb",
    ]
    .map(str::to_owned)
    .to_vec();
    let initializers = folder.sub("config/initializers");
    let own = initializers.ending(".rb").take(50);
    files.extend(own.map(|name| format!("config/initializers/{name}")));
    let mut names: Vec<String> = Vec::new();
    for file in files {
        let text = folder.text(&file).unwrap_or_default();
        let code = text
            .lines()
            .filter(|line| !line.trim_start().starts_with('#'));
        for line in code {
            for (at, mark) in line.match_indices("ENV.fetch(") {
                let rest = &line[at + mark.len()..];
                let Some(quote) = rest.chars().next().filter(|ch| "\"'".contains(*ch)) else {
                    continue;
                };
                let Some((name, after)) = rest[1..].split_once(quote) else {
                    continue;
                };
                // `fetch("X", y)` and `fetch("X") { y }` have defaults.
                let alone = after
                    .strip_prefix(')')
                    .is_some_and(|rest| !rest.trim_start().starts_with(['{', 'd']));
                if alone && is_name(name) {
                    names.push(name.to_owned());
                }
            }
        }
    }
    // Active Record wants one of the two.
    let databases = ["pg", "mysql2", "trilogy", "sqlite3"];
    if !folder.has("config/database.yml") && databases.iter().any(|gem| gems.has(gem)) {
        names.push("DATABASE_URL".to_owned());
    }
    names.sort();
    names.dedup();
    let value = |name: &String| match name.contains("DATABASE_URL") {
        true => database,
        false => stand_in::value(name),
    };
    names
        .into_iter()
        .map(|name| (name.clone(), value(&name)))
        .collect()
}

/// By the server that the app installs.
fn rack(folder: &Folder<'_>, gems: &Gems) -> Command {
    let config = |file: &str| folder.text(file).unwrap_or_default();
    let server = if gems.installs("puma") {
        // A configuration that reads PORT would listen a second time beside `-b`.
        match port::port(&config("config/puma.rb")) == Some(Port::FromEnvironment) {
            true => "puma -C config/puma.rb",
            false => "puma -b tcp://0.0.0.0:$PORT",
        }
    } else if gems.installs("falcon") {
        "falcon serve --bind http://0.0.0.0:$PORT"
    } else if gems.installs("unicorn") {
        match folder.has("config/unicorn.rb") {
            true => "unicorn -c config/unicorn.rb --host 0.0.0.0 --port $PORT",
            false => "unicorn --host 0.0.0.0 --port $PORT",
        }
    } else if gems.installs("thin") {
        "thin start --address 0.0.0.0 --port $PORT"
    } else if gems.installs("iodine") {
        "iodine -b 0.0.0.0 -p $PORT"
    } else {
        "rackup --host 0.0.0.0 --port $PORT"
    };
    match folder.first(GEMFILES) {
        Some(_) => Command::new("bundle exec").args(server),
        None => Command::new(server),
    }
}

/// A worker of a queue, where nothing is served.
fn worker(found: &mut Findings, folder: &Folder<'_>, gems: &Gems) -> bool {
    const FILES: &[&str] = &[
        "config/boot.rb",
        "config/environment.rb",
        "boot.rb",
        "environment.rb",
        "worker.rb",
        "workers.rb",
        "app.rb",
        "main.rb",
        "application.rb",
    ];
    if !gems.has("sidekiq") {
        return false;
    }
    let Some(file) = found.add_file(weight::ENTRY, folder, FILES, "loads the jobs") else {
        return false;
    };
    found.framework.get_or_insert("sidekiq".to_owned());
    found.plan.start = Some(Command::new("bundle exec sidekiq -r").arg(format!("./{file}")));
    true
}

fn program(found: &mut Findings, folder: &Folder<'_>, framework: &str) {
    let mut own = folder.ending(".rb").filter(|name| !GEMFILES.contains(name));
    let only = own.next().filter(|_| own.next().is_none());
    let Some(file) = folder.first(PROGRAMS).or(only) else {
        return;
    };
    found.add(weight::ENTRY, folder, file, "the program");
    let text = folder.text(file).unwrap_or_default();
    let requires =
        |name: &str| text.contains(&format!("'{name}'")) || text.contains(&format!("\"{name}\""));
    let classic = requires("sinatra") && !requires("sinatra/base");
    if framework.is_empty() && (classic || requires("sinatra/base")) {
        found.framework = Some("sinatra".to_owned());
    }
    // Sinatra listens inside of the container only, unless it is told otherwise.
    let options = if classic { "-o 0.0.0.0 -p $PORT" } else { "" };
    let ruby = match folder.first(GEMFILES) {
        Some(_) => "bundle exec ruby",
        None => "ruby",
    };
    found.plan.start = Some(Command::new(ruby).arg(file).args(options));
    let serves = !framework.is_empty() || requires("sinatra/base");
    found.port = match port(&text) {
        _ if classic => Some(DEFAULT_PORT),
        Some(port) => return found.listens_on(folder, file, port),
        None => serves.then_some(DEFAULT_PORT),
    };
}

/// The port that a program listens on; none where it does not listen.
fn port(text: &str) -> Option<u16> {
    const SERVES: &[&str] = &[
        "TCPServer",
        "WEBrick",
        "HTTPServer",
        "Rack::Handler",
        "Rackup::Handler",
        "run!",
        "Agoo",
    ];
    if port::port(text) == Some(Port::FromEnvironment) {
        return Some(DEFAULT_PORT);
    }
    if !SERVES.iter().any(|serves| text.contains(serves)) {
        return None;
    }
    let after = |before: &str| {
        let (_, rest) = text.split_once(before)?;
        let line = rest.lines().next()?;
        let line = line.split([')', '}']).next()?;
        let word = line.split([',', ' ']).rfind(|word| !word.is_empty())?;
        word.parse().ok()
    };
    let written = [
        "TCPServer.new(",
        "TCPServer.new ",
        "TCPServer.open(",
        "set :port, ",
    ];
    let written = written.into_iter().find_map(after);
    let named = [":Port =>", "Port:", "port:"].iter().find_map(|before| {
        let (_, rest) = text.split_once(before)?;
        let rest = rest.trim_start();
        let end = rest
            .find(|ch: char| !ch.is_ascii_digit())
            .unwrap_or(rest.len());
        rest[..end].parse().ok()
    });
    written.or(named).or(Some(DEFAULT_PORT))
}

#[cfg(test)]
mod tests {
    use super::super::detect::detect;
    use crate::languages::layouts::found;

    /// The Gemfile, other files, framework, command or folder to serve, and port.
    type Case = (
        &'static str,
        &'static [(&'static str, &'static str)],
        &'static str,
        &'static str,
        Option<u16>,
    );

    #[rustfmt::skip]
    const CASES: &[Case] = &[
        ("gem 'rails'\ngem 'puma'", &[("config/application.rb", ""), ("config.ru", "")], "rails", "bundle exec rails server -b 0.0.0.0 -p $PORT", Some(3000)),
        ("gem 'puma'", &[("config.ru", "")], "", "bundle exec puma -b tcp://0.0.0.0:$PORT", Some(8080)),
        ("gem 'sinatra'\ngem 'puma'", &[("config.ru", ""), ("config/puma.rb", "port ENV['PORT']")], "sinatra", "bundle exec puma -C config/puma.rb", Some(8080)),
        ("gem 'roda'\ngem 'unicorn'", &[("config.ru", "")], "roda", "bundle exec unicorn --host 0.0.0.0 --port $PORT", Some(8080)),
        ("gem 'hanami'", &[("config.ru", ""), ("config/app.rb", "")], "hanami", "bundle exec rackup --host 0.0.0.0 --port $PORT", Some(8080)),
        ("gem 'sinatra'", &[("app.rb", "require 'sinatra'\nget('/') { 'x' }")], "sinatra", "bundle exec ruby app.rb -o 0.0.0.0 -p $PORT", Some(8080)),
        ("gem 'sidekiq'", &[("worker.rb", "")], "sidekiq", "bundle exec sidekiq -r ./worker.rb", None),
        ("gem 'discordrb'", &[("bot.rb", "bot.run")], "", "bundle exec ruby bot.rb", None),
        ("", &[("server.rb", "TCPServer.new('0.0.0.0', 3000)")], "", "bundle exec ruby server.rb", Some(3000)),
        ("", &[("fetch.rb", "puts 1")], "", "bundle exec ruby fetch.rb", None),
        ("gem 'jekyll'", &[("_config.yml", "title: x\n")], "jekyll", "_site", Some(8080)),
        ("gem 'middleman'", &[("config.rb", "")], "middleman", "build", Some(8080)),
    ];

    #[test]
    fn each_app_is_started_by_what_is_installed() {
        for &(gemfile, files, framework, start, port) in CASES {
            let found = found(detect, &[&[("Gemfile", gemfile)], files].concat());
            let runs = found.start().or(found.output.clone());
            let texts = [found.framework.clone(), runs].map(Option::unwrap_or_default);
            let found = (texts[0].as_str(), texts[1].as_str(), found.port);
            assert_eq!(found, (framework, start, port), "{gemfile} {files:?}");
        }
    }

    #[test]
    fn assets_are_built_where_there_are_some() {
        let dummy =
            "RAILS_ENV=production SECRET_KEY_BASE_DUMMY=1 bundle exec rails assets:precompile";
        let old = dummy.replace("SECRET_KEY_BASE_DUMMY=1", "SECRET_KEY_BASE=build-only");
        // Without config/database.yml, Active Record asks for an address.
        let asking = dummy.replace(
            "bundle",
            "API_KEY=build-only-build-only-build-only DATABASE_URL=postgresql://build:build@localhost/build bundle",
        );
        let propshaft = "gem 'rails'\ngem 'propshaft'";
        for (gemfile, config, lock, expected) in [
            (propshaft, "", "", Some(dummy)),
            (propshaft, "", "    rails (7.0.3)\n", Some(old.as_str())),
            (propshaft, "  config.api_only = true", "", None),
            ("gem 'rails'", "", "", None),
            (
                "gem 'rails'\ngem 'propshaft'\ngem 'pg'",
                "a = ENV.fetch('API_KEY')\nENV.fetch('B', 1)\nENV.fetch(\"C\") { 2 }\n# ENV.fetch('D')",
                "",
                Some(asking.as_str()),
            ),
        ] {
            let files = [
                ("Gemfile", gemfile),
                ("config/application.rb", config),
                ("Gemfile.lock", lock),
            ];
            assert_eq!(
                found(detect, &files).build().as_deref(),
                expected,
                "{files:?}"
            );
        }
    }
}
