//! Frameworks, and whether they end up as a server or as files.

use super::builders::{self, Builder};
use super::command::ScriptCommand;
use super::config::{Config, inside};
use super::kind::{Kind, kind};
use super::package::Package;
use super::serves::Serves;
use super::site::Site;
use crate::plan;

/// A framework that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Framework {
    pub(crate) name: &'static str,
    /// The dependency that names it.
    pub(crate) dependency: &'static str,
    pub(crate) serves: Serves,
    /// The file that decides it, where it is not the package's, and what it says.
    pub(crate) because: Option<(String, String)>,
    /// The command that builds it, where no script does.
    pub(crate) build: Option<&'static str>,
}

/// Dependencies, the framework's name, the command that builds it, and how it serves.
type Row = (
    &'static [&'static str],
    &'static str,
    Option<&'static str>,
    fn(&Site<'_>) -> (Serves, Option<(String, String)>),
);

/// Frameworks that render pages: the first one that is there counts.
const PAGES: &[Row] = &[
    (&["blitz"], "blitz", Some("blitz build"), |_| {
        program("blitz start")
    }),
    (&["@redwoodjs/core"], "redwood", Some("rw build"), |_| {
        program("yarn rw serve")
    }),
    (&["next"], "next", Some("next build"), next),
    (
        &["nuxt", "nuxt3", "nuxt-edge", "nuxt-nightly"],
        "nuxt",
        Some("nuxt build"),
        nuxt,
    ),
    (
        &["@remix-run/serve", "@remix-run/dev", "@remix-run/node"],
        "remix",
        Some("remix vite:build"),
        remix,
    ),
    (
        &["@react-router/dev", "@react-router/serve"],
        "react-router",
        Some("react-router build"),
        react_router,
    ),
    (
        &[
            "@tanstack/react-start",
            "@tanstack/solid-start",
            "@tanstack/start",
        ],
        "tanstack-start",
        Some("vite build"),
        tanstack,
    ),
    (
        &["@solidjs/start", "solid-start"],
        "solid-start",
        Some("vinxi build"),
        solid,
    ),
    (
        &["@analogjs/platform"],
        "analog",
        Some("vite build"),
        analog,
    ),
    (
        &["@sveltejs/kit"],
        "sveltekit",
        Some("vite build"),
        sveltekit,
    ),
    (&["astro"], "astro", Some("astro build"), astro),
    (&["gatsby"], "gatsby", Some("gatsby build"), |_| {
        (Serves::Files("public".to_owned()), None)
    }),
    (&["expo"], "expo", Some("expo export --platform web"), expo),
];

/// Frameworks that answer requests. Those that bring others go first.
const SERVERS: &[(&str, &str, Option<&str>)] = &[
    ("@nestjs/core", "nest", None),
    ("@adonisjs/core", "adonis", None),
    ("@strapi/strapi", "strapi", Some("strapi start")),
    ("strapi", "strapi", Some("strapi start")),
    ("@medusajs/medusa", "medusa", Some("medusa start")),
    ("@keystone-6/core", "keystone", Some("keystone start")),
    ("directus", "directus", Some("directus start")),
    ("@feathersjs/feathers", "feathers", None),
    ("@loopback/core", "loopback", None),
    ("sails", "sails", None),
    ("@hapi/hapi", "hapi", None),
    ("fastify", "fastify", None),
    ("koa", "koa", None),
    ("hono", "hono", None),
    ("elysia", "elysia", None),
    ("polka", "polka", None),
    ("restify", "restify", None),
    ("express", "express", None),
    ("json-server", "json-server", None),
    ("@apollo/server", "apollo", None),
    ("apollo-server", "apollo", None),
    ("graphql-yoga", "graphql-yoga", None),
    ("h3", "h3", None),
    ("micro", "micro", None),
    ("socket.io", "socket.io", None),
];

/// Libraries of bots: they make requests and serve none.
const BOTS: &[(&str, &str)] = &[
    ("discord.js", "discord.js"),
    ("telegraf", "telegraf"),
    ("grammy", "grammy"),
    ("node-telegram-bot-api", "node-telegram-bot-api"),
];

/// The framework of pages, if there is one.
pub(crate) fn pages(site: &Site<'_>) -> Option<Framework> {
    let (dependency, name, build, serves) =
        PAGES.iter().find_map(|&(names, name, build, serves)| {
            Some((site.package.first(names)?, name, build, serves))
        })?;
    let (serves, because) = serves(site);
    Some(Framework {
        name,
        dependency,
        serves,
        because,
        build,
    })
}

