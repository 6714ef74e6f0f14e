//! Django: where its settings are, and what serves it.

use super::packages::Packages;
use super::serve::{self, Target};
use crate::findings::{Findings, weight};
use crate::plan::{Build, Command};
use crate::repository::folder::{Folder, is_beside};
use crate::repository::port::DEFAULT_PORT;
use crate::repository::stand_in;

/// Finds a Django project, at the root or in a folder of it; true when there is one.
pub(crate) fn find(found: &mut Findings, folder: &Folder<'_>, packages: &Packages) -> bool {
    let Some(manage) = manage(folder, packages) else {
        return false;
    };
    let text = folder.text(&manage).unwrap_or_default();
    let base = manage.strip_suffix("/manage.py").unwrap_or("").to_owned();
    let project = Django {
        root: folder.sub(&base),
        base,
        settings: settings_module(&text),
    };
    found.add(weight::ENTRY, folder, &manage, "Django's manage.py");
    found.framework = Some("django".to_owned());
    found.port = Some(DEFAULT_PORT);
    let command = project.command(packages);
    if command.is_none() {
        found.add(
            weight::NONE,
            folder,
            &manage,
            "no production server among the packages: uses Django's development server",
        );
    }
    let own = || {
        let command = Command::new("python").arg(&manage);
        command.args("runserver --noreload 0.0.0.0:$PORT")
    };
    found.plan.start = Some(command.unwrap_or_else(own));
    collect_static(found, folder, packages, &project, &manage);
    true
}

/// `manage.py` of the folder, or of the only folder inside that has one.
fn manage(folder: &Folder<'_>, packages: &Packages) -> Option<String> {
    let is_django = |path: &str| {
        // Flask-Script's projects have such a file too.
        let text = folder.text(path).unwrap_or_default();
        text.contains("django") || (text.trim().is_empty() && packages.has("django"))
    };
    if folder.has("manage.py") {
        return is_django("manage.py").then(|| "manage.py".to_owned());
    }
    if !packages.installs("django") {
        return None;
    }
    let inside = folder.own_dirs().filter(|name| !is_beside(name));
    let mut all = inside
        .map(|name| format!("{name}/manage.py"))
        .filter(|path| folder.has(path) && is_django(path));
    all.next().filter(|_| all.next().is_none())
}

struct Django<'a> {
    /// The folder of `manage.py`.
    root: Folder<'a>,
    /// Its path from the app's folder; empty is the same.
    base: String,
    /// The module of the settings, as `manage.py` says.
    settings: Option<String>,
}

