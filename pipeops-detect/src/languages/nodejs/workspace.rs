//! Workspaces: several packages with one lockfile.

use serde_json::Value;

use super::command::{ScriptCommand, commands};
use super::glob::{expand, matches};
use super::kind::{Kind, kind};
use super::manager::LOCKS;
use super::member::Member;
use super::package::{Package, texts};
use super::site::Site;
use crate::Language;
use crate::findings::{Findings, Role, weight};
use crate::plan::{self, Build};
use crate::repository::folder::{Folder, is_beside};
use crate::repository::procfile;

/// How many members are looked at: more than a person would read in a report, and enough to bound the work.
const MEMBERS: usize = 100;

/// How many of them are evidence.
const LISTED: usize = 20;

/// Tells what a member is, whose scripts the manager of the root runs.
type Describe = fn(&Folder<'_>, &Package, Option<&str>) -> Findings;

/// The members that run, where the folder is the root of a workspace.
pub(crate) fn members(
    found: &mut Findings,
    site: &Site<'_>,
    describe: Describe,
) -> Option<Vec<Member>> {
    let folder = site.folder;
    let patterns = patterns(found, site)?;
    let mut paths = Vec::new();
    for pattern in patterns.iter().filter(|pattern| !pattern.starts_with('!')) {
        let parts: Vec<&str> = pattern
            .split('/')
            .filter(|part| !matches!(*part, "" | "."))
            .collect();
        expand(folder, &parts, 10 * MEMBERS, &mut paths);
    }
    let excluded = |path: &str| {
        let mut excluding = patterns
            .iter()
            .filter_map(|pattern| pattern.strip_prefix('!'));
        excluding.any(|pattern| means(pattern, path))
    };
    paths.retain(|path| !excluded(path));
    paths.sort();
    paths.dedup();
    paths.truncate(MEMBERS);
    let manager = found.package_manager.clone().unwrap_or_default();
    Some(
        paths
            .into_iter()
            .filter_map(|path| member(site, path, &manager, describe))
            .collect(),
    )
}

/// Whether a pattern of a workspace means a folder.
fn means(pattern: &str, path: &str) -> bool {
    let parts = pattern.split('/').filter(|part| !matches!(*part, "" | "."));
    matches(&parts.collect::<Vec<_>>(), path)
}

/// The file by which the folder is the root of a workspace with this member.
pub(crate) fn holds(root: &Folder<'_>, member: &str) -> Option<&'static str> {
    let package = Package::read(root)?;
    let site = Site {
        folder: root,
        package: &package,
    };
    // What is found of the root is of no use here.
    let patterns = patterns(&mut Findings::none(Language::Nodejs), &site)?;
    let (excluding, including): (Vec<&str>, Vec<&str>) = patterns
        .iter()
        .map(String::as_str)
        .partition(|pattern| pattern.starts_with('!'));
    let is = including.iter().any(|pattern| means(pattern, member));
    let not = excluding.iter().any(|pattern| means(&pattern[1..], member));
    // A lock file in the member alone: it is installed by itself.
    let locked = |folder: &Folder<'_>| folder.first(LOCKS).is_some();
    let alone = locked(&root.sub(member)) && !locked(root);
    (is && !not && !alone).then_some(match root.has("pnpm-workspace.yaml") {
        true => "pnpm-workspace.yaml",
        false => package.file,
    })
}

/// The member that was asked about, where the folder is the root of its workspace: also one that nothing starts.
pub(crate) fn asked(found: &mut Findings, site: &Site<'_>, describe: Describe) -> Option<Member> {
    let path = site.folder.member()?.to_owned();
    patterns(found, site);
    let manager = found.package_manager.clone().unwrap_or_default();
    member(site, path.clone(), &manager, describe).or_else(|| {
        let folder = site.folder.sub(&path);
        let package = Package::read(&folder)?;
        Some(Member {
            name: package.name().to_owned(),
            found: describe(&folder, &package, Some(&manager)),
            path,
        })
    })
}

/// Says what the members are, where nothing says which one is the app.
pub(crate) fn list(found: &mut Findings, site: &Site<'_>, members: &[Member]) {
    let names: Vec<&str> = members
        .iter()
        .take(LISTED)
        .map(|member| member.path.as_str())
        .collect();
    let says = format!(
        "{} apps, and nothing says which one to deploy: {}",
        members.len(),
        names.join(", ")
    );
    found.stops(weight::NONE, site.folder, site.package.file, says);
    for member in members.iter().take(LISTED) {
        let says = format!("an app of the workspace{}", member.found.started());
        found.add(weight::NONE, site.folder, &member.path, says);
    }
}

/// Which folders are members, as the file of the workspace says.
fn patterns(found: &mut Findings, site: &Site<'_>) -> Option<Vec<String>> {
    let folder = site.folder;
    let mut patterns = site.package.workspaces();
    if !patterns.is_empty() {
        found.add(weight::ENTRY, folder, site.package.file, "a workspace root");
    }
    if folder.has("pnpm-workspace.yaml") {
        let more = texts(folder.yaml("pnpm-workspace.yaml")["packages"].as_array());
        // Without packages it holds settings only.
        if !more.is_empty() {
            found.add(
                weight::ENTRY,
                folder,
                "pnpm-workspace.yaml",
                "a pnpm workspace root",
            );
        }
        patterns.extend(more);
    }
    if folder.has(".moon/workspace.yml") {
        found.add(
            weight::LOCKFILE,
            folder,
            ".moon/workspace.yml",
            "a monorepo tool",
        );
        let projects = folder.yaml(".moon/workspace.yml");
        let projects = &projects["projects"];
        let named = projects
            .as_object()
            .into_iter()
            .flat_map(|all| all.values());
        patterns.extend(texts(projects.as_array()));
        patterns.extend(named.filter_map(Value::as_str).map(str::to_owned));
    }
    if let Some(json) = folder.json("lerna.json") {
        found.add(weight::LOCKFILE, folder, "lerna.json", "a monorepo tool");
        patterns.extend(texts(json.get("packages").and_then(Value::as_array)));
    }
    if let Some(json) = folder.json("rush.json") {
        found.add(weight::LOCKFILE, folder, "rush.json", "a monorepo tool");
        let projects = json.get("projects").and_then(Value::as_array);
        let folders = projects
            .into_iter()
            .flatten()
            .filter_map(|project| project.get("projectFolder")?.as_str());
        patterns.extend(folders.map(str::to_owned));
    }
    if found
        .add_file(weight::LOCKFILE, folder, &["nx.json"], "a monorepo tool")
        .is_some()
    {
        patterns.extend(["apps/*", "apps/*/*", "packages/*"].map(str::to_owned));
    } else if patterns.is_empty()
        && found
            .add_file(
                weight::LOCKFILE,
                folder,
                &["turbo.json", "turbo.jsonc", "lerna.json"],
                "a monorepo tool",
            )
            .is_some()
    {
        patterns.extend(["apps/*", "packages/*"].map(str::to_owned));
    }
    (!patterns.is_empty()).then_some(patterns)
}

fn member(site: &Site<'_>, path: String, manager: &str, describe: Describe) -> Option<Member> {
    let folder = site.folder.sub(&path);
    let base = path.rsplit('/').next().unwrap_or(&path).to_owned();
    if base.ends_with("-e2e") {
        return None;
    }
    if let Some(package) = Package::read(&folder) {
        let found = describe(&folder, &package, Some(manager));
        let name = package.name().to_owned();
        if runs(&folder, &package, &found) {
            return Some(Member {
                name: if name.is_empty() { base } else { name },
                path,
                found,
            });
        }
    }
    super::nx::member(site, &folder, path, base)
}

/// Whether a member runs by itself. A library may have a main file, and may be bundled, but says what it exports.
fn runs(folder: &Folder<'_>, package: &Package, found: &Findings) -> bool {
    let is_library = package.json.get("exports").is_some()
        || package.text("/types").is_some()
        || package.text("/main").is_some();
    let own = Site { folder, package };
    match found.role {
        Role::Server => {
            super::start::script(&own).is_some()
                || found.plan.start.is_some() && found.framework.is_some() && !is_library
                || (found.framework.is_some() && found.output.is_some())
        }
        Role::Frontend => !is_library || folder.has("index.html"),
        _ => false,
    }
}

/// The member that the root's script starts, or builds the files of.
pub(crate) fn started<'m>(site: &Site<'_>, members: &'m [Member]) -> Option<&'m Member> {
    let told = site.folder.text("Procfile");
    let told = told.and_then(|text| procfile::process(&text));
    let script = site.package.script("start").unwrap_or_default();
    let all = commands(
        told.as_ref().map_or(script, |process| &process.command),
        site.package,
    );
    let named = targets(&all)
        .into_iter()
        .rev()
        .find_map(|name| find(members, &name));
    named.or_else(|| {
        // Every member is started, or the root does not say: clear where only one can be meant.
        let mut deployed = members
            .iter()
            .filter(|member| !member.path.split('/').any(is_beside));
        match (deployed.next(), deployed.next()) {
            (Some(only), None) => Some(only),
            (None, _) if members.len() == 1 => members.first(),
            _ => None,
        }
    })
}

/// Whether the commands run something of the root itself.
pub(crate) fn runs_itself(commands: &[ScriptCommand]) -> bool {
    commands.last().is_some_and(|last| {
        let fans = matches!(
            last.program(),
            "turbo" | "nx" | "lerna" | "moon" | "rush" | "wsrun" | "ultra"
        );
        let manager = matches!(last.program(), "npm" | "pnpm" | "yarn" | "bun")
            && !targets(std::slice::from_ref(last)).is_empty()
            || last.has("-r")
            || last.has("--recursive")
            || last.has("workspaces")
            || last.has("--workspaces");
        !fans
            && !manager
            && targets(commands).is_empty()
            && matches!(kind(last), Kind::Run | Kind::Watch(_) | Kind::ServeFiles(_))
    })
}

/// The members that commands name: `pnpm --filter web start`, `cd apps/web && npm start`, `nx serve web`.
fn targets(commands: &[ScriptCommand]) -> Vec<String> {
    commands.iter().filter_map(target).collect()
}

fn target(command: &ScriptCommand) -> Option<String> {
    let option = |names: &[&str]| command.option(names).map(clean);
    match command.program() {
        "cd" => Some(clean(command.argument(0))),
        "npm" => option(&["-w", "--workspace", "--prefix"]),
        "yarn" if command.argument(0) == "workspace" => Some(command.argument(1).to_owned()),
        "yarn" => option(&["--cwd"]),
        "pnpm" => option(&["--filter", "-F", "-C", "--dir"]),
        "bun" => option(&["--filter", "--cwd"]),
        "turbo" => option(&["--filter", "-F", "--scope"]),
        "lerna" => option(&["--scope"]),
        "nx" if command.argument(0) == "run" => {
            command.argument(1).split(':').next().map(str::to_owned)
        }
        "nx" if !command.argument(0).starts_with("run-many") => {
            let name = command.argument(1);
            (!name.is_empty() && !name.starts_with('-')).then(|| name.to_owned())
        }
        // `node apps/api/dist/main.js`
        "node" | "tsx" | "ts-node" | "next" | "serve" => command
            .words
            .iter()
            .skip(1)
            .rev()
            .find(|word| word.contains('/'))
            .map(|word| clean(word)),
        _ => None,
    }
}

/// A filter without its signs: `./apps/web`, `{apps/web}`, `web...`.
fn clean(filter: &str) -> String {
    let filter = filter
        .trim_matches(['{', '}', '\'', '"'])
        .trim_end_matches("...")
        .trim_end_matches('^');
    filter
        .trim_start_matches("./")
        .trim_end_matches('/')
        .to_owned()
}

fn find<'m>(members: &'m [Member], name: &str) -> Option<&'m Member> {
    let scopeless = |member: &Member| member.name.rsplit('/').next().map(str::to_owned);
    let by = |test: &dyn Fn(&Member) -> bool| members.iter().find(|member| test(member));
    by(&|member| member.path == name || member.name == name)
        .or_else(|| by(&|member| name.starts_with(&format!("{}/", member.path))))
        .or_else(|| by(&|member| scopeless(member).as_deref() == Some(name)))
        .or_else(|| by(&|member| member.path.rsplit('/').next() == Some(name)))
}

