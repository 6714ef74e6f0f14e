//! Validates quantities.

use super::problems::{Problems, shown};
use crate::quantity::nanos;
use crate::resources::Resources;

/// 1 MiB in units of 10⁻⁹ bytes: less memory or disk than this is a forgotten suffix.
const SMALLEST_BYTES: u128 = 1024 * 1024 * 1_000_000_000;
/// 1m in units of 10⁻⁹ CPUs: Kubernetes' smallest unit.
const SMALLEST_CPU: u128 = 1_000_000;

pub(super) fn check(of: &Resources, found: &mut Problems) {
    let bytes = (SMALLEST_BYTES, "1Mi");
    let cpu = (SMALLEST_CPU, "1m");
    amounts("cpu", [&of.cpu_request, &of.cpu_limit], cpu, found);
    let memory = [&*of.memory_request, &of.memory_limit];
    amounts("memory", memory, bytes, found);
    let disk = [&*of.ephemeral_storage_request, &of.ephemeral_storage_limit];
    if disk != ["", ""] {
        amounts("ephemeralStorage", disk, bytes, found);
    }
}

fn amounts(
    name: &str,
    [request, limit]: [&str; 2],
    (least, least_text): (u128, &str),
    found: &mut Problems,
) {
    let mut read = |which: &str, text: &str| {
        let path = format!("resources.{name}{which}");
        let Some(amount) = nanos(text) else {
            found.add(
                path,
                format!(
                    "{} isn't a quantity, such as 250m, 512Mi or 1.5",
                    shown(text)
                ),
            );
            return None;
        };
        found.require(
            amount >= least,
            path,
            format!(
                "{} is less than {least_text}; check its suffix",
                shown(text)
            ),
        );
        (amount >= least).then_some(amount)
    };
    let (requested, limited) = (read("Request", request), read("Limit", limit));
    if let (Some(requested), Some(limited)) = (requested, limited) {
        found.require(
            requested <= limited,
            format!("resources.{name}Request"),
            format!("{} exceeds the limit {}", shown(request), shown(limit)),
        );
    }
}
