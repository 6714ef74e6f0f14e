//! The dashboard: one page that loads nothing from other servers.

use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use sha2::{Digest, Sha256};

const STYLE: &str = include_str!("dashboard/style.css");

/// In order of their dependencies.
const SCRIPTS: [&str; 5] = [
    include_str!("dashboard/dom.js"),
    include_str!("dashboard/connection.js"),
    include_str!("dashboard/deployment.js"),
    include_str!("dashboard/view.js"),
    include_str!("dashboard/main.js"),
];

static PAGE: LazyLock<(String, String)> = LazyLock::new(|| {
    let script = format!(
        "\"use strict\";\n(() => {{\n{}\n}})();\n",
        SCRIPTS.join("\n")
    );
    let page = include_str!("dashboard/index.html")
        .replace("/*STYLE*/", STYLE)
        .replace("/*SCRIPT*/", &script);
    (page, policy(STYLE, &script))
});

pub(super) async fn page() -> Response {
    let (page, policy) = &*PAGE;
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, policy.as_str()),
    ];
    (headers, page.as_str()).into_response()
}

/// Allows only this style and script, by their hashes, and connections to this server. Logs are untrusted: even if a line
/// became markup, it couldn't run or load anything.
fn policy(style: &str, script: &str) -> String {
    let hash = |text: &str| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)));
    format!(
        "default-src 'none'; script-src {}; style-src {}; connect-src 'self'; img-src data:; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
        hash(script),
        hash(style)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_asks_nobody_else_and_writes_no_markup() {
        let (page, policy) = &*PAGE;
        assert!(!page.contains("/*STYLE*/") && !page.contains("/*SCRIPT*/"));
        for outside in ["http://", "https://", "//cdn", "@import", "url("] {
            let found = page.replace("http://www.w3.org/2000/svg", "");
            assert!(!found.contains(outside), "the page contains {outside}");
        }
        let markup = "innerHTML outerHTML insertAdjacentHTML document.write eval(";
        for markup in markup.split(' ') {
            assert!(!page.contains(markup), "the page uses {markup}");
        }
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"));
    }

    #[test]
    fn the_hashes_are_those_of_what_stands_in_the_page() {
        let (page, policy) = &*PAGE;
        for (open, close) in [("<style>", "</style>"), ("<script>", "</script>")] {
            let start = page.find(open).unwrap() + open.len();
            let end = page.find(close).unwrap();
            let hash = STANDARD.encode(Sha256::digest(&page[start..end]));
            assert!(policy.contains(&hash), "{open}");
        }
    }
}
