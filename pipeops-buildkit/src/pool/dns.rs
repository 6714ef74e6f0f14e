//! Members from DNS: one for each address of a name.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream};
use pipeops_core::diagnosis::codes::pool;
use pipeops_core::{Diagnose, Diagnosis, Failure, RetryClass};
use tokio::time::{sleep, timeout};

use super::member::{Discover, Member};
use crate::address::Address;

/// The default interval between resolutions. Kubernetes serves headless Services with a TTL of 30 s; builds notice a lost
/// daemon sooner.
const REFRESH: Duration = Duration::from_secs(15);

/// Time limit for one resolution.
const LIMIT: Duration = Duration::from_secs(10);

type Answer = io::Result<BTreeSet<IpAddr>>;
type Resolve = Arc<dyn Fn(String, u16) -> BoxFuture<'static, Answer> + Send + Sync>;

/// Members from DNS: each address of `tcp://name:port` is a daemon. The name is resolved every 15 s by default. In Kubernetes use
/// a headless Service, because other Services have a single address for all pods.
///
/// ```yaml
/// apiVersion: v1
/// kind: Service
/// metadata: { name: buildkit, namespace: build }
/// spec:
///   clusterIP: None # headless
///   selector: { app: buildkit }
///   ports: [{ name: grpc, port: 1234 }]
/// ```
///
/// A member's name is its IP address. If addresses change but disks stay, as in a StatefulSet, use `EndpointSliceMembers`
/// (feature `kubernetes`) instead, which uses the pods' names, or list the pods by name.
///
/// ```
/// use std::time::Duration;
/// use pipeops_buildkit::{Address, DnsMembers};
///
/// let address = Address::parse("tcp://buildkit.build.svc.cluster.local:1234")?;
/// let members = DnsMembers::new(&address).refresh(Duration::from_secs(5));
/// # let _ = members;
/// # Ok::<(), pipeops_buildkit::AddressError>(())
/// ```
#[derive(Clone)]
pub struct DnsMembers {
    host: String,
    port: u16,
    refresh: Duration,
    template: Option<Member>,
    resolve: Resolve,
}

impl DnsMembers {
    /// Discovers the daemons behind this address. A `unix://` address or an IP address is a single member.
    pub fn new(address: &Address) -> Self {
        let (host, port) = match address {
            Address::Tcp { host, port } => (host.clone(), *port),
            Address::Unix(_) => (String::new(), 0),
        };
        Self {
            host,
            port,
            refresh: REFRESH,
            template: match address {
                Address::Unix(_) => Some(Member::new(address.clone())),
                Address::Tcp { .. } => None,
            },
            resolve: Arc::new(|host, port| Box::pin(system(host, port))),
        }
    }

    /// Sets the interval between resolutions. Default: 15 s.
    #[must_use]
    pub fn refresh(mut self, every: Duration) -> Self {
        self.refresh = every;
        self
    }

    async fn members(&self) -> Result<Vec<Member>, Failure> {
        if let Some(member) = &self.template {
            return Ok(vec![member.clone()]);
        }
        let fail = |source: io::Error| DnsError {
            host: self.host.clone(),
            source,
        };
        let answer = timeout(LIMIT, (self.resolve)(self.host.clone(), self.port));
        let addresses = answer
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            .map_err(fail)?;
        let member = |ip: IpAddr| {
            Member::new(Address::Tcp {
                host: ip.to_string(),
                port: self.port,
            })
        };
        Ok(addresses.into_iter().map(member).collect())
    }
}

impl fmt::Debug for DnsMembers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DnsMembers")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("refresh", &self.refresh)
            .finish_non_exhaustive()
    }
}

impl Discover for DnsMembers {
    fn watch(&self) -> BoxStream<'static, Result<Vec<Member>, Failure>> {
        let again = |(this, first): (Self, bool)| async move {
            if !first {
                sleep(this.refresh).await;
            }
            Some((this.members().await, (this, false)))
        };
        stream::unfold((self.clone(), true), again).boxed()
    }
}

async fn system(host: String, port: u16) -> Answer {
    let found = tokio::net::lookup_host((host, port)).await?;
    // An IPv4-mapped IPv6 address is the same daemon.
    Ok(found.map(|address| address.ip().to_canonical()).collect())
}

/// The name of a pool can't be resolved.
#[derive(Debug, thiserror::Error)]
#[error("cannot resolve {host}, the name of a pool of BuildKit daemons")]
struct DnsError {
    host: String,
    source: io::Error,
}

impl Diagnose for DnsError {
    fn diagnosis(&self) -> Diagnosis {
        Diagnosis::new(&pool::NAME_UNKNOWN)
            .error(format!("{self}: {}", self.source))
            .reason("DNS returned no address for it")
            .context("host", &self.host)
            .class(RetryClass::Transient)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    fn scripted(answers: Vec<Answer>) -> DnsMembers {
        let answers = Mutex::new(answers.into_iter());
        let mut members = DnsMembers::new(&Address::parse("tcp://buildkit.svc:1234").unwrap());
        members.resolve = Arc::new(move |host, port| {
            assert_eq!((host.as_str(), port), ("buildkit.svc", 1234));
            let answer = answers.lock().unwrap().next();
            Box::pin(async { answer.unwrap_or_else(|| Err(io::ErrorKind::NotFound.into())) })
        });
        members
    }

    fn ips(texts: &[&str]) -> BTreeSet<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn each_address_is_a_member_and_the_name_is_resolved_again() {
        let members = scripted(vec![
            Ok(ips(&["10.0.0.2", "10.0.0.1"])),
            Err(io::ErrorKind::TimedOut.into()),
            Ok(ips(&["fd00::1"])),
        ]);
        let mut watch = members.watch();
        let names = |list: Result<Vec<Member>, Failure>| {
            list.map(|list| {
                list.into_iter()
                    .map(|member| member.name)
                    .collect::<Vec<_>>()
            })
        };
        assert_eq!(
            names(watch.next().await.unwrap()).unwrap(),
            ["tcp://10.0.0.1:1234", "tcp://10.0.0.2:1234"]
        );
        let failure = watch.next().await.unwrap().unwrap_err();
        assert!(failure.diagnosis().error.contains("buildkit.svc"));
        assert_eq!(
            names(watch.next().await.unwrap()).unwrap(),
            ["tcp://[fd00::1]:1234"]
        );
    }

    #[tokio::test]
    async fn the_systems_resolver_is_asked() {
        let members = DnsMembers::new(&Address::parse("tcp://127.0.0.1:7").unwrap());
        let first = members.watch().next().await.unwrap().unwrap();
        assert_eq!(
            first,
            [Member::new(Address::parse("tcp://127.0.0.1:7").unwrap())]
        );
    }
}
