//! Aborts incomplete multipart uploads that killed daemons left behind. S3 doesn't list them as objects, but stores and bills
//! their parts until they're aborted.

use std::sync::Arc;

use http::Method;
use jiff::Timestamp;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey, AwsAuthorizer};
use object_store::client::{HttpClient, HttpRequest, HttpRequestBody};
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use reqwest::Url;
use serde::Deserialize;

use super::CollectError;
use super::policy::Policy;
use super::report::UploadReport;
use super::sweep::before;

/// Limit for the pages of a list, with a thousand uploads each. It protects against a server that returns the same page forever.
const PAGES: usize = 1_000;

/// The uploads of one bucket.
///
/// `object_store` can abort uploads but not list them, so the list request is made here.
pub(super) struct Uploads {
    s3: Arc<AmazonS3>,
    http: HttpClient,
    bucket: Url,
    region: String,
}

/// An incomplete upload.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Upload {
    key: String,
    upload_id: String,
    initiated: Timestamp,
}

/// A page of the list, as [S3 answers](https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html).
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    #[serde(default)]
    upload: Vec<Upload>,
    #[serde(default)]
    is_truncated: bool,
    #[serde(default)]
    next_key_marker: String,
    #[serde(default)]
    next_upload_id_marker: String,
}

/// Why uploads couldn't be listed.
#[derive(Debug, thiserror::Error)]
enum ListError {
    #[error("{0}")]
    Store(#[from] object_store::Error),
    #[error("{0}")]
    Request(#[from] http::Error),
    #[error("{0}")]
    Send(#[from] object_store::client::HttpError),
    #[error("the server responded with {0}")]
    Status(http::StatusCode),
    #[error("the server's response is not a list of uploads: {0}")]
    Answer(#[from] quick_xml::DeError),
}

impl Uploads {
    /// Those of the bucket that `builder` describes, and that `s3` was made of.
    pub(super) fn new(
        s3: Arc<AmazonS3>,
        http: HttpClient,
        builder: &AmazonS3Builder,
    ) -> Result<Self, CollectError> {
        let setting = |key| builder.get_config_value(&key).unwrap_or_default();
        let region = setting(AmazonS3ConfigKey::Region);
        let bucket = setting(AmazonS3ConfigKey::Bucket);
        let server = match setting(AmazonS3ConfigKey::Endpoint) {
            endpoint if endpoint.is_empty() => format!("https://s3.{region}.amazonaws.com"),
            endpoint => endpoint.trim_end_matches('/').to_owned(),
        };
        let address = format!("{server}/{bucket}");
        let bucket = Url::parse(&address).map_err(|error| CollectError::Settings {
            why: format!("{address} is not a URL: {error}"),
        })?;
        Ok(Self {
            s3,
            http,
            bucket,
            region,
        })
    }

    /// Aborts the uploads below this folder that are older than the longest build. If the server doesn't list uploads, or the
    /// keys don't permit it, that goes into the report and the collection continues.
    pub(super) async fn end_old(
        &self,
        folder: &Path,
        policy: &Policy,
        now: Timestamp,
        dry_run: bool,
    ) -> UploadReport {
        let mut report = UploadReport::default();
        let uploads = match self.list(folder).await {
            Ok(uploads) => uploads,
            Err(error) => {
                report.failed = Some(format!("uploads can't be listed: {error}"));
                return report;
            }
        };
        let oldest = before(now, policy.grace());
        for upload in uploads {
            if upload.initiated >= oldest {
                report.running += 1;
                continue;
            }
            let ended = match dry_run {
                true => Ok(()),
                false => self.end(&upload).await,
            };
            match ended {
                Ok(()) => report.ended += 1,
                Err(error) => report.failed = Some(format!("{}: {error}", upload.key)),
            }
        }
        report
    }

    async fn end(&self, upload: &Upload) -> Result<(), object_store::Error> {
        let path = Path::from(upload.key.as_str());
        match self.s3.abort_multipart(&path, &upload.upload_id).await {
            // It was completed or aborted meanwhile.
            Err(object_store::Error::NotFound { .. }) => Ok(()),
            result => result,
        }
    }

    async fn list(&self, folder: &Path) -> Result<Vec<Upload>, ListError> {
        let prefix = format!("{folder}/");
        let mut uploads = Vec::new();
        let mut last = Page::default();
        for _ in 0..PAGES {
            let mut page = self.page(&prefix, &last).await?;
            let below = |upload: &Upload| upload.key.starts_with(&prefix);
            uploads.extend(page.upload.drain(..).filter(below));
            if !page.is_truncated {
                break;
            }
            last = page;
        }
        Ok(uploads)
    }

    async fn page(&self, prefix: &str, last: &Page) -> Result<Page, ListError> {
        let mut url = self.bucket.clone();
        url.query_pairs_mut()
            .append_pair("uploads", "")
            .append_pair("prefix", prefix)
            .append_pair("key-marker", &last.next_key_marker)
            .append_pair("upload-id-marker", &last.next_upload_id_marker);
        let request = http::Request::builder().method(Method::GET);
        let mut request: HttpRequest = request.uri(url.as_str()).body(HttpRequestBody::empty())?;
        let credential = self.s3.credentials().get_credential().await?;
        AwsAuthorizer::new(&credential, "s3", &self.region).try_authorize(&mut request, None)?;
        let response = self.http.execute(request).await?;
        if !response.status().is_success() {
            return Err(ListError::Status(response.status()));
        }
        let body = response.into_body().bytes().await?;
        Ok(quick_xml::de::from_reader(&*body)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(xml: &str) -> Result<Page, quick_xml::DeError> {
        quick_xml::de::from_str(xml)
    }

    #[test]
    fn a_page_of_s3_is_read() {
        let read = page(
            r#"<?xml version="1.0" encoding="UTF-8"?>
            <ListMultipartUploadsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
              <Bucket>b</Bucket><KeyMarker></KeyMarker><IsTruncated>true</IsTruncated>
              <NextKeyMarker>p/blobs/b</NextKeyMarker><NextUploadIdMarker>2</NextUploadIdMarker>
              <Upload><Key>p/blobs/a</Key><UploadId>1</UploadId><Initiator><ID>x</ID></Initiator>
                <Initiated>2026-01-02T03:04:05.000Z</Initiated></Upload>
              <Upload><Key>p/blobs/b</Key><UploadId>2</UploadId><Initiated>2026-01-02T03:04:06Z</Initiated></Upload>
            </ListMultipartUploadsResult>"#,
        )
        .unwrap();
        let keys: Vec<&str> = read.upload.iter().map(|upload| &*upload.key).collect();
        assert_eq!(keys, ["p/blobs/a", "p/blobs/b"]);
        assert_eq!(
            read.upload[0].initiated,
            "2026-01-02T03:04:05Z".parse().unwrap()
        );
        assert!(read.is_truncated);
        assert_eq!(read.next_upload_id_marker, "2");
    }

    #[test]
    fn an_empty_page_is_one_and_an_error_page_is_none() {
        let empty = page(
            "<ListMultipartUploadsResult><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>",
        );
        assert_eq!(empty.unwrap().upload, []);
        assert!(page("no XML").is_err());
        assert!(page("<R><Upload><Key>k</Key></Upload></R>").is_err());
    }
}
