//! Elixir.

use crate::Language;
use crate::findings::{Findings, Role, weight};
use crate::languages::nodejs::frontend::Frontend;
use crate::plan::{Build, Command};
use crate::repository::folder::Folder;
use crate::repository::port::DEFAULT_PORT;
use crate::repository::version::{managed, number};
use crate::servers;

/// Where Mix writes releases.
pub(crate) const RELEASES: &str = "_build/prod/rel/";

/// Dependencies, and what they make of a project.
const FRAMEWORKS: &[(&str, &str)] = &[
    ("phoenix", "phoenix"),
    ("plug_cowboy", "plug"),
    ("bandit", "plug"),
    ("nerves", "nerves"),
];

/// Looks for a Mix project, or an umbrella of several.
pub(crate) fn detect(folder: &Folder<'_>) -> Findings {
    let mut found = Findings::none(Language::Elixir);
    let Some(project) = Project::read(folder) else {
        return found;
    };
    found.add(weight::MANIFEST, folder, "mix.exs", "a Mix project");
    found.lockfile(folder, &["mix.lock"], "Mix");
    found.package_manager = Some("mix".to_owned());
    found.plan.install = Some(Command::new("mix deps.get --only prod"));
    version(&mut found, folder, &project);
    let apps = umbrella(folder, &project);
    if project.umbrella {
        let says = format!("an umbrella of {} apps", apps.len());
        found.add(weight::HINT, folder, "mix.exs", says);
        found.members = apps.iter().map(|(dir, _)| dir.clone()).collect();
    }
    describe(&mut found, folder, &project, &apps);
    start(&mut found, folder, &project);
    found
}

/// The front end: below `assets`, as Phoenix makes it, or beside the project's file.
pub(crate) fn frontend<'a>(folder: &Folder<'a>) -> Option<Frontend<'a>> {
    let own = || Frontend::read(folder, "").filter(|own| own.build().is_some());
    let frontend = Frontend::read(folder, "assets").or_else(own)?;
    Some(frontend.prefer("deploy"))
}

/// What a `mix.exs` says.
#[derive(Debug)]
pub(crate) struct Project {
    text: String,
    /// The name of the release: of the first in `releases:`, else of the app.
    pub(crate) release: Option<String>,
    umbrella: bool,
}

impl Project {
    pub(crate) fn read(folder: &Folder<'_>) -> Option<Self> {
        let text = folder.text("mix.exs")?;
        let is_comment = |line: &&str| line.trim_start().starts_with('#');
        let text: String = text
            .lines()
            .filter(|line| !is_comment(line))
            .map(|line| format!("{line}\n"))
            .collect();
        let app = atom(&text, "app:");
        let umbrella = text.contains("apps_path:");
        Some(Self {
            release: first_release(&text).or(app),
            umbrella,
            text,
        })
    }

    /// Whether it depends on this package: `{:phoenix, …}` is a dependency, `{:phoenix_html, …}` another one.
    pub(crate) fn depends(&self, name: &str) -> bool {
        self.text.contains(&format!("{{:{name},"))
    }

    /// Whether `mix` knows this alias.
    pub(crate) fn has_alias(&self, name: &str) -> bool {
        self.text.contains(&format!("\"{name}\":")) || self.text.contains(&format!("\"{name}\" =>"))
    }
}

/// The name behind a key: `shop` of `app: :shop`.
fn atom(text: &str, key: &str) -> Option<String> {
    let (_, rest) = text.split_once(key)?;
    let rest = rest.trim_start().strip_prefix(':')?;
    let end = rest.find(|ch: char| !ch.is_ascii_alphanumeric() && ch != '_')?;
    Some(rest[..end].to_owned())
}

/// `shop` of `releases: [shop: [` and of `defp releases do [ shop: [`.
fn first_release(text: &str) -> Option<String> {
    let inside = |mark: &str| {
        Some(
            text.split_once(mark)?
                .1
                .trim_start()
                .strip_prefix('[')?
                .trim_start(),
        )
    };
    let list = inside("releases:")
        .or_else(|| inside("releases do"))
        .or_else(|| inside("releases() do"))?;
    let end = list.find(|ch: char| !ch.is_ascii_alphanumeric() && ch != '_')?;
    (end > 0 && list[end..].starts_with(':')).then(|| list[..end].to_owned())
}

/// The apps of an umbrella.
pub(crate) fn umbrella(folder: &Folder<'_>, project: &Project) -> Vec<(String, Project)> {
    if !project.umbrella {
        return Vec::new();
    }
    let apps = folder.sub("apps");
    let read = |name: &str| Some((format!("apps/{name}"), Project::read(&apps.sub(name))?));
    apps.own_dirs().filter_map(read).collect()
}

fn describe(
    found: &mut Findings,
    folder: &Folder<'_>,
    project: &Project,
    apps: &[(String, Project)],
) {
    let own = [("mix.exs".to_owned(), project)];
    let inside = apps
        .iter()
        .map(|(dir, app)| (format!("{dir}/mix.exs"), app));
    for (file, project) in own.into_iter().chain(inside) {
        if found.framework(folder, &file, FRAMEWORKS, |name| project.depends(name)) {
            return;
        }
    }
}

