//! Java: a JDK builds, a JRE runs.

use super::script::{Script, quote};
use super::{App, GenerateError};

pub(super) fn write(app: &App<'_>, script: &mut Script) -> Result<(), GenerateError> {
    let start = app.start()?;
    let build = Build::of(app);
    script.stage(&app.image(build.role), Some("build"), build.why);
    script.line("WORKDIR /src", "the sources' folder");
    build.dependencies(app, script);
    script.line("COPY . .", "the sources last: they change most often");
    script.run(
        &[build.cache],
        &build.command(app),
        "one archive, under a name without its version",
    );
    script.stage(
        &app.image("java.run"),
        None,
        "a runtime only: no compiler, no build tool",
    );
    let ports: &[(&str, &str)] = match app.framework() {
        "spring-boot" => &[("SERVER_PORT", "$PORT")],
        "quarkus" => &[("QUARKUS_HTTP_PORT", "$PORT")],
        "micronaut" => &[("MICRONAUT_SERVER_PORT", "$PORT")],
        _ => &[],
    };
    app.environment(script, &[("JAVA_TOOL_OPTIONS", "-XX:MaxRAMPercentage=75")]);
    if app.detection.port.is_some() {
        script.environment(ports, "the framework's own name for the port");
    }
    script.line("WORKDIR /app", "the app's folder");
    script.line(
        "COPY --from=build /out/ ./",
        "what was built, and nothing else",
    );
    let jar = if app.framework() == "quarkus" {
        "quarkus-run.jar"
    } else {
        "app.jar"
    };
    let own = start.starts_with("java -jar target/") || start.starts_with("java -jar build/");
    let command = if own {
        format!("java -jar {jar}")
    } else {
        start.to_owned()
    };
    app.run(script, &command);
    Ok(())
}

struct Build {
    role: &'static str,
    why: &'static str,
    tool: &'static str,
    cache: &'static str,
    maven: bool,
}

impl Build {
    fn of(app: &App<'_>) -> Self {
        let maven = app.manager() == "maven";
        let wrapped = app.folder.has(if maven { "mvnw" } else { "gradlew" });
        let (role, tool) = match (maven, wrapped) {
            (true, true) => ("java.build", "sh ./mvnw"),
            (true, false) => ("java.build.maven", "mvn"),
            (false, true) => ("java.build", "sh ./gradlew"),
            (false, false) => ("java.build.gradle", "gradle"),
        };
        Self {
            role,
            why: match wrapped {
                true => "a JDK; the project brings its own build tool",
                false => "a JDK with the build tool that the project lacks",
            },
            tool,
            cache: if maven { "/root/.m2" } else { "/root/.gradle" },
            maven,
        }
    }

    /// A layer with the dependencies, where one file decides them.
    fn dependencies(&self, app: &App<'_>, script: &mut Script) {
        let simple = app.detection.apps.is_empty() && app.folder.has("pom.xml");
        let modules = app
            .folder
            .text("pom.xml")
            .is_some_and(|text| text.contains("<module>"));
        if !self.maven || !simple || modules {
            return;
        }
        let wrapper = self.role == "java.build";
        if wrapper {
            script.line("COPY mvnw ./", "the project's own Maven");
            script.line("COPY .mvn ./.mvn", "and the version that it uses");
        }
        script.line(
            "COPY pom.xml ./",
            "only what decides the dependencies: a change of sources keeps the next layer cached",
        );
        let command = format!("{} --batch-mode dependency:go-offline", self.tool);
        script.run(
            &[self.cache],
            &command,
            "the cache mount keeps downloads between builds, outside of the image",
        );
    }

    fn command(&self, app: &App<'_>) -> String {
        let module = match app.detection.apps.as_slice() {
            [module] => {
                let root = format!("{}/", app.folder.path());
                module.strip_prefix(&root).unwrap_or(module).to_owned()
            }
            _ => String::new(),
        };
        let dir = if module.is_empty() {
            String::new()
        } else {
            format!("{}/", quote(&module))
        };
        let build = match self.maven {
            true if module.is_empty() => format!("{} --batch-mode package -DskipTests", self.tool),
            true => format!(
                "{} --batch-mode package -DskipTests -pl {} -am",
                self.tool,
                quote(&module)
            ),
            false => {
                let task = app.detection.build.as_deref().unwrap_or_default();
                let task = task.split("--no-daemon ").nth(1).unwrap_or("build -x test");
                format!("{} --no-daemon {task}", self.tool)
            }
        };
        let output = if self.maven { "target" } else { "build" };
        if app.framework() == "quarkus" {
            return format!("{build} \\\n && cp -r {dir}{output}/quarkus-app /out");
        }
        let libs = if self.maven { "target" } else { "build/libs" };
        format!(
            "{build} \\\n && mkdir /out \\\n && find {dir}{libs} -maxdepth 1 -name '*.jar' ! -name '*-plain.jar' ! -name '*-sources.jar' \\\n    \
             ! -name '*-javadoc.jar' ! -name 'original-*' -exec cp {{}} /out/app.jar ';' \\\n && test -f /out/app.jar"
        )
    }
}
