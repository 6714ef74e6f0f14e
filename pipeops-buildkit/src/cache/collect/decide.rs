//! Decides which caches are kept and which are deleted.

use std::collections::BTreeMap;
use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};

use super::layout;
use super::policy::{Policy, seconds_since};
use super::report::{Amount, Fate, NamespaceReport};
use super::survey::{Manifest, Survey};

/// The fate of each cache, and the manifests to delete.
#[derive(Debug, Default)]
pub(super) struct Decision {
    /// The most valuable first.
    pub(super) namespaces: Vec<NamespaceReport>,
    /// Places in the survey's list.
    pub(super) deleted: HashSet<usize>,
    pub(super) over_budget: bool,
}

/// A cache that is not decided yet.
struct Candidate {
    report: NamespaceReport,
    /// Places in the survey's list, the newest first.
    places: Vec<usize>,
    value: f64,
}

pub(super) fn decide(survey: &Survey, policy: &Policy, now: Timestamp) -> Decision {
    let mut candidates = candidates(survey, policy, now);
    let mut decision = Decision::default();
    for candidate in &mut candidates {
        candidate.drop_manifests(survey, policy, now, &mut decision.deleted);
    }
    candidates.sort_by(|one, two| {
        let always = |candidate: &Candidate| candidate.report.fate == Fate::Always;
        always(two)
            .cmp(&always(one))
            .then(two.value.total_cmp(&one.value))
            .then_with(|| one.report.name.cmp(&two.report.name))
    });
    decision.over_budget = apply_budget(survey, policy, &mut candidates, &decision.deleted);
    for candidate in &candidates {
        if !candidate.report.fate.is_kept() {
            decision.deleted.extend(&candidate.places);
        }
    }
    count_released(survey, &mut candidates, &decision.deleted);
    decision.namespaces = candidates
        .into_iter()
        .map(|candidate| candidate.report)
        .collect();
    decision
}

fn candidates(survey: &Survey, policy: &Policy, now: Timestamp) -> Vec<Candidate> {
    let mut places: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (place, manifest) in survey.manifests.iter().enumerate() {
        places
            .entry(layout::namespace(&manifest.name).0)
            .or_default()
            .push(place);
    }
    places
        .into_iter()
        .map(|(name, mut places)| {
            places.sort_by_key(|place| std::cmp::Reverse(survey.manifests[*place].written()));
            candidate(survey, policy, now, name, places)
        })
        .collect()
}

fn candidate(
    survey: &Survey,
    policy: &Policy,
    now: Timestamp,
    name: &str,
    places: Vec<usize>,
) -> Candidate {
    let namespace = layout::namespace(name).1;
    let manifests: Vec<&Manifest> = places
        .iter()
        .map(|place| &survey.manifests[*place])
        .collect();
    let times: Vec<Timestamp> = manifests
        .iter()
        .map(|manifest| manifest.written())
        .collect();
    let written = times.iter().max().copied().unwrap_or(Timestamp::UNIX_EPOCH);
    let usage = survey.usage.get(name);
    let score = policy.score(usage, &times, now);
    let retention =
        SignedDuration::try_from(policy.retention(score)).unwrap_or(SignedDuration::MAX);
    let keep_until = written.checked_add(retention).unwrap_or(Timestamp::MAX);
    let fate = if policy.keeps_always(name, namespace.as_ref()) {
        Fate::Always
    } else if now > keep_until {
        Fate::Expired
    } else {
        Fate::Recent
    };
    let refers = unique(survey, &manifests);
    let hit_rate = usage.and_then(super::usage::Usage::hit_rate);
    let mut own = Amount::default();
    manifests
        .iter()
        .for_each(|manifest| own.add(manifest.meta.size));
    Candidate {
        value: policy.value(score, hit_rate, refers.bytes),
        report: NamespaceReport {
            name: name.to_owned(),
            namespace,
            fate,
            manifests: own,
            refers,
            releases: Amount::default(),
            written,
            score,
            hit_rate,
            keep_until,
            dropped: Vec::new(),
        },
        places,
    }
}

