//! .NET.

use super::project::{Kind, Project, closure, projects};
use crate::Language;
use crate::findings::{Findings, Role, weight};
use crate::plan::Command;
use crate::repository::folder::Folder;
use crate::repository::port::DEFAULT_PORT;
use crate::repository::version::{managed, number};
use crate::{choice, servers};

/// The folder that is published into.
pub(crate) const OUT: &str = "out/";

/// Looks for projects here and, where a solution or a reference says that they are one build, in the folders below.
pub(crate) fn detect(folder: &Folder<'_>) -> Findings {
    let mut found = Findings::none(Language::Dotnet);
    let (solution, projects) = projects(folder);
    if let Some(file) = &solution {
        found.add(weight::MANIFEST, folder, file, "a .NET solution");
    }
    if !projects.is_empty() {
        let name = solution
            .as_deref()
            .and_then(|file| file.rsplit_once('.'))
            .map(|(name, _)| name);
        match choose(&projects, name) {
            Some(project) => describe(&mut found, folder, project, &projects),
            None => several(&mut found, folder, &projects),
        }
    }
    if found.found()
        && let Some((file, version)) = sdk(folder)
    {
        found.add(
            weight::HINT,
            folder,
            file,
            format!("asks for SDK {version}"),
        );
        found.version.get_or_insert(version);
    }
    found
}

/// The SDK that the project asks for, and the file that says so.
pub(crate) fn sdk(folder: &Folder<'_>) -> Option<(&'static str, String)> {
    let json = folder.json("global.json");
    let told = json
        .as_ref()
        .and_then(|json| number(json.pointer("/sdk/version")?.as_str()?));
    told.map(|version| ("global.json", version))
        .or_else(|| managed(folder, &["dotnet", "dotnet-core", "dotnet-sdk"]))
}

/// The project that is deployed: of the kind that serves most, the one that is named so.
pub(crate) fn choose<'p>(projects: &'p [Project], solution: Option<&str>) -> Option<&'p Project> {
    let best = projects.iter().map(|project| project.kind).max()?;
    let of_kind: Vec<&Project> = projects
        .iter()
        .filter(|project| project.kind == best)
        .collect();
    if of_kind.len() == 1 || best <= Kind::Library {
        return of_kind.first().copied();
    }
    let last = |project: &&Project| {
        project
            .name()
            .rsplit('.')
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase()
    };
    let reasons: [choice::Reason<'_, &Project>; 4] = [
        &|project| !project.file.contains('/'),
        &|project| Some(project.name()) == solution,
        &|project| servers::is_one(project.name()) || last(project).starts_with("web"),
        // Where a site and its interface for programs stand side by side, people reach the site.
        &|project| last(project).starts_with("web"),
    ];
    Some(choice::choose(&of_kind, &reasons)?.0)
}

fn several(found: &mut Findings, folder: &Folder<'_>, projects: &[Project]) {
    let best = projects.iter().map(|project| project.kind).max();
    let apps: Vec<&Project> = projects
        .iter()
        .filter(|project| Some(project.kind) == best)
        .collect();
    let dirs = apps
        .iter()
        .filter_map(|project| Some(project.file.rsplit_once('/')?.0.to_owned()));
    found.members = dirs.collect();
    for project in apps {
        let says = format!(
            "one of several server projects, and nothing says which one to deploy; started by `dotnet {}.dll`",
            project.assembly()
        );
        found.stops(weight::HINT, folder, &project.file, says);
    }
    found.package_manager = Some("nuget".to_owned());
    if best == Some(Kind::Web) {
        found.framework = Some("aspnet".to_owned());
    }
}

