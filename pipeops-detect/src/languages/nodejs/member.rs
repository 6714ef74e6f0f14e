//! A member of a workspace.

use crate::findings::Findings;
use crate::plan::Build;

/// A package of a workspace that runs by itself.
pub(crate) struct Member {
    /// From the root of the workspace.
    pub(crate) path: String,
    /// The name of its package, or of its project.
    pub(crate) name: String,
    /// What it is.
    pub(crate) found: Findings,
}

impl Member {
    /// Whether its commands run in the root, as those of Nx do.
    pub(crate) fn in_root(&self) -> bool {
        let build = self.found.plan.build.as_ref().and_then(Build::last);
        build.is_some_and(|build| build.calls("npx nx"))
    }
}
