//! What each PHP framework needs at run time: extensions, writable folders, settings.

/// A framework's needs.
pub(crate) struct Needs {
    /// Extensions that it loads, besides those that Composer's files name.
    pub(crate) extensions: &'static [&'static str],
    /// Folders that it writes to, and what must be in them.
    pub(crate) folders: &'static [(&'static str, &'static [&'static str])],
    /// Settings by variables.
    pub(crate) settings: &'static [(&'static str, &'static str)],
    /// Commands before the user changes, with the reason.
    pub(crate) prepare: Option<(&'static str, &'static str)>,
}

const NOTHING: Needs = Needs {
    extensions: &[],
    folders: &[],
    settings: &[],
    prepare: None,
};

const STORAGE: &[&str] = &[
    "app/public",
    "framework/cache/data",
    "framework/sessions",
    "framework/views",
    "logs",
];

/// Frameworks, sorted.
const TABLE: &[(&str, Needs)] = &[
    (
        "cakephp",
        Needs {
            extensions: &["intl", "pdo_mysql"],
            folders: &[
                (
                    "tmp",
                    &[
                        "cache/models",
                        "cache/persistent",
                        "cache/views",
                        "sessions",
                    ],
                ),
                ("logs", &[]),
            ],
            ..NOTHING
        },
    ),
    (
        "codeigniter",
        Needs {
            extensions: &["intl", "mysqli"],
            folders: &[(
                "writable",
                &["cache", "debugbar", "logs", "session", "uploads"],
            )],
            settings: &[("CI_ENVIRONMENT", "production")],
            ..NOTHING
        },
    ),
    (
        "craftcms",
        Needs {
            extensions: &["bcmath", "gd", "intl", "pdo_mysql", "pdo_pgsql", "zip"],
            folders: &[("storage", &["logs", "runtime"])],
            ..NOTHING
        },
    ),
    (
        "drupal",
        Needs {
            extensions: &["gd", "pdo_mysql", "pdo_pgsql", "zip"],
            ..NOTHING
        },
    ),
    (
        "laravel",
        Needs {
            extensions: &["bcmath", "pcntl", "pdo_mysql", "pdo_pgsql"],
            folders: &[("storage", STORAGE)],
            settings: &[("APP_ENV", "production"), ("LOG_CHANNEL", "stderr")],
            prepare: Some((
                "APP_KEY=base64:YnVpbGQtb25seS1idWlsZC1vbmx5LWJ1aWxkLW9ubHk= DB_CONNECTION=sqlite DB_DATABASE=:memory: php artisan package:discover --ansi",
                "writes the package lists to bootstrap/cache, which is read-only at run time; key and database are stand-ins for this step",
            )),
        },
    ),
    (
        "lumen",
        Needs {
            extensions: &["pdo_mysql", "pdo_pgsql"],
            folders: &[("storage", STORAGE)],
            settings: &[("APP_ENV", "production"), ("LOG_CHANNEL", "stderr")],
            ..NOTHING
        },
    ),
    (
        "mezzio",
        Needs {
            folders: &[("data/cache", &[])],
            ..NOTHING
        },
    ),
    (
        "symfony",
        Needs {
            extensions: &["intl", "pdo_mysql", "pdo_pgsql"],
            folders: &[("var", &[])],
            settings: &[("APP_ENV", "prod"), ("APP_DEBUG", "0")],
            ..NOTHING
        },
    ),
    (
        "wordpress",
        Needs {
            extensions: &["exif", "gd", "intl", "mysqli", "zip"],
            ..NOTHING
        },
    ),
    (
        "yii",
        Needs {
            extensions: &["intl", "pdo_mysql"],
            folders: &[("runtime", &[]), ("web/assets", &[])],
            settings: &[("YII_ENV", "prod")],
            ..NOTHING
        },
    ),
];

/// What a framework needs.
pub(crate) fn of(framework: &str) -> &'static Needs {
    let found = TABLE.iter().find(|(name, _)| *name == framework);
    found.map_or(&NOTHING, |(_, needs)| needs)
}

/// Extensions that come with PHP's sources and need no library: the image itself can compile them.
pub(crate) const PLAIN: &[&str] = &[
    "bcmath",
    "calendar",
    "exif",
    "gettext",
    "mysqli",
    "opcache",
    "pcntl",
    "pdo_mysql",
    "shmop",
    "sockets",
    "sysvmsg",
    "sysvsem",
    "sysvshm",
];

/// What sources without Composer show: a text, and the extension that it needs.
pub(crate) const SHOWN: &[(&str, &str)] = &[
    ("mysqli_", "mysqli"),
    ("new mysqli", "mysqli"),
    ("mysql:", "pdo_mysql"),
    ("pgsql:", "pdo_pgsql"),
    ("pg_connect", "pgsql"),
    ("imagecreate", "gd"),
    ("bcadd(", "bcmath"),
    ("new ZipArchive", "zip"),
    ("new NumberFormatter", "intl"),
    ("new SoapClient", "soap"),
];
