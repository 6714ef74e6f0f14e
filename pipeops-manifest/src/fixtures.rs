//! Applications that the tests of this crate share.

use pipeops_core::Revision;

use crate::app::{App, Strategy};
use crate::health::HealthCheck;
use crate::network::{Egress, NetworkRules};
use crate::resources::Resources;
use crate::traffic::{IngressRoute, ServiceType};

pub(crate) const DIGEST: &str =
    "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

pub(crate) fn revision() -> Revision {
    "4f2c9ab".parse().unwrap()
}

/// The least that a web application needs.
pub(crate) fn app() -> App {
    let image = format!("registry.example.com/team/shop:4f2c9ab@{DIGEST}");
    App::new("shop", "prod", revision(), image.parse().unwrap())
}

/// Every option set to something else than its default.
pub(crate) fn full_app() -> App {
    let mut app = app()
        .language(pipeops_core::detection::Language::Java)
        .port(3000)
        .replicas(3)
        .env("LOG_LEVEL", "info")
        .secret("DATABASE_URL", "postgres://bob:hunter2@db/shop")
        .pull_secret(r#"{"auths":{"registry.example.com":{"auth":"Ym9iOmh1bnRlcjI="}}}"#)
        .uid(20001)
        .health(HealthCheck::http("/ready"))
        .liveness(HealthCheck::http("/live"))
        .resources(Resources::default().cpu("250m", "2"))
        .strategy(Strategy::Rolling {
            max_unavailable: 0,
            max_surge: 2,
        })
        .service(ServiceType::NodePort(Some(30080)))
        .ingress(
            IngressRoute::new("shop.example.com")
                .class("nginx")
                .tls_secret("shop-tls"),
        );
    app.network = NetworkRules {
        egress: Egress::Anywhere,
        ..NetworkRules::strict(["edge"])
    };
    app.gid = Some(20002);
    app.command = vec!["/app/shop".to_owned()];
    app.args = vec!["--verbose".to_owned()];
    app.writable_paths.insert("/var/cache/shop".to_owned());
    app.labels.insert("team".to_owned(), "checkout".to_owned());
    app.annotations
        .insert("example.com/owner".to_owned(), "Ann & Bob".to_owned());
    app
}
