//! The configuration of the web server that serves files.

use super::app::App;
use crate::Language;
use crate::languages::nodejs::config::Config;

/// Frameworks that build one page, whose own routes are no files.
const SINGLE_PAGE: &[&str] = &["blazor", "blazor-wasm", "flutter", "lustre"];

/// Frameworks of Node.js that write a file for each path: there a path without a file is a mistake, and says so. Of all
/// others the page finds out itself what a path shows.
const PAGE_PER_PATH: &[&str] = &[
    "astro",
    "docusaurus",
    "eleventy",
    "gatsby",
    "hexo",
    "lume",
    "next",
    "vitepress",
    "vuepress",
];

/// Folders whose files have a hash of their content in the name, by the bundlers that write them.
const HASHED: &[&str] = &[
    "_app/immutable",
    "_astro",
    "_next/static",
    "_nuxt",
    "static/css",
    "static/js",
    "static/media",
];

/// The lines, and why they are there.
pub(crate) fn lines(app: &App<'_>) -> (Vec<String>, &'static str) {
    let port = app.detection.port.unwrap_or(8080);
    let mut lines = vec![
        "server {".to_owned(),
        format!("    listen {port};"),
        "    root /usr/share/nginx/html;".to_owned(),
        "    server_tokens off;".to_owned(),
        // The port inside is not the one that users see.
        "    absolute_redirect off;".to_owned(),
        "    gzip on;".to_owned(),
        "    gzip_vary on;".to_owned(),
        "    gzip_types text/css text/plain application/javascript application/json application/xml application/wasm image/svg+xml;".to_owned(),
        "    add_header Cache-Control no-cache;".to_owned(),
        "    add_header X-Content-Type-Options nosniff;".to_owned(),
        "    location ~ /[.](?!well-known/) { return 404; }".to_owned(),
    ];
    // Only what a bundler has written has such names: files of people change under their name.
    if app.detection.build.is_some() && app.language == Language::Nodejs {
        lines.push(format!("    location ~ ^/({})/ {{", HASHED.join("|")));
        lines.push(
            "        add_header Cache-Control \"public, max-age=31536000, immutable\";".to_owned(),
        );
        lines.push("        try_files $uri =404;".to_owned());
        lines.push("    }".to_owned());
    }
    let why = match fallback(app) {
        Some(page) => {
            lines.push(format!(
                "    location / {{ try_files $uri $uri.html $uri/ /{page}; }}"
            ));
            "paths without a file are the app's routes and get its page; browsers revalidate files, which rarely change"
        }
        None => {
            lines.push("    error_page 404 /404.html;".to_owned());
            lines.push("    location / { try_files $uri $uri/ $uri.html =404; }".to_owned());
            "serves files as they are, except dotfiles"
        }
    };
    lines.push("}".to_owned());
    (lines, why)
}

/// The page that answers all paths without a file, where there is one.
fn fallback(app: &App<'_>) -> Option<String> {
    if app.folder.has("Staticfile") {
        let settings = app.folder.yaml("Staticfile");
        let on = |key: &str| matches!(settings[key].as_str(), Some("true" | "enabled"));
        return (on("index_fallback") || on("pushstate")).then(|| INDEX.to_owned());
    }
    let built = app.detection.build.is_some();
    match app.framework() {
        // The page for all other paths has a name of its own beside those that were rendered.
        "nuxt" => Some("200.html".to_owned()),
        "sveltekit" => Config::read(&app.folder, "svelte.config").text("fallback"),
        name if SINGLE_PAGE.contains(&name) => Some(INDEX.to_owned()),
        name if app.language == Language::Nodejs && built => {
            (!PAGE_PER_PATH.contains(&name)).then(|| INDEX.to_owned())
        }
        _ => finds_paths_itself(app).then(|| INDEX.to_owned()),
    }
}

const INDEX: &str = "index.html";

/// Whether files that nothing builds say that their page finds out itself what a path shows.
fn finds_paths_itself(app: &App<'_>) -> bool {
    let output = app.detection.output.as_deref().unwrap_or(".");
    let files = app.folder.sub(output);
    // As hosts of sites are told it.
    if let Some(text) = files.text("_redirects") {
        return text
            .lines()
            .any(|line| line.trim_start().starts_with("/* ") && line.contains("/index.html"));
    }
    // A built page with nothing in it but the place for an app.
    app.detection.build.is_none() && !files.has("404.html") && {
        let page = files.text("index.html").unwrap_or_default();
        let alone = files.ending(".html").count() == 1;
        let empty = [
            "id=\"root\"></div>",
            "id=\"app\"></div>",
            "<app-root></app-root>",
        ];
        alone && empty.iter().any(|mark| page.contains(mark))
    }
}
