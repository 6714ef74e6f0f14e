//! GET, PUT and DELETE of objects.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Response, StatusCode};
use md5::{Digest, Md5};

use super::dates::http_date;
use super::error::{S3Error, S3Result};
use super::request::Exchange;
use super::store::{DEFAULT_TYPE, Object};
use super::xml::{self, xml_answer};
use crate::serve::{Body, empty, full, lock, set_headers};
use crate::sigv4::sha256_hex;

/// The most keys in one deletion of many.
const MANY: usize = 1_000;

/// Checks the digests that the client sends: `payload` is its `x-amz-content-sha256`, and `Content-MD5` may be there too.
pub(super) fn check_digest(exchange: &Exchange, payload: &str) -> S3Result<()> {
    match payload {
        "UNSIGNED-PAYLOAD" | "" => {}
        chunked if chunked.starts_with("STREAMING-") => {
            return Err(S3Error::not_implemented(format!(
                "a body in chunks ({chunked})"
            )));
        }
        digest if digest == sha256_hex(&exchange.body) => {}
        _ => {
            return Err(S3Error::bad_request(
                "XAmzContentSHA256Mismatch",
                "The provided 'x-amz-content-sha256' header does not match what was computed.",
            ));
        }
    }
    let Some(given) = exchange.header("content-md5") else {
        return Ok(());
    };
    if given == STANDARD.encode(Md5::digest(&exchange.body)) {
        return Ok(());
    }
    let message = "The Content-MD5 you specified did not match what we received.";
    Err(S3Error::bad_request("BadDigest", message))
}

/// Headers of a read that would change its answer.
const CONDITIONS: [&str; 4] = [
    "if-match",
    "if-none-match",
    "if-modified-since",
    "if-unmodified-since",
];

/// Answers the whole object, also to a request with `Range`: a server may ignore that header.
pub(super) fn get(exchange: &Exchange) -> S3Result<Response<Body>> {
    if let Some(name) = CONDITIONS
        .iter()
        .find(|name| exchange.header(name).is_some())
    {
        return Err(S3Error::not_implemented(format!("{name} of a read")));
    }
    let store = lock(&exchange.shared.store);
    let object = store.object(exchange.bucket(), exchange.key())?;
    let headers = [
        ("etag", object.etag.clone()),
        ("last-modified", http_date(object.modified)),
        ("content-type", object.content_type.clone()),
        ("content-length", object.data.len().to_string()),
    ];
    let body = match exchange.is_head() {
        true => full(""),
        false => full(object.data.clone()),
    };
    let mut response = Response::new(body);
    set_headers(&mut response, &headers);
    Ok(response)
}

pub(super) fn put(exchange: &Exchange) -> S3Result<Response<Body>> {
    let mut store = lock(&exchange.shared.store);
    check_write(
        exchange,
        store.object(exchange.bucket(), exchange.key()).ok(),
    )?;
    let object = Object {
        content_type: exchange
            .header("content-type")
            .unwrap_or(DEFAULT_TYPE)
            .to_owned(),
        ..Object::new(exchange.body.clone())
    };
    let etag = object.etag.clone();
    store.put(exchange.bucket(), exchange.key(), object)?;
    Ok(empty(StatusCode::OK, &[("etag", etag)]))
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
fn check_write(exchange: &Exchange, there: Option<&Object>) -> S3Result<()> {
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
