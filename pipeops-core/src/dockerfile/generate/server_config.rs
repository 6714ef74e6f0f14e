//! The configuration of the web server that serves files.

use super::App;
use crate::detect::Language;

/// Frameworks that build one page, whose own routes are no files. Generators of many pages are not in the list: there a
/// path without a file is a mistake, and says so.
const SINGLE_PAGE: &[&str] = &[
    "angular",
    "create-react-app",
    "flutter",
    "lustre",
    "parcel",
    "react-router",
    "sveltekit",
    "vite",
    "vue",
    "webpack",
    "blazor",
    "blazor-wasm",
    "expo",
    "ember",
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
pub(super) fn lines(app: &App<'_>) -> (Vec<String>, &'static str) {
    let port = app.detection.port.unwrap_or(8080);
    let single = is_single_page(app);
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
    let why = match single {
        true => {
            lines.push("    location / { try_files $uri $uri/ /index.html; }".to_owned());
            "paths that are no files are the app's own: it gets its page. Files are asked for again, and mostly unchanged"
        }
        false => {
            lines.push("    error_page 404 /404.html;".to_owned());
            lines.push("    location / { try_files $uri $uri/ $uri.html =404; }".to_owned());
            "files as they are; those whose names start with a dot are nobody's business"
        }
    };
    lines.push("}".to_owned());
    (lines, why)
}

/// Whether all paths are the business of one page.
fn is_single_page(app: &App<'_>) -> bool {
    if let Some(text) = app.folder.text("Staticfile") {
        let on = |line: &str| {
            let (key, value) = line.split_once(':')?;
            let known = ["index_fallback", "pushstate"].contains(&key.trim());
            known.then(|| ["true", "enabled"].contains(&value.trim()))
        };
        return text.lines().find_map(on).unwrap_or(false);
    }
    if SINGLE_PAGE.contains(&app.framework()) {
        return true;
    }
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
