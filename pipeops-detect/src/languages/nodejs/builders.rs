//! Tools that build files for browsers, and where they put them.

use serde_json::Value;

use super::command::commands;
use super::config::{Config, inside};
use super::serves::Serves;
use super::site::Site;
use crate::plan::Command;

/// A tool that builds files for browsers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Builder {
    /// The dependency.
    pub(crate) dependency: &'static str,
    /// The framework's name.
    pub(crate) name: &'static str,
    /// Its program.
    program: &'static str,
    /// The command that builds.
    pub(crate) build: &'static str,
    /// Where it writes by default.
    output: &'static str,
}

const fn row(
    dependency: &'static str,
    name: &'static str,
    program: &'static str,
    build: &'static str,
    output: &'static str,
) -> Builder {
    Builder {
        dependency,
        name,
        program,
        build,
        output,
    }
}

/// All of them. What brings others goes first.
// One line per tool.
#[rustfmt::skip]
const TABLE: &[Builder] = &[
    row("@angular/cli", "angular", "ng", "ng build", "dist"),
    row("@angular/core", "angular", "ng", "ng build", "dist"),
    row("react-scripts", "create-react-app", "react-scripts", "react-scripts build", "build"),
    row("@vue/cli-service", "vue-cli", "vue-cli-service", "vue-cli-service build", "dist"),
    row("@docusaurus/core", "docusaurus", "docusaurus", "docusaurus build", "build"),
    row("vitepress", "vitepress", "vitepress", "vitepress build", ".vitepress/dist"),
    row("vuepress", "vuepress", "vuepress", "vuepress build", ".vuepress/dist"),
    row("@11ty/eleventy", "eleventy", "eleventy", "eleventy", "_site"),
    row("hexo", "hexo", "hexo", "hexo generate", "public"),
    row("@slidev/cli", "slidev", "slidev", "slidev build", "dist"),
    row("@quasar/app-vite", "quasar", "quasar", "quasar build", "dist/spa"),
    row("@quasar/app-webpack", "quasar", "quasar", "quasar build", "dist/spa"),
    row("ember-cli", "ember", "ember", "ember build --environment=production", "dist"),
    row("@stencil/core", "stencil", "stencil", "stencil build", "www"),
    row("preact-cli", "preact-cli", "preact", "preact build", "build"),
    row("@rsbuild/core", "rsbuild", "rsbuild", "rsbuild build", "dist"),
    row("@farmfe/core", "farm", "farm", "farm build", "dist"),
    row("vite", "vite", "vite", "vite build", "dist"),
    row("rolldown-vite", "vite", "vite", "vite build", "dist"),
    row("snowpack", "snowpack", "snowpack", "snowpack build", "build"),
    row("parcel", "parcel", "parcel", "parcel build", "dist"),
    row("parcel-bundler", "parcel", "parcel", "parcel build", "dist"),
    row("@rspack/cli", "rspack", "rspack", "rspack build", "dist"),
    row("webpack", "webpack", "webpack", "webpack --mode production", "dist"),
];