impl Django<'_> {
    fn command(&self, packages: &Packages) -> Option<Command> {
        let wsgi = self.target("wsgi");
        let asgi = self.target("asgi");
        let by_asgi = || serve::asgi(packages, asgi.as_ref()?);
        let by_wsgi = || serve::wsgi(packages, wsgi.as_ref()?);
        // Channels serves websockets too, which WSGI cannot.
        if packages.has("channels") || packages.has("daphne") {
            return by_asgi().or_else(by_wsgi);
        }
        by_wsgi().or_else(by_asgi)
    }

    /// The module that offers the app by one of the two standards.
    fn target(&self, standard: &str) -> Option<Target> {
        let file = self.file(standard)?;
        let text = self.root.text(&file).unwrap_or_default();
        let is_app = |line: &str| line.starts_with("app =") || line.starts_with("app=");
        let named_app = text.lines().any(is_app) && !text.contains("application");
        Some(Target {
            base: self.base.clone(),
            module: file.trim_end_matches(".py").replace('/', "."),
            object: if named_app { "app" } else { "application" }.to_owned(),
            factory: false,
        })
    }

    /// `config/wsgi.py`: beside the settings, or above them, or wherever there is one.
    fn file(&self, standard: &str) -> Option<String> {
        let name = format!("{standard}.py");
        let mut package = self.settings.as_deref().unwrap_or_default();
        while let Some((above, _)) = package.rsplit_once('.') {
            package = above;
            let path = format!("{}/{name}", package.replace('.', "/"));
            if self.root.has(&path) {
                return Some(path);
            }
        }
        if self.root.has(&name) {
            return Some(name);
        }
        let dirs = self.root.own_dirs().filter(|dir| !is_beside(dir));
        let mut paths = dirs.map(|dir| format!("{dir}/{name}"));
        paths.find(|path| self.root.has(path))
    }

    /// A file of the project, from the app's folder.
    fn at(&self, file: &str) -> String {
        match self.base.as_str() {
            "" => file.to_owned(),
            base => format!("{base}/{file}"),
        }
    }

    /// The files of the settings that are for deployment, with their texts.
    fn settings_files(&self) -> Vec<(String, String)> {
        let Some(module) = self.production() else {
            return Vec::new();
        };
        let path = module.replace('.', "/");
        let mut files = vec![format!("{path}.py"), format!("{path}/__init__.py")];
        let dir = path.rsplit_once('/').map_or("", |(dir, _)| dir);
        if dir.ends_with("settings") {
            let common = ["base", "common", "defaults", "__init__"];
            files.extend(common.map(|name| format!("{dir}/{name}.py")));
        }
        let read = |file: String| Some((file.clone(), self.root.text(&file)?));
        files.into_iter().filter_map(read).collect()
    }

    /// The settings that the server uses: `wsgi.py` names those for deployment, `manage.py` often the developer's.
    fn production(&self) -> Option<String> {
        let file = self.file("wsgi").or_else(|| self.file("asgi"));
        let text = file.and_then(|file| self.root.text(&file));
        text.and_then(|text| settings_module(&text))
            .or_else(|| self.settings.clone())
    }
}

/// The value of `DJANGO_SETTINGS_MODULE` that a file sets.
fn settings_module(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("DJANGO_SETTINGS_MODULE")?;
    // The quote that ends the name, then the one that begins the value.
    let value = rest.split(['"', '\'']).nth(2)?;
    let is_module = |ch: char| ch.is_alphanumeric() || "._".contains(ch);
    (!value.is_empty() && value.chars().all(is_module)).then(|| value.to_owned())
}

/// Files for browsers are collected where the settings say where to.
fn collect_static(
    found: &mut Findings,
    folder: &Folder<'_>,
    packages: &Packages,
    project: &Django<'_>,
    manage: &str,
) {
    let files = project.settings_files();
    let sets = |text: &str| {
        let mut lines = text.lines();
        lines.any(|line| line.trim_start().starts_with("STATIC_ROOT"))
    };
    let Some((file, _)) = files.iter().find(|(_, text)| sets(text)) else {
        return;
    };
    let file = project.at(file);
    found.add(
        weight::NONE,
        folder,
        &file,
        "sets STATIC_ROOT: static files are collected",
    );
    if !packages.installs("whitenoise") && !packages.installs("django-storages") {
        let says = "none of the packages serves them (whitenoise would)";
        found.add(weight::NONE, folder, &file, says);
    }
    let command = Command::new("python").arg(manage);
    let mut command = command.args("collectstatic --noinput");
    let production = project.production();
    if production != project.settings
        && let Some(module) = production
    {
        command = command.variable("DJANGO_SETTINGS_MODULE", module);
    }
    for name in files.iter().flat_map(|(_, text)| required(text)) {
        if !command.environment.iter().any(|(set, _)| *set == name) {
            command = command.variable(&name, stand_in(&name));
        }
    }
    let mut compress = command.clone();
    // Without `--force`, the command fails where the settings of the build turn on `DEBUG`.
    let words = [manage, "compress", "--force"];
    compress.arguments = words.map(str::to_owned).to_vec();
    let mut steps = vec![command];
    if let Some((file, _)) = files.iter().find(|(_, text)| compresses_offline(text))
        && packages.installs("django-compressor")
    {
        let file = project.at(file);
        let says = "COMPRESS_OFFLINE: pages are compressed once the static files are collected";
        found.add(weight::NONE, folder, &file, says);
        steps.push(compress);
    }
    found.plan.build = Some(Build { steps });
}

