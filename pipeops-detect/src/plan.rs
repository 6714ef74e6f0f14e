//! The plan of an app: the commands that install, build and start it.
//!
//! Detection fills the plan, recipes read its fields. It is rendered to shell text once, for the public
//! [`Detection`](crate::Detection).

use crate::Detection;
use crate::repository::shell::Step;

/// How an app is installed, built and started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Fetches the dependencies.
    pub(crate) install: Option<Install>,
    /// Builds the app.
    pub(crate) build: Option<Build>,
    /// Starts the app.
    pub(crate) start: Option<Start>,
}

/// The command that fetches the dependencies.
pub(crate) type Install = Command;

/// The command that starts the app.
pub(crate) type Start = Command;

/// The commands that build the app, one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Build {
    pub(crate) steps: Vec<Command>,
}

/// A program with its arguments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Command {
    /// Variables that are set for this command only.
    pub(crate) environment: Vec<(String, String)>,
    /// The folder that it runs in, from the app's folder.
    pub(crate) folder: Option<String>,
    pub(crate) program: String,
    pub(crate) arguments: Vec<String>,
    /// The argument that says what is installed, built or started: a package, a project file, a list of packages.
    pub(crate) target: Option<String>,
    /// The text as a user wrote it: it may need a shell, and is never rendered anew.
    written: Option<String>,
}

impl Command {
    /// A command from fixed text, whose words have no spaces: variables, the program, arguments.
    pub(crate) fn new(text: &str) -> Self {
        let mut words = text.split_whitespace().peekable();
        words.next_if_eq(&"env");
        let mut environment = Vec::new();
        while let Some((name, value)) = words.peek().and_then(|word| word.split_once('=')) {
            environment.push((name.to_owned(), value.to_owned()));
            words.next();
        }
        Self {
            environment,
            program: words.next().unwrap_or_default().to_owned(),
            arguments: words.map(str::to_owned).collect(),
            ..Self::default()
        }
    }

    /// A program whose name or path the repository gives.
    pub(crate) fn program(program: impl Into<String>) -> Self {
        Self {
            program: program.into(),
            ..Self::default()
        }
    }

    /// A command that a user wrote: in a script, in a Procfile, or in place of the one that was detected.
    pub(crate) fn written(text: impl Into<String>) -> Self {
        let text = text.into();
        let in_folder = text
            .strip_prefix("cd ")
            .and_then(|rest| rest.split_once(" && "));
        let folder = in_folder.map(|(folder, _)| folder.to_owned());
        Self {
            folder,
            ..Self::new(in_folder.map_or(&text, |(_, command)| command))
        }
        .kept(text)
    }

    /// A line for a shell, and the command in it that goes on running.
    pub(crate) fn line(text: impl Into<String>, step: Option<&Step>) -> Self {
        let text = text.into();
        let folder = Self::written(text.clone()).folder;
        let mut words = step.into_iter().flat_map(|step| &step.words);
        Self {
            folder,
            program: words
                .next()
                .map(|word| word.raw.clone())
                .unwrap_or_default(),
            arguments: words.map(|word| word.raw.clone()).collect(),
            ..Self::default()
        }
        .kept(text)
    }

    fn kept(self, text: String) -> Self {
        Self {
            written: Some(text),
            ..self
        }
    }

    /// Adds an argument.
    pub(crate) fn arg(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Adds arguments from fixed text.
    pub(crate) fn args(mut self, words: &str) -> Self {
        self.arguments
            .extend(words.split_whitespace().map(str::to_owned));
        self
    }

    /// Adds the argument that says what is installed, built or started.
    pub(crate) fn target(mut self, target: impl Into<String>) -> Self {
        let target = target.into();
        self.target = Some(target.clone());
        self.arg(target)
    }

    /// Sets a variable for this command only.
    pub(crate) fn variable(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// Runs the command in a folder of the app.
    pub(crate) fn inside(mut self, folder: &str) -> Self {
        let text = |text| format!("cd {folder} && {text}");
        self.written = self.written.map(text);
        self.folder = Some(folder.to_owned());
        self
    }

    /// The same command for a shell that is in its folder already.
    pub(crate) fn in_place(&self) -> Self {
        let Some(folder) = &self.folder else {
            return self.clone();
        };
        let prefix = format!("cd {folder} && ");
        let written = self.written.as_ref();
        Self {
            folder: None,
            written: written.map(|text| text.trim_start_matches(&prefix).to_owned()),
            ..self.clone()
        }
    }

    /// What is installed, built or started. `find` reads it from a text that a user wrote.
    pub(crate) fn target_or<'a>(
        &'a self,
        find: impl Fn(&'a str) -> Option<&'a str>,
    ) -> Option<&'a str> {
        let own = self.target.as_deref();
        own.or_else(|| find(self.written.as_deref()?))
    }

    /// Whether a user wrote it, and not detection.
    pub(crate) fn is_written(&self) -> bool {
        self.written.is_some()
    }

    /// Whether the program and its first arguments are these.
    pub(crate) fn calls(&self, words: &str) -> bool {
        let mut own = self.words();
        words.split(' ').all(|word| own.next() == Some(word))
    }

    /// The program and its arguments.
    pub(crate) fn words(&self) -> impl Iterator<Item = &str> {
        let arguments = self.arguments.iter().map(String::as_str);
        std::iter::once(self.program.as_str()).chain(arguments)
    }

    /// The program's name, without its path.
    pub(crate) fn name(&self) -> &str {
        self.program.rsplit('/').next().unwrap_or_default()
    }

    /// Whether an argument is exactly this one.
    pub(crate) fn has(&self, argument: &str) -> bool {
        self.arguments.iter().any(|own| own == argument)
    }

    /// The argument behind an option: `x.jar` of `-jar x.jar`.
    pub(crate) fn option(&self, name: &str) -> Option<&str> {
        let at = self.arguments.iter().position(|own| own == name)?;
        self.arguments.get(at + 1).map(String::as_str)
    }

    /// The arguments, as a shell reads them.
    pub(crate) fn arguments(&self) -> String {
        self.arguments.join(" ")
    }

    /// The command as a shell reads it.
    pub(crate) fn shell(&self) -> String {
        self.render("")
    }

    /// The command that starts an app: `env` sets its variables, so that it needs no shell.
    pub(crate) fn start_text(&self) -> String {
        self.render("env ")
    }

    fn render(&self, set: &str) -> String {
        if let Some(text) = &self.written {
            return text.clone();
        }
        let mut text = String::new();
        if let Some(folder) = &self.folder {
            text.push_str(&format!("cd {folder} && "));
        }
        if !self.environment.is_empty() {
            text.push_str(set);
        }
        for (name, value) in &self.environment {
            text.push_str(&format!("{name}={value} "));
        }
        text.push_str(&self.program);
        for argument in &self.arguments {
            text.push(' ');
            text.push_str(argument);
        }
        text
    }
}

impl Build {
    /// The commands in order, as a shell reads them.
    pub(crate) fn shell(&self) -> String {
        let steps: Vec<String> = self.steps.iter().map(Command::shell).collect();
        steps.join(" && ")
    }

