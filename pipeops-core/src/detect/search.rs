//! Where in a tree the apps are.

use super::folder::{Folder, is_beside};
use super::rules;
use super::{Findings, Language};

/// How far below the start apps are looked for.
const DEPTH: usize = 3;

/// How many folders are looked at: the tree is untrusted.
const FOLDERS: usize = 2_000;

/// From this confidence on a folder is an app by itself, and what is inside belongs to it.
pub(super) const APP: f64 = 0.5;

/// What all rules find in a folder, the best first.
pub(super) fn look(folder: &Folder<'_>) -> Vec<Findings> {
    let all = rules::ALL.iter().map(|look| look(folder));
    let mut found: Vec<Findings> = all.filter(Findings::found).collect();
    // Stable: among equals the order of the rules decides.
    found.sort_by(|a, b| b.confidence().total_cmp(&a.confidence()));
    found
}

/// The folders below `root` that are apps, with what they are. Those that hold tests, tools or documentation count only
/// where nothing else does.
pub(super) fn apps<'a>(
    root: &Folder<'a>,
    language: Option<Language>,
) -> Vec<(Folder<'a>, Vec<Findings>)> {
    let mut search = Search {
        language,
        left: FOLDERS,
        apps: Vec::new(),
        beside: Vec::new(),
    };
    search.below(root, DEPTH, false);
    if search.apps.is_empty() {
        search.beside
    } else {
        search.apps
    }
}

struct Search<'a> {
    language: Option<Language>,
    left: usize,
    apps: Vec<(Folder<'a>, Vec<Findings>)>,
    beside: Vec<(Folder<'a>, Vec<Findings>)>,
}

impl<'a> Search<'a> {
    fn below(&mut self, folder: &Folder<'a>, depth: usize, beside: bool) {
        for name in folder.own_dirs() {
            if self.left == 0 {
                return;
            }
            self.left -= 1;
            let beside = beside || is_beside(name);
            let inside = folder.sub(name);
            let found = look(&inside);
            let is_app = found.first().is_some_and(|best| {
                let wanted = self
                    .language
                    .is_none_or(|language| best.language == language);
                wanted && best.confidence() >= APP && runs(best)
            });
            if is_app {
                let into = if beside {
                    &mut self.beside
                } else {
                    &mut self.apps
                };
                into.push((inside, found));
            } else if depth > 1 {
                self.below(&inside, depth - 1, beside);
            }
        }
    }
}

/// Whether there is something to start or to serve: a library in a subfolder is no app.
fn runs(found: &Findings) -> bool {
    found.start.is_some() || found.output.is_some() || !found.members.is_empty()
}
