//! Validates an [`App`] before anything is applied.

mod deadlines;
mod environment;
mod labels;
mod problems;
mod resources;
mod traffic;

use pipeops_core::Revision;

use self::problems::{Problems, shown};
use crate::app::{App, Strategy};
use crate::error::{ConfigProblem, InvalidApp};
use crate::names;

/// More pods than this are a typo.
const MAX_REPLICAS: u32 = 10_000;
/// Kubernetes' limit; Linux allows more.
const MAX_ID: u32 = i32::MAX as u32;

impl App {
    /// Validates all fields, as [`ManifestGenerator::generate`](crate::ManifestGenerator::generate) does first.
    ///
    /// # Errors
    /// [`InvalidApp`] with all problems, not only the first.
    pub fn check(&self) -> Result<(), InvalidApp> {
        self.checked_revision().map(drop)
    }

    /// What is valid and probably a mistake: values in [`env`](App::env), [`command`](App::command) and [`args`](App::args) that look
    /// like secrets. The messages never contain the values.
    ///
    /// ```
    /// use pipeops_manifest::App;
    ///
    /// let image = format!("registry.example.com/shop@sha256:{}", "0".repeat(64)).parse()?;
    /// let app = App::new("shop", "prod", "4f2c9ab", image).env("DATABASE_URL", "postgres://shop:pw@db/shop");
    /// assert_eq!(app.warnings()[0].path, "env.DATABASE_URL");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn warnings(&self) -> Vec<ConfigProblem> {
        environment::warnings(self)
    }

    /// The revision of a valid app.
    pub(crate) fn checked_revision(&self) -> Result<&Revision, InvalidApp> {
        let mut found = Problems::default();
        identity(self, &mut found);
        image(self, &mut found);
        pods(self, &mut found);
        environment::check(self, &mut found);
        process(self, &mut found);
        deadlines::health(self, &mut found);
        deadlines::timing(self, &mut found);
        if let Some(resources) = &self.resources {
            resources::check(resources, &mut found);
        }
        traffic::check(self, &mut found);
        labels::check(self, &mut found);
        match &self.revision {
            Ok(revision) if found.0.is_empty() => Ok(revision),
            _ => Err(InvalidApp::new(&self.name, found.0)),
        }
    }
}

fn identity(app: &App, found: &mut Problems) {
    found.require(
        names::is_service_name(&app.name),
        "name",
        format!("{} must consist of 1 to 63 lower-case letters, digits and dashes, begin with a letter and not end with a dash", shown(&app.name)),
    );
    found.require(
        names::is_dns_label(&app.namespace),
        "namespace",
        format!(
            "{} must consist of 1 to 63 lower-case letters, digits and inner dashes",
            shown(&app.namespace)
        ),
    );
    if let Err(invalid) = &app.revision {
        found.add("revision", invalid.to_string());
    }
}

fn image(app: &App, found: &mut Problems) {
    if app.image.digest().is_some() {
        return;
    }
    if !app.allow_tag {
        found.add(
            "image",
            format!(
                "{:?} has no digest; use name:tag@sha256:…, or set allowTag",
                app.image.to_string()
            ),
        );
    } else if matches!(app.image.tag(), None | Some("latest")) {
        found.add(
            "image",
            format!(
                "{:?} has neither a digest nor a fixed tag",
                app.image.to_string()
            ),
        );
    }
}

fn pods(app: &App, found: &mut Problems) {
    found.require(
        (1..=MAX_REPLICAS).contains(&app.replicas),
        "replicas",
        format!("{} must be between 1 and {MAX_REPLICAS}", app.replicas),
    );
    if let Strategy::Rolling {
        max_unavailable: 0,
        max_surge: 0,
    } = app.strategy
    {
        found.add(
            "strategy.rolling",
            "maxUnavailable and maxSurge must not both be 0: no pod could be replaced",
        );
    }
}

fn process(app: &App, found: &mut Problems) {
    for (path, id) in [("uid", Some(app.uid)), ("gid", app.gid)] {
        let Some(id) = id else { continue };
        found.require(
            id != 0,
            path,
            "must not be 0: the process would run as root",
        );
        found.require(id <= MAX_ID, path, format!("{id} must be at most {MAX_ID}"));
    }
    for path in &app.writable_paths {
        found.require(
            is_writable_path(path),
            "writablePaths",
            format!("{} must be an absolute path below /, without ':' and without empty, '.' or '..' segments", shown(path)),
        );
    }
    for (path, words) in [("command", &app.command), ("args", &app.args)] {
        found.require(
            words.iter().all(|word| !word.contains('\0')),
            path,
            "must not contain a NUL byte",
        );
    }
}

fn is_writable_path(path: &str) -> bool {
    path.len() <= 1024
        && !path.contains([':', '\0'])
        && path
            .strip_prefix('/')
            .is_some_and(|rest| rest.split('/').all(|part| !matches!(part, "" | "." | "..")))
}
