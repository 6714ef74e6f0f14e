//! The version of Java that a project asks for.

use super::maven::elements;
use crate::repository::folder::Folder;
use crate::repository::version::{managed, number};

/// As a `pom.xml` says.
pub(crate) fn maven_version(text: &str) -> Option<String> {
    let names = [
        "maven.compiler.release",
        "java.version",
        "maven.compiler.target",
        "maven.compiler.source",
        "release",
        "jdk.version",
        "target",
        "jvmTarget",
    ];
    names
        .iter()
        .find_map(|name| java_number(elements(text, name).next()?))
}

/// As a build file of Gradle says.
pub(crate) fn gradle_version(text: &str) -> Option<String> {
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

/// As a file beside the build says.
pub(crate) fn told_version(folder: &Folder<'_>) -> Option<(&'static str, String)> {
    let first = |file| folder.text(file).and_then(|text| java_number(&text));
    let own = [".java-version", ".jdk-version"];
    if let Some(said) = own.into_iter().find_map(|file| Some((file, first(file)?))) {
        return Some(said);
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
    let (file, version) = managed(folder, &["java"])?;
    Some((file, java_number(&version)?))
}

/// Whether a build file of Gradle insists on one JDK, and does not only name the least one.
pub(crate) fn has_toolchain(text: &str) -> bool {
    ["JavaLanguageVersion.of(", "jvmToolchain("]
        .iter()
        .any(|mark| text.contains(mark))
}

#[cfg(test)]
mod tests {
    use super::*;

    // One line per file.
    #[rustfmt::skip]
    const FILES: &[(&str, &str, &str)] = &[
        ("pom.xml", "<java.version> 17 </java.version>", "17"),
        ("pom.xml", "<maven.compiler.release>21</maven.compiler.release><java.version>8</java.version>", "21"),
        ("pom.xml", "<maven.compiler.source>1.8</maven.compiler.source>", "8"),
        ("build.gradle", "java { toolchain { languageVersion = JavaLanguageVersion.of(21) } }", "21"),
        ("build.gradle", "sourceCompatibility = JavaVersion.VERSION_1_8", "8"),
        ("build.gradle.kts", "kotlin { jvmToolchain(17) }", "17"),
    ];

    #[test]
    fn versions_of_build_files() {
        for &(file, text, expected) in FILES {
            let found = match file {
                "pom.xml" => maven_version(text),
                _ => gradle_version(text),
            };
            assert_eq!(found.as_deref(), Some(expected), "{text}");
        }
    }
}