    /// The same, each command on a line of its own.
    pub(crate) fn lines(&self) -> String {
        self.shell().replace(" && ", " \\\n && ")
    }

    /// The commands for a shell that is in their folder already.
    pub(crate) fn in_place(&self) -> String {
        let steps: Vec<String> = self
            .steps
            .iter()
            .map(|step| step.in_place().shell())
            .collect();
        steps.join(" && ")
    }

    /// Whether one of the commands has this argument.
    pub(crate) fn has(&self, argument: &str) -> bool {
        self.steps.iter().any(|step| step.has(argument))
    }

    /// The last command: the one that makes what is run.
    pub(crate) fn last(&self) -> Option<&Command> {
        self.steps.last()
    }
}

impl From<Command> for Build {
    fn from(command: Command) -> Self {
        Self {
            steps: vec![command],
        }
    }
}

impl Plan {
    /// The plan of a detection. The texts of a [`Detection`] are public: whatever differs from the plan that was detected
    /// comes from a user or from another detector.
    pub(crate) fn of(detection: &Detection, detected: Self) -> Self {
        let kept = |text: &Option<String>, own: Option<Command>, render: fn(&Command) -> String| {
            let text = text.clone()?;
            let own = own.filter(|own| render(own) == text);
            Some(own.unwrap_or_else(|| Command::written(text)))
        };
        let build = detection.build.clone().map(|text| {
            let own = detected.build.filter(|own| own.shell() == text);
            own.unwrap_or_else(|| Command::written(text).into())
        });
        Self {
            install: kept(&detection.install, detected.install, Command::shell),
            build,
            start: kept(&detection.start, detected.start, Command::start_text),
        }
    }

    /// The texts of the three, as [`Detection`] has them.
    pub(crate) fn texts(&self) -> (Option<String>, Option<String>, Option<String>) {
        (
            self.install.as_ref().map(Command::shell),
            self.build.as_ref().map(Build::shell),
            self.start.as_ref().map(Command::start_text),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_rendered_once() {
        let command = Command::new("go build -o app").target("./my cmd");
        assert_eq!(command.shell(), "go build -o app ./my cmd");
        assert_eq!(command.target.as_deref(), Some("./my cmd"));
        let command = Command::new("flask run")
            .variable("PYTHONPATH", "src")
            .inside("api");
        assert_eq!(command.shell(), "cd api && PYTHONPATH=src flask run");
        assert_eq!(
            command.start_text(),
            "cd api && env PYTHONPATH=src flask run"
        );
    }

    #[test]
    fn what_a_user_wrote_is_kept_and_read() {
        for (text, folder, program, arguments) in [
            ("./bin/api --port  $PORT", None, "./bin/api", "--port $PORT"),
            ("A=1 B=2 bin/x a", None, "bin/x", "a"),
            ("env A=1 bin/x", None, "bin/x", ""),
            ("cd web && npm start", Some("web"), "npm", "start"),
            ("", None, "", ""),
        ] {
            let command = Command::written(text);
            assert_eq!(command.start_text(), text);
            assert_eq!(command.folder.as_deref(), folder, "{text}");
            assert_eq!(command.program, program, "{text}");
            assert_eq!(command.arguments(), arguments, "{text}");
        }
    }

    #[test]
    fn a_text_that_was_not_detected_is_the_users() {
        let plan = Plan {
            start: Some(Command::new("./app")),
            build: Some(Command::new("make").into()),
            ..Plan::default()
        };
        let mut detection = Detection::default();
        detection.start = Some("./app".to_owned());
        let kept = Plan::of(&detection, plan.clone());
        assert_eq!((kept.start, kept.build), (plan.start.clone(), None));
        detection.start = Some("./app --x".to_owned());
        let own = Plan::of(&detection, plan).start.unwrap();
        assert_eq!((own.arguments(), own.target), ("--x".to_owned(), None));
    }
}
