//! From an HTTP request to the handler of its operation.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use percent_encoding::percent_decode_str;

use super::error::{S3Error, S3Result, of_status};
use super::{Shared, chunked, list, object, signature, upload, xml};
use crate::fault::{Call, Fault};
use crate::seen::SeenRequest;
use crate::serve::{Answer, Body, full, lock, parse_query, with_fault};

/// One request on its way through a handler.
pub(super) struct Exchange {
    pub(super) shared: Arc<Shared>,
    pub(super) parts: Parts,
    pub(super) query: BTreeMap<String, String>,
    pub(super) bucket: String,
    pub(super) key: String,
    /// Checked and out of its chunks.
    pub(super) body: Bytes,
}

impl Exchange {
    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }

    /// A header's text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.parts.headers.get(name)?.to_str().ok()
    }

    /// A required parameter of the query.
    pub(super) fn required(&self, name: &str) -> S3Result<&str> {
        let missing = || S3Error::bad_request("InvalidArgument", format!("{name} is missing"));
        self.query(name).ok_or_else(missing)
    }
}

/// Parameters that name something else than the object or the list: each one that is known has an operation.
const SUBRESOURCES: [&str; 12] = [
    "acl",
    "cors",
    "encryption",
    "lifecycle",
    "object-lock",
    "policy",
    "retention",
    "tagging",
    "torrent",
    "versioning",
    "versionId",
    "versions",
];

/// The word for fault rules and the log; an empty one for what is not served.
fn operation(
    parts: &Parts,
    query: &BTreeMap<String, String>,
    bucket: &str,
    key: &str,
) -> &'static str {
    let has = |name: &str| query.contains_key(name);
    if SUBRESOURCES.iter().any(|name| has(name)) {
        return "";
    }
    let copies = parts.headers.contains_key("x-amz-copy-source");
    match (parts.method.as_str(), bucket.is_empty(), key.is_empty()) {
        ("GET", true, _) => "bucket.list",
        ("PUT", false, true) => "bucket.create",
        ("HEAD", false, true) => "bucket.head",
        ("DELETE", false, true) => "bucket.delete",
        ("GET", false, true) if has("uploads") => "upload.list",
        ("GET", false, true) if query.get("list-type").is_some_and(|kind| kind == "2") => "list",
        ("POST", false, true) if has("delete") => "objects.delete",
        ("POST", false, false) if has("uploads") => "upload.start",
        ("POST", false, false) if has("uploadId") => "upload.complete",
        ("PUT", false, false) if has("uploadId") && !copies => "upload.part",
        ("DELETE", false, false) if has("uploadId") => "upload.abort",
        (_, false, false) if has("uploadId") => "",
        ("GET", false, false) => "object.get",
        ("HEAD", false, false) => "object.head",
        ("PUT", false, false) if copies => "object.copy",
        ("PUT", false, false) => "object.put",
        ("DELETE", false, false) => "object.delete",
        _ => "",
    }
}

/// Answers one request.
pub(super) async fn handle(shared: Arc<Shared>, request: Request<Incoming>) -> Answer {
    let (parts, body) = request.into_parts();
    let path = percent_decode_str(parts.uri.path())
        .decode_utf8_lossy()
        .into_owned();
    let (bucket, key) = path[1..].split_once('/').unwrap_or((&path[1..], ""));
    let query = parse_query(parts.uri.query().unwrap_or_default());
    let operation = operation(&parts, &query, bucket, key);
    let mut seen = SeenRequest {
        method: parts.method.to_string(),
        path: parts.uri.to_string(),
        operation,
        user: None,
        status: None,
    };
    let fault = shared.faults.next(&Call::new(
        seen.method.clone(),
        seen.path.clone(),
        operation,
    ));
    let head = parts.method == Method::HEAD;
    let exchange = Exchange {
        shared: shared.clone(),
        query,
        bucket: bucket.to_owned(),
        key: key.to_owned(),
        parts,
        body: Bytes::new(),
    };
    let answer = async {
        let answer = respond(exchange, body, operation, &mut seen.user).await;
        Ok(answer.unwrap_or_else(|error| error.into_response(head)))
    };
    let answer = match fault {
        None => answer.await,
        Some(fault) => {
            let expired = matches!(fault, Fault::Expired { .. });
            let refusal = |status| of_status(status, expired).into_response(head);
            with_fault(fault, &shared.switch, answer, refusal).await
        }
    };
    seen.status = answer.as_ref().ok().map(|answer| answer.status().as_u16());
    shared.seen.push(seen);
    answer
}

