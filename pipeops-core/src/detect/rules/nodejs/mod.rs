//! Node.js, with npm, pnpm, yarn and bun.

use super::{DEFAULT_PORT, framework};
use crate::detect::Language;
use crate::detect::findings::{Findings, Role, weight};
use crate::detect::folder::Folder;

mod manager;
mod package;
mod workspace;

use package::Package;

/// Dependencies that answer requests. Those that bring others go first.
const SERVERS: &[(&str, &str)] = &[
    ("next", "next"),
    ("nuxt", "nuxt"),
    ("@nestjs/core", "nest"),
    ("@remix-run/serve", "remix"),
    ("@react-router/serve", "react-router"),
    ("@sveltejs/adapter-node", "sveltekit"),
    ("@tanstack/react-start", "tanstack-start"),
    ("@astrojs/node", "astro"),
    ("@adonisjs/core", "adonis"),
    ("@strapi/strapi", "strapi"),
    ("@hapi/hapi", "hapi"),
    ("fastify", "fastify"),
    ("koa", "koa"),
    ("hono", "hono"),
    ("elysia", "elysia"),
    ("polka", "polka"),
    ("restify", "restify"),
    ("express", "express"),
];

/// Dependencies that build files for browsers, and where they put them.
const FRONTENDS: &[(&str, &str, &str)] = &[
    ("astro", "astro", "dist"),
    ("gatsby", "gatsby", "public"),
    ("@docusaurus/core", "docusaurus", "build"),
    ("vitepress", "vitepress", ".vitepress/dist"),
    ("@angular/cli", "angular", "dist"),
    ("react-scripts", "create-react-app", "build"),
    ("@vue/cli-service", "vue", "dist"),
    ("@sveltejs/kit", "sveltekit", "build"),
    ("@11ty/eleventy", "eleventy", "_site"),
    ("vite", "vite", "dist"),
    ("parcel", "parcel", "dist"),
    ("webpack", "webpack", "dist"),
];

/// Commands in scripts that serve sources to their developer, not to users.
const DEV_SERVERS: &[&str] = &[
    "react-scripts",
    "vite",
    "ng serve",
    "vue-cli-service",
    "webpack",
    "parcel",
    "astro dev",
    "gatsby develop",
    "nodemon",
    "next dev",
    "nuxt dev",
    "docusaurus start",
];

/// Looks for a package, or for a program without one.
pub(super) fn look(folder: &Folder<'_>) -> Findings {
    let mut found = Findings::none(Language::Nodejs);
    if !folder.has("package.json") {
        loose_program(&mut found, folder);
        return found;
    }
    let Some(json) = folder.json("package.json") else {
        found.add(
            weight::HINT,
            folder,
            "package.json",
            "a Node.js package, but not valid JSON",
        );
        return found;
    };
    let package = Package { json };
    found.add(
        weight::MANIFEST,
        folder,
        "package.json",
        "a Node.js package",
    );
    manager::manager(&mut found, folder, &package);
    found.version(folder, manager::version(folder, &package));
    workspace::find(&mut found, folder, &package);
    role(&mut found, folder, &package);
    start(&mut found, folder, &package);
    found
}

fn role(found: &mut Findings, folder: &Folder<'_>, package: &Package) {
    let dev_server = package.script("start").is_none_or(is_dev_server);
    if let Some((dependency, name)) = framework(SERVERS, |name| package.depends(name)) {
        found.add(
            weight::FRAMEWORK,
            folder,
            "package.json",
            format!("depends on {dependency}"),
        );
        found.framework = Some(name);
    } else if let Some((dependency, name, output)) =
        FRONTENDS.iter().find(|(name, ..)| package.depends(name))
        && dev_server
    {
        found.add(
            weight::ENTRY,
            folder,
            "package.json",
            format!("depends on {dependency}: built into files"),
        );
        found.framework = Some((*name).to_owned());
        found.role = Role::Frontend;
        found.output = package
            .script("build")
            .is_some()
            .then(|| (*output).to_owned());
    } else if !dev_server {
        found.role = Role::Server;
    } else if folder.first(PROGRAMS).is_some()
        || (main_file(folder, package).is_some() && package.has_dependencies())
    {
        // A program, if one is called so, or if it has a main file and needs other packages.
        found.role = Role::Server;
    } else if !found.members.is_empty() {
        found.role = Role::Server;
    } else if package.has_dependencies() {
        found.role = Role::Library;
    } else {
        found.add(
            weight::NONE,
            folder,
            "package.json",
            "nothing to run: tools for developers only",
        );
        found.role = Role::Tools;
    }
    if package.script("build").is_some() {
        found.add(weight::HINT, folder, "package.json", "has a script `build`");
        found.build = Some(run(found, "build"));
    }
}

fn is_dev_server(script: &str) -> bool {
    DEV_SERVERS
        .iter()
        .any(|command| script.starts_with(command) || script.contains(&format!(" {command}")))
}

