//! How each package manager of Python installs into `/venv`.

use crate::generate::app::App;
use crate::generate::script::{CACHED, Script, quote};
use crate::languages::python::packages::included;
use crate::languages::python::{version, workspace};

pub(crate) const PIP_CACHE: &str = "/root/.cache/pip";

pub(crate) const WHY_SERVER: &str =
    "; adds the server that the start command names, which the project doesn't install";

const WHY_PROJECT: &str = "all sources, because the project itself is installed";

const WHY_PARTS: &str = "all sources, because some dependencies are parts of the project";

const UV: &str = "uv>=0.8,<1";

/// By pip: a list of packages, or the project itself.
pub(crate) fn pip(app: &App<'_>, script: &mut Script) {
    let install = app.plan.install.as_ref();
    let list = install.and_then(|install| install.option("-r"));
    if let Some(file) = list.filter(|_| install.is_some_and(|install| install.program == "uv")) {
        script.run(
            &[PIP_CACHE],
            &format!("pip install '{UV}'"),
            "uv installs the dependencies of a pyproject.toml without building a package; pip can't",
        );
        script.manifests(file, "./");
        script.fetch(
            &["/root/.cache/uv"],
            &format!("uv pip install --link-mode copy -r {file}"),
        );
        return;
    }
    let Some(file) = list else {
        script.line("COPY . .", WHY_PROJECT);
        script.fetch(&[PIP_CACHE], "pip install .");
        return;
    };
    let mut files = vec![file.to_owned()];
    let mut local = false;
    let mut next = 0;
    while let Some(file) = files.get(next).filter(|_| next < 16).cloned() {
        let text = app.folder.text(&file).unwrap_or_default();
        local |= text.lines().any(is_local);
        let others = included(&text, &file).into_iter();
        let others: Vec<String> = others
            .filter(|other| app.folder.has(other) && !files.contains(other))
            .collect();
        files.extend(others);
        next += 1;
    }
    if local {
        script.line(
            "COPY . .",
            "all sources, because the package list names folders in the project",
        );
    } else {
        for file in &files {
            let dir = file
                .rsplit_once('/')
                .map_or("./".to_owned(), |(dir, _)| format!("./{dir}/"));
            script.manifests(&quote(file), &quote(&dir));
        }
    }
    script.fetch(&[PIP_CACHE], &format!("pip install -r {}", quote(file)));
}

/// Whether a line of a requirements file names a folder of the project.
fn is_local(line: &str) -> bool {
    let line = line.split(" #").next().unwrap_or_default().trim();
    let editable = line.starts_with("-e ") || line.starts_with("--editable");
    line.starts_with(['.', '/']) || editable && !line.contains("://") || line.contains("file:")
}

/// By uv, as its lock file says.
pub(crate) fn uv(app: &App<'_>, script: &mut Script) {
    const CACHE: &str = "/root/.cache/uv";
    script.run(
        &[PIP_CACHE],
        &format!("pip install '{UV}'"),
        "the tool that wrote the lockfile",
    );
    script.environment(
        &[
            ("UV_PROJECT_ENVIRONMENT", "/venv"),
            ("UV_LINK_MODE", "copy"),
            ("UV_PYTHON_DOWNLOADS", "never"),
        ],
        "uv uses this environment and the image's Python",
    );
    if version::unreadable(&app.folder).is_some() {
        script.environment(
            &[("UV_PYTHON", "/venv/bin/python")],
            "keeps uv from reading .python-version, whose encoding it doesn't know",
        );
    }
    let pyproject = app.folder.text("pyproject.toml").unwrap_or_default();
    let member = workspace::member(&app.folder);
    let locked = app.folder.has("uv.lock") || member.as_ref().is_some_and(|member| member.locked);
    let (files, flags) = match locked {
        true => ("pyproject.toml uv.lock", "--locked --no-dev"),
        false => ("pyproject.toml", "--no-dev"),
    };
    if let Some(member) = member {
        script.line(
            "COPY . .",
            "all sources, because the members of the workspace are installed",
        );
        let package = member.package;
        script.fetch(
            &[CACHE],
            &format!("uv sync {flags} --package {package} --no-editable --inexact"),
        );
        return;
    }
    // The members of a workspace, and dependencies by their path, are sources.
    let parts = pyproject.lines().any(|line| sets(line, "path"));
    if pyproject.contains("[tool.uv.workspace]") || parts {
        script.line("COPY . .", WHY_PARTS);
        script.fetch(
            &[CACHE],
            &format!("uv sync {flags} --no-editable --inexact"),
        );
        return;
    }
    script.manifests(files, "./");
    script.fetch(
        &[CACHE],
        &format!("uv sync {flags} --no-install-project --inexact"),
    );
    if pyproject.contains("[build-system]") {
        script.line("COPY . .", "the project itself is a package");
        script.run(
            &[CACHE],
            &format!("uv sync {flags} --no-editable --inexact"),
            "installs the project next to its dependencies",
        );
    }
}

