//! Dates in documents and headers.

use std::time::SystemTime;

use jiff::Timestamp;

/// As it stands in documents.
pub(super) fn iso_date(time: SystemTime) -> String {
    let time = Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH);
    time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// As it stands in headers.
pub(super) fn http_date(time: SystemTime) -> String {
    let time = Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH);
    time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_s3() {
        let time: Timestamp = "2013-05-24T01:02:03.004Z".parse().unwrap();
        assert_eq!(iso_date(time.into()), "2013-05-24T01:02:03.004Z");
        assert_eq!(http_date(time.into()), "Fri, 24 May 2013 01:02:03 GMT");
    }
}
