//! Java and Kotlin: a JDK builds, a JRE runs.

use super::detect::project;
use super::project::{Kind, Module, Project};
use crate::generate::app::App;
use crate::generate::error::GenerateError;
use crate::generate::script::{Script, quote};
use crate::languages::assets;
use crate::plan::Start;
use crate::repository::shell::{Line, Step, Word};

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
        let command = deployed(app, start)?;
        tomcat(app, script, module);
        app.run(script, &command);
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
    app.run(script, &launched(&module.kind, start));
    Ok(())
}

/// The start command with what the build makes by the names that it has in the image.
pub(crate) fn launched(kind: &Kind, start: &Start) -> String {
    let text = start.start_text();
    let Some(line) = Line::parse(&text).filter(|_| start.words().any(is_built)) else {
        return text;
    };
    let in_image = |step: Step| {
        let built = step.words.iter().any(|word| is_built(&word.raw));
        if built { by_kind(kind, step) } else { step }
    };
    let mut steps: Vec<Step> = line.steps.into_iter().map(in_image).collect();
    match steps.as_mut_slice() {
        [step] if step.then.is_empty() => step.text(),
        _ => Line::of(steps).shell(),
    }
}

/// One command that runs what the build makes, with its own options and arguments.
fn by_kind(kind: &Kind, step: Step) -> Step {
    let mut options: Vec<Word> = Vec::new();
    let mut rest = &step.words[1..];
    while step.name() == "java"
        && let Some((word, more)) = rest.split_first()
    {
        rest = more;
        match word.text() {
            "-jar" | "-cp" | "-classpath" | "--class-path" => {
                rest = more.get(1..).unwrap_or_default()
            }
            text if text.starts_with('-') || word.raw.starts_with(['$', '"', '-']) => {
                options.push(word.clone())
            }
            text if text.ends_with(".jar") => {}
            _ => {
                rest = &step.words[step.words.len() - more.len() - 1..];
                break;
            }
        }
        if word.text() == "-jar" {
            break;
        }
    }
    let (program, main): (String, String) = match kind {
        Kind::Quarkus => ("java".to_owned(), "-jar quarkus-run.jar".to_owned()),
        Kind::Script(name) => (format!("/app/bin/{name}"), String::new()),
        Kind::Classes(main) => {
            let named = rest.first().is_some_and(|word| word.text() == main);
            rest = &rest[usize::from(named)..];
            (
                "java".to_owned(),
                format!("-cp classes:dependency/* {main}"),
            )
        }
        _ => ("java".to_owned(), "-jar app.jar".to_owned()),
    };
    let mut words = vec![Word::plain(&program)];
    // A start script takes the options of its virtual machine from `JAVA_OPTS`.
    if program == "java" {
        words.extend(options);
    }
    words.extend(Step::of(&main).words);
    words.extend_from_slice(rest);
    Step { words, ..step }
}

/// Whether a word of a command names what the build makes.
pub(crate) fn is_built(word: &str) -> bool {
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
}

/// Tomcat's command, with the variables of a command that runs the archive in another way.
fn deployed(app: &App<'_>, start: &Start) -> Result<String, GenerateError> {
    let text = start.start_text();
    let line = Line::parse(&text).unwrap_or_default();
    let last = line.steps.last().cloned().unwrap_or_default();
    let runners = [".war", "-runner", "catalina"];
    let runs = |word: &str| runners.iter().any(|part| word.contains(part));
    if start.is_written() && !last.words.iter().any(|word| runs(&word.raw)) {
        return Err(GenerateError::StartCommand {
            path: app.folder.path().to_owned(),
            command: text,
            why: "the app is an archive for a servlet container, which Tomcat runs".to_owned(),
        });
    }
    let tomcat = Step {
        words: Step::of("catalina.sh run").words,
        ..last
    };
    // What a detected command sets is set by the image already.
    Ok(match start.is_written() {
        true => tomcat.text(),
        false => "catalina.sh run".to_owned(),
    })
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
