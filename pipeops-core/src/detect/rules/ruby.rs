//! Ruby.

use super::{DEFAULT_PORT, framework};
use crate::detect::Language;
use crate::detect::findings::{Findings, Role, weight};
use crate::detect::folder::Folder;
use crate::detect::version::{number, tool};

const FRAMEWORKS: &[(&str, &str)] = &[
    ("rails", "rails"),
    ("railties", "rails"),
    ("hanami", "hanami"),
    ("sinatra", "sinatra"),
    ("grape", "grape"),
    ("roda", "roda"),
    ("jekyll", "jekyll"),
    ("middleman", "middleman"),
];

/// Gems that build or release apps of other languages.
const TOOLS: &[&str] = &["fastlane", "cocoapods", "danger", "rubocop", "xcpretty"];

const GEMFILES: &[&str] = &["Gemfile", "gems.rb"];

/// Looks for a Ruby app.
pub(super) fn look(folder: &Folder<'_>) -> Findings {
    let mut found = Findings::none(Language::Ruby);
    let gemfile = found.add_file(weight::MANIFEST, folder, GEMFILES, "lists Ruby gems");
    found.add_file(
        weight::LOCKFILE,
        folder,
        &["Gemfile.lock", "gems.locked"],
        "written by Bundler",
    );
    let gems = gemfile
        .and_then(|file| folder.text(file))
        .unwrap_or_default();
    let has = |name: &str| has_gem(&gems, name);
    if let Some(file) = gemfile
        && let Some((gem, name)) = framework(FRAMEWORKS, has)
    {
        found.add(weight::FRAMEWORK, folder, file, format!("depends on {gem}"));
        found.framework = Some(name);
    }
    start(&mut found, folder, has("puma"));
    if !found.found() {
        return found;
    }
    if found.start.is_none() {
        let tools = TOOLS.iter().any(|gem| has(gem));
        found.role = if tools { Role::Tools } else { Role::Library };
    }
    found.version(folder, version(folder, &gems));
    found.package_manager = gemfile.map(|_| "bundler".to_owned());
    found.install = gemfile.map(|_| "bundle install".to_owned());
    found
}

/// Whether a Gemfile asks for exactly this gem.
fn has_gem(gemfile: &str, name: &str) -> bool {
    gemfile.lines().any(|line| {
        let Some(rest) = line.trim_start().strip_prefix("gem") else {
            return false;
        };
        let rest = rest.trim_start_matches([' ', '(', '\t']);
        ['"', '\''].iter().any(|quote| {
            let asked = rest
                .strip_prefix(*quote)
                .and_then(|rest| rest.split(*quote).next());
            asked == Some(name)
        })
    })
}

fn start(found: &mut Findings, folder: &Folder<'_>, puma: bool) {
    let command = match found.framework.as_deref() {
        Some("rails") => {
            found.add_file(
                weight::ENTRY,
                folder,
                &["config/application.rb", "bin/rails"],
                "a Rails app",
            );
            found.port = Some(3000);
            Some("bundle exec rails server -b 0.0.0.0 -p $PORT".to_owned())
        }
        Some("jekyll") => {
            found.output = Some("_site".to_owned());
            found.build = Some("bundle exec jekyll build".to_owned());
            found.role = Role::Frontend;
            None
        }
        _ => None,
    };
    found.start = command.or_else(|| rack_or_script(found, folder, puma));
    if found.start.is_some() || found.output.is_some() {
        found.port.get_or_insert(DEFAULT_PORT);
    }
}

fn rack_or_script(found: &mut Findings, folder: &Folder<'_>, puma: bool) -> Option<String> {
    if found
        .add_file(weight::ENTRY, folder, &["config.ru"], "a Rack app")
        .is_some()
    {
        let server = if puma {
            "puma -b tcp://0.0.0.0:$PORT"
        } else {
            "rackup --host 0.0.0.0 --port $PORT"
        };
        return Some(format!("bundle exec {server}"));
    }
    let programs = ["app.rb", "main.rb", "server.rb", "web.rb", "application.rb"];
    let file = found.add_file(weight::ENTRY, folder, &programs, "the program")?;
    let bundled = folder.first(GEMFILES).is_some();
    Some(if bundled {
        format!("bundle exec ruby {file}")
    } else {
        format!("ruby {file}")
    })
}

fn version(folder: &Folder<'_>, gems: &str) -> Option<(&'static str, String)> {
    if let Some(version) = folder.text(".ruby-version").and_then(|text| number(&text)) {
        return Some((".ruby-version", version));
    }
    let line = gems
        .lines()
        .find_map(|line| line.trim_start().strip_prefix("ruby "));
    if let Some(version) = line.and_then(number) {
        return Some(("Gemfile", version));
    }
    let version = tool(&folder.text(".tool-versions")?, &["ruby"])?;
    Some((".tool-versions", version))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::MemTree;

    fn found(files: &[(&str, &str)]) -> Findings {
        let tree: MemTree = files.iter().copied().collect();
        look(&Folder::open(&tree, ""))
    }

    #[test]
    fn gems_are_whole_names() {
        assert!(has_gem("  gem \"rails\", \"~> 7\"", "rails"));
        assert!(!has_gem("gem 'rails-i18n'", "rails"));
        assert!(!has_gem("# gem 'rails'", "rails"));
    }

    #[test]
    fn apps_and_tools() {
        let rails = found(&[
            ("Gemfile", "ruby '3.3.0'\ngem 'rails'"),
            ("config/application.rb", ""),
        ]);
        assert_eq!(
            (rails.port, rails.version.as_deref()),
            (Some(3000), Some("3.3.0"))
        );
        assert_eq!(found(&[("Gemfile", "gem 'fastlane'")]).role, Role::Tools);
        let rack = found(&[("gems.rb", "gem 'puma'"), ("config.ru", "")]);
        assert_eq!(
            rack.start.as_deref(),
            Some("bundle exec puma -b tcp://0.0.0.0:$PORT")
        );
        assert!(!found(&[("x.txt", "")]).found());
    }
}
