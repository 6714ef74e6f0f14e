//! Gradle: the projects of a build, and what each makes.

use super::project::{Kind, Module, Project, main_class, without_comments};
use crate::repository::folder::Folder;

pub(crate) const BUILDS: &[&str] = &["build.gradle.kts", "build.gradle"];
pub(crate) const SETTINGS: &[&str] = &["settings.gradle.kts", "settings.gradle"];

/// Reads the build whose root is `folder`.
pub(crate) fn read(folder: &Folder<'_>) -> Project {
    let settings = folder.first(SETTINGS).and_then(|file| folder.text(file));
    let settings = without_comments(&settings.unwrap_or_default());
    let catalog = folder.toml("gradle/libs.versions.toml").unwrap_or_default();
    let mut project = Project {
        modules: Vec::new(),
        scattered: settings.contains("projectDir"),
        asked: None,
    };
    let mut dirs = vec![String::new()];
    dirs.extend(included(&settings));
    let several = dirs.len() > 1;
    let mut shared = Vec::new();
    for dir in dirs {
        let inside = folder.sub(&dir);
        let Some(file) = inside.first(BUILDS) else {
            project.scattered |= !dir.is_empty();
            continue;
        };
        let text = without_comments(&inside.text(file).unwrap_or_default());
        let name = match dir.rsplit('/').next() {
            Some(name) if !name.is_empty() => name.to_owned(),
            _ => quoted(&settings, "rootProject.name").unwrap_or_else(|| "app".to_owned()),
        };
        let (own, given) = split_shared(&text);
        let mut ids = plugins(&own, &catalog);
        if dir.is_empty() {
            shared = plugins(&given, &catalog);
        } else if shared.iter().any(|id| id == BOOT) && main_class(&inside).is_some() {
            // The root gives the plugin to all projects: those with a `main` are apps.
            ids.push(BOOT.to_owned());
        }
        let only_root = dir.is_empty() && several && !inside.has_dir("src");
        let kind = if only_root {
            Kind::Library
        } else {
            kind(&own, &ids, &name)
        };
        let file = if dir.is_empty() {
            file.to_owned()
        } else {
            format!("{dir}/{file}")
        };
        project.add(Module {
            dir,
            file,
            text,
            kind,
        });
    }
    project
}

const BOOT: &str = "org.springframework.boot";

/// A build file without what it sets for other projects, and that: the blocks `subprojects` and `allprojects`.
fn split_shared(text: &str) -> (String, String) {
    let (mut own, mut given) = (text.to_owned(), String::new());
    for word in ["subprojects {", "allprojects {"] {
        let Some(start) = own.find(word) else {
            continue;
        };
        let mut depth = 0_usize;
        let end = own[start..].char_indices().find_map(|(at, ch)| {
            match ch {
                '{' => depth += 1,
                '}' => depth = depth.saturating_sub(1),
                _ => return None,
            }
            (depth == 0).then_some(start + at + 1)
        });
        let end = end.unwrap_or(own.len());
        given.push_str(&own[start..end]);
        given.push('\n');
        own.replace_range(start..end, "");
    }
    (own, given)
}

fn kind(text: &str, plugins: &[String], name: &str) -> Kind {
    let has = |id: &str| plugins.iter().any(|plugin| plugin == id);
    let version = text
        .lines()
        .find_map(|line| quoted(line.trim().strip_prefix("version")?, ""));
    let archive = |middle: &str, end: &str| {
        let name = quoted(text, "archiveBaseName").unwrap_or_else(|| name.to_owned());
        let version = version
            .as_deref()
            .map(|version| format!("-{version}"))
            .unwrap_or_default();
        quoted(text, "archiveFileName").unwrap_or_else(|| format!("{name}{version}{middle}.{end}"))
    };
    if has("io.quarkus") {
        return Kind::Quarkus;
    }
    if has(BOOT) {
        return Kind::Jar(archive("", if has("war") { "war" } else { "jar" }));
    }
    // Plugins of one's own are named by what they do: `buildlogic.java-application-conventions`.
    let own = plugins
        .iter()
        .any(|plugin| plugin.ends_with("application-conventions"));
    if own || has("application") || has("io.ktor.plugin") || has("io.micronaut.application") {
        let script = quoted(text, "applicationName").unwrap_or_else(|| name.to_owned());
        return Kind::Script(script);
    }
    if has("com.github.johnrengelman.shadow") || has("com.gradleup.shadow") {
        return Kind::Jar(archive("-all", "jar"));
    }
    if has("war") {
        return Kind::War(archive("", "war"));
    }
    match text.contains("Main-Class") {
        true => Kind::Jar(archive("", "jar")),
        false => Kind::Library,
    }
}

/// The folders of the projects that the settings include: `include("api", "libs:core")`.
fn included(settings: &str) -> Vec<String> {
    let mut dirs = Vec::new();
    for statement in settings.split("include").skip(1) {
        // `includeBuild` is another build.
        let Some(list) = statement.strip_prefix(['(', ' ', '\t']) else {
            continue;
        };
        let end = match statement.starts_with('(') {
            true => list.find(')'),
            // Without brackets the list goes on behind a comma.
            false => list
                .match_indices('\n')
                .map(|(at, _)| at)
                .find(|at| !list[..*at].trim_end().ends_with(',')),
        };
        let list = &list[..end.unwrap_or(list.len())];
        let names = list.split(['"', '\'']).skip(1).step_by(2);
        dirs.extend(names.map(|name| name.trim_start_matches(':').replace(':', "/")));
    }
    dirs.retain(|dir| !dir.is_empty() && !dir.contains("..") && !dir.contains('$'));
    dirs
}

