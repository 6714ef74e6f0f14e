//! Amazon's Signature Version 4, for the signing and the verifying side.
//!
//! See [Amazon's documentation](https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html).

use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};

/// What S3 leaves unescaped.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The same in paths, where slashes stay.
const IN_PATH: &AsciiSet = &UNRESERVED.remove(b'/');

/// A request as its signature sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Canonical<'a> {
    pub(crate) method: &'a str,
    /// Not escaped.
    pub(crate) path: &'a str,
    /// Not escaped.
    pub(crate) query: &'a [(String, String)],
    /// The signed headers: names in lower case and in order.
    pub(crate) headers: &'a [(String, String)],
    /// `x-amz-content-sha256`.
    pub(crate) payload: &'a str,
}

/// Who signs, when and where.
#[derive(Debug, Clone)]
pub(crate) struct Scope {
    /// `20130524T000000Z`
    pub(crate) date: String,
    pub(crate) region: String,
}

impl Scope {
    /// `20130524/us-east-1/s3/aws4_request`
    pub(crate) fn text(&self) -> String {
        format!("{}/{}/s3/aws4_request", &self.date[..8], self.region)
    }

    /// The key that signs everything of one day.
    pub(crate) fn key(&self, secret: &str) -> [u8; 32] {
        let day = &self.date[..8];
        let key = hmac(format!("AWS4{secret}").as_bytes(), day.as_bytes());
        let key = hmac(&key, self.region.as_bytes());
        let key = hmac(&key, b"s3");
        hmac(&key, b"aws4_request")
    }

    /// The signature of a request.
    pub(crate) fn sign(&self, key: &[u8; 32], request: Canonical<'_>) -> String {
        let (date, scope) = (&self.date, self.text());
        let canonical = sha256_hex(request.text().as_bytes());
        let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{canonical}");
        hex::encode(hmac(key, text.as_bytes()))
    }
}

impl Canonical<'_> {
    /// The names of the signed headers, as `SignedHeaders` has them.
    pub(crate) fn signed_headers(&self) -> String {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        names.join(";")
    }

    fn text(&self) -> String {
        let mut pairs: Vec<(String, String)> = self
            .query
            .iter()
            .map(|(key, value)| (encode(key), encode(value)))
            .collect();
        pairs.sort();
        let pairs: Vec<String> = pairs
            .into_iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        let mut headers = String::new();
        for (name, value) in self.headers {
            let words: Vec<&str> = value.split_whitespace().collect();
            headers.push_str(&format!("{name}:{}\n", words.join(" ")));
        }
        let (method, path, query) = (self.method, encode_path(self.path), pairs.join("&"));
        let (names, payload) = (self.signed_headers(), self.payload);
        format!("{method}\n{path}\n{query}\n{headers}\n{names}\n{payload}")
    }
}

/// A path as S3 has it in addresses.
pub(crate) fn encode_path(path: &str) -> String {
    utf8_percent_encode(path, IN_PATH).to_string()
}

pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

pub(crate) fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, UNRESERVED).to_string()
}
