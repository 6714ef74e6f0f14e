//! C and C++, built by CMake, Meson, the autotools or make.
//!
//! Their sources are parts of many projects of other languages (native extensions): what builds those is no app.

use super::{DEFAULT_PORT, framework};
use crate::detect::Language;
use crate::detect::findings::{Findings, Role, weight};
use crate::detect::folder::Folder;
use crate::detect::version::number;

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

/// Files of other languages, whose native parts C and C++ sources may be.
const OTHERS: &[&str] = &[
    "package.json",
    "binding.gyp",
    "pyproject.toml",
    "setup.py",
    "Cargo.toml",
    "go.mod",
    "Gemfile",
    "composer.json",
    "config.m4",
    "mix.exs",
    "rebar.config",
    "pubspec.yaml",
    "Package.swift",
    "build.zig",
    "build.gradle",
    "build.gradle.kts",
    "pom.xml",
    "gleam.toml",
    "shard.yml",
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
pub(super) fn look(folder: &Folder<'_>) -> Findings {
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
    if let Some((mark, name)) = framework(FRAMEWORKS, mentions) {
        found.add(
            weight::FRAMEWORK,
            folder,
            build.file,
            format!("uses {mark}"),
        );
        found.framework = Some(name);
    }
    found.version = standard(&build.text);
    let device = DEVICES.iter().find(|mark| build.text.contains(**mark));
    if let Some(mark) = device {
        let says = format!("`{mark}`: for a device or a desktop, nothing that a cluster could run");
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
    found.build = Some(build.command.to_owned());
    found.start = Some(format!("./{}{name}", build.output));
    let serves = found.framework.is_some() || includes(source, "sys/socket.h");
    if let Some(main) = main {
        found.listens_or(folder, main, serves.then_some(DEFAULT_PORT));
    } else {
        found.port = serves.then_some(DEFAULT_PORT);
    }
}

/// The sources at the root and in `src`, as far as one needs to see them.
fn sources(folder: &Folder<'_>) -> Vec<String> {
    const ENDS: &[&str] = &[".c", ".cc", ".cpp", ".cxx"];
    let mut files = Vec::new();
    for dir in ["", "src", "app", "source", "server"] {
        let inside = folder.sub(dir);
        for name in ENDS.iter().flat_map(|end| inside.ending(end)) {
            let at = if dir.is_empty() { "" } else { "/" };
            files.push(format!("{dir}{at}{name}"));
        }
    }
    // A file named `main` is likely to hold it.
    files.sort_by_key(|file| !file.contains("main."));
    files.truncate(30);
    files
}

fn is_main(folder: &Folder<'_>, file: &str) -> bool {
    let text = folder.text(file).unwrap_or_default();
    ["int main(", "int main (", "auto main("]
        .iter()
        .any(|mark| text.contains(mark))
}

/// What a build file says.
struct Build {
    file: &'static str,
    says: &'static str,
    manager: &'static str,
    command: &'static str,
    /// The folder of the programs, from the app's folder.
    output: &'static str,
    /// The build file without comments, and those of its folders of sources.
    text: String,
    program: Option<String>,
}

impl Build {
    fn read(folder: &Folder<'_>) -> Option<Self> {
        let text = |file: &str| without_comments(&folder.text(file).unwrap_or_default());
        let new = |file, says, manager, command, output| Self {
            file,
            says,
            manager,
            command,
            output,
            text: text(file),
            program: None,
        };
        let file = [
            "CMakeLists.txt",
            "meson.build",
            "configure.ac",
            "Makefile",
            "makefile",
        ];
        let mut build = match folder.first(&file)? {
            "CMakeLists.txt" => new(
                "CMakeLists.txt",
                "built by CMake",
                "cmake",
                "cmake -B build -DCMAKE_BUILD_TYPE=Release && cmake --build build",
                "build/",
            ),
            "meson.build" => new(
                "meson.build",
                "built by Meson",
                "meson",
                "meson setup build --buildtype=release && meson compile -C build",
                "build/",
            ),
            "configure.ac" => new(
                "configure.ac",
                "built by the autotools",
                "autotools",
                "autoreconf -i && ./configure && make",
                "",
            ),
            file => new(file, "built by make", "make", "make", ""),
        };
        match build.manager {
            "cmake" => build.cmake(folder),
            "meson" => build.program = calls(&build.text, "executable").into_iter().next(),
            "autotools" => build.automake(folder),
            // Makefiles are in projects of any language: only those that stand alone with sources are meant here.
            _ if folder.first(OTHERS).is_some() || sources(folder).is_empty() => return None,
            _ => build.make(folder),
        }
        Some(build)
    }

    /// Programs are in the folder of the build that mirrors the folder of their list.
    fn cmake(&mut self, folder: &Folder<'_>) {
        let project = calls(&self.text, "project").into_iter().next();
        let mut lists = vec![(String::new(), self.text.clone())];
        for dir in calls(&self.text, "add_subdirectory") {
            let file = format!("{dir}/CMakeLists.txt");
            let text = without_comments(&folder.text(&file).unwrap_or_default());
            self.text.push_str(&text);
            lists.push((format!("{dir}/"), text));
        }
        let mut programs = Vec::new();
        for (dir, text) in &lists {
            for name in calls(text, "add_executable") {
                let is_project =
                    ["${PROJECT_NAME}", "${CMAKE_PROJECT_NAME}"].contains(&name.as_str());
                let value = match is_project {
                    true => project.clone(),
                    false => variable(&self.text, &name),
                };
                let name = value.unwrap_or(name);
                if !name.contains(['$', '{']) && !is_check(&name) && !is_check(dir) {
                    programs.push(format!("{dir}{name}"));
                }
            }
        }
        self.program = best(programs, project.as_deref());
    }

    fn automake(&mut self, folder: &Folder<'_>) {
        let lists = [("", "Makefile.am"), ("src/", "src/Makefile.am")];
        self.program = lists.iter().find_map(|(dir, file)| {
            let text = folder.text(file)?;
            let (_, rest) = text.split_once("bin_PROGRAMS")?;
            let names = rest.lines().next()?.trim_start_matches([' ', '=', '+']);
            Some(format!("{dir}{}", names.split_whitespace().next()?))
        });
    }

    /// The variable that the program's name usually stands in, or what the linker is told.
    fn make(&mut self, folder: &Folder<'_>) {
        const NAMES: &[&str] = &[
            "TARGET",
            "BIN",
            "PROGRAM",
            "EXE",
            "EXECUTABLE",
            "NAME",
            "OUT",
            "PROG",
        ];
        let variable = |name: &&str| {
            let lines = self.text.lines();
            let mut values = lines.filter_map(|line| {
                let rest = line.strip_prefix(*name)?.trim_start();
                let rest = rest.trim_start_matches([':', '?']);
                Some(rest.strip_prefix('=')?.trim().to_owned())
            });
            values.next()
        };
        let linked = || {
            let (_, rest) = self.text.split_once(" -o ")?;
            rest.split_whitespace().next().map(str::to_owned)
        };
        let plain = |name: &String| !name.is_empty() && !name.contains(['$', '*', ' ', '%']);
        let is_program = |name: &String| {
            plain(name) && ![".o", ".so", ".a"].iter().any(|end| name.ends_with(end))
        };
        let has_main = sources(folder).iter().any(|file| is_main(folder, file));
        let named = NAMES.iter().find_map(variable).filter(is_program);
        self.program = named
            .or_else(|| linked().filter(is_program))
            .filter(|_| has_main);
    }
}

/// The value of `${NAME}`, as `set(NAME value)` gives it.
fn variable(text: &str, reference: &str) -> Option<String> {
    let name = reference.strip_prefix("${")?.strip_suffix('}')?;
    let mut behind = text.split("set(").skip(1);
    behind.find_map(|rest| {
        let mut words = rest
            .split([' ', ')', '\n', '\t', '"'])
            .filter(|word| !word.is_empty());
        let same = words.next()? == name;
        same.then(|| words.next().map(str::to_owned))?
    })
}

/// Whether a name is one of tests, benchmarks or examples: by whole words, since `contest` is none.
fn is_check(name: &str) -> bool {
    const CHECKS: &[&str] = &[
        "test",
        "bench",
        "benchmark",
        "example",
        "fuzz",
        "demo",
        "unittest",
    ];
    let name = name.to_ascii_lowercase();
    let mut words = name.split(|ch: char| !ch.is_alphanumeric());
    words.any(|word| CHECKS.contains(&word.trim_end_matches('s')))
}

/// The program that is called as the project, or a server; else the first.
fn best(programs: Vec<String>, project: Option<&str>) -> Option<String> {
    let named = |path: &String| path.rsplit('/').next() == project;
    let server = |path: &String| path.to_ascii_lowercase().contains("server");
    let chosen = programs.iter().position(named);
    let chosen = chosen.or_else(|| programs.iter().position(server));
    programs.into_iter().nth(chosen.unwrap_or(0))
}

/// The first arguments of the calls of a function of CMake or Meson.
fn calls(text: &str, function: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices(function) {
        let word = text[..at]
            .chars()
            .next_back()
            .is_none_or(|ch| !ch.is_alphanumeric() && ch != '_');
        let rest = text[at + function.len()..].trim_start();
        let Some(rest) = rest.strip_prefix('(').filter(|_| word) else {
            continue;
        };
        let rest = rest.trim_start();
        let end = rest
            .find([' ', ')', ',', '\n', '\t', '\r'])
            .unwrap_or(rest.len());
        let name = rest[..end].trim_matches(['\'', '"']);
        if !name.is_empty() {
            found.push(name.to_owned());
        }
    }
    found
}

fn without_comments(text: &str) -> String {
    let lines = text
        .lines()
        .map(|line| line.split_once('#').map_or(line, |(code, _)| code));
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::MemTree;

    fn found(files: &[(&str, &str)]) -> Findings {
        let tree: MemTree = files.iter().copied().collect();
        look(&Folder::open(&tree, ""))
    }

    const MAIN: (&str, &str) = (
        "src/main.cpp",
        "#include <httplib.h>\nint main() { server.listen(\"0.0.0.0\", 9000); }",
    );

    #[test]
    fn programs_of_build_files() {
        for (files, start) in [
            (
                &[
                    (
                        "CMakeLists.txt",
                        "project(shop CXX)\n# add_executable(old x)\nadd_executable(unit_tests t.cc)\nadd_executable(${PROJECT_NAME}\n  src/main.cpp)",
                    ),
                    MAIN,
                ] as &[_],
                Some("./build/shop"),
            ),
            (
                &[
                    ("CMakeLists.txt", "project(x)\nadd_subdirectory(server)"),
                    ("server/CMakeLists.txt", "add_executable(shopd main.cc)"),
                ],
                Some("./build/server/shopd"),
            ),
            (
                &[(
                    "CMakeLists.txt",
                    "set(APP \"shop\")\nadd_executable(${APP} main.cc)",
                )],
                Some("./build/shop"),
            ),
            (
                &[("meson.build", "project('x')\nexecutable('shop', 'main.cc')")],
                Some("./build/shop"),
            ),
            (
                &[
                    ("configure.ac", ""),
                    ("src/Makefile.am", "bin_PROGRAMS = shop"),
                ],
                Some("./src/shop"),
            ),
            (
                &[("Makefile", "TARGET := shop\nall: $(TARGET)\n"), MAIN],
                Some("./shop"),
            ),
            (
                &[("Makefile", "all:\n\tg++ src/main.cpp -o shop\n"), MAIN],
                Some("./shop"),
            ),
            (&[("CMakeLists.txt", "add_library(x x.cc)")], None),
            (&[("Makefile", "run:\n\tpython x.py")], None),
        ] {
            assert_eq!(found(files).start.as_deref(), start, "{files:?}");
        }
    }

    #[test]
    fn parts_of_other_languages_and_devices_are_no_apps() {
        let library = ("CMakeLists.txt", "add_library(x x.cc)");
        assert_eq!(found(&[library]).role, Role::Library);
        assert_eq!(found(&[library, ("package.json", "")]).role, Role::Tools);
        assert!(!found(&[("Makefile", ""), ("x.c", "int main(){}"), ("go.mod", "")]).found());
        let device = (
            "CMakeLists.txt",
            "include($ENV{IDF_PATH}/tools/cmake/project.cmake)\nproject(x)",
        );
        assert_eq!(found(&[device]).role, Role::Tools);
    }

    #[test]
    fn checks_are_whole_words() {
        assert!(is_check("unit_tests") && is_check("tests/") && is_check("Bench-all"));
        assert!(!is_check("contest-api") && !is_check("latest/"));
    }

    #[test]
    fn servers_have_ports() {
        let server = found(&[
            (
                "CMakeLists.txt",
                "project(x)\nset(CMAKE_CXX_STANDARD 17)\nadd_executable(x src/main.cpp)",
            ),
            MAIN,
        ]);
        assert_eq!(
            (server.framework.as_deref(), server.port),
            (Some("httplib"), Some(9000))
        );
        assert_eq!(server.version.as_deref(), Some("17"));
        let command = found(&[
            ("CMakeLists.txt", "project(x)\nadd_executable(x m.cc)"),
            ("m.cc", "int main() {}"),
        ]);
        assert_eq!(command.port, None);
    }
}
