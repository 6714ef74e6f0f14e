//! Maven: the modules of a `pom.xml`, and what each makes.

use super::project::{Kind, Module, Project, main_class, without_comments};
use crate::repository::folder::{Folder, resolve};

/// Reads the project whose root is `folder`.
pub(crate) fn read(folder: &Folder<'_>, file: &str) -> Project {
    let mut project = Project {
        modules: Vec::new(),
        scattered: file != "pom.xml",
        asked: None,
    };
    let root = without_comments(&folder.text(file).unwrap_or_default());
    let mut dirs = vec![String::new()];
    while let Some(dir) = dirs.pop() {
        let inside = folder.sub(&dir);
        let name = if dir.is_empty() { file } else { "pom.xml" };
        let text = without_comments(&inside.text(name).unwrap_or_default());
        for module in elements(&text, "module") {
            // A module may be named by its file.
            let module = module.trim_end_matches("/pom.xml");
            match resolve(&dir, module) {
                Some(module) if folder.sub(&module).has("pom.xml") => dirs.push(module),
                _ => project.scattered = true,
            }
        }
        let kind = kind(&inside, &text, &root);
        let file = if dir.is_empty() {
            name.to_owned()
        } else {
            format!("{dir}/{name}")
        };
        project.add(Module {
            dir,
            file,
            text,
            kind,
        });
    }
    project.modules.sort_by(|a, b| a.dir.cmp(&b.dir));
    project
}

fn kind(module: &Folder<'_>, text: &str, root: &str) -> Kind {
    let own = used(text);
    let shared = used(root);
    let has = |plugin: &str| own.contains(plugin) || shared.contains(plugin);
    let packaging = elements(&own, "packaging").next().unwrap_or("jar");
    if packaging == "pom" {
        return Kind::Library;
    }
    let main = main_class(module);
    let sources = main.is_some() || module.sub("src").is_empty();
    let archive = |end: &str| {
        format!(
            "{}{end}",
            final_name(text, root).unwrap_or_else(|| "*".to_owned())
        )
    };
    if has("quarkus-maven-plugin")
        && (own.contains("quarkus-maven-plugin") || own.contains("quarkus-rest") || main.is_some())
    {
        let uber = elements(text, "quarkus.package.jar.type")
            .chain(elements(text, "quarkus.package.type"))
            .any(|kind| kind == "uber-jar");
        return if uber {
            Kind::Jar(archive("-runner.jar"))
        } else {
            Kind::Quarkus
        };
    }
    let spring = own.contains("spring-boot-maven-plugin")
        || (shared.contains("spring-boot-maven-plugin") && sources);
    if spring {
        return Kind::Jar(archive(if packaging == "war" { ".war" } else { ".jar" }));
    }
    if packaging == "war" {
        return Kind::War(archive(".war"));
    }
    let named = elements(&own, "mainClass")
        .chain(elements(text, "exec.mainClass"))
        .chain(elements(text, "main.class"));
    let named = named
        .filter(|name| !name.is_empty() && !name.contains("${"))
        .map(str::to_owned)
        .next();
    if own.contains("maven-shade-plugin") || own.contains("micronaut-maven-plugin") {
        return Kind::Jar(archive(".jar"));
    }
    if own.contains("jar-with-dependencies") && (named.is_some() || main.is_some()) {
        let plain = elements(&own, "appendAssemblyId").any(|value| value == "false");
        return Kind::Jar(archive(if plain {
            ".jar"
        } else {
            "-jar-with-dependencies.jar"
        }));
    }
    named.or(main).map_or(Kind::Library, Kind::Classes)
}

/// The part of a build file that is used as it stands, not offered to modules.
fn used(text: &str) -> String {
    let mut text = text.to_owned();
    for name in ["dependencyManagement", "pluginManagement", "profiles"] {
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        while let Some(start) = text.find(&open) {
            let end = text[start..]
                .find(&close)
                .map_or(text.len(), |end| start + end + close.len());
            text.replace_range(start..end, "");
        }
    }
    text
}

/// The name of the archive, without its ending: `finalName`, else artifact and version.
fn final_name(text: &str, root: &str) -> Option<String> {
    let parent = elements(text, "parent").next().unwrap_or_default();
    // Those of the project itself stand outside of everything that has some too.
    let mut own = used(text);
    for name in [
        "parent",
        "dependencies",
        "build",
        "reporting",
        "repositories",
        "pluginRepositories",
    ] {
        let inside: Vec<String> = elements(&own, name).map(str::to_owned).collect();
        for part in inside {
            own = own.replacen(&part, "", 1);
        }
    }
    let version = elements(&own, "version")
        .next()
        .or_else(|| elements(parent, "version").next());
    let artifact = elements(&own, "artifactId").next()?;
    if let Some(name) = elements(&used(text), "finalName").next() {
        let name = name
            .replace("${project.artifactId}", artifact)
            .replace("${artifactId}", artifact);
        let name = name.replace("${project.version}", version.unwrap_or("*"));
        return (!name.contains("${")).then_some(name);
    }
    let version = version?;
    let key = version
        .strip_prefix("${")
        .and_then(|rest| rest.strip_suffix('}'));
    let version = match key {
        Some(key) => elements(text, key).chain(elements(root, key)).next()?,
        None => version,
    };
    (!version.contains("${")).then(|| format!("{artifact}-{version}"))
}

/// The texts of `<name>…</name>`, trimmed. Enough XML for build files: what it finds is a hint, not a contract.
pub(crate) fn elements<'a>(text: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let mut rest = text;
    std::iter::from_fn(move || {
        let (_, behind) = rest.split_once(&open)?;
        let (inside, behind) = behind.split_once(&close)?;
        rest = behind;
        Some(inside.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipeops_core::source::MemTree;

    #[test]
    fn archives_are_what_the_plugins_make() {
        let base = "<parent><version>9</version></parent><artifactId>shop</artifactId><version>1.0</version>";
        let main = (
            "src/main/java/a/Main.java",
            "package a;\nclass Main { public static void main(String[] x) {} }",
        );
        for (text, expected) in [
            (
                "<plugin>spring-boot-maven-plugin</plugin>",
                Kind::Jar("shop-1.0.jar".to_owned()),
            ),
            (
                "<packaging>war</packaging>",
                Kind::War("shop-1.0.war".to_owned()),
            ),
            (
                "<build><finalName>x</finalName>maven-shade-plugin</build>",
                Kind::Jar("x.jar".to_owned()),
            ),
            (
                "<descriptorRef>jar-with-dependencies</descriptorRef>",
                Kind::Jar("shop-1.0-jar-with-dependencies.jar".to_owned()),
            ),
            (
                "<pluginManagement>spring-boot-maven-plugin</pluginManagement>",
                Kind::Classes("a.Main".to_owned()),
            ),
            ("quarkus-maven-plugin", Kind::Quarkus),
            ("<packaging>pom</packaging>", Kind::Library),
        ] {
            let pom = format!("{base}{text}");
            let tree = MemTree::from([("pom.xml", pom.as_str()), main]);
            let project = read(&Folder::open(&tree, ""), "pom.xml");
            assert_eq!(project.modules[0].kind, expected, "{text}");
        }
    }
}
