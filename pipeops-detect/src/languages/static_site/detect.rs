//! Static files, and site generators that need no other language.

use crate::Language;
use crate::findings::{Findings, Role, weight};
use crate::plan::Command;
use crate::repository::folder::Folder;
use crate::repository::port::DEFAULT_PORT;
use crate::repository::version::managed;

/// Looks for a site generator, then for a page.
pub(crate) fn detect(folder: &Folder<'_>) -> Findings {
    let mut found = Findings::none(Language::Static);
    let generators = [hugo, zola, jekyll, mdbook, mkdocs];
    if generators.iter().any(|find| find(&mut found, folder)) {
        found.port = Some(DEFAULT_PORT);
        return found;
    }
    pages(&mut found, folder);
    found
}

/// Says which generator it is, by which file, and what it does.
fn site(
    found: &mut Findings,
    folder: &Folder<'_>,
    file: &str,
    (name, build, output): (&str, &str, &str),
) {
    found.add(
        weight::FRAMEWORK,
        folder,
        file,
        format!("configures {name}"),
    );
    found.framework = Some(name.to_owned());
    found.role = Role::Frontend;
    found.plan.build = Some(Command::new(build).into());
    found.output = Some(output.to_owned());
}

fn hugo(found: &mut Findings, folder: &Folder<'_>) -> bool {
    const CONFIGS: &[&str] = &[
        "hugo.toml",
        "hugo.yaml",
        "hugo.yml",
        "hugo.json",
        "config/_default/hugo.toml",
        "config/_default/hugo.yaml",
        "config/_default/hugo.yml",
        "config.toml",
        "config.yaml",
        "config.yml",
        "config.json",
        "config/_default/config.toml",
        "config/_default/config.yaml",
        "config/_default/config.yml",
        "config/_default/config.json",
    ];
    let Some(file) = folder.first(CONFIGS) else {
        return false;
    };
    // `config.toml` is a name that many have; Hugo's setting is `baseURL`, Zola's is `base_url`.
    let text = folder.text(file).unwrap_or_default();
    let says_so = file.contains("hugo") || text.to_ascii_lowercase().contains("baseurl");
    let dirs = ["content", "archetypes", "layouts", "themes"];
    let dir = dirs.into_iter().find(|dir| folder.has_dir(dir));
    let modules = folder
        .text("go.mod")
        .is_some_and(|_| says_so && folder.first(&["main.go"]).is_none());
    let Some(dir) = dir.filter(|_| says_so).or(modules.then_some("go.mod")) else {
        return false;
    };
    site(found, folder, file, ("hugo", "hugo --minify", "public"));
    found.add(weight::ENTRY, folder, dir, "the layout of a Hugo site");
    found.version(folder, hugo_version(folder));
    true
}

/// As hosts of sites are told it.
fn hugo_version(folder: &Folder<'_>) -> Option<(&'static str, String)> {
    if let Some(told) = managed(folder, &["hugo", "gohugo", "hugo-extended"]) {
        return Some(told);
    }
    let text = folder.text("netlify.toml")?;
    let (_, rest) = text.split_once("HUGO_VERSION")?;
    let version = crate::repository::version::number(rest.lines().next()?)?;
    Some(("netlify.toml", version))
}

fn zola(found: &mut Findings, folder: &Folder<'_>) -> bool {
    let file = folder.first(&["config.toml", "zola.toml"]);
    let dir = ["content", "templates"]
        .into_iter()
        .find(|dir| folder.has_dir(dir));
    let (Some(file), Some(dir)) = (file, dir) else {
        return false;
    };
    let config = folder.toml(file).unwrap_or_default();
    if !config.contains_key("base_url") {
        return false;
    }
    site(found, folder, file, ("zola", "zola build", "public"));
    found.add(weight::ENTRY, folder, dir, "the layout of a Zola site");
    found.version(folder, managed(folder, &["zola"]));
    true
}

/// Without a Gemfile: as GitHub builds it. With one it is Ruby's.
fn jekyll(found: &mut Findings, folder: &Folder<'_>) -> bool {
    if !folder.has("_config.yml") || folder.first(&["Gemfile", "gems.rb"]).is_some() {
        return false;
    }
    let dirs = ["_posts", "_layouts", "_includes", "_pages"];
    let dir = dirs.into_iter().find(|dir| folder.has_dir(dir));
    let pages = ["index.md", "index.markdown", "README.md"];
    let config = folder.yaml("_config.yml");
    let theme = ["theme", "remote_theme"]
        .iter()
        .any(|key| config.get(key).is_some());
    let page = || folder.first(&pages).filter(|_| theme);
    let Some(at) = dir.or_else(page) else {
        return false;
    };
    let build = "bundle exec jekyll build";
    site(found, folder, "_config.yml", ("jekyll", build, "_site"));
    found.add(weight::LOCKFILE, folder, at, "the layout of a Jekyll site");
    documents(found, folder);
    true
}

fn mdbook(found: &mut Findings, folder: &Folder<'_>) -> bool {
    let Some(config) = folder.toml("book.toml") else {
        return false;
    };
    let at = |table: &str, key: &str| config.get(table)?.get(key)?.as_str().map(str::to_owned);
    let source = at("book", "src").unwrap_or_else(|| "src".to_owned());
    let summary = format!("{source}/SUMMARY.md");
    if !folder.has(&summary) {
        return false;
    }
    let output = at("build", "build-dir").unwrap_or_else(|| "book".to_owned());
    site(
        found,
        folder,
        "book.toml",
        ("mdbook", "mdbook build", &output),
    );
    found.add(weight::LOCKFILE, folder, &summary, "the book's chapters");
    documents(found, folder);
    true
}