/// Describes the root by the member that is started from it.
pub(crate) fn adopt(found: &mut Findings, site: &Site<'_>, member: &Member) {
    let inner = &member.found;
    found.add(
        weight::NONE,
        site.folder,
        &member.path,
        format!("the workspace member that is started: {}", member.name),
    );
    found.framework.clone_from(&inner.framework);
    found.obstacle.clone_from(&inner.obstacle);
    found.role = inner.role;
    if found.version.is_none() {
        found.version.clone_from(&inner.version);
    }
    found.adopt_port(inner);
    found.output = inner.output.as_ref().map(|output| match member.in_root() {
        true => output.clone(),
        false => format!("{}/{output}", member.path),
    });
    found.plan.start = inner
        .plan
        .start
        .as_ref()
        .map(|start| match member.in_root() {
            true => start.clone(),
            false => start.clone().inside(&member.path),
        });
    found.plan.build = build(found, site, member);
}

/// Builds the member and what it needs.
fn build(found: &Findings, site: &Site<'_>, member: &Member) -> Option<Build> {
    let own = member.found.plan.build.as_ref();
    if member.in_root() {
        return own.cloned();
    }
    let manager = found.package_manager.as_deref().unwrap_or("npm");
    let (path, name) = (&member.path, &member.name);
    if site.folder.first(&["turbo.json", "turbo.jsonc"]).is_some()
        && site.package.depends("turbo")
        && own.is_some()
    {
        let turbo = plan::Command::new("npx turbo run build");
        return Some(turbo.arg(format!("--filter=./{path}")).into());
    }
    if site.package.script("build").is_some() {
        return Some(plan::Command::new(manager).args("run build").into());
    }
    if site.folder.has("nx.json") && own.is_some() {
        return Some(plan::Command::new("npx nx build").arg(name).into());
    }
    let mut own = own?.clone();
    let Some(script) = own.last().and_then(|own| own.target.clone()) else {
        own.steps = own
            .steps
            .into_iter()
            .map(|step| step.inside(path))
            .collect();
        return Some(own);
    };
    if manager == "pnpm" {
        let filter = format!("./{path}...");
        let build = plan::Command::new("pnpm --filter").arg(filter);
        return Some(build.arg("run").arg(script).into());
    }
    // Only pnpm builds what the member needs as well.
    let mut needed = Vec::new();
    needs(&all(site), path, &mut needed);
    let needed = needed.into_iter().filter(|(_, _, builds)| *builds);
    let mut steps: Vec<plan::Command> = needed
        .map(|(path, name, _)| step(manager, &path, &name, "build"))
        .collect();
    steps.push(step(manager, path, name, &script));
    Some(Build { steps })
}

