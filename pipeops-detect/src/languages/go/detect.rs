//! Go.

use super::module::{Module, members};
use super::program::{Program, choose, program, programs};
use super::sources::{self, Needs};
use crate::Language;
use crate::findings::{Findings, Role, weight};
use crate::plan::Command;
use crate::repository::folder::{Folder, is_beside};
use crate::repository::port::{self, DEFAULT_PORT, Port, is_of_other};
use crate::repository::version::{compare, managed, number};
use crate::servers;

const FRAMEWORKS: &[(&str, &str)] = &[
    ("github.com/gobuffalo/buffalo", "buffalo"),
    ("github.com/zeromicro/go-zero", "go-zero"),
    ("github.com/go-kratos/kratos", "kratos"),
    ("github.com/gin-gonic/gin", "gin"),
    ("github.com/labstack/echo", "echo"),
    ("github.com/gofiber/fiber", "fiber"),
    ("github.com/beego/beego", "beego"),
    ("github.com/astaxie/beego", "beego"),
    ("github.com/revel/revel", "revel"),
    ("github.com/kataras/iris", "iris"),
    ("github.com/pocketbase/pocketbase", "pocketbase"),
    ("goa.design/goa", "goa"),
    ("github.com/danielgtaylor/huma", "huma"),
    ("github.com/go-chi/chi", "chi"),
    ("github.com/gorilla/mux", "gorilla"),
    ("github.com/julienschmidt/httprouter", "httprouter"),
    ("github.com/valyala/fasthttp", "fasthttp"),
    ("connectrpc.com/connect", "connect"),
    ("google.golang.org/grpc", "grpc"),
];

/// How many programs are named, where nothing says which one is the app.
const PROGRAMS: usize = 20;

/// Looks for a Go module, or for a program without one.
pub(crate) fn detect(folder: &Folder<'_>) -> Findings {
    let mut found = Findings::none(Language::Go);
    let module = folder.text("go.mod").map(|text| Module::read(&text));
    let workspace = members(folder);
    if module.is_none() && workspace.is_none() && program(folder, "").is_none() {
        return found;
    }
    if let Some(module) = &module {
        found.add(weight::MANIFEST, folder, "go.mod", "a Go module");
        found.version(folder, version(folder, module));
    }
    found.add_file(weight::LOCKFILE, folder, &["go.sum"], "Go module checksums");
    let members = workspace.unwrap_or_default();
    if folder.has("go.work") {
        found.add(
            weight::MANIFEST,
            folder,
            "go.work",
            format!("a Go workspace of {} modules", members.len()),
        );
    }
    let programs = match folder.member() {
        Some(member) => of_member(folder, member),
        None => programs(folder, &members),
    };
    let runs = |member: &&String| {
        let own = format!("./{member}");
        let inside = format!("{own}/");
        programs
            .iter()
            .any(|program| program.package == own || program.package.starts_with(&inside))
    };
    found.members = members.iter().filter(runs).cloned().collect();
    entry(&mut found, folder, module.as_ref(), &members, &programs);
    found.package_manager = Some("go".to_owned());
    let fetches = module.is_some() || !members.is_empty();
    found.plan.install = fetches.then(|| Command::new("go mod download"));
    found
}

/// The version that tools install, where the module allows it, else the least one that the module names.
fn version(folder: &Folder<'_>, module: &Module) -> Option<(&'static str, String)> {
    let own = || Some((".go-version", number(&folder.text(".go-version")?)?));
    let told = own().or_else(|| managed(folder, &["golang", "go"]));
    let least = module.version();
    let allowed =
        |(_, told): &(&str, String)| !compare(told, least.as_deref().unwrap_or_default()).is_lt();
    told.filter(allowed)
        .or_else(|| Some(("go.mod", least.clone()?)))
}

