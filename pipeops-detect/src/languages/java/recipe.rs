//! Java and Kotlin: a JDK builds, a JRE runs.

use super::detect::project;
use super::project::{Kind, Module, Project};
use crate::generate::app::App;
use crate::generate::error::GenerateError;
use crate::generate::script::{Script, quote};
use crate::languages::assets;

pub(crate) fn write(app: &App<'_>, script: &mut Script) -> Result<(), GenerateError> {
    let start = app.start()?;
    let Some((manager, _, project)) = project(&app.folder) else {
        app.start()?;
        return Ok(());
    };
    let Some(module) = project.app() else {
        return Err(app.no_start());
    };
    let build = Build::of(app, manager);
    let node = assets::own_build(app);
    if let Some(node) = &node {
        assets::runtime(app, script, Some(node));
    }
    script.stage(&app.image(build.role), Some("build"), build.why);
    // Gradle takes the folder's name for the project's where the settings name none.
    script.line("WORKDIR /app", "the source directory");
    if let Some(node) = &node {
        assets::beside(script, node);
    }
    build.dependencies(app, script, &project);
    script.sources();
    let command = format!(
        "{} \\\n && {}",
        build.command(app),
        collect(module, manager)
    );
    script.run(
        &[build.cache],
        &command,
        "builds, then keeps only what the app needs to run",
    );
    if let Kind::War(_) = module.kind {
        tomcat(app, script, module);
        return Ok(());
    }
    run_stage(app, script, port_setting(app.framework()));
    script.served(|_| false);
    let mut arguments = start.arguments.iter().map(String::as_str);
    arguments.find(|argument| argument.ends_with(".jar"));
    let arguments: Vec<&str> = arguments.collect();
    if let ["server", config] = arguments[..] {
        script.line(
            &format!("COPY {0} ./{0}", quote(config)),
            "the configuration file that the command names",
        );
    }
    let own = app
        .detection
        .evidence
        .iter()
        .all(|evidence| !evidence.path.ends_with("Procfile"));
    let command = match &module.kind {
        _ if !own && !start.words().any(is_built) => start.start_text(),
        Kind::Quarkus => "java -jar quarkus-run.jar".to_owned(),
        Kind::Script(name) => format!("/app/bin/{name}"),
        Kind::Classes(main) => format!("java -cp classes:dependency/* {main}"),
        _ => format!("java -jar app.jar {}", arguments.join(" ")),
    };
    app.run(script, command.trim());
    Ok(())
}

/// Whether a word of a command names what the build makes.
fn is_built(word: &str) -> bool {
    word.contains("target/") || word.contains("build/")
}

/// The framework's own name for the port.
fn port_setting(framework: &str) -> &'static [(&'static str, &'static str)] {
    match framework {
        "spring-boot" | "helidon" => &[("SERVER_PORT", "$PORT")],
        "quarkus" => &[
            ("QUARKUS_HTTP_HOST", "0.0.0.0"),
            ("QUARKUS_HTTP_PORT", "$PORT"),
        ],
        "micronaut" => &[("MICRONAUT_SERVER_PORT", "$PORT")],
        _ => &[],
    }
}

/// The stage that runs what the stage `build` left in `/out`.
pub(crate) fn run_stage(app: &App<'_>, script: &mut Script, ports: &[(&str, &str)]) {
    script.stage(
        &app.image("java.run"),
        None,
        "only the runtime, without compiler and build tool",
    );
    // Without it the heap is a quarter of the container's memory, whatever its limit is.
    app.environment(script, &[("JAVA_TOOL_OPTIONS", "-XX:MaxRAMPercentage=75")]);
    if app.detection.port.is_some() {
        script.environment(ports, "the framework's own variable for the port");
    }
    script.line("WORKDIR /app", "the app's directory");
    script.line("COPY --from=build /out/ ./", "only the build output");
}

/// A servlet container, for what is no program by itself.
fn tomcat(app: &App<'_>, script: &mut Script, module: &Module) {
    let jakarta = module.text.contains("jakarta.");
    let role = if jakarta {
        "java.run.tomcat"
    } else {
        "java.run.tomcat.javax"
    };
    script.stage(
        &app.image(role),
        None,
        "a servlet container, which runs the archive",
    );
    let source = "-Dorg.apache.tomcat.util.digester.PROPERTY_SOURCE=org.apache.tomcat.util.digester.EnvironmentPropertySource";
    app.environment(
        script,
        &[
            ("JAVA_TOOL_OPTIONS", "-XX:MaxRAMPercentage=75"),
            ("CATALINA_OPTS", source),
        ],
    );
    script.run(
        &[],
        "sed -i \"s/port=\\\"8080\\\"/port=\\\"\\${PORT}\\\"/; s/<Server port=\\\"8005\\\"/<Server port=\\\"-1\\\"/\" conf/server.xml \\\n && for dir in logs temp work; do rm -rf \"$dir\" && ln -s /tmp \"$dir\" || exit 1; done",
        "takes the port from the environment, and redirects Tomcat's writes to /tmp, the only writable folder",
    );
    script.line(
        "COPY --from=build /out/ /usr/local/tomcat/webapps/ROOT/",
        "the app, already unpacked, so it writes nothing at startup",
    );
    app.run(script, "catalina.sh run");
}

