//! The Ruby recipe: gems are built with compilers, and copied to an image without them.

use crate::generate::app::App;
use crate::generate::debian;
use crate::generate::error::GenerateError;
use crate::generate::script::Script;
use crate::languages::assets;
use crate::languages::nodejs::frontend::Frontend;
use crate::languages::ruby::gems::Gems;
use crate::languages::static_site::recipe as static_site;

const CACHE: &str = "/root/.bundle/cache";

/// Gems, and the libraries or programs that they need at run time.
const LIBRARIES: &[(&str, &[&str])] = &[
    ("pg", &["libpq5"]),
    ("mysql2", &["libmariadb3"]),
    ("sqlite3", &["libsqlite3-0"]),
    ("ruby-vips", &["libvips-tools"]),
    ("rmagick", &["imagemagick"]),
    ("mini_magick", &["imagemagick"]),
    ("charlock_holmes", &["icu-devtools"]),
    ("ruby-filemagic", &["file"]),
    ("rugged", &["git"]),
    ("streamio-ffmpeg", &["ffmpeg"]),
];

/// Where bootsnap keeps what it compiled: `tmp` is not part of the image.
const BOOTSNAP: &str = "/bootsnap";

pub(crate) fn write(app: &App<'_>, script: &mut Script) -> Result<(), GenerateError> {
    let ruby = Ruby::read(app);
    if let Some(output) = app.detection.output.as_deref() {
        ruby.gems(script);
        script.line("COPY . .", "the site's sources");
        let build = app.detection.build.as_deref();
        let build = build.unwrap_or("bundle exec jekyll build");
        script.run(&[], build, "builds the site");
        static_site::serve(app, script, &format!("/app/{output}"));
        return Ok(());
    }
    let start = app.start()?;
    if ruby.bundled {
        ruby.gems(script);
        script.sources();
        ruby.build(script);
    }
    ruby.run(script, &start.start_text());
    Ok(())
}

/// Whether a Gemfile names folders of the project, or runs or reads files of it. It's a program: it may do more than list
/// gems.
fn reads_project(gemfile: &str) -> bool {
    const CALLS: &[&str] = &[
        "eval",
        "eval_gemfile",
        "gemspec",
        "instance_eval",
        "load",
        "require",
        "require_relative",
    ];
    const CLASSES: &[&str] = &["Dir", "File", "IO", "JSON", "Pathname", "YAML"];
    let reads = |line: &str| {
        let code = line.trim().split(" #").next().unwrap_or_default();
        let mut words = code.split(|ch: char| !ch.is_ascii_alphanumeric() && ch != '_');
        let first = code.split([' ', '(']).next().unwrap_or_default();
        let class = |word| CLASSES.contains(&word) && !of_tool(code);
        !code.starts_with('#')
            && (CALLS.contains(&first)
                || code.contains("path:")
                || code.contains(":path")
                || code.contains("__dir__")
                || words.any(class))
    };
    gemfile.lines().any(reads)
}

/// Whether a line reads what is copied in any case: the file with Ruby's version.
fn of_tool(line: &str) -> bool {
    let files = [".ruby-version", ".tool-versions"];
    files.iter().any(|file| line.contains(file))
}

struct Ruby<'a> {
    app: &'a App<'a>,
    gems: Gems,
    bundled: bool,
    rails: bool,
    bootsnap: bool,
    /// What Node.js builds while assets are compiled.
    frontend: Option<Frontend<'a>>,
}

impl<'a> Ruby<'a> {
    fn read(app: &'a App<'a>) -> Self {
        let gems = Gems::read(&app.folder);
        let frontend = Frontend::read(&app.folder, "");
        let rails = app.framework() == "rails";
        let wanted = app.detection.build.is_some() || app.detection.output.is_some();
        let bootsnap = gems.has("bootsnap");
        Self {
            app,
            bundled: app.detection.install.is_some(),
            rails,
            bootsnap,
            frontend: frontend.filter(|frontend| wanted || frontend.build().is_some()),
            gems,
        }
    }

    /// To the patch release where the Gemfile names one: Bundler refuses any other.
    fn image(&self, role: &str) -> String {
        let exact = if self.gems.is_exact() { ".exact" } else { "" };
        self.app.image(&format!("ruby.{role}{exact}"))
    }

    /// Whether gems run JavaScript themselves.
    fn runs_javascript(&self) -> bool {
        self.gems.has("execjs") && !self.gems.installs("mini_racer")
    }

    fn bundler(&self) -> Vec<(&'static str, &'static str)> {
        let mut settings = vec![
            ("BUNDLE_PATH", "/bundle"),
            ("BUNDLE_WITHOUT", "development:test"),
        ];
        if self.app.folder.has("Gemfile.lock") || self.app.folder.has("gems.locked") {
            settings.push(("BUNDLE_DEPLOYMENT", "1"));
        }
        if self.bootsnap {
            settings.push(("BOOTSNAP_CACHE_DIR", BOOTSNAP));
        }
        settings
    }

