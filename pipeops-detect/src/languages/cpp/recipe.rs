//! The C and C++ recipe: one program, and the libraries that it links to.

use crate::generate::app::App;
use crate::generate::error::GenerateError;
use crate::generate::program::Launch;
use crate::generate::script::{Script, quote};
use crate::generate::{debian, program};
use crate::plan::Build;

/// Libraries as build files name them, and Debian's packages of them.
const LIBRARIES: &[(&str, &str)] = &[
    ("Boost", "libboost-all-dev"),
    ("CURL", "libcurl4-openssl-dev"),
    ("Drogon", "libdrogon-dev"),
    ("GTest", "libgtest-dev"),
    ("OpenSSL", "libssl-dev"),
    ("PostgreSQL", "libpq-dev"),
    ("Protobuf", "libprotobuf-dev protobuf-compiler"),
    ("SQLite3", "libsqlite3-dev"),
    ("ZLIB", "zlib1g-dev"),
    ("asio", "libasio-dev"),
    ("cpprestsdk", "libcpprest-dev"),
    ("fmt", "libfmt-dev"),
    ("gRPC", "libgrpc++-dev protobuf-compiler-grpc"),
    ("hiredis", "libhiredis-dev"),
    ("httplib", "libcpp-httplib-dev"),
    ("jsoncpp", "libjsoncpp-dev"),
    ("libcurl", "libcurl4-openssl-dev"),
    ("libmicrohttpd", "libmicrohttpd-dev"),
    ("libpq", "libpq-dev"),
    ("libpqxx", "libpqxx-dev"),
    ("libuv", "libuv1-dev"),
    ("nlohmann_json", "nlohmann-json3-dev"),
    ("openssl", "libssl-dev"),
    ("spdlog", "libspdlog-dev"),
    ("sqlite3", "libsqlite3-dev"),
    ("yaml-cpp", "libyaml-cpp-dev"),
    ("zlib", "zlib1g-dev"),
];

pub(crate) fn write(app: &App<'_>, script: &mut Script) -> Result<(), GenerateError> {
    let launch = Launch::of(app, program::PATH)?;
    let name = program::name(app, |name| {
        let files = [
            "CMakeLists.txt",
            "meson.build",
            "src/Makefile.am",
            "Makefile",
        ];
        program::mentions(app, &files, name)
    })?;
    let detected = app.detected.as_ref().filter(|start| start.name() == name);
    let path = detected.unwrap_or(app.start()?);
    let path = path.program.trim_start_matches("./");
    // A Procfile may call the program without its folder.
    let built = format!("build/{name}");
    let path = match app.manager() {
        "cmake" | "meson" if !path.starts_with("build/") => &built,
        _ => path,
    };
    program::compiler(app, script, "cpp.build");
    debian::install(
        script,
        &packages(app),
        "compiler, build system and libraries",
    );
    script.sources();
    let build = app
        .plan
        .build
        .as_ref()
        .map(Build::lines)
        .unwrap_or_default();
    let command = format!(
        "{} \\\n && install -D {} /out/app \\\n && mkdir /out/lib \\\n && ldd /out/app | awk '$3 ~ /^\\// {{print $3}}' | xargs -r cp -t /out/lib",
        build,
        quote(path)
    );
    script.line(
        "SHELL [\"/bin/bash\", \"-o\", \"pipefail\", \"-c\"]",
        "a failing command in a pipe fails the step",
    );
    script.run(
        &[],
        &command,
        "the program and the shared libraries that it links to",
    );
    let image = ("cpp.run", "libc and libstdc++; no shell, no packages");
    program::last_stage(
        app,
        script,
        &launch,
        image,
        ".cpp",
        &[("LD_LIBRARY_PATH", "/app/lib")],
    );
    script.line(
        "COPY --from=build /out/lib ./lib",
        "the program's libraries",
    );
    launch.run(app, script);
    Ok(())
}

/// Debian's packages for the build, sorted.
fn packages(app: &App<'_>) -> Vec<&'static str> {
    let mut packages = vec!["build-essential", "ca-certificates", "git", "pkg-config"];
    packages.extend::<&[&str]>(match app.manager() {
        "cmake" => &["cmake"],
        "meson" => &["meson", "ninja-build"],
        "autotools" => &["autoconf", "automake", "libtool"],
        _ => &[],
    });
    let files = [
        "CMakeLists.txt",
        "src/CMakeLists.txt",
        "meson.build",
        "configure.ac",
    ];
    let text: String = files
        .iter()
        .filter_map(|file| app.folder.text(file))
        .collect();
    let asked = |name: &str| {
        let calls = [
            "find_package(",
            "dependency('",
            "pkg_check_modules(",
            "PKG_CHECK_MODULES(",
        ];
        calls.iter().any(|call| {
            text.split(call).skip(1).any(|rest| {
                let inside = rest.split([')', '\'']).next().unwrap_or_default();
                inside
                    .split([' ', ',', '\n', '[', ']'])
                    .any(|word| word == name)
            })
        })
    };
    for (name, package) in LIBRARIES {
        if asked(name) {
            packages.extend(package.split(' '));
        }
    }
    packages.sort_unstable();
    packages.dedup();
    packages
}
