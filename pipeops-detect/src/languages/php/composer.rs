//! Reads Composer's files: packages, the PHP version, and extensions.

use serde_json::Value;

use crate::repository::folder::Folder;
use crate::repository::version::{compare, managed, number, resolve, shorten};

/// The version where the project asks for none, or only for a least one.
pub(crate) const DEFAULT_VERSION: &str = "8.3";

/// Extensions that images of PHP have.
const BUILT_IN: &[&str] = &[
    "core",
    "ctype",
    "curl",
    "date",
    "dom",
    "fileinfo",
    "filter",
    "ftp",
    "hash",
    "iconv",
    "json",
    "libxml",
    "mbstring",
    "mysqlnd",
    "openssl",
    "pcre",
    "pdo",
    "pdo_sqlite",
    "phar",
    "posix",
    "random",
    "readline",
    "reflection",
    "session",
    "simplexml",
    "sodium",
    "spl",
    "sqlite3",
    "standard",
    "tokenizer",
    "xml",
    "xmlreader",
    "xmlwriter",
    "zlib",
];

/// Composer's files.
#[derive(Debug, Default)]
pub(crate) struct Composer {
    json: Value,
    lock: Value,
}

impl Composer {
    /// Reads `composer.json` and `composer.lock`.
    pub(crate) fn read(folder: &Folder<'_>) -> Self {
        Self {
            json: folder.json("composer.json").unwrap_or_default(),
            lock: folder.json("composer.lock").unwrap_or_default(),
        }
    }

    /// Whether installing reads files of the project: packages that are folders or archives in it, patches, and other
    /// files of the same kind that a plugin merges.
    pub(crate) fn reads_project(&self) -> bool {
        let repositories = match self.json.get("repositories") {
            Some(Value::Array(all)) => all.iter().collect(),
            Some(Value::Object(all)) => all.values().collect(),
            _ => Vec::new(),
        };
        let kinds = ["path", "artifact"];
        let local = |repository: &&Value| {
            let kind = repository.get("type").and_then(Value::as_str);
            kind.is_some_and(|kind| kinds.contains(&kind))
        };
        let extra = self.json.get("extra");
        let has = |name: &str| extra.is_some_and(|extra| extra.get(name).is_some());
        let plugins = ["merge-plugin", "patches", "patches-file"];
        repositories.iter().any(local) || plugins.iter().any(|name| has(name))
    }

    /// Whether the project requires exactly this package.
    pub(crate) fn requires(&self, package: &str) -> bool {
        self.json
            .get("require")
            .is_some_and(|all| all.get(package).is_some())
    }

    /// The extensions that the project and its packages require, without those that images have.
    pub(crate) fn extensions(&self) -> Vec<String> {
        let own = self.json.get("require").into_iter();
        let all = own.chain(self.packages().filter_map(|package| package.get("require")));
        let names = all.filter_map(Value::as_object).flat_map(|all| all.keys());
        let names = names.filter_map(|name| name.strip_prefix("ext-"));
        let names = names.map(|name| name.to_ascii_lowercase().replace('-', "_"));
        let mut names: Vec<String> = names
            .map(|name| match name.as_str() {
                "zend_opcache" => "opcache".to_owned(),
                _ => name,
            })
            .filter(|name| !BUILT_IN.contains(&name.as_str()))
            .collect();
        names.sort();
        names.dedup();
        names
    }

    /// A text of `composer.json`, by its path.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.json.pointer(path).and_then(Value::as_str)
    }

    fn packages(&self) -> impl Iterator<Item = &Value> {
        let packages = self.lock.get("packages").and_then(Value::as_array);
        packages.into_iter().flatten()
    }

    /// The version that the project asks for: `config.platform.php` is what its packages were chosen for.
    fn asked(&self) -> Option<String> {
        let platform = self.text("/config/platform/php").and_then(number);
        platform.or_else(|| {
            let spec = self.text("/require/php")?;
            resolve(&spec.replace('|', " || "), DEFAULT_VERSION)
        })
    }

    /// A locked package that needs a newer version, with that version.
    fn needs_newer(&self, version: &str) -> Option<(&str, String)> {
        let needs = self.packages().filter_map(|package| {
            let spec = package.pointer("/require/php")?.as_str()?;
            let least = spec
                .split('|')
                .filter_map(number)
                .min_by(|a, b| compare(a, b))?;
            Some((package.get("name")?.as_str()?, shorten(&least, 2)))
        });
        let newest = needs.max_by(|(_, a), (_, b)| compare(a, b))?;
        compare(&newest.1, &shorten(version, 2))
            .is_gt()
            .then_some(newest)
    }
}

/// The version of PHP, with the file that says so and what it says.
pub(crate) fn version(
    folder: &Folder<'_>,
    composer: &Composer,
) -> Option<(&'static str, String, String)> {
    let line = |file: &'static str, from: fn(&str) -> Option<String>| {
        Some((file, folder.text(file).and_then(|text| from(&text))?))
    };
    let told = line(".php-version", number)
        .or_else(|| managed(folder, &["php"]))
        .or_else(|| Some(("composer.json", composer.asked()?)));
    let current = told
        .as_ref()
        .map_or(DEFAULT_VERSION, |(_, version)| version);
    if let Some((package, version)) = composer.needs_newer(current) {
        let says = format!("{package} requires version {version}");
        return Some(("composer.lock", version, says));
    }
    let (file, version) = told?;
    let says = format!("asks for version {version}");
    Some((file, version, says))
}

#[cfg(test)]
mod tests {
    use super::super::detect::detect;
    use super::*;
    use crate::languages::layouts::{Layout, check};
    use pipeops_core::source::MemTree;

    const JSON: (&str, &str) = ("composer.json", r#"{"require": {"php": "^8.0"}}"#);
    const LOCK: (&str, &str) = (
        "composer.lock",
        r#"{"packages": [{"name": "a/b", "require": {"php": "^7.4 || ^8.0"}}, {"name": "c/d", "require": {"php": ">=8.2"}}]}"#,
    );

    // One line per layout.
    #[rustfmt::skip]
    const LAYOUTS: &[Layout] = &[
        (&[("composer.json", r#"{"require": {"php": "^8.2"}}"#)], &["version 8.2"]),
        (&[("composer.json", r#"{"require": {"php": "^8.2|^8.3"}}"#)], &["version 8.3"]),
        (&[("composer.json", r#"{"require": {"php": "^7.4 || ^8.0"}}"#)], &["version 8.0"]),
        (&[("composer.json", r#"{"require": {"php": ">= 7.4"}}"#)], &["version 8.3"]),
        (&[("composer.json", r#"{"require": {"php": "^8.1"}, "config": {"platform": {"php": "8.4.1"}}}"#)], &["version 8.4.1"]),
        (&[("composer.json", r#"{"require": {}}"#)], &["version"]),
        (&[JSON, LOCK], &["version 8.2"]),
        (&[JSON, (".php-version", "8.4\n")], &["version 8.4"]),
    ];

    #[test]
    fn versions_of_composer() {
        check(detect, LAYOUTS);
    }

    #[test]
    fn extensions_are_those_that_images_lack() {
        let required =
            r#"{"require": {"ext-json": "*", "ext-intl": "*", "ext-Zend-OPcache": "*"}}"#;
        let locked = r#"{"packages": [{"require": {"ext-gd": "*", "ext-dom": "*"}}]}"#;
        let tree = MemTree::from([("composer.json", required), ("composer.lock", locked)]);
        let composer = Composer::read(&Folder::open(&tree, ""));
        assert_eq!(composer.extensions(), ["gd", "intl", "opcache"]);
    }
}