    /// The stage `build`, up to the installed gems.
    fn gems(&self, script: &mut Script) {
        let app = self.app;
        let bun = |frontend: &Frontend<'_>| frontend.manager == "bun";
        if let Some(frontend) = &self.frontend {
            assets::runtime(app, script, Some(frontend));
        }
        if self.runs_javascript() && self.frontend.as_ref().is_none_or(bun) {
            assets::runtime(app, script, None);
        }
        script.stage(
            &self.image("build"),
            Some("build"),
            "an image with compilers for native gems",
        );
        script.line("WORKDIR /app", "the same directory as in the final image");
        script.environment(
            &self.bundler(),
            "installs gems into a separate folder, as locked",
        );
        let files = [
            "Gemfile",
            "Gemfile.lock",
            "gems.rb",
            "gems.locked",
            ".ruby-version",
            ".tool-versions",
        ];
        let files = app.present(&files);
        let gemfile = app
            .folder
            .text(files.first().unwrap_or(&"Gemfile"))
            .unwrap_or_default();
        if reads_project(&gemfile) {
            script.line(
                "COPY . .",
                "all sources, because the Gemfile reads files or folders of the project",
            );
        } else {
            script.manifests(&files.join(" "), "./");
        }
        script.fetch(&[CACHE], "bundle install");
        if let Some(frontend) = &self.frontend {
            assets::beside(script, frontend);
            assets::install(frontend, script);
        }
    }

    /// What is made out of the sources.
    fn build(&self, script: &mut Script) {
        let mut steps: Vec<(String, &str)> = Vec::new();
        let precompiles = self.app.detection.build.as_deref();
        let frontend = self.frontend.as_ref();
        let frontend = frontend.and_then(|frontend| frontend.build());
        if let Some(build) = precompiles {
            steps.push((
                build.to_owned(),
                "builds browser assets without the app's secret",
            ));
        } else if let Some(build) = frontend {
            steps.push((build.shell(), "builds browser assets"));
        }
        if self.frontend.is_some() {
            let command = "rm -rf node_modules".to_owned();
            steps.push((command, "removes what only the build needs"));
        }
        if self.bootsnap {
            let command = "bundle exec bootsnap precompile --gemfile app/ lib/".to_owned();
            steps.push((
                command,
                "compiles the app's code once, so that it starts faster",
            ));
        }
        if self.rails {
            let command = "rm -rf tmp log \\\n && ln -s /tmp tmp \\\n && ln -s /tmp log".to_owned();
            steps.push((
                command,
                "Rails writes to tmp and log, and only /tmp is writable at run time; uploads need a volume at storage or a service",
            ));
        }
        script.steps(&steps);
    }

    /// Thruster stands in front of the app: it takes the port, and tells the app another one.
    fn thruster(&self, script: &mut Script, start: &str) {
        let called = |word: &str| word.rsplit('/').next() == Some("thrust");
        let Some(port) = self
            .app
            .detection
            .port
            .filter(|_| start.split_whitespace().any(called))
        else {
            return;
        };
        let inner = if port == 3001 { "3002" } else { "3001" };
        script.environment(
            &[("HTTP_PORT", "$PORT"), ("TARGET_PORT", inner)],
            "Thruster listens on $PORT and passes requests on to the app, which listens on another port",
        );
    }

    fn run(&self, script: &mut Script, start: &str) {
        let app = self.app;
        script.stage(
            &self.image("run"),
            None,
            "the final image, without compilers",
        );
        let mut settings = vec![("RACK_ENV", "production"), ("APP_ENV", "production")];
        if self.bundled {
            settings.extend(self.bundler());
        }
        if self.bootsnap {
            settings.push(("BOOTSNAP_READONLY", "1"));
        }
        if self.rails {
            settings.extend([
                ("RAILS_ENV", "production"),
                ("RAILS_LOG_TO_STDOUT", "1"),
                ("RAILS_SERVE_STATIC_FILES", "1"),
                ("PIDFILE", "/tmp/server.pid"),
            ]);
        }
        app.environment(script, &settings);
        self.thruster(script, start);
        let needs = LIBRARIES.iter().filter(|(gem, _)| self.gems.installs(gem));
        debian::install_for(script, &needs.copied().collect::<Vec<_>>());
        script.line("WORKDIR /app", "the app's directory");
        if self.bundled && self.runs_javascript() {
            script.line(
                "COPY --from=node /usr/local/bin/node /usr/local/bin/",
                "the execjs gem runs JavaScript with it",
            );
        }
        if self.bundled {
            script.line(
                "COPY --from=build /bundle /bundle",
                "the gems, without the tools that built them",
            );
            if self.bootsnap {
                script.line(
                    &format!("COPY --from=build {BOOTSNAP} {BOOTSNAP}"),
                    "the compiled code",
                );
            }
            script.line(
                "COPY --from=build /app ./",
                "the sources and the built files",
            );
        } else {
            script.sources();
        }
        app.run(script, start);
    }
}

#[cfg(test)]
mod tests {
    use super::reads_project;

    #[test]
    fn a_gemfile_may_read_files_of_the_project() {
        for line in [
            "require File.join(File.dirname(__FILE__), \"lib/gemfile_helper.rb\")",
            "require_relative 'lib/versions'",
            "eval_gemfile 'Gemfile.common'",
            "eval File.read('Gemfile.local')",
            "instance_eval(File.read(\"plugins/Gemfile\"))",
            "gemspec path: 'core'",
            "gemspec",
            "gem 'core', path: 'core'",
            "gem 'rails', File.read('RAILS_VERSION').strip",
            "Dir['plugins/*/Gemfile'].each { |file| eval_gemfile file }",
            "versions = YAML.load_file('versions.yml')",
        ] {
            assert!(reads_project(line), "{line}");
        }
        for line in [
            "source 'https://rubygems.org'",
            "gem 'dotenv', require: false",
            "gem 'bootsnap', '>= 1.4', require: 'bootsnap/setup' # File.read",
            "# require_relative 'x'",
            "ruby file: '.ruby-version'",
            "ruby File.read('.ruby-version').strip",
        ] {
            assert!(!reads_project(line), "{line}");
        }
    }
}
