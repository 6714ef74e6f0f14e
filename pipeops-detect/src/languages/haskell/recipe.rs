//! The Haskell recipe: one program, on a Debian with the libraries that it links to.

use crate::generate::app::App;
use crate::generate::error::GenerateError;
use crate::generate::program::Launch;
use crate::generate::script::{Script, quote};
use crate::generate::{data, debian, program};

/// Packages of Haskell that need a C library: theirs, for building and for running.
const NATIVE: &[(&[&str], &str, &str)] = &[(
    &[
        "postgresql-simple",
        "postgresql-libpq",
        "persistent-postgresql",
        "hasql",
    ],
    "libpq-dev",
    "libpq5",
)];

pub(crate) fn write(app: &App<'_>, script: &mut Script) -> Result<(), GenerateError> {
    let launch = Launch::of(app, program::PATH)?;
    let name = program::name(app, |name| {
        let cabal = app.folder.ending(".cabal").next().unwrap_or_default();
        program::mentions(app, &["package.yaml", cabal], name)
    })?;
    let native = native(app);
    program::compiler(app, script, "haskell.build");
    if !native.is_empty() {
        let packages: Vec<&str> = native.iter().map(|(build, _)| *build).collect();
        debian::install(script, &packages, "C libraries that packages link to");
    }
    let stack = app.manager() == "stack";
    fetch(app, script, stack);
    script.sources();
    let (caches, command) = match stack {
        true => (
            &["/root/.stack"],
            format!(
                "stack --system-ghc install --local-bin-path /out/bin \\\n && cp /out/bin/{} /out/app",
                quote(name)
            ),
        ),
        false => (
            &["/root/.cabal"],
            format!(
                "cabal install exe:{0} --install-method=copy --installdir=/out/bin \\\n && cp /out/bin/{0} /out/app",
                quote(name)
            ),
        ),
    };
    script.run(
        caches,
        &command,
        "copies the program out and leaves the compiler's files behind",
    );
    script.stage(
        &app.image("haskell.run"),
        None,
        "the C libraries that every GHC program needs",
    );
    if !native.is_empty() {
        let packages: Vec<&str> = native.iter().map(|(_, run)| *run).collect();
        debian::install(script, &packages, "C libraries that the program needs");
    }
    script.line(
        "COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt",
        "CA certificates for outgoing TLS connections",
    );
    app.environment(script, &[("LANG", "C.UTF-8")]);
    script.line("WORKDIR /app", "the program's relative paths start here");
    data::folders(
        app,
        script,
        &["config", "migrations", "public", "static", "templates"],
    );
    program::copy(script);
    launch.run(app, script);
    Ok(())
}

/// Dependencies first, where one package stands at the root: with several their files lie too far apart.
fn fetch(app: &App<'_>, script: &mut Script, stack: bool) {
    let cabal = app.folder.ending(".cabal").next();
    let files = [
        cabal.unwrap_or("package.yaml"),
        "package.yaml",
        "stack.yaml",
        "stack.yaml.lock",
        "cabal.project",
        "cabal.project.freeze",
    ];
    let mut files: Vec<&str> = files.to_vec();
    files.dedup();
    if cabal.is_none() && !app.folder.has("package.yaml") {
        return;
    }
    program::manifests(app, script, &files);
    let (cache, command) = match stack {
        true => (
            "/root/.stack",
            "stack --system-ghc build --only-dependencies",
        ),
        false => (
            "/root/.cabal",
            "cabal update \\\n && cabal build --only-dependencies",
        ),
    };
    script.run(
        &[cache],
        command,
        "dependencies take longest to build, so a layer and a cache mount keep them",
    );
}

/// The C libraries, for building and for running.
fn native(app: &App<'_>) -> Vec<(&'static str, &'static str)> {
    let cabal = app.folder.ending(".cabal").next().unwrap_or_default();
    let mut text = app.folder.text("package.yaml").unwrap_or_default();
    text += &app.folder.text(cabal).unwrap_or_default();
    let words: Vec<&str> = text
        .split(|ch: char| !(ch.is_alphanumeric() || ch == '-'))
        .collect();
    let needed = NATIVE
        .iter()
        .filter(|(names, ..)| names.iter().any(|name| words.contains(name)));
    needed.map(|&(_, build, run)| (build, run)).collect()
}
