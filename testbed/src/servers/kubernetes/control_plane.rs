//! etcd, kube-apiserver, kube-controller-manager and kube-scheduler, all on loopback.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::json;

use super::parts::{ETCD, KUBERNETES, LIMIT, admin_kubeconfig, kubectl, plan};
use crate::command::run;
use crate::error::{Error, Result};
use crate::health;
use crate::servers::server::{Context, probe, random_word};

/// Who may speak to the API server: the name in kubeconfig files, the user, its groups.
const USERS: [(&str, &str, &str); 3] = [
    ("admin", "admin", "system:masters"),
    ("kubelet", "system:node:node", "system:nodes"),
    ("kube-proxy", "system:kube-proxy", ""),
];

/// Starts them and returns when the API server is ready; kubeconfig files are written on the way.
pub(super) fn start(context: &Context<'_>) -> Result<()> {
    start_etcd(context)?;
    let tokens = write_tokens(context)?;
    start_api_server(context)?;
    for ((name, ..), token) in USERS.iter().zip(&tokens) {
        write_kubeconfig(context, name, token)?;
    }
    context.await_healthy("kube-apiserver", LIMIT, || {
        probe(&mut kubectl(context, &["get", "--raw", "/readyz"])?)
    })?;
    start_controllers(context)
}

/// Pods are refused before their namespace has its ServiceAccount, and the controllers make it.
pub(super) fn await_default_service_account(context: &Context<'_>) -> Result<()> {
    context.await_healthy("kube-controller-manager", LIMIT, || {
        probe(&mut kubectl(
            context,
            &["get", "serviceaccount", "default"],
        )?)
    })
}

/// The file with which this user speaks to the API server.
pub(super) fn kubeconfig(context: &Context<'_>, user: &str) -> PathBuf {
    context.path(&format!("{user}.kubeconfig"))
}

fn start_etcd(context: &Context<'_>) -> Result<()> {
    let (client, peer) = (context.address("etcd")?, context.address("etcd-peer")?);
    let mut etcd = Command::new(context.program(&ETCD, "etcd")?);
    etcd.arg("--data-dir")
        .arg(context.path("etcd"))
        .args(["--listen-client-urls", &format!("http://{client}")])
        .args(["--advertise-client-urls", &format!("http://{client}")])
        .args(["--listen-peer-urls", &format!("http://{peer}")])
        .args(["--initial-advertise-peer-urls", &format!("http://{peer}")])
        .args(["--initial-cluster", &format!("default=http://{peer}")])
        // The data is thrown away: it need not survive a power cut.
        .args(["--unsafe-no-fsync", "--log-level=warn"]);
    context.spawn("etcd", &etcd)?;
    context.await_healthy("etcd", LIMIT, || health::http(&client, "/health", &[200]))
}

/// Writes the file of static tokens, one for each user.
fn write_tokens(context: &Context<'_>) -> Result<Vec<String>> {
    let mut tokens = Vec::new();
    let mut lines = String::new();
    for (name, user, groups) in USERS {
        let token = random_word()?;
        lines.push_str(&format!("{token},{user},{name},\"{groups}\"\n"));
        tokens.push(token);
    }
    context.write("tokens.csv", lines)?;
    Ok(tokens)
}

fn start_api_server(context: &Context<'_>) -> Result<()> {
    let key = context.path("service-accounts.key");
    run(Command::new("openssl")
        .args("ecparam -name prime256v1 -genkey -noout -out".split(' '))
        .arg(&key))?;
    let key = key.display().to_string();
    let mut server = Command::new(context.program(&KUBERNETES, "kube-apiserver")?);
    server
        .arg(format!(
            "--etcd-servers=http://{}",
            context.address("etcd")?
        ))
        .arg("--bind-address=127.0.0.1")
        .arg(format!(
            "--secure-port={}",
            context.instance.port("kube-apiserver")?
        ))
        // Where pods reach it; the node's rules lead from there to loopback.
        .args(["--advertise-address", &plan(context).host()])
        .arg("--cert-dir")
        .arg(context.path("certificates"))
        .args(["--service-account-key-file", &key])
        .args(["--service-account-signing-key-file", &key])
        .arg("--service-account-issuer=https://kubernetes.default.svc")
        .arg("--token-auth-file")
        .arg(context.path("tokens.csv"))
        .args(["--authorization-mode=Node,RBAC", "--allow-privileged=true"])
        .args(["--service-cluster-ip-range", &plan(context).services()])
        .arg("--enable-admission-plugins=NodeRestriction")
        // The node's name resolves nowhere; without this, logs and port-forward fail.
        .arg("--kubelet-preferred-address-types=InternalIP");
    context.spawn("kube-apiserver", &server)?;
    let certificate = certificate(context);
    context.await_healthy("kube-apiserver", LIMIT, || {
        match fs::metadata(&certificate) {
            Ok(_) => Ok(()),
            Err(error) => Err(format!("{}: {error}", certificate.display())),
        }
    })
}

fn start_controllers(context: &Context<'_>) -> Result<()> {
    let key = context.path("service-accounts.key");
    let mut controllers = Command::new(context.program(&KUBERNETES, "kube-controller-manager")?);
    controllers
        .arg("--kubeconfig")
        .arg(admin_kubeconfig(context))
        .arg("--service-account-private-key-file")
        .arg(key)
        .arg("--root-ca-file")
        .arg(certificate(context))
        .args(["--leader-elect=false", "--secure-port=0"])
        .arg("--use-service-account-credentials=true");
    context.spawn("kube-controller-manager", &controllers)?;
    let mut scheduler = Command::new(context.program(&KUBERNETES, "kube-scheduler")?);
    scheduler
        .arg("--kubeconfig")
        .arg(admin_kubeconfig(context))
        .args(["--leader-elect=false", "--secure-port=0"]);
    context.spawn("kube-scheduler", &scheduler).map(drop)
}

/// The API server makes itself a certificate, with its authority in the same file.
fn certificate(context: &Context<'_>) -> PathBuf {
    context.path("certificates/apiserver.crt")
}

fn write_kubeconfig(context: &Context<'_>, user: &str, token: &str) -> Result<()> {
    let path = certificate(context);
    let certificate = fs::read(&path).map_err(Error::io("read", &path))?;
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{
            "name": "testbed",
            "cluster": {
                "server": format!("https://{}", context.address("kube-apiserver")?),
                "certificate-authority-data": base64(&certificate),
            },
        }],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [{"name": "testbed", "context": {"cluster": "testbed", "user": user, "namespace": "default"}}],
        "current-context": "testbed",
    });
    context
        .write(&format!("{user}.kubeconfig"), config.to_string())
        .map(drop)
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
