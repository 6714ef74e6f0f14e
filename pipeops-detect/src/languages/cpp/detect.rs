//! C and C++, built by CMake, Meson, the autotools or make.
//!
//! Many projects in other languages contain C sources (native extensions). What builds those isn't an app.

use crate::Language;
use crate::findings::{Findings, Role, weight};
use crate::plan::{self, Command};
use crate::repository::folder::Folder;
use crate::repository::port::DEFAULT_PORT;
use crate::repository::version::number;

use super::build_file::{Build, OTHERS};
use super::sources::{is_main, sources};

/// Texts in sources and build files that name a library which answers requests.
const FRAMEWORKS: &[(&str, &str)] = &[
    ("drogon", "drogon"),
    ("oatpp", "oatpp"),
    ("crow.h", "crow"),
    ("crow_all.h", "crow"),
    ("Crow::Crow", "crow"),
    ("pistache", "pistache"),
    ("cpprest", "cpprest"),
    ("httplib", "httplib"),
    ("userver", "userver"),
    ("restinio", "restinio"),
    ("boost/beast", "beast"),
    ("microhttpd", "microhttpd"),
    ("mongoose.h", "mongoose"),
    ("civetweb", "civetweb"),
    ("App.h", "uwebsockets"),
];

/// Texts in build files of programs for devices and desktops.
const DEVICES: &[&str] = &[
    "IDF_PATH",
    "pico_sdk",
    "PICO_SDK",
    "ZEPHYR",
    "Zephyr",
    "arduino",
    "arm-none-eabi",
    "avr-gcc",
    "Qt5Widgets",
    "Qt6Widgets",
    "Widgets REQUIRED",
    "SDL2",
    "sfml",
    "SFML",
    "raylib",
    "glfw",
];

/// Looks for a build file and what it builds.
pub(crate) fn detect(folder: &Folder<'_>) -> Findings {
    let mut found = Findings::none(Language::Cpp);
    let Some(build) = Build::read(folder) else {
        return found;
    };
    found.add(weight::MANIFEST, folder, build.file, build.says);
    found.package_manager = Some(build.manager.to_owned());
    let sources = sources(folder);
    if let Some(file) = sources.first() {
        found.add(weight::LOCKFILE, folder, file, "C or C++ sources");
    }
    let main = sources.iter().find(|file| is_main(folder, file));
    let source = main.and_then(|file| folder.text(file)).unwrap_or_default();
    let mentions = |mark: &str| includes(&source, mark) || build.text.contains(mark);
    found.framework(folder, build.file, FRAMEWORKS, mentions);
    found.version = standard(&build.text);
    let device = DEVICES.iter().find(|mark| build.text.contains(**mark));
    if let Some(mark) = device {
        let says = format!("`{mark}`: built for a device or desktop, which can't run in a cluster");
        found.add(weight::NONE, folder, build.file, says);
        found.role = Role::Tools;
        return found;
    }
    program(
        &mut found,
        folder,
        &build,
        main.map(String::as_str),
        &source,
    );
    found
}

fn includes(source: &str, mark: &str) -> bool {
    let mut lines = source.lines().map(str::trim_start);
    lines.any(|line| line.starts_with("#include") && line.contains(mark))
}

/// The standard of C++, which is what a project asks for instead of a version.
fn standard(build: &str) -> Option<String> {
    let marks = ["CMAKE_CXX_STANDARD", "cpp_std=c++", "cxx_std_", "-std=c++"];
    marks.iter().find_map(|mark| {
        let (_, rest) = build.split_once(mark)?;
        number(rest.get(..4).unwrap_or(rest)).filter(|number| number.len() == 2)
    })
}

fn program(
    found: &mut Findings,
    folder: &Folder<'_>,
    build: &Build,
    main: Option<&str>,
    source: &str,
) {
    let Some(name) = &build.program else {
        let part = OTHERS.iter().any(|file| folder.has(file));
        found.role = if part { Role::Tools } else { Role::Library };
        return;
    };
    if found.framework.is_none() && folder.first(OTHERS).is_some() {
        found.role = Role::Library;
    }
    let says = format!("builds the program `{name}`");
    found.add(weight::ENTRY, folder, build.file, says);
    found.plan.build = Some(plan::Build {
        steps: build
            .commands
            .iter()
            .map(|step| Command::new(step))
            .collect(),
    });
    found.plan.start = Some(Command::program(format!("./{}{name}", build.output)));
    let serves = found.framework.is_some() || includes(source, "sys/socket.h");
    if let Some(main) = main {
        found.listens_or(folder, main, serves.then_some(DEFAULT_PORT));
    } else {
        found.port = serves.then_some(DEFAULT_PORT);
    }
}

#[cfg(test)]
mod tests {
    use super::detect;
    use crate::languages::layouts::{Layout, check};

    const MAIN: (&str, &str) = (
        "src/main.cpp",
        "#include <httplib.h>\nint main() { server.listen(\"0.0.0.0\", 9000); }",
    );
    const LIBRARY: (&str, &str) = ("CMakeLists.txt", "add_library(x x.cc)");

    // One line per layout.
    #[rustfmt::skip]
    const LAYOUTS: &[Layout] = &[
        // Programs of build files.
        (&[("CMakeLists.txt", "project(shop CXX)\n# add_executable(old x)\nadd_executable(unit_tests t.cc)\nadd_executable(${PROJECT_NAME}\n  src/main.cpp)"), MAIN], &["start ./build/shop"]),
        (&[("CMakeLists.txt", "project(x)\nadd_subdirectory(server)"), ("server/CMakeLists.txt", "add_executable(shopd main.cc)")], &["start ./build/server/shopd"]),
        (&[("CMakeLists.txt", "set(APP \"shop\")\nadd_executable(${APP} main.cc)")], &["start ./build/shop"]),
        (&[("meson.build", "project('x')\nexecutable('shop', 'main.cc')")], &["start ./build/shop"]),
        (&[("configure.ac", ""), ("src/Makefile.am", "bin_PROGRAMS = shop")], &["start ./src/shop"]),
        (&[("Makefile", "TARGET := shop\nall: $(TARGET)\n"), MAIN], &["start ./shop"]),
        (&[("Makefile", "all:\n\tg++ src/main.cpp -o shop\n"), MAIN], &["start ./shop"]),
        (&[LIBRARY], &["start", "role Library"]),
        (&[("Makefile", "run:\n\tpython x.py")], &["start"]),
        // Parts of other languages, and devices, are no apps.
        (&[LIBRARY, ("package.json", "")], &["role Tools"]),
        (&[("Makefile", ""), ("x.c", "int main(){}"), ("go.mod", "")], &["found false"]),
        (&[("CMakeLists.txt", "include($ENV{IDF_PATH}/tools/cmake/project.cmake)\nproject(x)")], &["role Tools"]),
        // Servers have ports.
        (&[("CMakeLists.txt", "project(x)\nset(CMAKE_CXX_STANDARD 17)\nadd_executable(x src/main.cpp)"), MAIN], &["framework httplib", "port 9000", "version 17"]),
        (&[("CMakeLists.txt", "project(x)\nadd_executable(x m.cc)"), ("m.cc", "int main() {}")], &["port"]),
    ];

    #[test]
    fn layouts() {
        check(detect, LAYOUTS);
    }
}
