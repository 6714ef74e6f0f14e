//! The program of a package: the file that Node.js or bun runs.

use super::command::{ScriptCommand, commands};
use super::config::inside;
use super::kind::{Kind, kind};
use super::site::Site;
use crate::plan;
use crate::repository::relaxed;

/// Names that programs without a script have.
pub(crate) const PROGRAMS: &[&str] = &[
    "server.js",
    "index.js",
    "app.js",
    "main.js",
    "bot.js",
    "server.mjs",
    "index.mjs",
    "app.mjs",
    "main.mjs",
    "server.cjs",
    "index.cjs",
    "src/server.js",
    "src/index.js",
    "src/app.js",
    "src/main.js",
    "src/bot.js",
    "src/server.mjs",
    "src/index.mjs",
    "server/index.js",
    "server/server.js",
    "bin/www",
];

/// Names of programs in TypeScript.
pub(crate) const TYPESCRIPT: &[&str] = &[
    "src/index.ts",
    "src/main.ts",
    "src/server.ts",
    "src/app.ts",
    "src/bot.ts",
    "index.ts",
    "server.ts",
    "main.ts",
    "app.ts",
    "bot.ts",
    "server/index.ts",
];

/// Folders that builds write into.
const BUILT: &[&str] = &[
    "dist",
    "build",
    "lib",
    "out",
    "output",
    "compiled",
    ".build",
    "dist-server",
];

/// The program, and why it is the one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Program {
    /// From the package's folder. It may be there only after the build.
    pub(crate) file: String,
    /// What says so.
    pub(crate) says: &'static str,
    /// The command that runs it.
    pub(crate) command: plan::Command,
}

/// The program that the package's file names, or that has a usual name.
pub(crate) fn program(site: &Site<'_>, bun: bool) -> Option<Program> {
    let named = ["/main", "/module"]
        .iter()
        .filter_map(|field| site.package.text(field));
    let named = named.filter_map(|file| resolve(site, file));
    for file in named {
        if let Some(command) = run(site, &file, bun) {
            return Some(Program {
                file,
                says: "the main file",
                command,
            });
        }
    }
    if let Some(file) = named_after_build(site) {
        let command = runtime(bun).arg(&file);
        return Some(Program {
            file,
            says: "the main file, created by the build",
            command,
        });
    }
    if let Some(file) = built(site) {
        let command = runtime(bun).arg(&file);
        return Some(Program {
            file,
            says: "the program's build output",
            command,
        });
    }
    let bin = site.package.json.get("bin");
    let bin = bin.and_then(|bin| {
        bin.as_str()
            .or_else(|| bin.as_object()?.values().next()?.as_str())
    });
    if let Some(file) = bin.and_then(|file| resolve(site, file))
        && let Some(command) = run(site, &file, bun)
    {
        return Some(Program {
            file,
            says: "the main file",
            command,
        });
    }
    let usual = PROGRAMS
        .iter()
        .chain(TYPESCRIPT)
        .filter(|file| site.folder.has(file) && !is_of_other_package(site, file));
    for file in usual {
        if let Some(command) = run(site, file, bun) {
            let file = (*file).to_owned();
            return Some(Program {
                file,
                says: "the program",
                command,
            });
        }
    }
    None
}

/// Whether a file is in a folder with a package of its own.
fn is_of_other_package(site: &Site<'_>, file: &str) -> bool {
    let dir = file.rsplit_once('/').map(|(dir, _)| dir);
    dir.is_some_and(|dir| site.folder.has(&format!("{dir}/package.json")))
}

/// The command that runs a file, if something here can.
pub(crate) fn run(site: &Site<'_>, file: &str, bun: bool) -> Option<plan::Command> {
    let end = file.rsplit_once('.').map_or("", |(_, end)| end);
    let typescript = matches!(end, "ts" | "mts" | "cts" | "tsx" | "jsx");
    if matches!(end, "json" | "css" | "scss" | "html" | "node" | "vue") || file.ends_with(".d.ts") {
        return None;
    }
    if bun {
        return Some(runtime(true).arg(file));
    }
    if !typescript {
        return Some(runtime(false).arg(file));
    }
    let runner = ["tsx", "ts-node"]
        .into_iter()
        .find(|runner| site.package.depends(runner));
    runner.map(|runner| plan::Command::new("npx").arg(runner).arg(file))
}

/// `node` or `bun`.
fn runtime(bun: bool) -> plan::Command {
    plan::Command::new(if bun { "bun run" } else { "node" })
}

/// A file as `require` finds it: with its ending left out, or a folder.
pub(crate) fn resolve(site: &Site<'_>, file: &str) -> Option<String> {
    let file = match file {
        "." | "./" => "index.js".to_owned(),
        file => inside("", file)?,
    };
    let endings = ["", ".js", ".mjs", ".cjs", ".ts", "/index.js", "/index.ts"];
    let mut names = endings.iter().map(|end| format!("{file}{end}"));
    names.find(|name| site.folder.has(name))
}

/// `main` where the build will write it.
fn named_after_build(site: &Site<'_>) -> Option<String> {
    let file = inside("", site.package.text("/main")?)?;
    let (folder, _) = file.split_once('/')?;
    let built = BUILT.contains(&folder) || out_dir(site).is_some_and(|out| out.starts_with(folder));
    let compiles = site
        .build_commands()
        .iter()
        .any(|command| kind(command) == Kind::Build || is_bundler(command));
    (built && compiles && !file.ends_with(".d.ts")).then_some(file)
}