/// The file by which a folder builds what is at a path in it: a workspace with this module, or the module that the folder
/// without one is a part of.
pub(crate) fn holds(root: &Folder<'_>, member: &str) -> Option<&'static str> {
    if members(root).is_some_and(|members| members.iter().any(|own| own == member)) {
        return Some("go.work");
    }
    let inside = root.sub(member);
    let between = inside
        .above()
        .take_while(|(above, _)| above.path() != root.path());
    let mut between = between.map(|(above, _)| above);
    let own = inside.has("go.mod") || between.any(|above| above.has("go.mod"));
    (root.has("go.mod") && !own && program(root, member).is_some()).then_some("go.mod")
}

/// The programs of one member of a workspace, or of one folder of a module.
fn of_member(folder: &Folder<'_>, member: &str) -> Vec<Program> {
    let inside = folder.sub(&format!("{member}/cmd"));
    let commands = inside.own_dirs().map(|name| format!("{member}/cmd/{name}"));
    let dirs = std::iter::once(member.to_owned()).chain(commands);
    dirs.filter_map(|dir| program(folder, &dir)).collect()
}

/// The program that is run, its module's framework, and its port.
fn entry(
    found: &mut Findings,
    folder: &Folder<'_>,
    module: Option<&Module>,
    members: &[String],
    programs: &[Program],
) {
    let none = Module::default();
    let Some((program, why)) = choose(folder, module.unwrap_or(&none), programs) else {
        describe(found, folder, "", module);
        if programs.is_empty() {
            found.role = Role::Library;
        } else {
            let names: Vec<&str> = programs
                .iter()
                .map(|program| program.package.as_str())
                .collect();
            let says = format!(
                "one of several programs, and nothing says which is the app: {}",
                names.join(", ")
            );
            found.stops(weight::ENTRY, folder, &programs[0].file, says);
            if found.members.is_empty() {
                // Programs of one module are apps as well: each is built by its path.
                let dirs = programs
                    .iter()
                    .filter_map(|program| program.package.strip_prefix("./"));
                found.members = dirs.map(str::to_owned).collect();
            }
            for program in programs.iter().take(PROGRAMS) {
                let says = format!("a program: `go build {}`", program.package);
                found.add(weight::NONE, folder, &program.file, says);
            }
        }
        return;
    };
    let of_member = |member: &&String| {
        program
            .package
            .trim_start_matches("./")
            .starts_with(member.as_str())
    };
    match members.iter().find(of_member) {
        Some(member) => {
            let own = folder
                .text(&format!("{member}/go.mod"))
                .map(|text| Module::read(&text));
            describe(found, folder, &format!("{member}/"), own.as_ref());
            if found.version.is_none() {
                let file = format!("{member}/go.mod");
                let version = own.and_then(|own| own.version());
                found.version(folder, version.map(|version| (file.as_str(), version)));
            }
        }
        None => describe(found, folder, "", module),
    }
    found.add(weight::ENTRY, folder, &program.file, "package main");
    let others = programs
        .iter()
        .filter(|other| other.package != program.package);
    let others: Vec<&str> = others.map(|other| other.package.as_str()).collect();
    if !others.is_empty() {
        let says = format!("preferred over {}: {why}", others.join(", "));
        found.add(weight::NONE, folder, &program.file, says);
    }
    let needs = sources::needs(folder, module.unwrap_or(&none));
    let build = match &needs.tag {
        Some((tag, _)) => Command::new("go build -tags").arg(tag).args("-o app"),
        None => Command::new("go build -o app"),
    };
    found.plan.build = Some(build.target(&program.package).into());
    found.plan.start = Some(Command::new("./app"));
    subcommand(found, folder, program);
    listens(found, folder, program);
    say(found, folder, &needs);
    if servers::is_helper(program.name()) && found.port == Some(DEFAULT_PORT) {
        // A worker that says nothing about a port has none.
        found.port = None;
    }
}

/// What the build and the image need, as facts.
fn say(found: &mut Findings, folder: &Folder<'_>, needs: &Needs) {
    let mut add = |file: &str, says: String| found.add(weight::NONE, folder, file, says);
    if let Some((tag, file)) = &needs.tag {
        add(
            file,
            format!("builds with the tag {tag}, which compiles files in"),
        );
    }
    for (dir, file) in needs.missing.iter().take(MISSING) {
        let says =
            "a package of this module that isn't in the repository: the build fails without it";
        let fix = match sources::generator(folder) {
            Some((settings, command)) => {
                format!("Commit what `{command}` makes by {settings}")
            }
            None => "Commit it".to_owned(),
        };
        add(file, format!("imports {dir}, {says}. {fix}"));
    }
    for (name, file) in &needs.local {
        let says = format!("listens on a local address by default: the image sets {name}=0.0.0.0");
        add(file, says);
    }
    for (tool, file) in &needs.programs {
        add(file, format!("calls {}: the image has it", tool.name));
    }
}

/// Programs of several commands serve by one of them: `Use: "serve"` of Cobra.
fn subcommand(found: &mut Findings, folder: &Folder<'_>, program: &Program) {
    if found.framework.as_deref() == Some("pocketbase") {
        found.plan.start =
            Some(Command::new("./app serve").arg(format!("--http=0.0.0.0:{DEFAULT_PORT}")));
        return;
    }
    let own = program.file.rsplit_once('/').map_or("", |(dir, _)| dir);
    let beside = if own.is_empty() {
        "cmd".to_owned()
    } else {
        format!("{own}/cmd")
    };
    for dir in [
        own.to_owned(),
        beside,
        "cmd".to_owned(),
        "internal/cmd".to_owned(),
    ] {
        let inside = folder.sub(&dir);
        for name in inside.ending(".go").take(50) {
            let text = inside.text(name).unwrap_or_default();
            let uses = text
                .lines()
                .filter_map(|line| line.trim().strip_prefix("Use:"));
            let mut commands = uses.map(|rest| rest.trim().trim_matches([',', '"', '`']));
            let Some(command) = commands.find(|command| {
                matches!(
                    *command,
                    "serve" | "server" | "web" | "start" | "run-server"
                )
            }) else {
                continue;
            };
            let file = if dir.is_empty() {
                name.to_owned()
            } else {
                format!("{dir}/{name}")
            };
            found.add(
                weight::NONE,
                folder,
                &file,
                format!("serves with the command `{command}`"),
            );
            found.plan.start = Some(Command::new("./app").arg(command));
            return;
        }
    }
}

fn describe(found: &mut Findings, folder: &Folder<'_>, dir: &str, module: Option<&Module>) {
    let Some(module) = module else { return };
    let file = format!("{dir}go.mod");
    found.framework(folder, &file, FRAMEWORKS, |path| module.uses(path));
}

/// Where servers are set up, besides the program's own package.
const SETUP: &[&str] = &[
    "config",
    "internal/config",
    "pkg/config",
    "internal/server",
    "server",
    "internal/app",
    "app",
    "internal/api",
    "api",
    "internal/http",
    "cmd",
];

/// How many missing packages are said.
const MISSING: usize = 5;

/// Parts of names of packages that set up servers, or read settings.
const SETTINGS: &[&str] = &[
    "api", "app", "cmd", "conf", "env", "flag", "http", "listen", "option", "rest", "serve",
    "setting", "web",
];

/// How many sources are read for the port.
const SOURCES: usize = 300;

/// The port: as the program's own package says, else as the packages say that set up a server or read settings. A local
/// address counts only where there is no other.
fn listens(found: &mut Findings, folder: &Folder<'_>, program: &Program) {
    let mut files = vec![program.file.clone()];
    let own = program.file.rsplit_once('/').map_or("", |(dir, _)| dir);
    for dir in [own].iter().chain(SETUP) {
        add_sources(folder, dir, &mut files);
    }
    settings(folder, "", 4, &mut files);
    found.port = Some(DEFAULT_PORT);
    let mut local = None;
    for file in files {
        let mut text = folder.text(&file).unwrap_or_default();
        if text.contains("\"net/http/pprof\"") {
            // The usual port of the profiler.
            text = text.replace(":6060", ":");
        }
        if reads_port(&text) || port::port(&text) == Some(Port::FromEnvironment) {
            found.listens_on_variable(folder, &file);
            return;
        }
        let fixed = match port::port(&text) {
            Some(Port::Fixed(port)) => Some(port),
            _ => address(&text),
        };
        match fixed {
            Some(port) => return found.listens_on(folder, &file, port),
            None => local = local.or_else(|| Some((file, local_address(&text)?))),
        }
    }
    if let Some((file, port)) = local {
        found.listens_on(folder, &file, port);
        let says = "a local address, unreachable from outside its pod";
        found.add(weight::NONE, folder, &file, says);
    }
}

/// The sources of a package, without those that are there already.
fn add_sources(folder: &Folder<'_>, dir: &str, files: &mut Vec<String>) {
    let inside = folder.sub(dir);
    let names = inside
        .ending(".go")
        .filter(|name| !name.ends_with("_test.go"));
    for name in names.take(30) {
        let file = match dir {
            "" => name.to_owned(),
            dir => format!("{dir}/{name}"),
        };
        if files.len() < SOURCES && !files.contains(&file) {
            files.push(file);
        }
    }
}

/// The sources of all packages whose names say that they read settings or serve.
fn settings(folder: &Folder<'_>, dir: &str, depth: usize, files: &mut Vec<String>) {
    for name in folder.own_dirs().filter(|name| !is_beside(name)) {
        let inside = folder.sub(name);
        let path = match dir {
            "" => name.to_owned(),
            dir => format!("{dir}/{name}"),
        };
        // Another module is another app.
        if files.len() >= SOURCES || inside.has("go.mod") {
            continue;
        }
        let lower = name.to_ascii_lowercase();
        if SETTINGS.iter().any(|part| lower.contains(part)) {
            let names = inside
                .ending(".go")
                .filter(|name| !name.ends_with("_test.go"));
            let paths = names.take(30).map(|name| format!("{path}/{name}"));
            let new: Vec<String> = paths.filter(|path| !files.contains(path)).collect();
            files.extend(new);
        }
        if depth > 1 {
            settings(&inside, &path, depth - 1, files);
        }
    }
}

/// Whether the source reads `PORT`, through a helper or a tag of a struct too.
fn reads_port(source: &str) -> bool {
    [
        "env(\"PORT\"",
        "Env(\"PORT\"",
        "env:\"PORT\"",
        "env:\"PORT,",
        "envconfig:\"PORT\"",
        "OrDefault(\"PORT\"",
    ]
    .iter()
    .any(|mark| source.contains(mark))
}

/// The port of an address that is written as Go writes it: `":8080"`, `"0.0.0.0:8080"`, `flag.Int("port", 8080`,
/// `Port int \`default:"8080"\``.
fn address(source: &str) -> Option<u16> {
    let marks = [
        "\":",
        "\"0.0.0.0:",
        "\"[::]:",
        "\"port\", ",
        "\"port\", \"p\", ",
        "\"port\", \"\", ",
        "PORT\", \"",
        "PORT\", ",
        "Port: ",
        "port = ",
        "Port = \"",
    ];
    behind(source, &marks).or_else(|| source.lines().find_map(tagged))
}

/// The port of an address that only the machine itself reaches.
fn local_address(source: &str) -> Option<u16> {
    behind(source, &["\"localhost:", "\"127.0.0.1:", "\"[::1]:"])
}

/// The first number behind one of these texts that is a port, and ends the text.
fn behind(source: &str, marks: &[&str]) -> Option<u16> {
    marks.iter().find_map(|mark| {
        source.match_indices(mark).find_map(|(at, _)| {
            let rest = &source[at + mark.len()..];
            let end = rest.find(|ch: char| !ch.is_ascii_digit())?;
            // A client's address goes on with a path.
            let is_end = !rest[end..].starts_with('/');
            rest[..end]
                .parse()
                .ok()
                .filter(|port| is_end && *port >= 80 && !is_of_other(*port))
        })
    })
}

/// The default of a field for the port, or of a flag of a command: `Port int \`default:"3000"\``, `Name: "port", Value: 3000`.
fn tagged(line: &str) -> Option<u16> {
    let field = line.trim_start().to_ascii_lowercase();
    if !field.starts_with("port ") && !field.contains("port int") && !field.contains("\"port\"") {
        return None;
    }
    behind(line, &["efault:\"", "default=", "Value: "])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::languages::layouts::{Layout, check};

    const MAIN: &str = "package main\n\nfunc main() {}\n";
    const MODULE: (&str, &str) = ("go.mod", "module github.com/acme/shop\n");
    const SERVE: &str = "package cmd\nvar c = &cobra.Command{\n\tUse:   \"serve\",\n}\n";

    // One line per layout.
    #[rustfmt::skip]
    const LAYOUTS: &[Layout] = &[
        // One of several programs is the app.
        (&[MODULE, ("cmd/migrate/main.go", MAIN), ("cmd/shop/main.go", MAIN), ("cmd/api/main.go", MAIN)], &["build go build -o app ./cmd/shop"]),
        (&[MODULE, ("cmd/migrate/main.go", MAIN), ("cmd/api/main.go", MAIN)], &["build go build -o app ./cmd/api"]),
        (&[MODULE, ("cmd/shopctl/run.go", MAIN), ("cmd/shop-server/run.go", MAIN)], &["build go build -o app ./cmd/shop-server"]),
        (&[MODULE, ("cmd/web/main.go", MAIN), ("cmd/api/main.go", MAIN)], &["build go build -o app ./cmd/api"]),
        (&[MODULE, ("cmd/api/main.go", MAIN), ("app.go", MAIN)], &["build go build -o app ."]),
        (&[MODULE, ("cmd/main.go", MAIN), ("tools/gen/main.go", MAIN)], &["build go build -o app ./cmd"]),
        (&[MODULE, ("server/main.go", MAIN)], &["build go build -o app ./server"]),
        (&[MODULE, ("cmd/a/main.go", MAIN), ("cmd/b/main.go", MAIN)], &["build"]),
        // What tools install goes before the least version that works.
        (&[("go.mod", "module x\ngo 1.22"), (".tool-versions", "golang 1.27.1"), ("main.go", MAIN)], &["version 1.27.1"]),
        (&[("go.mod", "module x\ngo 1.22"), ("mise.toml", "[tools]\ngo = \"1.25\""), ("main.go", MAIN)], &["version 1.25"]),
        (&[("go.mod", "module x\ngo 1.25"), (".go-version", "1.22"), ("main.go", MAIN)], &["version 1.25"]),
        // Local addresses and profilers count only where nothing else does; settings are read wherever they are.
        (&[MODULE, ("main.go", "package main\n\nfunc main() {\n\thttp.ListenAndServe(\"127.0.0.1:6060\", nil)\n}\n"), ("config/config.go", "package config\n\ntype Server struct {\n\tPort int `default:\"3000\" env:\"HOURS_PORT\"`\n}\n")], &["port 3000"]),
        (&[MODULE, ("main.go", MAIN), ("conf/configuration.go", "viper.SetDefault(\"port\", 4533)")], &["port 4533"]),
        (&[MODULE, ("main.go", "package main\n\nimport _ \"net/http/pprof\"\n\nfunc main() {\n\tgo http.ListenAndServe(\":6060\", nil)\n}\n"), ("internal/httpserver/server.go", "srv := &http.Server{Addr: \":9100\"}")], &["port 9100"]),
        (&[MODULE, ("main.go", "package main\n\nfunc main() {\n\thttp.ListenAndServe(\"localhost:4000\", nil)\n}\n")], &["port 4000"]),
        (&[MODULE, ("main.go", MAIN), ("pkg/settings/settings.go", "Port: 7777,"), ("internal/db/db.go", "Port: 5432")], &["port 7777"]),
        // A program of several commands serves by one.
        (&[MODULE, ("main.go", MAIN), ("cmd/serve.go", SERVE)], &["start ./app serve"]),
    ];

    #[test]
    fn layouts() {
        check(detect, LAYOUTS);
    }

    #[test]
    fn addresses_as_go_writes_them() {
        for (source, expected) in [
            ("r.Run(\":9000\")", Some(9000)),
            ("flag.Int(\"port\", 4000, \"API server port\")", Some(4000)),
            ("flag.String(\"addr\", \":4000\", \"x\")", Some(4000)),
            ("getEnv(\"SERVER_PORT\", \"8081\")", Some(8081)),
            ("get(\"http://localhost:9000/x\")", None),
            ("Port int `default:\"3000\" env:\"HOURS_PORT\"`", Some(3000)),
            ("HTTPPort int `envDefault:\"4000\"`", Some(4000)),
            ("viper.SetDefault(\"port\", 4533)", Some(4533)),
            ("flags.IntP(\"port\", \"p\", 7000, \"x\")", Some(7000)),
            ("&cli.IntFlag{Name: \"port\", Value: 5000}", Some(5000)),
            ("DBPort int `default:\"5432\"`", None),
            ("redis.Options{Addr: \":6379\"}", None),
            ("ListenAndServe(\"127.0.0.1:6060\", nil)", None),
        ] {
            assert_eq!(address(source), expected, "{source}");
        }
        assert!(reads_port("getEnv(\"PORT\", \"8080\")") && reads_port("`env:\"PORT\"`"));
    }
}
