//! Node.js, with npm, pnpm, yarn and bun.

use crate::Language;
use crate::findings::{Findings, Role, weight};
use crate::repository::folder::Folder;

use super::app::{App, build};
use super::package::Package;
use super::site::Site;
use super::{command, entry, frameworks, loose, manager, version, workspace};

/// Looks for a package, or for a program without one.
pub(crate) fn detect(folder: &Folder<'_>) -> Findings {
    match Package::read(folder) {
        Some(package) => describe(folder, &package, None),
        None => loose::detect(folder),
    }
}

/// What a package is. In a workspace the root says which manager runs its scripts.
fn describe(folder: &Folder<'_>, package: &Package, manager: Option<&str>) -> Findings {
    let mut found = Findings::none(Language::Nodejs);
    found.add(weight::MANIFEST, folder, package.file, "a Node.js package");
    manager::manager(&mut found, folder, package);
    if let Some(manager) = manager {
        found.package_manager = Some(manager.to_owned());
    }
    // Bun runs the app as well.
    let version = match found.package_manager.as_deref() {
        Some("bun") => version::bun(folder, package),
        _ => version::version(folder, package),
    };
    found.version(folder, version);
    let site = Site { folder, package };
    if let Some(member) = workspace::asked(&mut found, &site, describe) {
        found.role = Role::Server;
        workspace::adopt(&mut found, &site, &member);
        return found;
    }
    if folder.member().is_some() {
        // Nothing is there: the root's own app is another one.
        return found;
    }
    if manager.is_none() && package.workspaces().is_empty() && package.depends_on_members() {
        let says = "depends on members of a workspace, and no folder above says that it is the root of one";
        if !folder
            .above()
            .any(|(root, member)| workspace::holds(&root, member).is_some())
        {
            found.add(weight::NONE, folder, package.file, says);
        }
    }
    let members = workspace::members(&mut found, &site, describe).unwrap_or_default();
    found.members = members.iter().map(|member| member.path.clone()).collect();
    if !members.is_empty() && !is_own_app(&site) {
        found.role = Role::Server;
        build(&mut found, &site, None);
        match workspace::started(&site, &members) {
            Some(member) => workspace::adopt(&mut found, &site, member),
            None => workspace::list(&mut found, &site, &members),
        }
        return found;
    }
    let app = App::read(&site, found.package_manager.as_deref());
    app.describe(&mut found);
    found
}

/// Whether the root of a workspace is an app itself, and does not only start its members.
fn is_own_app(site: &Site<'_>) -> bool {
    let all = command::commands(
        site.package.script("start").unwrap_or_default(),
        site.package,
    );
    if workspace::runs_itself(&all) {
        return true;
    }
    let program =
        || entry::program(site, true).is_some_and(|program| site.folder.has(&program.file));
    let pages = || {
        let developed = ["dev", "build"]
            .iter()
            .filter_map(|name| site.package.script(name));
        frameworks::pages(site).is_some_and(|pages| {
            let mut words = developed.flat_map(|script| command::commands(script, site.package));
            words.any(|command| {
                command.program() == pages.name
                    && !command.words.iter().any(|word| word.starts_with("apps/"))
            })
        })
    };
    all.is_empty() && (pages() || program())
}

#[cfg(test)]
mod tests;
