//! What an app needs of the repository outside of its own folder: the root of its workspace, libraries that it names by their
//! paths, settings that its tools read from folders above.
//!
//! Without them, a build fails, or takes a package of the same name from a public registry.

use crate::findings::Findings;
use crate::languages::{self, dotnet, frontends, go, java, nodejs, python, rust};
use crate::outside::references::Need;
use crate::repository::folder::{Folder, common};
use crate::{Detection, Evidence, Language};

pub(crate) mod references;
pub(crate) mod strangers;

/// How many files are evidence.
const EVIDENCE: usize = 5;

/// The build context of an app that needs more than its own folder.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outside {
    /// The folder that holds all that is needed, from the root of the tree; `.` is the root.
    pub(crate) context: String,
    /// The app's folder, from there.
    pub(crate) member: String,
    /// Which files say so.
    pub(crate) evidence: Vec<Evidence>,
    /// Whether the tool of the workspace builds the app from the workspace's root. Otherwise the commands run in the app's
    /// folder.
    pub(crate) by_workspace: bool,
}

/// What the app in a folder needs outside of it, if anything.
pub(crate) fn find(folder: &Folder<'_>, language: Language) -> Option<Outside> {
    workspace(folder, language).or_else(|| named(folder, language))
}

/// The workspace of which the folder is a member, where the recipe of the language builds members.
fn workspace(folder: &Folder<'_>, language: Language) -> Option<Outside> {
    type Holds = fn(&Folder<'_>, &str) -> Option<&'static str>;
    let (holds, outermost): (Holds, bool) = match language {
        Language::Nodejs => (nodejs::workspace::holds, false),
        Language::Rust => (rust::manifest::holds, false),
        Language::Go => (go::detect::holds, false),
        // A build of several levels is one: its root is the outermost.
        Language::Java => (java::detect::holds, true),
        _ => return None,
    };
    let found = folder.above().filter_map(|(root, member)| {
        let file = holds(&root, member)?;
        Some(Outside {
            context: root.path().to_owned(),
            member: member.to_owned(),
            evidence: vec![Evidence {
                path: root.at(file),
                says: format!("{member} is built from this folder, with what it needs of it"),
            }],
            by_workspace: true,
        })
    });
    let mut found = found.take(if outermost { usize::MAX } else { 1 });
    match outermost {
        true => found.last(),
        false => found.next(),
    }
}

/// The files and folders that the app's manifests name by their paths, or that its tool reads from folders above.
fn named(folder: &Folder<'_>, language: Language) -> Option<Outside> {
    let own = match folder.path() {
        "." => return None,
        path => path,
    };
    let mut needs = references::of(folder, language);
    match language {
        Language::Python => needs.extend(python::workspace::root(folder)),
        Language::Dotnet => needs.extend(dotnet::project::shared_above(folder)),
        _ => {}
    }
    if let Some((_, all)) = frontends::beside(folder, language) {
        needs.extend(all.iter().map(|served| Need {
            folder: served.frontend.folder.path().to_owned(),
            path: served.frontend.folder.path().to_owned(),
            file: served.frontend.folder.at(served.frontend.package.file),
        }));
    }
    let context = needs.iter().fold(own.to_owned(), |context, need| {
        common(&context, &need.folder)
    });
    if context == own {
        return None;
    }
    let member = match context.as_str() {
        "" => own,
        context => own.strip_prefix(context)?.trim_start_matches('/'),
    };
    let evidence = needs.iter().take(EVIDENCE).map(|need| Evidence {
        path: need.file.clone(),
        says: format!("needs {}, outside of the app's folder", need.path),
    });
    Some(Outside {
        member: member.to_owned(),
        evidence: evidence.collect(),
        context: if context.is_empty() {
            ".".to_owned()
        } else {
            context
        },
        by_workspace: false,
    })
}

impl Outside {
    /// The root of the workspace with the member as its app, and what its language finds there.
    pub(crate) fn member<'a>(
        &self,
        folder: &Folder<'a>,
        language: Language,
    ) -> (Folder<'a>, Findings) {
        let root = folder.in_tree(&self.context).for_member(&self.member);
        let found = (languages::rules(language).detect)(&root);
        (root, found)
    }

    /// Whether the workspace's tool runs what it finds of the member.
    pub(crate) fn runs_in(&self, folder: &Folder<'_>, language: Language) -> bool {
        if !self.by_workspace {
            return false;
        }
        let (_, member) = self.member(folder, language);
        let starts = |found: &Findings| found.plan.start.is_some() || found.output.is_some();
        starts(&member) || !starts(&(languages::rules(language).detect)(folder))
    }

    /// A detection with its commands and paths from the app's folder.
    pub(crate) fn inside(&self, detection: &Detection) -> Detection {
        let mut detection = detection.clone();
        for command in [
            &mut detection.install,
            &mut detection.build,
            &mut detection.start,
        ] {
            *command = command.take().map(|command| self.left(&command).to_owned());
        }
        let prefix = format!("{}/", self.member);
        let output = |output: String| output.strip_prefix(&prefix).unwrap_or(&output).to_owned();
        detection.output = detection.output.map(output);
        detection
    }

    /// A command that runs in the app's folder, for a shell in the build context. One that names the member's package runs
    /// anywhere in the workspace.
    pub(crate) fn entered(&self, command: &str) -> String {
        if command.starts_with("uv sync ") && command.contains(" --package ") {
            return command.to_owned();
        }
        format!("cd {} && {command}", self.member)
    }

    /// A command of a detection, for a shell in the app's folder.
    fn left<'c>(&self, command: &'c str) -> &'c str {
        let rest = command.strip_prefix("cd ");
        let rest = rest.and_then(|rest| rest.strip_prefix(&self.member)?.strip_prefix(" && "));
        rest.unwrap_or(command)
    }
}

#[cfg(test)]
mod tests;
