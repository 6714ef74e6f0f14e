//! Ruby.

use super::gems::{GEMFILES, Gems, LOCKS};
use super::serve;
use crate::Language;
use crate::findings::{Findings, Role, weight};
use crate::languages::nodejs::frontend::Frontend;
use crate::plan::Command;
use crate::repository::folder::Folder;
use crate::repository::version::{managed, number, resolve, within};

/// The version where the project asks for none, or only for a least one.
const DEFAULT_VERSION: &str = "3.4";

const FRAMEWORKS: &[(&str, &str)] = &[
    ("rails", "rails"),
    ("railties", "rails"),
    ("hanami", "hanami"),
    ("padrino", "padrino"),
    ("sinatra", "sinatra"),
    ("grape", "grape"),
    ("roda", "roda"),
    ("cuba", "cuba"),
    ("syro", "syro"),
    ("camping", "camping"),
    ("agoo", "agoo"),
    ("jekyll", "jekyll"),
    ("github-pages", "jekyll"),
    ("bridgetown", "bridgetown"),
    ("middleman", "middleman"),
    ("nanoc", "nanoc"),
    ("rack", "rack"),
];

/// Gems that build or release apps of other languages, and linters.
const TOOLS: &[&str] = &[
    "fastlane",
    "cocoapods",
    "danger",
    "rubocop",
    "xcpretty",
    "overcommit",
    "mdl",
    "html-proofer",
];

/// Looks for a Ruby app.
pub(crate) fn detect(folder: &Folder<'_>) -> Findings {
    let mut found = Findings::none(Language::Ruby);
    let gemfile = found.add_file(weight::MANIFEST, folder, GEMFILES, "lists Ruby gems");
    found.lockfile(folder, LOCKS, "Bundler");
    let gems = Gems::read(folder);
    if let Some(file) = gemfile {
        found.framework(folder, file, FRAMEWORKS, |name| gems.has(name));
    }
    serve::find(&mut found, folder, &gems);
    if !found.found() {
        return found;
    }
    if found.plan.start.is_none() && found.output.is_none() {
        let tools = TOOLS.iter().any(|gem| gems.has(gem) || gems.has_tool(gem));
        let only_tools = tools && found.framework.is_none();
        found.role = if only_tools {
            Role::Tools
        } else {
            Role::Library
        };
    }
    version(&mut found, folder);
    if let Some(frontend) = Frontend::read(folder, "").filter(|_| found.plan.start.is_some()) {
        frontend.describe(&mut found, folder);
    }
    found.package_manager = gemfile.map(|_| "bundler".to_owned());
    found.plan.install = gemfile.map(|_| Command::new("bundle install"));
    found
}

fn version(found: &mut Findings, folder: &Folder<'_>) {
    if let Some(text) = folder.text(".ruby-version")
        && !text
            .trim_start()
            .starts_with(|ch: char| ch.is_ascii_digit())
        && !text.trim_start().starts_with("ruby-")
    {
        let name = text.lines().next().unwrap_or_default().trim();
        let says = format!("asks for {name}, but the images have only standard Ruby");
        found.add(weight::NONE, folder, ".ruby-version", says);
        return;
    }
    let line = |file: &'static str, from: fn(&str) -> Option<String>| {
        Some((file, folder.text(file).and_then(|text| from(&text))?))
    };
    let range = GEMFILES
        .iter()
        .find_map(|file| asked(&folder.text(file)?))
        .unwrap_or_default();
    // A range says what works, the exact version what is used, if it works.
    let exact = managed(folder, &["ruby"]);
    let used = exact
        .clone()
        .filter(|(_, version)| range.contains(OPERATORS) && within(&range, version));
    let said = line(".ruby-version", number)
        .or(used)
        .or_else(|| line("Gemfile", gemfile))
        .or_else(|| line("gems.rb", gemfile))
        .or(exact)
        .or_else(|| line("Gemfile.lock", locked))
        .or_else(|| line("gems.locked", locked));
    found.version(folder, said);
}