/// The tool that builds this package into files. One that is only a dependency (of a test runner, say) does not count.
pub(crate) fn find(site: &Site<'_>) -> Option<&'static Builder> {
    TABLE.iter().find(|builder| {
        let has_config =
            || Config::read(site.folder, &format!("{}.config", builder.program)).is_there();
        site.package.depends(builder.dependency)
            && match builder.name {
                // A server may be bundled as well: pages must say that it is for browsers.
                "webpack" | "rspack" => site.build_by(builder.program).is_some() && has_page(site),
                "parcel" => site.build_by("parcel").is_some() || site.calls("parcel"),
                "vite" => {
                    let unused = || !site.calls("vite") && !has_page(site);
                    !(site.build_by("vite").is_none()
                        && (unused() || !has_config() && !has_page(site)))
                }
                "vitepress" | "vuepress" | "slidev" | "stencil" => site.calls(builder.program),
                _ => true,
            }
    })
}

fn has_page(site: &Site<'_>) -> bool {
    let pages = [
        "index.html",
        "src/index.html",
        "public/index.html",
        "client/index.html",
        "src/index.ejs",
    ];
    site.folder.first(&pages).is_some() || site.package.depends("html-webpack-plugin")
}

/// Options of build commands that say where the files go.
const OUTPUT_OPTIONS: &[&str] = &[
    "--outDir",
    "--outdir",
    "--out-dir",
    "--dist-dir",
    "--dest",
    "--output",
    "--output-path",
    "-d",
    "-o",
];

/// The folder that a tool builds into, where that is outside of the package's (`../public`), and the file that says so.
pub(crate) fn outside(site: &Site<'_>) -> Option<(String, String)> {
    let row = find(site)?;
    let command = site.build_by(row.program).unwrap_or_default();
    let config = |stem: &str, key: &str| {
        let config = Config::read(site.folder, stem);
        Some((config.text(key)?, config.file.clone()))
    };
    let variable = command
        .environment
        .iter()
        .find(|(name, _)| name == "BUILD_PATH");
    let told = command
        .option(OUTPUT_OPTIONS)
        .or(variable.map(|(_, value)| value.as_str()));
    let told = told.map(|told| (told.to_owned(), site.package.file.to_owned()));
    let (path, file) = told.or_else(|| match row.name {
        "vite" => config("vite.config", "outDir"),
        "vue-cli" => config("vue.config", "outputDir"),
        "webpack" => ["webpack.prod", "webpack.config.prod", "webpack.config"]
            .iter()
            .find_map(|stem| config(stem, "path")),
        "angular" => {
            let json = site.folder.json("angular.json")?;
            let projects = json.get("projects")?.as_object()?;
            let mut paths = projects.values().filter_map(|project| {
                let architect = project
                    .get("architect")
                    .or_else(|| project.get("targets"))?;
                let path = architect.pointer("/build/options/outputPath")?;
                path.as_str().or_else(|| path.get("base")?.as_str())
            });
            Some((paths.next()?.to_owned(), "angular.json".to_owned()))
        }
        _ => None,
    })?;
    let root = match row.name {
        "vite" => Config::read(site.folder, "vite.config").text("root"),
        _ => None,
    };
    let path = upwards(&format!("{}/{path}", root.unwrap_or_default()), &path)?;
    path.starts_with("../").then_some((path, file))
}

/// A script that builds into a folder outside of the package's, whatever its name is, and that folder:
/// `vite build --outDir=../server/dist`.
pub(crate) fn script_outside<'s>(site: &Site<'s>) -> Option<(&'s str, String)> {
    let row = find(site)?;
    let beside = ["demo", "dev", "doc", "storybook", "test", "watch"];
    let names = site.package.scripts();
    let mut names = names.filter(|name| !beside.iter().any(|part| name.contains(part)));
    names.find_map(|name| {
        let all = commands(site.package.script(name)?, site.package);
        let mut told = all
            .iter()
            .filter(|command| command.program() == row.program);
        let told = told.find_map(|command| command.option(OUTPUT_OPTIONS))?;
        let path = upwards(told, told)?;
        path.starts_with("../").then_some((name, path))
    })
}

