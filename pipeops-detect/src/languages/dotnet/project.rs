//! Projects of .NET: their files, what they are, and what they refer to.

use super::super::java::project::without_comments;
use crate::outside::references::Need;
use crate::repository::folder::{Folder, resolve};
use crate::repository::version::{compare, number};

const ENDINGS: &[&str] = &[".csproj", ".fsproj", ".vbproj"];

/// How many projects are read: the tree is untrusted.
const PROJECTS: usize = 300;

/// What a project is, the least likely to be deployed first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Test,
    Library,
    Program,
    Worker,
    /// Runs in browsers: built into files.
    Browser,
    Web,
}

/// One project.
#[derive(Debug, Clone)]
pub(crate) struct Project {
    /// Its file, from the root.
    pub(crate) file: String,
    pub(crate) kind: Kind,
    /// The project file, and what it inherits from `Directory.Build.props`.
    pub(crate) text: String,
}

impl Project {
    pub(crate) fn read(root: &Folder<'_>, file: &str) -> Option<Self> {
        let own = without_comments(&root.text(file)?);
        let kind = kind(file, &own);
        let mut text = own;
        let mut dir = file.rsplit_once('/').map_or("", |(dir, _)| dir);
        loop {
            if let Some(shared) = root.sub(dir).text("Directory.Build.props") {
                text.push_str(&without_comments(&shared));
                break;
            }
            if dir.is_empty() {
                break;
            }
            dir = dir.rsplit_once('/').map_or("", |(parent, _)| parent);
        }
        Some(Self {
            file: file.to_owned(),
            kind,
            text,
        })
    }

    /// The file's name without its ending.
    pub(crate) fn name(&self) -> &str {
        let file = self.file.rsplit('/').next().unwrap_or_default();
        file.rsplit_once('.').map_or(file, |(name, _)| name)
    }

    /// The newest framework that it is built for: `8.0`, and how the file writes it.
    pub(crate) fn framework(&self) -> Option<(String, &str)> {
        let list = element(&self.text, "TargetFrameworks")
            .or_else(|| element(&self.text, "TargetFramework"))?;
        // `$(NetVersion)`: a property, mostly of `Directory.Build.props`.
        let list = match list
            .strip_prefix("$(")
            .and_then(|rest| rest.strip_suffix(')'))
        {
            Some(name) => element(&self.text, name)?,
            None => list,
        };
        let versions = list.split(';').map(str::trim).filter_map(|name| {
            // `net472` is the old framework, which runs on Windows only.
            let version = number(name).filter(|version| version.contains('.'))?;
            (!name.starts_with("netstandard")).then_some((version, name))
        });
        versions.max_by(|a, b| compare(&a.0, &b.0))
    }

    /// The program's name: what `dotnet NAME.dll` starts.
    pub(crate) fn assembly(&self) -> &str {
        let named = element(&self.text, "AssemblyName").filter(|name| !name.contains("$("));
        named.unwrap_or_else(|| self.name())
    }

    /// The projects that it refers to, from the root; `None` for one outside of the root.
    pub(crate) fn references(&self) -> Vec<Option<String>> {
        let dir = self.file.rsplit_once('/').map_or("", |(dir, _)| dir);
        let parts = self.text.split("<ProjectReference").skip(1);
        let paths = parts.filter_map(|part| part.split_once("Include=\"")?.1.split('"').next());
        paths
            .map(|path| resolve(dir, &path.replace('\\', "/")))
            .collect()
    }
}

fn kind(file: &str, text: &str) -> Kind {
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    let tests = ["Tests", "Test", "Specs", "Benchmarks"]
        .iter()
        .any(|end| stem.ends_with(end));
    let has = |mark: &str| text.contains(mark);
    if has("Microsoft.NET.Test.Sdk") || (tests && !has("Microsoft.NET.Sdk.Web")) {
        Kind::Test
    } else if has("Aspire.AppHost.Sdk")
        || has("<IsAspireHost>true")
        || has("<UseWPF>true")
        || has("<UseWindowsForms>true")
    {
        // They start the others on a developer's machine, or are for desktops.
        Kind::Library
    } else if has("Sdk.BlazorWebAssembly") {
        Kind::Browser
    } else if has("Microsoft.NET.Sdk.Web") {
        if has("<OutputType>Library") {
            Kind::Library
        } else {
            Kind::Web
        }
    } else if has("Sdk.Worker") {
        Kind::Worker
    } else if element(text, "OutputType").is_some_and(|kind| kind.eq_ignore_ascii_case("exe")) {
        match has("Include=\"Microsoft.AspNetCore.App\"") {
            true => Kind::Web,
            false => Kind::Program,
        }
    } else {
        Kind::Library
    }
}

/// The text of the first `<name>…</name>`, trimmed.
fn element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    // A file that was cut still says what it says.
    let inside = rest.split('<').next()?.trim();
    (!inside.is_empty()).then_some(inside)
}

