//! Quantities.

use super::problems::{Problems, shown};
use crate::quantity::nanos;
use crate::resources::Resources;

/// 1 MiB in units of 10⁻⁹ bytes: less memory or disk than this is a forgotten suffix.
const SMALLEST_BYTES: u128 = 1024 * 1024 * 1_000_000_000;
/// 1m in units of 10⁻⁹ CPUs: Kubernetes counts no finer.
const SMALLEST_CPU: u128 = 1_000_000;

pub(super) fn check(resources: &Resources, found: &mut Problems) {
    amounts(
        "cpu",
        &resources.cpu_request,
        &resources.cpu_limit,
        SMALLEST_CPU,
        "1m",
        found,
    );
    amounts(
        "memory",
        &resources.memory_request,
        &resources.memory_limit,
        SMALLEST_BYTES,
        "1Mi",
        found,
    );
    let (request, limit) = (
        &resources.ephemeral_storage_request,
        &resources.ephemeral_storage_limit,
    );
    if request.is_empty() && limit.is_empty() {
        return;
    }
    amounts(
        "ephemeralStorage",
        request,
        limit,
        SMALLEST_BYTES,
        "1Mi",
        found,
    );
}

fn amounts(
    name: &str,
    request: &str,
    limit: &str,
    least: u128,
    least_text: &str,
    found: &mut Problems,
) {
    let mut read = |which: &str, text: &str| {
        let path = format!("resources.{name}{which}");
        let Some(amount) = nanos(text) else {
            found.add(
                path,
                format!(
                    "{} is no quantity; write it as 250m, 512Mi or 1.5",
                    shown(text)
                ),
            );
            return None;
        };
        found.require(
            amount >= least,
            path,
            format!(
                "{} is less than {least_text}; is its suffix right?",
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
            format!("{} is more than the limit {}", shown(request), shown(limit)),
        );
    }
}
