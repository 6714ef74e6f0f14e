//! PHP.

use super::composer::{self, Composer};
use crate::Language;
use crate::findings::{Findings, Role, weight};
use crate::languages::nodejs::frontend::Frontend;
use crate::plan::{Build, Command};
use crate::repository::folder::Folder;
use crate::repository::port::DEFAULT_PORT;
use crate::repository::port::{self, Port};

const FRAMEWORKS: &[(&str, &str)] = &[
    ("laravel/framework", "laravel"),
    ("laravel/lumen-framework", "lumen"),
    ("drupal/core-recommended", "drupal"),
    ("drupal/core", "drupal"),
    ("roots/wordpress", "wordpress"),
    ("johnpbloch/wordpress", "wordpress"),
    ("johnpbloch/wordpress-core", "wordpress"),
    ("craftcms/cms", "craftcms"),
    ("typo3/cms-core", "typo3"),
    ("shopware/core", "shopware"),
    ("magento/product-community-edition", "magento"),
    ("sylius/sylius", "symfony"),
    ("symfony/framework-bundle", "symfony"),
    ("symfony/symfony", "symfony"),
    ("slim/slim", "slim"),
    ("cakephp/cakephp", "cakephp"),
    ("codeigniter4/framework", "codeigniter"),
    ("codeigniter/framework", "codeigniter"),
    ("yiisoft/yii2", "yii"),
    ("mezzio/mezzio", "mezzio"),
    ("laminas/laminas-mvc", "laminas"),
    ("flightphp/core", "flight"),
    ("leafs/leaf", "leaf"),
    ("hyperf/framework", "hyperf"),
];

/// Files that only projects of these have, for those that are not installed by Composer.
const SIGNS: &[(&str, &str)] = &[
    ("wp-settings.php", "wordpress"),
    ("wp-config-sample.php", "wordpress"),
    ("wp-config.php", "wordpress"),
    ("core/lib/Drupal.php", "drupal"),
    ("system/core/CodeIgniter.php", "codeigniter"),
];

/// Files that answer requests: those in folders first, because a second one at the root only points to them.
const INDEXES: &[&str] = &[
    "public/index.php",
    "web/index.php",
    "webroot/index.php",
    "htdocs/index.php",
    "public_html/index.php",
    "docroot/index.php",
    "pub/index.php",
    "www/index.php",
    "html/index.php",
    "frontend/web/index.php",
    "index.php",
];

/// Programs that are run by themselves.
const PROGRAMS: &[&str] = &[
    "server.php",
    "bot.php",
    "worker.php",
    "main.php",
    "app.php",
    "start.php",
    "run.php",
    "bin/server.php",
];

/// What programs contain that listen themselves.
const SERVERS: &[&str] = &[
    "React\\Http",
    "React\\Socket",
    "Workerman\\",
    "Swoole\\",
    "Amp\\Http\\Server",
];

/// Looks for a PHP app.
pub(crate) fn detect(folder: &Folder<'_>) -> Findings {
    let mut found = Findings::none(Language::Php);
    let composer = Composer::read(folder);
    let says = "a Composer project";
    if found
        .add_file(weight::MANIFEST, folder, &["composer.json"], says)
        .is_some()
    {
        found.package_manager = Some("composer".to_owned());
        found.plan.install = Some(Command::new("composer install --no-dev"));
    }
    found.lockfile(folder, &["composer.lock"], "Composer");
    frameworks(&mut found, folder, &composer);
    let commands = &["artisan", "bin/console", "bin/cake", "spark", "yii"];
    found.add_file(weight::HINT, folder, commands, "the framework's command");
    start(&mut found, folder);
    if found.plan.start.is_none() {
        found.role = Role::Library;
    } else if found.found() {
        assets(&mut found, folder);
    }
    if found.found()
        && let Some((file, version, says)) = composer::version(folder, &composer)
    {
        found.add(weight::HINT, folder, file, says);
        found.version = Some(version);
    }
    found
}

fn frameworks(found: &mut Findings, folder: &Folder<'_>, composer: &Composer) {
    let requires = |name: &str| composer.requires(name);
    if found.framework(folder, "composer.json", FRAMEWORKS, requires) {
        return;
    }
    if let Some((file, name)) = SIGNS.iter().find(|(file, _)| folder.has(file)) {
        found.add(weight::FRAMEWORK, folder, file, format!("a {name} file"));
        found.framework = Some((*name).to_owned());
    }
}