/// A relative path without detours: `web/../../public` is `../public`. `told` is what was written: absolute paths lead nowhere.
fn upwards(path: &str, told: &str) -> Option<String> {
    if told.starts_with('/') {
        return None;
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in path
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
    {
        match (part, parts.last()) {
            ("..", Some(last)) if *last != ".." => drop(parts.pop()),
            (part, _) => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Where a tool puts the files, as far as its settings say.
pub(crate) fn output(site: &Site<'_>, name: &str) -> (Serves, Option<(String, String)>) {
    let row = TABLE.iter().find(|row| row.name == name);
    let Some(row) = row else {
        return (Serves::Nothing("unknown".to_owned()), None);
    };
    if let Some((output, file)) = outside(site) {
        let why = format!("builds into {output}, outside of its folder: a server there serves it");
        return (Serves::Nothing(why), Some((file, String::new())));
    }
    let command = site.build_by(row.program).unwrap_or_default();
    let told = command.option(OUTPUT_OPTIONS);
    if name == "angular" {
        return angular(site, told);
    }
    let variable = command
        .environment
        .iter()
        .find(|(name, _)| name == "BUILD_PATH");
    let told = told.or(variable.map(|(_, value)| value.as_str()));
    let default = |base: &str| inside(base, row.output).unwrap_or_else(|| row.output.to_owned());
    let from = |config: &Config, key: &str, base: &str| {
        Some((inside(base, &config.text(key)?)?, config.file.clone()))
    };
    let folder = command.operands().skip(1).find(|word| Some(*word) != told);
    let folder = folder.unwrap_or_default();
    let found = match name {
        "vite" => {
            let config = Config::read(site.folder, "vite.config");
            if config.contains("lib:") && config.contains("build") && !has_page(site) {
                return (
                    Serves::Nothing("a library bundled by Vite".to_owned()),
                    None,
                );
            }
            let root = config.text("root").unwrap_or_else(|| folder.to_owned());
            if let Some(told) = told.and_then(|told| inside(&root, told)) {
                return (Serves::Files(told), None);
            }
            let found = from(&config, "outDir", &root);
            found.or_else(|| {
                inside(&root, "dist")
                    .filter(|path| path != "dist")
                    .map(|path| (path, config.file.clone()))
            })
        }
        "vue-cli" => from(&Config::read(site.folder, "vue.config"), "outputDir", ""),
        "vitepress" => Some((default(folder), site.package.file.to_owned())),
        "vuepress" => Some((default(folder), site.package.file.to_owned())),
        "eleventy" => [".eleventy", "eleventy.config"]
            .iter()
            .find_map(|stem| from(&Config::read(site.folder, stem), "output", "")),
        "webpack" => ["webpack.prod", "webpack.config.prod", "webpack.config"]
            .iter()
            .find_map(|stem| from(&Config::read(site.folder, stem), "path", "")),
        _ => None,
    };
    if let Some(told) = told.and_then(|told| inside("", told)) {
        return (Serves::Files(told), None);
    }
    match found {
        Some((output, file)) if output != row.output => {
            let says = format!("builds into {output}");
            (Serves::Files(output), Some((file, says)))
        }
        _ => (Serves::Files(default("")), None),
    }
}

/// Angular writes into a folder for each project, with `browser` below in its newer builders.
fn angular(site: &Site<'_>, told: Option<&str>) -> (Serves, Option<(String, String)>) {
    let json = site.folder.json("angular.json").unwrap_or_default();
    let projects = json.get("projects").and_then(Value::as_object);
    let is_app = |project: &Value| {
        project
            .get("projectType")
            .is_none_or(|kind| kind == "application")
    };
    let default = json.get("defaultProject").and_then(Value::as_str);
    let chosen = projects.and_then(|projects| {
        let named = default.and_then(|name| projects.get_key_value(name));
        named.or_else(|| projects.iter().find(|(_, project)| is_app(project)))
    });
    let Some((name, project)) = chosen else {
        return (Serves::Files("dist".to_owned()), None);
    };
    let target = |name: &str| {
        let architect = project.get("architect").or_else(|| project.get("targets"));
        architect?.get(name)
    };
    let build = target("build").cloned().unwrap_or_default();
    let builder = build
        .get("builder")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let options = build.get("options").cloned().unwrap_or_default();
    let path = options.get("outputPath");
    let base = path.and_then(|path| path.as_str().or_else(|| path.get("base")?.as_str()));
    let base = told
        .or(base)
        .map(|base| base.trim_end_matches('/').to_owned());
    let base = base.unwrap_or_else(|| format!("dist/{name}"));
    let because = Some((
        "angular.json".to_owned(),
        format!("builds {name} into {base}"),
    ));
    let is_set =
        |value: Option<&Value>| value.is_some_and(|value| *value != false && !value.is_null());
    let new = builder.ends_with(":application");
    let is_static = options
        .get("outputMode")
        .is_some_and(|mode| mode == "static");
    if new && is_set(options.get("ssr")) && !is_static {
        let start = Command::new("node").arg(format!("{base}/server/server.mjs"));
        return (Serves::Program(Some(start)), because);
    }
    if !new && let Some(server) = target("server") {
        let path = server
            .pointer("/options/outputPath")
            .and_then(Value::as_str);
        let path = path.unwrap_or("dist/server");
        let start = Command::new("node").arg(format!("{path}/main.js"));
        return (Serves::Program(Some(start)), because);
    }
    let browser = path
        .and_then(|path| path.get("browser")?.as_str())
        .unwrap_or("browser");
    let output = match new && !browser.is_empty() {
        true => format!("{base}/{browser}"),
        false => base,
    };
    (Serves::Files(output), because)
}