/// Whether the settings leave it to a command to compress what pages include, instead of the first request.
fn compresses_offline(text: &str) -> bool {
    let mut values = text.lines().rev().filter_map(|line| {
        let (name, value) = line.split_once('=')?;
        (name.trim() == "COMPRESS_OFFLINE").then_some(value)
    });
    values.next().is_some_and(|value| !value.contains("False"))
}

/// The variables without which the settings cannot be loaded.
fn required(text: &str) -> Vec<String> {
    const READS: &[&str] = &[
        "environ[",
        "env(",
        "env.str(",
        "env.db(",
        "env.db_url(",
        "env.bool(",
        "env.int(",
        "env.list(",
        "env.cache(",
        "env.url(",
        "config(",
        "getenv(",
        "environ.get(",
    ];
    let mut names = Vec::new();
    let code = text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'));
    for line in code {
        for read in READS {
            for (at, _) in line.match_indices(read) {
                let before = line[..at].chars().next_back();
                let rest = line[at + read.len()..].trim_start();
                let Some(quote) = rest.chars().next().filter(|ch| "\"'".contains(*ch)) else {
                    continue;
                };
                let Some((name, after)) = rest[1..].split_once(quote) else {
                    continue;
                };
                let after = after.trim_start();
                let no_default = after.starts_with([']', ')']) || after.starts_with(", cast");
                // `environ["X"] = y` sets it; what is asked for first may be missing.
                let set = after.trim_start_matches(']').trim_start();
                let assigned = set.starts_with('=') && !set.starts_with("==");
                let asked = ["\"", "'"].iter().any(|quote| {
                    let name = format!("{quote}{name}{quote}");
                    text.contains(&format!("{name} in os.environ"))
                        || text.contains(&format!("{name} in environ"))
                        || text.contains(&format!("{name} not in os.environ"))
                        || text.contains(&format!("environ.setdefault({name}"))
                });
                // Django itself refuses to start without this one.
                let optional = read.contains("get") && !name.contains("SECRET_KEY");
                let is_name = name
                    .chars()
                    .all(|ch| ch.is_ascii_alphanumeric() || ch == '_');
                let is_word = before.is_none_or(|ch| !ch.is_alphanumeric() && ch != '_');
                let wanted = no_default && !optional && !assigned && !asked;
                if wanted && is_name && is_word && !name.is_empty() {
                    names.push(name.to_owned());
                }
            }
        }
    }
    names
}

/// A value that lets settings load during the build.
fn stand_in(name: &str) -> &'static str {
    let is_database = ["DATABASE_URL", "DB_URL"]
        .iter()
        .any(|part| name.contains(part));
    match is_database {
        // Nothing else is needed for this one.
        true => "sqlite:////tmp/build.sqlite3",
        false => stand_in::value(name),
    }
}

#[cfg(test)]
mod tests {
    use super::super::detect::detect;
    use crate::languages::layouts::{Layout, check};

    const MANAGE: &str =
        "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')\nimport django";
    const WSGI: (&str, &str) = ("shop/wsgi.py", "");
    const ASGI: (&str, &str) = ("shop/asgi.py", "");
    const SHOP: (&str, &str) = ("manage.py", MANAGE);
    const COMPRESSOR: (&str, &str) = ("requirements.txt", "django\ngunicorn\ndjango-compressor");

