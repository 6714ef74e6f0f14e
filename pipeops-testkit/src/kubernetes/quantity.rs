//! Quantities such as `500m`, `1Gi` or `0.5`: parsing, comparison, canonical form.

/// Thousandths of thousandths of thousandths: the smallest part that Kubernetes keeps.
const NANOS: i128 = 1_000_000_000;

const DECIMAL: [(&str, i32); 9] = [
    ("E", 18),
    ("P", 15),
    ("T", 12),
    ("G", 9),
    ("M", 6),
    ("k", 3),
    ("m", -3),
    ("u", -6),
    ("n", -9),
];

const BINARY: [(&str, u32); 6] = [
    ("Ei", 60),
    ("Pi", 50),
    ("Ti", 40),
    ("Gi", 30),
    ("Mi", 20),
    ("Ki", 10),
];

/// A quantity, exact to a billionth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quantity {
    nanos: i128,
    form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Decimal,
    Binary,
    Exponent,
}

impl Quantity {
    /// Reads a quantity; none when it is not one.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let end = text
            .find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '+' | '-')))
            .unwrap_or(text.len());
        let (number, suffix) = text.split_at(end);
        if let Some((_, bits)) = BINARY.iter().find(|(name, _)| *name == suffix) {
            let nanos = scaled(number, 0)?.checked_mul(1i128 << bits)?;
            return Some(Self {
                nanos,
                form: Form::Binary,
            });
        }
        let (power, form) = if suffix.is_empty() {
            (0, Form::Decimal)
        } else if let Some((_, power)) = DECIMAL.iter().find(|(name, _)| *name == suffix) {
            (*power, Form::Decimal)
        } else {
            (exponent(suffix)?, Form::Exponent)
        };
        Some(Self {
            nanos: scaled(number, power)?,
            form,
        })
    }

    /// The amount, in billionths.
    pub(crate) fn nanos(self) -> i128 {
        self.nanos
    }

    /// The amount, in thousandths, rounded up.
    pub(crate) fn millis(self) -> i128 {
        (self.nanos + 999_999).div_euclid(1_000_000)
    }

    /// The form that the API server keeps: the largest suffix that leaves a whole number.
    pub(crate) fn canonical(self) -> String {
        if self.nanos == 0 {
            return "0".to_owned();
        }
        match self.form {
            Form::Binary if self.nanos % NANOS == 0 => binary(self.nanos / NANOS),
            Form::Exponent => decimal(self.nanos, |power| match power {
                0 => String::new(),
                power => format!("e{power}"),
            }),
            Form::Binary | Form::Decimal => decimal(self.nanos, |power| {
                DECIMAL
                    .iter()
                    .find(|(_, other)| *other == power)
                    .map(|(name, _)| (*name).to_owned())
                    .unwrap_or_default()
            }),
        }
    }
}

/// A decimal number times a power of ten, in billionths, rounded away from zero.
fn scaled(number: &str, power: i32) -> Option<i128> {
    let (negative, digits) = match number.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, number.strip_prefix('+').unwrap_or(number)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{whole}{fraction}");
    if all.is_empty() || all.len() > 27 || !all.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let value: i128 = all.parse().ok()?;
    let power = 9 + power - i32::try_from(fraction.len()).ok()?;
    let nanos = if power >= 0 {
        value.checked_mul(10i128.checked_pow(power.unsigned_abs())?)?
    } else {
        let divisor = 10i128.checked_pow(power.unsigned_abs())?;
        value / divisor + i128::from(value % divisor != 0)
    };
    Some(if negative { -nanos } else { nanos })
}

/// `e3`, `E-3`.
fn exponent(suffix: &str) -> Option<i32> {
    let digits = suffix.strip_prefix(['e', 'E'])?;
    // The digits were cut off by the search for the suffix only when a sign or a letter came first.
    digits
        .parse()
        .ok()
        .filter(|power| (-9..=18).contains(power))
}

fn binary(value: i128) -> String {
    for (name, bits) in BINARY {
        let unit = 1i128 << bits;
        if value % unit == 0 {
            return format!("{}{name}", value / unit);
        }
    }
    value.to_string()
}

fn decimal(nanos: i128, suffix: impl Fn(i32) -> String) -> String {
    for power in [18, 15, 12, 9, 6, 3, 0, -3, -6, -9] {
        let unit = 10i128.pow((power + 9i32).unsigned_abs());
        if nanos % unit == 0 {
            return format!("{}{}", nanos / unit, suffix(power));
        }
    }
    nanos.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_as_the_api_server_writes_it() {
        for (text, canonical) in [
            ("0.5", "500m"),
            ("1000m", "1"),
            ("100m", "100m"),
            ("1024Mi", "1Gi"),
            ("1536Mi", "1536Mi"),
            ("0.5Gi", "512Mi"),
            ("1000", "1k"),
            ("128M", "128M"),
            ("1e3", "1e3"),
            ("1E3", "1e3"),
            ("0", "0"),
            ("-1", "-1"),
            ("1.5", "1500m"),
        ] {
            let canonical_of = Quantity::parse(text).map(Quantity::canonical);
            assert_eq!(canonical_of.as_deref(), Some(canonical), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_quantity_is_refused() {
        for text in ["", "m", "1x", "1 Gi", "1.2.3", "--1", "1Gib", "1e99", "١"] {
            assert_eq!(Quantity::parse(text), None, "{text}");
        }
    }

    #[test]
    fn quantities_compare_by_amount() {
        let nanos = |text| Quantity::parse(text).unwrap().nanos();
        assert!(nanos("1Gi") > nanos("1G"));
        assert_eq!(nanos("500m"), nanos("0.5"));
    }
}
