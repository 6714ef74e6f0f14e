//! Packages that need more than Node.js.

use crate::languages::nodejs::package::Package;

/// Packages that are compiled when no binary fits: the slim image has neither compiler nor Python.
pub(crate) const COMPILED: &[&str] = &[
    "@tensorflow/tfjs-node",
    "argon2",
    "bcrypt",
    "better-sqlite3",
    "canvas",
    "cpu-features",
    "deasync",
    "ffi-napi",
    "isolated-vm",
    "kerberos",
    "leveldown",
    "libpq",
    "lmdb",
    "node-gyp",
    "node-pty",
    "node-rdkafka",
    "node-sass",
    "oracledb",
    "pg-native",
    "re2",
    "robotjs",
    "serialport",
    "sodium-native",
    "sqlite3",
    "usb",
    "zeromq",
];

/// Packages that start a browser.
pub(crate) const BROWSERS: &[&str] = &[
    "puppeteer",
    "playwright",
    "playwright-core",
    "@playwright/browser-chromium",
    "whatsapp-web.js",
];

/// Why installing a package needs compilers or Git, if it does.
pub(crate) fn reason(package: &Package) -> Option<String> {
    let name = package.first(COMPILED);
    name.map(compiled).or_else(|| repository(package))
}

pub(crate) fn compiled(name: &str) -> String {
    format!("{name} may have to be compiled")
}

/// A dependency that is fetched by Git.
pub(crate) fn repository(package: &Package) -> Option<String> {
    let found = ["dependencies", "devDependencies"].iter().find_map(|kind| {
        let all = package.json.get(kind)?.as_object()?;
        all.iter()
            .find(|(_, version)| version.as_str().is_some_and(is_repository))
    });
    found.map(|(name, _)| format!("{name} comes from a Git repository"))
}

/// Versions that are no versions but repositories: they need Git.
fn is_repository(version: &str) -> bool {
    let version = version.trim();
    version.starts_with("git")
        || version.starts_with("bitbucket:")
        || version.contains("git@")
        || (version.contains('/')
            && !version.contains(':')
            && !version.starts_with(['.', '/', '@']))
}

/// Commands of scripts that only set up a developer's checkout.
pub(crate) const CHECKOUT: &[&str] = &[
    "husky",
    "lefthook",
    "simple-git-hooks",
    "only-allow",
    "is-ci",
    "echo",
    "true",
    "exit",
    "pinst",
];
