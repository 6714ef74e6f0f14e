//! Clojure: one archive, built by Leiningen or by its own tools, on a JRE.

use crate::generate::app::App;
use crate::generate::error::GenerateError;
use crate::generate::script::{Script, quote};
use crate::languages::java::project::Kind;
use crate::languages::java::recipe as java;

const MAVEN: &str = "/root/.m2";
const GIT: &str = "/root/.gitlibs";

pub(crate) fn write(app: &App<'_>, script: &mut Script) -> Result<(), GenerateError> {
    let start = app.start()?;
    let lein = app.manager() == "leiningen";
    let (role, file, caches): (_, _, &[&str]) = match lein {
        true => ("clojure.build.lein", "project.clj", &[MAVEN]),
        false => ("clojure.build", "deps.edn", &[MAVEN, GIT]),
    };
    script.stage(&app.image(role), Some("build"), "a JDK with the build tool");
    script.line("WORKDIR /src", "the source directory");
    script.manifests(file, "./");
    let fetch = match lein {
        true => "lein deps".to_owned(),
        false => {
            let alias = app
                .target(|text| text.split_whitespace().find(|word| word.starts_with("-T:")))
                .unwrap_or("-T:build");
            format!("clojure -P && clojure -P {}", quote(alias))
        }
    };
    script.fetch(caches, &fetch);
    script.sources();
    // Both write a small archive beside the one that starts.
    let path = start.option("-jar");
    let jar = path
        .and_then(|path| path.rsplit('/').next())
        .unwrap_or("*.jar");
    let command = format!(
        "{} \\\n && mkdir /out \\\n && find target -name {} -size +1M -exec cp {{}} /out/app.jar ';' \\\n && test -f /out/app.jar",
        app.build(),
        quote(jar)
    );
    script.run(
        caches,
        &command,
        "the self-contained archive, renamed without its version",
    );
    java::run_stage(app, script, &[]);
    let command = match start.program.as_str() {
        "lein" => "java -jar app.jar".to_owned(),
        _ => java::launched(&Kind::Jar(String::new()), start),
    };
    app.run(script, &command);
    Ok(())
}
