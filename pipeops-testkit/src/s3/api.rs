//! Routes HTTP requests to their handlers.

use std::time::SystemTime;

use http::{Response, StatusCode};

use super::error::{S3Error, S3Result, of_status};
use super::request::Exchange;
use super::{Shared, list, object, signature, upload};
use crate::fault::Fault;
use crate::serve::{Answer, Body, Service};

/// The largest body, in bytes: all objects are held in memory.
const MAX_BODY: usize = 256 << 20;

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
fn operation(exchange: &Exchange) -> &'static str {
    let has = |name: &str| exchange.query.get(name).is_some();
    let (parts, bucket, key) = (&exchange.parts, exchange.bucket(), exchange.key());
    if SUBRESOURCES.iter().any(|name| has(name)) {
        return "";
    }
    if parts.headers.contains_key("x-amz-copy-source") {
        return "";
    }
    match (parts.method.as_str(), bucket.is_empty(), key.is_empty()) {
        ("GET", false, true) if has("uploads") => "upload.list",
        ("GET", false, true) if exchange.query.get("list-type") == Some("2") => "list",
        ("POST", false, true) if has("delete") => "objects.delete",
        ("POST", false, false) if has("uploads") => "upload.start",
        ("PUT", false, false) if has("uploadId") => "upload.part",
        ("DELETE", false, false) if has("uploadId") => "upload.abort",
        (_, false, false) if has("uploadId") => "",
        ("GET", false, false) => "object.get",
        ("HEAD", false, false) => "object.head",
        ("PUT", false, false) => "object.put",
        ("DELETE", false, false) => "object.delete",
        _ => "",
    }
}

impl Service for Shared {
    async fn operation(exchange: &mut Exchange) -> String {
        operation(exchange).to_owned()
    }

    async fn answer(exchange: &mut Exchange) -> Answer {
        let answer = respond(exchange).await;
        Ok(answer.unwrap_or_else(|error| error.into_response(exchange.is_head())))
    }

    fn refusal(exchange: &Exchange, status: StatusCode, fault: &Fault) -> Response<Body> {
        let expired = matches!(fault, Fault::Expired { .. });
        of_status(status, expired).into_response(exchange.is_head())
    }
}

async fn respond(exchange: &mut Exchange) -> S3Result<Response<Body>> {
    let shared = exchange.shared.clone();
    let options = &shared.options;
    let payload = signature::check(&exchange.parts, options, SystemTime::now())?;
    exchange.user = Some(options.access_key_id.clone());
    exchange.read(MAX_BODY).await?;
    object::check_digest(exchange, &payload)?;
    match exchange.operation.as_str() {
        "list" => list::list(exchange),
        "object.get" | "object.head" => object::get(exchange),
        "object.put" => object::put(exchange),
        "object.delete" => object::delete(exchange),
        "objects.delete" => object::delete_many(exchange),
        "upload.start" => upload::start(exchange),
        "upload.part" => upload::part(exchange),
        "upload.abort" => upload::abort(exchange),
        "upload.list" => upload::list(exchange),
        _ => {
            let (method, uri) = (&exchange.parts.method, &exchange.parts.uri);
            Err(S3Error::not_implemented(format!("{method} {uri}")))
        }
    }
}
