//! The pods. They satisfy the Pod Security Standard "restricted".

use k8s_openapi::api::core::v1::{
    Affinity, Capabilities, ConfigMapEnvSource, Container, ContainerPort, EmptyDirVolumeSource,
    EnvFromSource, EnvVar, Lifecycle, LifecycleHandler, LocalObjectReference, PodAffinityTerm,
    PodAntiAffinity, PodSecurityContext, PodSpec, ResourceRequirements, SeccompProfile,
    SecretEnvSource, SecurityContext, SleepAction, Sysctl, TopologySpreadConstraint, Volume,
    VolumeMount, WeightedPodAffinityTerm,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::command;
use super::config::{ConfigNames, pull_secret_name};
use super::metadata::Metadata;
use super::probes;
use crate::app::{App, Kind, PullPolicy};
use crate::timing::{seconds_i32, whole_seconds};

/// The name of the container.
const CONTAINER: &str = "app";

pub(super) fn spec(app: &App, metadata: &Metadata, config: &ConfigNames) -> PodSpec {
    PodSpec {
        service_account_name: Some(app.name.clone()),
        automount_service_account_token: Some(false),
        // Otherwise each Service of the namespace adds variables, such as `REDIS_PORT`, that applications may misinterpret.
        enable_service_links: Some(false),
        image_pull_secrets: pull_secret_name(app).map(|name| vec![LocalObjectReference { name }]),
        security_context: Some(pod_security(app)),
        affinity: Some(spread_over_nodes(metadata)),
        topology_spread_constraints: Some(vec![spread_over_zones(metadata)]),
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
        command: some_unless_empty(command::words(app, &app.command)),
        args: some_unless_empty(command::words(app, &app.args)),
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
        name: Some(app.health.port_name().to_owned()),
        container_port: i32::from(app.port),
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    };
    web_only(app, port)
}

/// Tells the application on which port to listen, as other platforms do.
fn port_variable(app: &App) -> Vec<EnvVar> {
    let variable = EnvVar {
        name: "PORT".to_owned(),
        value: Some(app.port.to_string()),
        value_from: None,
    };
    web_only(app, variable)
}

fn environment(config: &ConfigNames) -> Vec<EnvFromSource> {
    let optional = None;
    let config_map = config.config_map.clone();
    let secret = config.secret.clone();
    let from_config_map = config_map.map(|name| EnvFromSource {
        config_map_ref: Some(ConfigMapEnvSource { name, optional }),
        ..EnvFromSource::default()
    });
    let from_secret = secret.map(|name| EnvFromSource {
        secret_ref: Some(SecretEnvSource { name, optional }),
        ..EnvFromSource::default()
    });
    from_config_map.into_iter().chain(from_secret).collect()
}

/// Keeps the pod serving for a while after the stop request, because proxies learn of it later than the pod.
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
    // Without capabilities, a process can bind ports below 1024 only with this sysctl, which "restricted" allows.
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

/// Prefers a different node for each pod. It's only a preference, so a small cluster can still run all of them.
fn spread_over_nodes(metadata: &Metadata) -> Affinity {
    let term = WeightedPodAffinityTerm {
        weight: 100,
        pod_affinity_term: PodAffinityTerm {
            label_selector: Some(metadata.selector()),
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

fn spread_over_zones(metadata: &Metadata) -> TopologySpreadConstraint {
    TopologySpreadConstraint {
        max_skew: 1,
        topology_key: "topology.kubernetes.io/zone".to_owned(),
        when_unsatisfiable: "ScheduleAnyway".to_owned(),
        label_selector: Some(metadata.selector()),
        // Counts each revision separately. Otherwise old pods would push new ones into one zone.
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::fixtures;
    use crate::resources::Resources;

    fn pod(app: &App) -> Value {
        let metadata = Metadata::of(app, &fixtures::revision());
        serde_json::to_value(spec(app, &metadata, &ConfigNames::new(app, None))).unwrap()
    }

    #[test]
    fn the_application_is_told_its_port() {
        let container = &pod(&fixtures::app().port(3000))["containers"][0];
        assert_eq!(container["env"], json!([{"name": "PORT", "value": "3000"}]));
        assert_eq!(container["ports"][0]["containerPort"], 3000);
    }

    #[test]
    fn a_worker_has_no_port_and_does_not_drain() {
        let container = &pod(&fixtures::app().worker())["containers"][0];
        for key in ["env", "ports", "lifecycle", "readinessProbe"] {
            assert!(container.get(key).is_none(), "{key}");
        }
    }

    #[test]
    fn a_port_below_1024_is_made_bindable() {
        let sysctls = |port| pod(&fixtures::app().port(port))["securityContext"]["sysctls"].clone();
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
        let pod = pod(&app);
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
        let pod = pod(&app);
        let resources = pod["containers"][0]["resources"].to_string();
        assert!(!resources.contains("ephemeral"), "{resources}");
        assert_eq!(pod["volumes"][0]["emptyDir"], json!({}));
    }
}
