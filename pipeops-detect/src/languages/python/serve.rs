//! The commands that serve an app, by the servers that a project installs.

use super::packages::Packages;
use crate::plan::Command;

/// What a server is told to serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// The folder that Python must look in; empty is the app's own.
    pub(crate) base: String,
    /// `package.module`.
    pub(crate) module: String,
    /// The app's name in the module, or that of the function that makes it.
    pub(crate) object: String,
    /// Whether `object` is a function.
    pub(crate) factory: bool,
}

impl Target {
    /// `module:app`, or `'module:create_app()'`.
    fn called(&self) -> String {
        match self.factory {
            true => format!("'{}:{}()'", self.module, self.object),
            false => self.plain(),
        }
    }

    fn plain(&self) -> String {
        match self.object.as_str() {
            "" => self.module.clone(),
            object => format!("{}:{object}", self.module),
        }
    }

    /// Adds an option with the folder to look in, where there is one.
    fn found_by(&self, command: Command, option: &str) -> Command {
        match self.base.as_str() {
            "" => command,
            base => command.arg(option).arg(base),
        }
    }

    fn factory_option(&self) -> &'static str {
        if self.factory { "--factory" } else { "" }
    }
}

/// By a WSGI server of the project, if there is one.
pub(crate) fn wsgi(packages: &Packages, target: &Target) -> Option<Command> {
    let (called, plain) = (target.called(), target.plain());
    Some(if packages.installs("gunicorn") {
        gunicorn(packages, target)
    } else if packages.installs("waitress") {
        let call = if target.factory { "--call" } else { "" };
        let command = Command::new("waitress-serve --listen=0.0.0.0:$PORT").args(call);
        imports_from(command.arg(plain), &target.base)
    } else if packages.installs("uwsgi") || packages.installs("pyuwsgi") {
        let command = Command::new("uwsgi --master --die-on-term --http-socket 0.0.0.0:$PORT");
        let command = target.found_by(command, "--pythonpath");
        command.arg("--module").arg(called)
    } else if packages.installs("granian") {
        granian("wsgi", target)
    } else {
        return None;
    })
}

/// By gunicorn, whether the project installs it or not.
pub(crate) fn gunicorn(packages: &Packages, target: &Target) -> Command {
    let command = target.found_by(Command::new("gunicorn"), "--pythonpath");
    let command = command.args(worker(packages)).args("--bind 0.0.0.0:$PORT");
    command.arg(target.called())
}

/// Websockets keep a connection each: gunicorn's usual worker would serve one at a time.
fn worker(packages: &Packages) -> &'static str {
    if !packages.has("flask-socketio") {
        ""
    } else if packages.has("gevent-websocket") {
        "--worker-class geventwebsocket.gunicorn.workers.GeventWebSocketWorker --workers 1"
    } else if packages.has("eventlet") {
        "--worker-class eventlet --workers 1"
    } else if packages.has("gevent") {
        "--worker-class gevent --workers 1"
    } else {
        "--workers 1 --threads 100"
    }
}

/// By an ASGI server of the project, if there is one.
pub(crate) fn asgi(packages: &Packages, target: &Target) -> Option<Command> {
    Some(if packages.installs("uvicorn") {
        uvicorn(target)
    } else if packages.installs("hypercorn") {
        let command = Command::new("hypercorn --bind 0.0.0.0:$PORT").arg(target.called());
        imports_from(command, &target.base)
    } else if packages.installs("granian") {
        granian("asgi", target)
    } else if packages.installs("daphne") && !target.factory {
        let command = Command::new("daphne -b 0.0.0.0 -p $PORT").arg(target.plain());
        imports_from(command, &target.base)
    } else {
        return None;
    })
}

/// By uvicorn, whether the project installs it or not.
pub(crate) fn uvicorn(target: &Target) -> Command {
    let command = target.found_by(Command::new("uvicorn"), "--app-dir");
    let command = command.args(target.factory_option());
    command
        .args("--host 0.0.0.0 --port $PORT")
        .arg(target.plain())
}

fn granian(interface: &str, target: &Target) -> Command {
    let command = Command::new("granian --interface").arg(interface);
    let command = command.args("--host 0.0.0.0 --port $PORT");
    let command = command.args(target.factory_option()).arg(target.plain());
    imports_from(command, &target.base)
}

/// By Flask's own server. The app's `app.run()` would listen inside of the container only.
pub(crate) fn flask(target: &Target) -> Command {
    let called = target.called();
    let called = called.trim_matches('\'');
    let called = if target.factory {
        // Flask finds the function by its name, without parentheses for a shell to read.
        called.trim_end_matches("()")
    } else {
        called
    };
    let command = Command::new("flask --app").arg(called);
    imports_from(
        command.args("run --host 0.0.0.0 --port $PORT"),
        &target.base,
    )
}

/// By Sanic's own server, which is meant for production.
pub(crate) fn sanic(target: &Target) -> Command {
    let command = Command::new("sanic").arg(target.plain());
    let command = command.args(target.factory_option());
    imports_from(command.args("--host 0.0.0.0 --port $PORT"), &target.base)
}

/// By bottle's own server.
pub(crate) fn bottle(target: &Target) -> Command {
    let command = Command::new("python -m bottle --bind 0.0.0.0:$PORT").arg(target.plain());
    imports_from(command, &target.base)
}

/// Lets Python look for modules in a folder, for commands without an option for it.
pub(crate) fn imports_from(command: Command, base: &str) -> Command {
    match base {
        "" => command,
        base => command.variable("PYTHONPATH", base),
    }
}
