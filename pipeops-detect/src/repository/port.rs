//! Finds the port that a program listens on, if its source contains it.

/// The port of an app that doesn't choose one: the variable `PORT` tells it.
pub(crate) const DEFAULT_PORT: u16 = 8080;

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
