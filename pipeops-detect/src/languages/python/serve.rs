//! The commands that serve an app, by the servers that a project installs.

use super::packages::Packages;

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

    /// A flag with the folder to look in, where there is one.
    fn flag(&self, name: &str) -> String {
        match self.base.as_str() {
            "" => String::new(),
            base => format!(" {name} {base}"),
        }
    }

    /// The same for commands without such a flag.
    fn variable(&self) -> String {
        match self.base.as_str() {
            "" => String::new(),
            base => format!("env PYTHONPATH={base} "),
        }
    }

    fn factory_flag(&self) -> &'static str {
        if self.factory { " --factory" } else { "" }
    }
}

/// By a WSGI server of the project, if there is one.
pub(crate) fn wsgi(packages: &Packages, target: &Target) -> Option<String> {
    let (called, plain) = (target.called(), target.plain());
    Some(if packages.installs("gunicorn") {
        gunicorn(packages, target)
    } else if packages.installs("waitress") {
        let call = if target.factory { " --call" } else { "" };
        let variable = target.variable();
        format!("{variable}waitress-serve --listen=0.0.0.0:$PORT{call} {plain}")
    } else if packages.installs("uwsgi") || packages.installs("pyuwsgi") {
        let path = target.flag("--pythonpath");
        format!("uwsgi --master --die-on-term --http-socket 0.0.0.0:$PORT{path} --module {called}")
    } else if packages.installs("granian") {
        granian("wsgi", target)
    } else {
        return None;
    })
}

/// By gunicorn, whether the project installs it or not.
pub(crate) fn gunicorn(packages: &Packages, target: &Target) -> String {
    let path = target.flag("--pythonpath");
    let worker = worker(packages);
    format!(
        "gunicorn{path}{worker} --bind 0.0.0.0:$PORT {}",
        target.called()
    )
}

/// Websockets keep a connection each: gunicorn's usual worker would serve one at a time.
fn worker(packages: &Packages) -> &'static str {
    if !packages.has("flask-socketio") {
        ""
    } else if packages.has("gevent-websocket") {
        " --worker-class geventwebsocket.gunicorn.workers.GeventWebSocketWorker --workers 1"
    } else if packages.has("eventlet") {
        " --worker-class eventlet --workers 1"
    } else if packages.has("gevent") {
        " --worker-class gevent --workers 1"
    } else {
        " --workers 1 --threads 100"
    }
}

/// By an ASGI server of the project, if there is one.
pub(crate) fn asgi(packages: &Packages, target: &Target) -> Option<String> {
    Some(if packages.installs("uvicorn") {
        uvicorn(target)
    } else if packages.installs("hypercorn") {
        let (variable, called) = (target.variable(), target.called());
        format!("{variable}hypercorn --bind 0.0.0.0:$PORT {called}")
    } else if packages.installs("granian") {
        granian("asgi", target)
    } else if packages.installs("daphne") && !target.factory {
        let (variable, plain) = (target.variable(), target.plain());
        format!("{variable}daphne -b 0.0.0.0 -p $PORT {plain}")
    } else {
        return None;
    })
}

/// By uvicorn, whether the project installs it or not.
pub(crate) fn uvicorn(target: &Target) -> String {
    let (path, factory) = (target.flag("--app-dir"), target.factory_flag());
    format!(
        "uvicorn{path}{factory} --host 0.0.0.0 --port $PORT {}",
        target.plain()
    )
}

fn granian(interface: &str, target: &Target) -> String {
    let (variable, factory) = (target.variable(), target.factory_flag());
    let plain = target.plain();
    format!(
        "{variable}granian --interface {interface} --host 0.0.0.0 --port $PORT{factory} {plain}"
    )
}

/// By Flask's own server. The app's `app.run()` would listen inside of the container only.
pub(crate) fn flask(target: &Target) -> String {
    let variable = target.variable();
    let called = target.called();
    let called = called.trim_matches('\'');
    let called = if target.factory {
        // Flask finds the function by its name, without parentheses for a shell to read.
        called.trim_end_matches("()")
    } else {
        called
    };
    format!("{variable}flask --app {called} run --host 0.0.0.0 --port $PORT")
}

/// By Sanic's own server, which is meant for production.
pub(crate) fn sanic(target: &Target) -> String {
    let (variable, factory) = (target.variable(), target.factory_flag());
    format!(
        "{variable}sanic {}{factory} --host 0.0.0.0 --port $PORT",
        target.plain()
    )
}

/// By bottle's own server.
pub(crate) fn bottle(target: &Target) -> String {
    let variable = target.variable();
    format!(
        "{variable}python -m bottle --bind 0.0.0.0:$PORT {}",
        target.plain()
    )
}
