//! PHP.

use serde_json::Value;

use super::{DEFAULT_PORT, framework};
use crate::detect::Language;
use crate::detect::findings::{Findings, Role, weight};
use crate::detect::folder::Folder;
use crate::detect::version::resolve;

/// The version where the project asks for none, or only for a least one.
const DEFAULT_VERSION: &str = "8.3";

const FRAMEWORKS: &[(&str, &str)] = &[
    ("laravel/framework", "laravel"),
    ("symfony/framework-bundle", "symfony"),
    ("slim/slim", "slim"),
    ("cakephp/cakephp", "cakephp"),
    ("codeigniter4/framework", "codeigniter"),
    ("yiisoft/yii2", "yii"),
    ("laminas/laminas-mvc", "laminas"),
];

/// Looks for a PHP app.
pub(super) fn look(folder: &Folder<'_>) -> Findings {
    let mut found = Findings::none(Language::Php);
    let composer = folder.json("composer.json");
    if found
        .add_file(
            weight::MANIFEST,
            folder,
            &["composer.json"],
            "a Composer project",
        )
        .is_some()
    {
        found.package_manager = Some("composer".to_owned());
        found.install = Some("composer install --no-dev".to_owned());
    }
    found.add_file(
        weight::LOCKFILE,
        folder,
        &["composer.lock"],
        "written by Composer",
    );
    let requires = |name: &str| {
        composer.as_ref().is_some_and(|json| {
            json.get("require")
                .is_some_and(|all| all.get(name).is_some())
        })
    };
    if let Some((dependency, name)) = framework(FRAMEWORKS, requires) {
        found.add(
            weight::FRAMEWORK,
            folder,
            "composer.json",
            format!("requires {dependency}"),
        );
        found.framework = Some(name);
    }
    found.add_file(
        weight::HINT,
        folder,
        &["artisan", "bin/console"],
        "the framework's command",
    );
    let index = found.add_file(
        weight::ENTRY,
        folder,
        &["public/index.php", "index.php", "web/index.php"],
        "answers requests",
    );
    match index {
        Some(file) => serve(&mut found, file),
        None => found.role = Role::Library,
    }
    let asked = composer
        .as_ref()
        .and_then(|json| json.pointer("/require/php").and_then(Value::as_str));
    let asked = asked.and_then(|spec| resolve(&spec.replace('|', " || "), DEFAULT_VERSION));
    found.version(folder, asked.map(|version| ("composer.json", version)));
    found
}

fn serve(found: &mut Findings, index: &str) {
    let root = index.strip_suffix("/index.php").unwrap_or(".");
    found.start = Some(format!("php -S 0.0.0.0:$PORT -t {root}"));
    found.port = Some(DEFAULT_PORT);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::MemTree;

    #[test]
    fn a_framework_beside_its_frontend() {
        let tree = MemTree::from([
            (
                "composer.json",
                r#"{"require": {"php": "^8.2", "laravel/framework": "^11"}}"#,
            ),
            ("artisan", ""),
            ("public/index.php", ""),
        ]);
        let found = look(&Folder::open(&tree, ""));
        assert_eq!(found.framework.as_deref(), Some("laravel"));
        assert_eq!(found.version.as_deref(), Some("8.2"));
        assert_eq!(
            found.start.as_deref(),
            Some("php -S 0.0.0.0:$PORT -t public")
        );
        assert!(found.confidence() > 0.85);
    }
}
