//! Names by which developers tell the program that is deployed from those beside it.

/// Names of programs that serve, and their usual endings.
const SERVERS: &[&str] = &[
    "server", "api", "web", "app", "main", "http", "service", "backend", "site", "gateway",
    "serve", "svc", "daemon",
];

/// Whether a program of this name serves: `api`, `shop-server`, `api_gateway`, `Shop.Api`.
pub(crate) fn is_one(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let last = name.rsplit(['-', '_', '.']).next().unwrap_or_default();
    SERVERS.contains(&last)
        || SERVERS
            .iter()
            .take(3)
            .any(|server| name.starts_with(&format!("{server}-")))
}

/// Names of programs that accompany an app.
const HELPERS: &[&str] = &[
    "migrate",
    "migration",
    "migrations",
    "migrator",
    "seed",
    "seeder",
    "cli",
    "ctl",
    "tool",
    "tools",
    "gen",
    "generate",
    "generator",
    "client",
    "worker",
    "cron",
    "job",
    "jobs",
    "bench",
    "example",
    "examples",
    "demo",
    "test",
    "tests",
    "script",
    "scripts",
    "e2e",
    "mock",
    "lint",
];

/// Whether a program of this name only accompanies the app.
pub(crate) fn is_helper(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let mut words = name.split(['-', '_', '.']);
    words.any(|word| HELPERS.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_word_by_word() {
        assert!(is_one("api") && is_one("shop-server") && is_one("Shop.Web") && is_one("api-v2"));
        assert!(!is_one("apis") && !is_one("migrate"));
        assert!(is_helper("db-migrate") && !is_helper("shop"));
    }
}