/// The framework of a server, if there is one.
pub(crate) fn server(site: &Site<'_>) -> Option<Framework> {
    let found = SERVERS
        .iter()
        .find(|(dependency, ..)| site.package.depends(dependency));
    found.map(|&(dependency, name, start)| Framework {
        name,
        dependency,
        serves: Serves::Program(start.map(plan::Command::new)),
        because: None,
        build: None,
    })
}

/// What builds files for browsers, if something does.
pub(crate) fn files(site: &Site<'_>) -> Option<Framework> {
    let Builder {
        name,
        dependency,
        build,
        ..
    } = *builders::find(site)?;
    let (serves, because) = builders::output(site, name);
    Some(Framework {
        name,
        dependency,
        serves,
        because,
        build: Some(build),
    })
}

/// The library of a bot, if there is one.
pub(crate) fn bot(package: &Package) -> Option<(&'static str, &'static str)> {
    BOTS.iter()
        .copied()
        .find(|(dependency, _)| package.depends(dependency))
}

fn program(start: &str) -> (Serves, Option<(String, String)>) {
    (Serves::Program(Some(plan::Command::new(start))), None)
}

fn because(file: &str, says: impl Into<String>) -> Option<(String, String)> {
    Some((file.to_owned(), says.into()))
}

fn next(site: &Site<'_>) -> (Serves, Option<(String, String)>) {
    let config = Config::read(site.folder, "next.config");
    let exports =
        |command: &ScriptCommand| command.program() == "next" && command.argument(0) == "export";
    if let Some(command) = site
        .build_commands()
        .iter()
        .find(|command| exports(command))
    {
        let output = command.option(&["-o", "--outdir"]).unwrap_or("out");
        let says = "`next export` exports static files";
        return (
            Serves::Files(output.to_owned()),
            because(site.package.file, says),
        );
    }
    if config.is("output", "export") {
        let output = config.text("distDir").unwrap_or_else(|| "out".to_owned());
        return (
            Serves::Files(output),
            because(&config.file, "`output: 'export'`: builds static files"),
        );
    }
    if config.is("output", "standalone") {
        let start = Serves::Program(Some(plan::Command::new("node .next/standalone/server.js")));
        return (
            start,
            because(
                &config.file,
                "`output: 'standalone'`: includes its own server",
            ),
        );
    }
    program("next start")
}

fn nuxt(site: &Site<'_>) -> (Serves, Option<(String, String)>) {
    let config = Config::read(site.folder, "nuxt.config");
    let old = site
        .package
        .first(&["nuxt", "nuxt-edge"])
        .and_then(|name| site.package.asks_for(name))
        .is_some_and(|version| {
            version
                .trim_start_matches(['^', '~', 'v', '=', '>'])
                .starts_with("2")
        });
    let output = if old { "dist" } else { ".output/public" };
    let generates = |command: &ScriptCommand| {
        matches!(command.program(), "nuxt" | "nuxi" | "nuxt-ts")
            && command.argument(0) == "generate"
    };
    if site.build_commands().iter().any(generates) {
        let says = "`nuxt generate` generates static files";
        return (
            Serves::Files(output.to_owned()),
            because(site.package.file, says),
        );
    }
    if config.is("preset", "static") || (old && config.is("target", "static")) {
        return (
            Serves::Files(output.to_owned()),
            because(&config.file, "builds static files"),
        );
    }
    if let Some(nothing) = foreign_preset(&config) {
        return nothing;
    }
    program(if old {
        "nuxt start"
    } else {
        "node .output/server/index.mjs"
    })
}

fn remix(site: &Site<'_>) -> (Serves, Option<(String, String)>) {
    let config = Config::read(site.folder, "vite.config");
    if config.is("ssr", "false") {
        let files = Serves::Files("build/client".to_owned());
        return (
            files,
            because(&config.file, "`ssr: false`: builds static files"),
        );
    }
    if !site.package.depends("@remix-run/serve") {
        return (Serves::Program(None), None);
    }
    program(match config.is_there() {
        true => "remix-serve ./build/server/index.js",
        false => "remix-serve ./build/index.js",
    })
}

