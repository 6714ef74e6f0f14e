//! Scheme, as Guile runs it, and Haunt, its site generator.

use crate::Language;
use crate::findings::{Findings, Role, weight};
use crate::plan::Command;
use crate::repository::folder::Folder;
use crate::repository::port::DEFAULT_PORT;

/// Names that programs have.
const PROGRAMS: &[&str] = &[
    "main.scm",
    "server.scm",
    "app.scm",
    "init.scm",
    "src/main.scm",
];

/// Looks for a site of Haunt or a program.
pub(crate) fn detect(folder: &Folder<'_>) -> Findings {
    let mut found = Findings::none(Language::Scheme);
    if found
        .add_file(weight::FRAMEWORK, folder, &["haunt.scm"], "a Haunt site")
        .is_some()
    {
        found.framework = Some("haunt".to_owned());
        found.role = Role::Frontend;
        found.plan.build = Some(Command::new("haunt build").into());
        found.output = Some("site".to_owned());
        found.port = Some(DEFAULT_PORT);
        return found;
    }
    // `guix.scm` and `manifest.scm` describe packages of projects in any language.
    let Some(file) = found.add_file(weight::ENTRY, folder, PROGRAMS, "the program") else {
        return found;
    };
    found.plan.start = Some(Command::new("guile").arg(file));
    let source = folder.text(file).unwrap_or_default();
    let serves = source.contains("(web server)") || source.contains("(artanis");
    found.listens_or(folder, file, serves.then_some(DEFAULT_PORT));
    found
}

#[cfg(test)]
mod tests {
    use super::detect;
    use crate::languages::layouts::{Layout, check};

    // One line per layout.
    #[rustfmt::skip]
    const LAYOUTS: &[Layout] = &[
        (&[("haunt.scm", "")], &["output site"]),
        (&[("main.scm", "(use-modules (web server))")], &["start guile main.scm", "port 8080"]),
        (&[("guix.scm", "")], &["found false"]),
    ];

    #[test]
    fn layouts() {
        check(detect, LAYOUTS);
    }
}
