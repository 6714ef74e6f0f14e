//! PHP: Composer in a stage of its own, Apache on a port that needs no root.

use super::runtime::{self, Needs, PLAIN, SHOWN};
use crate::generate::app::App;
use crate::generate::error::GenerateError;
use crate::generate::script::Script;
use crate::languages::assets;
use crate::languages::nodejs::frontend::Frontend;
use crate::languages::php::composer::Composer;
use crate::plan::Start;
use crate::repository::shell::Line;
use crate::repository::version::compare;

pub(crate) fn write(app: &App<'_>, script: &mut Script) -> Result<(), GenerateError> {
    let start = app.start()?;
    let php = Php::read(app, start);
    if php.composed {
        composer(app, script);
    }
    let needs: &[&str] = if php.composed { &["vendor"] } else { &[] };
    let frontend = Frontend::read(&app.folder, "").filter(|frontend| frontend.build().is_some());
    if let Some(frontend) = &frontend {
        assets::stage(app, script, frontend, needs);
    }
    let role = if php.root.is_some() {
        "php.run"
    } else {
        "php.run.cli"
    };
    let why = match php.root {
        Some(_) => "PHP inside Apache",
        None => "PHP without Apache, because the program serves requests itself or serves none",
    };
    script.stage(&app.image(role), None, why);
    php.environment(script);
    php.extensions(script);
    script.line("WORKDIR /app", "the app's directory");
    php.settings(script);
    php.copy(script, frontend.is_some());
    php.folders(script);
    php.command(script, &start.start_text());
    Ok(())
}

struct Php<'a> {
    app: &'a App<'a>,
    needs: &'static Needs,
    /// The folder that Apache serves; none for programs of their own.
    root: Option<String>,
    composed: bool,
}

impl<'a> Php<'a> {
    fn read(app: &'a App<'a>, start: &Start) -> Self {
        let root = start
            .option("-t")
            .filter(|_| start.calls("php -S 0.0.0.0:$PORT -t"));
        Self {
            app,
            needs: runtime::of(app.framework()),
            root: root.map(|root| {
                if root == "." {
                    String::new()
                } else {
                    format!("/{root}")
                }
            }),
            composed: app.detection.install.is_some(),
        }
    }

    fn environment(&self, script: &mut Script) {
        let mut settings = self.needs.settings.to_vec();
        if self.root.is_some() {
            settings.extend([
                ("APACHE_RUN_DIR", "/tmp/apache2"),
                ("APACHE_LOCK_DIR", "/tmp/apache2"),
                ("APACHE_PID_FILE", "/tmp/apache2/apache2.pid"),
            ]);
        }
        self.app.environment(script, &settings);
    }

    /// The extensions that the app needs and the image lacks.
    fn needed(&self) -> Vec<String> {
        let mut needed = Composer::read(&self.app.folder).extensions();
        needed.extend(self.needs.extensions.iter().map(|&name| name.to_owned()));
        if self.needs.extensions.is_empty() {
            let folder = &self.app.folder;
            let dirs = ["", "public/", "src/", "includes/", "config/"];
            for dir in dirs {
                let inside = folder.sub(dir);
                for file in inside.ending(".php").take(40) {
                    let text = inside.text(file).unwrap_or_default();
                    let shown = SHOWN.iter().filter(|(sign, _)| text.contains(sign));
                    needed.extend(shown.map(|(_, name)| (*name).to_owned()));
                }
            }
        }
        // Since 8.5 it is part of PHP.
        let version = self.app.detection.version.as_deref().unwrap_or("8.3");
        if compare(version, "8.5").is_lt() {
            needed.push("opcache".to_owned());
        } else {
            needed.retain(|name| name != "opcache");
        }
        let is_name = |name: &String| {
            name.chars()
                .all(|ch| ch.is_ascii_alphanumeric() || ch == '_')
        };
        needed.retain(is_name);
        needed.sort();
        needed.dedup();
        needed
    }

    fn extensions(&self, script: &mut Script) {
        let needed = self.needed();
        if needed.is_empty() {
            return;
        }
        let names = needed.join(" ");
        if needed.iter().all(|name| PLAIN.contains(&name.as_str())) {
            script.run(
                &[],
                &format!("docker-php-ext-install {names}"),
                "extensions that the image can compile without more libraries",
            );
            return;
        }
        let installer = self.app.images.image("php.extensions", None);
        script.line(
            &format!("COPY --from={installer} /usr/bin/install-php-extensions /usr/local/bin/"),
            "a script that installs extensions with their libraries, and removes what only their build needs",
        );
        script.run(
            &[],
            &format!("install-php-extensions {names}"),
            "the extensions that the project, its packages and its framework use",
        );
    }

