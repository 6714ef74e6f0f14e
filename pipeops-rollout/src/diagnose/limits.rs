//! Limits of diagnoses.

/// When crashes fail a rollout, and how much of a container's output a diagnosis shows.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Limits {
    /// After how many restarts a crashing container fails the rollout. Default: 3.
    pub max_restarts: u32,
    /// How many lines of output a diagnosis shows. Default: 20.
    pub log_lines: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_restarts: 3,
            log_lines: 20,
        }
    }
}
