//! Multipart uploads that stay open: start, parts, list, abort.

use std::time::SystemTime;

use http::{Response, StatusCode};

use super::dates::iso_date;
use super::error::S3Result;
use super::request::Exchange;
use super::store::{Upload, etag_of};
use super::xml::{self, xml_answer};
use crate::serve::{Body, empty, lock};

pub(super) fn start(exchange: &Exchange) -> S3Result<Response<Body>> {
    let upload = Upload {
        bucket: exchange.bucket().to_owned(),
        key: exchange.key().to_owned(),
        started: SystemTime::now(),
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
    lock(&exchange.shared.store).upload(
        exchange.bucket(),
        exchange.key(),
        exchange.required("uploadId")?,
    )?;
    Ok(empty(StatusCode::OK, &[("etag", etag_of(&exchange.body))]))
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
