//! The HTTP server of every stand-in: a free port on loopback, HTTP/1.1 and HTTP/2, no task left after drop.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;
use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::{AbortHandle, JoinSet};

use super::answer::Answer;
use super::lock::lock;

/// A server that stops, with all its connections, when it is dropped.
pub(crate) struct Server {
    address: SocketAddr,
    handler: Handler,
    switch: Switch,
}

/// What answers the requests.
type Handler = Arc<dyn Fn(Request<Incoming>) -> BoxFuture<'static, Answer> + Send + Sync>;

impl Server {
    /// Passes requests to `handler` on a free port of 127.0.0.1 until the switch is off.
    pub(crate) async fn start<H, F>(switch: Switch, handler: H) -> io::Result<Self>
    where
        H: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
        F: Future<Output = Answer> + Send + 'static,
    {
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listener = TcpListener::bind(any_port).await?;
        let server = Self {
            address: listener.local_addr()?,
            handler: Arc::new(move |request| Box::pin(handler(request))),
            switch,
        };
        server.listen(listener);
        Ok(server)
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves again at the same address, after the switch was put off. Does nothing while it serves.
    pub(crate) async fn restart(&self) -> io::Result<()> {
        if self.switch.is_on() {
            return Ok(());
        }
        // The listener of before is closed by its aborted task, at that task's next turn.
        for _ in 0..RESTART_TRIES {
            match TcpListener::bind(self.address).await {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Err(error) => return Err(error),
                Ok(listener) => {
                    self.listen(listener);
                    return Ok(());
                }
            }
        }
        Err(io::ErrorKind::AddrInUse.into())
    }

    /// Cuts all connections and refuses new ones until [`Server::restart`].
    pub(crate) fn crash(&self) {
        self.switch.off();
    }

    fn listen(&self, listener: TcpListener) {
        self.switch.tasks.open();
        self.switch.draining.send_replace(false);
        let accept = tokio::spawn(accept(listener, self.switch.clone(), self.handler.clone()));
        *lock(&self.switch.accept) = Some(accept.abort_handle());
    }
}

/// How often a restart asks for its port, 5 ms apart.
const RESTART_TRIES: u32 = 200;

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Server").field(&self.address).finish()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.switch.off();
    }
}

/// Turns a server off, from inside of a handler too.
#[derive(Debug, Clone, Default)]
pub(crate) struct Switch {
    accept: Arc<Mutex<Option<AbortHandle>>>,
    tasks: Tasks,
    /// True while open connections may finish what they have begun, and nothing else.
    draining: Arc<watch::Sender<bool>>,
}

impl Switch {
    /// Ends the listener and all tasks: open connections are cut, new ones are refused.
    pub(crate) fn off(&self) {
        if let Some(accept) = lock(&self.accept).take() {
            accept.abort();
        }
        self.tasks.close();
    }

    /// Ends the listener; open connections are told to finish (HTTP/2: GOAWAY) and end with their last request.
    pub(crate) fn drain(&self) {
        if let Some(accept) = lock(&self.accept).take() {
            accept.abort();
        }
        self.draining.send_replace(true);
    }

    /// Cuts the open connections; new ones are accepted.
    pub(crate) fn cut_connections(&self) {
        lock(&self.tasks.0).set.abort_all();
    }

    /// The tasks that end with the server.
    pub(crate) fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    /// Whether new connections are accepted.
    pub(crate) fn is_on(&self) -> bool {
        lock(&self.accept).is_some()
    }
}

/// The tasks of one server: connections, HTTP/2 streams, and whatever its handlers start.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tasks(Arc<Mutex<TaskSet>>);

#[derive(Debug, Default)]
struct TaskSet {
    set: JoinSet<()>,
    /// Nothing starts any more: an accept that raced with the end must not leave a connection behind.
    closed: bool,
}

impl Tasks {
    /// Runs a future until it ends or the server does.
    pub(crate) fn spawn<F>(&self, future: F)
    where
        F: Future + Send + 'static,
    {
        let mut tasks = lock(&self.0);
        // Finished tasks are collected here, so that a long-lived server does not pile them up.
        while tasks.set.try_join_next().is_some() {}
        if !tasks.closed {
            tasks.set.spawn(async move {
                future.await;
            });
        }
    }

    fn open(&self) {
        lock(&self.0).closed = false;
    }

    fn close(&self) {
        let mut tasks = lock(&self.0);
        tasks.closed = true;
        tasks.set.abort_all();
    }
}

impl<F> hyper::rt::Executor<F> for Tasks
where
    F: Future + Send + 'static,
{
    fn execute(&self, future: F) {
        self.spawn(future);
    }
}

async fn accept(listener: TcpListener, switch: Switch, handler: Handler) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let connection = serve(stream, switch.clone(), handler.clone());
                switch.tasks.spawn(connection);
            }
            // Out of file descriptors, mostly: they come back when connections end.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

async fn serve(stream: TcpStream, switch: Switch, handler: Handler) {
    // Small answers must not wait for the client's delayed acknowledgement.
    let _ = stream.set_nodelay(true);
    let mut builder = auto::Builder::new(switch.tasks.clone());
    builder.http1().timer(TokioTimer::new());
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(16 << 20);
    // An error of the handler would end one stream of HTTP/2 only; a cut ends the whole connection.
    let cut = Arc::new(Notify::new());
    let on_cut = cut.clone();
    let service = service_fn(move |request| {
        let (answer, cut) = (handler(request), on_cut.clone());
        async move {
            let answer = answer.await;
            if answer.is_err() {
                cut.notify_one();
            }
            answer
        }
    });
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let mut draining = switch.draining.subscribe();
    // A connection that ends badly is the client's business: it sees the error itself.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = cut.notified() => return,
        _ = draining.wait_for(|draining| *draining) => connection.as_mut().graceful_shutdown(),
    }
    tokio::select! {
        _ = connection => {}
        () = cut.notified() => {}
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::ErrorKind;

    use http::Response;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::super::answer::full;
    use super::*;

    pub(crate) async fn raw_get(address: SocketAddr) -> io::Result<String> {
        let mut stream = TcpStream::connect(address).await?;
        stream
            .write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            .await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        Ok(text)
    }

    /// Connects until the system refuses: an aborted listener closes at its task's next turn.
    async fn wait_refused(address: SocketAddr) {
        loop {
            match TcpStream::connect(address).await {
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => return,
                _ => tokio::task::yield_now().await,
            }
        }
    }

    async fn hello(switch: Switch) -> Server {
        Server::start(switch, |_| async { Ok(Response::new(full("hello"))) })
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn it_answers_and_is_gone_after_drop() {
        let server = hello(Switch::default()).await;
        let address = server.address();
        assert!(raw_get(address).await.unwrap().ends_with("hello"));
        let mut open = TcpStream::connect(address).await.unwrap();
        drop(server);
        let mut rest = Vec::new();
        let _ = open.read_to_end(&mut rest).await;
        assert!(rest.is_empty());
        wait_refused(address).await;
    }

    #[tokio::test]
    async fn a_crashed_server_refuses_until_it_is_restarted() {
        let server = hello(Switch::default()).await;
        server.crash();
        wait_refused(server.address()).await;
        server.restart().await.unwrap();
        server.restart().await.unwrap();
        assert!(raw_get(server.address()).await.unwrap().ends_with("hello"));
    }
}
