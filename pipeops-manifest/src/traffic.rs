//! Service and Ingress.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The type of a Service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum ServiceType {
    /// Reachable inside the cluster.
    #[default]
    ClusterIp,
    /// Also reachable on a port of every node; `None` lets the cluster choose the port.
    NodePort(Option<u16>),
    /// Also reachable through the cloud's load balancer.
    LoadBalancer,
}

/// Host names under which an ingress controller serves the application.
///
/// ```
/// use pipeops_manifest::IngressRoute;
///
/// let route = IngressRoute::new("shop.example.com").class("nginx").tls_secret("shop-tls");
/// assert_eq!(route.path, "/");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct IngressRoute {
    /// Host names; may be wildcards, such as `*.example.com`.
    pub hosts: Vec<String>,
    /// Path prefix. Default: `/`.
    #[serde(default = "default_path")]
    pub path: String,
    /// The ingress class. Default: the cluster's default class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// The Secret with the certificate and key for all hosts. Default: none, for plain HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_secret: Option<String>,
    /// Annotations for the controller.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

impl IngressRoute {
    /// One host, all paths, plain HTTP.
    pub fn new(host: impl Into<String>) -> Self {
        Self {
            hosts: vec![host.into()],
            path: default_path(),
            class: None,
            tls_secret: None,
            annotations: BTreeMap::new(),
        }
    }

    /// Sets the ingress class.
    #[must_use]
    pub fn class(mut self, class: impl Into<String>) -> Self {
        self.class = Some(class.into());
        self
    }

    /// Serves HTTPS with the certificate in this Secret.
    #[must_use]
    pub fn tls_secret(mut self, secret: impl Into<String>) -> Self {
        self.tls_secret = Some(secret.into());
        self
    }
}

fn default_path() -> String {
    "/".to_owned()
}
