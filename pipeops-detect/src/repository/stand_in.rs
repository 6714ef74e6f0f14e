//! Values in place of settings that only the running app has, for commands of the build that can't run without them.
//!
//! They are set for one `RUN` and never with `ENV` or `ARG`: they become no part of the image's settings.

/// A value for a variable of this name. Nothing is connected to and nothing is signed with it.
pub(crate) fn value(name: &str) -> &'static str {
    let has = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
    if has(&["MONGO"]) {
        "mongodb://localhost/build"
    } else if has(&[
        "DATABASE_URL",
        "DB_URL",
        "POSTGRES_URL",
        "DIRECT_URL",
        "DATABASE_URI",
    ]) {
        "postgresql://build:build@localhost/build"
    } else if has(&["REDIS", "BROKER", "CACHE"]) && has(&["URL"]) {
        "redis://localhost:6379/0"
    } else if has(&["URL", "URI", "ORIGIN"]) {
        "http://localhost"
    } else if has(&["HOST"]) {
        "localhost"
    } else if has(&["KEY", "SECRET", "TOKEN", "PASSWORD", "SALT"]) {
        // Long enough for what asks for 32 characters.
        "build-only-build-only-build-only"
    } else {
        // A number, a switch and a text alike.
        "1"
    }
}