/// The solution of a folder, and the projects: those here, those of the solution, or those below that refer to one another.
pub(crate) fn projects(folder: &Folder<'_>) -> (Option<String>, Vec<Project>) {
    let solution = folder
        .ending(".slnx")
        .chain(folder.ending(".sln"))
        .next()
        .map(str::to_owned);
    let mut files: Vec<String> = ENDINGS
        .iter()
        .flat_map(|end| folder.ending(end))
        .map(str::to_owned)
        .collect();
    if let Some(solution) = &solution {
        files.extend(listed(&folder.text(solution).unwrap_or_default()));
    }
    if files.is_empty() || (solution.is_some() && !files.iter().any(|file| folder.has(file))) {
        let mut below = Vec::new();
        collect(folder, "", 3, &mut below);
        // Folders side by side are one build only where a solution or a reference says so.
        if solution.is_some() || crosses(folder, &below) {
            files.extend(below);
        }
    }
    files.sort();
    files.dedup();
    files.truncate(PROJECTS);
    let projects = files
        .iter()
        .filter_map(|file| Project::read(folder, file))
        .collect();
    (solution, projects)
}

/// The project files that a solution lists, with `/` between folders.
fn listed(solution: &str) -> Vec<String> {
    let quoted = solution.split('"').skip(1).step_by(2);
    let files = quoted.filter(|text| ENDINGS.iter().any(|end| text.ends_with(end)));
    let files = files.map(|file| file.replace('\\', "/"));
    files.filter(|file| !file.starts_with("..")).collect()
}

fn collect(folder: &Folder<'_>, path: &str, depth: usize, into: &mut Vec<String>) {
    for name in folder.own_dirs() {
        if into.len() >= PROJECTS {
            return;
        }
        let inside = folder.sub(name);
        let dir = if path.is_empty() {
            name.to_owned()
        } else {
            format!("{path}/{name}")
        };
        into.extend(
            ENDINGS
                .iter()
                .flat_map(|end| inside.ending(end))
                .map(|file| format!("{dir}/{file}")),
        );
        if depth > 1 {
            collect(&inside, &dir, depth - 1, into);
        }
    }
}

/// Whether a project refers to one in another of the folders directly below.
fn crosses(folder: &Folder<'_>, files: &[String]) -> bool {
    let top = |path: &str| path.split('/').next().unwrap_or_default().to_owned();
    files
        .iter()
        .filter_map(|file| Project::read(folder, file))
        .filter(|project| project.kind != Kind::Test)
        .any(|project| {
            let own = top(&project.file);
            project
                .references()
                .into_iter()
                .flatten()
                .any(|other| top(&other) != own && folder.has(&other))
        })
}

/// The files above a project that the SDK reads: the nearest of each.
pub(crate) fn shared_above(folder: &Folder<'_>) -> Vec<Need> {
    const SHARED: &[&str] = &[
        "Directory.Build.props",
        "Directory.Build.targets",
        "Directory.Packages.props",
        "global.json",
        "nuget.config",
        "NuGet.Config",
        "NuGet.config",
    ];
    if ENDINGS
        .iter()
        .all(|end| folder.ending(end).next().is_none())
    {
        return Vec::new();
    }
    let above: Vec<Folder<'_>> = folder.above().map(|(above, _)| above).collect();
    let nearest = SHARED.iter().filter(|name| !folder.has(name));
    let nearest = nearest.filter_map(|name| {
        above
            .iter()
            .find(|above| above.has(name))
            .map(|above| (above, name))
    });
    nearest
        .map(|(above, name)| Need {
            folder: above.at("").trim_end_matches('/').to_owned(),
            path: above.at(name),
            file: above.at(name),
        })
        .collect()
}

/// A project and all that it refers to, sorted; `None` where one is outside of the root.
pub(crate) fn closure(folder: &Folder<'_>, project: &Project) -> Option<Vec<String>> {
    let mut files = vec![project.file.clone()];
    let mut index = 0;
    while index < files.len() && index < PROJECTS {
        let project = Project::read(folder, &files[index])?;
        for reference in project.references() {
            let reference = reference?;
            if !files.contains(&reference) {
                files.push(reference);
            }
        }
        index += 1;
    }
    files.sort();
    Some(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipeops_core::source::MemTree;

    #[test]
    fn projects_say_what_they_are_built_for() {
        let props =
            "<NetVersion>net9.0</NetVersion><AssemblyName>$(MSBuildProjectName)</AssemblyName>";
        for (text, framework, assembly) in [
            (
                "<TargetFrameworks>net8.0;net10.0;netstandard2.1</TargetFrameworks>",
                Some("10.0"),
                "A",
            ),
            (
                "<TargetFramework>$(NetVersion)</TargetFramework>",
                Some("9.0"),
                "A",
            ),
            (
                "<TargetFramework>net472</TargetFramework><AssemblyName>shop</AssemblyName>",
                None,
                "shop",
            ),
            (
                "<TargetFramework>netcoreapp3.1</TargetFramework>",
                Some("3.1"),
                "A",
            ),
        ] {
            let tree = MemTree::from([("src/A/A.csproj", text), ("Directory.Build.props", props)]);
            let project = Project::read(&Folder::open(&tree, ""), "src/A/A.csproj").unwrap();
            let version = project.framework().map(|(version, _)| version);
            assert_eq!(
                (version.as_deref(), project.assembly()),
                (framework, assembly),
                "{text}"
            );
        }
    }

    #[test]
    fn solutions_list_their_projects() {
        let sln = "Project(\"{9A}\") = \"Web\", \"src\\Web\\Web.csproj\", \"{1}\"\nEndProject";
        assert_eq!(listed(sln), ["src/Web/Web.csproj"]);
        assert_eq!(
            listed("<Solution><Project Path=\"src/Web/Web.fsproj\" /></Solution>"),
            ["src/Web/Web.fsproj"]
        );
    }
}