fn react_router(site: &Site<'_>) -> (Serves, Option<(String, String)>) {
    let config = Config::read(site.folder, "react-router.config");
    let build = config
        .text("buildDirectory")
        .unwrap_or_else(|| "build".to_owned());
    if config.is("ssr", "false") {
        let files = inside(&build, "client").unwrap_or(build);
        return (
            Serves::Files(files),
            because(&config.file, "`ssr: false`: builds static files"),
        );
    }
    if !site.package.depends("@react-router/serve") {
        return (Serves::Program(None), None);
    }
    program(&format!("react-router-serve ./{build}/server/index.js"))
}

fn solid(site: &Site<'_>) -> (Serves, Option<(String, String)>) {
    foreign_preset(&Config::read(site.folder, "app.config"))
        .unwrap_or_else(|| program("node .output/server/index.mjs"))
}

fn analog(site: &Site<'_>) -> (Serves, Option<(String, String)>) {
    foreign_preset(&Config::read(site.folder, "vite.config"))
        .unwrap_or_else(|| program("node dist/analog/server/index.mjs"))
}

fn tanstack(site: &Site<'_>) -> (Serves, Option<(String, String)>) {
    let config = Config::read(site.folder, "vite.config");
    let other = || foreign_preset(&Config::read(site.folder, "app.config"));
    if let Some(nothing) = foreign_preset(&config).or_else(other) {
        return nothing;
    }
    if config.contains("nitro")
        || Config::read(site.folder, "app.config").is_there()
        || site.package.depends("vinxi")
    {
        return program("node .output/server/index.mjs");
    }
    let why =
        "builds a request handler without a server: add nitro to vite.config, or a `start` script";
    (
        Serves::Nothing(why.to_owned()),
        because(&config.file, String::new()),
    )
}

fn sveltekit(site: &Site<'_>) -> (Serves, Option<(String, String)>) {
    let config = Config::read(site.folder, "svelte.config");
    let adapter = |name: &str| {
        let package = format!("@sveltejs/adapter-{name}");
        if config.is_there() {
            config.contains(&package)
        } else {
            site.package.depends(&package)
        }
    };
    if adapter("static") {
        let output = config.text("pages").unwrap_or_else(|| "build".to_owned());
        return (
            Serves::Files(output),
            because(&config.file, "adapter-static: builds static files"),
        );
    }
    let output = config.text("out").unwrap_or_else(|| "build".to_owned());
    let start = Serves::Program(Some(plan::Command::new("node").arg(&output)));
    if adapter("node") {
        return (
            start,
            because(&config.file, "adapter-node: builds a server"),
        );
    }
    if adapter("auto") {
        let says = "adapter-auto: uses adapter-node, because the build sets GCP_BUILDPACKS";
        return (start, because(&config.file, says));
    }
    let is_adapter = |name: &str| {
        name.starts_with("@sveltejs/adapter-")
            || name.contains("svelte-adapter")
            || name.contains("adapter-")
    };
    elsewhere(site, &config, is_adapter, "@sveltejs/adapter-node")
}

/// What is built for another platform has no server of its own: names the adapter and the one to take.
fn elsewhere(
    site: &Site<'_>,
    config: &Config,
    is_adapter: impl Fn(&str) -> bool,
    instead: &str,
) -> (Serves, Option<(String, String)>) {
    let known = site.package.dependencies();
    let all: Vec<&str> = known.filter(|name| is_adapter(name)).collect();
    let used = all
        .iter()
        .find(|name| config.contains(name))
        .or(all.first());
    let adapter = used.map_or_else(
        || "no adapter".to_owned(),
        |name| format!("the adapter {name}"),
    );
    let why = match used {
        Some(_) => format!("{adapter} builds for another platform: use {instead}"),
        None => format!("{adapter} builds a server: add {instead}"),
    };
    (Serves::Nothing(why), because(&config.file, String::new()))
}

/// The preset of Nitro that builds for another platform, if one is set: `preset: 'vercel'`.
fn foreign_preset(config: &Config) -> Option<(Serves, Option<(String, String)>)> {
    const SERVERS: &[&str] = &[
        "node",
        "bun",
        "deno-server",
        "deno_server",
        "static",
        "github",
    ];
    let preset = config.text("preset")?;
    if SERVERS.iter().any(|server| preset.starts_with(server)) {
        return None;
    }
    let why = format!("the preset {preset} builds for another platform: use node-server");
    Some((Serves::Nothing(why), because(&config.file, String::new())))
}

