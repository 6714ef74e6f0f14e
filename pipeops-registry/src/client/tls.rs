//! TLS: whom to trust.

use std::error::Error as StdError;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;

use super::options::ClientOptions;
use crate::error::Error;

/// The system's certificate authorities and the extra ones, over ring: a library installs no process-wide provider.
pub(super) fn config(options: &ClientOptions) -> Result<ClientConfig, Error> {
    let invalid = |why: String| Error::Configuration {
        what: "an extra certificate authority".to_owned(),
        why,
    };
    let mut extra: Vec<CertificateDer<'static>> = Vec::new();
    for pem in &options.extra_roots {
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            extra.push(certificate.map_err(|error| invalid(error.to_string()))?);
        }
    }
    if extra.is_empty() && !options.extra_roots.is_empty() {
        return Err(invalid("holds no certificate".to_owned()));
    }
    let has_extra = !extra.is_empty();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| invalid(error.to_string()))?;
    match Verifier::new_with_extra_roots(extra, provider) {
        Ok(verifier) => Ok(builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth()),
        Err(error) if has_extra => Err(invalid(error.to_string())),
        // A machine without certificate authorities: nobody is trusted, and registries without TLS still work.
        Err(_) => Ok(builder
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth()),
    }
}

/// Whether TLS is why a connection failed.
pub(super) fn is_cause(error: &(dyn StdError + 'static)) -> bool {
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
