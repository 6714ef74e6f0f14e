//! Serves a Kubernetes API for `kubectl`: writes a kubeconfig and runs until it is stopped.
//!
//! ```text
//! cargo run -p pipeops-testkit --example kubernetes -- /tmp/stand-in.yaml
//! KUBECONFIG=/tmp/stand-in.yaml kubectl create deployment web --image=example.com/web:1 --replicas=3
//! KUBECONFIG=/tmp/stand-in.yaml kubectl rollout status deployment/web
//! ```
//!
//! Images whose tag is `broken` crash.

use std::error::Error;

use pipeops_testkit::kubernetes::{Cluster, ClusterOptions, PodBehaviour};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args()
        .nth(1)
        .ok_or("usage: kubernetes KUBECONFIG")?;
    let cluster = Cluster::start(ClusterOptions::default()).await?;
    // The latest matching call applies.
    cluster.behaviour("*", PodBehaviour::ready().log(["listening on port 8080"]));
    cluster.behaviour(
        "*:broken",
        PodBehaviour::crash(1).log(["cannot open the database"]),
    );
    std::fs::write(&path, cluster.kubeconfig())?;
    println!("serving {}; kubeconfig: {path}", cluster.url());
    std::future::pending::<()>().await;
    Ok(())
}
