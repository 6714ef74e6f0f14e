//! Java, and what else Maven and Gradle build.

use super::{DEFAULT_PORT, framework};
use crate::detect::Language;
use crate::detect::findings::{Findings, Role, weight};
use crate::detect::folder::Folder;
use crate::detect::version::{number, tool};

/// Texts in a build file that name a framework. Plugins and groups are whole names: a test for `boot` would find too much.
const FRAMEWORKS: &[(&str, &str)] = &[
    ("spring-boot", "spring-boot"),
    ("org.springframework.boot", "spring-boot"),
    ("io.quarkus", "quarkus"),
    ("io.micronaut", "micronaut"),
    ("io.helidon", "helidon"),
    ("io.dropwizard", "dropwizard"),
    ("io.javalin", "javalin"),
    ("io.vertx", "vertx"),
    ("io.ktor", "ktor"),
    ("com.sparkjava", "spark"),
    ("org.http4k", "http4k"),
];

const GRADLE: &[&str] = &["build.gradle.kts", "build.gradle"];
const SETTINGS: &[&str] = &["settings.gradle.kts", "settings.gradle"];
const POMS: &[&str] = &[
    "pom.xml",
    "pom.yaml",
    "pom.yml",
    "pom.json",
    "pom.groovy",
    "pom.kts",
];

/// Looks for Maven and Gradle.
pub(super) fn look(folder: &Folder<'_>) -> Findings {
    let mut found = Findings::none(Language::Java);
    let maven = folder.first(POMS);
    let gradle = folder.first(GRADLE).or_else(|| folder.first(SETTINGS));
    match (maven, gradle) {
        (Some(file), _) => by_maven(&mut found, folder, file),
        (None, Some(file)) => by_gradle(&mut found, folder, file),
        (None, None) => return found,
    }
    for (dir, says) in [
        ("src/main/java", "Java"),
        ("src/main/kotlin", "Kotlin"),
        ("src/main/scala", "Scala"),
        ("src/main/groovy", "Groovy"),
    ] {
        if !folder.sub(dir).is_empty() {
            found.add(weight::LOCKFILE, folder, dir, format!("{says} sources"));
        }
    }
    if found.version.is_none() {
        found.version(folder, told_version(folder));
    }
    found
}

fn by_maven(found: &mut Findings, folder: &Folder<'_>, file: &str) {
    let text = without_comments(&folder.text(file).unwrap_or_default());
    found.add(weight::MANIFEST, folder, file, "a Maven project");
    found.package_manager = Some("maven".to_owned());
    let wrapper = found.add_file(weight::LOCKFILE, folder, &["mvnw"], "brings its own Maven");
    let maven = if wrapper.is_some() { "./mvnw" } else { "mvn" };
    found.install = Some(format!("{maven} --batch-mode dependency:go-offline"));
    found.build = Some(format!("{maven} --batch-mode package -DskipTests"));
    describe(found, folder, file, &text);
    found.version(folder, maven_version(&text).map(|version| (file, version)));
    if text.contains("<packaging>war</packaging>") && found.framework.is_none() {
        found.role = Role::Library;
    }
    // The modules are built with their parent; what runs is one of them.
    let modules: Vec<String> = elements(&text, "module").map(str::to_owned).collect();
    found.members = modules
        .into_iter()
        .filter(|module| is_app(folder, module))
        .collect();
    start(found, "target");
}

fn by_gradle(found: &mut Findings, folder: &Folder<'_>, file: &str) {
    let text = without_comments(&folder.text(file).unwrap_or_default());
    found.add(weight::MANIFEST, folder, file, "a Gradle project");
    found.package_manager = Some("gradle".to_owned());
    let wrapper = found.add_file(
        weight::LOCKFILE,
        folder,
        &["gradlew"],
        "brings its own Gradle",
    );
    let gradle = if wrapper.is_some() {
        "./gradlew"
    } else {
        "gradle"
    };
    found.install = Some(format!("{gradle} --no-daemon dependencies"));
    let task = if text.contains("org.springframework.boot") {
        "bootJar"
    } else {
        "build -x test"
    };
    found.build = Some(format!("{gradle} --no-daemon {task}"));
    describe(found, folder, file, &text);
    found.version(folder, gradle_version(&text).map(|version| (file, version)));
    found.members = folder
        .own_dirs()
        .filter(|dir| {
            GRADLE
                .iter()
                .any(|file| folder.has(&format!("{dir}/{file}")))
        })
        .filter(|dir| is_app(folder, dir))
        .map(str::to_owned)
        .collect();
    start(found, "build/libs");
}

fn describe(found: &mut Findings, folder: &Folder<'_>, file: &str, text: &str) {
    if let Some((mark, name)) = framework(FRAMEWORKS, |mark| text.contains(mark)) {
        found.add(weight::FRAMEWORK, folder, file, format!("uses {mark}"));
        found.framework = Some(name);
    }
}

/// Whether a module has something to run.
fn is_app(folder: &Folder<'_>, module: &str) -> bool {
    let inside = folder.sub(module);
    let file = inside.first(POMS).or_else(|| inside.first(GRADLE));
    let text = file.and_then(|file| inside.text(file)).unwrap_or_default();
    let marks = [
        "spring-boot-maven-plugin",
        "org.springframework.boot",
        "io.quarkus",
        "<mainClass>",
        "mainClass",
        "application",
    ];
    marks.iter().any(|mark| text.contains(mark))
}

