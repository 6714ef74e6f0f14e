//! PHP: Composer in a stage of its own, Apache on a port that needs no root.

use super::script::Script;
use super::{App, GenerateError};

pub(super) fn write(app: &App<'_>, script: &mut Script) -> Result<(), GenerateError> {
    let start = app.start()?;
    let composed = app.detection.install.is_some();
    if composed {
        composer(app, script);
    }
    script.stage(&app.image("php.run"), None, "PHP inside of Apache");
    app.environment(script, &[]);
    let Some(root) = start.strip_prefix("php -S 0.0.0.0:$PORT -t ") else {
        script.line("WORKDIR /app", "the app's folder");
        copy(script, composed);
        app.run(script, start);
        return Ok(());
    };
    let port = app.detection.port.unwrap_or(8080);
    let root = if root == "." {
        String::new()
    } else {
        format!("/{root}")
    };
    script.run(
        &[],
        &format!(
            "sed -i 's/^Listen 80$/Listen {port}/' /etc/apache2/ports.conf \\\n && \
             sed -i 's/:80>/:{port}>/; s|/var/www/html|/app{root}|' /etc/apache2/sites-available/000-default.conf \\\n && \
             printf '<Directory /app>\\nAllowOverride All\\nRequire all granted\\n</Directory>\\n' > /etc/apache2/conf-enabled/app.conf \\\n && \
             a2enmod rewrite"
        ),
        "a port above 1023, the app's folder, and its own rules for paths",
    );
    script.line("WORKDIR /app", "the app's folder");
    copy(script, composed);
    app.run(script, "apache2-foreground");
    Ok(())
}

fn copy(script: &mut Script, composed: bool) {
    if composed {
        script.line(
            "COPY --from=build /app ./",
            "sources and packages, without Composer",
        );
    } else {
        script.line("COPY . .", "the sources");
    }
}

fn composer(app: &App<'_>, script: &mut Script) {
    script.stage(
        &app.image("php.build"),
        Some("build"),
        "Composer stays in a stage of its own",
    );
    script.line("WORKDIR /app", "the same folder as in the image that runs");
    let files = if app.folder.has("composer.lock") {
        "composer.json composer.lock"
    } else {
        "composer.json"
    };
    script.line(
        &format!("COPY {files} ./"),
        "only what decides the dependencies: a change of sources keeps the next layer cached",
    );
    script.run(
        &["/tmp/cache"],
        "composer install --no-dev --no-scripts --no-autoloader --no-interaction --ignore-platform-reqs",
        "the cache mount keeps downloads between builds, outside of the image",
    );
    script.line("COPY . .", "the sources last: they change most often");
    script.run(
        &[],
        "composer dump-autoload --no-dev --optimize --no-scripts",
        "the table of classes, now that they are there",
    );
}
