//! The connection to one daemon.

use std::time::Duration;

use bollard_buildkit_proto::moby::buildkit::v1::control_client::ControlClient;
use bollard_buildkit_proto::moby::buildkit::v1::{InfoRequest, ListWorkersRequest};
use tokio::time::timeout;
use tonic::transport::{Channel, Endpoint};

use crate::address::Address;
use crate::error::Error;
use crate::tls::Tls;

/// The daemon refuses larger messages; tonic's own default of 4 MiB is less than it sends.
pub(crate) const MESSAGE_LIMIT: usize = 16 << 20;

/// A failed build's error details carry the whole Dockerfile in a header: with hyper's default of 16 KiB, the real error
/// would turn into a protocol error.
pub(crate) const HEADER_LIMIT: u32 = 16 << 20;

/// What a connection may have on its way to here before it is read. The HTTP/2 library also derives from it how many small
/// messages may wait; many builds over one connection have many.
pub(crate) const WINDOW: u32 = 16 << 20;

/// How to connect to a daemon, and how long to wait for it.
///
/// ```no_run
/// use std::time::Duration;
/// use pipeops_buildkit::{ConnectOptions, Tls};
///
/// let options = ConnectOptions::default()
///     .connect_timeout(Duration::from_secs(3))
///     .tls(Tls::from_folder("/etc/buildkit/client")?);
/// # Ok::<(), pipeops_buildkit::Error>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ConnectOptions {
    /// Time limit for establishing the connection. Default: 10 s.
    pub connect_timeout: Duration,
    /// Time limit for a short call, such as [`Client::info`] or [`Client::disk_usage`]. Default: 30 s.
    pub call_timeout: Duration,
    /// Certificates for a daemon on TCP. Default: none; the connection is in plain text.
    pub tls: Option<Tls>,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            call_timeout: Duration::from_secs(30),
            tls: None,
        }
    }
}

impl ConnectOptions {
    /// Sets the time limit for establishing the connection.
    #[must_use]
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// Sets the time limit for a short call.
    #[must_use]
    pub fn call_timeout(mut self, limit: Duration) -> Self {
        self.call_timeout = limit;
        self
    }

    /// Uses TLS with these certificates.
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }
}

/// A connection to one BuildKit daemon. Clones share it, and any number of builds can run over it at once.
///
/// It doesn't reconnect and doesn't retry; a [`Builder`](crate::Builder) does.
///
/// ```
/// use pipeops_buildkit::{Address, Client, ConnectOptions};
/// # use pipeops_testkit::buildkit::{BuildkitDaemon, BuildkitOptions};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let daemon = BuildkitDaemon::start(BuildkitOptions::default()).await?;
/// # let daemon_address = daemon.address();
/// let client = Client::connect(&Address::parse(&daemon_address)?, ConnectOptions::default()).await?;
/// println!("BuildKit {}", client.info().await?.version);
/// for worker in client.workers().await? {
///     println!("builds for {}", worker.platforms.join(", "));
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Client {
    pub(crate) control: ControlClient<Channel>,
    /// For services beside the daemon's own.
    pub(crate) channel: Channel,
    pub(crate) address: Address,
    options: ConnectOptions,
}

/// A daemon's version.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DaemonInfo {
    /// The version, such as `v0.34.2`.
    pub version: String,
    /// The commit it was built from; empty if unknown.
    pub revision: String,
}

/// A worker of the daemon: the part that runs build steps.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Worker {
    /// The worker's id.
    pub id: String,
    /// The platforms that it can build for: `linux/amd64`, `linux/arm/v7`.
    pub platforms: Vec<String>,
}

impl Client {
    /// Connects to the daemon at `address`.
    ///
    /// # Errors
    /// [`Error::Connect`] if no daemon answers in time or the certificates don't match, [`Error::Invalid`] if certificates are
    /// set for a Unix socket.
    pub async fn connect(address: &Address, options: ConnectOptions) -> Result<Self, Error> {
        let fail = |source: Box<dyn std::error::Error + Send + Sync>| Error::Connect {
            address: address.clone(),
            source,
        };
        if options.tls.is_some() && matches!(address, Address::Unix(_)) {
            return Err(Error::Invalid {
                field: "tls",
                why: format!("{address} is a Unix socket; certificates need a tcp:// address"),
            });
        }
        let endpoint =
            endpoint(address, options.tls.as_ref()).map_err(|error| fail(error.into()))?;
        let channel = match timeout(options.connect_timeout, endpoint.connect()).await {
            Ok(Ok(channel)) => channel,
            Ok(Err(error)) => return Err(fail(error.into())),
            Err(_) => {
                return Err(fail(
                    format!("no response within {:?}", options.connect_timeout).into(),
                ));
            }
        };
        let control = ControlClient::new(channel.clone())
            .max_decoding_message_size(MESSAGE_LIMIT)
            .max_encoding_message_size(MESSAGE_LIMIT);
        Ok(Self {
            control,
            channel,
            address: address.clone(),
            options,
        })
    }