fn astro(site: &Site<'_>) -> (Serves, Option<(String, String)>) {
    let config = Config::read(site.folder, "astro.config");
    let output = config.text("outDir").and_then(|path| inside("", &path));
    let output = output.unwrap_or_else(|| "dist".to_owned());
    if config.contains("@astrojs/node")
        || (!config.is_there() && site.package.depends("@astrojs/node"))
    {
        let start = Serves::Program(Some(
            plan::Command::new("node").arg(format!("./{output}/server/entry.mjs")),
        ));
        return (
            start,
            because(&config.file, "@astrojs/node: builds a server"),
        );
    }
    if config.is("output", "server") || config.is("output", "hybrid") {
        let is_adapter = |name: &str| {
            [
                "@astrojs/vercel",
                "@astrojs/netlify",
                "@astrojs/cloudflare",
                "@deno/astro-adapter",
                "@astrojs/deno",
            ]
            .contains(&name)
                || name.contains("astro") && name.contains("adapter")
        };
        return elsewhere(site, &config, is_adapter, "@astrojs/node");
    }
    (Serves::Files(output), None)
}

fn expo(site: &Site<'_>) -> (Serves, Option<(String, String)>) {
    let commands = site.build_commands();
    let export = commands.iter().find(|command| {
        matches!(command.program(), "expo" | "expo-cli") && kind(command) == Kind::Build
    });
    let web = site.package.depends("react-native-web") || site.package.depends("expo-router");
    if export.is_none() && !web {
        return (Serves::Nothing("a phone app".to_owned()), None);
    }
    let old =
        export.is_some_and(|command| command.operand().is_some_and(|word| word.ends_with(":web")));
    let told = export.and_then(|command| command.option(&["--output-dir"]));
    let output = told.unwrap_or(if old { "web-build" } else { "dist" });
    (Serves::Files(output.to_owned()), None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repository::folder::Folder;
    use pipeops_core::source::MemTree;

    /// A package, its settings, and the words that say why it has no server.
    type Row = (&'static str, (&'static str, &'static str), &'static str);

    // One line per package.
    #[rustfmt::skip]
    const ELSEWHERE: &[Row] = &[
        (r#"{"devDependencies": {"@sveltejs/kit": "2", "@sveltejs/adapter-vercel": "5"}}"#, ("svelte.config.js", "import adapter from '@sveltejs/adapter-vercel'; export default {}"), "the adapter @sveltejs/adapter-vercel builds for another platform: use @sveltejs/adapter-node"),
        (r#"{"devDependencies": {"@sveltejs/kit": "2"}}"#, ("svelte.config.js", "export default {}"), "no adapter builds a server: add @sveltejs/adapter-node"),
        (r#"{"dependencies": {"astro": "5", "@astrojs/netlify": "6"}}"#, ("astro.config.mjs", "import netlify from '@astrojs/netlify'; export default { output: 'server', adapter: netlify() }"), "the adapter @astrojs/netlify builds for another platform: use @astrojs/node"),
        (r#"{"dependencies": {"nuxt": "3"}}"#, ("nuxt.config.ts", "export default { nitro: { preset: 'cloudflare-pages' } }"), "the preset cloudflare-pages builds for another platform: use node-server"),
        (r#"{"dependencies": {"@solidjs/start": "1"}}"#, ("app.config.ts", "export default defineConfig({ server: { preset: \"netlify\" } })"), "the preset netlify builds for another platform: use node-server"),
    ];

    #[test]
    fn what_is_built_for_other_platforms_names_the_adapter() {
        for (package, config, expected) in ELSEWHERE {
            let tree = MemTree::from([("package.json", *package), *config]);
            let folder = Folder::open(&tree, "");
            let package = Package::read(&folder).unwrap();
            let found = pages(&Site {
                folder: &folder,
                package: &package,
            })
            .unwrap();
            assert_eq!(found.serves, Serves::Nothing((*expected).to_owned()));
            assert_eq!(found.because.unwrap().0, config.0);
        }
        let node = r#"{"dependencies": {"nuxt": "3"}}"#;
        let tree = MemTree::from([
            ("package.json", node),
            ("nuxt.config.ts", "preset: 'node-cluster'"),
        ]);
        let folder = Folder::open(&tree, "");
        let package = Package::read(&folder).unwrap();
        let found = pages(&Site {
            folder: &folder,
            package: &package,
        })
        .unwrap();
        assert!(matches!(found.serves, Serves::Program(Some(_))));
    }
}
