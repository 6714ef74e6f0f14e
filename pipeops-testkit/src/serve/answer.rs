//! Responses, and bodies that are cut in mid-stream.

use std::error::Error;

use bytes::Bytes;
use futures::StreamExt;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Body as _, Frame};

/// Any error of a body.
pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// The body of a request or an answer. An error in an answer's body cuts the connection in mid-stream.
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

/// An answer with a body of this media type.
pub(crate) fn with_type(status: StatusCode, media: &'static str, body: Body) -> Response<Body> {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    let media = HeaderValue::from_static(media);
    answer.headers_mut().insert(CONTENT_TYPE, media);
    answer
}

/// An answer without body.
pub(crate) fn empty(status: StatusCode, headers: &[(&str, String)]) -> Response<Body> {
    let mut answer = Response::new(full(Bytes::new()));
    *answer.status_mut() = status;
    set_headers(&mut answer, headers);
    answer
}

/// Sets headers; a value that no header can hold is left out.
pub(crate) fn set_headers(answer: &mut Response<Body>, headers: &[(&str, String)]) {
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            answer.headers_mut().insert(name, value);
        }
    }
}

/// Lets this many bytes of a body through, then breaks off.
pub(super) fn cut_after(mut answer: Response<Body>, bytes: usize) -> Response<Body> {
    // The length of the whole body is promised, as by a server that does not know of its end.
    if let Some(length) = answer.body().size_hint().exact() {
        answer.headers_mut().insert(CONTENT_LENGTH, length.into());
    }
    answer.map(|body| cut_body(body, bytes))
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
