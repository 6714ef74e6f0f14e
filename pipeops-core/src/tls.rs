//! TLS for clients, with ring and the certificate authorities that the machine trusts.

use std::error::Error as StdError;
use std::sync::{Arc, OnceLock};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};
use rustls_platform_verifier::Verifier;

/// Why there is no TLS configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// An extra certificate authority can't be parsed.
    #[error("an extra certificate authority {0}")]
    Root(String),
    /// TLS can't be set up.
    #[error("TLS can't be set up")]
    Setup(#[source] rustls::Error),
}

/// A client configuration that trusts the machine's certificate authorities and the extra ones (PEM), without a client
/// certificate.
///
/// The crypto provider, ring, is passed explicitly: a library must not install one for the whole process. The configuration
/// without extra authorities is created once and shared.
///
/// # Errors
/// [`TlsError::Root`] if an extra authority can't be parsed, [`TlsError::Setup`] if rustls rejects the configuration or the
/// machine has no certificate authorities.
pub fn client_config(extra_roots: &[String]) -> Result<ClientConfig, TlsError> {
    static DEFAULT: OnceLock<ClientConfig> = OnceLock::new();
    if !extra_roots.is_empty() {
        return config(extra_roots);
    }
    if let Some(config) = DEFAULT.get() {
        return Ok(config.clone());
    }
    let config = config(&[])?;
    Ok(DEFAULT.get_or_init(|| config).clone())
}

/// A client configuration that trusts no server, for machines without certificate authorities. Plain connections still work.
///
/// # Errors
/// [`TlsError::Setup`] if rustls rejects the configuration.
pub fn without_authorities() -> Result<ClientConfig, TlsError> {
    let config = builder()?.with_root_certificates(RootCertStore::empty());
    Ok(config.with_no_client_auth())
}

/// Installs ring as the crypto provider of the process, for programs that use `reqwest` or `rustls` themselves. Call it at the start
/// of `main`. If the process already has a provider, that one stays.
///
/// PipeOps compiles `reqwest` without a crypto provider and passes ring itself. Cargo unifies features, so a
/// `reqwest::Client::new()` in the same program panics with "No rustls crypto provider is configured", unless the program calls
/// this function or enables reqwest's feature `rustls`.
pub fn install_ring() {
    // An error says that there is a provider already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Whether a connection failed because of TLS.
pub fn is_cause(error: &(dyn StdError + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        // An `io::Error` hides the error that it was made from.
        let inner = error
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref);
        if error.is::<rustls::Error>() || inner.is_some_and(|inner| inner.is::<rustls::Error>()) {
            return true;
        }
        next = error.source();
    }
    false
}

fn config(extra_roots: &[String]) -> Result<ClientConfig, TlsError> {
    let mut extra: Vec<CertificateDer<'static>> = Vec::new();
    for pem in extra_roots {
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            extra.push(certificate.map_err(|error| TlsError::Root(error.to_string()))?);
        }
    }
    if extra.is_empty() && !extra_roots.is_empty() {
        return Err(TlsError::Root("holds no certificate".to_owned()));
    }
    let has_extra = !extra.is_empty();
    let builder = builder()?;
    let verifier = Verifier::new_with_extra_roots(extra, builder.crypto_provider().clone());
    let verifier = verifier.map_err(|error| match has_extra {
        true => TlsError::Root(error.to_string()),
        false => TlsError::Setup(error),
    })?;
    Ok(builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth())
}

fn builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, TlsError> {
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Setup)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extra_authority_must_be_a_certificate() {
        let error = client_config(&["hello".to_owned()]).unwrap_err();
        assert!(matches!(error, TlsError::Root(_)), "{error}");
        assert!(without_authorities().is_ok());
    }

    #[test]
    fn ring_can_be_installed_for_the_program() {
        install_ring();
        install_ring();
        assert!(rustls::crypto::CryptoProvider::get_default().is_some());
    }

    #[test]
    fn tls_is_found_as_the_cause_of_an_io_error() {
        assert!(is_cause(&std::io::Error::other(
            rustls::Error::DecryptError
        )));
        assert!(!is_cause(&std::io::Error::other("cut")));
    }
}
