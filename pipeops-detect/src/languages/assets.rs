//! Browser assets of servers in other languages: a stage of its own builds them, or tools beside the server's.

use super::frontends::{self, Served};
use super::nodejs::command::commands;
use super::nodejs::frontend::Frontend;
use super::nodejs::recipe::manager::{BUN_BESIDE, Manager, Project};
use super::nodejs::recipe::{native, sources};
use crate::Language;
use crate::generate::app::App;
use crate::generate::script::{Built, Script, quote};
use crate::repository::folder::Folder;

/// The stage that holds the sources and the built assets.
pub(crate) const STAGE: &str = "assets";

/// Writes the stage with the built assets. `needs` are folders of the stage `build` that the front end imports from.
pub(crate) fn stage(app: &App<'_>, script: &mut Script, frontend: &Frontend<'_>, needs: &[&str]) {
    let Some(build) = frontend.build() else {
        return;
    };
    let tool = match frontend.manager {
        "bun" => "Bun",
        _ => "Node.js",
    };
    let mut why = format!(
        "a separate stage builds the browser assets; the app doesn't need {tool} at run time"
    );
    let native = native::reason(&frontend.package);
    if let Some(native) = &native {
        why.push_str(&format!("; the full image, because {native}"));
    }
    script.stage(&image(app, frontend, native.is_some()), Some(STAGE), &why);
    script.line("WORKDIR /app", "the app's directory");
    install(frontend, script);
    script.line("COPY . .", "sources last, because they change most often");
    for folder in needs {
        script.line(
            &format!("COPY --from=build /app/{folder} ./{folder}"),
            "the front end imports files from the server's packages",
        );
    }
    script.run(
        &[],
        &format!("{} && rm -rf node_modules", build.shell()),
        "runs the project's build; the final image gets only its output",
    );
}

/// Writes the stages of the front ends that the server serves, and tells the script what is copied out of them: where it
/// copies the sources, and where it copies what the program reads.
pub(crate) fn stages(app: &App<'_>, script: &mut Script) {
    if let Some(frontend) = beside_manifest(&app.folder, app.language) {
        stage(app, script, &frontend, &[]);
        script.built_beside(STAGE, frontend.outputs());
    }
    for served in frontends::find(&app.folder, app.language).served {
        below(app, script, &served);
    }
    if let Some((context, all)) = frontends::beside(&app.folder, app.language)
        && context.path() == app.context.path()
    {
        script.in_context(|script| all.iter().for_each(|served| below(app, script, served)));
    }
}

/// The package beside the server's own manifest, if it bundles files for browsers, and the language's recipe doesn't build it
/// by itself.
pub(crate) fn beside_manifest<'a>(folder: &Folder<'a>, language: Language) -> Option<Frontend<'a>> {
    const BY_THEMSELVES: &[Language] = &[
        Language::Php,
        Language::Python,
        Language::Ruby,
        Language::Elixir,
    ];
    if !frontends::has_frontends(language)
        || BY_THEMSELVES.contains(&language)
        || frontends::built_by(folder).is_some()
    {
        return None;
    }
    Frontend::read(folder, "").filter(Frontend::bundles)
}

/// Writes the stage of a front end in a folder of its own.
fn below(app: &App<'_>, script: &mut Script, served: &Served<'_>) {
    let frontend = &served.frontend;
    let Some(build) = frontend.build() else {
        return;
    };
    let name: String = frontend
        .dir
        .chars()
        .map(|ch| {
            if ch.is_ascii_alphanumeric() {
                ch.to_ascii_lowercase()
            } else {
                '-'
            }
        })
        .collect();
    let name = format!("{STAGE}-{name}");
    let (file, verb) = &served.because;
    let native = native::reason(&frontend.package);
    let why = format!("a separate stage builds the front end, which {file} {verb}");
    script.stage(&image(app, frontend, native.is_some()), Some(&name), &why);
    script.line("WORKDIR /app", "the app's directory");
    let copied = install(frontend, script);
    if frontend.home.is_none() {
        let dir = quote(&frontend.dir);
        match frontend.reaches_out() {
            false if copied => {}
            true => script.line(
                "COPY . .",
                "all sources, because its settings name files outside of its folder",
            ),
            false => script.line(&format!("COPY {dir} ./{dir}"), "the front end's sources"),
        }
    }
    let command = format!("{}{}", enter(&frontend.dir), build.shell());
    script.run(&[], &command, "runs the front end's build");
    script.built(Built {
        stage: name,
        from: served.from.clone(),
        output: served.output.clone(),
        embedded: served.embedded,
    });
}