/// What is taken out of the build, into `/out`.
fn collect(module: &Module, manager: &str) -> String {
    let dir = if module.dir.is_empty() {
        String::new()
    } else {
        format!("{}/", quote(&module.dir))
    };
    let (output, archives) = if manager == "maven" {
        ("target", "target")
    } else {
        ("build", "build/libs")
    };
    match &module.kind {
        Kind::Quarkus => format!("cp -r {dir}{output}/quarkus-app /out"),
        Kind::Script(name) => format!("cp -r {dir}build/install/{} /out", quote(name)),
        Kind::Classes(_) => format!(
            "mkdir -p /out {dir}target/dependency \\\n && cp -r {dir}target/classes {dir}target/dependency /out/"
        ),
        // The name has a version in it, or a setting of its own: the archive that is none of the usual others.
        Kind::Jar(name) => {
            let end = [
                "-all.jar",
                "-runner.jar",
                "-jar-with-dependencies.jar",
                ".war",
            ]
            .iter()
            .find(|end| name.ends_with(*end));
            format!(
                "mkdir /out \\\n && find {dir}{archives} -maxdepth 1 -name '*{}' ! -name '*-plain.*' ! -name '*-sources.jar' \\\n    \
                 ! -name '*-javadoc.jar' ! -name '*-tests.jar' ! -name 'original-*' -exec cp {{}} /out/app.jar ';' \\\n && test -f /out/app.jar",
                end.unwrap_or(&".jar")
            )
        }
        Kind::War(_) | Kind::Library => format!(
            "mkdir /out \\\n && find \"$PWD/{dir}{archives}\" -maxdepth 1 -name '*.war' -exec sh -c 'cd /out && jar -xf \"$1\"' sh {{}} ';' \\\n && test -d /out/WEB-INF"
        ),
    }
}

struct Build {
    role: &'static str,
    why: &'static str,
    tool: &'static str,
    cache: &'static str,
    maven: bool,
    wrapped: bool,
}

impl Build {
    fn of(app: &App<'_>, manager: &str) -> Self {
        let maven = manager == "maven";
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
                true => "a JDK; the project's wrapper provides the build tool",
                false => "a JDK with the build tool, because the project has no wrapper",
            },
            tool,
            cache: if maven { "/root/.m2" } else { "/root/.gradle" },
            maven,
            wrapped,
        }
    }

    /// A layer with the dependencies: from the build files of all modules.
    fn dependencies(&self, app: &App<'_>, script: &mut Script, project: &Project) {
        if project.scattered || (!self.maven && project.modules.is_empty()) {
            return;
        }
        let (files, dirs): (&[&str], &[&str]) = match self.maven {
            true => (&["mvnw"], &[".mvn"]),
            false => (
                &[
                    "gradlew",
                    "settings.gradle.kts",
                    "settings.gradle",
                    "gradle.properties",
                ],
                &["gradle", "buildSrc", "build-logic"],
            ),
        };
        let names = app.present(files);
        if !names.is_empty() {
            script.line(
                &format!("COPY {} ./", names.join(" ")),
                "the build tool and its settings",
            );
        }
        for dir in dirs.iter().filter(|dir| app.folder.has_dir(dir)) {
            script.line(
                &format!("COPY {dir} ./{dir}"),
                "build logic that all modules share",
            );
        }
        for module in &project.modules {
            let to = if module.dir.is_empty() {
                "./".to_owned()
            } else {
                format!("./{}/", quote(&module.dir))
            };
            script.manifests(&quote(&module.file), &to);
        }
        if self.maven {
            let command = format!(
                "{} --batch-mode --fail-never package -DskipTests \\\n && find . -name target -type d -prune -exec rm -rf {{}} +",
                self.tool
            );
            script.run(
                &[self.cache],
                &command,
                "builds without sources to fetch plugins and dependencies; failures are ignored here, because the real build reports them",
            );
            return;
        }
        let module = project
            .app()
            .map(|app| app.dir.as_str())
            .filter(|dir| !dir.is_empty());
        let task = module.map_or("dependencies".to_owned(), |dir| {
            format!(":{}:dependencies", dir.replace('/', ":"))
        });
        script.run(
            &[self.cache],
            &format!("{} --no-daemon {task}", self.tool),
            "fetches Gradle, its plugins and the dependencies; the cache mount keeps downloads across builds",
        );
    }

    fn command(&self, app: &App<'_>) -> String {
        let Some(build) = &app.plan.build else {
            return String::new();
        };
        // The wrapper may have lost its mode on the way.
        let wrapper = build
            .last()
            .is_some_and(|last| last.program.starts_with("./"));
        match self.wrapped && wrapper {
            true => format!("sh {}", build.shell()),
            false => build.shell(),
        }
    }
}