fn is_bundler(command: &ScriptCommand) -> bool {
    matches!(command.program(), "vite" | "nest" | "bun" | "node")
}

/// The file that the build makes of a program of a usual name.
pub(crate) fn built(site: &Site<'_>) -> Option<String> {
    let source = TYPESCRIPT
        .iter()
        .copied()
        .find(|file| site.folder.has(file))?;
    let name = source.rsplit('/').next()?.trim_end_matches(".ts");
    site.build_commands()
        .iter()
        .find_map(|command| match command.program() {
            "tsc" | "ttsc" | "tspc" | "tsc-alias" => compiled(site, command, source),
            "nest" => Some(format!("dist/{name}.js")),
            "tsup" | "tsdown" | "unbuild" | "ncc" => {
                let out = command
                    .option(&["-d", "--out-dir", "-o", "--out"])
                    .unwrap_or("dist");
                let operand = command
                    .operand()
                    .filter(|word| word.ends_with(".ts"))
                    .unwrap_or(source);
                let name = match command.program() {
                    "ncc" => "index",
                    _ => operand.rsplit('/').next()?.trim_end_matches(".ts"),
                };
                inside("", &format!("{out}/{name}.js"))
            }
            "esbuild" | "bun" => bundled(command),
            "swc" | "babel" => {
                let out = command.option(&["-d", "--out-dir", "-D"])?;
                inside(out, &format!("{name}.js"))
            }
            _ => None,
        })
}

/// What a bundler writes: `--outfile=x`, or `--outdir=x` and the name of the source.
fn bundled(command: &ScriptCommand) -> Option<String> {
    if let Some(file) = command.option(&["--outfile"]) {
        return inside("", file);
    }
    let out = command.option(&["--outdir"])?;
    let is_source = |word: &&String| [".ts", ".js", ".tsx"].iter().any(|end| word.ends_with(end));
    let source = command.words.iter().skip(1).find(is_source)?;
    let name = source.rsplit('/').next()?.rsplit_once('.')?.0;
    inside(out, &format!("{name}.js"))
}

/// Where the compiler of TypeScript puts a source: below `outDir`, from `rootDir` on.
fn compiled(site: &Site<'_>, command: &ScriptCommand, source: &str) -> Option<String> {
    let project = command
        .option(&["-p", "--project"])
        .unwrap_or("tsconfig.json");
    let config = tsconfig(site, project);
    let text = |key: &str| {
        config
            .iter()
            .find_map(|json| json.pointer(key)?.as_str().map(str::to_owned))
    };
    let out = command
        .option(&["--outDir"])
        .map(str::to_owned)
        .or_else(|| text("/compilerOptions/outDir"));
    let root = command
        .option(&["--rootDir"])
        .map(str::to_owned)
        .or_else(|| text("/compilerOptions/rootDir"));
    let root = root.and_then(|root| inside("", &root));
    // Without `rootDir` it is the folder that all sources have in common.
    let below = match &root {
        Some(root) => source.strip_prefix(root.as_str()).unwrap_or(source),
        None if source.starts_with("src/") && !top_level_sources(site) => &source[4..],
        None => source,
    };
    let name = format!(
        "{}.js",
        below.trim_start_matches('/').trim_end_matches(".ts")
    );
    inside(out.as_deref().unwrap_or(""), &name)
}

fn top_level_sources(site: &Site<'_>) -> bool {
    site.folder
        .ending(".ts")
        .any(|file| !file.ends_with(".d.ts") && !file.contains(".config."))
}

/// A configuration of the compiler, and those that it extends.
fn tsconfig(site: &Site<'_>, file: &str) -> Vec<serde_json::Value> {
    let mut all = Vec::new();
    let mut next = inside("", file);
    while let Some(file) = next.take().filter(|_| all.len() < 4) {
        let text = site
            .folder
            .text(&file)
            .or_else(|| site.folder.text(&format!("{file}/tsconfig.json")));
        let Some(json) = text.and_then(|text| relaxed::json(&text)) else {
            break;
        };
        let base = json.get("extends").and_then(|extends| extends.as_str());
        let base = base.filter(|base| base.starts_with('.'));
        next = base.and_then(|base| {
            let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
            inside(folder, base).map(|path| {
                if path.ends_with(".json") {
                    path
                } else {
                    path + ".json"
                }
            })
        });
        all.push(json);
    }
    all
}

fn out_dir(site: &Site<'_>) -> Option<String> {
    let all = tsconfig(site, "tsconfig.json");
    let out = all
        .iter()
        .find_map(|json| json.pointer("/compilerOptions/outDir")?.as_str())?;
    inside("", out)
}

/// The file that a script runs or watches, where it is there: `tsx watch src/a.ts`.
pub(crate) fn watched(site: &Site<'_>, script: &str) -> Option<String> {
    commands(script, site.package)
        .iter()
        .rev()
        .find_map(|command| match kind(command) {
            Kind::Watch(file) if !file.is_empty() => resolve(site, &file),
            Kind::Run if matches!(command.program(), "node" | "tsx" | "ts-node" | "bun") => command
                .words
                .iter()
                .skip(1)
                .rev()
                .find_map(|word| resolve(site, word)),
            _ => None,
        })
}