/// Runs a script of a member from the root.
fn step(manager: &str, path: &str, name: &str, script: &str) -> plan::Command {
    let command = plan::Command::new(manager);
    match manager {
        "yarn" => command.arg("workspace").arg(name).arg("run").arg(script),
        "bun" => command.args("run --cwd").arg(path).arg(script),
        _ => command
            .arg("run")
            .arg(script)
            .arg(format!("--workspace={path}")),
    }
}

/// The members that a member depends on, those that others need first: folder, name, and whether a script builds it.
fn needs(all: &[(String, Package)], path: &str, into: &mut Vec<(String, String, bool)>) {
    let Some((_, package)) = all.iter().find(|(folder, _)| folder == path) else {
        return;
    };
    for (folder, other) in all {
        let known = into.iter().any(|(known, ..)| known == folder);
        if !known && folder != path && package.depends(other.name()) {
            // In its place before what it needs itself, so that a circle ends.
            let at = into.len();
            let builds = other.script("build").is_some();
            into.push((folder.clone(), other.name().to_owned(), builds));
            needs(all, folder, into);
            into[at..].rotate_left(1);
        }
    }
}

/// All packages of the workspace.
fn all(site: &Site<'_>) -> Vec<(String, Package)> {
    let mut found = Findings::none(Language::Nodejs);
    let patterns = patterns(&mut found, site).unwrap_or_default();
    let mut paths = Vec::new();
    for pattern in patterns.iter().filter(|pattern| !pattern.starts_with('!')) {
        let parts = pattern.split('/').filter(|part| !matches!(*part, "" | "."));
        expand(
            site.folder,
            &parts.collect::<Vec<_>>(),
            10 * MEMBERS,
            &mut paths,
        );
    }
    paths.sort();
    paths.dedup();
    paths.truncate(MEMBERS);
    let read = |path: String| {
        let package = Package::read(&site.folder.sub(&path))?;
        (!package.name().is_empty()).then_some((path, package))
    };
    paths.into_iter().filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::super::detect::detect;
    use crate::languages::layouts::{Layout, check, found};

    const LIST: (&str, &str) = (
        "package.json",
        r#"{"private": true, "workspaces": ["apps/*", "packages/*"]}"#,
    );
    const OBJECT: (&str, &str) = (
        "package.json",
        r#"{"private": true, "workspaces": {"packages": ["**", "!**/api"]}}"#,
    );
    const PNPM: (&str, &str) = ("pnpm-workspace.yaml", "packages:\n  - 'apps/**'\n");
    const ALL: (&str, &str) = (
        "package.json",
        r#"{"workspaces": ["apps/*"], "scripts": {"start": "turbo run start"}}"#,
    );
    const WEB: (&str, &str) = (
        "apps/web/package.json",
        r#"{"name": "@x/web", "scripts": {"build": "next build", "start": "next start -p 3001"}, "dependencies": {"next": "15"}}"#,
    );
    const API: (&str, &str) = (
        "apps/api/package.json",
        r#"{"name": "@x/api", "scripts": {"start": "node ."}}"#,
    );
    const UI: (&str, &str) = (
        "packages/ui/package.json",
        r#"{"name": "ui", "main": "index.js", "dependencies": {"react": "19"}}"#,
    );

    // One line per layout.
    #[rustfmt::skip]
    const LAYOUTS: &[Layout] = &[
        // Members that run are listed.
        (&[LIST, WEB, API, UI], &["members apps/api apps/web"]),
        (&[OBJECT, WEB, API, UI], &["members apps/web"]),
        (&[("package.json", "{}"), PNPM, WEB, API, UI], &["members apps/api apps/web"]),
        // The root starts one of several only if its script names it.
        (&[ALL, WEB, API], &["start"]),
        (&[ALL, WEB, UI], &["start cd apps/web && npm run start"]),
    ];

    #[test]
    fn layouts() {
        check(detect, LAYOUTS);
    }

    #[test]
    fn the_root_starts_the_member_that_its_script_names() {
        for script in [
            "npm start -w @x/web",
            "npm run start --workspace=apps/web",
            "yarn workspace @x/web start",
            "pnpm --filter web start",
            "pnpm -C apps/web start",
            "turbo run start --filter=@x/web...",
            "cd apps/web && npm start",
            "lerna run start --scope=@x/web",
        ] {
            let root =
                format!(r#"{{"workspaces": ["apps/*"], "scripts": {{"start": "{script}"}}}}"#);
            let found = found(detect, &[("package.json", &root), WEB, API]);
            let start = found.start().unwrap_or_default();
            let found = (start.as_str(), found.framework.as_deref(), found.port);
            let expected = ("cd apps/web && npm run start", Some("next"), Some(3001));
            assert_eq!(found, expected, "{script}");
        }
    }
}
