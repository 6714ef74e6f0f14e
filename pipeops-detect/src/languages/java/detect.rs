//! Java, and what else Maven and Gradle build.

use super::gradle::{self, BUILDS, SETTINGS};
use super::maven;
use super::project::{Kind, Module, Project};
use super::version::{gradle_version, has_toolchain, maven_version, told_version};
use crate::Language;
use crate::findings::{Findings, Role, weight};
use crate::plan::Command;
use crate::repository::folder::Folder;
use crate::repository::port::DEFAULT_PORT;
use crate::repository::version::compare;

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

const POMS: &[&str] = &[
    "pom.xml",
    "pom.yaml",
    "pom.yml",
    "pom.json",
    "pom.groovy",
    "pom.kts",
];

/// How many modules are named, where nothing says which one is the app.
const MODULES: usize = 20;

/// Looks for Maven and Gradle.
pub(crate) fn detect(folder: &Folder<'_>) -> Findings {
    let mut found = Findings::none(Language::Java);
    let Some((manager, file, project)) = project(folder) else {
        return found;
    };
    let tool = match manager {
        "maven" => by_maven(&mut found, folder, file),
        _ => by_gradle(&mut found, folder, file),
    };
    let app = project.app();
    let text = texts(folder, &project);
    describe(&mut found, folder, file, app, &text);
    version(&mut found, folder, manager, file, app, &text);
    sources(&mut found, folder, app);
    start(&mut found, folder, manager, tool, &project);
    found
}

/// The package manager, the file that says so, and the modules.
pub(crate) fn project(folder: &Folder<'_>) -> Option<(&'static str, &'static str, Project)> {
    let asked = folder.member().map(str::to_owned);
    if let Some(file) = folder.first(POMS) {
        return Some(("maven", file, maven::read(folder, file).asked(asked)));
    }
    let file = folder.first(BUILDS).or_else(|| folder.first(SETTINGS))?;
    Some(("gradle", file, gradle::read(folder).asked(asked)))
}

