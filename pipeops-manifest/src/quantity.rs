//! Kubernetes quantities, read far enough to compare two of them.

/// The quantity in units of 10⁻⁹, rounded up; `None` when it is not a non-negative quantity of Kubernetes' [grammar].
///
/// [grammar]: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
pub(crate) fn nanos(text: &str) -> Option<u128> {
    if text.len() > 32 {
        return None;
    }
    let number_end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(number_end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.contains('.') || whole.len() + fraction.len() == 0 {
        return None;
    }
    let digits: u128 = format!("{whole}{fraction}").parse().ok()?;
    let scaled = digits.checked_mul(unit_nanos(suffix)?)?;
    let divisor = 10u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    Some(scaled.div_ceil(divisor))
}

/// One unit of this suffix in units of 10⁻⁹.
fn unit_nanos(suffix: &str) -> Option<u128> {
    const ONE: u128 = 1_000_000_000;
    let binary = |power: u32| ONE.checked_mul(1u128 << (10 * power));
    let decimal = |power: u32| ONE.checked_mul(10u128.pow(power));
    match suffix {
        "n" => Some(1),
        "u" => Some(1_000),
        "m" => Some(1_000_000),
        "" => Some(ONE),
        "k" => decimal(3),
        "M" => decimal(6),
        "G" => decimal(9),
        "T" => decimal(12),
        "P" => decimal(15),
        "E" => decimal(18),
        "Ki" => binary(1),
        "Mi" => binary(2),
        "Gi" => binary(3),
        "Ti" => binary(4),
        "Pi" => binary(5),
        "Ei" => binary(6),
        _ => exponent_nanos(suffix),
    }
}

/// `e3`, `E-3`.
fn exponent_nanos(suffix: &str) -> Option<u128> {
    let power: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    10u128.checked_pow(u32::try_from(power.checked_add(9)?).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notations_of_the_same_amount_are_equal() {
        for (a, b) in [
            ("1", "1000m"),
            ("0.5", "500m"),
            ("1Gi", "1024Mi"),
            ("1e3", "1k"),
            ("1E-3", "1m"),
            ("1.5Gi", "1536Mi"),
            (".5", "0.5"),
        ] {
            assert_eq!(nanos(a), nanos(b), "{a} {b}");
            assert!(nanos(a).is_some(), "{a}");
        }
        assert!(nanos("1G") < nanos("1Gi"));
    }

    #[test]
    fn what_is_no_quantity_is_none() {
        for text in [
            "",
            ".",
            "m",
            "-1",
            "+1",
            "1 Mi",
            "1mi",
            "1.2.3",
            "1MiB",
            "1e",
            "1e99",
            "99999999999999999999Ei",
            "٣",
        ] {
            assert_eq!(nanos(text), None, "{text:?}");
        }
    }
}
