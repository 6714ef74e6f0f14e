//! Scala, built by sbt or Mill.

use super::super::java::version::told_version;
use crate::Language;
use crate::findings::{Findings, Role, weight};
use crate::plan::Command;
use crate::repository::folder::Folder;
use crate::repository::port::DEFAULT_PORT;
use crate::servers;

/// Names of libraries and sbt plugins, as they stand in quotes.
const FRAMEWORKS: &[(&str, &str)] = &[
    ("\"sbt-plugin\"", "play"),
    ("\"play\"", "play"),
    ("\"pekko-http\"", "pekko-http"),
    ("\"akka-http\"", "akka-http"),
    ("\"zio-http\"", "zio-http"),
    ("\"zhttp\"", "zio-http"),
    ("\"http4s-ember-server\"", "http4s"),
    ("\"http4s-blaze-server\"", "http4s"),
    ("\"http4s-dsl\"", "http4s"),
    ("\"scalatra\"", "scalatra"),
    ("\"finatra-http-server\"", "finatra"),
    ("\"finch-core\"", "finch"),
    ("\"cask\"", "cask"),
    ("\"tapir-netty-server\"", "tapir"),
    ("com.lihaoyi::cask", "cask"),
    ("dev.zio::zio-http", "zio-http"),
    ("org.http4s::http4s", "http4s"),
];

const MILL: &[&str] = &["build.mill", "build.mill.scala", "build.sc"];

/// Looks for a build of sbt or Mill.
pub(crate) fn detect(folder: &Folder<'_>) -> Findings {
    let mut found = Findings::none(Language::Scala);
    let properties = folder.text("project/build.properties").unwrap_or_default();
    if folder.has("build.sbt") || properties.contains("sbt.version") {
        by_sbt(&mut found, folder);
    } else if let Some(file) = folder.first(MILL) {
        by_mill(&mut found, folder, file);
    } else {
        return found;
    }
    for (dir, says) in [
        ("src/main/scala", "Scala sources"),
        ("app/controllers", "Play controllers"),
    ] {
        if !folder.sub(dir).is_empty() {
            found.add(weight::LOCKFILE, folder, dir, says);
        }
    }
    found.version(folder, told_version(folder));
    found
}

fn by_sbt(found: &mut Findings, folder: &Folder<'_>) {
    let text = code(&folder.text("build.sbt").unwrap_or_default());
    let file = if folder.has("build.sbt") {
        "build.sbt"
    } else {
        "project/build.properties"
    };
    found.add(weight::MANIFEST, folder, file, "an sbt build");
    found.add_file(
        weight::LOCKFILE,
        folder,
        &["project/build.properties"],
        "the sbt version",
    );
    found.package_manager = Some("sbt".to_owned());
    found.plan.install = Some(Command::new("sbt update"));
    let project = folder.sub("project");
    let mut said = text.clone();
    let mut plugins = String::new();
    for name in project.ending(".sbt") {
        plugins.push_str(&code(&project.text(name).unwrap_or_default()));
    }
    for name in project.ending(".scala") {
        said.push_str(&code(&project.text(name).unwrap_or_default()));
    }
    let plays = plugins.contains("\"sbt-plugin\"")
        && (plugins.contains("play") || plugins.contains("playframework"));
    describe(found, folder, file, &said, plays);
    package(found, folder, &text, &plugins, plays);
}

fn describe(found: &mut Findings, folder: &Folder<'_>, file: &str, text: &str, plays: bool) {
    if plays {
        found.add(weight::FRAMEWORK, folder, "project", "the Play plugin");
        found.framework = Some("play".to_owned());
    } else {
        found.framework(folder, file, FRAMEWORKS, |mark| text.contains(mark));
    }
}