/// Without a list of packages: with one it is Python's.
fn mkdocs(found: &mut Findings, folder: &Folder<'_>) -> bool {
    let Some(file) = folder.first(&["mkdocs.yml", "mkdocs.yaml"]) else {
        return false;
    };
    let python = ["requirements.txt", "pyproject.toml", "Pipfile", "setup.py"];
    if folder.first(&python).is_some() || !folder.has_dir("docs") {
        return false;
    }
    site(found, folder, file, ("mkdocs", "mkdocs build", "site"));
    documents(found, folder);
    true
}

/// A site beside the manifest of a program or library documents that.
fn documents(found: &mut Findings, folder: &Folder<'_>) {
    const MANIFESTS: &[&str] = &[
        "Cargo.toml",
        "go.mod",
        "package.json",
        "pom.xml",
        "build.gradle",
        "build.gradle.kts",
        "composer.json",
        "mix.exs",
        "CMakeLists.txt",
        "meson.build",
        "Package.swift",
        "pubspec.yaml",
        "build.zig",
        "shard.yml",
        "gleam.toml",
        "setup.py",
        "pyproject.toml",
        "requirements.txt",
    ];
    if let Some(file) = folder.first(MANIFESTS) {
        found.add(
            weight::NONE,
            folder,
            file,
            "the site documents this project",
        );
        found.role = Role::Tools;
    }
}

fn pages(found: &mut Findings, folder: &Folder<'_>) {
    // Every front end has a page: alone it says little.
    found.role = Role::Library;
    if staticfile(found, folder) {
        return;
    }
    const PAGES: &[&str] = &[
        "index.html",
        "index.htm",
        "public/index.html",
        "dist/index.html",
        "site/index.html",
        "www/index.html",
        "_site/index.html",
        "build/index.html",
        "html/index.html",
        "src/index.html",
    ];
    if let Some(page) = found.add_file(weight::MANIFEST, folder, PAGES, "a page") {
        serve(found, page.rsplit_once('/').map_or(".", |(dir, _)| dir));
    } else if found
        .add_file(
            weight::LOCKFILE,
            folder,
            &["docs/index.html"],
            "a documentation page",
        )
        .is_some()
    {
        found.role = Role::Tools;
        serve(found, "docs");
    }
}

fn serve(found: &mut Findings, root: &str) {
    found.output = Some(root.to_owned());
    found.port = Some(DEFAULT_PORT);
}

/// The file by which hosts are told that a folder is served.
fn staticfile(found: &mut Findings, folder: &Folder<'_>) -> bool {
    if !folder.has("Staticfile") {
        return false;
    }
    let settings = folder.yaml("Staticfile");
    let told = settings["root"].as_str().map(|root| {
        let root = root.trim_start_matches("./").trim_matches('/');
        if root.is_empty() { "." } else { root }
    });
    let public = || folder.has_dir("public").then_some("public");
    let root = told.or_else(public).unwrap_or(".").to_owned();
    let says = format!("serves the files in `{root}`");
    found.add(weight::FRAMEWORK, folder, "Staticfile", says);
    found.role = Role::Frontend;
    // A root that is built elsewhere, or outside of the tree, is not there to be served.
    if root == "." || !folder.sub(&root).is_empty() {
        serve(found, &root);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::detect;
    use crate::languages::layouts::{Layout, check};

    const DOCUMENT: (&str, &str) = ("content/a.md", "");
    const BOOK: (&str, &str) = ("src/SUMMARY.md", "");
    const PAGE: (&str, &str) = ("index.html", "");

    // One line per layout.
    #[rustfmt::skip]
    const LAYOUTS: &[Layout] = &[
        // Generators by their layouts.
        (&[("hugo.toml", ""), DOCUMENT], &["framework hugo"]),
        (&[("config.toml", "baseURL = 'x'"), ("themes/a/x", "")], &["framework hugo"]),
        (&[("config/_default/config.yaml", "baseURL: x"), DOCUMENT], &["framework hugo"]),
        (&[("hugo.yaml", ""), ("go.mod", "module x")], &["framework hugo"]),
        (&[("config.toml", "base_url = 'x'"), DOCUMENT], &["framework zola"]),
        (&[("config.toml", "x = 1"), DOCUMENT], &["framework"]),
        (&[("_config.yml", ""), ("_posts/a.md", "")], &["framework jekyll"]),
        (&[("_config.yml", "theme: minima"), ("index.md", "")], &["framework jekyll"]),
        (&[("_config.yml", ""), ("_posts/a.md", ""), ("Gemfile", "")], &["framework"]),
        (&[("book.toml", ""), BOOK], &["framework mdbook"]),
        (&[("mkdocs.yml", ""), ("docs/index.md", "")], &["framework mkdocs"]),
        (&[("mkdocs.yml", ""), ("docs/index.md", ""), ("requirements.txt", "")], &["framework"]),
        // Pages and where they are.
        (&[PAGE], &["output ."]),
        (&[("public/index.html", "")], &["output public"]),
        (&[("Staticfile", "root: ./web/"), ("web/a.html", ""), PAGE], &["output web"]),
        (&[("Staticfile", ""), PAGE], &["output ."]),
        (&[("Staticfile", "root: ../.."), PAGE], &["output"]),
        // What documents a project counts little.
        (&[("book.toml", ""), BOOK, ("Cargo.toml", "")], &["role Tools"]),
        (&[("docs/index.html", "")], &["output docs", "role Tools"]),
    ];

    #[test]
    fn layouts() {
        check(detect, LAYOUTS);
    }
}
