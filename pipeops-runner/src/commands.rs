//! Commands of the embedding program in diagnoses.

use std::fmt;
use std::sync::Arc;

use pipeops_core::Diagnosis;

/// Supplies [`Diagnosis::run`], the command that starts the first fix. Default: no diagnosis has a command.
///
/// The embedding program knows its own commands. It chooses one by the diagnosis's code and context:
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
    /// The commands that this function chooses.
    pub fn new(choose: impl Fn(&Diagnosis) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(choose)))
    }

    /// These, or the others where these are none.
    pub(crate) fn or(self, others: Self) -> Self {
        Self(self.0.or(others.0))
    }

    /// Adds the command to a diagnosis that has none.
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
