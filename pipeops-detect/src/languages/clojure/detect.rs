//! Clojure, built by Leiningen or by its own tools.

use super::super::java::version::told_version;
use crate::Language;
use crate::findings::{Findings, Role, weight};
use crate::plan::Command;
use crate::repository::folder::Folder;
use crate::repository::port::DEFAULT_PORT;

/// Names of libraries, as they start in a build file.
const FRAMEWORKS: &[(&str, &str)] = &[
    ("luminus", "luminus"),
    ("io.github.kit-clj", "kit"),
    ("io.pedestal", "pedestal"),
    ("com.biffweb", "biff"),
    ("duct/", "duct"),
    ("metosin/reitit", "reitit"),
    ("compojure", "compojure"),
    ("ring/ring", "ring"),
    ("lein-ring", "ring"),
    ("http-kit", "http-kit"),
    ("aleph", "aleph"),
];

/// Looks for `project.clj` and `deps.edn`.
pub(crate) fn detect(folder: &Folder<'_>) -> Findings {
    let mut found = Findings::none(Language::Clojure);
    if folder.has("project.clj") {
        by_leiningen(&mut found, folder);
    } else if folder.has("deps.edn") {
        by_tools(&mut found, folder);
    } else {
        return found;
    }
    found.version(folder, told_version(folder));
    found
}

fn describe(found: &mut Findings, folder: &Folder<'_>, file: &str, text: &str) {
    // A library's name begins behind a blank or a bracket: `[ring/ring-core "1.9"]`, `{ring/ring-core {…}}`.
    let starts = |name: &str| {
        let mut places = text.match_indices(name);
        places.any(|(at, _)| text[..at].ends_with(['[', '{', ' ', '\n', ',']))
    };
    found.framework(folder, file, FRAMEWORKS, starts);
}

fn by_leiningen(found: &mut Findings, folder: &Folder<'_>) {
    let text = code(&folder.text("project.clj").unwrap_or_default());
    found.add(
        weight::MANIFEST,
        folder,
        "project.clj",
        "a Leiningen project",
    );
    found.package_manager = Some("leiningen".to_owned());
    found.plan.install = Some(Command::new("lein deps"));
    describe(found, folder, "project.clj", &text);
    let ring = text.contains("lein-ring") && text.contains(":handler");
    if !ring && !text.contains(":main") {
        found.role = Role::Library;
        found.add(
            weight::NONE,
            folder,
            "project.clj",
            "has no `:main`, so there is nothing to start",
        );
        return;
    }
    found.add(
        weight::ENTRY,
        folder,
        "project.clj",
        if ring {
            "has a Ring handler"
        } else {
            "has a `:main`"
        },
    );
    let task = if ring { "ring uberjar" } else { "uberjar" };
    found.plan.build = Some(Command::new("lein").args(task).into());
    let mut words = text
        .split("defproject")
        .nth(1)
        .unwrap_or_default()
        .split_whitespace();
    let name = words.next().unwrap_or("app");
    let name = name.rsplit('/').next().unwrap_or(name);
    let version = words.next().unwrap_or_default().trim_matches('"');
    let dir = match quoted(&text, ":target-path") {
        Some(path) => path.trim_end_matches('/').replace("%s", "uberjar"),
        None => "target".to_owned(),
    };
    let jar = quoted(&text, ":uberjar-name")
        .unwrap_or_else(|| format!("{name}-{version}-standalone.jar"));
    found.plan.start = Some(Command::new("java -jar").target(format!("{dir}/{jar}")));
    found.port = Some(DEFAULT_PORT);
}

fn by_tools(found: &mut Findings, folder: &Folder<'_>) {
    let text = code(&folder.text("deps.edn").unwrap_or_default());
    found.add(weight::MANIFEST, folder, "deps.edn", "Clojure dependencies");
    found.package_manager = Some("clojure".to_owned());
    found.plan.install = Some(Command::new("clojure -P"));
    describe(found, folder, "deps.edn", &text);
    let Some(build) = folder.text("build.clj").map(|text| code(&text)) else {
        found.role = Role::Library;
        found.add(
            weight::NONE,
            folder,
            "deps.edn",
            "without build.clj, nothing builds a runnable archive",
        );
        return;
    };
    let tasks = ["uber", "uberjar", "ci", "all", "build"];
    let task = tasks.iter().find(|task| {
        build.contains(&format!("(defn {task} ")) || build.contains(&format!("(defn {task}\n"))
    });
    // The archive is written by `b/uber`, whatever the task is called.
    let Some(task) = task.filter(|_| build.contains("uber")) else {
        found.role = Role::Library;
        found.add(weight::NONE, folder, "build.clj", "builds a library");
        return;
    };
    found.add(
        weight::ENTRY,
        folder,
        "build.clj",
        format!("builds a runnable archive: `{task}`"),
    );
    let alias = if text.contains(":build") {
        "build"
    } else {
        "uberjar"
    };
    found.plan.build = Some(
        Command::new("clojure")
            .target(format!("-T:{alias}"))
            .arg(*task)
            .into(),
    );
    // `(format "target/%s-%s.jar" …)` leaves parts open: a shell finds them.
    let formatted = build.replace("(format", "");
    let names = [":uber-file", "def uber-file", "def- uber-file"];
    let file = names.iter().find_map(|key| quoted(&formatted, key));
    let file = file.map_or("target/*.jar".to_owned(), |file| file.replace("%s", "*"));
    found.plan.start = Some(Command::new("java -jar").target(file));
    found.port = Some(DEFAULT_PORT);
}

/// The text in quotes directly behind a key.
fn quoted(text: &str, key: &str) -> Option<String> {
    let (_, rest) = text.split_once(key)?;
    let value = rest.trim_start().strip_prefix('"')?;
    value.split('"').next().map(str::to_owned)
}

/// Without comments.
fn code(text: &str) -> String {
    let cut = |line: &str| line.split(';').next().unwrap_or_default().to_owned() + "\n";
    text.lines().map(cut).collect()
}

#[cfg(test)]
mod tests {
    use super::detect;
    use crate::languages::layouts::{Layout, check};

    // One line per layout.
    #[rustfmt::skip]
    const LAYOUTS: &[Layout] = &[
        // Archives have the names that the build gives them.
        (&[("project.clj", "(defproject acme/shop \"0.1\" :main shop.core [compojure \"1\"])")], &["start java -jar target/shop-0.1-standalone.jar", "framework compojure"]),
        (&[("project.clj", "(defproject shop \"0.1\" :main x :target-path \"target/%s/\" :profiles {:uberjar {:uberjar-name \"shop.jar\"}})")], &["start java -jar target/uberjar/shop.jar", "framework"]),
        (&[("deps.edn", "{:deps {io.pedestal/x {}} :aliases {:build {}}}"), ("build.clj", "(def uber-file \"target/shop.jar\")\n(defn uber [_])")], &["build clojure -T:build uber", "start java -jar target/shop.jar"]),
        (&[("deps.edn", "{}")], &["role Library"]),
    ];

    #[test]
    fn layouts() {
        check(detect, LAYOUTS);
    }
}