/// How the app is packaged: by the plugin that the build has.
fn package(found: &mut Findings, folder: &Folder<'_>, text: &str, plugins: &str, plays: bool) {
    let native =
        plays || plugins.contains("sbt-native-packager") || plugins.contains("sbt-web-scalajs");
    let modules = modules(text);
    let packaged: Vec<&Module<'_>> = modules.iter().filter(|module| module.is_app()).collect();
    let named = packaged
        .iter()
        .find(|module| servers::is_one(module.id))
        .or(packaged.first());
    let module = named.filter(|module| !module.dir.is_empty());
    let dir = module
        .map(|module| format!("{}/", module.dir))
        .unwrap_or_default();
    let task =
        |task: &str| module.map_or(task.to_owned(), |module| format!("{}/{task}", module.id));
    found.members = packaged
        .iter()
        .map(|module| module.dir.to_owned())
        .filter(|dir| !dir.is_empty())
        .collect();
    let block = named.map_or(text, |module| module.text);
    let name = setting(block, "executableScriptName").or_else(|| setting(block, "name"));
    let name = name
        .or_else(|| Some(module?.id.to_owned()))
        .unwrap_or_else(|| "app".to_owned());
    let script = normalize(&name);
    if native {
        found.plan.build = Some(Command::new("sbt").arg(task("stage")).into());
        found.plan.start = Some(staged(&dir, &script));
        found.add(
            weight::ENTRY,
            folder,
            "build.sbt",
            "packaged by sbt-native-packager",
        );
    } else if plugins.contains("sbt-assembly") {
        found.plan.build = Some(Command::new("sbt").arg(task("assembly")).into());
        let jar =
            setting(block, "assemblyJarName").unwrap_or_else(|| format!("{script}-assembly.jar"));
        found.plan.start = Some(Command::new("java -jar").target(format!("{dir}target/{jar}")));
        found.add(
            weight::ENTRY,
            folder,
            "build.sbt",
            "packaged by sbt-assembly",
        );
    } else if !folder.sub("src/main/scala").is_empty() {
        // A program without packaging: the recipe adds the plugin in the image, not in the repository.
        found.plan.build = Some(Command::new("sbt stage").into());
        found.plan.start = Some(staged("", &script));
        found.add(
            weight::HINT,
            folder,
            "build.sbt",
            "has no packaging plugin: the image build adds sbt-native-packager",
        );
    } else {
        found.role = Role::Library;
        found.add(
            weight::NONE,
            folder,
            "build.sbt",
            "neither sbt-native-packager nor sbt-assembly, so nothing packages an app",
        );
        return;
    }
    if plays {
        let start = found.plan.start.take();
        found.plan.start =
            start.map(|start| start.args("-Dhttp.port=$PORT -Dpidfile.path=/dev/null"));
    }
    found.port = Some(DEFAULT_PORT);
    config_port(found, folder, &dir);
}

/// The port of `application.conf`, where it is a number that no variable replaces.
fn config_port(found: &mut Findings, folder: &Folder<'_>, dir: &str) {
    let files = [
        "src/main/resources/application.conf",
        "conf/application.conf",
    ];
    for file in files.map(|file| format!("{dir}{file}")) {
        let Some(text) = folder.text(&file) else {
            continue;
        };
        if text.contains("${?PORT}") {
            found.add(weight::HINT, folder, &file, "listens on $PORT");
            return;
        }
    }
}

fn by_mill(found: &mut Findings, folder: &Folder<'_>, file: &str) {
    let text = code(&folder.text(file).unwrap_or_default());
    found.add(weight::MANIFEST, folder, file, "a Mill build");
    let wrapper = found.add_file(
        weight::LOCKFILE,
        folder,
        &["mill", "millw"],
        "includes the Mill launcher",
    );
    found.package_manager = Some("mill".to_owned());
    describe(found, folder, file, &text, false);
    // `object api extends ScalaModule`: the name is the module's.
    let objects: Vec<&str> = text
        .split("object ")
        .skip(1)
        .filter_map(|rest| {
            let (name, rest) = rest.split_once(" extends ")?;
            let line = rest.lines().next().unwrap_or_default();
            (line.contains("Module") && !line.contains("Tests") && !name.contains(['\n', ' ']))
                .then_some(name)
        })
        .filter(|name| !name.contains("test"))
        .collect();
    let module = match objects.as_slice() {
        [] => None,
        [one] => Some(*one),
        several => several.iter().copied().find(|name| servers::is_one(name)),
    };
    let (Some(module), Some(mill)) = (module, wrapper) else {
        let says = "nothing says which module is the app, or the `mill` script is missing";
        found.add(weight::NONE, folder, file, says);
        return;
    };
    found.plan.build = Some(
        Command::program(format!("./{mill}"))
            .arg(format!("{module}.assembly"))
            .into(),
    );
    found.plan.start =
        Some(Command::new("java -jar").target(format!("out/{module}/assembly.dest/out.jar")));
    found.port = Some(DEFAULT_PORT);
    found.add(
        weight::ENTRY,
        folder,
        file,
        format!("the module `{module}`"),
    );
}