    // One line per layout.
    #[rustfmt::skip]
    const LAYOUTS: &[Layout] = &[
        // The server is one that is installed.
        (&[("requirements.txt", "django\ngunicorn"), ("manage.py", MANAGE), WSGI, ASGI], &["start gunicorn --bind 0.0.0.0:$PORT shop.wsgi:application"]),
        (&[("requirements.txt", "django\nuvicorn"), ("manage.py", MANAGE), WSGI, ASGI], &["start uvicorn --host 0.0.0.0 --port $PORT shop.asgi:application"]),
        (&[("requirements.txt", "django\nchannels\ndaphne\ngunicorn"), ("manage.py", MANAGE), WSGI, ASGI], &["start daphne -b 0.0.0.0 -p $PORT shop.asgi:application"]),
        (&[("requirements.txt", "django"), ("manage.py", MANAGE), WSGI, ASGI], &["start python manage.py runserver --noreload 0.0.0.0:$PORT"]),
        // A project one folder down is served from there.
        (&[("requirements.txt", "Django\ngunicorn"), ("site/manage.py", MANAGE), ("site/shop/wsgi.py", "")], &["start gunicorn --pythonpath site --bind 0.0.0.0:$PORT shop.wsgi:application"]),
        (&[("manage.py", "from flask_script import Manager")], &["framework"]),
        // Static files are collected with the settings of production.
        (&[
            ("requirements.txt", "django\ngunicorn"),
            ("manage.py", "'DJANGO_SETTINGS_MODULE', 'config.settings.local' django"),
            ("config/wsgi.py", "setdefault(\"DJANGO_SETTINGS_MODULE\", \"config.settings.production\")"),
            ("config/settings/base.py", "STATIC_ROOT = '/static'\nDATABASES = {'default': env.db('DATABASE_URL')}"),
            ("config/settings/production.py", "SECRET_KEY = os.environ['SECRET_KEY']\nX = os.environ.get('X')"),
        ], &["build DJANGO_SETTINGS_MODULE=config.settings.production SECRET_KEY=build-only-build-only-build-only DATABASE_URL=sqlite:////tmp/build.sqlite3 python manage.py collectstatic --noinput"]),
        // Pages that are compressed before they are served.
        (&[COMPRESSOR, SHOP, WSGI, ("shop/settings.py", "STATIC_ROOT = 'x'\nCOMPRESS_OFFLINE = True")], &["build python manage.py collectstatic --noinput && python manage.py compress --force"]),
        (&[COMPRESSOR, SHOP, WSGI, ("shop/settings.py", "STATIC_ROOT = 'x'\nCOMPRESS_OFFLINE = not DEBUG\nSECRET_KEY = os.environ['KEY']")], &["build KEY=build-only-build-only-build-only python manage.py collectstatic --noinput && KEY=build-only-build-only-build-only python manage.py compress --force"]),
        (&[COMPRESSOR, SHOP, WSGI, ("shop/settings.py", "STATIC_ROOT = 'x'\nCOMPRESS_OFFLINE = False")], &["build python manage.py collectstatic --noinput"]),
        (&[COMPRESSOR, SHOP, WSGI, ("shop/settings.py", "STATIC_ROOT = 'x'\nCOMPRESS_OFFLINE = env.bool('C', default=False)")], &["build python manage.py collectstatic --noinput"]),
        (&[("requirements.txt", "django\ngunicorn"), SHOP, WSGI, ("shop/settings.py", "STATIC_ROOT = 'x'\nCOMPRESS_OFFLINE = True")], &["build python manage.py collectstatic --noinput"]),
        // Only what the settings can't be loaded without gets a stand-in.
        (&[
            ("requirements.txt", "django\ngunicorn"),
            ("manage.py", "'DJANGO_SETTINGS_MODULE', 'papers.settings' django"),
            ("papers/wsgi.py", ""),
            ("papers/settings.py", "os.environ[\"THREADS\"] = \"1\"\nKEY = os.environ[\"PAPERS_SECRET_KEY\"]\nX = tuple(json.loads(os.environ[\"PROXY\"])) if \"PROXY\" in os.environ else None\nos.environ.setdefault('MODE', 'x')\nM = os.environ['MODE']\nif 'B' not in os.environ:\n  b = os.environ['B']\nSTATIC_ROOT = \"static\""),
        ], &["build PAPERS_SECRET_KEY=build-only-build-only-build-only python manage.py collectstatic --noinput"]),
    ];

    #[test]
    fn layouts() {
        check(detect, LAYOUTS);
    }
}
