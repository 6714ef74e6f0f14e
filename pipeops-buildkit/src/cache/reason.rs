//! Explains why a cache couldn't be used.

/// Codes with which servers refuse keys.
const REFUSED: [&str; 6] = [
    "AccessDenied",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "StatusCode: 403",
    "StatusCode: 401",
];

/// Parts of errors about a server that doesn't respond.
const UNREACHABLE: [&str; 6] = [
    "connection refused",
    "no such host",
    "i/o timeout",
    "deadline exceeded",
    "connection reset",
    "network is unreachable",
];

/// Parts of errors about a manifest that can't be parsed.
const DAMAGED: [&str; 6] = [
    "invalid character",
    "after JSON object",
    "unmarshal",
    "invalid looping",
    "invalid layer index",
    "invalid record",
];

/// The daemon's error about a cache, in one line that says first what it means.
pub(crate) fn reason(error: &str) -> String {
    let line = error.lines().next().unwrap_or_default();
    let any = |texts: &[&str]| texts.iter().any(|text| line.contains(text));
    let meaning = if line.contains("NoSuchBucket") {
        "there is no such bucket"
    } else if any(&REFUSED) {
        "the server refuses the keys (wrong, expired, or not permitted to do this)"
    } else if any(&UNREACHABLE) {
        "the server cannot be reached"
    } else if line.contains("SlowDown") || line.contains("StatusCode: 503") {
        "the server throttles requests"
    } else if any(&DAMAGED) {
        "its manifest is damaged"
    } else {
        return line.to_owned();
    };
    format!("{meaning}: {line}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_means_comes_first() {
        for (error, meaning) in [
            (
                "operation error S3: GetObject, https response error StatusCode: 403, RequestID: x, HostID: , api error AccessDenied: Access Denied",
                "the server refuses",
            ),
            (
                "operation error S3: HeadObject, exceeded maximum number of attempts, 3, https response error StatusCode: 0, RequestID: , HostID: , request send failed, Head \"http://127.0.0.1:1/b/k\": dial tcp 127.0.0.1:1: connect: connection refused",
                "the server cannot be reached",
            ),
            (
                "operation error S3: PutObject, https response error StatusCode: 404, RequestID: , HostID: , NoSuchBucket: ",
                "there is no such bucket",
            ),
            (
                "invalid character 'x' looking for beginning of value",
                "its manifest is damaged",
            ),
            ("something new\nand more", "something new"),
        ] {
            assert!(reason(error).starts_with(meaning), "{}", reason(error));
            assert!(!reason(error).contains('\n'));
        }
    }
}
