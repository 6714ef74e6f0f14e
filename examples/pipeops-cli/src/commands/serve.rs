//! `pipeops serve`: the whole pipeline as a server.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use pipeops::core::Diagnosis;
use pipeops::runner::Service;
use pipeops::runner::http::Access;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::base_images::BaseImagesArg;
use super::files::read_secret;
use crate::backends::Backends;
use crate::data::DataArgs;
use crate::environment::Environment;
use crate::output::{CommandError, Format, print_json};
use crate::pages::{CANNOT_LISTEN, SERVER_STOPPED};

/// Receive webhooks, run deployments and serve the dashboard
///
/// BUILDKIT_HOST, KUBECONFIG, REGISTRY (with REGISTRY_USERNAME and REGISTRY_PASSWORD) and the S3_* variables select the servers.
/// On SIGTERM and Ctrl-C, running deployments have the grace period to finish. The next start resumes those that didn't.
#[derive(Debug, clap::Args)]
pub struct Serve {
    /// Address to listen on. Put a TLS proxy in front of any address other than loopback
    #[arg(long, env = "PIPEOPS_LISTEN", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Maximum number of concurrent deployments
    #[arg(long, default_value_t = 8)]
    workers: usize,
    /// File with the token for the API and the dashboard. Without one, only requests to localhost are accepted
    #[arg(long)]
    token_file: Option<PathBuf>,
    #[command(flatten)]
    images: BaseImagesArg,
    /// Grace period in seconds for running deployments after SIGTERM
    #[arg(long, default_value_t = 30)]
    grace: u64,
}

impl Serve {
    pub async fn run(&self, data: &DataArgs, format: Format) -> Result<(), CommandError> {
        let backends = Backends::from_environment(Environment::read())
            .await?
            .base_images(self.images.load()?);
        let dir = data.dir()?;
        let service = backends
            .service(data.open()?)?
            .workspaces(dir.join("workspaces"))
            .workers(self.workers)
            .access(self.access()?)
            .start()
            .await?;
        let listener = listen(self.listen).await?;
        announce(&listener, format);
        serve_until_told(service, listener, Duration::from_secs(self.grace)).await
    }

    fn access(&self) -> Result<Access, CommandError> {
        let Some(file) = &self.token_file else {
            return Ok(Access::Local);
        };
        Ok(Access::Token(read_secret(file)?))
    }
}

/// Binds the address.
pub async fn listen(address: SocketAddr) -> Result<TcpListener, CommandError> {
    TcpListener::bind(address).await.map_err(|error| {
        CommandError::failed(Diagnosis::new(&CANNOT_LISTEN).error(format!("{address}: {error}")))
    })
}

/// Serves until SIGTERM or Ctrl-C, then lets running deployments finish.
pub async fn serve_until_told(
    service: Service,
    listener: TcpListener,
    grace: Duration,
) -> Result<(), CommandError> {
    let router = service.router();
    let server = axum::serve(listener, router).with_graceful_shutdown(told_to_stop());
    let served = server.await;
    service.shutdown(grace).await;
    served.map_err(|error| {
        CommandError::failed(Diagnosis::new(&SERVER_STOPPED).error(error.to_string()))
    })
}

/// Waits for SIGTERM or Ctrl-C.
pub async fn told_to_stop() {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

fn announce(listener: &TcpListener, format: Format) {
    let Ok(address) = listener.local_addr() else {
        return;
    };
    match format {
        Format::Json => print_json(&json!({ "listening": address })),
        Format::Text => {
            outln!("dashboard  http://{address}/");
            outln!("webhooks   http://{address}/webhooks/PROJECT");
        }
    }
}
