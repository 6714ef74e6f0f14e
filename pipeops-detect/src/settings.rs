//! Files and settings that the app needs and the repository doesn't have: said, because nothing can stand in for them when
//! the app runs.

use crate::languages::nodejs::glob::matches;
use crate::languages::nodejs::package::Package;
use crate::languages::nodejs::stand_ins;
use crate::repository::folder::{Folder, is_beside};
use crate::{Evidence, Language};

/// How many names of variables a sentence lists.
const NAMES: usize = 8;

/// Parts of names of samples, with what stands around them.
const SAMPLES: &[&str] = &["sample", "example", "dist", "template", "tmpl", "default"];

/// What the app needs and the repository lacks.
pub(crate) fn missing(folder: &Folder<'_>, language: Language) -> Vec<Evidence> {
    let mut found = Vec::new();
    let mut say = |path: &str, says: String| {
        found.push(Evidence {
            path: folder.at(path),
            says,
        });
    };
    for (sample, file) in samples(folder) {
        let env = file
            .rsplit('/')
            .next()
            .is_some_and(|name| name.starts_with(".env"));
        match (env, file.as_str()) {
            // Of parts of the app: they may be built by other settings.
            (true, _) if sample.contains('/') => {}
            (true, _) => {
                let names = variables(&folder.text(&sample).unwrap_or_default());
                if !names.is_empty() {
                    say(&sample, format!("lists settings of the app, which images don't have: {}", listed(&names)));
                }
            }
            (false, "config/database.yml") => say(
                &sample,
                "only this sample of config/database.yml is in the repository, because Git ignores the file: set DATABASE_URL".to_owned(),
            ),
            (false, file) => say(
                &sample,
                format!("only this sample of {file} is in the repository, because Git ignores the file: the image doesn't have it"),
            ),
        }
    }
    match language {
        Language::Ruby
            if folder.has("config/credentials.yml.enc") && !folder.has("config/master.key") =>
        {
            say(
                "config/credentials.yml.enc",
                "encrypted with a key that isn't in the repository: set RAILS_MASTER_KEY"
                    .to_owned(),
            )
        }
        Language::Elixir => {
            let secret = "prod.secret.exs";
            let text = folder.text("config/prod.exs").unwrap_or_default();
            let imports = text.lines().any(|line| {
                line.trim_start().starts_with("import_config") && line.contains(secret)
            });
            if imports && !folder.has("config/prod.secret.exs") {
                say(
                    "config/prod.exs",
                    "imports prod.secret.exs, which isn't in the repository: the build stops. Move its settings to config/runtime.exs".to_owned(),
                );
            }
        }
        Language::Nodejs => {
            let package = Package::read(folder).unwrap_or_default();
            for setting in stand_ins::needed(folder, &package) {
                let name = &setting.name;
                say(
                    &setting.file,
                    match setting.value {
                        Some(_) if name == "SKIP_ENV_VALIDATION" => continue,
                        Some(_) => format!(
                            "the build asks for {name}: it gets a stand-in, and the running app needs the value"
                        ),
                        None => format!(
                            "the build asks for {name}, whose value becomes a part of the pages: commit it in .env.production"
                        ),
                    },
                );
            }
        }
        _ => {}
    }
    found
}

/// Samples of files that Git ignores and that aren't there, and the names of those files.
fn samples(folder: &Folder<'_>) -> Vec<(String, String)> {
    let ignored = Ignored::read(folder);
    let mut dirs = vec![String::new()];
    let own = folder.own_dirs().filter(|name| !is_beside(name));
    for name in own.take(50) {
        dirs.push(name.to_owned());
        let inside = folder.sub(name);
        let below = inside.own_dirs().filter(|name| !is_beside(name));
        dirs.extend(below.take(20).map(|below| format!("{name}/{below}")));
    }
    let mut found = Vec::new();
    for dir in dirs {
        let inside = folder.sub(&dir);
        let at = |name: &str| match dir.as_str() {
            "" => name.to_owned(),
            dir => format!("{dir}/{name}"),
        };
        for name in inside.ending("") {
            let Some(file) = file_of(name).filter(|file| !inside.has(file)) else {
                continue;
            };
            // Files of variables are never committed, whatever `.gitignore` says.
            if file.starts_with(".env") || ignored.has(&at(&file)) {
                found.push((at(name), at(&file)));
            }
        }
    }
    found.sort_by(|a, b| a.1.cmp(&b.1));
    found.dedup_by(|a, b| a.1 == b.1);
    found
}

/// The file that a sample is of: `database.yml` of `database.yml.sample`, `database.sample.yml` and `database_sample.yml`.
fn file_of(name: &str) -> Option<String> {
    if matches!(
        name,
        "env.example" | "env.sample" | "example.env" | "sample.env"
    ) {
        return Some(".env".to_owned());
    }
    for sample in SAMPLES {
        for before in ['.', '-', '_'] {
            let mark = format!("{before}{sample}");
            let Some((stem, end)) = name.rsplit_once(&mark) else {
                continue;
            };
            if !stem.is_empty()
                && (end.is_empty() || end.starts_with('.'))
                && !["", "."].contains(&stem)
            {
                let file = format!("{stem}{end}");
                return file
                    .trim_start_matches('.')
                    .contains('.')
                    .then_some(file.clone())
                    .or_else(|| {
                        // `.env.example` has no other end.
                        stem.starts_with('.').then_some(file)
                    });
            }
        }
    }
    None
}

