//! The life of a request to a stand-in: faults, log, response.

use std::future::Future;
use std::io;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST};
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use percent_encoding::percent_decode_str;

use super::answer::{Answer, Body, Cut, cut_after, full, set_headers};
use super::query::Query;
use super::server::{Server, Switch};
use crate::fault::{Call, Fault, Faults};
use crate::seen::{Log, SeenRequest};

/// What a stand-in answers.
pub(crate) trait Service: Sized + Send + Sync + 'static {
    /// Whether [`Fault::Cut`] cuts the body of a request that carries one, and not its answer.
    const CUTS_REQUESTS: bool = false;

    /// The word for fault rules and the log.
    fn operation(exchange: &mut Exchange<Self>) -> impl Future<Output = String> + Send;

    /// The true answer.
    fn answer(exchange: &mut Exchange<Self>) -> impl Future<Output = Answer> + Send;

    /// The stand-in's own error of a status that a fault asks for.
    fn refusal(exchange: &Exchange<Self>, status: StatusCode, fault: &Fault) -> Response<Body>;
}

/// What every stand-in has. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Base {
    pub(crate) faults: Faults,
    pub(crate) seen: Log,
    pub(crate) switch: Switch,
}

/// One request on its way through a stand-in.
pub(crate) struct Exchange<S> {
    /// What the requests to this stand-in share.
    pub(crate) shared: Arc<S>,
    pub(crate) parts: Parts,
    /// The path without escapes.
    pub(crate) path: String,
    pub(crate) query: Query,
    /// The word for fault rules and the log.
    pub(crate) operation: String,
    /// The body, once it was [read](Exchange::read).
    pub(crate) body: Bytes,
    /// Who sent it, as far as the log should say.
    pub(crate) user: Option<String>,
    incoming: Option<Body>,
    broken: Option<BodyError>,
    /// The connection ends after this many bytes of the request's body.
    cut_after: Option<usize>,
}

/// Why a request's body cannot be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// A scripted fault ends the connection.
    Cut,
    TooLarge,
    /// The client stopped sending.
    Broken(String),
}

/// Starts a server for a stand-in.
pub(crate) async fn start<S: Service>(base: &Base, shared: &Arc<S>) -> io::Result<Server> {
    let (own, shared) = (base.clone(), shared.clone());
    Server::start(base.switch.clone(), move |request| {
        let (base, shared) = (own.clone(), shared.clone());
        async move {
            let request = request.map(|body| body.map_err(Into::into).boxed_unsync());
            call(&base, shared, request).await
        }
    })
    .await
}

/// Answers one request.
pub(crate) async fn call<S: Service>(
    base: &Base,
    shared: Arc<S>,
    request: Request<Body>,
) -> Answer {
    let mut exchange = Exchange::new(shared, request);
    exchange.operation = S::operation(&mut exchange).await;
    let call = exchange.call();
    let fault = base.faults.next(&call);
    let mut entry = Entry {
        log: &base.seen,
        seen: SeenRequest::new(call),
    };
    let answer = meet(&mut exchange, fault, &base.switch).await;
    entry.seen.user = exchange.user;
    entry.seen.status = answer.as_ref().ok().map(|answer| answer.status().as_u16());
    answer
}

/// The true answer, or what a fault makes of it.
async fn meet<S: Service>(
    exchange: &mut Exchange<S>,
    fault: Option<Fault>,
    switch: &Switch,
) -> Answer {
    let Some(fault) = fault else {
        return S::answer(exchange).await;
    };
    let refusal = |code| {
        let code = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        S::refusal(exchange, code, &fault)
    };
    match &fault {
        Fault::Refuse => Err(Cut),
        Fault::Crash => {
            switch.off();
            Err(Cut)
        }
        Fault::Delay(delay) => {
            tokio::time::sleep(*delay).await;
            S::answer(exchange).await
        }
        Fault::Cut { after_bytes } if S::CUTS_REQUESTS && exchange.carries_body() => {
            exchange.cut_after = Some(*after_bytes);
            S::answer(exchange).await
        }
        Fault::Cut { after_bytes } => Ok(cut_after(S::answer(exchange).await?, *after_bytes)),
        Fault::Gone => Ok(refusal(410)),
        Fault::Expired { code } => Ok(refusal(*code)),
        Fault::Status {
            code,
            headers,
            body,
        } => {
            let mut answer = refusal(*code);
            for (name, value) in headers {
                set_headers(&mut answer, &[(name, value.clone())]);
            }
            Ok(match body {
                Some(text) => answer.map(|_| full(text.clone())),
                None => answer,
            })
        }
    }
}

