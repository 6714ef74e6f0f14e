//! Service and Ingress.

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::api::networking::v1::{
    HTTPIngressPath, HTTPIngressRuleValue, Ingress, IngressBackend, IngressRule,
    IngressServiceBackend, IngressSpec, IngressTLS, ServiceBackendPort,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::metadata::Metadata;
use crate::app::{App, Kind};
use crate::traffic::{IngressRoute, ServiceType};

pub(super) fn service(app: &App, metadata: &Metadata) -> Option<Service> {
    if app.kind == Kind::Worker {
        return None;
    }
    let (type_, node_port) = match app.service {
        ServiceType::ClusterIp => ("ClusterIP", None),
        ServiceType::NodePort(port) => ("NodePort", port.map(i32::from)),
        ServiceType::LoadBalancer => ("LoadBalancer", None),
    };
    Some(Service {
        metadata: metadata.object(&app.name),
        spec: Some(ServiceSpec {
            type_: Some(type_.to_owned()),
            selector: Some(metadata.selector_labels()),
            ports: Some(vec![ServicePort {
                name: Some(app.health.port_name().to_owned()),
                port: i32::from(app.service_port),
                // By name, because a revision may change its port while old pods still use theirs.
                target_port: Some(IntOrString::String(app.health.port_name().to_owned())),
                protocol: Some("TCP".to_owned()),
                node_port,
                ..ServicePort::default()
            }]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    })
}

pub(super) fn ingress(app: &App, metadata: &Metadata) -> Option<Ingress> {
    let route = app.ingress.as_ref().filter(|_| app.kind == Kind::Web)?;
    let tls = route.tls_secret.as_ref().map(|secret| {
        vec![IngressTLS {
            hosts: Some(route.hosts.clone()),
            secret_name: Some(secret.clone()),
        }]
    });
    Some(Ingress {
        metadata: ObjectMeta {
            annotations: Some(route.annotations.clone()),
            ..metadata.object(&app.name)
        },
        spec: Some(IngressSpec {
            ingress_class_name: route.class.clone(),
            rules: Some(
                route
                    .hosts
                    .iter()
                    .map(|host| rule(app, route, host))
                    .collect(),
            ),
            tls,
            ..IngressSpec::default()
        }),
        ..Ingress::default()
    })
}

fn rule(app: &App, route: &IngressRoute, host: &str) -> IngressRule {
    let backend = IngressServiceBackend {
        name: app.name.clone(),
        port: Some(ServiceBackendPort {
            number: Some(i32::from(app.service_port)),
            name: None,
        }),
    };
    IngressRule {
        host: Some(host.to_owned()),
        http: Some(HTTPIngressRuleValue {
            paths: vec![HTTPIngressPath {
                path: Some(route.path.clone()),
                path_type: "Prefix".to_owned(),
                backend: IngressBackend {
                    service: Some(backend),
                    resource: None,
                },
            }],
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::fixtures;

    fn service_of(app: &App) -> Value {
        serde_json::to_value(service(app, &Metadata::of(app, &fixtures::revision()))).unwrap()
    }

    fn ingress_of(app: &App) -> Value {
        serde_json::to_value(ingress(app, &Metadata::of(app, &fixtures::revision()))).unwrap()
    }

    #[test]
    fn the_service_selects_by_name_and_targets_the_named_port() {
        let service = service_of(&fixtures::app());
        assert_eq!(service["spec"]["type"], "ClusterIP");
        assert_eq!(
            service["spec"]["ports"][0],
            json!({"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"})
        );
        let selector = service["spec"]["selector"].as_object().unwrap();
        assert!(
            !selector.contains_key("app.kubernetes.io/version"),
            "{selector:?}"
        );
    }

    #[test]
    fn a_node_port_may_be_chosen() {
        let node_port = |port| {
            let app = fixtures::app().service(ServiceType::NodePort(port));
            service_of(&app)["spec"]["ports"][0]["nodePort"].clone()
        };
        assert_eq!(node_port(Some(30080)), 30080);
        assert_eq!(node_port(None), Value::Null);
    }

    #[test]
    fn an_ingress_serves_every_host_with_one_certificate() {
        let mut route = IngressRoute::new("a.example.com")
            .class("nginx")
            .tls_secret("cert");
        route.hosts.push("b.example.com".to_owned());
        let ingress = ingress_of(&fixtures::app().ingress(route));
        assert_eq!(ingress["spec"]["rules"].as_array().unwrap().len(), 2);
        assert_eq!(
            ingress["spec"]["tls"][0]["hosts"],
            json!(["a.example.com", "b.example.com"])
        );
        assert_eq!(
            ingress["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"],
            json!({"name": "shop", "port": {"number": 80}})
        );
    }

    #[test]
    fn a_worker_has_neither() {
        let app = fixtures::app()
            .ingress(IngressRoute::new("a.example.com"))
            .worker();
        assert!(service_of(&app).is_null() && ingress_of(&app).is_null());
    }
}