impl Candidate {
    /// Drops single manifests of a cache that is kept.
    fn drop_manifests(
        &mut self,
        survey: &Survey,
        policy: &Policy,
        now: Timestamp,
        deleted: &mut HashSet<usize>,
    ) {
        if !self.report.fate.is_kept() {
            return;
        }
        let mut left = 0;
        let mut broken = false;
        for place in &self.places {
            let manifest = &survey.manifests[*place];
            let is_broken = survey.missing(manifest) > 0;
            // Builds write the other slots but not this one: the number of slots was lowered.
            let behind = seconds_since(manifest.written(), self.report.written);
            let is_old = behind > policy.min_age.as_secs_f64()
                && seconds_since(manifest.written(), now) > policy.min_age.as_secs_f64();
            broken |= is_broken;
            if is_broken || (is_old && left > 0) {
                self.report.dropped.push(manifest.name.clone());
                deleted.insert(*place);
            } else {
                left += 1;
            }
        }
        if left == 0 && broken {
            self.report.dropped.clear();
            self.report.fate = Fate::Broken;
        }
    }
}

/// Gives up the least valuable caches until the rest fits. Returns whether the caches that are always kept exceed the budget.
fn apply_budget(
    survey: &Survey,
    policy: &Policy,
    candidates: &mut [Candidate],
    dropped: &HashSet<usize>,
) -> bool {
    let Some(budget) = policy.budget else {
        return false;
    };
    let mut seen = vec![false; survey.blobs.len()];
    let (mut bytes, mut full) = (0_u64, false);
    // Most valuable first. From the first cache that doesn't fit on, all are given up.
    for candidate in candidates
        .iter_mut()
        .filter(|candidate| candidate.report.fate.is_kept())
    {
        let left = candidate
            .places
            .iter()
            .filter(|place| !dropped.contains(place));
        let mut new: Vec<u32> = left
            .flat_map(|place| survey.manifests[*place].blobs.iter().copied())
            .filter(|number| !seen[*number as usize])
            .collect();
        new.sort_unstable();
        new.dedup();
        let more: u64 = new.iter().map(|number| survey.blobs.size(*number)).sum();
        let always = candidate.report.fate == Fate::Always;
        full |= !always && bytes + more > budget;
        if full && !always {
            candidate.report.fate = Fate::OverBudget;
            candidate.report.dropped.clear();
            continue;
        }
        bytes += more;
        new.into_iter()
            .for_each(|number| seen[number as usize] = true);
    }
    bytes > budget
}

/// Counts the blobs that become unreferenced, for each deleted cache.
fn count_released(survey: &Survey, candidates: &mut [Candidate], deleted: &HashSet<usize>) {
    let mut taken = vec![false; survey.blobs.len()];
    for (place, manifest) in survey.manifests.iter().enumerate() {
        if !deleted.contains(&place) {
            manifest
                .blobs
                .iter()
                .for_each(|number| taken[*number as usize] = true);
        }
    }
    for candidate in candidates {
        for place in candidate
            .places
            .iter()
            .filter(|place| deleted.contains(place))
        {
            for number in &survey.manifests[*place].blobs {
                let first = !std::mem::replace(&mut taken[*number as usize], true);
                if first && survey.blobs.is_there(*number) {
                    candidate.report.releases.add(survey.blobs.size(*number));
                }
            }
        }
    }
}

