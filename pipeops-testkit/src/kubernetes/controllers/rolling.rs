//! Replaces a Deployment's pods: rolling, all at once, or only scaled.

use std::sync::Arc;

use serde_json::Value;

use super::Controllers;
use super::family::Family;
use crate::kubernetes::resources::PODS;
use crate::kubernetes::value::{int, text};

impl Controllers {
    /// One step of a rolling update: first up, then down, then what came of it.
    pub(super) fn roll(&mut self, family: &Family) {
        if self.grow_new(family) || self.shrink_old(family) {
            self.sync_status(family);
            return;
        }
        self.sync_status(family);
        self.forget_history(family);
    }

    fn grow_new(&mut self, family: &Family) -> bool {
        let Some(set) = &family.new else { return false };
        let size = int(set, "/spec/replicas");
        let wanted = family.replicas();
        if size == wanted {
            return false;
        }
        if size > wanted {
            return self.resize(family, set, wanted);
        }
        let free = (family.max_total() - family.sum("/spec/replicas")).max(0);
        self.resize(family, set, size + free.min(wanted - size))
    }

    /// Takes old pods away, the broken ones first, as far as enough pods stay available.
    fn shrink_old(&mut self, family: &Family) -> bool {
        if family.old.iter().all(|set| int(set, "/spec/replicas") == 0) {
            return false;
        }
        let Some(new) = &family.new else { return false };
        let least = family.replicas() - family.max_unavailable();
        let missing = int(new, "/spec/replicas") - int(new, "/status/availableReplicas");
        let may_go = family.sum("/spec/replicas") - least - missing;
        if may_go <= 0 {
            return false;
        }
        let sizes: Vec<(Arc<Value>, i64)> = family
            .old
            .iter()
            .map(|set| (set.clone(), int(set, "/spec/replicas")))
            .collect();
        let broken_gone = without_broken(&sizes, may_go);
        let available = family.sum("/status/availableReplicas");
        let final_sizes = without_spare(&broken_gone, available - least);
        let mut changed = false;
        for ((set, size), (_, before)) in final_sizes.iter().zip(&sizes) {
            if size != before {
                changed |= self.resize(family, set, *size);
            }
        }
        changed
    }

    /// All old pods go before a new one comes.
    pub(super) fn recreate(&mut self, family: &mut Family) {
        let mut changed = false;
        for set in &family.old.clone() {
            if int(set, "/spec/replicas") > 0 {
                changed |= self.resize(family, set, 0);
            }
        }
        if changed || self.old_pods_run(family) {
            self.sync_status(family);
            return;
        }
        self.grow_new(family);
        self.sync_status(family);
        self.forget_history(family);
    }

    /// Whether a pod of an old ReplicaSet still holds its place.
    pub(super) fn old_pods_run(&self, family: &Family) -> bool {
        family.old.iter().any(|set| {
            let uid = text(set, "/metadata/uid");
            self.controlled(&PODS, family.namespace(), uid)
                .iter()
                .any(|pod| !matches!(text(pod, "/status/phase"), "Succeeded" | "Failed"))
        })
    }

    /// `spec.replicas` was changed: one ReplicaSet takes the difference, or all take their share of it.
    pub(super) fn scale_family(&mut self, family: &Family) {
        let active: Vec<Arc<Value>> = family
            .all()
            .filter(|set| int(set, "/spec/replicas") > 0)
            .cloned()
            .collect();
        match active.as_slice() {
            [] => {
                if let Some(set) = &family.new {
                    self.resize(family, set, family.replicas());
                }
            }
            [only] => drop(self.resize(family, only, family.replicas())),
            many => self.scale_in_proportion(family, many),
        }
    }

    fn scale_in_proportion(&mut self, family: &Family, sets: &[Arc<Value>]) {
        let total = if family.replicas() > 0 {
            family.max_total()
        } else {
            0
        };
        let present: i64 = sets.iter().map(|set| int(set, "/spec/replicas")).sum();
        let mut left = total - present;
        // The largest take first: rounding matters least to them.
        let mut sets = sets.to_vec();
        sets.sort_by_key(|set| std::cmp::Reverse(int(set, "/spec/replicas")));
        let difference = left;
        for set in &sets {
            let size = int(set, "/spec/replicas");
            let share = (difference * size).div_euclid(present.max(1));
            let share = if left >= 0 {
                share.clamp(0, left)
            } else {
                share.clamp(left, 0)
            };
            left -= share;
            self.resize(family, set, (size + share).max(0));
        }
        if left != 0
            && let Some(first) = sets.first()
            && let Some(fresh) = self.get(
                &crate::kubernetes::resources::REPLICA_SETS,
                family.namespace(),
                text(first, "/metadata/name"),
            )
        {
            let size = (int(&fresh, "/spec/replicas") + left).max(0);
            self.resize(family, &fresh, size);
        }
    }
}

/// Old pods that are not available anyway go first.
fn without_broken(sizes: &[(Arc<Value>, i64)], limit: i64) -> Vec<(Arc<Value>, i64)> {
    let mut left = limit;
    sizes
        .iter()
        .map(|(set, size)| {
            let broken = (size - int(set, "/status/availableReplicas")).clamp(0, left);
            left -= broken;
            (set.clone(), size - broken)
        })
        .collect()
}

/// Then as many as are more than must be available.
fn without_spare(sizes: &[(Arc<Value>, i64)], spare: i64) -> Vec<(Arc<Value>, i64)> {
    let mut left = spare.max(0);
    sizes
        .iter()
        .map(|(set, size)| {
            let gone = (*size).min(left);
            left -= gone;
            (set.clone(), size - gone)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set(size: i64, available: i64) -> (Arc<Value>, i64) {
        let set = json!({"spec": {"replicas": size}, "status": {"availableReplicas": available}});
        (Arc::new(set), size)
    }

    fn sizes(of: &[(Arc<Value>, i64)]) -> Vec<i64> {
        of.iter().map(|(_, size)| *size).collect()
    }

    #[test]
    fn broken_pods_go_first() {
        let before = [set(3, 1), set(2, 2)];
        assert_eq!(sizes(&without_broken(&before, 5)), [1, 2]);
        assert_eq!(sizes(&without_broken(&before, 1)), [2, 2]);
    }

    #[test]
    fn only_spare_pods_go() {
        let before = [set(2, 2), set(2, 2)];
        assert_eq!(sizes(&without_spare(&before, 3)), [0, 1]);
        assert_eq!(sizes(&without_spare(&before, -1)), [2, 2]);
    }
}
