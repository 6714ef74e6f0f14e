//! The current time in the formats of objects.

use jiff::Timestamp;

/// In whole seconds, as most fields.
pub(crate) fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The time with microseconds.
pub(crate) fn precise_now() -> String {
    Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%S%.6fZ")
        .to_string()
}
