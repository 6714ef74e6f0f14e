//! The workload: a Deployment whose pods pass the Pod Security Standard "restricted".

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{
    Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment,
};
use k8s_openapi::api::core::v1::{
    Affinity, Capabilities, ConfigMapEnvSource, Container, ContainerPort, EmptyDirVolumeSource,
    EnvFromSource, EnvVar, Lifecycle, LifecycleHandler, LocalObjectReference, PodAffinityTerm,
    PodAntiAffinity, PodSecurityContext, PodSpec, PodTemplateSpec, ResourceRequirements,
    SeccompProfile, SecretEnvSource, SecurityContext, SleepAction, Sysctl,
    TopologySpreadConstraint, Volume, VolumeMount, WeightedPodAffinityTerm,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::config::{ConfigNames, pull_secret_name};
use super::{
    CONTAINER, metadata, port_name, probes, revision_annotations, revision_labels, selector,
};
use crate::app::{App, Kind, PullPolicy, Strategy};
use crate::health::HealthCheck;
use crate::timing::{seconds_i32, whole_seconds};

/// Old ReplicaSets that are kept to go back to; Kubernetes' own default, written so that it stays.
const REVISION_HISTORY: i32 = 10;

pub(super) fn deployment(app: &App, config: &ConfigNames) -> Deployment {
    let spec = DeploymentSpec {
        replicas: Some(count(app.replicas)),
        selector: selector(app),
        strategy: Some(strategy(app)),
        min_ready_seconds: Some(seconds_i32(app.timing.min_ready)),
        progress_deadline_seconds: Some(seconds_i32(app.timing.progress_deadline)),
        revision_history_limit: Some(REVISION_HISTORY),
        template: PodTemplateSpec {
            metadata: Some(ObjectMeta {
                labels: Some(revision_labels(app)),
                annotations: Some(revision_annotations(app)),
                ..ObjectMeta::default()
            }),
            spec: Some(pod(app, config)),
        },
        ..DeploymentSpec::default()
    };
    Deployment {
        metadata: ObjectMeta {
            labels: Some(revision_labels(app)),
            annotations: Some(workload_annotations(app)),
            ..metadata(app, &app.name)
        },
        // `into` serves both shapes of this field: an `Option` up to Kubernetes 1.36, the spec itself from 1.37.
        #[allow(
            clippy::useless_conversion,
            reason = "needed for some versions of Kubernetes only"
        )]
        spec: spec.into(),
        ..Deployment::default()
    }
}

/// The revision, what `kubectl rollout history` shows, and the waivers of kube-score's rules that are broken on purpose.
fn workload_annotations(app: &App) -> BTreeMap<String, String> {
    let mut annotations = revision_annotations(app);
    annotations.insert(
        "kubernetes.io/change-cause".to_owned(),
        format!("revision {}", app.revision),
    );
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

/// The rolling update that was asked for, as far as it leaves at least one pod.
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
    // Both at 0 is refused by Kubernetes: where no pod may go, one has to come first.
    let max_surge = if max_unavailable == 0 {
        max_surge.max(1)
    } else {
        max_surge
    };
    DeploymentStrategy {
        type_: Some("RollingUpdate".to_owned()),
        rolling_update: Some(RollingUpdateDeployment {
            max_unavailable: Some(IntOrString::Int(count(max_unavailable))),
            max_surge: Some(IntOrString::Int(count(max_surge))),
        }),
    }
}

fn pod(app: &App, config: &ConfigNames) -> PodSpec {
    PodSpec {
        service_account_name: Some(app.name.clone()),
        automount_service_account_token: Some(false),
        // Otherwise each Service of the namespace adds variables, such as `REDIS_PORT`, that applications mistake for theirs.
        enable_service_links: Some(false),
        image_pull_secrets: pull_secret_name(app).map(|name| vec![LocalObjectReference { name }]),
        security_context: Some(pod_security(app)),
        affinity: Some(spread_over_nodes(app)),
        topology_spread_constraints: Some(vec![spread_over_zones(app)]),
        termination_grace_period_seconds: Some(i64::from(seconds_i32(
            app.timing.termination_grace,
        ))),
        containers: vec![container(app, config)],
        volumes: some_unless_empty(volumes(app)),
        ..PodSpec::default()
    }
}

fn container(app: &App, config: &ConfigNames) -> Container {
    Container {
        name: CONTAINER.to_owned(),
        image: Some(app.image.to_string()),
        image_pull_policy: Some(
            match app.pull_policy {
                PullPolicy::IfNotPresent => "IfNotPresent",
                PullPolicy::Always => "Always",
            }
            .to_owned(),
        ),
        command: some_unless_empty(app.command.clone()),
        args: some_unless_empty(app.args.clone()),
        ports: some_unless_empty(ports(app)),
        env: some_unless_empty(port_variable(app)),
        env_from: some_unless_empty(environment(config)),
        resources: Some(resources(app)),
        startup_probe: probes::startup(app),
        readiness_probe: probes::readiness(app),
        liveness_probe: probes::liveness(app),
        lifecycle: drain(app),
        security_context: Some(container_security(app)),
        volume_mounts: some_unless_empty(volume_mounts(app)),
        ..Container::default()
    }
}