fn unique(survey: &Survey, manifests: &[&Manifest]) -> Amount {
    let mut numbers: Vec<u32> = manifests
        .iter()
        .flat_map(|manifest| manifest.blobs.iter().copied())
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    let mut amount = Amount::default();
    numbers
        .iter()
        .for_each(|number| amount.add(survey.blobs.size(*number)));
    amount
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use object_store::memory::InMemory;
    use object_store::{ObjectStore, ObjectStoreExt};

    use super::super::layout::Layout;
    use super::*;

    /// A bucket with a blob of this size, in MiB, for each number, and manifests that name some of them.
    async fn survey(blobs: &[(u8, usize)], manifests: &[(&str, &[u8])]) -> Survey {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let name = |number: &u8| format!("sha256:{}", format!("{number:02x}").repeat(32));
        for (number, size) in blobs {
            let content = vec![0; size << 20];
            store
                .put(&format!("blobs/{}", name(number)).into(), content.into())
                .await
                .unwrap();
        }
        for (manifest, blobs) in manifests {
            let layers: Vec<String> = blobs
                .iter()
                .map(|blob| format!(r#"{{"blob":"{}"}}"#, name(blob)))
                .collect();
            let text = format!(r#"{{"layers":[{}],"records":[]}}"#, layers.join(","));
            store
                .put(&format!("manifests/{manifest}").into(), text.into())
                .await
                .unwrap();
        }
        Survey::read(&*store, &Layout::new(String::new()))
            .await
            .unwrap()
    }

    fn fates(decision: &Decision) -> Vec<(&str, Fate)> {
        let fate = |report: &NamespaceReport| report.fate;
        decision
            .namespaces
            .iter()
            .map(|report| (report.name.as_str(), fate(report)))
            .collect()
    }

    fn in_days(days: u64) -> Timestamp {
        Timestamp::now() + Duration::from_secs(days * 86_400)
    }

    #[tokio::test]
    async fn the_default_branchs_cache_is_kept_whatever_its_age() {
        let survey = survey(
            &[(1, 1), (2, 1)],
            &[("r_-_main_-_D", &[1]), ("r_-_fix_-_D", &[1, 2])],
        )
        .await;
        let decision = decide(&survey, &Policy::default(), in_days(400));
        assert_eq!(
            fates(&decision),
            [
                ("r_-_main_-_D", Fate::Always),
                ("r_-_fix_-_D", Fate::Expired)
            ]
        );
        let released = decision.namespaces[1].releases;
        assert_eq!(
            (released.objects, released.bytes),
            (1, 1 << 20),
            "the shared blob stays"
        );
    }

    #[tokio::test]
    async fn over_the_budget_the_least_valuable_goes_first() {
        let manifests: [(&str, &[u8]); 4] = [
            ("r_-_main_-_D", &[1]),
            ("r_-_big_-_D", &[2]),
            ("r_-_mid_-_D", &[3]),
            ("r_-_low_-_D", &[1, 4]),
        ];
        let survey = survey(&[(1, 4), (2, 6), (3, 2), (4, 1)], &manifests).await;
        let fates_at = |mib: u64| {
            let policy = Policy::default().budget(mib << 20);
            let decision = decide(&survey, &policy, in_days(0));
            let names = |kept: bool| -> Vec<String> {
                let of = decision
                    .namespaces
                    .iter()
                    .filter(|report| report.fate.is_kept() == kept);
                of.map(|report| report.name.clone()).collect()
            };
            (names(false), decision.over_budget)
        };
        assert_eq!(fates_at(13), (vec![], false));
        // All have one build; the value falls with the size.
        assert_eq!(fates_at(12), (vec!["r_-_big_-_D".to_owned()], false));
        assert_eq!(fates_at(6).0, ["r_-_low_-_D", "r_-_big_-_D"]);
        // Even nothing but the default branch's is too much.
        assert_eq!(fates_at(1).0.len(), 3);
        assert!(fates_at(1).1);
    }

    #[tokio::test]
    async fn a_manifest_with_lost_blobs_goes_and_its_other_slots_stay() {
        let manifests: [(&str, &[u8]); 4] = [
            ("r_-_a_-_D", &[1]),
            ("r_-_a_-_D_.1", &[1, 9]),
            ("r_-_main_-_D", &[9]),
            ("r_-_empty_-_D", &[]),
        ];
        let survey = survey(&[(1, 1)], &manifests).await;
        let decision = decide(&survey, &Policy::default(), in_days(0));
        let mut fates = fates(&decision);
        fates.sort();
        assert_eq!(
            fates,
            [
                ("r_-_a_-_D", Fate::Recent),
                ("r_-_empty_-_D", Fate::Recent),
                ("r_-_main_-_D", Fate::Broken)
            ]
        );
        let mut deleted: Vec<&str> = decision
            .deleted
            .iter()
            .map(|place| survey.manifests[*place].name.as_str())
            .collect();
        deleted.sort();
        assert_eq!(deleted, ["r_-_a_-_D_.1", "r_-_main_-_D"]);
    }
}
