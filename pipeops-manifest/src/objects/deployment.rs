//! The Deployment.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{
    Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment,
};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::config::ConfigNames;
use super::metadata::Metadata;
use super::pod;
use crate::app::{App, PullPolicy, Strategy};
use crate::health::HealthCheck;
use crate::timing::seconds_i32;

/// Old ReplicaSets to keep for rollbacks. It's Kubernetes' default, set so that it can't change.
const REVISION_HISTORY: i32 = 10;

pub(super) fn deployment(app: &App, metadata: &Metadata, config: &ConfigNames) -> Deployment {
    let spec = DeploymentSpec {
        replicas: Some(count(app.replicas)),
        selector: metadata.selector(),
        strategy: Some(strategy(app)),
        min_ready_seconds: Some(seconds_i32(app.timing.min_ready)),
        progress_deadline_seconds: Some(seconds_i32(app.timing.progress_deadline)),
        revision_history_limit: Some(REVISION_HISTORY),
        template: PodTemplateSpec {
            metadata: Some(metadata.pods()),
            spec: Some(pod::spec(app, metadata, config)),
        },
        ..DeploymentSpec::default()
    };
    Deployment {
        metadata: metadata.workload(&app.name, workload_annotations(app, metadata)),
        // `into` serves both shapes of this field: an `Option` up to Kubernetes 1.36, the spec itself from 1.37.
        #[allow(
            clippy::useless_conversion,
            reason = "needed for some versions of Kubernetes only"
        )]
        spec: spec.into(),
        ..Deployment::default()
    }
}

/// What `kubectl rollout history` shows, and waivers of kube-score rules that are broken on purpose.
fn workload_annotations(app: &App, metadata: &Metadata) -> BTreeMap<String, String> {
    let cause = format!("revision {}", metadata.revision);
    let mut annotations = BTreeMap::from([("kubernetes.io/change-cause".to_owned(), cause)]);
    let waivers = kube_score_waivers(app);
    if !waivers.is_empty() {
        annotations.insert("kube-score/ignore".to_owned(), waivers.join(","));
    }
    annotations
}

fn kube_score_waivers(app: &App) -> Vec<&'static str> {
    let mut waivers = Vec::new();
    if app.pull_policy == PullPolicy::IfNotPresent {
        waivers.push("container-image-pull-policy");
    }
    if app.health != HealthCheck::None && app.effective_liveness() == app.health {
        waivers.push("pod-probes-identical");
    }
    waivers
}

/// The configured strategy. A rolling update is limited so that at least one pod stays available.
fn strategy(app: &App) -> DeploymentStrategy {
    let Strategy::Rolling {
        max_unavailable,
        max_surge,
    } = app.strategy
    else {
        return DeploymentStrategy {
            type_: Some("Recreate".to_owned()),
            rolling_update: None,
        };
    };
    let max_unavailable = max_unavailable.min(app.replicas.saturating_sub(1));
    // Kubernetes rejects 0 for both: if no pod may stop, a new one has to start first.
    let max_surge = max_surge.max(u32::from(max_unavailable == 0));
    DeploymentStrategy {
        type_: Some("RollingUpdate".to_owned()),
        rolling_update: Some(RollingUpdateDeployment {
            max_unavailable: Some(IntOrString::Int(count(max_unavailable))),
            max_surge: Some(IntOrString::Int(count(max_surge))),
        }),
    }
}

fn count(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::fixtures;

    fn json(app: &App) -> Value {
        serde_json::to_value(deployment(
            app,
            &Metadata::of(app, &fixtures::revision()),
            &ConfigNames::new(app, None),
        ))
        .unwrap()
    }

    #[test]
    fn no_rolling_update_takes_the_last_pod() {
        let update = |replicas, max_unavailable, max_surge| {
            let strategy = Strategy::Rolling {
                max_unavailable,
                max_surge,
            };
            let app = fixtures::app().replicas(replicas).strategy(strategy);
            let update = &json(&app)["spec"]["strategy"]["rollingUpdate"];
            ["maxUnavailable", "maxSurge"].map(|key| update[key].as_u64().unwrap())
        };
        assert_eq!(update(3, 1, 1), [1, 1]);
        assert_eq!(update(1, 1, 1), [0, 1]);
        assert_eq!(update(1, 1, 0), [0, 1]);
        assert_eq!(update(2, 5, 0), [1, 0]);
    }

    #[test]
    fn recreate_has_no_rolling_update() {
        let strategy = &json(&fixtures::app().strategy(Strategy::Recreate))["spec"]["strategy"];
        assert_eq!(strategy, &json!({"type": "Recreate"}));
    }

    #[test]
    fn waivers_stand_only_where_a_rule_is_broken() {
        let waivers = |app: &App| json(app)["metadata"]["annotations"]["kube-score/ignore"].clone();
        let mut app = fixtures::app();
        assert_eq!(waivers(&app), "container-image-pull-policy");
        app.pull_policy = PullPolicy::Always;
        assert!(waivers(&app).is_null());
        assert_eq!(
            waivers(&app.health(HealthCheck::Tcp)),
            "pod-probes-identical"
        );
    }
}
