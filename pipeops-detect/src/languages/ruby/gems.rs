//! Which gems an app depends on.

use std::collections::BTreeMap;

use crate::repository::folder::Folder;
use crate::repository::version::compare;

/// The files that list gems.
pub(crate) const GEMFILES: &[&str] = &["Gemfile", "gems.rb"];
/// What Bundler writes beside them.
pub(crate) const LOCKS: &[&str] = &["Gemfile.lock", "gems.locked"];

/// The gems of an app.
#[derive(Debug, Default)]
pub(crate) struct Gems {
    /// Those that it asks for where it is deployed.
    asked: Vec<String>,
    /// Those that only developers and tests use.
    tools: Vec<String>,
    /// All that are installed, with their versions, as the lock file says.
    locked: BTreeMap<String, String>,
    /// Whether the Gemfile insists on one patch release of Ruby.
    exact: bool,
}

impl Gems {
    /// Reads the Gemfile and its lock file.
    pub(crate) fn read(folder: &Folder<'_>) -> Self {
        let mut gems = Self::default();
        if let Some(text) = folder.first(GEMFILES).and_then(|file| folder.text(file)) {
            gems.gemfile(&text);
        }
        if let Some(text) = folder.first(LOCKS).and_then(|file| folder.text(file)) {
            // Four blanks: a gem; six: what it depends on.
            let lines = text.lines().filter_map(|line| line.strip_prefix("    "));
            let gem = |line: &str| {
                let (name, version) = line.strip_suffix(')')?.split_once(" (")?;
                (!name.starts_with(' ')).then(|| (name.to_owned(), version.to_owned()))
            };
            gems.locked = lines.filter_map(gem).collect();
        }
        gems
    }

    /// Whether the app asks for exactly this gem itself.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.asked.iter().any(|gem| gem == name)
    }

    /// Whether developers or tests use it.
    pub(crate) fn has_tool(&self, name: &str) -> bool {
        self.tools.iter().any(|gem| gem == name)
    }

    /// Whether the gem will be there: asked for, or brought by another one.
    pub(crate) fn installs(&self, name: &str) -> bool {
        self.has(name) || self.locked.contains_key(name) && !self.has_tool(name)
    }

    /// Whether the gem is locked to a version below this one.
    pub(crate) fn is_below(&self, name: &str, version: &str) -> bool {
        let locked = self.locked.get(name);
        locked.is_some_and(|locked| compare(locked, version).is_lt())
    }

    /// Whether the Gemfile insists on one patch release of Ruby.
    pub(crate) fn is_exact(&self) -> bool {
        self.exact
    }

    fn gemfile(&mut self, text: &str) {
        self.exact = text.lines().any(|line| {
            let asked = line.trim_start().strip_prefix("ruby ").unwrap_or_default();
            let asked = asked.trim_start_matches(['"', '\'']);
            let number = asked.split(['"', '\'']).next().unwrap_or_default();
            asked.starts_with("file:")
                || (number.matches('.').count() == 2 && !number.contains(' '))
        });
        // The groups around a line, one entry for each open block.
        let mut blocks: Vec<bool> = Vec::new();
        for line in text.lines() {
            let line = line.split(" #").next().unwrap_or_default().trim();
            if line == "end" {
                blocks.pop();
            } else if line.ends_with(" do")
                || line.starts_with("if ")
                || line.starts_with("unless ")
            {
                blocks.push(line.starts_with("group ") && is_for_tools(line));
            } else if let Some(name) = gem(line) {
                let inline = line.contains("group") && is_for_tools(line);
                match inline || blocks.contains(&true) {
                    true => self.tools.push(name.to_owned()),
                    false => self.asked.push(name.to_owned()),
                }
            }
        }
    }
}

/// The gem that a line of a Gemfile asks for.
fn gem(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("gem")?;
    let rest = rest.trim_start_matches([' ', '(', '\t']);
    let quote = rest.chars().next().filter(|ch| "\"'".contains(*ch))?;
    rest[1..].split(quote).next()
}

/// Whether groups are named, and only those of developers and tests.
fn is_for_tools(line: &str) -> bool {
    let groups = line.split(':').skip(1).map(|name| {
        let end = name.find(|ch: char| !ch.is_alphanumeric() && ch != '_');
        &name[..end.unwrap_or(name.len())]
    });
    let named: Vec<&str> = groups.filter(|name| !name.is_empty()).collect();
    let tools = ["development", "test", "tools", "ci", "lint"];
    let known = |name: &&str| tools.contains(name);
    named.iter().any(known)
        && !named
            .iter()
            .any(|name| ["default", "production"].contains(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipeops_core::source::MemTree;

    fn read(files: &[(&str, &str)]) -> Gems {
        let tree: MemTree = files.iter().copied().collect();
        Gems::read(&Folder::open(&tree, ""))
    }

    #[test]
    fn gems_are_whole_names() {
        for (line, expected) in [
            ("  gem \"rails\", \"~> 7\"", true),
            ("gem('rails')", true),
            ("gem 'rails-i18n'", false),
            ("# gem 'rails'", false),
        ] {
            assert_eq!(read(&[("Gemfile", line)]).has("rails"), expected, "{line}");
        }
    }

    #[test]
    fn what_only_developers_use_is_not_deployed() {
        let text = "group :development, :test do\n  platforms :mri do\n    gem 'a'\n  end\nend\n\
                    gem 'b'\ngem 'c', group: :test\ngroup :production do\n  gem 'd'\nend\n";
        let gems = read(&[("gems.rb", text)]);
        let has = ["a", "b", "c", "d"].map(|name| gems.has(name));
        assert_eq!(has, [false, true, false, true]);
        assert!(gems.has_tool("a"));
    }

    #[test]
    fn some_gemfiles_insist_on_a_patch_release() {
        for (line, expected) in [
            ("ruby '3.2.1'", true),
            ("ruby file: \".ruby-version\"", true),
            ("ruby '~> 3.2.0'", false),
            ("ruby '3.2'", false),
            ("gem 'x', '1.2.3'", false),
        ] {
            assert_eq!(read(&[("Gemfile", line)]).is_exact(), expected, "{line}");
        }
    }

    #[test]
    fn lock_files_name_what_comes_along() {
        let lock = "GEM\n  specs:\n    rails (7.0.3)\n      rack (>= 2)\n    rack (2.2.4)\n";
        let gems = read(&[("Gemfile", ""), ("Gemfile.lock", lock)]);
        assert!(gems.installs("rack") && !gems.has("rack"));
        assert!(gems.is_below("rails", "7.1") && !gems.is_below("rails", "7.0"));
    }
}