fn ports(app: &App) -> Vec<ContainerPort> {
    let port = ContainerPort {
        name: Some(port_name(app).to_owned()),
        container_port: i32::from(app.port),
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    };
    web_only(app, port)
}

/// Tells the application where to listen, as the platforms do whose applications come here.
fn port_variable(app: &App) -> Vec<EnvVar> {
    let variable = EnvVar {
        name: "PORT".to_owned(),
        value: Some(app.port.to_string()),
        value_from: None,
    };
    web_only(app, variable)
}

fn environment(config: &ConfigNames) -> Vec<EnvFromSource> {
    let from_config_map = config.config_map.iter().map(|name| EnvFromSource {
        config_map_ref: Some(ConfigMapEnvSource {
            name: name.clone(),
            optional: None,
        }),
        ..EnvFromSource::default()
    });
    let from_secret = config.secret.iter().map(|name| EnvFromSource {
        secret_ref: Some(SecretEnvSource {
            name: name.clone(),
            optional: None,
        }),
        ..EnvFromSource::default()
    });
    from_config_map.chain(from_secret).collect()
}

/// Goes on serving for a while after the pod was told to stop: proxies hear of it later than the pod does.
fn drain(app: &App) -> Option<Lifecycle> {
    let seconds = whole_seconds(app.timing.drain);
    if app.kind == Kind::Worker || seconds == 0 {
        return None;
    }
    Some(Lifecycle {
        pre_stop: Some(LifecycleHandler {
            sleep: Some(SleepAction {
                seconds: i64::try_from(seconds).unwrap_or(i64::MAX),
            }),
            ..LifecycleHandler::default()
        }),
        ..Lifecycle::default()
    })
}

fn resources(app: &App) -> ResourceRequirements {
    let of = app.effective_resources();
    let list = |cpu: &str, memory: &str, disk: &str| {
        let entries = [
            ("cpu", cpu),
            ("memory", memory),
            ("ephemeral-storage", disk),
        ];
        let written = entries.into_iter().filter(|(_, amount)| !amount.is_empty());
        written
            .map(|(name, amount)| (name.to_owned(), Quantity(amount.to_owned())))
            .collect()
    };
    ResourceRequirements {
        requests: Some(list(
            &of.cpu_request,
            &of.memory_request,
            &of.ephemeral_storage_request,
        )),
        limits: Some(list(
            &of.cpu_limit,
            &of.memory_limit,
            &of.ephemeral_storage_limit,
        )),
        ..ResourceRequirements::default()
    }
}

fn pod_security(app: &App) -> PodSecurityContext {
    // Without capabilities a process binds ports below 1024 only where this says so; it is one of the sysctls that
    // "restricted" allows.
    let low_port = (app.kind == Kind::Web && app.port < 1024).then(|| {
        vec![Sysctl {
            name: "net.ipv4.ip_unprivileged_port_start".to_owned(),
            value: "0".to_owned(),
        }]
    });
    PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: Some(i64::from(app.uid)),
        run_as_group: Some(i64::from(app.effective_gid())),
        fs_group: Some(i64::from(app.effective_gid())),
        seccomp_profile: Some(seccomp()),
        sysctls: low_port,
        ..PodSecurityContext::default()
    }
}

fn container_security(app: &App) -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        privileged: Some(false),
        read_only_root_filesystem: Some(true),
        run_as_non_root: Some(true),
        run_as_user: Some(i64::from(app.uid)),
        run_as_group: Some(i64::from(app.effective_gid())),
        capabilities: Some(Capabilities {
            drop: Some(vec!["ALL".to_owned()]),
            add: None,
        }),
        seccomp_profile: Some(seccomp()),
        ..SecurityContext::default()
    }
}

fn seccomp() -> SeccompProfile {
    SeccompProfile {
        type_: "RuntimeDefault".to_owned(),
        localhost_profile: None,
    }
}

/// Rather another node for each pod: preferred only, so that a small cluster still runs all of them.
fn spread_over_nodes(app: &App) -> Affinity {
    let term = WeightedPodAffinityTerm {
        weight: 100,
        pod_affinity_term: PodAffinityTerm {
            label_selector: Some(selector(app)),
            topology_key: "kubernetes.io/hostname".to_owned(),
            ..PodAffinityTerm::default()
        },
    };
    Affinity {
        pod_anti_affinity: Some(PodAntiAffinity {
            preferred_during_scheduling_ignored_during_execution: Some(vec![term]),
            ..PodAntiAffinity::default()
        }),
        ..Affinity::default()
    }
}

