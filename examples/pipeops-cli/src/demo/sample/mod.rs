//! The sample application: one Python file without dependencies, so that the demo needs no package index.

/// The web application, with placeholders for what differs between its commits.
const APP: &str = include_str!("app.py");

/// One commit of the sample application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Commit {
    /// It works and answers with this version.
    Good(&'static str),
    /// The process crashes at start.
    Crash,
    /// The process runs but never becomes ready.
    NeverReady,
}

impl Commit {
    /// The message of the commit.
    pub fn message(self) -> String {
        match self {
            Self::Good(version) => format!("Release {version}"),
            Self::Crash => "Read the database address from the environment".to_owned(),
            Self::NeverReady => "Check the payment service before saying healthy".to_owned(),
        }
    }

    /// The files of the commit.
    pub fn files(self) -> Vec<(&'static str, String)> {
        let (version, start, health) = match self {
            Self::Good(version) => (version, "pass", HEALTHY),
            Self::Crash => ("v3", "os.environ[\"SHOP_DATABASE\"]", HEALTHY),
            Self::NeverReady => ("v4", "pass", UNHEALTHY),
        };
        let app = APP
            .replace("{version}", version)
            .replace("{start}", start)
            .replace("{health}", health);
        vec![
            ("app.py", app),
            (
                "requirements.txt",
                "# No dependencies: the standard library is enough.\n".to_owned(),
            ),
            (".python-version", "3.12\n".to_owned()),
        ]
    }
}

const HEALTHY: &str =
    "if self.path == \"/health\":\n            return self.answer(200, \"healthy\\n\")";
const UNHEALTHY: &str = "if self.path == \"/health\":\n            return self.answer(503, \"payment service unreachable\\n\")";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_place_is_left_unfilled() {
        for commit in [Commit::Good("v1"), Commit::Crash, Commit::NeverReady] {
            let app = &commit.files()[0].1;
            assert!(
                !["{version}", "{start}", "{health}"]
                    .iter()
                    .any(|place| app.contains(place)),
                "{app}"
            );
        }
    }
}
