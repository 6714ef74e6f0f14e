//! The frameworks of Python, and what their programs look like.

use super::packages::Packages;

/// How an app of the framework is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A server of its own choice calls it, as the WSGI standard says.
    Wsgi,
    /// The same by the ASGI standard.
    Asgi,
    /// The program itself listens.
    Program,
    /// A command of the framework runs a file.
    Command(&'static str),
}

/// A framework that answers requests.
pub(crate) struct Framework {
    /// The package.
    pub(crate) package: &'static str,
    /// Its name in detections.
    pub(crate) name: &'static str,
    /// What creates its app. The last name before the parenthesis counts: `falcon.App(` is `App(`.
    pub(crate) creates: &'static [&'static str],
    /// How it is run.
    pub(crate) kind: Kind,
    /// Whether asking for the package says that something is served. Some are clients at least as often.
    pub(crate) alone: bool,
}

const fn row(
    package: &'static str,
    name: &'static str,
    creates: &'static [&'static str],
    kind: Kind,
) -> Framework {
    Framework {
        package,
        name,
        creates,
        kind,
        alone: true,
    }
}

const fn client(
    package: &'static str,
    name: &'static str,
    creates: &'static [&'static str],
    kind: Kind,
) -> Framework {
    Framework {
        alone: false,
        ..row(package, name, creates, kind)
    }
}

const STREAMLIT: &str =
    "streamlit run FILE --server.address 0.0.0.0 --server.port $PORT --server.headless true";
const CHAINLIT: &str = "chainlit run FILE --host 0.0.0.0 --port $PORT --headless";
const GRADIO: &str = "env GRADIO_SERVER_NAME=0.0.0.0 GRADIO_SERVER_PORT=$PORT python FILE";
const SHINY: &str = "shiny run --host 0.0.0.0 --port $PORT FILE";
const PANEL: &str = "panel serve FILE --address 0.0.0.0 --port $PORT --allow-websocket-origin '*'";
const MESOP: &str = "mesop FILE --prod --port $PORT";

/// Where a project has several, those that wrap others come first.
// One line per framework.
#[rustfmt::skip]
pub(crate) const ALL: &[Framework] = &[
    row("chainlit", "chainlit", &["import chainlit"], Kind::Command(CHAINLIT)),
    row("streamlit", "streamlit", &["import streamlit", "from streamlit"], Kind::Command(STREAMLIT)),
    row("python-fasthtml", "fasthtml", &["fast_app(", "FastHTML("], Kind::Asgi),
    row("nicegui", "nicegui", &["ui.run("], Kind::Program),
    row("dash", "dash", &["Dash("], Kind::Wsgi),
    row("fastapi", "fastapi", &["FastAPI("], Kind::Asgi),
    row("litestar", "litestar", &["Litestar("], Kind::Asgi),
    row("quart", "quart", &["Quart("], Kind::Asgi),
    row("flask", "flask", &["Flask("], Kind::Wsgi),
    row("sanic", "sanic", &["Sanic("], Kind::Asgi),
    row("blacksheep", "blacksheep", &["Application("], Kind::Asgi),
    row("robyn", "robyn", &["Robyn("], Kind::Program),
    row("pyramid", "pyramid", &["make_wsgi_app("], Kind::Wsgi),
    row("falcon", "falcon", &["falcon.asgi.App("], Kind::Asgi),
    row("falcon", "falcon", &["falcon.App(", "falcon.API("], Kind::Wsgi),
    row("cherrypy", "cherrypy", &["cherrypy.quickstart(", "cherrypy.engine.start("], Kind::Program),
    row("gradio", "gradio", &[".launch("], Kind::Command(GRADIO)),
    row("shiny", "shiny", &["App(", "from shiny.express"], Kind::Command(SHINY)),
    row("panel", "panel", &[".servable("], Kind::Command(PANEL)),
    row("mesop", "mesop", &["import mesop"], Kind::Command(MESOP)),
    row("fastmcp", "mcp", &["FastMCP("], Kind::Program),
    client("starlette", "starlette", &["Starlette("], Kind::Asgi),
    row("bottle", "bottle", &["Bottle(", "import bottle", "from bottle import"], Kind::Wsgi),
    client("aiohttp", "aiohttp", &["web.Application("], Kind::Program),
    client("tornado", "tornado", &["tornado.web", "web.Application("], Kind::Program),
    client("mcp", "mcp", &["FastMCP("], Kind::Program),
];

/// Libraries of programs that take messages instead of requests.
pub(crate) const BOTS: &[(&str, &str)] = &[
    ("discord-py", "discord"),
    ("discord", "discord"),
    ("py-cord", "discord"),
    ("nextcord", "discord"),
    ("disnake", "discord"),
    ("hikari", "discord"),
    ("interactions-py", "discord"),
    ("python-telegram-bot", "telegram"),
    ("aiogram", "telegram"),
    ("pytelegrambotapi", "telegram"),
    ("pyrogram", "telegram"),
    ("telethon", "telegram"),
    ("slack-bolt", "slack"),
    ("twitchio", "twitch"),
    ("mastodon-py", "mastodon"),
];

/// What the programs of bots contain, over all libraries.
pub(crate) const BOT_SIGNS: &[&str] = &[
    "commands.Bot(",
    "commands.AutoShardedBot(",
    "discord.Client(",
    "discord.Bot(",
    "AutoShardedClient(",
    "GatewayBot(",
    "InteractionBot(",
    "ApplicationBuilder(",
    "Application.builder(",
    "Updater(",
    "Dispatcher(",
    "TeleBot(",
    "TelegramClient(",
    "pyrogram",
    "slack_bolt",
    "twitchio",
];

/// Queues whose workers are processes of their own.
pub(crate) const WORKERS: &[(&str, &str, &str)] = &[
    (
        "celery",
        "Celery(",
        "celery --app MODULE worker --loglevel info",
    ),
    ("dramatiq", "@dramatiq.actor", "dramatiq MODULE"),
    ("arq", "class WorkerSettings", "arq MODULE.WorkerSettings"),
    ("huey", "Huey(", "huey_consumer MODULE.huey"),
];

/// The frameworks that the project asks for.
pub(crate) fn asked(packages: &Packages) -> impl Iterator<Item = &'static Framework> {
    ALL.iter()
        .filter(|framework| packages.has(framework.package))
}
