//! Finds the port that a Python program listens on, if its source contains it.

use crate::repository::port;
use crate::repository::port::DEFAULT_PORT;

/// What the source says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Port {
    /// It reads the variable `PORT`.
    FromEnvironment,
    /// It is written in the source.
    Fixed(u16),
    /// It listens, but where is not to be seen.
    Unknown,
}

impl Port {
    /// The port that the app is told, or insists on.
    pub(crate) fn number(self) -> u16 {
        match self {
            Self::Fixed(port) => port,
            _ => DEFAULT_PORT,
        }
    }
}

/// What listens, over all libraries.
pub(crate) const SERVES: &[&str] = &[
    "serve_forever(",
    "make_server(",
    "HTTPServer(",
    "TCPServer(",
    "WSGIServer(",
    "uvicorn.run(",
    "hypercorn",
    "run_app(",
    "run_simple(",
    "app.run(",
    "socketio.run(",
    "waitress",
    "start_server(",
    "run_webhook(",
    "start_webhook(",
    "start_http_server(",
    "grpc.server(",
    "grpc.aio.server(",
    ".add_insecure_port(",
    ".listen(",
];

/// Ports that programs connect to, not listen on.
const OF_OTHERS: &[u16] = &[
    465, 587, 993, 1433, 1521, 1883, 3306, 5432, 5672, 6379, 9042, 9092, 9200, 11211, 27017,
];

/// Calls whose second argument is the port.
const SECOND: &[&str] = &[
    "make_server(",
    "run_simple(",
    "HTTPServer((",
    "TCPServer((",
    "WSGIServer((",
    ".bind((",
    "TCPSite(",
];

/// What the source says about the port, if it listens at all.
pub(crate) fn of(text: &str) -> Option<Port> {
    let fixed = fixed(text).map(Port::Fixed);
    let serves = SERVES.iter().any(|serves| text.contains(serves));
    match port::port(text) {
        Some(port::Port::FromEnvironment) => Some(Port::FromEnvironment),
        _ => fixed.or(serves.then_some(Port::Unknown)),
    }
}

/// The port that is written in the source.
pub(crate) fn fixed(text: &str) -> Option<u16> {
    let found = match port::port(text) {
        Some(port::Port::FromEnvironment) => return None,
        Some(port::Port::Fixed(port)) if !OF_OTHERS.contains(&port) => Some(port),
        _ => None,
    };
    found.or_else(|| SECOND.iter().find_map(|call| second(text, call)))
}

/// The second argument of a call, where it is a number.
fn second(text: &str, call: &str) -> Option<u16> {
    let (_, rest) = text.split_once(call)?;
    let argument = rest.lines().next()?.split(',').nth(1)?.trim();
    let argument = argument.trim_end_matches(')');
    argument.parse().ok().filter(|port| *port >= 80)
}

/// Whether the program takes its port as an option: `define("port", …)` of Tornado.
pub(crate) fn is_option(text: &str) -> bool {
    let defines = ["define(\"port\"", "define('port'"];
    defines.iter().any(|define| text.contains(define)) && text.contains("parse_command_line")
}

/// The port of a `[server:main]` in a file for PasteDeploy.
pub(crate) fn of_ini(text: &str) -> Option<u16> {
    let (_, server) = text.split_once("[server:main]")?;
    let lines = server
        .lines()
        .skip(1)
        .take_while(|line| !line.starts_with('['));
    let mut values = lines.filter_map(|line| {
        let (name, value) = line.split_once('=')?;
        let value = value.split_whitespace().next()?;
        match name.trim() {
            "port" => value.parse().ok(),
            "listen" => value.rsplit(':').next()?.parse().ok(),
            _ => None,
        }
    });
    values.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_listens_has_a_port() {
        for (text, expected) in [
            ("print(1)", None),
            ("redis.Redis(port=6379)", None),
            ("HTTPServer(('', 8000), Handler)", Some(Port::Fixed(8000))),
            ("make_server('0.0.0.0', 6543, app)", Some(Port::Fixed(6543))),
            ("s.bind(('0.0.0.0', 5000))", Some(Port::Fixed(5000))),
            ("uvicorn.run(app)", Some(Port::Unknown)),
            (
                "app.run(port=int(os.environ.get('PORT', 5000)))",
                Some(Port::FromEnvironment),
            ),
        ] {
            assert_eq!(of(text), expected, "{text}");
        }
        assert_eq!(
            of_ini("[server:main]\nlisten = *:6543\n[x]\nport = 1"),
            Some(6543)
        );
    }
}