/// Signs of requirements that allow several versions.
const OPERATORS: [char; 4] = ['<', '>', '~', '!'];

/// The version that a Gemfile asks for.
fn gemfile(text: &str) -> Option<String> {
    resolve(&asked(text)?, DEFAULT_VERSION)
}

/// `ruby "3.3.0"`, `ruby ">= 3.1", "< 3.4"`. A file that it names instead is read anyway.
fn asked(text: &str) -> Option<String> {
    let mut lines = text.lines().map(str::trim_start);
    let line = lines.find_map(|line| line.strip_prefix("ruby ").or(line.strip_prefix("ruby(")))?;
    let quoted: Vec<&str> = line.split(['"', '\'']).skip(1).step_by(2).collect();
    let asked = quoted
        .iter()
        .filter(|text| text.contains(|ch: char| ch.is_ascii_digit()));
    Some(asked.copied().collect::<Vec<_>>().join(","))
}

/// `RUBY VERSION` of a lock file: `   ruby 3.1.2p20`.
fn locked(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("RUBY VERSION")?;
    number(rest.lines().nth(1)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::languages::layouts::{Layout, check};

    const APP: (&str, &str) = ("app.rb", "");
    const FILE: (&str, &str) = (".ruby-version", "ruby-3.3.1\n");
    const GEMFILE: (&str, &str) = ("Gemfile", "ruby \"~> 3.2.0\"\n");
    const TOOLS: (&str, &str) = (".tool-versions", "ruby 3.1.4\n");
    const LOCK: (&str, &str) = ("Gemfile.lock", "RUBY VERSION\n   ruby 3.0.2p107\n");

    // One line per layout.
    #[rustfmt::skip]
    const LAYOUTS: &[Layout] = &[
        (&[("Gemfile", "ruby '3.3.0'\ngem 'rails'"), ("config/application.rb", "")], &["port 3000", "version 3.3.0"]),
        (&[("Gemfile", "gem 'fastlane'")], &["role Tools"]),
        (&[("Gemfile", "group :development do\n  gem 'rubocop'\nend")], &["role Tools"]),
        (&[("x.txt", "")], &["found false"]),
        // Versions have their order.
        (&[FILE, GEMFILE, TOOLS, LOCK, APP], &["version 3.3.1"]),
        (&[GEMFILE, TOOLS, LOCK, APP], &["version 3.2.0"]),
        (&[TOOLS, LOCK, APP], &["version 3.1.4"]),
        // What version managers install goes before a range that allows it.
        (&[("Gemfile", "ruby \">= 3.4.0\"\n"), (".tool-versions", "ruby 4.0.6\n"), APP], &["version 4.0.6"]),
        (&[("Gemfile", "ruby \"~> 3.2\"\n"), ("mise.toml", "[tools]\nruby = \"3.4.1\""), APP], &["version 3.4.1"]),
        (&[("gems.rb", "ruby '>= 3.1', '< 3.3'\n"), (".tool-versions", "ruby 3.3.0"), APP], &["version 3.1"]),
        (&[("Gemfile", "ruby '3.2.1'\n"), (".tool-versions", "ruby 3.2"), APP], &["version 3.2.1"]),
        (&[LOCK, APP], &["version 3.0.2"]),
        (&[(".ruby-version", "jruby-9.4"), APP], &["version"]),
    ];

    #[test]
    fn layouts() {
        check(detect, LAYOUTS);
    }

    #[test]
    fn gemfiles_ask_for_versions() {
        for (line, expected) in [
            ("ruby file: \".ruby-version\"", None),
            ("ruby '>= 3.1'", Some(DEFAULT_VERSION)),
            ("ruby '>= 3.1', '< 3.3'", Some("3.1")),
            ("ruby ENV.fetch('RUBY', '3.2.2')", Some("3.2.2")),
        ] {
            assert_eq!(gemfile(line).as_deref(), expected, "{line}");
        }
    }
}
