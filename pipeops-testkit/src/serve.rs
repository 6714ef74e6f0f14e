//! The one HTTP server under the stand-ins: loopback, a free port, HTTP/1.1 and HTTP/2, and no task left after drop.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::future::BoxFuture;
use http::header::{CONTENT_LENGTH, HeaderName};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Body as _, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use percent_encoding::percent_decode_str;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::{AbortHandle, JoinSet};

use crate::fault::Fault;

/// Any error of a body.
pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// The body of an answer. An error in it cuts the connection in mid-stream.
pub(crate) type Body = UnsyncBoxBody<Bytes, BoxError>;

/// An answer, or the end of the connection.
pub(crate) type Answer = Result<Response<Body>, Cut>;

/// The connection ends here, without an answer or in the middle of one.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the connection was cut by a scripted fault")]
pub(crate) struct Cut;

/// A body of these bytes.
pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// Locks, and goes on with the data of a holder that panicked: each change under these locks is complete in itself.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The pairs of a query or a form, in order.
pub(crate) fn query_pairs(query: &str) -> Vec<(String, String)> {
    let decode = |text: &str| {
        let text = text.replace('+', " ");
        percent_decode_str(&text).decode_utf8_lossy().into_owned()
    };
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(key, value)| (decode(key), decode(value)))
        .collect()
}

/// The parameters of a query; of several with one name the last counts.
pub(crate) fn parse_query(query: &str) -> BTreeMap<String, String> {
    query_pairs(query).into_iter().collect()
}

/// A server that stops, with all its connections, when it is dropped.
pub(crate) struct Server {
    address: SocketAddr,
    handler: Handler,
    switch: Switch,
}

/// What answers the requests.
type Handler = Arc<dyn Fn(Request<Incoming>) -> BoxFuture<'static, Answer> + Send + Sync>;

impl Server {
    /// Serves `handler` on a free port of 127.0.0.1 until the switch is off.
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

    fn is_on(&self) -> bool {
        lock(&self.accept).is_some()
    }
}

/// Answers a request that a fault meets. `answer` is the true answer, `refusal` the stand-in's own error of a status.
pub(crate) async fn with_fault(
    fault: Fault,
    switch: &Switch,
    answer: impl Future<Output = Answer>,
    refusal: impl Fn(StatusCode) -> Response<Body>,
) -> Answer {
    match fault {
        Fault::Refuse => Err(Cut),
        Fault::Delay(delay) => {
            tokio::time::sleep(delay).await;
            answer.await
        }
        Fault::Cut { after_bytes } => Ok(cut_after(answer.await?, after_bytes)),
        Fault::Status {
            code,
            headers,
            body,
        } => Ok(scripted(refusal(status(code)), &headers, body)),
        Fault::Gone => Ok(refusal(StatusCode::GONE)),
        Fault::Expired { code } => Ok(refusal(status(code))),
        Fault::Crash => {
            switch.off();
            Err(Cut)
        }
    }
}

/// The status of a scripted answer; a number that is none becomes 500.
fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn scripted(
    mut response: Response<Body>,
    headers: &[(String, String)],
    body: Option<String>,
) -> Response<Body> {
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse::<HeaderValue>()) {
            response.headers_mut().insert(name, value);
        }
    }
    match body {
        Some(text) => response.map(|_| full(text)),
        None => response,
    }
}

/// Lets this many bytes of a body through, then breaks off.
fn cut_after(mut response: Response<Body>, bytes: usize) -> Response<Body> {
    // The length of the whole body is promised, as by a server that does not know of its end.
    if let Some(length) = response.body().size_hint().exact() {
        response.headers_mut().insert(CONTENT_LENGTH, length.into());
    }
    response.map(|body| cut_body(body, bytes))
}

fn cut_body(body: Body, bytes: usize) -> Body {
    let state = (body.into_data_stream(), bytes);
    let stream = futures::stream::unfold(Some(state), |state| async move {
        let (mut rest, left) = state?;
        match rest.next().await {
            Some(Ok(piece)) if piece.len() < left => {
                let left = left - piece.len();
                Some((Ok(Frame::data(piece)), Some((rest, left))))
            }
            Some(Ok(piece)) if left > 0 => {
                Some((Ok(Frame::data(piece.slice(..left))), Some((rest, 0))))
            }
            // A body that was short enough to be whole is cut all the same: its end never comes.
            _ => {
                // A turn for the connection to send what it holds: an error would throw that away.
                tokio::task::yield_now().await;
                Some((Err(BoxError::from(Cut)), None))
            }
        }
    });
    StreamBody::new(stream).boxed_unsync()
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
mod tests {
    use std::io::ErrorKind;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn raw_get(address: SocketAddr) -> io::Result<String> {
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

    #[tokio::test]
    async fn faults_take_the_place_of_answers() {
        async fn answer(fault: Fault) -> String {
            let switch = Switch::default();
            let handler_switch = switch.clone();
            let server = Server::start(switch, move |_| {
                let (fault, switch) = (fault.clone(), handler_switch.clone());
                async move {
                    let answer = async { Ok(Response::new(full("hello"))) };
                    let refusal = |status| {
                        let mut response = Response::new(full("no"));
                        *response.status_mut() = status;
                        response
                    };
                    with_fault(fault, &switch, answer, refusal).await
                }
            });
            raw_get(server.await.unwrap().address())
                .await
                .unwrap_or_default()
        }
        assert_eq!(answer(Fault::Refuse).await, "");
        assert_eq!(answer(Fault::Crash).await, "");
        assert!(
            answer(Fault::Delay(Duration::ZERO))
                .await
                .ends_with("hello")
        );
        assert!(
            answer(Fault::Cut { after_bytes: 3 })
                .await
                .ends_with("\r\n\r\nhel")
        );
        let busy = answer(Fault::too_many_requests(7)).await;
        assert!(busy.contains("429") && busy.contains("retry-after: 7") && busy.ends_with("no"));
        let gone = answer(Fault::Gone).await;
        assert!(gone.contains("410") && gone.ends_with("no"));
    }
}
