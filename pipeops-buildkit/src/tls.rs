//! Certificates for daemons on TCP.

use std::fmt;
use std::io;
use std::path::Path;

use pipeops_core::SecretString;
use tonic::transport::{Certificate, ClientTlsConfig, Identity};

use crate::error::Error;

/// The daemon's CA and this client's certificate. Without TLS, the connection to a daemon on TCP is in plain text, and everyone
/// who can reach the daemon can use it.
///
/// Start the daemon with `--tlscacert ca.pem --tlscert server.pem --tlskey server.key`, so that it accepts only clients whose
/// certificate that CA signed. The client's folder has `ca.pem`, `cert.pem` and `key.pem`:
///
/// ```no_run
/// use pipeops_buildkit::{ConnectOptions, Tls};
///
/// let tls = Tls::from_folder("/etc/buildkit/client")?.server_name("buildkitd");
/// let options = ConnectOptions::default().tls(tls);
/// # Ok::<(), pipeops_buildkit::Error>(())
/// ```
#[derive(Clone)]
pub struct Tls {
    ca: String,
    identity: Option<(String, SecretString)>,
    server_name: Option<String>,
}

impl Tls {
    /// Trusts daemons whose certificate this CA (PEM) signed. The CAs of the system aren't trusted.
    ///
    /// ```
    /// use pipeops_buildkit::{ConnectOptions, SecretString, Tls};
    ///
    /// /// With certificates from a secret store instead of a folder.
    /// fn options(ca: String, certificate: String, key: SecretString) -> ConnectOptions {
    ///     ConnectOptions::default().tls(Tls::new(ca).identity(certificate, key))
    /// }
    /// ```
    pub fn new(ca: impl Into<String>) -> Self {
        Self {
            ca: ca.into(),
            identity: None,
            server_name: None,
        }
    }

    /// Sets this client's certificate and private key (PEM), like `--tlscert` and `--tlskey` of `buildctl`.
    #[must_use]
    pub fn identity(
        mut self,
        certificate: impl Into<String>,
        key: impl Into<SecretString>,
    ) -> Self {
        self.identity = Some((certificate.into(), key.into()));
        self
    }

    /// Sets the name that the daemon's certificate must have. Default: the host of the address.
    #[must_use]
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// Reads `ca.pem` and, if they exist, `cert.pem` and `key.pem` from a folder, like `--tlsdir` of `buildctl`. Blocks on disk
    /// access.
    ///
    /// # Errors
    /// [`Error::Certificate`] if a file can't be read, or only one of certificate and key exists.
    pub fn from_folder(folder: impl AsRef<Path>) -> Result<Self, Error> {
        let folder = folder.as_ref();
        let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
        let tls = Self::new(read(&folder.join("ca.pem"))?);
        if !cert.exists() && !key.exists() {
            return Ok(tls);
        }
        Ok(tls.identity(read(&cert)?, SecretString::from(read(&key)?)))
    }

    pub(crate) fn config(&self) -> ClientTlsConfig {
        let mut config = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&self.ca));
        if let Some((certificate, key)) = &self.identity {
            config = config.identity(Identity::from_pem(certificate, key.expose()));
        }
        if let Some(name) = &self.server_name {
            config = config.domain_name(name);
        }
        config
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("identity", &self.identity.is_some())
            .field("server_name", &self.server_name)
            .finish_non_exhaustive()
    }
}

fn read(path: &Path) -> Result<String, Error> {
    let fail = |source: io::Error| Error::Certificate {
        path: path.display().to_string(),
        source,
    };
    std::fs::read_to_string(path).map_err(fail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_a_ca_and_both_of_the_others_or_none() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str| std::fs::write(dir.path().join(name), name).unwrap();
        let error = Tls::from_folder(dir.path()).unwrap_err().to_string();
        assert!(error.contains("ca.pem"), "{error}");
        write("ca.pem");
        assert!(Tls::from_folder(dir.path()).unwrap().identity.is_none());
        write("cert.pem");
        let error = Tls::from_folder(dir.path()).unwrap_err().to_string();
        assert!(error.contains("key.pem"), "{error}");
        write("key.pem");
        let tls = Tls::from_folder(dir.path()).unwrap();
        assert!(tls.identity.is_some());
        assert!(
            !format!("{tls:?}").contains("key.pem"),
            "the key is not shown"
        );
    }
}
