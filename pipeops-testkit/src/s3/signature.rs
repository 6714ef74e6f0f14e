//! Verifies the signatures of requests.

use std::time::{Duration, SystemTime};

use http::header::AUTHORIZATION;
use http::request::Parts;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use percent_encoding::percent_decode_str;

use super::S3Options;
use super::error::{S3Error, S3Result};
use crate::serve::query_pairs;
use crate::sigv4::{Canonical, Scope};

/// How far a client's clock may be off.
const SKEW: Duration = Duration::from_secs(15 * 60);

/// Checks who signed a request. Returns what the client says about the body: a digest, or how it is signed.
pub(super) fn check(parts: &Parts, options: &S3Options, now: SystemTime) -> S3Result<String> {
    if query(parts).iter().any(|(key, _)| key == "X-Amz-Signature") {
        return Err(S3Error::not_implemented("a presigned URL"));
    }
    let header = header(parts, AUTHORIZATION.as_str());
    let fields = header.strip_prefix("AWS4-HMAC-SHA256 ");
    let fields = fields.ok_or_else(|| S3Error::forbidden("AccessDenied", "Access Denied"))?;
    let field = |name: &str| {
        let found = fields.split(',').find_map(|field| {
            let (key, value) = field.trim().split_once('=')?;
            (key == name).then_some(value)
        });
        let missing = || S3Error::bad_request("AuthorizationHeaderMalformed", format!("no {name}"));
        found.ok_or_else(missing)
    };
    let (id, scope) = field("Credential")?.split_once('/').unwrap_or_default();
    if id != options.access_key_id {
        let message = "The AWS Access Key Id you provided does not exist in our records.";
        return Err(S3Error::forbidden("InvalidAccessKeyId", message));
    }
    let expected = Scope {
        date: header_date(parts, now)?,
        region: options.region.clone(),
    };
    if scope != expected.text() {
        let expected = expected.text();
        let message = format!("the credential's scope is {scope:?}, expected {expected:?}");
        return Err(S3Error::bad_request(
            "AuthorizationHeaderMalformed",
            message,
        ));
    }
    let key = expected.key(options.secret_access_key.expose());
    let payload = self::header(parts, "x-amz-content-sha256");
    let headers: Vec<(String, String)> = field("SignedHeaders")?
        .split(';')
        .map(|name| (name.to_owned(), self::header(parts, name)))
        .collect();
    let canonical = Canonical {
        method: parts.method.as_str(),
        path: &percent_decode_str(parts.uri.path()).decode_utf8_lossy(),
        query: &query(parts),
        headers: &headers,
        payload: &payload,
    };
    let signature = expected.sign(&key, canonical);
    if signature != field("Signature")? {
        let message =
            "The request signature we calculated does not match the signature you provided.";
        return Err(S3Error::forbidden("SignatureDoesNotMatch", message));
    }
    Ok(payload)
}

/// A header's text; empty when it is missing.
pub(super) fn header(parts: &Parts, name: &str) -> String {
    let values = parts.headers.get_all(name).iter();
    let values: Vec<&str> = values.filter_map(|value| value.to_str().ok()).collect();
    values.join(",")
}

/// The parameters of a request's query.
pub(super) fn query(parts: &Parts) -> Vec<(String, String)> {
    query_pairs(parts.uri.query().unwrap_or_default())
}

/// `x-amz-date`, when it is near enough.
fn header_date(parts: &Parts, now: SystemTime) -> S3Result<String> {
    let date = header(parts, "x-amz-date");
    let parsed = DateTime::strptime("%Y%m%dT%H%M%SZ", &date).ok();
    let sent = parsed.and_then(|date| date.to_zoned(TimeZone::UTC).ok());
    let sent = sent.ok_or_else(|| {
        S3Error::forbidden(
            "AccessDenied",
            "AWS authentication requires a valid Date or x-amz-date header",
        )
    })?;
    let now = Timestamp::try_from(now).unwrap_or(Timestamp::UNIX_EPOCH);
    let off = now.duration_since(sent.timestamp()).unsigned_abs();
    if off > SKEW {
        let message = "The difference between the request time and the current time is too large.";
        return Err(S3Error::forbidden("RequestTimeTooSkewed", message));
    }
    Ok(date)
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;
    use crate::sigv4::sha256_hex;

    /// The example of Amazon's documentation: GET of the first ten bytes of an object.
    fn example() -> (Parts, S3Options, SystemTime) {
        let request = Request::get("/test.txt")
            .header("host", "examplebucket.s3.amazonaws.com")
            .header("range", "bytes=0-9")
            .header("x-amz-content-sha256", sha256_hex(b""))
            .header("x-amz-date", "20130524T000000Z")
            .header(
                "authorization",
                "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,\
                 SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,\
                 Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
            )
            .body(())
            .unwrap();
        let options = keys(
            "AKIAIOSFODNN7EXAMPLE",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        );
        let time: Timestamp = "2013-05-24T00:00:00Z".parse().unwrap();
        (request.into_parts().0, options, time.into())
    }

    fn keys(id: &str, secret: &str) -> S3Options {
        S3Options {
            access_key_id: id.to_owned(),
            secret_access_key: secret.into(),
            ..S3Options::default()
        }
    }

    fn code(result: S3Result<String>) -> String {
        format!("{:?}", result.expect_err("it is refused"))
    }

    #[test]
    fn amazons_example_is_good() {
        let (parts, options, time) = example();
        assert!(check(&parts, &options, time).is_ok());
    }

    #[test]
    fn another_secret_time_region_or_header_is_not() {
        let (parts, options, time) = example();
        let other = keys("AKIAIOSFODNN7EXAMPLE", "other");
        assert!(code(check(&parts, &other, time)).contains("SignatureDoesNotMatch"));
        let other = keys("other", "other");
        assert!(code(check(&parts, &other, time)).contains("InvalidAccessKeyId"));
        let later = time + Duration::from_secs(16 * 60);
        assert!(code(check(&parts, &options, later)).contains("RequestTimeTooSkewed"));
        let mut region = options.clone();
        region.region = "eu-central-1".to_owned();
        assert!(code(check(&parts, &region, time)).contains("AuthorizationHeaderMalformed"));
        let (mut changed, ..) = example();
        changed
            .headers
            .insert("range", "bytes=0-99".parse().unwrap());
        assert!(code(check(&changed, &options, time)).contains("SignatureDoesNotMatch"));
        let (mut unsigned, ..) = example();
        unsigned.headers.remove("authorization");
        assert!(code(check(&unsigned, &options, time)).contains("AccessDenied"));
    }
}
