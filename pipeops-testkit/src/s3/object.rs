//! Objects: get, put, copy, delete.

use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Response, StatusCode};
use md5::{Digest, Md5};
use percent_encoding::percent_decode_str;

use super::dates::{http_date, iso_date, parse_http_date, seconds};
use super::error::{S3Error, S3Result};
use super::request::Exchange;
use super::store::{DEFAULT_TYPE, Object};
use super::xml::{self, xml_answer};
use crate::serve::{Body, Requested, empty, full, lock, parse_range, set_headers};

/// The most keys in one deletion of many.
const MANY: usize = 1_000;

/// Checks `Content-MD5`, where the client sends one.
pub(super) fn check_digest(exchange: &Exchange) -> S3Result<()> {
    let Some(given) = exchange.header("content-md5") else {
        return Ok(());
    };
    if given == STANDARD.encode(Md5::digest(&exchange.body)) {
        return Ok(());
    }
    let message = "The Content-MD5 you specified did not match what we received.";
    Err(S3Error::bad_request("BadDigest", message))
}

pub(super) fn get(exchange: &Exchange) -> S3Result<Response<Body>> {
    let store = lock(&exchange.shared.store);
    let object = store.object(exchange.bucket(), exchange.key())?;
    if !has_changed(exchange, object)? {
        let headers = [("etag", object.etag.clone())];
        return Ok(empty(StatusCode::NOT_MODIFIED, &headers));
    }
    let length = object.data.len();
    let (status, range) = match exchange
        .header("range")
        .map(|range| parse_range(range, length))
    {
        None | Some(Requested::Ignored) => (StatusCode::OK, 0..length),
        Some(Requested::Part(range)) => (StatusCode::PARTIAL_CONTENT, range),
        Some(Requested::Nothing) => {
            let status = StatusCode::RANGE_NOT_SATISFIABLE;
            let message = "The requested range is not satisfiable";
            return Err(S3Error::new(status, "InvalidRange", message));
        }
    };
    let mut headers = vec![
        ("etag", object.etag.clone()),
        ("last-modified", http_date(object.modified)),
        ("content-type", object.content_type.clone()),
        ("content-length", range.len().to_string()),
        ("accept-ranges", "bytes".to_owned()),
    ];
    let metadata = object.metadata.iter();
    headers.extend(metadata.map(|(name, value)| (name.as_str(), value.clone())));
    if status == StatusCode::PARTIAL_CONTENT {
        let value = format!("bytes {}-{}/{length}", range.start, range.end - 1);
        headers.push(("content-range", value));
    }
    let body = match exchange.is_head() {
        true => full(""),
        false => full(object.data.slice(range)),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    set_headers(&mut response, &headers);
    Ok(response)
}

/// The conditions of a read: an error where one does not hold; false where the client has the object already.
fn has_changed(exchange: &Exchange, object: &Object) -> S3Result<bool> {
    let modified = seconds(object.modified);
    let date = |name| exchange.header(name).and_then(parse_http_date);
    // The tag decides where tag and date are both given: so says RFC 9110.
    match exchange.header("if-match") {
        Some(etags) if !names(etags, &object.etag) => {
            return Err(S3Error::precondition("If-Match"));
        }
        None if date("if-unmodified-since").is_some_and(|since| modified > since) => {
            return Err(S3Error::precondition("If-Unmodified-Since"));
        }
        _ => {}
    }
    Ok(match exchange.header("if-none-match") {
        Some(etags) => !names(etags, &object.etag),
        None => date("if-modified-since").is_none_or(|since| modified > since),
    })
}

pub(super) fn put(exchange: &Exchange) -> S3Result<Response<Body>> {
    let mut store = lock(&exchange.shared.store);
    check_write(
        exchange,
        store.object(exchange.bucket(), exchange.key()).ok(),
    )?;
    let object = Object {
        content_type: content_type(exchange),
        metadata: metadata(exchange),
        ..Object::new(exchange.body.clone())
    };
    let etag = object.etag.clone();
    store.put(exchange.bucket(), exchange.key(), object)?;
    Ok(empty(StatusCode::OK, &[("etag", etag)]))
}

pub(super) fn copy(exchange: &Exchange) -> S3Result<Response<Body>> {
    let source = exchange.header("x-amz-copy-source").unwrap_or_default();
    let source = percent_decode_str(source.trim_start_matches('/')).decode_utf8_lossy();
    let (bucket, key) = source.split_once('/').unwrap_or((&source, ""));
    let replaces = exchange
        .header("x-amz-metadata-directive")
        .is_some_and(|directive| directive.eq_ignore_ascii_case("REPLACE"));
    let mut store = lock(&exchange.shared.store);
    let mut object = store.object(bucket, key)?.clone();
    let same = bucket == exchange.bucket() && key == exchange.key();
    if same && !replaces {
        let message = "This copy request is illegal because it is trying to copy an object to itself without \
            changing the object's metadata.";
        return Err(S3Error::bad_request("InvalidRequest", message));
    }
    check_write(
        exchange,
        store.object(exchange.bucket(), exchange.key()).ok(),
    )?;
    object.modified = SystemTime::now();
    if replaces {
        object.content_type = content_type(exchange);
        object.metadata = metadata(exchange);
    }
    let mut document = xml::Writer::new("CopyObjectResult");
    document
        .text("LastModified", iso_date(object.modified))
        .text("ETag", &object.etag);
    store.put(exchange.bucket(), exchange.key(), object)?;
    Ok(xml_answer(&mut document))
}

pub(super) fn delete(exchange: &Exchange) -> S3Result<Response<Body>> {
    lock(&exchange.shared.store).delete(exchange.bucket(), exchange.key())?;
    Ok(empty(StatusCode::NO_CONTENT, &[]))
}

pub(super) fn delete_many(exchange: &Exchange) -> S3Result<Response<Body>> {
    let texts = xml::texts(&exchange.body)?;
    let keys = texts
        .iter()
        .filter(|(place, _)| place == "Delete/Object/Key");
    let keys: Vec<&String> = keys.map(|(_, key)| key).collect();
    if keys.len() > MANY {
        let message = "The XML you provided names more than 1,000 keys";
        return Err(S3Error::bad_request("MalformedXML", message));
    }
    let quiet = texts
        .iter()
        .any(|(place, text)| place == "Delete/Quiet" && text == "true");
    let mut store = lock(&exchange.shared.store);
    let mut document = xml::Writer::new("DeleteResult");
    for key in keys {
        store.delete(exchange.bucket(), key)?;
        if !quiet {
            document.open("Deleted").text("Key", key).close();
        }
    }
    Ok(xml_answer(&mut document))
}

/// `If-Match` and `If-None-Match` of a write, against what is there.
pub(super) fn check_write(exchange: &Exchange, there: Option<&Object>) -> S3Result<()> {
    if let Some(etags) = exchange.header("if-match") {
        let there = there.ok_or_else(S3Error::no_such_key)?;
        if !names(etags, &there.etag) {
            return Err(S3Error::precondition("If-Match"));
        }
    }
    if let (Some(etags), Some(there)) = (exchange.header("if-none-match"), there)
        && names(etags, &there.etag)
    {
        return Err(S3Error::precondition("If-None-Match"));
    }
    Ok(())
}

pub(super) fn content_type(exchange: &Exchange) -> String {
    exchange
        .header("content-type")
        .unwrap_or(DEFAULT_TYPE)
        .to_owned()
}

/// Headers that are kept with an object and come back with it.
const KEPT: [&str; 5] = [
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "expires",
];

pub(super) fn metadata(exchange: &Exchange) -> Vec<(String, String)> {
    let mut kept = Vec::new();
    for (name, value) in &exchange.parts.headers {
        let name = name.as_str();
        let Ok(value) = value.to_str() else { continue };
        // `aws-chunked` is how the body travels, not what it is.
        let codings = value
            .split(',')
            .map(str::trim)
            .filter(|coding| *coding != "aws-chunked");
        let value = match name {
            "content-encoding" => codings.collect::<Vec<_>>().join(","),
            _ => value.to_owned(),
        };
        if !value.is_empty() && (name.starts_with("x-amz-meta-") || KEPT.contains(&name)) {
            kept.push((name.to_owned(), value));
        }
    }
    kept
}

/// Whether a condition's list of ETags names this one.
fn names(list: &str, etag: &str) -> bool {
    list.split(',')
        .map(str::trim)
        .any(|one| one == "*" || one == etag || format!("\"{one}\"") == etag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_name_etags_with_and_without_quotes() {
        assert!(names("\"x\", \"a\"", "\"a\"") && names("a", "\"a\"") && names("*", "\"a\""));
        assert!(!names("\"b\"", "\"a\""));
    }
}