    fn settings(&self, script: &mut Script) {
        let lines = [
            "display_errors=0",
            "log_errors=1",
            "error_log=/dev/stderr",
            "expose_php=0",
            "variables_order=EGPCS",
            "opcache.validate_timestamps=0",
            "opcache.memory_consumption=192",
            "opcache.max_accelerated_files=20000",
        ];
        let lines = lines.map(|line| format!("'{line}'")).join(" \\\n    ");
        let mut command =
            format!("printf '%s\\n' \\\n    {lines} \\\n    > /usr/local/etc/php/conf.d/app.ini");
        let mut why = "logs errors, passes environment variables to the app, and never checks compiled code for changes, because \
                       files don't change"
            .to_owned();
        if let Some(root) = &self.root {
            command.push_str(&format!(" \\\n && {}", apache(self.app, root)));
            why.push_str(
                ". Apache listens on $PORT, which must be above 1023, and serves the app's folder with the app's own rules",
            );
        }
        script.run(&[], &command, &why);
    }

    fn copy(&self, script: &mut Script, assets: bool) {
        match self.composed {
            true => script.line(
                "COPY --from=build /app ./",
                "sources and packages, without Composer",
            ),
            false => script.sources(),
        }
        if assets {
            let root = self.root.as_deref().unwrap_or_default();
            script.line(
                &format!(
                    "COPY --from=assets /app{root} ./{}",
                    root.trim_start_matches('/')
                ),
                "the built browser assets",
            );
        }
    }

    /// What the framework writes is below `/tmp`, by links.
    fn folders(&self, script: &mut Script) {
        let mut steps = Vec::new();
        if let Some((command, why)) = self.needs.prepare.filter(|_| self.composed) {
            steps.push((command.to_owned(), why));
        }
        let links =
            self.needs.folders.iter().map(|(folder, _)| {
                format!("rm -rf {folder} \\\n && ln -s /tmp/app/{folder} {folder}")
            });
        let why = "the framework writes there, and only /tmp is writable at run time; uploads need a volume or a service";
        steps.extend(links.map(|link| (link, why)));
        script.steps(&steps);
    }

    fn command(&self, script: &mut Script, start: &str) {
        let command = match &self.root {
            Some(root) => {
                let root = root.trim_start_matches('/');
                let served = format!(
                    "php -S 0.0.0.0:$PORT -t {}",
                    if root.is_empty() { "." } else { root }
                );
                start.replace(&served, "apache2-foreground")
            }
            None => start.to_owned(),
        };
        let command = command.as_str();
        let folders: Vec<String> = self
            .needs
            .folders
            .iter()
            .flat_map(|(folder, inside)| {
                let inside = inside
                    .iter()
                    .map(move |inside| format!("/tmp/app/{folder}/{inside}"));
                inside.chain([format!("/tmp/app/{folder}")])
            })
            .collect();
        if folders.is_empty() {
            self.app.run(script, command);
            return;
        }
        self.app.user_and_port(script);
        let command = Line::parse(command).map_or(format!("exec {command}"), |line| line.shell());
        let line = format!("mkdir -p {} && {command}", folders.join(" "));
        script.exec(
            &["/bin/sh", "-c", &line],
            &self.app.because(
                "/tmp is empty when a pod starts, so the shell creates the folders and then execs the app",
            ),
        );
    }
}

/// Commands that let Apache listen on `$PORT` and serve the app's folder.
fn apache(app: &App<'_>, root: &str) -> String {
    let rules = format!("{root}/.htaccess");
    let own_rules = app.folder.has(rules.trim_start_matches('/'));
    // One page answers all paths that are no files, unless the app's own rules say it.
    let fallback = match !own_rules && (!app.framework().is_empty() || !root.is_empty()) {
        true => "FallbackResource /index.php\\n",
        false => "",
    };
    format!(
        "sed -i \"s/^Listen 80$/Listen \\${{PORT}}/\" /etc/apache2/ports.conf \\\n && \
         sed -i \"s/:80>/:\\${{PORT}}>/; s|/var/www/html|/app{root}|\" /etc/apache2/sites-available/000-default.conf \\\n && \
         printf '<Directory /app{root}>\\nAllowOverride All\\nRequire all granted\\n{fallback}</Directory>\\nServerName localhost\\n' > /etc/apache2/conf-enabled/app.conf \\\n && \
         a2enmod rewrite headers"
    )
}

fn composer(app: &App<'_>, script: &mut Script) {
    script.stage(
        &app.image("php.build"),
        Some("build"),
        "a separate stage keeps Composer out of the image",
    );
    script.line("WORKDIR /app", "the same directory as in the final image");
    if Composer::read(&app.folder).reads_project() {
        script.line("COPY . .", "some packages are folders in the project");
    } else {
        let files = ["composer.json", "composer.lock", "symfony.lock"];
        script.manifests(&app.present(&files).join(" "), "./");
    }
    script.run(
        &["/tmp/cache"],
        "composer install --no-dev --no-scripts --no-autoloader --no-interaction --prefer-dist --ignore-platform-reqs",
        "the cache mount keeps downloads across builds and out of the image; the final image has the extensions",
    );
    script.sources();
    script.run(
        &[],
        "composer dump-autoload --no-dev --optimize --no-scripts",
        "generates the class map, now that the sources are there",
    );
}