fn start(found: &mut Findings, folder: &Folder<'_>) {
    if found.framework.as_deref() == Some("hyperf") && folder.has("bin/hyperf.php") {
        found.add(weight::ENTRY, folder, "bin/hyperf.php", "the server");
        found.plan.start = Some(Command::new("php bin/hyperf.php start"));
        found.port = Some(9501);
        return;
    }
    let listens = |file: &str| {
        let text = folder.text(file).unwrap_or_default();
        SERVERS.iter().any(|server| text.contains(server))
    };
    let index = folder.first(INDEXES);
    let program = folder.first(PROGRAMS);
    match (index, program) {
        (Some(file), _) if !(file == "index.php" && listens(file)) => {
            found.add(weight::ENTRY, folder, file, "serves requests");
            let root = file.strip_suffix("/index.php").unwrap_or(".");
            found.plan.start = Some(Command::new("php -S 0.0.0.0:$PORT -t").arg(root));
            found.port = Some(DEFAULT_PORT);
        }
        (Some(file), _) | (None, Some(file)) => {
            found.add(weight::ENTRY, folder, file, "the program");
            found.plan.start = Some(Command::new("php").arg(file));
            let text = folder.text(file).unwrap_or_default();
            match port::port(&text) {
                Some(Port::Fixed(port)) => found.listens_on(folder, file, port),
                Some(Port::FromEnvironment) => found.listens_on_variable(folder, file),
                None => found.port = listens(file).then_some(DEFAULT_PORT),
            }
        }
        _ => {}
    }
}

/// A front end beside the app is built into its files for browsers.
fn assets(found: &mut Findings, folder: &Folder<'_>) {
    if let Some(frontend) = Frontend::read(folder, "") {
        frontend.describe(found, folder);
        found.plan.build = frontend.build().map(Build::from);
    }
}

#[cfg(test)]
mod tests {
    use super::detect;
    use crate::languages::layouts::{Layout, check};

    const SYMFONY: (&str, &str) = (
        "composer.json",
        r#"{"require": {"symfony/framework-bundle": "^7"}}"#,
    );
    const INDEX: (&str, &str) = ("public/index.php", "");

    // One line per layout.
    #[rustfmt::skip]
    const LAYOUTS: &[Layout] = &[
        // A framework beside its front end.
        (&[("composer.json", r#"{"require": {"php": "^8.2", "laravel/framework": "^11"}}"#), ("artisan", ""), ("public/index.php", ""), ("package.json", r#"{"scripts": {"build": "vite build"}}"#)], &["framework laravel", "version 8.2", "start php -S 0.0.0.0:$PORT -t public", "build npm run build", "confidence 0.92"]),
        (&[SYMFONY, INDEX, ("yarn.lock", "# yarn lockfile v1"), ("package.json", r#"{"scripts": {"build:dev": "encore dev", "build:prod": "encore production"}}"#)], &["framework symfony", "build yarn run build:prod"]),
        (&[SYMFONY, INDEX, ("package.json", r#"{"devDependencies": {"@symfony/webpack-encore": "5"}}"#)], &["build npx encore production"]),
        (&[SYMFONY, INDEX, ("bun.lock", ""), ("package.json", r#"{"scripts": {"production": "mix --production"}}"#)], &["build bun run production"]),
        // Roots and programs.
        (&[("webroot/index.php", ""), ("index.php", "")], &["framework", "start php -S 0.0.0.0:$PORT -t webroot", "port 8080"]),
        (&[("index.php", ""), ("wp-settings.php", "")], &["framework wordpress", "start php -S 0.0.0.0:$PORT -t .", "port 8080"]),
        (&[("index.php", "use React\\Http\\HttpServer; port: 9000")], &["framework", "start php index.php", "port 9000"]),
        (&[("bot.php", "<?php")], &["framework", "start php bot.php", "port"]),
        (&[("composer.json", "{}"), ("src/A.php", "")], &["role Library"]),
    ];

    #[test]
    fn layouts() {
        check(detect, LAYOUTS);
    }
}
