//! The build files of C and C++, and the programs that they build.

use super::sources::{is_main, sources};
use crate::repository::folder::Folder;

/// Files of other languages, whose native parts C and C++ sources may be.
pub(crate) const OTHERS: &[&str] = &[
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

/// What a build file says.
pub(crate) struct Build {
    pub(crate) file: &'static str,
    pub(crate) says: &'static str,
    pub(crate) manager: &'static str,
    pub(crate) commands: &'static [&'static str],
    /// The folder of the programs, from the app's folder.
    pub(crate) output: &'static str,
    /// The build file without comments, and those of its folders of sources.
    pub(crate) text: String,
    pub(crate) program: Option<String>,
}

impl Build {
    /// The first build file that is there.
    pub(crate) fn read(folder: &Folder<'_>) -> Option<Self> {
        let text = |file: &str| without_comments(&folder.text(file).unwrap_or_default());
        let new = |file, says, manager, commands, output| Self {
            file,
            says,
            manager,
            commands,
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
                &[
                    "cmake -B build -DCMAKE_BUILD_TYPE=Release",
                    "cmake --build build",
                ] as &[_],
                "build/",
            ),
            "meson.build" => new(
                "meson.build",
                "built by Meson",
                "meson",
                &[
                    "meson setup build --buildtype=release",
                    "meson compile -C build",
                ],
                "build/",
            ),
            "configure.ac" => new(
                "configure.ac",
                "built by the autotools",
                "autotools",
                &["autoreconf -i", "./configure", "make"],
                "",
            ),
            file => new(file, "built by make", "make", &["make"], ""),
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

    #[test]
    fn checks_are_whole_words() {
        assert!(is_check("unit_tests") && is_check("tests/") && is_check("Bench-all"));
        assert!(!is_check("contest-api") && !is_check("latest/"));
    }
}
