//! Finds the port that a program listens on, if its source contains it.

use crate::repository::folder::Folder;

/// The port of an app that doesn't choose one: the variable `PORT` tells it.
pub(crate) const DEFAULT_PORT: u16 = 8080;

/// Ports of databases and the like: a program that names one calls it.
const OTHERS: &[u16] = &[
    110, 143, 389, 465, 587, 993, 995, 1025, 1433, 1521, 1883, 2379, 2525, 3306, 5432, 5433, 5672,
    6379, 8086, 9042, 9092, 9200, 11211, 26379, 27017,
];

/// Whether it is the usual port of a database, a queue or a mail server, which a program calls and doesn't listen on.
pub(crate) fn is_of_other(port: u16) -> bool {
    OTHERS.contains(&port)
}

/// Files of settings that programs read, the usual ones first.
const SETTINGS: &[&str] = &[
    "config.yaml",
    "config.yml",
    "config.toml",
    "config.json",
    "config.ini",
    "app.ini",
    "settings.yaml",
    "settings.toml",
    "config/config.yaml",
    "config/config.yml",
    "config/config.toml",
    "config/config.json",
    "config/default.yaml",
    "config/default.yml",
    "config/default.toml",
    "config/default.json",
    "config/app.yaml",
    "conf/config.yaml",
    "conf/config.toml",
    "conf/app.ini",
    "conf/app.conf",
    "configs/config.yaml",
    "configs/config.yml",
    "configs/config.toml",
    "etc/config.yaml",
];

/// Samples of the variables that a program reads.
const VARIABLES: &[&str] = &[
    ".env.example",
    ".env.sample",
    ".env.dist",
    ".env.template",
    "app.env",
];

/// What files of settings say about the port, and which file it is.
pub(crate) fn configured(folder: &Folder<'_>) -> Option<(&'static str, Port)> {
    let set = |file: &'static str| Some((file, Port::Fixed(setting(&folder.text(file)?)?)));
    let reads = |file: &&'static str| {
        let text = folder.text(file).unwrap_or_default();
        text.lines()
            .any(|line| line.trim_start().starts_with("PORT="))
    };
    let variable = VARIABLES.iter().copied().find(reads);
    let variable = variable.map(|file| (file, Port::FromEnvironment));
    variable.or_else(|| SETTINGS.iter().find_map(|file| set(file)))
}

/// The port of the server in a file of settings: `port: 3000`, `http_port = 3000`, `addr = ":3000"` below `[server]`.
fn setting(text: &str) -> Option<u16> {
    const OTHER: &[&str] = &[
        "admin", "amqp", "cache", "database", "db", "debug", "elastic", "grpc", "kafka", "ldap",
        "log", "mail", "metric", "mongo", "mysql", "nats", "postgre", "pprof", "proxy", "rabbit",
        "redis", "smtp", "sql", "storage", "upstream",
    ];
    let is_other = |name: &str| OTHER.iter().any(|other| name.contains(other));
    let mut section = String::new();
    let mut is_block = false;
    for line in text.lines() {
        let trimmed = line.trim().trim_end_matches(['{', ' ']);
        if trimmed.is_empty() || trimmed.starts_with(['#', ';', '/']) {
            continue;
        }
        if is_block && !line.starts_with([' ', '\t', '}']) {
            section.clear();
        }
        if let Some(name) = trimmed
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            section = name.to_ascii_lowercase();
            is_block = false;
            continue;
        }
        let Some((key, value)) = trimmed.split_once([':', '=']) else {
            continue;
        };
        let key = key.trim().trim_matches('"').to_ascii_lowercase();
        let value = value.trim().trim_matches([',', '"', '\'', ' ']);
        if value.is_empty() {
            section = key;
            is_block = true;
            continue;
        }
        let is_port = [
            "port",
            "http_port",
            "httpport",
            "http-port",
            "server_port",
            "listen_port",
            "serverport",
            "app_port",
        ];
        let is_address = [
            "addr",
            "address",
            "bind",
            "listen",
            "listen_addr",
            "http_addr",
            "bind_addr",
        ];
        let local = ["127.0.0.1:", "localhost:"]
            .iter()
            .any(|local| value.starts_with(local));
        let number = match value.rsplit_once(':') {
            Some((_, port)) if is_address.contains(&key.as_str()) && !local => port,
            None if is_port.contains(&key.as_str()) => value,
            _ => continue,
        };
        let port = number
            .parse()
            .ok()
            .filter(|port| *port >= 80 && !is_of_other(*port));
        if port.is_some() && !is_other(&section) && !is_other(&key) {
            return port;
        }
    }
    None
}

/// What the source says about the port.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Port {
    /// It reads the variable `PORT`.
    FromEnvironment,
    /// It is written in the source.
    Fixed(u16),
}

