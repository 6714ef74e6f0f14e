//! Files, served by a web server that needs no root.

use crate::generate::app::App;
use crate::generate::error::GenerateError;
use crate::generate::script::{Script, quote};
use crate::generate::{program, server_config};

/// The books' generator where the project asks for none: its newest version that this table knew.
const MDBOOK: &str = "0.4.52";

/// The gems that GitHub builds sites without a Gemfile with.
const GITHUB_PAGES: &str = "232";

pub(crate) fn write(app: &App<'_>, script: &mut Script) -> Result<(), GenerateError> {
    let Some(output) = &app.detection.output else {
        return Err(GenerateError::StartCommand {
            path: app.folder.path().to_owned(),
            command: app.start()?.start_text(),
            why: "it serves files by a web server, and has no program".to_owned(),
        });
    };
    if app.detection.build.is_some() {
        build(app, script);
        serve(app, script, &format!("/src/{output}"));
        return Ok(());
    }
    script.stage(
        &app.image("static.run"),
        None,
        "a web server that runs without root",
    );
    server(app, script);
    script.line(
        &format!("COPY {} /usr/share/nginx/html", quote(output)),
        "the files to serve",
    );
    finish(app, script);
    Ok(())
}

/// The first stage: the generator and what it makes.
fn build(app: &App<'_>, script: &mut Script) {
    match app.framework() {
        "zola" => zola(app, script),
        "jekyll" => jekyll(app, script),
        "mdbook" => mdbook(app, script),
        "mkdocs" => {
            generator(app, script, "static.build.mkdocs");
            script.run(&[], "mkdocs build", "builds the site");
        }
        _ => hugo(app, script),
    }
}

fn generator(app: &App<'_>, script: &mut Script, role: &str) {
    script.stage(
        &app.image(role),
        Some("build"),
        "a separate stage for the site generator",
    );
    script.line("WORKDIR /src", "the site's directory");
    script.line("COPY . .", "the site's sources");
}

fn hugo(app: &App<'_>, script: &mut Script) {
    generator(app, script, "static.build.hugo");
    if app.folder.has("package-lock.json") {
        script.run(
            &["/root/.npm"],
            "npm ci",
            "tools that build the theme's styles",
        );
    }
    let build = app.detection.build.as_deref().unwrap_or("hugo --minify");
    let modules: &[&str] = match app.folder.has("go.mod") {
        true => &["/cache"],
        false => &[],
    };
    script.run(
        modules,
        build,
        "builds the site; a theme in a Git submodule must be checked out",
    );
}

/// The generator's image has no shell: its command is in exec form.
fn zola(app: &App<'_>, script: &mut Script) {
    generator(app, script, "static.build.zola");
    script.run(
        &[],
        "[\"zola\", \"build\"]",
        "builds the site; exec form, because the image has no shell",
    );
}

fn mdbook(app: &App<'_>, script: &mut Script) {
    program::compiler(app, script, "rust.build");
    script.run(
        &["/usr/local/cargo/registry"],
        &format!("cargo install mdbook --version {MDBOOK} --locked"),
        "compiles the tool once per version",
    );
    script.line("COPY . .", "the site's sources");
    script.run(&[], "mdbook build", "builds the book");
}

fn jekyll(app: &App<'_>, script: &mut Script) {
    program::compiler(app, script, "static.build.jekyll");
    let gemfile = [
        "source 'https://rubygems.org'".to_owned(),
        format!("gem 'github-pages', '~> {GITHUB_PAGES}', group: :jekyll_plugins"),
    ];
    let lines = gemfile.map(|line| format!("\"{line}\"")).join(" ");
    script.run(
        &["/usr/local/bundle/cache"],
        &format!("printf '%s\\n' {lines} > Gemfile \\\n && bundle install"),
        "installs the gems that GitHub Pages uses, because the site has no Gemfile",
    );
    script.line("COPY . .", "the site's sources");
    let build = app.detection.build.as_deref().unwrap_or_default();
    script.run(&[], build, "builds the site");
}

/// The last stage of everything that is built into files: serves `output` of the stage `build`.
pub(crate) fn serve(app: &App<'_>, script: &mut Script, output: &str) {
    script.stage(
        &app.image("static.run"),
        None,
        "only the built files, and a web server that runs without root",
    );
    server(app, script);
    script.line(
        &format!("COPY --from=build {} /usr/share/nginx/html", quote(output)),
        "the files to serve",
    );
    finish(app, script);
}

fn server(app: &App<'_>, script: &mut Script) {
    script.line(
        "USER 0",
        "root only to write the configuration, which the server can't change",
    );
    let (lines, why) = server_config::lines(app);
    // By `printf`, not by a heredoc: not every linter reads heredocs of COPY.
    let lines: Vec<String> = lines
        .iter()
        .map(|line| format!("\"{}\"", line.replace('"', "\\\"").replace('$', "\\$")))
        .collect();
    let lines = lines.join(" \\\n    ");
    script.run(
        &[],
        &format!("printf '%s\\n' \\\n    {lines} \\\n    > /etc/nginx/conf.d/default.conf"),
        why,
    );
}

fn finish(app: &App<'_>, script: &mut Script) {
    app.environment(script, &[]);
    // Not the image's own entry point: it changes its configuration, which is not writable here.
    app.user_and_port(script);
    script.line(
        "ENTRYPOINT []",
        "skips the image's scripts, because the configuration is complete",
    );
    script.exec(
        &["nginx", "-g", "daemon off;"],
        "exec form, so the server receives SIGTERM directly",
    );
}
