//! Scala: sbt or Mill builds, a JRE runs.

use crate::generate::app::App;
use crate::generate::error::GenerateError;
use crate::generate::script::{Script, quote};
use crate::languages::java::project::Kind;
use crate::languages::java::recipe as java;

const CACHES: &[&str] = &["/root/.cache", "/root/.ivy2", "/root/.sbt"];

/// The plugin that packages a program whose build has none.
const PACKAGER: &str = "addSbtPlugin(\"com.github.sbt\" % \"sbt-native-packager\" % \"1.10.4\")";

pub(crate) fn write(app: &App<'_>, script: &mut Script) -> Result<(), GenerateError> {
    let start = app.start()?;
    let build = app.plan.build.as_ref();
    let task = build.and_then(|build| build.last()?.arguments.last());
    let build = app.build();
    let sbt = app.manager() == "sbt";
    let role = if sbt {
        "scala.build.sbt"
    } else {
        "scala.build"
    };
    script.stage(&app.image(role), Some("build"), "a JDK with the build tool");
    script.line("WORKDIR /src", "the source directory");
    if sbt {
        dependencies(app, script);
    }
    script.sources();
    if sbt && !has_packager(app) {
        let add = format!(
            "printf '%s\\n' '{PACKAGER}' > project/packager.sbt \\\n && printf '%s\\n' 'enablePlugins(JavaAppPackaging)' > packager.sbt"
        );
        script.run(
            &[],
            &add,
            "the project has no packaging plugin, so the image build adds this one",
        );
    }
    let staged = start
        .program
        .split_once("/stage/")
        .filter(|_| task.is_some_and(|task| task.ends_with("stage")));
    let command = match staged {
        Some((folder, _)) => format!("{build} \\\n && cp -r {}/stage /out", quote(folder)),
        None if sbt => format!(
            "{build} \\\n && mkdir /out \\\n && find . -path '*/target/*' -name '*.jar' -size +1M ! -path '*/streams/*' -exec cp {{}} /out/app.jar ';' \\\n && test -f /out/app.jar"
        ),
        None => {
            let jar = start.words().last().unwrap_or_default();
            format!(
                "sh {} \\\n && mkdir /out \\\n && cp {} /out/app.jar",
                build.trim_start_matches("./"),
                quote(jar)
            )
        }
    };
    script.run(CACHES, &command, "the program with its dependencies");
    java::run_stage(app, script, &[]);
    let text = start.start_text();
    let command = match staged {
        Some((folder, _)) => text.replace(&format!("{folder}/stage/"), "/app/"),
        None if start.words().any(java::is_built) => {
            java::launched(&Kind::Jar(String::new()), start)
        }
        None if start.calls("java -jar") => "java -jar app.jar".to_owned(),
        None => text,
    };
    app.run(script, &command);
    Ok(())
}

fn has_packager(app: &App<'_>) -> bool {
    let project = app.folder.sub("project");
    let names = ["sbt-native-packager", "sbt-assembly", "sbt-plugin"];
    project.ending(".sbt").any(|file| {
        let text = project.text(file).unwrap_or_default();
        names.iter().any(|name| text.contains(name))
    })
}

fn dependencies(app: &App<'_>, script: &mut Script) {
    if app.folder.has_dir("project") {
        script.line("COPY project ./project", "the sbt version and plugins");
    }
    if app.folder.has("build.sbt") {
        script.manifests("build.sbt", "./");
        script.fetch(CACHES, "sbt update");
    }
}
