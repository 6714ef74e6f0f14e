//! The port that a Rust program listens on.

use crate::findings::{Findings, weight};
use crate::repository::folder::Folder;
use crate::repository::port::{self, DEFAULT_PORT, Port, is_of_other};

/// The port: as Rocket's settings or the source say.
pub(crate) fn listens(found: &mut Findings, folder: &Folder<'_>, file: &str) {
    found.listens(folder, file);
    let rocket = folder.toml("Rocket.toml").unwrap_or_default();
    let set = ["release", "default"]
        .iter()
        .find_map(|profile| rocket.get(*profile)?.get("port")?.as_integer());
    let set = set.and_then(|port| u16::try_from(port).ok());
    let text = folder.text(file).unwrap_or_default();
    let bound = (found.port == Some(DEFAULT_PORT))
        .then(|| bound(&text))
        .flatten();
    let said = set
        .map(|port| ("Rocket.toml", port))
        .or(bound.or_else(|| flag(&text)).map(|port| (file, port)));
    match said {
        Some((file, port)) => found.listens_on(folder, file, port),
        None if found.port.is_some() && !found.says_port() => beside(found, folder, file),
        None => {}
    }
    if found.port.is_some()
        && text.contains("127.0.0.1")
        && found.framework.is_some()
        && !text.contains("0.0.0.0")
    {
        let says = "listens on 127.0.0.1, unreachable from outside its pod";
        found.add(weight::NONE, folder, file, says);
    }
}

/// Parts of names of modules that set up servers, or read settings.
const SETTINGS: &[&str] = &[
    "app", "arg", "cli", "conf", "env", "http", "lib", "opt", "server", "setting", "startup", "web",
];

/// The port that a module beside the program names.
fn beside(found: &mut Findings, folder: &Folder<'_>, program: &str) {
    let dir = program.rsplit_once('/').map_or("", |(dir, _)| dir);
    let inside = folder.sub(dir);
    let is_named = |name: &&str| SETTINGS.iter().any(|part| name.contains(part));
    let files = inside
        .ending(".rs")
        .filter(is_named)
        .map(|name| format!("{dir}/{name}"));
    let modules = inside.own_dirs().filter(is_named);
    let modules = modules.map(|name| format!("{dir}/{name}/mod.rs"));
    for file in files.chain(modules).take(30).filter(|file| file != program) {
        let text = folder.text(&file).unwrap_or_default();
        let fixed = match port::port(&text) {
            Some(Port::FromEnvironment) => return found.listens_on_variable(folder, &file),
            Some(Port::Fixed(port)) => Some(port),
            None => bound(&text).or_else(|| flag(&text)),
        };
        if let Some(port) = fixed.filter(|port| !is_of_other(*port)) {
            return found.listens_on(folder, &file, port);
        }
    }
}

/// The default of a flag for the port or the address: `#[arg(long, default_value_t = 3000)] port: u16`.
fn flag(source: &str) -> Option<u16> {
    source.split("default_value").skip(1).find_map(|rest| {
        let (value, rest) = rest.split_once([')', ','])?;
        let (_, field) = rest.split_once(']').unwrap_or(("", rest));
        let name = field.split(':').next()?.to_ascii_lowercase();
        let named = name.len() < 80
            && ["port", "addr", "listen", "bind"]
                .iter()
                .any(|part| name.contains(part));
        let value = value.split_once('=')?.1.trim().trim_matches('"');
        let local = value.starts_with("127.") || value.starts_with("localhost");
        let number = value.rsplit(':').next()?.parse().ok()?;
        (named && !local && number >= 80).then_some(number)
    })
}

/// The port of an address that is written as numbers: `([0, 0, 0, 0], 3000)`, `("0.0.0.0", 3000)`, `"127.0.0.1:3000"`.
fn bound(source: &str) -> Option<u16> {
    if source.contains("var(\"PORT\")") {
        return None;
    }
    // Local addresses last: another one is the one that a pod is reached by.
    let marks = [
        "0, 0, 0, 0], ",
        "\"0.0.0.0\", ",
        "0.0.0.0:",
        "[::]:",
        "127, 0, 0, 1], ",
        "\"127.0.0.1\", ",
        "127.0.0.1:",
    ];
    marks.iter().find_map(|mark| {
        let (_, rest) = source.split_once(mark)?;
        let end = rest.find(|ch: char| !ch.is_ascii_digit())?;
        rest[..end].parse().ok().filter(|port| *port >= 80)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_have_defaults() {
        for (source, expected) in [
            (
                "Start { #[clap(long, default_value_t = 8888)] port: u16 },",
                Some(8888),
            ),
            (
                "#[arg(short, long, default_value = \"0.0.0.0:3000\", env = \"X\")]\n    listen: SocketAddr,",
                Some(3000),
            ),
            (
                "#[arg(long, default_value_t = 4)]\n    workers: usize,",
                None,
            ),
            (
                "#[arg(default_value = \"127.0.0.1:9000\")]\n    addr: String",
                None,
            ),
            (
                "#[arg(long, default_value = \"warn\")] level: String, #[arg(default_value_t = 7000)] http_port: u16",
                Some(7000),
            ),
        ] {
            assert_eq!(flag(source), expected, "{source}");
        }
    }

    #[test]
    fn addresses_of_numbers() {
        assert_eq!(bound("SocketAddr::from(([0, 0, 0, 0], 3000))"), Some(3000));
        assert_eq!(bound(".bind((\"127.0.0.1\", 8088))?"), Some(8088));
        let both = "metrics(\"127.0.0.1:9000\"); serve(\"[::]:3000\")";
        assert_eq!(bound(both), Some(3000));
        assert_eq!(bound("env::var(\"PORT\") [0, 0, 0, 0], 3000)"), None);
    }
}
