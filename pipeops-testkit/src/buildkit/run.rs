//! The scripts that replace the commands of `RUN`.

use std::time::Duration;

use crate::fault::glob;

/// What the commands of `RUN` do. Commands that no rule matches are skipped, and their step's log says so.
///
/// ```
/// use pipeops_testkit::buildkit::{RunRule, RunScript};
///
/// let script = RunScript::default()
///     .rule(RunRule::matching("*npm ci*").stdout("added 120 packages\n"))
///     .rule(RunRule::matching("*npm test*").stderr("1 failing\n").exit_code(1));
/// ```
#[derive(Debug, Clone, Default)]
pub struct RunScript {
    rules: Vec<RunRule>,
}

impl RunScript {
    /// Adds a rule. The first rule that matches a command applies.
    #[must_use]
    pub fn rule(mut self, rule: RunRule) -> Self {
        self.rules.push(rule);
        self
    }

    /// The rule for a command line, as `RUN` has it.
    pub(super) fn find(&self, command: &str) -> Option<&RunRule> {
        self.rules.iter().find(|rule| glob(&rule.pattern, command))
    }
}

/// What one command does.
#[derive(Debug, Clone)]
pub struct RunRule {
    pattern: String,
    pub(super) output: Vec<(Stream, String)>,
    pub(super) files: Vec<(String, u32, Vec<u8>)>,
    pub(super) delay: Duration,
    pub(super) exit_code: u32,
}

/// Where a line of output goes; the numbers are those of file descriptors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    Stdout = 1,
    Stderr = 2,
}

impl RunRule {
    /// A rule for the commands that match this pattern, in which `*` matches any text. The words of a command in exec form are
    /// joined with spaces. The command prints nothing and succeeds, unless the other methods say otherwise.
    pub fn matching(pattern: impl Into<String>) -> Self {
        Self {
            pattern: pattern.into(),
            output: Vec::new(),
            files: Vec::new(),
            delay: Duration::ZERO,
            exit_code: 0,
        }
    }

    /// Prints to standard output. Output appears in the order in which it's added.
    #[must_use]
    pub fn stdout(mut self, text: impl Into<String>) -> Self {
        self.output.push((Stream::Stdout, text.into()));
        self
    }

    /// Prints to standard error.
    #[must_use]
    pub fn stderr(mut self, text: impl Into<String>) -> Self {
        self.output.push((Stream::Stderr, text.into()));
        self
    }

    /// Creates a file with mode 0755 at this path, relative to the image's root.
    #[must_use]
    pub fn creates(mut self, path: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        self.files.push((path.into(), 0o755, content.into()));
        self
    }

    /// Sets how long the command runs after its output. Default: 0.
    #[must_use]
    pub fn takes(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Sets the exit code. Default: 0. Any other code fails the build.
    #[must_use]
    pub fn exit_code(mut self, code: u32) -> Self {
        self.exit_code = code;
        self
    }
}
