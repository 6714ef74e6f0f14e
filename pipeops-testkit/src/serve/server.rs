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
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, JoinSet};

use super::answer::Answer;
use super::lock::lock;

/// A server that stops, with all its connections, when it is dropped.
pub(crate) struct Server {
    address: SocketAddr,
    handler: Handler,
    switch: Switch,
    /// Keeps the port while the server is off, so that no other program gets it. `None`: the system can't do that.
    _reserved: Option<TcpSocket>,
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
        let mut address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let reserved = reserve(address)?;
        if let Some(reserved) = &reserved {
            address = reserved.local_addr()?;
        }
        let listener = TcpListener::bind(address).await?;
        let server = Self {
            address: listener.local_addr()?,
            handler: Arc::new(move |request| Box::pin(handler(request))),
            switch,
            _reserved: reserved,
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
        self.switch.listener_closed().await;
        self.listen(TcpListener::bind(self.address).await?);
        Ok(())
    }

    /// Cuts all connections and refuses new ones until [`Server::restart`].
    pub(crate) fn crash(&self) {
        self.switch.off();
    }

    fn listen(&self, listener: TcpListener) {
        self.switch.tasks.open();
        self.switch.draining.send_replace(false);
        let accept = tokio::spawn(accept(listener, self.switch.clone(), self.handler.clone()));
        *lock(&self.switch.accept) = Some(accept);
    }
}

/// Binds a port and never listens. Linux lets a listener bind the same port beside it, because both sockets allow reuse
/// (Tokio's listeners do) and only one of them listens. Other systems don't.
fn reserve(address: SocketAddr) -> io::Result<Option<TcpSocket>> {
    if !cfg!(target_os = "linux") {
        return Ok(None);
    }
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(Some(socket))
}

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
    accept: Arc<Mutex<Option<JoinHandle<()>>>>,
    /// A task that accepted connections and was aborted. Its listener closes at its next turn.
    aborted: Arc<Mutex<Option<JoinHandle<()>>>>,
    tasks: Tasks,
    /// True while open connections may finish what they have begun, and nothing else.
    draining: Arc<watch::Sender<bool>>,
}

impl Switch {
    /// Ends the listener and all tasks: open connections are cut, new ones are refused.
    pub(crate) fn off(&self) {
        self.close_listener();
        self.tasks.close();
    }

    /// Ends the listener; open connections are told to finish (HTTP/2: GOAWAY) and end with their last request.
    pub(crate) fn drain(&self) {
        self.close_listener();
        self.draining.send_replace(true);
    }

    fn close_listener(&self) {
        if let Some(accept) = lock(&self.accept).take() {
            accept.abort();
            *lock(&self.aborted) = Some(accept);
        }
    }

    /// Waits until the listener that was closed last has let go of its port.
    async fn listener_closed(&self) {
        let aborted = lock(&self.aborted).take();
        if let Some(accept) = aborted {
            let _ = accept.await;
        }
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
        let refused = async {
            loop {
                match TcpStream::connect(address).await {
                    Err(error) if error.kind() == ErrorKind::ConnectionRefused => return,
                    _ => tokio::task::yield_now().await,
                }
            }
        };
        let refused = tokio::time::timeout(Duration::from_secs(60), refused).await;
        refused.expect("the port still accepts connections");
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

    #[tokio::test]
    async fn a_server_restarts_at_once_again_and_again() {
        let server = hello(Switch::default()).await;
        for _ in 0..20 {
            server.crash();
            server.restart().await.unwrap();
            assert!(raw_get(server.address()).await.unwrap().ends_with("hello"));
        }
    }

    /// The system gives ports to whoever asks for any; the port of a crashed server must not be among them.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_crashed_server_keeps_its_port() {
        let server = hello(Switch::default()).await;
        server.crash();
        wait_refused(server.address()).await;
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(false).unwrap();
        let error = socket.bind(server.address()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        server.restart().await.unwrap();
    }
}
