//! Suggestions for names that don't exist.

use std::cmp::Reverse;

/// How many names are suggested.
const COUNT: usize = 3;

/// The known names that are most like the unknown one, the nearest first.
pub fn nearest<T: AsRef<str>>(unknown: &str, known: impl IntoIterator<Item = T>) -> Vec<T> {
    let unknown = unknown.to_lowercase();
    let mut names: Vec<T> = known.into_iter().collect();
    // Sorting is stable: equally near names keep their order.
    names.sort_by_cached_key(|name| Reverse(likeness(name.as_ref(), &unknown)));
    names.truncate(COUNT);
    names
}

/// How many pairs of neighbouring letters two words share, of all that they have.
fn likeness(one: &str, other: &str) -> usize {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let shared = one
        .windows(2)
        .filter(|pair| other.windows(2).any(|found| found == *pair));
    shared.count() * 1000 / (one.len() + other.len()).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_comes_first() {
        let known = ["develop", "release/2.0", "main", "maintenance"];
        assert_eq!(nearest("mian-tenance", known)[0], "maintenance");
        assert_eq!(nearest("MAIN", known)[0], "main");
    }
}