fn describe(found: &mut Findings, folder: &Folder<'_>, project: &Project, all: &[Project]) {
    let file = project.file.as_str();
    found.add(weight::MANIFEST, folder, file, "a .NET project");
    found.package_manager = Some("nuget".to_owned());
    found.plan.install = Some(Command::new("dotnet restore").target(file));
    found.plan.build = Some(
        Command::new("dotnet publish")
            .target(file)
            .args("-c Release -o out")
            .into(),
    );
    found.version(
        folder,
        project.framework().map(|(version, _)| (file, version)),
    );
    for other in closure(folder, project).into_iter().flatten() {
        if other != file {
            // Also what makes this folder, and not the project's own, the one that is built.
            found.add(weight::NONE, folder, &other, "part of the build");
        }
    }
    let others: Vec<&str> = all
        .iter()
        .filter(|other| other.kind == project.kind && other.file != file)
        .map(Project::name)
        .collect();
    if !others.is_empty() && project.kind > Kind::Library {
        found.add(
            weight::NONE,
            folder,
            file,
            format!("preferred over {} because of its name", others.join(", ")),
        );
    }
    match project.kind {
        Kind::Test | Kind::Library => {
            found.role = Role::Library;
            return;
        }
        Kind::Browser => {
            found.framework = Some("blazor".to_owned());
            found.role = Role::Frontend;
            found.output = Some("out/wwwroot".to_owned());
        }
        Kind::Web => {
            found.add(weight::FRAMEWORK, folder, file, "uses ASP.NET");
            found.framework = Some("aspnet".to_owned());
        }
        Kind::Worker => found.framework = Some("worker".to_owned()),
        Kind::Program => {}
    }
    if project.kind != Kind::Browser {
        found.plan.start =
            Some(Command::new("dotnet").target(format!("{OUT}{}.dll", project.assembly())));
    }
    if matches!(project.kind, Kind::Web | Kind::Browser) {
        found.port = Some(DEFAULT_PORT);
        listens(found, folder, project);
    }
}

/// The port that the program itself sets, which goes before the variables of the framework.
fn listens(found: &mut Findings, folder: &Folder<'_>, project: &Project) {
    let dir = project
        .file
        .rsplit_once('/')
        .map_or(String::new(), |(dir, _)| format!("{dir}/"));
    for name in ["Program.cs", "Program.fs"] {
        let file = format!("{dir}{name}");
        let text = folder.text(&file).unwrap_or_default();
        if text.contains("GetEnvironmentVariable(\"PORT\")") {
            found.add(weight::HINT, folder, &file, "listens on $PORT");
            return;
        }
        let sets = |line: &&str| {
            ["UseUrls(", ".Run(\"http", "Urls.Add(", "ListenAnyIP("]
                .iter()
                .any(|mark| line.contains(mark))
        };
        let port = text.lines().filter(sets).find_map(|line| {
            let mark = [":", "ListenAnyIP("]
                .into_iter()
                .filter_map(|mark| Some((line.rfind(mark)?, mark.len())))
                .max();
            let (at, length) = mark?;
            number(&line[at + length..])
                .filter(|_| line[at + length..].starts_with(|ch: char| ch.is_ascii_digit()))?
                .parse()
                .ok()
        });
        if let Some(port) = port {
            found.listens_on(folder, &file, port);
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::detect;
    use crate::languages::layouts::{Layout, check};

    const WEB: &str =
        "<Project Sdk=\"Microsoft.NET.Sdk.Web\"><TargetFramework>net8.0</TargetFramework>";
    const REFERS: &str = "<Project Sdk=\"Microsoft.NET.Sdk.Web\"><ProjectReference Include=\"..\\Core\\Core.csproj\" />";
    const LIBRARY: &str = "<Project Sdk=\"Microsoft.NET.Sdk\">";

    // One line per layout.
    #[rustfmt::skip]
    const LAYOUTS: &[Layout] = &[
        // The project that serves is taken.
        (&[("Shop.sln", ""), ("src/Shop.Core/Shop.Core.csproj", LIBRARY), ("src/Shop.Web/Shop.Web.csproj", WEB), ("src/Shop.Web/Program.cs", "app.Run(\"http://*:5050\");"), ("tests/Shop.Tests/Shop.Tests.csproj", "Microsoft.NET.Test.Sdk")], &["framework aspnet", "version 8.0", "start dotnet out/Shop.Web.dll", "port 5050"]),
        // Projects that refer to one another are one build.
        (&[("Api/Api.csproj", REFERS), ("Core/Core.csproj", LIBRARY)], &["start dotnet out/Api.dll"]),
        (&[("Api/Api.csproj", WEB), ("Core/Core.csproj", LIBRARY)], &["found false"]),
        (&[("back/Api/Api.csproj", REFERS), ("back/Core/Core.csproj", LIBRARY)], &["found false"]),
        // The SDK builds for older releases: what runs is the project's.
        (&[("Api.csproj", WEB), (".tool-versions", "dotnet 9.0.101")], &["version 8.0"]),
        (&[("Api.csproj", "<Project Sdk=\"Microsoft.NET.Sdk.Web\">"), ("mise.toml", "[tools]\ndotnet = \"9.0.101\"")], &["version 9.0.101"]),
        // Services side by side are listed.
        (&[("Shop.slnx", ""), ("Basket/Basket.csproj", WEB), ("Orders/Orders.csproj", WEB)], &["start", "members Basket Orders"]),
    ];

    #[test]
    fn layouts() {
        check(detect, LAYOUTS);
    }
}
