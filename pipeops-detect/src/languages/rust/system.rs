//! The system packages that Rust programs need, by their lockfile.

use super::manifest::{locked, packages};
use crate::generate::app::App;

/// What the two stages need.
#[derive(Debug, Default)]
pub(crate) struct System {
    /// C libraries with their headers: the large image has them.
    pub(crate) headers: bool,
    /// Tools that no Rust image has.
    pub(crate) tools: Vec<&'static str>,
    /// Libraries that are linked and not in the small image.
    pub(crate) libraries: Vec<&'static str>,
}

/// A crate, and the Debian library that a program is linked to because of it. OpenSSL is in the small image.
const LINKED: &[(&str, &str)] = &[
    ("bzip2-sys", "libbz2-1.0"),
    ("curl-sys", "libcurl4"),
    ("libz-sys", "zlib1g"),
    ("lzma-sys", "liblzma5"),
    ("mysqlclient-sys", "libmariadb3"),
    ("pq-sys", "libpq5"),
];

/// Crates that find their library by its headers, or compile C++.
const HEADERS: &[&str] = &[
    "librocksdb-sys",
    "link-cplusplus",
    "mysqlclient-sys",
    "openssl-sys",
    "pq-sys",
    "rdkafka-sys",
];

impl System {
    pub(crate) fn of(app: &App<'_>) -> Self {
        let mut locked = locked(&app.folder);
        if locked.is_empty() {
            locked = guessed(app);
        }
        let has = |name: &str| locked.iter().any(|(locked, _)| locked == name);
        let mut system = Self {
            headers: HEADERS.iter().any(|name| has(name)),
            ..Self::default()
        };
        // SQLite is compiled in where its crate has a compiler among its needs.
        let sqlite = locked.iter().find(|(name, _)| name == "libsqlite3-sys");
        if sqlite.is_some_and(|(_, needs)| !needs.iter().any(|need| need == "cc")) {
            system.headers = true;
            system.libraries.push("libsqlite3-0");
        }
        let own_protoc = ["protoc-bin-vendored", "protobuf-src", "protox"];
        if has("prost-build") && !own_protoc.iter().any(|name| has(name)) {
            system
                .tools
                .extend(["libprotobuf-dev", "protobuf-compiler"]);
        }
        if has("clang-sys") {
            system.tools.push("libclang-dev");
        }
        // AWS-LC names CMake and does not use it on this platform.
        let cmake = |(name, needs): &(String, Vec<String>)| {
            name != "aws-lc-sys" && needs.iter().any(|need| need == "cmake")
        };
        if locked.iter().any(cmake) {
            system.headers = true;
            system.tools.push("cmake");
        }
        // Without headers and pkg-config these crates compile their library themselves.
        if system.headers {
            let linked = LINKED.iter().filter(|(name, _)| has(name));
            system.libraries.extend(linked.map(|(_, library)| *library));
        }
        system
    }

    pub(crate) fn build_role(&self) -> &'static str {
        if self.headers {
            "rust.build.headers"
        } else {
            "rust.build"
        }
    }
}

/// Crates that bring one of [`HEADERS`] with their usual features.
const BRING: &[(&str, &str, &str)] = &[
    ("openssl", "openssl-sys", ""),
    ("openssl-sys", "openssl-sys", ""),
    ("native-tls", "openssl-sys", ""),
    ("reqwest", "openssl-sys", ""),
    ("rdkafka", "rdkafka-sys", ""),
    ("diesel", "pq-sys", "postgres"),
    ("diesel", "mysqlclient-sys", "mysql"),
    ("tonic-build", "prost-build", ""),
    ("prost-build", "prost-build", ""),
];

/// Without a lock file: what the manifests themselves ask for.
fn guessed(app: &App<'_>) -> Vec<(String, Vec<String>)> {
    let packages = packages(&app.folder);
    let asks = |name: &str, feature: &str| {
        packages.iter().any(|package| {
            let tables = ["dependencies", "build-dependencies"];
            let dependency = tables
                .iter()
                .find_map(|table| package.manifest.get(*table)?.get(name));
            dependency.is_some_and(|dependency| dependency.to_string().contains(feature))
        })
    };
    let brought = BRING
        .iter()
        .filter(|(name, _, feature)| asks(name, feature));
    brought
        .map(|(_, brings, _)| ((*brings).to_owned(), Vec::new()))
        .collect()
}
