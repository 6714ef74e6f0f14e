//! Addresses of daemons.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use pipeops_core::diagnosis::codes::build::INVALID_ADDRESS;
use pipeops_core::{Diagnose, Diagnosis};

/// The address of a BuildKit daemon, in the forms that `BUILDKIT_HOST` takes.
///
/// | Daemon | Address |
/// |---|---|
/// | on this machine | `unix:///run/buildkit/buildkitd.sock` |
/// | in a container | `tcp://127.0.0.1:1234` with its port published, or `unix://` with its socket mounted |
/// | in Kubernetes | `tcp://SERVICE.NAMESPACE.svc:1234` |
/// | behind SSH | `unix://` with a socket that `ssh -L` forwards |
///
/// ```
/// use pipeops_buildkit::Address;
///
/// let address = Address::parse("tcp://buildkit.build.svc:1234")?;
/// assert_eq!(address.to_string(), "tcp://buildkit.build.svc:1234");
/// assert_eq!(Address::default().to_string(), "unix:///run/buildkit/buildkitd.sock");
/// # Ok::<(), pipeops_buildkit::AddressError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Address {
    /// A Unix socket: `unix:///run/buildkit/buildkitd.sock`.
    Unix(PathBuf),
    /// A TCP port: `tcp://host:1234`.
    Tcp {
        /// Host name or IP address, IPv6 without brackets.
        host: String,
        /// The port. Default: 1234.
        port: u16,
    },
}

impl Address {
    /// The port of a `tcp://` address without one: 1234.
    pub const DEFAULT_PORT: u16 = 1234;

    /// Parses `unix:///path` or `tcp://host[:port]`. `FromStr` does the same.
    ///
    /// # Errors
    /// If the text is neither. Addresses that would start a program (`docker-container://`, `kube-pod://`, `ssh://`) aren't
    /// supported; the error names an alternative.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let refuse = |why: &str| AddressError {
            text: text.chars().take(200).collect(),
            why: why.to_owned(),
        };
        match text.split_once("://") {
            Some(("unix", path)) if Path::new(path).is_absolute() && !path.contains('\0') => {
                Ok(Self::Unix(PathBuf::from(path)))
            }
            Some(("unix", _)) => Err(refuse(
                "the path of a socket must be absolute: unix:///path",
            )),
            Some(("tcp", rest)) => parse_tcp(rest).map_err(refuse),
            Some((scheme, _)) => Err(refuse(foreign(scheme))),
            None => Err(refuse("an address begins with unix:// or tcp://")),
        }
    }

    /// The host for [`Address::Tcp`], with brackets around IPv6.
    pub(crate) fn authority(&self) -> Option<String> {
        match self {
            Self::Tcp { host, port } if host.contains(':') => Some(format!("[{host}]:{port}")),
            Self::Tcp { host, port } => Some(format!("{host}:{port}")),
            Self::Unix(_) => None,
        }
    }
}

impl Default for Address {
    /// The default socket of `buildkitd`: `/run/buildkit/buildkitd.sock`.
    fn default() -> Self {
        Self::Unix(PathBuf::from("/run/buildkit/buildkitd.sock"))
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, self.authority()) {
            (_, Some(authority)) => write!(f, "tcp://{authority}"),
            (Self::Unix(path), None) => write!(f, "unix://{}", path.display()),
            (Self::Tcp { .. }, None) => Ok(()),
        }
    }
}

/// Invalid daemon address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not the address of a BuildKit daemon: {why}")]
#[non_exhaustive]
pub struct AddressError {
    /// The text, truncated to 200 characters.
    pub text: String,
    /// Which rule it breaks.
    pub why: String,
}

impl Diagnose for AddressError {
    fn diagnosis(&self) -> Diagnosis {
        Diagnosis::new(&INVALID_ADDRESS)
            .error(self.to_string())
            .reason(&self.why)
    }
}

/// Why an address of this kind is refused, and what to do instead.
fn foreign(scheme: &str) -> &'static str {
    match scheme {
        "npipe" => "named pipes aren't supported: let buildkitd listen on tcp:// with certificates",
        "docker-container" | "podman-container" | "nerdctl-container" => {
            "it would run another program; instead publish the container's port 1234, or mount its socket, and use tcp:// or unix://"
        }
        "kube-pod" => {
            "it would run kubectl; instead use a Service, or `kubectl port-forward`, and tcp://"
        }
        "ssh" => {
            "it would run ssh; instead forward the socket with `ssh -L /tmp/buildkitd.sock:/run/buildkit/buildkitd.sock HOST` and use \
             unix:///tmp/buildkitd.sock"
        }
        "http" | "https" => "use tcp://, and for TLS set certificates in the options",
        _ => "only unix:// and tcp:// are supported",
    }
}

fn parse_tcp(rest: &str) -> Result<Address, &'static str> {
    let (host, port) = match rest.strip_prefix('[') {
        Some(bracketed) => {
            let (host, after) = bracketed
                .split_once(']')
                .ok_or("the bracket [ is not closed")?;
            (host, after.strip_prefix(':'))
        }
        None => match rest.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (rest, None),
        },
    };
    let port = match port {
        None => Address::DEFAULT_PORT,
        Some(text) => text
            .parse()
            .ok()
            .filter(|port| *port > 0)
            .ok_or("the port must be a number from 1 to 65535")?,
    };
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
    if host.is_empty() || !host.chars().all(valid) {
        return Err("the host is empty or has invalid characters");
    }
    Ok(Address::Tcp {
        host: host.to_owned(),
        port,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_round_trip() {
        for text in [
            "unix:///run/b.sock",
            "tcp://10.0.0.1:9",
            "tcp://[::1]:1234",
            "tcp://a.b-c:65535",
        ] {
            assert_eq!(Address::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(
            Address::parse("tcp://host").unwrap().to_string(),
            "tcp://host:1234"
        );
    }

    #[test]
    fn what_is_no_address_is_refused_with_the_rule() {
        for (text, why) in [
            ("", "begins with"),
            ("host:1234", "begins with"),
            ("unix://relative", "absolute"),
            ("tcp://", "characters"),
            ("tcp://host:0", "port"),
            ("tcp://host:99999", "port"),
            ("tcp://[::1", "bracket"),
            ("tcp://user@host:1", "characters"),
            ("npipe:////./pipe/buildkitd", "named pipes"),
            ("docker-container://x", "publish the container's port"),
            ("kube-pod://x", "kubectl port-forward"),
            ("ssh://host", "ssh -L"),
            ("https://host:1", "set certificates"),
            ("fd://3", "only unix"),
        ] {
            let error = Address::parse(text).unwrap_err();
            assert!(error.why.contains(why), "{text}: {error}");
        }
    }
}
