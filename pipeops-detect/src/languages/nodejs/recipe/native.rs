//! Packages that need more than Node.js.

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

/// Versions that are no versions but repositories: they need Git.
pub(crate) fn is_repository(version: &str) -> bool {
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