/// The patterns of `.gitignore`.
struct Ignored {
    patterns: Vec<String>,
}

impl Ignored {
    fn read(folder: &Folder<'_>) -> Self {
        let text = folder.text(".gitignore").unwrap_or_default();
        let lines = text.lines().map(str::trim);
        let kept = lines.filter(|line| !line.is_empty() && !line.starts_with(['#', '!']));
        Self {
            patterns: kept.take(1000).map(str::to_owned).collect(),
        }
    }

    /// Whether a file is ignored, by its path or by its name.
    fn has(&self, path: &str) -> bool {
        let name = path.rsplit('/').next().unwrap_or(path);
        self.patterns.iter().any(|pattern| {
            let bare = pattern.trim_start_matches('/');
            let parts: Vec<&str> = bare.split('/').collect();
            match pattern.contains('/') {
                true => matches(&parts, path),
                false => matches(&parts, name),
            }
        })
    }
}

/// The variables that a file lists, without those that most images set.
fn variables(text: &str) -> Vec<String> {
    let names = text.lines().filter_map(|line| {
        let line = line.trim().trim_start_matches("export ");
        let (name, _) = line.split_once('=')?;
        let name = name.trim();
        let counts = crate::repository::shell::is_name(name)
            && !matches!(
                name,
                "PORT" | "NODE_ENV" | "HOST" | "RAILS_ENV" | "APP_ENV" | "DEBUG"
            );
        counts.then(|| name.to_owned())
    });
    names.collect()
}

fn listed(names: &[String]) -> String {
    let more = names.len().saturating_sub(NAMES);
    let listed = names[..names.len() - more].join(", ");
    match more {
        0 => listed,
        more => format!("{listed} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipeops_core::source::MemTree;

    #[test]
    fn samples_have_the_names_of_their_files() {
        for (sample, expected) in [
            ("database.yml.sample", Some("database.yml")),
            ("database.sample.yml", Some("database.yml")),
            ("configuration_example.py", Some("configuration.py")),
            ("config-dist.php", Some("config.php")),
            ("appsettings.template.json", Some("appsettings.json")),
            (".env.example", Some(".env")),
            ("env.sample", Some(".env")),
            ("local_settings.py.dist", Some("local_settings.py")),
            ("example.py", None),
            ("examples.py", None),
            ("README.md", None),
        ] {
            assert_eq!(file_of(sample).as_deref(), expected, "{sample}");
        }
    }

    #[test]
    fn what_git_ignores_is_named() {
        let says = |files: &[(&str, &str)], language| {
            let tree: MemTree = files.iter().copied().collect();
            let found = missing(&Folder::open(&tree, ""), language);
            found
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("\n")
        };
        for (files, language, expected) in [
            (
                &[
                    (".gitignore", "/config/database.yml\n"),
                    ("config/database.yml.sample", ""),
                ] as &[_],
                Language::Ruby,
                "config/database.yml.sample: only this sample of config/database.yml is in the repository, because Git ignores the file: set DATABASE_URL",
            ),
            (
                &[
                    (".gitignore", "/boxes/configuration.py"),
                    ("boxes/configuration_example.py", ""),
                ],
                Language::Python,
                "boxes/configuration_example.py: only this sample of boxes/configuration.py is in the repository, because Git ignores the file: the image doesn't have it",
            ),
            (
                &[
                    (".gitignore", "local_settings.py"),
                    ("shop/local_settings.py.dist", ""),
                ],
                Language::Python,
                "shop/local_settings.py.dist: only this sample of shop/local_settings.py is in the repository, because Git ignores the file: the image doesn't have it",
            ),
            (
                &[
                    (".gitignore", "config/*.json"),
                    ("config/app.json.sample", ""),
                ],
                Language::Php,
                "config/app.json.sample: only this sample of config/app.json is in the repository, because Git ignores the file: the image doesn't have it",
            ),
            (
                &[
                    (".gitignore", "/config/database.yml\n"),
                    ("config/database.yml.sample", ""),
                    ("config/database.yml", ""),
                ],
                Language::Ruby,
                "",
            ),
            (&[("config/database.yml.sample", "")], Language::Ruby, ""),
            (
                &[(
                    ".env.example",
                    "# x\nDATABASE_URL=\nexport API_KEY=x\nPORT=1\n",
                )],
                Language::Go,
                ".env.example: lists settings of the app, which images don't have: DATABASE_URL, API_KEY",
            ),
            (
                &[("config/credentials.yml.enc", "")],
                Language::Ruby,
                "config/credentials.yml.enc: encrypted with a key that isn't in the repository: set RAILS_MASTER_KEY",
            ),
            (
                &[("config/prod.exs", "import_config \"prod.secret.exs\"")],
                Language::Elixir,
                "config/prod.exs: imports prod.secret.exs, which isn't in the repository: the build stops. Move its settings to config/runtime.exs",
            ),
            (
                &[
                    (
                        "package.json",
                        r#"{"scripts": {"build": "next build"}, "dependencies": {"next": "15"}}"#,
                    ),
                    ("env.ts", "createEnv({\nNEXT_PUBLIC_A: z.string(),\n})"),
                ],
                Language::Nodejs,
                "env.ts: the build asks for NEXT_PUBLIC_A, whose value becomes a part of the pages: commit it in .env.production",
            ),
        ] {
            assert_eq!(says(files, language), expected);
        }
    }
}
