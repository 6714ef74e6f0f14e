//! The commands that diagnoses suggest.

use std::fmt;
use std::sync::Arc;

use pipeops_core::Diagnosis;

/// Supplies [`Diagnosis::run`], the command that starts the first fix. Default: no commands.
///
/// Your program chooses one of its own commands by the code and context of the diagnosis:
///
/// ```
/// use pipeops_core::diagnosis::codes;
/// use pipeops_runner::{Commands, RunnerOptions};
///
/// let commands = Commands::new(|diagnosis| {
///     let project = diagnosis.context.get("project")?;
///     (diagnosis.code == codes::project::INCOMPLETE).then(|| format!("deployctl edit {project}"))
/// });
/// let options = RunnerOptions::default().commands(commands);
/// # let _ = options;
/// ```
#[derive(Clone, Default)]
pub struct Commands(Option<Arc<Choose>>);

type Choose = dyn Fn(&Diagnosis) -> Option<String> + Send + Sync;

impl Commands {
    /// Commands that this function chooses.
    pub fn new(choose: impl Fn(&Diagnosis) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(choose)))
    }

    /// Adds a command to a diagnosis without one.
    pub(crate) fn complete(&self, diagnosis: &mut Diagnosis) {
        if let (None, Some(choose)) = (&diagnosis.run, &self.0) {
            diagnosis.run = choose(diagnosis);
        }
    }
}

impl fmt::Debug for Commands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Some(_) => "Commands(custom)",
            None => "Commands(none)",
        })
    }
}