fn spread_over_zones(app: &App) -> TopologySpreadConstraint {
    TopologySpreadConstraint {
        max_skew: 1,
        topology_key: "topology.kubernetes.io/zone".to_owned(),
        when_unsatisfiable: "ScheduleAnyway".to_owned(),
        label_selector: Some(selector(app)),
        // Counts each revision by itself: else the old pods would push the new ones into one zone.
        match_label_keys: Some(vec!["pod-template-hash".to_owned()]),
        ..TopologySpreadConstraint::default()
    }
}

fn volumes(app: &App) -> Vec<Volume> {
    let limit = app.effective_resources().ephemeral_storage_limit;
    let limit = (!limit.is_empty()).then_some(Quantity(limit));
    let volume = |(index, _)| Volume {
        name: volume_name(index),
        empty_dir: Some(EmptyDirVolumeSource {
            size_limit: limit.clone(),
            ..EmptyDirVolumeSource::default()
        }),
        ..Volume::default()
    };
    app.writable_paths.iter().enumerate().map(volume).collect()
}

fn volume_mounts(app: &App) -> Vec<VolumeMount> {
    let mount = |(index, path): (usize, &String)| VolumeMount {
        name: volume_name(index),
        mount_path: path.clone(),
        ..VolumeMount::default()
    };
    app.writable_paths.iter().enumerate().map(mount).collect()
}

fn volume_name(index: usize) -> String {
    format!("writable-{index}")
}

fn web_only<T>(app: &App, item: T) -> Vec<T> {
    match app.kind {
        Kind::Web => vec![item],
        Kind::Worker => Vec::new(),
    }
}

fn some_unless_empty<T>(items: Vec<T>) -> Option<Vec<T>> {
    (!items.is_empty()).then_some(items)
}

fn count(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::Resources;
    use crate::objects::fixtures;

    fn json(app: &App) -> Value {
        serde_json::to_value(deployment(app, &ConfigNames::new(app, None))).unwrap()
    }

    #[test]
    fn no_rolling_update_takes_the_last_pod() {
        let update = |replicas, max_unavailable, max_surge| {
            let app = fixtures::app()
                .replicas(replicas)
                .strategy(Strategy::Rolling {
                    max_unavailable,
                    max_surge,
                });
            let update = &json(&app)["spec"]["strategy"]["rollingUpdate"];
            (
                update["maxUnavailable"].as_u64().unwrap(),
                update["maxSurge"].as_u64().unwrap(),
            )
        };
        assert_eq!(update(3, 1, 1), (1, 1));
        assert_eq!(update(1, 1, 1), (0, 1));
        assert_eq!(update(1, 1, 0), (0, 1));
        assert_eq!(update(2, 5, 0), (1, 0));
    }

    #[test]
    fn recreate_has_no_rolling_update() {
        let strategy = &json(&fixtures::app().strategy(Strategy::Recreate))["spec"]["strategy"];
        assert_eq!(strategy, &json!({"type": "Recreate"}));
    }

    #[test]
    fn the_application_is_told_its_port() {
        let container =
            &json(&fixtures::app().port(3000))["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(container["env"], json!([{"name": "PORT", "value": "3000"}]));
        assert_eq!(container["ports"][0]["containerPort"], 3000);
    }

    #[test]
    fn a_worker_has_no_port_and_does_not_drain() {
        let container =
            &json(&fixtures::app().worker())["spec"]["template"]["spec"]["containers"][0];
        for key in ["env", "ports", "lifecycle", "readinessProbe"] {
            assert!(container.get(key).is_none(), "{key}");
        }
    }

    #[test]
    fn a_port_below_1024_is_made_bindable() {
        let sysctls = |port| {
            json(&fixtures::app().port(port))["spec"]["template"]["spec"]["securityContext"]["sysctls"].clone()
        };
        assert_eq!(
            sysctls(80)[0]["name"],
            "net.ipv4.ip_unprivileged_port_start"
        );
        assert!(sysctls(1024).is_null());
    }

    #[test]
    fn every_writable_path_is_a_mounted_folder() {
        let mut app = fixtures::app();
        app.writable_paths.insert("/var/cache".to_owned());
        let pod = &json(&app)["spec"]["template"]["spec"];
        assert_eq!(
            pod["containers"][0]["volumeMounts"][1],
            json!({"name": "writable-1", "mountPath": "/var/cache"})
        );
        assert_eq!(pod["volumes"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn disk_can_be_left_out_for_nodes_that_do_not_measure_it() {
        let app = fixtures::app().resources(Resources::default().without_ephemeral_storage());
        assert!(app.check().is_ok());
        let pod = &json(&app)["spec"]["template"]["spec"];
        let resources = pod["containers"][0]["resources"].to_string();
        assert!(!resources.contains("ephemeral"), "{resources}");
        assert_eq!(pod["volumes"][0]["emptyDir"], json!({}));
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
