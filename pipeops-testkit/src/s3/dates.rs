//! Dates in documents and headers.

use std::time::SystemTime;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

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

/// Seconds since 1970 of a header's date.
pub(super) fn parse_http_date(text: &str) -> Option<i64> {
    let date = DateTime::strptime("%a, %d %b %Y %H:%M:%S GMT", text).ok()?;
    Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second())
}

/// Headers know no fractions of a second.
pub(super) fn seconds(time: SystemTime) -> i64 {
    Timestamp::try_from(time)
        .unwrap_or(Timestamp::UNIX_EPOCH)
        .as_second()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_s3() {
        let time: Timestamp = "2013-05-24T01:02:03.004Z".parse().unwrap();
        assert_eq!(iso_date(time.into()), "2013-05-24T01:02:03.004Z");
        assert_eq!(http_date(time.into()), "Fri, 24 May 2013 01:02:03 GMT");
        assert_eq!(
            parse_http_date(&http_date(time.into())),
            Some(time.as_second())
        );
    }
}