/// The ids of the plugins that a build file applies.
fn plugins(text: &str, catalog: &toml::Table) -> Vec<String> {
    let mut ids = Vec::new();
    let lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.contains("apply false") && !line.contains("apply(false)"));
    for line in lines {
        if let Some(alias) = line.split_once("alias(libs.plugins.").map(|(_, rest)| rest) {
            let key = alias.split(')').next().unwrap_or_default();
            ids.extend(of_catalog(catalog, key));
        } else if line.starts_with("id") || line.starts_with("apply") {
            ids.extend(line.split(['"', '\'']).nth(1).map(str::to_owned));
        } else if matches!(line, "application" | "war" | "`war`") {
            ids.push(line.trim_matches('`').to_owned());
        }
        // Several on one line: `plugins { application; id("x") }`.
        if line.starts_with("plugins {") && line.ends_with('}') {
            let inside = &line["plugins {".len()..line.len() - 1];
            ids.extend(
                inside
                    .split(['"', '\''])
                    .skip(1)
                    .step_by(2)
                    .map(str::to_owned),
            );
            ids.extend(
                inside
                    .split([' ', ';'])
                    .filter(|word| matches!(*word, "application" | "war"))
                    .map(str::to_owned),
            );
        }
    }
    ids
}

/// The id behind a name of the catalog: `spring.boot` is its key `spring-boot`, or `spring_boot`.
fn of_catalog(catalog: &toml::Table, name: &str) -> Option<String> {
    let plugins = catalog.get("plugins")?.as_table()?;
    let plain = |key: &str| key.replace(['-', '_'], ".");
    let (_, plugin) = plugins.iter().find(|(key, _)| plain(key) == plain(name))?;
    let id = plugin
        .as_str()
        .map(|text| text.split(':').next().unwrap_or_default());
    id.or_else(|| plugin.get("id")?.as_str()).map(str::to_owned)
}

/// The first text in quotes behind a word, on its line.
pub(crate) fn quoted(text: &str, word: &str) -> Option<String> {
    let (_, rest) = text.split_once(word)?;
    let line = rest.lines().next()?;
    let value = line.split(['"', '\'']).nth(1)?;
    (!value.contains('$')).then(|| value.to_owned())
}

/// The newest Java that the wrapper's Gradle runs on, of those with long support.
pub(crate) fn newest_java(folder: &Folder<'_>) -> Option<(String, String)> {
    let text = folder.text("gradle/wrapper/gradle-wrapper.properties")?;
    let version = text.split_once("gradle-")?.1;
    let end = version.find(['-', 'z'])?;
    let version = version[..end].to_owned();
    let mut parts = version
        .split('.')
        .map(|part| part.parse::<u32>().unwrap_or(0));
    let (major, minor) = (parts.next()?, parts.next().unwrap_or(0));
    let java = match (major, minor) {
        (0..5, _) => "8",
        (5 | 6, _) | (7, 0..3) => "11",
        (7, _) | (8, 0..5) => "17",
        _ => "21",
    };
    Some((version, java.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipeops_core::source::MemTree;

    fn kinds(files: &[(&str, &str)]) -> Vec<Kind> {
        let tree: MemTree = files.iter().copied().collect();
        let modules = read(&Folder::open(&tree, "")).modules;
        modules.into_iter().map(|module| module.kind).collect()
    }

    fn jar(name: &str) -> Kind {
        Kind::Jar(name.to_owned())
    }

    // One line per file.
    #[rustfmt::skip]
    #[test]
    fn what_the_root_gives_to_all_is_theirs() {
        let found = kinds(&[
            ("settings.gradle", "include 'api', 'core'"),
            ("build.gradle", "subprojects {\n  apply plugin: 'java'\n  apply plugin: 'org.springframework.boot'\n}\n"),
            ("api/build.gradle", ""),
            ("api/src/main/java/a/A.java", "package a;\n@SpringBootApplication\nclass A {}"),
            ("core/build.gradle", ""),
        ]);
        assert_eq!(found, [Kind::Library, jar("api.jar"), Kind::Library]);
    }

    // One line per file.
    #[rustfmt::skip]
    #[test]
    fn projects_make_what_their_plugins_say() {
        let found = kinds(&[
            ("settings.gradle.kts", "rootProject.name = \"shop\"\nincludeBuild(\"logic\")\ninclude(\n  \":api\",\n  \"libs:core\",\n)\n"),
            ("build.gradle.kts", "plugins {\n  id(\"org.springframework.boot\") version \"3\" apply false\n}"),
            ("api/build.gradle.kts", "plugins {\n  alias(libs.plugins.spring.boot)\n}\nversion = \"1.2\""),
            ("libs/core/build.gradle.kts", "plugins { `java-library` }"),
            ("gradle/libs.versions.toml", "[plugins]\nspring-boot = { id = \"org.springframework.boot\", version = \"3\" }"),
        ]);
        assert_eq!(found, [Kind::Library, jar("api-1.2.jar"), Kind::Library]);
        let script = || Kind::Script("app".to_owned());
        for (text, expected) in [
            ("plugins { id 'application' }", script()),
            ("apply plugin: 'war'", Kind::War("app.war".to_owned())),
            ("plugins {\n    application\n    id(\"com.gradleup.shadow\")\n}", script()),
            ("jar { manifest { attributes 'Main-Class': 'a.B' } }", jar("app.jar")),
            ("plugins { id 'java' }", Kind::Library),
        ] {
            assert_eq!(kinds(&[("build.gradle", text)]), [expected], "{text}");
        }
    }
}
