//! Python: dependencies into a virtual environment, which the second stage takes over.

use super::script::{Script, quote};
use super::{App, GenerateError, static_site};

const PIP_CACHE: &str = "/root/.cache/pip";

pub(super) fn write(app: &App<'_>, script: &mut Script) -> Result<(), GenerateError> {
    if app.detection.output.is_some() {
        return site(app, script);
    }
    let start = app.start()?;
    let dependencies = app.detection.install.is_some();
    if dependencies {
        build(app, script);
    }
    script.stage(
        &app.image("python.run"),
        None,
        "the image that runs: no compilers, no caches",
    );
    let mut settings = vec![("PYTHONUNBUFFERED", "1"), ("PYTHONDONTWRITEBYTECODE", "1")];
    if dependencies {
        settings.push(("PATH", "/venv/bin:$PATH"));
    }
    if app.folder.has_dir("src") && start.starts_with("python -m ") {
        settings.push(("PYTHONPATH", "/app/src"));
    }
    app.environment(script, &settings);
    script.line("WORKDIR /app", "the app's folder");
    if dependencies {
        script.line(
            "COPY --from=build /venv /venv",
            "the dependencies, without what installed them",
        );
    }
    script.line("COPY . .", "the sources last: they change most often");
    app.run(script, start);
    Ok(())
}

/// The first stage: up to the installed dependencies.
fn build(app: &App<'_>, script: &mut Script) {
    let requirements = Requirements::read(app);
    let role = if requirements.git {
        "python.build.git"
    } else {
        "python.build"
    };
    script.stage(
        &app.image(role),
        Some("build"),
        "dependencies are installed in a stage of their own",
    );
    script.line("WORKDIR /app", "the same folder as in the image that runs");
    script.run(
        &[],
        "python -m venv /venv",
        "a folder with all dependencies, easy to take over",
    );
    script.environment(
        &[("PATH", "/venv/bin:$PATH"), ("VIRTUAL_ENV", "/venv")],
        "everything that follows installs into the virtual environment",
    );
    match app.manager() {
        "uv" => uv(app, script),
        "poetry" => poetry(script),
        "pdm" => pdm(script),
        "pipenv" => pipenv(app, script),
        _ => pip(app, script, &requirements),
    }
}

const WHY_COPY: &str =
    "only what decides the dependencies: a change of sources keeps the next layer cached";
const WHY_INSTALL: &str = "the cache mount keeps downloads between builds, outside of the image";

fn pip(app: &App<'_>, script: &mut Script, requirements: &Requirements) {
    let install = app.detection.install.as_deref().unwrap_or_default();
    let Some(file) = install.strip_prefix("pip install -r ") else {
        script.line(
            "COPY . .",
            "the project itself is installed: its sources are needed",
        );
        script.run(&[PIP_CACHE], "pip install .", WHY_INSTALL);
        return;
    };
    if requirements.local {
        script.line(
            "COPY . .",
            "the list of packages names folders of the project",
        );
    } else {
        let mut files = vec![file.to_owned()];
        files.extend(requirements.included.iter().cloned());
        for file in files {
            let target = file
                .rsplit_once('/')
                .map_or("./".to_owned(), |(dir, _)| format!("./{dir}/"));
            script.line(
                &format!("COPY {} {}", quote(&file), quote(&target)),
                WHY_COPY,
            );
        }
    }
    script.run(
        &[PIP_CACHE],
        &format!("pip install -r {}", quote(file)),
        WHY_INSTALL,
    );
}

/// What a requirements file needs besides itself.
#[derive(Default)]
struct Requirements {
    /// Other lists that it includes.
    included: Vec<String>,
    /// It installs folders of the project.
    local: bool,
    /// It installs from git repositories.
    git: bool,
}

impl Requirements {
    fn read(app: &App<'_>) -> Self {
        let install = app.detection.install.as_deref().unwrap_or_default();
        let mut found = Self::default();
        if let Some(file) = install.strip_prefix("pip install -r ") {
            found.read_file(app, file, 0);
        }
        found
    }