/// By Poetry. The project itself is installed where its own command starts it.
pub(crate) fn poetry(app: &App<'_>, script: &mut Script) {
    const CACHE: &str = "/root/.cache/pypoetry";
    script.run(
        &[PIP_CACHE],
        "python -m venv /poetry && /poetry/bin/pip install 'poetry>=1.8,<3'",
        "installs Poetry in a separate environment, which isn't part of the app",
    );
    let install = "/poetry/bin/poetry install --only main --no-interaction";
    let pyproject = app.folder.text("pyproject.toml").unwrap_or_default();
    if pyproject.lines().any(|line| sets(line, "path")) {
        script.line("COPY . .", WHY_PARTS);
    } else {
        let lock = if app.folder.has("poetry.lock") {
            " poetry.lock"
        } else {
            ""
        };
        script.manifests(&format!("pyproject.toml{lock}"), "./");
    }
    script.fetch(&[CACHE], &format!("{install} --no-root"));
    if starts_itself(app, &pyproject) {
        script.line("COPY . .", WHY_PROJECT);
        script.run(&[CACHE], install, "installs the project's command");
    }
}

/// By PDM. The project itself is installed where its own command starts it.
pub(crate) fn pdm(app: &App<'_>, script: &mut Script) {
    const CACHE: &str = "/root/.cache/pdm";
    script.run(
        &[PIP_CACHE],
        "python -m venv /pdm && /pdm/bin/pip install 'pdm>=2.15,<3'",
        "installs PDM in a separate environment, which isn't part of the app",
    );
    let (files, install) = match app.folder.has("pdm.lock") {
        true => (
            "pyproject.toml pdm.lock",
            "/pdm/bin/pdm sync --prod --no-editable",
        ),
        false => (
            "pyproject.toml",
            "/pdm/bin/pdm install --prod --no-editable",
        ),
    };
    let pyproject = app.folder.text("pyproject.toml").unwrap_or_default();
    match pyproject.contains("file://") {
        true => script.line("COPY . .", WHY_PARTS),
        false => script.manifests(files, "./"),
    }
    script.fetch(&[CACHE], &format!("{install} --no-self"));
    if starts_itself(app, &pyproject) {
        script.line("COPY . .", WHY_PROJECT);
        script.run(&[CACHE], install, "installs the project's command");
    }
}

/// Whether the start command is one that the project installs.
fn starts_itself(app: &App<'_>, pyproject: &str) -> bool {
    let start = app.plan.start.as_ref();
    let command = start.map_or("", |start| start.program.as_str());
    let mut lines = pyproject
        .lines()
        .map(|line| line.trim_start().trim_start_matches('"'));
    let installs = |line: &str| {
        line.strip_prefix(command)
            .is_some_and(|rest| rest.trim_start_matches('"').trim_start().starts_with('='))
    };
    !command.is_empty() && pyproject.contains("scripts]") && lines.any(installs)
}

/// By pipenv, into the same environment.
pub(crate) fn pipenv(app: &App<'_>, script: &mut Script) {
    script.run(
        &[PIP_CACHE],
        "python -m venv /pipenv && /pipenv/bin/pip install 'pipenv>=2024'",
        "installs Pipenv in a separate environment, which isn't part of the app",
    );
    let (files, install) = match app.folder.has("Pipfile.lock") {
        true => ("Pipfile Pipfile.lock", "/pipenv/bin/pipenv sync"),
        false => ("Pipfile", "/pipenv/bin/pipenv install --skip-lock"),
    };
    let pipfile = app.folder.text("Pipfile").unwrap_or_default();
    let own = ["path", "file", "editable"];
    let own = pipfile
        .lines()
        .any(|line| own.iter().any(|key| sets(line, key)));
    match own {
        true => script.line("COPY . .", WHY_PARTS),
        false => script.manifests(files, "./"),
    }
    script.fetch(&[PIP_CACHE, "/root/.cache/pipenv"], install);
}

/// Whether a line of a TOML file sets this key, in a table or in an inline one.
fn sets(line: &str, key: &str) -> bool {
    line.split(['{', ',']).any(|part| {
        part.split_once('=')
            .is_some_and(|(name, _)| name.trim() == key)
    })
}

/// By micromamba, which reads conda's files. The environment brings its own Python and libraries.
pub(crate) fn conda(app: &App<'_>, script: &mut Script, server: Option<&str>) {
    let install = app.plan.install.as_ref();
    let file = install.and_then(|install| install.option("--file"));
    let file = file.unwrap_or("environment.yml");
    script.stage(
        &app.images.image("python.build", None),
        Some("build"),
        "compilers and git for packages that pip adds to the environment",
    );
    let micromamba = app.images.image("conda.build", None);
    script.line(
        &format!("COPY --from={micromamba} /bin/micromamba /usr/local/bin/"),
        "a small tool that installs conda environments",
    );
    script.line("WORKDIR /app", "the same directory as in the final image");
    script.manifests(file, "./");
    let mut command = format!(
        "micromamba create --yes --always-copy --root-prefix /root/micromamba --prefix /venv --file {file}"
    );
    let mut why = CACHED.to_owned();
    if let Some(server) = server {
        command.push_str(&format!(
            " \\\n && /venv/bin/python -m pip install '{server}'"
        ));
        why.push_str(WHY_SERVER);
    }
    script.run(&["/root/micromamba/pkgs", PIP_CACHE], &command, &why);
    script.environment(
        &[("PATH", "/venv/bin:$PATH")],
        "the following steps use the environment",
    );
}
