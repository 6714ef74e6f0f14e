//! Procfiles: they set how an app is started, never its language.

/// The process of a Procfile that is deployed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Process {
    /// `web`, `worker`, …
    pub(crate) name: String,
    /// The command.
    pub(crate) command: String,
}

/// The process to start: `web`, else `worker`, else the first one that is no release step.
pub(crate) fn process(text: &str) -> Option<Process> {
    let all: Vec<Process> = text.lines().filter_map(read).collect();
    let named = |name: &str| all.iter().position(|process| process.name == name);
    let other = || all.iter().position(|process| process.name != "release");
    let chosen = named("web").or_else(|| named("worker")).or_else(other)?;
    all.into_iter().nth(chosen)
}

/// The command that is run once before a new version starts.
pub(crate) fn release(text: &str) -> Option<String> {
    let mut all = text.lines().filter_map(read);
    let release = all.find(|process| process.name == "release")?;
    Some(release.command)
}

fn read(line: &str) -> Option<Process> {
    let (name, command) = line.split_once(':')?;
    let (name, command) = (name.trim(), command.trim());
    let is_name = !name.is_empty()
        && name
            .chars()
            .all(|ch| ch.is_ascii_alphanumeric() || "-_".contains(ch));
    (is_name && !command.is_empty()).then(|| Process {
        name: name.to_owned(),
        command: command.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_one_command() {
        for (text, expected) in [
            (
                "web: w\nrelease: rails db:migrate\n",
                Some("rails db:migrate"),
            ),
            ("web: release", None),
            ("release:", None),
        ] {
            assert_eq!(release(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn web_goes_before_worker_before_any() {
        for (text, expected) in [
            (
                "release: migrate\nworker: w\nweb: gunicorn app:app --bind 0.0.0.0:$PORT\n",
                Some("web"),
            ),
            ("release: migrate\nworker: w", Some("worker")),
            ("release: migrate\nclock: c", Some("clock")),
            ("# web: x", None),
            ("release: migrate", None),
        ] {
            assert_eq!(
                process(text).map(|process| process.name).as_deref(),
                expected,
                "{text}"
            );
        }
    }
}