/// The image that builds a front end.
fn image(app: &App<'_>, frontend: &Frontend<'_>, native: bool) -> String {
    let role = match frontend.manager {
        "bun" => "bun.build",
        _ if native => "nodejs.build.native",
        _ => "nodejs.build",
    };
    app.images.image(role, frontend.version())
}

/// The front end that the server's own build builds with Node.js, if there is one: the build stage needs it then.
pub(crate) fn own_build<'a>(app: &App<'a>) -> Option<Frontend<'a>> {
    let found = frontends::find(&app.folder, app.language);
    let below = found.own.into_iter().find(|own| own.needs_node);
    let beside = frontends::built_by(&app.folder).filter(|needs_node| *needs_node);
    let dir = below.map(|own| own.dir).or(beside.map(|_| String::new()))?;
    Frontend::read(&app.folder, &dir)
}

/// Installs the package manager, and what the front end depends on; true when that needs all of its files. The working
/// directory is the server's folder.
pub(crate) fn install(frontend: &Frontend<'_>, script: &mut Script) -> bool {
    let command = frontend.install();
    let (folder, package, dir) = frontend.installed();
    let manager = Manager::of(&Project {
        folder,
        package,
        manager: frontend.manager,
        install: command,
        version: frontend.version(),
        workspace: frontend.home.is_some(),
    });
    if !manager.environment.is_empty() {
        let why = "installs packages as folders, which every build tool can read";
        script.environment(&manager.environment, why);
    }
    if let Some(setup) = &manager.setup {
        let why = "the package manager that wrote the lockfile";
        script.run(&["/root/.npm"], setup, why);
    }
    if frontend.manager != "bun" && calls_bun(frontend) {
        script.run(&["/root/.npm"], BUN_BESIDE, "a script runs with Bun");
    }
    let needed = match frontend.home {
        Some(_) => Some("installation needs the workspace members"),
        None => sources::needed(folder, package),
    };
    match needed {
        Some(why) if dir.is_empty() => script.line("COPY . .", why),
        Some(why) => {
            let dir = quote(dir);
            script.line(&format!("COPY {dir} ./{dir}"), why);
        }
        None => sources::copy(script, folder, dir),
    }
    script.fetch(&[manager.cache], &format!("{}{command}", enter(dir)));
    needed.is_some()
}

fn calls_bun(frontend: &Frontend<'_>) -> bool {
    let script = frontend
        .script()
        .and_then(|name| frontend.package.script(name));
    let all = commands(script.unwrap_or_default(), &frontend.package);
    all.iter().any(|command| command.program() == "bun")
}

/// Changes to a folder for the rest of a line.
fn enter(dir: &str) -> String {
    match dir {
        "" => String::new(),
        dir => format!("cd {} && ", quote(dir)),
    }
}

/// Writes the stage with Node.js, or Bun where that is the manager, for stages that have another language's tools:
/// [`beside`] copies it. Without a front end it is Node.js alone.
pub(crate) fn runtime(app: &App<'_>, script: &mut Script, frontend: Option<&Frontend<'_>>) {
    let why = "Node.js for building browser assets";
    match frontend {
        Some(frontend) if frontend.manager == "bun" => {
            let why = "Bun for building browser assets";
            script.stage(&image(app, frontend, false), Some("bun"), why);
        }
        Some(frontend) => script.stage(&image(app, frontend, false), Some("node"), why),
        None => script.stage(&app.images.image("nodejs.build", None), Some("node"), why),
    }
}

/// Copies what [`runtime`] brought into the present stage.
pub(crate) fn beside(script: &mut Script, frontend: &Frontend<'_>) {
    if frontend.manager == "bun" {
        let copy = "COPY --from=bun /usr/local/bin/bun /usr/local/bin/";
        script.line(copy, "Bun, which builds the browser assets");
        return;
    }
    script.line(
        "COPY --from=node /usr/local/bin/node /usr/local/bin/",
        "Node.js, which builds the browser assets",
    );
    script.line(
        "COPY --from=node /usr/local/lib/node_modules /usr/local/lib/node_modules",
        "its package manager",
    );
    script.run(
        &[],
        "ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm \\\n && \
         ln -s ../lib/node_modules/npm/bin/npx-cli.js /usr/local/bin/npx",
        "links its commands",
    );
}