/// The file by which the folder is the root of a build with this module.
pub(crate) fn holds(root: &Folder<'_>, member: &str) -> Option<&'static str> {
    let (_, file, project) = project(root)?;
    let is_one = project.modules.iter().any(|module| module.dir == member);
    is_one.then_some(file)
}

fn by_maven(found: &mut Findings, folder: &Folder<'_>, file: &str) -> &'static str {
    found.add(weight::MANIFEST, folder, file, "a Maven project");
    found.package_manager = Some("maven".to_owned());
    let wrapper = found.add_file(
        weight::LOCKFILE,
        folder,
        &["mvnw"],
        "includes the Maven wrapper",
    );
    let maven = if wrapper.is_some() { "./mvnw" } else { "mvn" };
    found.plan.install = Some(Command::program(maven).args("--batch-mode dependency:go-offline"));
    maven
}

fn by_gradle(found: &mut Findings, folder: &Folder<'_>, file: &str) -> &'static str {
    found.add(weight::MANIFEST, folder, file, "a Gradle project");
    found.package_manager = Some("gradle".to_owned());
    let wrapper = found.add_file(
        weight::LOCKFILE,
        folder,
        &["gradlew"],
        "includes the Gradle wrapper",
    );
    let gradle = if wrapper.is_some() {
        "./gradlew"
    } else {
        "gradle"
    };
    found.plan.install = Some(Command::program(gradle).args("--no-daemon dependencies"));
    gradle
}

/// All build files' texts, the app's first, and the catalog of versions.
fn texts(folder: &Folder<'_>, project: &Project) -> String {
    let mut text = project
        .app()
        .map(|app| app.text.clone())
        .unwrap_or_default();
    for module in &project.modules {
        text.push('\n');
        text.push_str(&module.text);
    }
    text.push_str(&folder.text("gradle/libs.versions.toml").unwrap_or_default());
    text
}

fn describe(
    found: &mut Findings,
    folder: &Folder<'_>,
    file: &str,
    app: Option<&Module>,
    all: &str,
) {
    // The app's own file decides; what modules share is asked only where it says nothing.
    let own = app.is_some_and(|app| {
        found.framework(folder, &app.file, FRAMEWORKS, |mark| {
            app.text.contains(mark)
        })
    });
    if !own {
        found.framework(folder, file, FRAMEWORKS, |mark| all.contains(mark));
    }
}

fn version(
    found: &mut Findings,
    folder: &Folder<'_>,
    manager: &str,
    file: &str,
    app: Option<&Module>,
    all: &str,
) {
    let read = |text: &str| {
        if manager == "maven" {
            maven_version(text)
        } else {
            gradle_version(text)
        }
    };
    let own = app.and_then(|app| Some((app.file.as_str(), read(&app.text)?)));
    let built_for = own.or_else(|| Some((file, read(all)?)));
    let told = told_version(folder);
    // Each JDK builds for older releases as well: the one that is told is used, if it can.
    let can = |told: &(&str, String)| {
        let least = built_for.as_ref().map_or("", |(_, version)| version);
        !compare(&told.1, least).is_lt() && !has_toolchain(all)
    };
    found.version(
        folder,
        told.clone().filter(can).or(built_for.clone()).or(told),
    );
    if found.version.is_none()
        && let Some((gradle, java)) = gradle::newest_java(folder)
    {
        let file = "gradle/wrapper/gradle-wrapper.properties";
        let says = format!("Gradle {gradle} runs on Java {java}, but on no newer LTS release");
        found.add(weight::NONE, folder, file, says);
        found.version = Some(java);
    }
}

fn sources(found: &mut Findings, folder: &Folder<'_>, app: Option<&Module>) {
    let dir = app
        .map(|app| app.dir.as_str())
        .filter(|dir| !dir.is_empty());
    for (name, says) in [
        ("java", "Java"),
        ("kotlin", "Kotlin"),
        ("scala", "Scala"),
        ("groovy", "Groovy"),
    ] {
        let own = format!("src/main/{name}");
        let of_app = dir.map(|dir| format!("{dir}/{own}"));
        let places = of_app.into_iter().chain([own]);
        if let Some(place) = places
            .into_iter()
            .find(|place| !folder.sub(place).is_empty())
        {
            found.add(weight::LOCKFILE, folder, &place, format!("{says} sources"));
        }
    }
}

/// How the app is built and started: by what its module makes.
fn start(found: &mut Findings, folder: &Folder<'_>, manager: &str, tool: &str, project: &Project) {
    let apps = project.apps().filter(|module| !module.dir.is_empty());
    found.members = apps.map(|module| module.dir.clone()).collect();
    let maven = manager == "maven";
    let Some(app) = project.app() else {
        let arguments = match maven {
            true => "--batch-mode package -DskipTests",
            false => "--no-daemon build -x test",
        };
        found.plan.build = Some(Command::program(tool).args(arguments).into());
        let names: Vec<&str> = found.members.iter().map(String::as_str).collect();
        let says = match names.as_slice() {
            [] => "no plugin or main class produces a runnable app".to_owned(),
            names => format!(
                "several modules are runnable, and nothing says which one to deploy: {}",
                names.join(", ")
            ),
        };
        // A framework that serves is a reason of its own: only the way to start it is not seen.
        if found.members.is_empty() && found.framework.is_none() {
            found.role = Role::Library;
        }
        let file = project
            .modules
            .first()
            .map_or("", |module| module.file.as_str())
            .to_owned();
        found.stops(weight::NONE, folder, &file, says);
        for module in project.apps().take(MODULES) {
            if let Some(start) = started(module, maven) {
                let says = format!("started by `{}`", start.start_text());
                found.add(weight::NONE, folder, &module.file, says);
            }
        }
        return;
    };
    let build = match maven {
        true => maven_build(tool, app),
        false => gradle_build(tool, app),
    };
    found.plan.build = Some(build.into());
    found.plan.start = started(app, maven);
    let says = match &app.kind {
        Kind::Jar(name) => format!("builds {name}"),
        Kind::Quarkus => "builds the Quarkus folder".to_owned(),
        Kind::Script(name) => format!("builds the script `{name}`"),
        Kind::Classes(main) => format!("has the main class {main}"),
        Kind::War(name) => format!("builds {name} for a servlet container (Tomcat)"),
        Kind::Library => return,
    };
    found.add(weight::NONE, folder, &app.file, says);
    if found.framework.as_deref() == Some("dropwizard") {
        let configs = ["config.yml", "config.yaml", "conf/config.yml"];
        if let (Some(file), Some(start)) = (folder.first(&configs), found.plan.start.as_mut()) {
            start.arguments.extend(["server", file].map(str::to_owned));
        }
    }
    found.port = Some(DEFAULT_PORT);
    set_port(found, folder, &app.prefix());
}

/// How a module is started, from the root of the build.
fn started(app: &Module, maven: bool) -> Option<Command> {
    let dir = app.prefix();
    let output = if maven { "target" } else { "build" };
    let archives = if maven { "target" } else { "build/libs" };
    Some(match &app.kind {
        Kind::Jar(name) => jar(format!("{dir}{archives}/{name}")),
        Kind::Quarkus => jar(format!("{dir}{output}/quarkus-app/quarkus-run.jar")),
        Kind::Script(name) => Command::program(format!("{dir}build/install/{name}/bin/{name}")),
        Kind::Classes(main) => Command::new("java -cp")
            .arg(format!("{dir}target/classes:{dir}target/dependency/*"))
            .arg(main),
        Kind::War(_) => Command::new("catalina.sh run"),
        Kind::Library => return None,
    })
}

fn maven_build(tool: &str, app: &Module) -> Command {
    let copy = match app.kind {
        Kind::Classes(_) => "dependency:copy-dependencies -DincludeScope=runtime",
        _ => "",
    };
    let build = Command::program(tool)
        .args("--batch-mode package")
        .args(copy);
    let build = build.arg("-DskipTests");
    match app.dir.as_str() {
        "" => build,
        dir => build.arg("-pl").arg(dir).arg("-am"),
    }
}

fn gradle_build(tool: &str, app: &Module) -> Command {
    let project = if app.dir.is_empty() {
        String::new()
    } else {
        format!(":{}:", app.dir.replace('/', ":"))
    };
    let task = match &app.kind {
        Kind::Jar(name) if app.text.contains("Main-Class") && !name.ends_with("-all.jar") => "jar",
        Kind::Jar(name) if name.ends_with("-all.jar") => "shadowJar",
        Kind::Jar(name) if name.ends_with(".war") => "bootWar",
        // Before its version 2, Spring Boot's plugin rewrote the usual archive.
        Kind::Jar(_) if old_spring(&app.text) => "assemble",
        Kind::Jar(_) => "bootJar",
        Kind::Quarkus => "quarkusBuild",
        Kind::Script(_) => "installDist",
        Kind::War(_) => "war",
        Kind::Classes(_) | Kind::Library => "build -x test",
    };
    let build = Command::program(tool).arg("--no-daemon");
    match task.split_once(' ') {
        Some((task, options)) => build.arg(format!("{project}{task}")).args(options),
        None => build.arg(format!("{project}{task}")),
    }
}

fn jar(path: String) -> Command {
    Command::new("java -jar").target(path)
}

fn old_spring(text: &str) -> bool {
    [
        "springBootVersion = '1.",
        "spring-boot-gradle-plugin:1.",
        "bootRepackage",
    ]
    .iter()
    .any(|mark| text.contains(mark))
}

/// Settings that name the port, with the line's beginning: `server.port=9090`.
const PORTS: &[&str] = &["server.port", "quarkus.http.port", "micronaut.server.port"];

/// The port of the framework's settings.
fn set_port(found: &mut Findings, folder: &Folder<'_>, dir: &str) {
    let file = format!("{dir}src/main/resources/application.properties");
    let text = folder.text(&file).unwrap_or_default();
    for line in text.lines() {
        let Some((key, value)) = line.split_once('=') else {
            continue;
        };
        if !PORTS.contains(&key.trim()) {
            continue;
        }
        if value.contains("${PORT") {
            found.listens_on_variable(folder, &file);
        } else if let Ok(port) = value.trim().parse()
            && port != 0
        {
            found.listens_on(folder, &file, port);
        }
        return;
    }
    for end in ["yml", "yaml"] {
        let file = format!("{dir}src/main/resources/application.{end}");
        let text = folder.text(&file).unwrap_or_default();
        let Some((_, server)) = text.split_once("server:\n") else {
            continue;
        };
        let mut lines = server
            .lines()
            .take_while(|line| line.starts_with(' ') || line.is_empty());
        let value = lines.find_map(|line| line.trim().strip_prefix("port:"));
        if let Some(port) = value
            .and_then(|value| value.trim().parse().ok())
            .filter(|port| *port != 0)
        {
            found.listens_on(folder, &file, port);
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::detect;
    use crate::languages::layouts::{Layout, check};

    // One line per layout.
    #[rustfmt::skip]
    const LAYOUTS: &[Layout] = &[
        // What is commented out is not used.
        (&[("pom.xml", "<!-- <artifactId>spring-boot-starter</artifactId> --><artifactId>x</artifactId>")], &["framework"]),
        (&[("build.gradle", "// id 'io.quarkus'\n")], &["framework"]),
        // The JDK that is told builds for older releases, but not for newer ones, and not beside a toolchain.
        (&[("pom.xml", "<java.version>17</java.version>"), (".tool-versions", "java temurin-21.0.2+13.0.LTS")], &["version 21"]),
        (&[("pom.xml", "<java.version>21</java.version>"), (".java-version", "17")], &["version 21"]),
        (&[("build.gradle", "sourceCompatibility = 11"), ("mise.toml", "[tools]\njava = \"corretto-21\"")], &["version 21"]),
        (&[("build.gradle", "JavaLanguageVersion.of(17)"), (".sdkmanrc", "java=21.0.1-tem")], &["version 17"]),
        // Wrappers are used where they are.
        (&[("pom.xml", "<artifactId>spring-boot-starter-web</artifactId>"), ("mvnw", "")], &["framework spring-boot", "build ./mvnw --batch-mode package -DskipTests"]),
        (&[("build.gradle.kts", "")], &["build gradle --no-daemon build -x test"]),
    ];

    #[test]
    fn layouts() {
        check(detect, LAYOUTS);
    }
}
