//! The port that a Rust program listens on.

use crate::findings::{Findings, weight};
use crate::repository::folder::Folder;
use crate::repository::port::DEFAULT_PORT;

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
        .or(bound.map(|port| (file, port)));
    if let Some((file, port)) = said {
        found.listens_on(folder, file, port);
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
    fn addresses_of_numbers() {
        assert_eq!(bound("SocketAddr::from(([0, 0, 0, 0], 3000))"), Some(3000));
        assert_eq!(bound(".bind((\"127.0.0.1\", 8088))?"), Some(8088));
        let both = "metrics(\"127.0.0.1:9000\"); serve(\"[::]:3000\")";
        assert_eq!(bound(both), Some(3000));
        assert_eq!(bound("env::var(\"PORT\") [0, 0, 0, 0], 3000)"), None);
    }
}