    fn read_file(&mut self, app: &App<'_>, file: &str, depth: usize) {
        let dir = file
            .rsplit_once('/')
            .map_or(String::new(), |(dir, _)| format!("{dir}/"));
        for line in app.folder.text(file).unwrap_or_default().lines() {
            let line = line.split('#').next().unwrap_or_default().trim();
            let included = ["-r ", "-c ", "--requirement ", "--constraint "]
                .iter()
                .find_map(|flag| line.strip_prefix(flag));
            if let Some(other) = included {
                let path = format!("{dir}{}", other.trim());
                if depth < 4 && app.folder.has(&path) && !self.included.contains(&path) {
                    self.included.push(path.clone());
                    self.read_file(app, &path, depth + 1);
                }
            }
            self.git |= line.contains("git+");
            self.local |=
                line.starts_with(['.', '/']) || line.starts_with("-e") || line.contains("file:");
        }
    }
}

fn uv(app: &App<'_>, script: &mut Script) {
    const CACHE: &str = "/root/.cache/uv";
    script.run(
        &[PIP_CACHE],
        "pip install 'uv>=0.5,<1'",
        "the tool that wrote the lock file",
    );
    script.environment(
        &[
            ("UV_PROJECT_ENVIRONMENT", "/venv"),
            ("UV_LINK_MODE", "copy"),
            ("UV_PYTHON_DOWNLOADS", "never"),
        ],
        "uv uses this environment and the image's Python",
    );
    let packaged = app
        .folder
        .text("pyproject.toml")
        .is_some_and(|text| text.contains("[build-system]"));
    script.line("COPY pyproject.toml uv.lock ./", WHY_COPY);
    script.run(
        &[CACHE],
        "uv sync --locked --no-dev --no-install-project --inexact",
        WHY_INSTALL,
    );
    if packaged {
        script.line("COPY . .", "the project itself is a package");
        script.run(
            &[CACHE],
            "uv sync --locked --no-dev --no-editable --inexact",
            "installs the project beside its dependencies",
        );
    }
}

fn poetry(script: &mut Script) {
    script.run(
        &[PIP_CACHE],
        "python -m venv /poetry && /poetry/bin/pip install 'poetry>=1.8,<3'",
        "Poetry in an environment of its own: it is not part of the app",
    );
    script.line("COPY pyproject.toml poetry.lock ./", WHY_COPY);
    script.run(
        &["/root/.cache/pypoetry"],
        "/poetry/bin/poetry install --only main --no-root --no-interaction",
        WHY_INSTALL,
    );
}

fn pdm(script: &mut Script) {
    script.run(
        &[PIP_CACHE],
        "python -m venv /pdm && /pdm/bin/pip install 'pdm>=2.15,<3'",
        "PDM in an environment of its own: it is not part of the app",
    );
    script.line("COPY pyproject.toml pdm.lock ./", WHY_COPY);
    script.run(
        &["/root/.cache/pdm"],
        "/pdm/bin/pdm sync --prod --no-self",
        WHY_INSTALL,
    );
}

fn pipenv(app: &App<'_>, script: &mut Script) {
    script.run(
        &[PIP_CACHE],
        "python -m venv /pipenv && /pipenv/bin/pip install 'pipenv>=2024'",
        "Pipenv in an environment of its own: it is not part of the app",
    );
    let locked = app.folder.has("Pipfile.lock");
    let (files, install) = match locked {
        true => ("Pipfile Pipfile.lock", "/pipenv/bin/pipenv sync"),
        false => ("Pipfile", "/pipenv/bin/pipenv install --skip-lock"),
    };
    script.line(&format!("COPY {files} ./"), WHY_COPY);
    script.run(&[PIP_CACHE, "/root/.cache/pipenv"], install, WHY_INSTALL);
}

/// Documents that are built into files.
fn site(app: &App<'_>, script: &mut Script) -> Result<(), GenerateError> {
    build(app, script);
    script.line("COPY . .", "the documents");
    let output = app.detection.output.as_deref().unwrap_or("site");
    let command = app.detection.build.as_deref().unwrap_or("mkdocs build");
    script.run(&[], command, "builds the documents into files");
    static_site::serve(app, script, &format!("/app/{output}"));
    Ok(())
}