fn run(found: &Findings, script: &str) -> String {
    format!(
        "{} run {script}",
        found.package_manager.as_deref().unwrap_or("npm")
    )
}

fn start(found: &mut Findings, folder: &Folder<'_>, package: &Package) {
    if let Some(script) = package
        .script("start")
        .filter(|script| !is_dev_server(script))
    {
        found.add(
            weight::ENTRY,
            folder,
            "package.json",
            "has a script `start`",
        );
        found.start = Some(run(found, "start"));
        let file = script
            .split_whitespace()
            .find(|word| folder.has(word))
            .map(str::to_owned);
        found.port = Some(DEFAULT_PORT);
        if let Some(file) = file.or_else(|| main_file(folder, package)) {
            found.listens(folder, &file);
        }
    } else if found.framework.as_deref() == Some("next") {
        found.start = Some("next start".to_owned());
        found.port = Some(DEFAULT_PORT);
    } else if found.framework.as_deref() == Some("nuxt") {
        found.start = Some("node .output/server/index.mjs".to_owned());
        found.port = Some(DEFAULT_PORT);
    } else if found.role == Role::Server
        && let Some(file) = main_file(folder, package)
    {
        found.add(weight::ENTRY, folder, &file, "the program");
        found.start = Some(format!("node {file}"));
        found.listens(folder, &file);
    } else if found.role == Role::Frontend {
        found.port = Some(DEFAULT_PORT);
    }
}

fn main_file(folder: &Folder<'_>, package: &Package) -> Option<String> {
    let main = package
        .text("/main")
        .map(|main| main.trim_start_matches("./").to_owned());
    let main = main.filter(|main| folder.has(main));
    main.or_else(|| folder.first(PROGRAMS).map(str::to_owned))
}

/// Names that programs without a script have.
const PROGRAMS: &[&str] = &[
    "server.js",
    "index.js",
    "app.js",
    "main.js",
    "server.mjs",
    "index.mjs",
    "app.mjs",
    "server.cjs",
    "index.cjs",
    "src/server.js",
    "src/index.js",
    "src/app.js",
    "src/main.js",
];

/// A program of one file, without a package.
fn loose_program(found: &mut Findings, folder: &Folder<'_>) {
    let names = &PROGRAMS[..9];
    let Some(file) = folder.first(names) else {
        return;
    };
    let text = folder.text(file).unwrap_or_default();
    // A script for browsers has such a name as well.
    if ![
        "require(",
        "process.",
        "from \"node:",
        "from 'node:",
        "from \"http\"",
        "from 'http'",
    ]
    .iter()
    .any(|mark| text.contains(mark))
    {
        return;
    }
    found.add(
        weight::ENTRY,
        folder,
        file,
        "a program for Node.js, without package.json",
    );
    found.package_manager = Some("npm".to_owned());
    found.start = Some(format!("node {file}"));
    found.listens(folder, file);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::MemTree;

    fn found(files: &[(&str, &str)]) -> Findings {
        let tree: MemTree = files.iter().copied().collect();
        look(&Folder::open(&tree, ""))
    }

    #[test]
    fn what_only_accompanies_another_language_counts_little() {
        for (json, role) in [
            (r#"{"devDependencies": {"prettier": "3"}}"#, Role::Tools),
            (
                r#"{"devDependencies": {"vite": "5"}, "scripts": {"build": "vite build"}}"#,
                Role::Frontend,
            ),
            (
                r#"{"dependencies": {"react": "18", "react-scripts": "5"}, "scripts": {"start": "react-scripts start"}}"#,
                Role::Frontend,
            ),
            (r#"{"dependencies": {"lodash": "4"}}"#, Role::Library),
            (r#"{"dependencies": {"express": "4"}}"#, Role::Server),
            (
                r#"{"devDependencies": {"express": "4"}, "dependencies": {"a": "1"}}"#,
                Role::Server,
            ),
            (r#"{"scripts": {"start": "node x.js"}}"#, Role::Server),
        ] {
            assert_eq!(found(&[("package.json", json)]).role, role, "{json}");
        }
    }

    #[test]
    fn the_program_is_found() {
        let server = ("server.js", "http.createServer(f).listen(process.env.PORT)");
        for (files, start) in [
            (
                &[("package.json", r#"{"scripts": {"start": "node x"}}"#)] as &[_],
                "npm run start",
            ),
            (
                &[
                    ("package.json", r#"{"main": "./src/a.js"}"#),
                    ("src/a.js", ""),
                    ("index.js", ""),
                ],
                "node src/a.js",
            ),
            (&[("package.json", "{}"), server], "node server.js"),
            (&[server, ("x.html", "")], "node server.js"),
            (&[("index.js", "document.title")], ""),
            (
                &[("package.json", r#"{"dependencies": {"next": "15"}}"#)],
                "next start",
            ),
        ] {
            let found = found(files);
            assert_eq!(found.start.unwrap_or_default(), start, "{files:?}");
        }
        let port = found(&[("index.js", "require('http').createServer().listen(3000)")]).port;
        assert_eq!(port, Some(3000));
    }
}
