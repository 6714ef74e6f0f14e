//! Ruby: gems are built with compilers and taken over without them.

use super::script::Script;
use super::{App, GenerateError, UID, static_site};

const CACHE: &str = "/root/.bundle/cache";

pub(super) fn write(app: &App<'_>, script: &mut Script) -> Result<(), GenerateError> {
    if let Some(output) = app.detection.output.as_deref() {
        gems(app, script);
        script.line("COPY . .", "the documents");
        let build = app
            .detection
            .build
            .as_deref()
            .unwrap_or("bundle exec jekyll build");
        script.run(&[], build, "builds the documents into files");
        static_site::serve(app, script, &format!("/app/{output}"));
        return Ok(());
    }
    let start = app.start()?;
    let bundled = app.detection.install.is_some();
    if bundled {
        gems(app, script);
        script.line("COPY . .", "the sources last: they change most often");
        if app.framework() == "rails" {
            rails(app, script);
        }
    }
    script.stage(
        &app.image("ruby.run"),
        None,
        "the image that runs: no compilers",
    );
    let mut settings = vec![("RACK_ENV", "production")];
    if bundled {
        settings.extend(bundler(app));
    }
    if app.framework() == "rails" {
        settings.extend([("RAILS_ENV", "production"), ("RAILS_LOG_TO_STDOUT", "1")]);
    }
    app.environment(script, &settings);
    script.line("WORKDIR /app", "the app's folder");
    if bundled {
        script.line(
            "COPY --from=build /bundle /bundle",
            "the gems, without what built them",
        );
        script.line("COPY --from=build /app ./", "sources and built files");
    } else {
        script.line("COPY . .", "the sources");
    }
    app.run(script, start);
    Ok(())
}

fn bundler(app: &App<'_>) -> Vec<(&'static str, &'static str)> {
    let mut settings = vec![
        ("BUNDLE_PATH", "/bundle"),
        ("BUNDLE_WITHOUT", "development:test"),
    ];
    if app.folder.has("Gemfile.lock") || app.folder.has("gems.locked") {
        settings.push(("BUNDLE_DEPLOYMENT", "1"));
    }
    settings
}

fn gems(app: &App<'_>, script: &mut Script) {
    script.stage(
        &app.image("ruby.build"),
        Some("build"),
        "an image with compilers, for gems that need them",
    );
    script.line("WORKDIR /app", "the same folder as in the image that runs");
    script.environment(
        &bundler(app),
        "gems into a folder of their own, as the lock file says",
    );
    let files = [
        "Gemfile",
        "Gemfile.lock",
        "gems.rb",
        "gems.locked",
        ".ruby-version",
    ];
    let files: Vec<&str> = files
        .into_iter()
        .filter(|file| app.folder.has(file))
        .collect();
    script.line(
        &format!("COPY {} ./", files.join(" ")),
        "only what decides the dependencies: a change of sources keeps the next layer cached",
    );
    script.run(
        &[CACHE],
        "bundle install",
        "the cache mount keeps downloads between builds, outside of the image",
    );
}

fn rails(app: &App<'_>, script: &mut Script) {
    if app.folder.has_dir("app") && app.folder.sub("app").has_dir("assets") {
        script.run(
            &[],
            "RAILS_ENV=production SECRET_KEY_BASE_DUMMY=1 bundle exec rails assets:precompile",
            "files for browsers, built without the app's secret",
        );
    }
    script.run(
        &[],
        &format!("mkdir -p tmp log storage && chown -R {UID}:{UID} tmp log storage"),
        "the folders that Rails writes to",
    );
}