/// What tools install, then what the project asks for at least.
fn version(found: &mut Findings, folder: &Folder<'_>, project: &Project) {
    let told = managed(folder, &["elixir"]);
    let buildpack = || {
        let text = folder.text("elixir_buildpack.config")?;
        let line = text
            .lines()
            .find(|line| line.starts_with("elixir_version"))?;
        Some(("elixir_buildpack.config", number(line)?))
    };
    let asked = || {
        let (_, rest) = project.text.split_once(" elixir:")?;
        Some(("mix.exs", number(rest.lines().next()?)?))
    };
    let said = told.or_else(buildpack).or_else(asked);
    // A version without its minor part says nothing that a tag could say.
    found.version(folder, said.filter(|(_, version)| version.contains('.')));
}

/// A release, started by its script; an umbrella has one only where it names it.
fn start(found: &mut Findings, folder: &Folder<'_>, project: &Project) {
    let Some(release) = &project.release else {
        let named = found
            .members
            .iter()
            .find(|dir| servers::is_one(dir.rsplit('/').next().unwrap_or_default()));
        let says = match named {
            Some(app) => format!(
                "defines no release of the umbrella (`releases:` is missing); {app} looks like the server"
            ),
            None => "defines no release of the umbrella (`releases:` is missing)".to_owned(),
        };
        found.stops(weight::NONE, folder, "mix.exs", says);
        return;
    };
    let runs =
        project.umbrella || project.text.contains("mod: {") || project.text.contains("mod: ");
    if project.text.contains("escript:") && !runs {
        found.add(
            weight::NONE,
            folder,
            "mix.exs",
            "builds a command-line script",
        );
        found.plan.build = Some(Command::new("mix escript.build").into());
        found.plan.start = Some(Command::program(format!("./{release}")));
        return;
    }
    if !runs && found.framework.is_none() {
        found.role = Role::Library;
        found.stops(
            weight::NONE,
            folder,
            "mix.exs",
            "has no application module, so there is nothing to start",
        );
        return;
    }
    let mut steps = Vec::new();
    let frontend = frontend(folder);
    if let Some(frontend) = &frontend {
        frontend.describe(found, folder);
    }
    if project.has_alias("assets.deploy") {
        steps.push(Command::new("mix assets.deploy"));
    } else if let Some(build) = frontend.and_then(|frontend| frontend.build_from_server()) {
        steps.push(build);
        if found.framework.as_deref() == Some("phoenix") {
            steps.push(Command::new("mix phx.digest"));
        }
    }
    let made = Command::new("mix release");
    steps.push(match project.text.contains("releases") {
        true => made.target(release),
        false => made,
    });
    found.plan.build = Some(Build { steps });
    let program = format!("{RELEASES}{release}/bin/{release}");
    found.plan.start = Some(Command::program(program).arg("start"));
    found.port = Some(DEFAULT_PORT);
}

#[cfg(test)]
mod tests {
    use super::detect;
    use crate::languages::layouts::{Layout, check};

    const PHOENIX: &str = "def project do [\n app: :shop,\n elixir: \"~> 1.15\",\n]\n mod: {Shop.Application, []}\n {:phoenix, \"~> 1.7\"},\n \"assets.deploy\": [\"esbuild\"]";
    const APP: (&str, &str) = ("mix.exs", "app: :a, mod: {A, []}");

    const PLAIN: (&str, &str) = (
        "mix.exs",
        "app: :talk, mod: {Talk, []}\n {:phoenix, \"~> 1.7\"},",
    );

    // One line per layout.
    #[rustfmt::skip]
    const LAYOUTS: &[Layout] = &[
        (&[("mix.exs", PHOENIX), ("mix.lock", "")], &["framework phoenix", "version 1.15", "start _build/prod/rel/shop/bin/shop start", "build mix assets.deploy && mix release"]),
        // Without Phoenix's alias the script of the front end builds, whatever manager runs it.
        (&[PLAIN, ("assets/package.json", r#"{"scripts": {"build": "vite build --outDir ../priv/static", "deploy": "npm run build"}}"#), ("assets/package-lock.json", "")], &["build npm run --prefix assets deploy && mix phx.digest && mix release"]),
        (&[PLAIN, ("assets/package.json", r#"{"scripts": {"deploy": "webpack --mode production"}}"#), ("assets/bun.lock", "")], &["build bun run --cwd assets deploy && mix phx.digest && mix release"]),
        (&[PLAIN, ("package.json", r#"{"scripts": {"build": "vite build"}}"#), ("pnpm-lock.yaml", "")], &["build pnpm run build && mix phx.digest && mix release"]),
        (&[APP, ("assets/package.json", r#"{"scripts": {"build": "vite build"}}"#), ("assets/yarn.lock", "")], &["build yarn --cwd assets run build && mix release"]),
        (&[PLAIN, ("assets/package.json", r#"{"dependencies": {"topbar": "3"}}"#)], &["build mix release"]),
        // Umbrellas start the release that they name.
        (&[("mix.exs", "apps_path: \"apps\", releases: [\n shop_all: [applications: []]]"), ("apps/shop_web/mix.exs", PHOENIX)], &["start _build/prod/rel/shop_all/bin/shop_all start", "framework phoenix", "members apps/shop_web"]),
        (&[("mix.exs", "apps_path: \"apps\""), ("apps/shop_web/mix.exs", PHOENIX)], &["start"]),
        // Versions have a minor part.
        (&[APP, ("mise.toml", "[tools]\nelixir = \"1.18.3\"")], &["version 1.18.3"]),
        (&[APP, ("mise.toml", "[tools]\nelixir = \"1\"")], &["version"]),
    ];

    #[test]
    fn layouts() {
        check(detect, LAYOUTS);
    }
}