fn start(found: &mut Findings, output: &str) {
    let jar = match found.framework.as_deref() {
        Some("quarkus") => format!(
            "{}/quarkus-app/quarkus-run.jar",
            output.trim_end_matches("/libs")
        ),
        _ => format!("{output}/*.jar"),
    };
    found.start = Some(format!("java -jar {jar}"));
    found.port = Some(DEFAULT_PORT);
}

fn maven_version(text: &str) -> Option<String> {
    let names = [
        "maven.compiler.release",
        "java.version",
        "maven.compiler.target",
        "maven.compiler.source",
        "release",
        "jdk.version",
    ];
    names
        .iter()
        .find_map(|name| java_number(elements(text, name).next()?))
}

fn gradle_version(text: &str) -> Option<String> {
    let marks = [
        "JavaLanguageVersion.of(",
        "jvmToolchain(",
        "JavaVersion.VERSION_",
        "sourceCompatibility",
        "targetCompatibility",
    ];
    marks.iter().find_map(|mark| {
        let (_, rest) = text.split_once(mark)?;
        java_number(rest.lines().next()?)
    })
}

/// `1.8` and `VERSION_1_8` are 8.
fn java_number(text: &str) -> Option<String> {
    let number = number(&text.replace('_', "."))?;
    let number = number.strip_prefix("1.").unwrap_or(&number);
    Some(number.split('.').next()?.to_owned())
}

fn told_version(folder: &Folder<'_>) -> Option<(&'static str, String)> {
    let first = |file| folder.text(file).and_then(|text| java_number(&text));
    if let Some(version) = first(".java-version") {
        return Some((".java-version", version));
    }
    if let Some(text) = folder.text("system.properties")
        && let Some(line) = text
            .lines()
            .find(|line| line.starts_with("java.runtime.version"))
    {
        return Some(("system.properties", java_number(line)?));
    }
    let sdkman = folder.text(".sdkmanrc");
    if let Some(line) = sdkman
        .as_deref()
        .and_then(|text| text.lines().find(|line| line.starts_with("java=")))
    {
        return Some((".sdkmanrc", java_number(line)?));
    }
    let version = tool(&folder.text(".tool-versions")?, &["java"])?;
    Some((".tool-versions", java_number(&version)?))
}

/// The texts of `<name>…</name>`, trimmed. Enough XML for build files: what it finds is a hint, not a contract.
fn elements<'a>(text: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let mut rest = text;
    std::iter::from_fn(move || {
        let (_, behind) = rest.split_once(&open)?;
        let (inside, behind) = behind.split_once(&close)?;
        rest = behind;
        Some(inside.trim())
    })
}

/// Without `<!-- -->`, `/* */` and whole lines of `//`: what is commented out is not used.
fn without_comments(text: &str) -> String {
    let mut text = text.to_owned();
    for (open, close) in [("<!--", "-->"), ("/*", "*/")] {
        while let Some(start) = text.find(open) {
            let end = text[start..]
                .find(close)
                .map_or(text.len(), |end| start + end + close.len());
            text.replace_range(start..end, "");
        }
    }
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
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

    #[test]
    fn versions_of_build_files() {
        for (file, text, expected) in [
            ("pom.xml", "<java.version> 17 </java.version>", "17"),
            (
                "pom.xml",
                "<maven.compiler.release>21</maven.compiler.release><java.version>8</java.version>",
                "21",
            ),
            (
                "pom.xml",
                "<maven.compiler.source>1.8</maven.compiler.source>",
                "8",
            ),
            (
                "build.gradle",
                "java { toolchain { languageVersion = JavaLanguageVersion.of(21) } }",
                "21",
            ),
            (
                "build.gradle",
                "sourceCompatibility = JavaVersion.VERSION_1_8",
                "8",
            ),
            ("build.gradle.kts", "kotlin { jvmToolchain(17) }", "17"),
        ] {
            assert_eq!(
                found(&[(file, text)]).version.as_deref(),
                Some(expected),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_commented_out_is_not_used() {
        let pom = "<!-- <artifactId>spring-boot-starter</artifactId> --><artifactId>x</artifactId>";
        assert_eq!(found(&[("pom.xml", pom)]).framework, None);
        assert_eq!(
            found(&[("build.gradle", "// id 'io.quarkus'\n")]).framework,
            None
        );
    }

    #[test]
    fn wrappers_are_used_where_they_are() {
        let maven = found(&[
            (
                "pom.xml",
                "<artifactId>spring-boot-starter-web</artifactId>",
            ),
            ("mvnw", ""),
        ]);
        assert_eq!(maven.framework.as_deref(), Some("spring-boot"));
        assert_eq!(
            maven.build.as_deref(),
            Some("./mvnw --batch-mode package -DskipTests")
        );
        let gradle = found(&[("build.gradle.kts", "")]);
        assert_eq!(
            gradle.build.as_deref(),
            Some("gradle --no-daemon build -x test")
        );
    }
}
