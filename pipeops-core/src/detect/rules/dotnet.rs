//! .NET.

use super::DEFAULT_PORT;
use crate::detect::Language;
use crate::detect::findings::{Findings, Role, weight};
use crate::detect::folder::Folder;
use crate::detect::version::number;

const PROJECTS: &[&str] = &[".csproj", ".fsproj", ".vbproj"];

/// Looks for projects here and, where a solution says that they are one app, in the folders below.
pub(super) fn look(folder: &Folder<'_>) -> Findings {
    let mut found = Findings::none(Language::Dotnet);
    let own = projects(folder, "");
    let solution = folder.ending(".sln").chain(folder.ending(".slnx")).next();
    if let Some(file) = solution {
        found.add(weight::MANIFEST, folder, file, "a .NET solution");
    }
    let mut all = own;
    if solution.is_some() {
        for dir in folder.own_dirs() {
            all.extend(projects(folder, dir));
            let inside = folder.sub(dir);
            for sub in inside.own_dirs() {
                all.extend(projects(folder, &format!("{dir}/{sub}")));
            }
        }
    }
    // What serves goes before what only runs, and both before libraries and tests.
    all.sort_by_key(|project| std::cmp::Reverse(rank(&folder.text(project).unwrap_or_default())));
    if let Some(project) = all.first() {
        describe(&mut found, folder, project);
    }
    if let Some(version) = folder
        .json("global.json")
        .and_then(|json| number(json.pointer("/sdk/version")?.as_str()?))
    {
        found.add(
            weight::HINT,
            folder,
            "global.json",
            format!("asks for SDK {version}"),
        );
        found.version.get_or_insert(version);
    }
    found
}

fn projects(folder: &Folder<'_>, dir: &str) -> Vec<String> {
    let inside = folder.sub(dir);
    let names = PROJECTS.iter().flat_map(|end| inside.ending(end));
    names
        .map(|name| {
            if dir.is_empty() {
                name.to_owned()
            } else {
                format!("{dir}/{name}")
            }
        })
        .collect()
}

fn rank(project: &str) -> u8 {
    if project.contains("Microsoft.NET.Test.Sdk") {
        0
    } else if project.contains("Microsoft.NET.Sdk.Web") || project.contains("Sdk.BlazorWebAssembly")
    {
        3
    } else if project.contains("Sdk.Worker") || project.contains("<OutputType>Exe") {
        2
    } else {
        1
    }
}

fn describe(found: &mut Findings, folder: &Folder<'_>, project: &str) {
    let text = folder.text(project).unwrap_or_default();
    found.add(weight::MANIFEST, folder, project, "a .NET project");
    found.package_manager = Some("nuget".to_owned());
    found.install = Some(format!("dotnet restore {project}"));
    found.build = Some(format!("dotnet publish {project} -c Release -o out"));
    let framework = text.split("<TargetFramework").nth(1).and_then(number);
    found.version(folder, framework.map(|version| (project, version)));
    if text.contains("Sdk.BlazorWebAssembly") {
        found.framework = Some("blazor".to_owned());
        found.role = Role::Frontend;
        found.output = Some("out/wwwroot".to_owned());
    } else if rank(&text) == 3 {
        found.add(weight::FRAMEWORK, folder, project, "uses ASP.NET");
        found.framework = Some("aspnet".to_owned());
    } else if rank(&text) < 2 {
        found.role = Role::Library;
        return;
    }
    let file = project.rsplit('/').next().unwrap_or(project);
    let name = file.rsplit_once('.').map_or(file, |(name, _)| name);
    found.start = Some(format!("dotnet out/{name}.dll"));
    found.port = (rank(&text) == 3).then_some(DEFAULT_PORT);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::MemTree;

    #[test]
    fn the_project_that_serves_is_taken() {
        let tree = MemTree::from([
            ("Shop.sln", ""),
            (
                "src/Shop.Core/Shop.Core.csproj",
                "<Project Sdk=\"Microsoft.NET.Sdk\">",
            ),
            (
                "src/Shop.Web/Shop.Web.csproj",
                "<Project Sdk=\"Microsoft.NET.Sdk.Web\"><TargetFramework>net8.0</TargetFramework>",
            ),
            (
                "tests/Shop.Tests/Shop.Tests.csproj",
                "Microsoft.NET.Test.Sdk",
            ),
        ]);
        let found = look(&Folder::open(&tree, ""));
        assert_eq!(found.framework.as_deref(), Some("aspnet"));
        assert_eq!(found.version.as_deref(), Some("8.0"));
        assert_eq!(found.start.as_deref(), Some("dotnet out/Shop.Web.dll"));
    }
}