async fn respond(
    mut exchange: Exchange,
    body: Incoming,
    operation: &str,
    user: &mut Option<String>,
) -> S3Result<Response<Body>> {
    let options = &exchange.shared.options;
    let signed = signature::check(&exchange.parts, options, SystemTime::now())?;
    *user = Some(options.access_key_id.clone());
    let body = Limited::new(body, options.max_body)
        .collect()
        .await
        .map_err(|error| {
            S3Error::bad_request(
                "EntityTooLarge",
                format!("the body could not be taken: {error}"),
            )
        })?;
    exchange.body = chunked::open(&signed, body.to_bytes())?;
    object::check_digest(&exchange)?;
    match operation {
        "bucket.list" => Ok(list_buckets(&exchange)),
        "bucket.create" => create_bucket(&exchange),
        "bucket.head" => {
            lock(&exchange.shared.store).bucket(&exchange.bucket)?;
            Ok(empty(StatusCode::OK, &[]))
        }
        "bucket.delete" => {
            lock(&exchange.shared.store).delete_bucket(&exchange.bucket)?;
            Ok(empty(StatusCode::NO_CONTENT, &[]))
        }
        "list" => list::list(&exchange),
        "object.get" | "object.head" => object::get(&exchange),
        "object.put" => object::put(&exchange),
        "object.copy" => object::copy(&exchange),
        "object.delete" => object::delete(&exchange),
        "objects.delete" => object::delete_many(&exchange),
        "upload.start" => upload::start(&exchange),
        "upload.part" => upload::part(&exchange),
        "upload.complete" => upload::complete(&exchange),
        "upload.abort" => upload::abort(&exchange),
        "upload.list" => upload::list(&exchange),
        _ => {
            let (method, uri) = (&exchange.parts.method, &exchange.parts.uri);
            Err(S3Error::not_implemented(format!("{method} {uri}")))
        }
    }
}

fn list_buckets(exchange: &Exchange) -> Response<Body> {
    let mut document = xml::Writer::new("ListAllMyBucketsResult");
    document.open("Buckets");
    for name in lock(&exchange.shared.store).bucket_names() {
        document.open("Bucket").text("Name", name).close();
    }
    xml_answer(&mut document)
}

fn create_bucket(exchange: &Exchange) -> S3Result<Response<Body>> {
    if lock(&exchange.shared.store).create_bucket(&exchange.bucket) {
        return Ok(empty(StatusCode::OK, &[]));
    }
    let message =
        "Your previous request to create the named bucket succeeded and you already own it.";
    Err(S3Error::new(
        StatusCode::CONFLICT,
        "BucketAlreadyOwnedByYou",
        message,
    ))
}

/// An answer with a document.
pub(super) fn xml_answer(document: &mut xml::Writer) -> Response<Body> {
    let mut response = Response::new(full(document.finish()));
    let kind = HeaderValue::from_static("application/xml");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

/// An answer without body.
pub(super) fn empty(status: StatusCode, headers: &[(&str, String)]) -> Response<Body> {
    let mut response = Response::new(full(Bytes::new()));
    *response.status_mut() = status;
    set_headers(&mut response, headers);
    response
}

/// Sets headers; a value that no header can hold is left out.
pub(super) fn set_headers(response: &mut Response<Body>, headers: &[(&str, String)]) {
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            response.headers_mut().insert(name, value);
        }
    }
}