/// Texts directly in front of a port number, over all languages.
const BEFORE: &[&str] = &[
    ".listen(",
    "ListenAndServe(\":",
    "ListenAndServe(\"0.0.0.0:",
    ".Run(\":",
    ".Start(\":",
    ".Listen(\":",
    "0.0.0.0:",
    "port=",
    "port =",
    "PORT =",
    "PORT=",
    "port:",
    ".port(",
    "\"0.0.0.0\",",
    "anyIPv4,",
    "htons(",
    "Kemal.run ",
    "Kemal.run(",
    "scotty ",
    "HTTPServer((\"\",",
    "HTTPServer(('',",
    "HTTPServer((\"0.0.0.0\",",
    "HTTPServer(('0.0.0.0',",
    "TCPServer((\"\",",
    "TCPServer(('',",
];

/// What `source` says about the port, if anything.
pub(crate) fn port(source: &str) -> Option<Port> {
    if reads_environment(source) {
        return Some(Port::FromEnvironment);
    }
    let fixed = BEFORE.iter().find_map(|before| {
        source
            .match_indices(before)
            .find_map(|(at, _)| literal(&source[at + before.len()..]))
    });
    fixed.map(Port::Fixed)
}

/// Whether the name `PORT` stands there as a word of its own that is read from the environment.
fn reads_environment(source: &str) -> bool {
    [
        "env.PORT",
        "env['PORT']",
        "env[\"PORT\"]",
        "environ.get(\"PORT\"",
        "environ.get('PORT'",
        "environ[\"PORT\"]",
        "environ['PORT']",
        "getenv(\"PORT\"",
        "getenv('PORT'",
        "Getenv(\"PORT\"",
        "LookupEnv(\"PORT\"",
        "ENV['PORT']",
        "ENV[\"PORT\"]",
        "ENV.fetch(\"PORT\"",
        "ENV.fetch('PORT'",
        "var(\"PORT\")",
        "get(\"PORT\")",
        "get_env(\"PORT\")",
        "environment['PORT']",
        "environment[\"PORT\"]",
        "Env \"PORT\"",
        "getEnvVarOwned(allocator, \"PORT\"",
        "${PORT",
    ]
    .iter()
    .any(|text| source.contains(text))
}

/// A port number at the start, behind blanks.
fn literal(text: &str) -> Option<u16> {
    let text = text.trim_start();
    let end = text
        .find(|ch: char| !ch.is_ascii_digit())
        .unwrap_or(text.len());
    let port = text[..end].parse().ok()?;
    (port >= 80).then_some(port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_settings_name_the_port_of_the_server() {
        for (text, expected) in [
            ("server:\n  host: 0.0.0.0\n  port: 3000\n", Some(3000)),
            ("database:\n  port: 5432\n  max: 3\nport: 4000", Some(4000)),
            ("redis:\n  port: 7000\nhttp:\n  port: 9000", Some(9000)),
            ("[db]\nport = 3306\n[server]\nhttp_port = 3001", Some(3001)),
            ("[server]\naddr = \":7070\"", Some(7070)),
            ("listen: 127.0.0.1:7070", None),
            (
                "{\n  \"server\": {\n    \"port\": 8181,\n  }\n}",
                Some(8181),
            ),
            ("# port: 3000", None),
            ("metrics:\n  port: 9100", None),
        ] {
            assert_eq!(setting(text), expected, "{text}");
        }
        let tree = pipeops_core::source::MemTree::from([
            (".env.example", "A=1\nPORT=3000\n"),
            ("config.yaml", "port: 4000"),
        ]);
        let found = configured(&Folder::open(&tree, ""));
        assert_eq!(found, Some((".env.example", Port::FromEnvironment)));
    }

    #[test]
    fn the_environment_goes_before_numbers() {
        for (source, expected) in [
            (
                "app.listen(process.env.PORT || 3000)",
                Some(Port::FromEnvironment),
            ),
            (
                "port = int(os.environ.get(\"PORT\", 8000))",
                Some(Port::FromEnvironment),
            ),
            ("app.listen(3000, () => {})", Some(Port::Fixed(3000))),
            (
                "http.ListenAndServe(\":9090\", nil)",
                Some(Port::Fixed(9090)),
            ),
            ("HTTPServer(('', 8000), Handler)", Some(Port::Fixed(8000))),
            ("server.listen(\"0.0.0.0\", 9000)", Some(Port::Fixed(9000))),
            ("lookupEnv \"PORT\"", Some(Port::FromEnvironment)),
            ("app.listen(port)", None),
            ("PORT = 5000", Some(Port::Fixed(5000))),
            ("", None),
        ] {
            assert_eq!(port(source), expected, "{source}");
        }
    }
}