    /// Returns the address of the daemon.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Returns the daemon's version.
    ///
    /// # Errors
    /// [`Error::Call`] if the daemon refuses, [`Error::Timeout`] if it doesn't answer in time.
    pub async fn info(&self) -> Result<DaemonInfo, Error> {
        let mut control = self.control.clone();
        let answer = self.call("Info", control.info(InfoRequest {})).await?;
        let version = answer.buildkit_version.unwrap_or_default();
        Ok(DaemonInfo {
            version: version.version,
            revision: version.revision,
        })
    }

    /// Lists the daemon's workers. Builds use the first one.
    ///
    /// # Errors
    /// [`Error::Call`] if the daemon refuses, [`Error::Timeout`] if it doesn't answer in time.
    pub async fn workers(&self) -> Result<Vec<Worker>, Error> {
        let mut control = self.control.clone();
        let answer = self
            .call(
                "ListWorkers",
                control.list_workers(ListWorkersRequest::default()),
            )
            .await?;
        let workers = answer.record.into_iter().map(|record| Worker {
            id: record.id,
            platforms: record.platforms.iter().map(platform_name).collect(),
        });
        Ok(workers.collect())
    }

    /// Waits for a short call within its limit.
    pub(crate) async fn call<T>(
        &self,
        name: &'static str,
        call: impl Future<Output = Result<tonic::Response<T>, tonic::Status>>,
    ) -> Result<T, Error> {
        let answer = async {
            let answer = call.await;
            answer.map_err(|status| Error::call(&self.address, name, &status))
        };
        Ok(self.within(name, answer).await?.into_inner())
    }

    /// Waits for the answer to a short call within its limit.
    pub(crate) async fn within<T>(
        &self,
        name: &'static str,
        answer: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let limit = self.options.call_timeout;
        let timed_out = |_| Error::Timeout {
            what: format!("{name} at {}", self.address),
            limit,
        };
        timeout(limit, answer).await.map_err(timed_out)?
    }
}

fn endpoint(address: &Address, tls: Option<&Tls>) -> Result<Endpoint, tonic::transport::Error> {
    let uri = match address {
        Address::Unix(path) => format!("unix://{}", path.display()),
        Address::Tcp { .. } => {
            let scheme = if tls.is_some() { "https" } else { "http" };
            format!("{scheme}://{}", address.authority().unwrap_or_default())
        }
    };
    // A vanished host is noticed by TCP, not by HTTP/2 pings: the daemon answers frequent pings with GOAWAY.
    let endpoint = Endpoint::from_shared(uri)?
        .user_agent(concat!("pipeops-buildkit/", env!("CARGO_PKG_VERSION")))?
        .http2_max_header_list_size(HEADER_LIMIT)
        .initial_connection_window_size(WINDOW)
        .tcp_nodelay(true)
        .tcp_keepalive(Some(Duration::from_secs(30)))
        .tcp_keepalive_interval(Some(Duration::from_secs(10)))
        .tcp_keepalive_retries(Some(3));
    match tls {
        Some(tls) => endpoint.tls_config(tls.config()),
        None => Ok(endpoint),
    }
}

fn platform_name(platform: &bollard_buildkit_proto::pb::Platform) -> String {
    let base = format!("{}/{}", platform.os, platform.architecture);
    if platform.variant.is_empty() {
        base
    } else {
        format!("{base}/{}", platform.variant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nobody_at_the_socket_is_a_connect_error_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let address = Address::Unix(dir.path().join("none.sock"));
        let error = Client::connect(&address, ConnectOptions::default())
            .await
            .unwrap_err();
        assert!(matches!(error, Error::Connect { .. }));
        assert!(error.to_string().contains("none.sock"), "{error}");
    }
}