/// A project of a `build.sbt`.
struct Module<'t> {
    id: &'t str,
    /// Its folder; empty at the root.
    dir: &'t str,
    text: &'t str,
}

impl Module<'_> {
    fn is_app(&self) -> bool {
        let plugins = [
            "JavaAppPackaging",
            "JavaServerAppPackaging",
            "PlayScala",
            "PlayJava",
            "PlayService",
            "PlayMinimalJava",
            "DockerPlugin",
            "AssemblyPlugin",
            "assemblyJarName",
        ];
        plugins.iter().any(|plugin| self.text.contains(plugin))
    }
}

/// The projects: each from its `lazy val` to the next.
fn modules(text: &str) -> Vec<Module<'_>> {
    text.split("lazy val ")
        .skip(1)
        .filter_map(|text| {
            let (id, rest) = text.split_once('=')?;
            let head = rest.trim_start();
            if !head.starts_with("project") && !head.starts_with("(project") {
                return None;
            }
            let dir = rest
                .split_once("file(\"")
                .and_then(|(_, rest)| rest.split_once('"'));
            let id = id
                .split(':')
                .next()
                .unwrap_or_default()
                .trim()
                .trim_matches('`');
            let dir = dir.map_or(id, |(dir, _)| dir.trim_start_matches("./"));
            let dir = if dir == "." { "" } else { dir };
            Some(Module {
                id,
                dir,
                text: rest,
            })
        })
        .collect()
}

/// The text that a setting is set to: `name := "shop"`.
fn setting(text: &str, key: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let (before, value) = line.split_once(":=")?;
        let named = before.trim().rsplit(['/', ' ', '(', ',']).next()? == key;
        // One quote or three.
        let value = value.trim().strip_prefix('"')?.trim_start_matches('"');
        named.then(|| value.split('"').next().map(str::to_owned))?
    })
}

/// The name of the script, as sbt makes it from a name.
fn normalize(name: &str) -> String {
    let plain = |ch: char| {
        if ch.is_ascii_alphanumeric() || ch == '_' {
            ch.to_ascii_lowercase()
        } else {
            '-'
        }
    };
    name.chars()
        .map(plain)
        .collect::<String>()
        .trim_matches('-')
        .to_owned()
}

/// Without whole lines of comments.
fn code(text: &str) -> String {
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    lines.map(|line| format!("{line}\n")).collect()
}

/// The script that the packager writes, in its folder.
fn staged(dir: &str, script: &str) -> Command {
    Command::program(format!("{dir}target/universal/stage/bin/{script}"))
}

#[cfg(test)]
mod tests {
    use super::detect;
    use crate::languages::layouts::{Layout, check};

    const PACKAGER: (&str, &str) = (
        "project/plugins.sbt",
        "addSbtPlugin(\"com.github.sbt\" % \"sbt-native-packager\" % \"1.10.4\")",
    );
    const PLAY: (&str, &str) = (
        "project/plugins.sbt",
        "addSbtPlugin(\"org.playframework\" % \"sbt-plugin\" % \"3.0.5\")",
    );

    // One line per layout.
    #[rustfmt::skip]
    const LAYOUTS: &[Layout] = &[
        // Apps are packaged by the plugin of the build.
        (&[("build.sbt", "name := \"My Shop\"\nlibraryDependencies += \"org.http4s\" %% \"http4s-ember-server\" % \"1\""), PACKAGER], &["start target/universal/stage/bin/my-shop", "framework http4s"]),
        (&[("build.sbt", "lazy val core = project\nlazy val api = (project in file(\"modules/api\")).enablePlugins(JavaAppPackaging)\n"), PACKAGER], &["build sbt api/stage", "start modules/api/target/universal/stage/bin/api"]),
        (&[("build.sbt", "name := \"site\""), PLAY], &["framework play", "start target/universal/stage/bin/site -Dhttp.port=$PORT -Dpidfile.path=/dev/null"]),
        (&[("build.sbt", "name := \"lib\"")], &["start"]),
        (&[("build.mill", "object api extends ScalaModule {\n  object test extends ScalaTests\n}\n"), ("mill", "")], &["build ./mill api.assembly"]),
    ];

    #[test]
    fn layouts() {
        check(detect, LAYOUTS);
    }
}
