//! Multipart uploads.

use std::collections::BTreeMap;
use std::time::SystemTime;

use http::{Response, StatusCode};
use md5::{Digest, Md5};

use super::dates::iso_date;
use super::error::{S3Error, S3Result};
use super::object::{check_write, content_type, metadata};
use super::request::Exchange;
use super::store::{Object, Upload};
use super::xml::{self, xml_answer};
use crate::serve::{Body, empty, lock};

/// Every part but the last has at least this size.
const MIN_PART: usize = 5 << 20;

pub(super) fn start(exchange: &Exchange) -> S3Result<Response<Body>> {
    let upload = Upload {
        bucket: exchange.bucket().to_owned(),
        key: exchange.key().to_owned(),
        parts: BTreeMap::new(),
        started: SystemTime::now(),
        content_type: content_type(exchange),
        metadata: metadata(exchange),
    };
    let id = lock(&exchange.shared.store).start_upload(upload)?;
    let mut document = xml::Writer::new("InitiateMultipartUploadResult");
    document
        .text("Bucket", exchange.bucket())
        .text("Key", exchange.key())
        .text("UploadId", id);
    Ok(xml_answer(&mut document))
}

pub(super) fn part(exchange: &Exchange) -> S3Result<Response<Body>> {
    let number = exchange.required("partNumber")?.parse().ok();
    let number = number
        .filter(|number| (1..=10_000).contains(number))
        .ok_or_else(|| {
            S3Error::bad_request(
                "InvalidArgument",
                "Part number must be an integer between 1 and 10000",
            )
        })?;
    let mut store = lock(&exchange.shared.store);
    let upload = store.upload(
        exchange.bucket(),
        exchange.key(),
        exchange.required("uploadId")?,
    )?;
    upload.parts.insert(number, exchange.body.clone());
    Ok(empty(StatusCode::OK, &[("etag", etag(&exchange.body))]))
}

pub(super) fn complete(exchange: &Exchange) -> S3Result<Response<Body>> {
    let id = exchange.required("uploadId")?;
    let listed = listed_parts(&exchange.body)?;
    let mut store = lock(&exchange.shared.store);
    let upload = store.upload(exchange.bucket(), exchange.key(), id)?;
    let (data, sums) = join(upload, &listed)?;
    check_write(
        exchange,
        store.object(exchange.bucket(), exchange.key()).ok(),
    )?;
    let upload = store.end_upload(exchange.bucket(), exchange.key(), id)?;
    let object = Object {
        // The sum of the parts' sums, and their number.
        etag: format!("\"{}-{}\"", hex::encode(Md5::digest(&sums)), listed.len()),
        content_type: upload.content_type,
        metadata: upload.metadata,
        ..Object::new(data.into())
    };
    let mut document = xml::Writer::new("CompleteMultipartUploadResult");
    document
        .text("Bucket", exchange.bucket())
        .text("Key", exchange.key())
        .text("ETag", &object.etag);
    store.put(exchange.bucket(), exchange.key(), object)?;
    Ok(xml_answer(&mut document))
}

pub(super) fn abort(exchange: &Exchange) -> S3Result<Response<Body>> {
    let id = exchange.required("uploadId")?;
    lock(&exchange.shared.store).end_upload(exchange.bucket(), exchange.key(), id)?;
    Ok(empty(StatusCode::NO_CONTENT, &[]))
}

pub(super) fn list(exchange: &Exchange) -> S3Result<Response<Body>> {
    let store = lock(&exchange.shared.store);
    store.bucket(exchange.bucket())?;
    let prefix = exchange.query.get("prefix").unwrap_or_default();
    let mut document = xml::Writer::new("ListMultipartUploadsResult");
    document
        .text("Bucket", exchange.bucket())
        .text("IsTruncated", false);
    let uploads = store.uploads(exchange.bucket());
    for (id, upload) in uploads.filter(|(_, upload)| upload.key.starts_with(prefix)) {
        document
            .open("Upload")
            .text("Key", &upload.key)
            .text("UploadId", id)
            .text("Initiated", iso_date(upload.started))
            .close();
    }
    Ok(xml_answer(&mut document))
}

/// Number and ETag of each part that a completion names.
fn listed_parts(body: &[u8]) -> S3Result<Vec<(u32, String)>> {
    let texts = xml::texts(body)?;
    let of = |end: &str| -> Vec<String> {
        let place = format!("CompleteMultipartUpload/Part/{end}");
        let found = texts.iter().filter(|(at, _)| *at == place);
        found.map(|(_, text)| text.clone()).collect()
    };
    let numbers: Option<Vec<u32>> = of("PartNumber")
        .iter()
        .map(|text| text.parse().ok())
        .collect();
    let (numbers, etags) = (numbers.unwrap_or_default(), of("ETag"));
    if numbers.is_empty() || numbers.len() != etags.len() {
        let message =
            "The XML you provided was not well-formed: each part has a number and an ETag";
        return Err(S3Error::bad_request("MalformedXML", message));
    }
    Ok(numbers.into_iter().zip(etags).collect())
}

/// The parts one behind the other, and their MD5 sums.
fn join(upload: &Upload, listed: &[(u32, String)]) -> S3Result<(Vec<u8>, Vec<u8>)> {
    if !listed.is_sorted_by(|a, b| a.0 < b.0) {
        let message = "The list of parts was not in ascending order.";
        return Err(S3Error::bad_request("InvalidPartOrder", message));
    }
    let (mut data, mut sums) = (Vec::new(), Vec::new());
    for (place, (number, given)) in listed.iter().enumerate() {
        let part = upload.parts.get(number);
        let part = part.filter(|part| etag(part).trim_matches('"') == given.trim_matches('"'));
        let part = part.ok_or_else(|| {
            let message = format!("part {number} was not uploaded, or has another ETag");
            S3Error::bad_request("InvalidPart", message)
        })?;
        if part.len() < MIN_PART && place + 1 < listed.len() {
            let message = "Your proposed upload is smaller than the minimum allowed size";
            return Err(S3Error::bad_request("EntityTooSmall", message));
        }
        data.extend_from_slice(part);
        sums.extend_from_slice(&Md5::digest(part));
    }
    Ok((data, sums))
}

fn etag(data: &[u8]) -> String {
    format!("\"{}\"", hex::encode(Md5::digest(data)))
}
