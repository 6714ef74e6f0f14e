//! Go: one static program on an image with nothing else.

use super::module::{Module, members};
use super::sources::{self, Needs, Tool};
use crate::generate::app::App;
use crate::generate::debian;
use crate::generate::error::GenerateError;
use crate::generate::program::Launch;
use crate::generate::script::{Script, quote};
use crate::generate::{data, program};
use crate::languages::frontends;
use crate::repository::folder::{Folder, resolve};

const MODULES: &str = "/go/pkg/mod";
const BUILDS: &str = "/root/.cache/go-build";

/// Modules that compile C, or link to what they bring compiled.
const CGO: &[&str] = &[
    "github.com/confluentinc/confluent-kafka-go",
    "github.com/duckdb/duckdb-go",
    "github.com/libsql/go-libsql",
    "github.com/marcboeker/go-duckdb",
    "github.com/mattn/go-sqlite3",
    "github.com/mutecomm/go-sqlcipher",
    "github.com/tursodatabase/go-libsql",
];

pub(crate) fn write(app: &App<'_>, script: &mut Script) -> Result<(), GenerateError> {
    let launch = Launch::of(app, program::PATH)?;
    let sources = Sources::of(app);
    let module = Module::read(&app.folder.text("go.mod").unwrap_or_default());
    let needs = sources::needs(&app.folder, &module);
    build(app, script, &sources, &needs);
    let (role, why) = match sources.cgo {
        true => (
            "go.run.cgo",
            "cgo links to libc, so the image has libc but no shell",
        ),
        false => ("go.run", "a static program needs no shell and no packages"),
    };
    match needs.programs.as_slice() {
        [] => launch.stage(app, script, (role, why)),
        programs => with_programs(app, script, programs),
    }
    let reached = needs
        .local
        .iter()
        .map(|(name, _)| (name.as_str(), "0.0.0.0"));
    let reached: Vec<(&str, &str)> = reached.collect();
    app.environment(script, &reached);
    script.line("WORKDIR /app", "the program's relative paths start here");
    let embedded = frontends::embedded(&app.folder);
    data::copy(app, script, ".go", |path| {
        embedded.iter().any(|own| frontends::overlap(own, path))
    });
    program::copy(script);
    launch.run(app, script);
    Ok(())
}

/// The last stage of an app that calls other programs: Debian with their packages.
fn with_programs(app: &App<'_>, script: &mut Script, programs: &[(&'static Tool, String)]) {
    let names: Vec<&str> = programs.iter().map(|(tool, _)| tool.name).collect();
    let why = format!("Debian, because the app calls {}", names.join(", "));
    script.stage(&app.image("shell.run"), None, &why);
    let packages = programs.iter().map(|(tool, _)| tool.package);
    let packages = packages.filter(|package| !package.is_empty());
    let packages: Vec<&str> = packages.chain(["ca-certificates"]).collect();
    let why = "programs that the app calls, and CA certificates for outgoing TLS connections";
    debian::install(script, &packages, why);
}

/// What the sources say about the build.
struct Sources {
    /// There is a `go.mod` or a `go.work`.
    modules: bool,
    cgo: bool,
    vendored: bool,
    /// Files that decide the dependencies, by folder; none where a folder outside of the tree decides them too.
    manifests: Vec<(String, Vec<&'static str>)>,
}

impl Sources {
    fn of(app: &App<'_>) -> Self {
        let folder = &app.folder;
        let workspace = members(folder);
        let mut dirs: Vec<String> = workspace.clone().unwrap_or_default();
        dirs.push(String::new());
        let mut outside = false;
        let mut cgo = false;
        let mut index = 0;
        // Folders that replace modules have manifests of their own.
        while index < dirs.len() && index < 100 {
            let dir = dirs[index].clone();
            let text = folder.sub(&dir).text("go.mod").unwrap_or_default();
            let module = Module::read(&text);
            cgo |= CGO.iter().any(|path| module.needs(path));
            for local in &module.local {
                match resolve(&dir, local) {
                    Some(local) if dirs.contains(&local) => {}
                    Some(local) => dirs.push(local),
                    None => outside = true,
                }
            }
            index += 1;
        }
        dirs.sort();
        dirs.dedup();
        let files = ["go.mod", "go.sum", "go.work", "go.work.sum"];
        let manifests = dirs.into_iter().map(|dir| {
            let here = folder.sub(&dir);
            let files = files.into_iter().filter(|file| here.has(file)).collect();
            (dir, files)
        });
        let manifests = if outside {
            Vec::new()
        } else {
            manifests.collect()
        };
        Self {
            modules: folder.has("go.mod") || workspace.is_some(),
            cgo: cgo || imports_c(folder, 4, &mut 500),
            vendored: folder.has("vendor/modules.txt"),
            manifests,
        }
    }
}

/// Whether a source of the project itself is C in part.
fn imports_c(folder: &Folder<'_>, depth: usize, left: &mut usize) -> bool {
    for file in folder.ending(".go") {
        if *left == 0 {
            return false;
        }
        *left -= 1;
        let text = folder.text(file).unwrap_or_default();
        if text
            .lines()
            .any(|line| matches!(line.trim(), "import \"C\"" | "\"C\""))
        {
            return true;
        }
    }
    depth > 1
        && folder
            .own_dirs()
            .any(|name| imports_c(&folder.sub(name), depth - 1, left))
}

fn build(app: &App<'_>, script: &mut Script, sources: &Sources, needs: &Needs) {
    let role = if sources.cgo {
        "go.build.cgo"
    } else {
        "go.build"
    };
    script.stage(
        &app.image(role),
        Some("build"),
        "a separate stage keeps the compiler out of the image",
    );
    match sources.modules {
        true => script.line(
            "WORKDIR /src",
            "outside GOPATH, because the app uses modules",
        ),
        false => script.line(
            "WORKDIR /go/src/app",
            "inside GOPATH, because there is no module",
        ),
    }
    if sources.modules && !sources.vendored {
        dependencies(script, &sources.manifests);
    }
    script.sources();
    let package = app
        .target(|text| text.strip_prefix("go build -o app "))
        .unwrap_or(".");
    let modules = if sources.modules {
        ""
    } else {
        "GO111MODULE=off "
    };
    let vendor = if sources.vendored { " -mod=vendor" } else { "" };
    let tags = needs.tag.as_ref().map(|(tag, _)| format!(" -tags {tag}"));
    let tags = tags.unwrap_or_default();
    let command = format!(
        "{modules}CGO_ENABLED={} go build{vendor}{tags} -trimpath -ldflags='-s -w' -o /out/app {}",
        u8::from(sources.cgo),
        quote(package)
    );
    let why = match sources.cgo {
        true => "linked to libc, without build paths and debug tables",
        false => "static, without build paths and debug tables",
    };
    script.run(&[MODULES, BUILDS], &command, why);
}

fn dependencies(script: &mut Script, manifests: &[(String, Vec<&str>)]) {
    for (dir, files) in manifests.iter().filter(|(_, files)| !files.is_empty()) {
        let from: Vec<String> = match dir.as_str() {
            "" => files.iter().map(|file| (*file).to_owned()).collect(),
            dir => files
                .iter()
                .map(|file| quote(&format!("{dir}/{file}")))
                .collect(),
        };
        let to = if dir.is_empty() {
            "./".to_owned()
        } else {
            format!("./{}/", quote(dir))
        };
        script.manifests(&from.join(" "), &to);
    }
    if !manifests.is_empty() {
        script.fetch(&[MODULES], "go mod download");
    }
}
