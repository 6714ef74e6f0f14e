//! Searches the folders of a tree for apps.

use crate::Language;
use crate::devices;
use crate::findings::Findings;
use crate::findings::Role;
use crate::languages;
use crate::repository::folder::{Folder, is_beside};

/// How many levels of folders are searched.
const DEPTH: usize = 4;

/// How many folders are read: the tree is untrusted.
const FOLDERS: usize = 2_000;

/// From this confidence on, a folder is an app, and everything inside belongs to it.
pub(crate) const APP: f64 = 0.5;

/// A folder and the findings of all languages, best first.
pub(crate) type Found<'a> = (Folder<'a>, Vec<Findings>);

/// The findings of all languages in a folder, best first.
pub(crate) fn detect(folder: &Folder<'_>) -> Vec<Findings> {
    let all = languages::ALL.iter().map(|rules| (rules.detect)(folder));
    let mut found: Vec<Findings> = all.filter(Findings::found).collect();
    // Stable: among equals the order of the rules decides.
    found.sort_by(|a, b| b.confidence().total_cmp(&a.confidence()));
    found
}

/// The folders below `root` that are apps, with what they are, sorted by path. Those that hold tests, tools or
/// documentation count only where nothing else does.
pub(crate) fn apps<'a>(root: &Folder<'a>, language: Option<Language>) -> Vec<Found<'a>> {
    let search = search(root, language);
    match search.apps.is_empty() {
        true => search.beside,
        false => search.apps,
    }
}

/// The folders below `root` that are apps, without those that hold tests, tools or documentation.
pub(crate) fn own_apps<'a>(root: &Folder<'a>) -> Vec<Found<'a>> {
    search(root, None).apps
}

fn search<'a>(root: &Folder<'a>, language: Option<Language>) -> Search<'a> {
    let mut search = Search {
        language,
        left: FOLDERS,
        apps: Vec::new(),
        beside: Vec::new(),
    };
    // Level by level: where the bound ends the search, it has seen what is near rather than what comes first in the
    // alphabet.
    let mut level = search.inside(root, Place::default());
    for _ in 1..DEPTH {
        let mut next = Vec::new();
        for (folder, place) in &level {
            next.extend(search.inside(folder, *place));
        }
        level = next;
    }
    for apps in [&mut search.apps, &mut search.beside] {
        apps.sort_by(|(a, _), (b, _)| a.path().cmp(b.path()));
    }
    search
}

/// Whether there is something to start or to serve: a library is no app. What serves requests by its framework runs, even
/// where nothing says how.
pub(crate) fn runs(found: &Findings) -> bool {
    let serves = found.role == Role::Server && found.framework.is_some();
    serves || found.plan.start.is_some() || found.output.is_some() || !found.members.is_empty()
}

struct Search<'a> {
    language: Option<Language>,
    left: usize,
    apps: Vec<Found<'a>>,
    beside: Vec<Found<'a>>,
}

/// What is known of a folder by those above it.
#[derive(Clone, Copy, Default)]
struct Place {
    /// It holds tests, tools, documentation or an app for phones, or is inside of such a folder.
    beside: bool,
    /// It is inside of a project that is no app: programs and pages in it are parts of that.
    part: bool,
}

impl<'a> Search<'a> {
    /// Keeps the apps directly inside of a folder, and returns the other folders.
    fn inside(&mut self, folder: &Folder<'a>, place: Place) -> Vec<(Folder<'a>, Place)> {
        let mut others = Vec::new();
        for name in folder.own_dirs() {
            if self.left == 0 {
                break;
            }
            self.left -= 1;
            let inside = folder.sub(name);
            if inside.is_environment() {
                continue;
            }
            let mut place = Place {
                beside: place.beside || is_beside(name) || devices::only(&inside),
                ..place
            };
            let found = detect(&inside);
            if !self.is_app(&found, place) || holds_project(&inside, &found) {
                place.part |= found.iter().any(|found| found.plan.install.is_some());
                others.push((inside, place));
                continue;
            }
            let into = match place.beside {
                true => &mut self.beside,
                false => &mut self.apps,
            };
            into.push((inside, found));
        }
        others
    }

    fn is_app(&self, found: &[Findings], place: Place) -> bool {
        found.first().is_some_and(|best| {
            let wanted = self
                .language
                .is_none_or(|language| best.language == language);
            let part = place.part && !best.is_project();
            wanted && !part && best.confidence() >= APP && runs(best)
        })
    }
}

/// Whether all that makes a folder an app is in one folder inside, which is a project of its own: that is the app then.
fn holds_project(folder: &Folder<'_>, found: &[Findings]) -> bool {
    let dir = found.first().and_then(|best| best.inside(folder));
    dir.is_some_and(|dir| {
        detect(&folder.sub(dir))
            .first()
            .is_some_and(Findings::is_project)
    })
}
