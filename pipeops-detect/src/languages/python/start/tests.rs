use super::super::detect::detect;
use crate::languages::layouts::found;

const FLASK: &str = "from flask import Flask\nweb = Flask(__name__)\nif x:\n    web.run()";
const FACTORY: &str = "from flask import Flask\ndef create_app(config=None):\n    app = Flask(__name__)\n    return app";
const FAST: &str = "from fastapi import FastAPI\napi: FastAPI = FastAPI(title='x')";
const BOT: &str = "import discord\nbot = discord.Client()\nbot.run('x')";
const ALIVE: &str =
    "from flask import Flask\napp = Flask('')\ndef run(): app.run(host='0.0.0.0', port=8081)";

/// Packages, files, framework, command and port.
type Case = (
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static str,
    &'static str,
    Option<u16>,
);

#[rustfmt::skip]
const CASES: &[Case] = &[
    ("flask\ngunicorn", &[("app.py", FLASK)], "flask", "gunicorn --bind 0.0.0.0:$PORT app:web", Some(8080)),
    ("flask\nwaitress", &[("app.py", FLASK)], "flask", "waitress-serve --listen=0.0.0.0:$PORT app:web", Some(8080)),
    ("flask", &[("app.py", FLASK)], "flask", "flask --app app:web run --host 0.0.0.0 --port $PORT", Some(8080)),
    ("flask\ngunicorn", &[("app/__init__.py", FACTORY)], "flask", "gunicorn --bind 0.0.0.0:$PORT 'app:create_app()'", Some(8080)),
    ("flask", &[("app/__init__.py", FACTORY)], "flask", "flask --app app:create_app run --host 0.0.0.0 --port $PORT", Some(8080)),
    ("flask\ngunicorn", &[("shop/__init__.py", FACTORY), ("wsgi.py", "from shop import create_app\napp = create_app()")], "flask", "gunicorn --bind 0.0.0.0:$PORT wsgi:app", Some(8080)),
    ("flask\ngunicorn", &[("shop/__init__.py", FACTORY), ("blog.py", "from shop import create_app\napp = create_app()")], "flask", "gunicorn --bind 0.0.0.0:$PORT blog:app", Some(8080)),
    ("flask\ngunicorn", &[("src/shop/app.py", FLASK)], "flask", "gunicorn --pythonpath src --bind 0.0.0.0:$PORT shop.app:web", Some(8080)),
    ("flask\ngunicorn\nflask-socketio\neventlet", &[("app.py", FLASK)], "flask", "gunicorn --worker-class eventlet --workers 1 --bind 0.0.0.0:$PORT app:web", Some(8080)),
    ("flask\ngunicorn", &[("manage.py", "from charts.cli import manager\nif __name__ == \"__main__\":\n    manager()"), ("charts/__init__.py", "from charts.app import create_app"), ("charts/app.py", "from flask import Flask\nclass Charts(Flask):\n    pass\ndef create_app():\n    return Charts(__name__)"), ("charts/wsgi.py", "from charts import create_app\napp = create_app()")], "flask", "gunicorn --bind 0.0.0.0:$PORT charts.wsgi:app", Some(8080)),
    ("flask\ngunicorn", &[("wsgi.py", "from shop.server import Shop\napplication = Shop(__name__)")], "flask", "gunicorn --bind 0.0.0.0:$PORT wsgi:application", Some(8080)),
    ("fastapi\nuvicorn", &[("asgi.py", "from shop import make_app\napp = make_app()")], "fastapi", "uvicorn --host 0.0.0.0 --port $PORT asgi:app", Some(8080)),
    ("fastapi\nuvicorn", &[("app/main.py", FAST)], "fastapi", "uvicorn --host 0.0.0.0 --port $PORT app.main:api", Some(8080)),
    ("fastapi\nuvicorn", &[("app/main.py", "from fastapi import FastAPI\nfrom config import x\napi = FastAPI()"), ("app/config.py", "")], "fastapi", "uvicorn --app-dir app --host 0.0.0.0 --port $PORT main:api", Some(8080)),
    ("fastapi", &[("main.py", FAST)], "fastapi", "uvicorn --host 0.0.0.0 --port $PORT main:api", Some(8080)),
    ("quart", &[("app.py", "from quart import Quart\napp = Quart('x')")], "quart", "hypercorn --bind 0.0.0.0:$PORT app:app", Some(8080)),
    ("sanic", &[("app.py", "from sanic import Sanic\napp = Sanic('x')")], "sanic", "sanic app:app --host 0.0.0.0 --port $PORT", Some(8080)),
    ("bottle", &[("app.py", "import bottle\napp = bottle.Bottle()")], "bottle", "python -m bottle --bind 0.0.0.0:$PORT app:app", Some(8080)),
    ("bottle", &[("app.py", "from bottle import route, run\nrun(host='localhost', port=80)")], "bottle", "python -m bottle --bind 0.0.0.0:$PORT app", Some(8080)),
    ("falcon", &[("app.py", "import falcon\napp = falcon.App()")], "falcon", "gunicorn --bind 0.0.0.0:$PORT app:app", Some(8080)),
    ("dash\ngunicorn", &[("app.py", "from dash import Dash\napp = Dash()\nserver = app.server")], "dash", "gunicorn --bind 0.0.0.0:$PORT app:server", Some(8080)),
    ("dash", &[("app.py", "from dash import Dash\napp = Dash()\napp.run(debug=True)")], "dash", "env HOST=0.0.0.0 python app.py", Some(8080)),
    ("streamlit\nfastapi", &[("Home.py", "import streamlit as st"), ("pages/a.py", "import streamlit")], "streamlit", "streamlit run Home.py --server.address 0.0.0.0 --server.port $PORT --server.headless true", Some(8080)),
    ("gradio", &[("app.py", "import gradio as gr\ngr.Blocks().launch()")], "gradio", "env GRADIO_SERVER_NAME=0.0.0.0 GRADIO_SERVER_PORT=$PORT python app.py", Some(8080)),
    ("python-fasthtml", &[("main.py", "from fasthtml.common import *\napp, rt = fast_app()\nserve()")], "fasthtml", "uvicorn --host 0.0.0.0 --port $PORT main:app", Some(8080)),
    ("aiohttp", &[("main.py", "from aiohttp import web\napp = web.Application()\nweb.run_app(app, port=9000)")], "aiohttp", "python main.py", Some(9000)),
    ("tornado", &[("main.py", "import tornado.web\ndefine(\"port\", default=8888)\nparse_command_line()")], "tornado", "python main.py --port=$PORT", Some(8080)),
    ("discord.py\nflask", &[("main.py", BOT), ("keep_alive.py", ALIVE)], "discord", "python main.py", None),
    ("discord.py\nflask", &[("main.py", "import discord\nfrom keep_alive import run\ndiscord.Client()"), ("keep_alive.py", ALIVE)], "discord", "python main.py", Some(8081)),
    ("celery", &[("tasks.py", "from celery import Celery\napp = Celery('x')")], "celery", "celery --app tasks worker --loglevel info", None),
    ("requests", &[("main.py", "import requests\nrequests.get('x')")], "", "python main.py", None),
    ("redis", &[("worker.py", "import redis\nredis.Redis(port=6379)")], "", "python worker.py", None),
    ("requests", &[("a.py", "def a(): pass"), ("b.py", "if __name__ == '__main__':\n  x()")], "", "python b.py", None),
    ("", &[("pkg/__main__.py", "print(1)")], "", "python -m pkg", None),
    ("aiohttp", &[("bot/main.py", "from bot.x import y")], "", "python -m bot.main", None),
    ("mcp", &[("server.py", "from mcp.server.fastmcp import FastMCP\nmcp = FastMCP('x')\nmcp.run(transport='streamable-http')")], "mcp", "python server.py", Some(8000)),
];

#[test]
fn each_program_is_started_by_what_is_installed() {
    for &(packages, files, framework, start, port) in CASES {
        let found = found(detect, &[&[("requirements.txt", packages)], files].concat());
        let texts = [found.framework.clone(), found.start()].map(Option::unwrap_or_default);
        let found = (texts[0].as_str(), texts[1].as_str(), found.port);
        assert_eq!(found, (framework, start, port), "{packages} {files:?}");
    }
}
