//! Durations and sizes in readable form, the same in every view and message.

/// `0.4s`, `12.3s`, `2m 05s`.
///
/// ```
/// assert_eq!(pipeops_core::units::seconds(12_345), "12.3s");
/// ```
pub fn seconds(millis: u64) -> String {
    if millis < 60_000 {
        format!("{}.{}s", millis / 1000, millis % 1000 / 100)
    } else {
        format!("{}m {:02}s", millis / 60_000, millis % 60_000 / 1000)
    }
}

/// `7 B`, `1.5 KiB`, `2.0 GiB`: powers of 1024.
///
/// ```
/// assert_eq!(pipeops_core::units::size(1536), "1.5 KiB");
/// ```
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_well_at_every_size() {
        assert_eq!(seconds(40), "0.0s");
        assert_eq!(seconds(12_345), "12.3s");
        assert_eq!(seconds(125_000), "2m 05s");
    }

    #[test]
    fn sizes_read_well_from_nothing_to_the_largest() {
        assert_eq!(size(0), "0 B");
        assert_eq!(size(1023), "1023 B");
        assert_eq!(size(1536), "1.5 KiB");
        assert_eq!(size(1 << 31), "2.0 GiB");
        assert_eq!(size(u64::MAX), "16777216.0 TiB");
    }
}
