//! Assigns projects to daemons by rendezvous hashing.
//!
//! Each pair of daemon and project has a fixed score, and the daemon with the highest score wins. A daemon that joins or leaves
//! moves only the projects that it wins or had won; all others keep their daemon and its warm cache. No state is shared:
//! processes that know the same members choose the same daemons.

use ring::digest::{SHA256, digest};

/// The score of a daemon for a namespace. A daemon's chance to win grows with its weight.
pub(super) fn score(member: &str, namespace: &str, weight: usize) -> f64 {
    // The separator is a byte that neither name can contain; otherwise "a" + "bc" would equal "ab" + "c".
    let text = [member.as_bytes(), &[0xff], namespace.as_bytes()].concat();
    let hash = digest(&SHA256, &text);
    let mut bits = [0_u8; 8];
    bits.copy_from_slice(&hash.as_ref()[..8]);
    // Uniform in the open interval (0, 1): an f64 holds 53 bits.
    let even = ((u64::from_be_bytes(bits) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    weight.max(1) as f64 / -even.ln()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn winner<'a>(members: &[(&'a str, usize)], namespace: &str) -> &'a str {
        let best = members
            .iter()
            .max_by(|a, b| score(a.0, namespace, a.1).total_cmp(&score(b.0, namespace, b.1)));
        best.unwrap().0
    }

    fn shares(members: &[(&str, usize)]) -> BTreeMap<String, usize> {
        let mut shares = BTreeMap::new();
        for number in 0..10_000 {
            let won = winner(members, &format!("reg.io/team/app-{number}"));
            *shares.entry(won.to_owned()).or_default() += 1;
        }
        shares
    }

    #[test]
    fn projects_are_spread_by_weight() {
        let shares = shares(&[("a", 4), ("b", 4), ("c", 8)]);
        for (name, expected) in [("a", 2_500), ("b", 2_500), ("c", 5_000)] {
            let share = shares[name];
            assert!(share.abs_diff(expected) < 200, "{name}: {share}");
        }
    }

    #[test]
    fn the_numbers_never_change() {
        // Processes of different versions share daemons: a new way to count would cool every cache.
        assert_eq!(
            format!("{:.6}", score("tcp://10.0.0.1:1234", "reg.io/team/app", 4)),
            "1.299904"
        );
    }

    proptest! {
        #[test]
        fn a_member_that_joins_takes_projects_from_others_and_moves_none_between_them(
            names in proptest::collection::btree_set("[a-z]{1,6}", 2..8),
            weights in proptest::collection::vec(1_usize..9, 8),
            namespaces in proptest::collection::vec("[a-z/]{1,12}", 1..40),
        ) {
            let all: Vec<(&str, usize)> = names.iter().map(String::as_str).zip(weights).collect();
            let (joined, before) = all.split_last().unwrap();
            for namespace in &namespaces {
                let (old, new) = (winner(before, namespace), winner(&all, namespace));
                prop_assert!(new == old || new == joined.0, "{namespace}: {old} → {new}");
            }
        }
    }
}
