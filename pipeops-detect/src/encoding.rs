//! Files in an encoding that the tool which reads them in the image can't read. PowerShell writes UTF-16, and UTF-8 with a
//! byte order mark. Detection reads both.

use crate::Language;
use crate::repository::folder::Folder;

/// How a file is encoded, if not in plain UTF-8.
pub(crate) fn of(folder: &Folder<'_>, file: &str) -> Option<&'static str> {
    match folder.start(file)?.as_slice() {
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => Some("UTF-16"),
        [0xEF, 0xBB, 0xBF] => Some("UTF-8 with a byte order mark"),
        _ => None,
    }
}

/// A file that stops the build because it is UTF-16, and the tool that reads it.
pub(crate) fn unreadable(
    folder: &Folder<'_>,
    language: Language,
) -> Option<(&'static str, &'static str)> {
    let (tool, files): (_, &[&'static str]) = match language {
        Language::Nodejs => (
            "the package manager",
            &[
                "package.json",
                "package-lock.json",
                "pnpm-lock.yaml",
                "pnpm-workspace.yaml",
                "yarn.lock",
                ".npmrc",
                ".yarnrc.yml",
                "bun.lock",
            ],
        ),
        Language::Python => (
            "the package manager",
            &[
                "pyproject.toml",
                "uv.lock",
                "poetry.lock",
                "pdm.lock",
                "Pipfile",
                "Pipfile.lock",
            ],
        ),
        Language::Go => ("Go", &["go.mod", "go.sum", "go.work"]),
        Language::Rust => ("Cargo", &["Cargo.toml", "Cargo.lock", ".cargo/config.toml"]),
        Language::Ruby => (
            "Bundler",
            &["Gemfile", "Gemfile.lock", "gems.rb", "gems.locked"],
        ),
        Language::Php => ("Composer", &["composer.json", "composer.lock"]),
        Language::Dotnet => (".NET", &["global.json"]),
        Language::Java => (
            "Gradle",
            &[
                "build.gradle",
                "build.gradle.kts",
                "settings.gradle",
                "settings.gradle.kts",
                "gradle.properties",
            ],
        ),
        Language::Elixir => ("Mix", &["mix.exs", "mix.lock"]),
        Language::Deno => ("Deno", &["deno.json", "deno.jsonc", "deno.lock"]),
        Language::Dart => ("Dart", &["pubspec.yaml", "pubspec.lock"]),
        _ => return None,
    };
    let wide = |file: &&&str| of(folder, file) == Some("UTF-16");
    files.iter().find(wide).map(|file| (*file, tool))
}

#[cfg(test)]
mod tests {
    use crate::{BaseImages, Detector, GenerateError, generate};
    use pipeops_core::source::DirTree;

    fn wide(text: &str) -> Vec<u8> {
        let units = text.encode_utf16().flat_map(u16::to_le_bytes);
        [0xFF, 0xFE].into_iter().chain(units).collect()
    }

    fn generated(files: &[(&str, &[u8])]) -> (String, Result<String, GenerateError>) {
        let dir = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            std::fs::create_dir_all(dir.path().join(name).parent().unwrap()).unwrap();
            std::fs::write(dir.path().join(name), bytes).unwrap();
        }
        let tree = DirTree::new(dir.path()).unwrap();
        let detection = Detector::new().detect(&tree);
        let generated = generate(&tree, &detection, &BaseImages::default());
        (
            detection.to_string(),
            generated.map(|generated| generated.dockerfile),
        )
    }

    #[test]
    fn a_version_file_that_the_tool_cannot_read_is_kept_from_it() {
        let bom = "\u{FEFF}3.11\r\n".as_bytes();
        let project: (&str, &[u8]) = (
            "pyproject.toml",
            b"[project]\nname = 'clock'\n[project.scripts]\nclock = 'clock:main'\n[build-system]\n",
        );
        let code: (&str, &[u8]) = ("src/clock/__init__.py", b"");
        for (version, says) in [
            (
                wide("3.11\r\n"),
                ".python-version  is UTF-16, which uv can't read",
            ),
            (
                bom.to_vec(),
                ".python-version  is UTF-8 with a byte order mark, which uv can't read",
            ),
            (b"3.11\n".to_vec(), ""),
        ] {
            let (report, dockerfile) = generated(&[
                project,
                ("uv.lock", b""),
                code,
                (".python-version", &version),
            ]);
            let dockerfile = dockerfile.unwrap();
            assert!(report.contains("asks for version 3.11"), "{report}");
            assert_eq!(
                report.contains("which uv can't read"),
                !says.is_empty(),
                "{report}"
            );
            let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(words(&report).contains(&words(says)), "{report}");
            assert_eq!(
                dockerfile.contains("UV_PYTHON=/venv/bin/python"),
                !says.is_empty(),
                "{dockerfile}"
            );
        }
        let manifest: (&str, &[u8]) = ("Cargo.toml", b"[package]\nname = 'shop'");
        let main: (&str, &[u8]) = ("src/main.rs", b"fn main() {}");
        for (file, text, expected) in [
            (
                "rust-toolchain",
                wide("1.88.0\r\n"),
                "RUSTUP_TOOLCHAIN=1.88.0\n",
            ),
            (
                "rust-toolchain",
                wide("nightly-2025-01-01"),
                "RUSTUP_TOOLCHAIN=nightly-2025-01-01\n",
            ),
            (
                "rust-toolchain.toml",
                wide("[toolchain]\nchannel = \"1.87\""),
                "RUSTUP_TOOLCHAIN=1.87\n",
            ),
        ] {
            let (report, dockerfile) =
                generated(&[manifest, main, ("Cargo.lock", b""), (file, &text)]);
            let dockerfile = dockerfile.unwrap();
            assert!(
                report.contains("is UTF-16, which rustup can't read"),
                "{report}"
            );
            assert!(dockerfile.contains(expected), "{dockerfile}");
        }
    }

    #[test]
    fn a_manifest_that_the_tool_cannot_read_is_refused_by_name() {
        let go: (&str, &[u8]) = ("main.go", b"package main\n\nfunc main() {}\n");
        let (_, error) = generated(&[("go.mod", &wide("module x\n")), go]);
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains("go.mod is UTF-16, which Go can't read"),
            "{error}"
        );
        let project = b"<Project Sdk=\"Microsoft.NET.Sdk.Web\"><TargetFramework>net8.0</TargetFramework></Project>";
        let (_, error) = generated(&[
            ("a.csproj", project),
            (
                "global.json",
                &wide("{\"sdk\": {\"version\": \"8.0.100\"}}"),
            ),
        ]);
        assert!(
            error
                .unwrap_err()
                .to_string()
                .contains("global.json is UTF-16")
        );
        let start = wide("{\"scripts\": {\"start\": \"node a.js\"}}");
        let (_, error) = generated(&[("package.json", &start), ("a.js", b"")]);
        assert!(
            error
                .unwrap_err()
                .to_string()
                .contains("package.json is UTF-16")
        );
        // pip reads it, and XML says how it is encoded.
        let (_, dockerfile) = generated(&[
            ("requirements.txt", &wide("flask\n")),
            ("app.py", b"from flask import Flask\napp = Flask('x')\n"),
        ]);
        dockerfile.unwrap();
        // What no tool in the image reads.
        let (report, dockerfile) = generated(&[
            ("package.json", b"{\"scripts\": {\"start\": \"node a.js\"}}"),
            ("a.js", b""),
            (".nvmrc", &wide("20\n")),
            (".tool-versions", &wide("nodejs 20\n")),
        ]);
        assert!(report.contains("asks for version 20"), "{report}");
        dockerfile.unwrap();
    }
}