/// Logs a request when it ends, also when its client goes away before the answer.
struct Entry<'a> {
    log: &'a Log,
    seen: SeenRequest,
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        self.log.push(self.seen.clone());
    }
}

impl<S> Exchange<S> {
    fn new(shared: Arc<S>, request: Request<Body>) -> Self {
        let (parts, body) = request.into_parts();
        let path = percent_decode_str(parts.uri.path()).decode_utf8_lossy();
        Self {
            path: path.into_owned(),
            query: Query::parse(parts.uri.query().unwrap_or_default()),
            shared,
            parts,
            operation: String::new(),
            body: Bytes::new(),
            user: None,
            incoming: Some(body),
            broken: None,
            cut_after: None,
        }
    }

    fn call(&self) -> Call {
        let path = self.parts.uri.path_and_query();
        let path = path.map_or("/", |path| path.as_str());
        Call::new(self.parts.method.as_str(), path, &self.operation)
    }

    fn carries_body(&self) -> bool {
        matches!(
            self.parts.method,
            Method::POST | Method::PATCH | Method::PUT
        )
    }

    /// A header as text; none when it is missing or no text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.parts.headers.get(name)?.to_str().ok()
    }

    /// The host that the client used: what it gets back in `Location` must lead it here again.
    pub(crate) fn host(&self) -> &str {
        let authority = self.parts.uri.authority();
        self.header(HOST.as_str())
            .or(authority.map(|authority| authority.as_str()))
            .unwrap_or_default()
    }

    /// The request with its body, for another kind of server.
    pub(crate) fn take(&mut self) -> Request<Body> {
        let body = self.incoming.take().unwrap_or_else(|| full(Bytes::new()));
        Request::from_parts(self.parts.clone(), body)
    }

    /// Reads the whole body, of at most `limit` bytes, into `body`. Later calls answer as the first one.
    pub(crate) async fn read(&mut self, limit: usize) -> Result<(), BodyError> {
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        let Some(mut body) = self.incoming.take() else {
            return Ok(());
        };
        let mut whole = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| self.fail(BodyError::Broken(error.to_string())))?;
            let Ok(piece) = frame.into_data() else {
                continue;
            };
            whole.extend_from_slice(&piece);
            if self.cut_after.is_some_and(|cut| whole.len() >= cut) {
                return Err(self.fail(BodyError::Cut));
            }
            if whole.len() > limit {
                return Err(self.fail(BodyError::TooLarge));
            }
        }
        // A body shorter than the cut is cut at its end.
        if self.cut_after.is_some() {
            return Err(self.fail(BodyError::Cut));
        }
        self.body = whole.into();
        Ok(())
    }

    fn fail(&mut self, error: BodyError) -> BodyError {
        self.broken = Some(error.clone());
        error
    }
}

/// User name and password of HTTP Basic.
pub(crate) fn basic_credentials(headers: &HeaderMap) -> Option<(String, String)> {
    let header = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let encoded = header.strip_prefix("Basic ")?;
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (name, password) = text.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::answer::empty;
    use super::super::server::tests::raw_get;
    use super::*;
    use crate::fault::Matcher;

    struct Hello;

    impl Service for Hello {
        async fn operation(_: &mut Exchange<Self>) -> String {
            "get".to_owned()
        }

        async fn answer(_: &mut Exchange<Self>) -> Answer {
            Ok(Response::new(full("hello")))
        }

        fn refusal(_: &Exchange<Self>, status: StatusCode, _: &Fault) -> Response<Body> {
            empty(status, &[]).map(|_| full("no"))
        }
    }

    async fn answer(fault: Fault) -> (String, Option<u16>) {
        let base = Base::default();
        let server = start(&base, &Arc::new(Hello)).await.unwrap();
        base.faults.add(fault.on(Matcher::operation("get")));
        let text = raw_get(server.address()).await.unwrap_or_default();
        drop(server);
        let seen = base.seen.all();
        (text, seen.first().and_then(|seen| seen.status))
    }

    #[tokio::test]
    async fn faults_take_the_place_of_answers() {
        assert_eq!(answer(Fault::Refuse).await.0, "");
        assert_eq!(answer(Fault::Crash).await.0, "");
        let (late, status) = answer(Fault::Delay(Duration::ZERO)).await;
        assert!(late.ends_with("hello") && status == Some(200));
        let (cut, _) = answer(Fault::Cut { after_bytes: 3 }).await;
        assert!(cut.ends_with("\r\n\r\nhel"));
        let (busy, status) = answer(Fault::too_many_requests(7)).await;
        assert!(busy.contains("retry-after: 7") && busy.ends_with("no") && status == Some(429));
        let (gone, status) = answer(Fault::Gone).await;
        assert!(gone.ends_with("no") && status == Some(410));
    }
}
