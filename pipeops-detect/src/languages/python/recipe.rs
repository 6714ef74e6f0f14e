//! The Python recipe: dependencies go into a virtual environment, which the second stage copies.

use super::install::{self, PIP_CACHE, WHY_SERVER};
use super::libraries::{LIBRARIES, Library};
use crate::generate::app::App;
use crate::generate::debian;
use crate::generate::error::GenerateError;
use crate::generate::script::Script;
use crate::languages::assets;
use crate::languages::nodejs::frontend::Frontend;
use crate::languages::python::packages::Packages;
use crate::languages::static_site::recipe as static_site;
use crate::plan::Start;

/// Servers that are installed where the start command names one that the project forgot.
const SERVERS: &[(&str, &str)] = &[
    ("gunicorn", "gunicorn>=23,<26"),
    ("uvicorn", "uvicorn>=0.30,<1"),
    ("hypercorn", "hypercorn>=0.17,<1"),
    ("waitress-serve", "waitress>=3,<4"),
];

pub(crate) fn write(app: &App<'_>, script: &mut Script) -> Result<(), GenerateError> {
    if app.detection.output.is_some() {
        return site(app, script);
    }
    let start = app.start()?;
    let packages = Packages::read(&app.folder);
    let dependencies = app.detection.install.is_some();
    let server = missing_server(start, &packages);
    let conda = app.manager() == "conda";
    // Before the dependencies: what follows them takes its results over.
    let frontend = Frontend::read(&app.folder, "");
    let frontend = frontend.filter(|frontend| dependencies && frontend.build().is_some());
    if let Some(frontend) = &frontend {
        assets::stage(app, script, frontend, &[]);
    }
    let assets = frontend.is_some();
    if dependencies || server.is_some() {
        build(app, script, server);
    }
    let copied = dependencies && prepare(app, script, assets);
    let run = match conda {
        true => app.images.image("conda.run", None),
        false => app.image("python.run"),
    };
    script.stage(&run, None, "the final image, without compilers and caches");
    let installed = dependencies || server.is_some();
    let browsers = packages.has("playwright");
    let mut settings = vec![("PYTHONUNBUFFERED", "1"), ("PYTHONDONTWRITEBYTECODE", "1")];
    if installed {
        settings.push(("PATH", "/venv/bin:$PATH"));
    }
    if browsers {
        settings.push(("PLAYWRIGHT_BROWSERS_PATH", "/browsers"));
    }
    app.environment(script, &settings);
    if !conda {
        // conda's environments bring their own libraries.
        let needs: Vec<(&str, &[&str])> = libraries(&packages)
            .filter(|library| !library.run.is_empty())
            .map(|library| (library.package, library.run))
            .collect();
        debian::install_for(script, &needs);
    }
    script.line("WORKDIR /app", "the app's directory");
    if installed {
        script.line(
            "COPY --from=build /venv /venv",
            "the dependencies, without the tools that installed them",
        );
    }
    if browsers {
        script.run(
            &[],
            "playwright install --with-deps chromium \\\n && rm -rf /var/lib/apt/lists/*",
            "installs the browser that Playwright controls, and its libraries, readable by all users",
        );
    }
    match copied {
        true => script.line(
            "COPY --from=build /app ./",
            "the sources and the built files",
        ),
        false => script.sources(),
    }
    app.run(script, &start.start_text());
    Ok(())
}

/// The libraries that the project's packages need. A package that only others need counts where it has no wheels.
fn libraries(packages: &Packages) -> impl Iterator<Item = &'static Library> {
    LIBRARIES.iter().filter(|library| {
        let asked = packages.has(library.package)
            || !library.build.is_empty() && packages.installs(library.package);
        asked && !packages.has(&format!("{}[binary]", library.package))
    })
}

/// What is built out of the sources before the app starts; true when the stage `build` holds them then.
fn prepare(app: &App<'_>, script: &mut Script, assets: bool) -> bool {
    let build = app.detection.build.as_deref();
    if !assets && build.is_none() {
        return false;
    }
    let copy = match assets {
        true => "COPY --from=assets /app ./",
        false => "COPY . .",
    };
    script.line(copy, "sources last, because they change most often");
    script.results(|_| true);
    if let Some(build) = build {
        script.run(
            &[],
            build,
            "collects static files, with placeholders for settings that only the running app has",
        );
    }
    true
}

/// The server that the command names and that nothing installs.
fn missing_server(start: &Start, packages: &Packages) -> Option<&'static str> {
    let command = start.program.as_str();
    let package = command.trim_end_matches("-serve");
    let known = SERVERS.iter().find(|(name, _)| *name == command);
    known
        .filter(|_| !packages.installs(package))
        .map(|(_, asked)| *asked)
}

/// The first stage: up to the installed dependencies.
fn build(app: &App<'_>, script: &mut Script, server: Option<&str>) {
    if app.manager() == "conda" {
        return install::conda(app, script, server);
    }
    script.stage(
        &app.image("python.build"),
        Some("build"),
        "the full image, with git, and compilers and headers for packages without wheels",
    );
    let packages = Packages::read(&app.folder);
    let headers = libraries(&packages).filter(|library| !library.build.is_empty());
    let (by, headers): (Vec<&str>, Vec<_>) = headers
        .map(|library| (library.package, library.build))
        .unzip();
    let why = format!("headers to compile {}, which has no wheels", by.join(", "));
    debian::install(script, &headers.concat(), &why);
    script.line("WORKDIR /app", "the same directory as in the final image");
    let old = app
        .detection
        .version
        .as_deref()
        .is_some_and(|version| version.starts_with('2'));
    let (mut command, mut why) = match old {
        true => (
            "pip install 'virtualenv<20.22' && virtualenv /venv".to_owned(),
            "creates a virtual environment, which Python 2 can't do on its own".to_owned(),
        ),
        false => (
            "python -m venv /venv".to_owned(),
            "creates a virtual environment, which is easy to copy to the final image".to_owned(),
        ),
    };
    if let Some(server) = server {
        command.push_str(&format!(" && /venv/bin/pip install '{server}'"));
        why.push_str(WHY_SERVER);
    }
    let caches: &[&str] = if old || server.is_some() {
        &[PIP_CACHE]
    } else {
        &[]
    };
    script.run(caches, &command, &why);
    script.environment(
        &[("PATH", "/venv/bin:$PATH"), ("VIRTUAL_ENV", "/venv")],
        "the following steps install into the virtual environment",
    );
    match app.manager() {
        "uv" => install::uv(app, script),
        "poetry" => install::poetry(app, script),
        "pdm" => install::pdm(app, script),
        "pipenv" => install::pipenv(app, script),
        _ if app.detection.install.is_some() => install::pip(app, script),
        _ => {}
    }
}

/// Documents that are built into files.
fn site(app: &App<'_>, script: &mut Script) -> Result<(), GenerateError> {
    build(app, script, None);
    script.line("COPY . .", "the site's sources");
    let output = app.detection.output.as_deref().unwrap_or("site");
    let command = app.detection.build.as_deref().unwrap_or("mkdocs build");
    script.run(&[], command, "builds the site");
    static_site::serve(app, script, &format!("/app/{output}"));
    Ok(())
}
