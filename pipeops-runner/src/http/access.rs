//! Who may read the API.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{AUTHORIZATION, HOST, ORIGIN, SEC_WEBSOCKET_PROTOCOL};
use http::{HeaderMap, HeaderName, StatusCode, Uri};
use pipeops_core::diagnosis::codes;
use pipeops_core::{Diagnosis, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::answer::Error;

/// The prefix of the token in the list of WebSocket protocols, the only header that a browser can set for a WebSocket.
const TOKEN_PROTOCOL: &str = "bearer.";

/// Who may read the API and the dashboard's data: projects, deployments and logs. Webhooks need no access: they are signed.
///
/// ```no_run
/// use pipeops_runner::{ServiceBuilder, http::Access};
///
/// fn public(builder: ServiceBuilder, token: &str) -> ServiceBuilder {
///     builder.access(Access::Token(token.into()))
/// }
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum Access {
    /// Requests whose `Host` is `localhost`, `127.0.0.1` or `[::1]`. Use it only for servers on loopback. There it also refuses
    /// web pages of other host names that resolve to this machine (DNS rebinding).
    #[default]
    Local,
    /// Requests with `Authorization: Bearer TOKEN`. The dashboard asks for the token.
    Token(SecretString),
    /// All requests. A proxy or middleware in front of the router must check them.
    Open,
}

/// Passes a request to the API, or refuses it.
pub(super) async fn guard(
    State(access): State<Access>,
    request: Request,
    next: Next,
) -> Result<Response, Error> {
    check(&access, request.headers())?;
    Ok(next.run(request).await)
}

fn check(access: &Access, headers: &HeaderMap) -> Result<(), Error> {
    let host = text(headers, &HOST).unwrap_or_default();
    // A page of another site can open a WebSocket here. Browsers then send the origin of the page.
    if let Some(origin) = text(headers, &ORIGIN)
        && authority(origin).as_deref() != Some(host)
    {
        return Err(forbidden("the request comes from a page of another site"));
    }
    match access {
        Access::Open => Ok(()),
        Access::Local if is_local(host) => Ok(()),
        Access::Local => Err(forbidden(
            "without an API token, only local requests are allowed",
        )),
        Access::Token(token) if holds_token(headers, token) => Ok(()),
        Access::Token(_) => Err(token_needed()),
    }
}

fn holds_token(headers: &HeaderMap, token: &SecretString) -> bool {
    let bearer = text(headers, &AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
    let protocol = text(headers, &SEC_WEBSOCKET_PROTOCOL).and_then(|protocols| {
        let names = protocols.split(',').map(str::trim);
        names
            .filter_map(|name| name.strip_prefix(TOKEN_PROTOCOL))
            .next()
    });
    let protocol = protocol.and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
    let given = bearer.map(|text| text.as_bytes().to_vec()).or(protocol);
    let Some(given) = given else {
        return false;
    };
    let wanted = Sha256::digest(token.expose().as_bytes());
    !token.is_empty() && Sha256::digest(given).ct_eq(&wanted).into()
}

fn is_local(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    matches!(name, "localhost" | "127.0.0.1" | "[::1]")
}

/// `http://host:port` without the scheme.
fn authority(origin: &str) -> Option<String> {
    let uri: Uri = origin.parse().ok()?;
    Some(uri.authority()?.to_string())
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn forbidden(reason: &str) -> Error {
    let diagnosis = Diagnosis::new(&codes::api::FORBIDDEN).reason(reason);
    Error::new(StatusCode::FORBIDDEN, diagnosis)
}

fn token_needed() -> Error {
    let diagnosis = Diagnosis::new(&codes::api::TOKEN).reason("the API token is missing or wrong");
    Error::new(StatusCode::UNAUTHORIZED, diagnosis)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(access: &Access, pairs: &[(&'static str, &str)]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, value.parse().unwrap());
        }
        check(access, &headers).is_ok()
    }

    #[test]
    fn local_means_the_name_in_the_request_too() {
        for host in ["localhost", "127.0.0.1:8080", "[::1]:8080", "[::1]"] {
            assert!(allowed(&Access::Local, &[("host", host)]), "{host}");
        }
        let foreign = "evil.example:8080 127.0.0.1.evil.example localhost:x";
        for host in foreign.split(' ').chain([""]) {
            assert!(!allowed(&Access::Local, &[("host", host)]), "{host}");
        }
    }

    #[test]
    fn pages_of_other_sites_are_refused() {
        let host = ("host", "127.0.0.1:1");
        for access in [Access::Local, Access::Open] {
            assert!(allowed(&access, &[host, ("origin", "http://127.0.0.1:1")]));
            for origin in ["http://evil.example", "http://127.0.0.1:2", "null"] {
                assert!(!allowed(&access, &[host, ("origin", origin)]), "{origin}");
            }
        }
    }

    #[test]
    fn a_token_is_taken_from_a_header_or_a_websocket_protocol() {
        let access = Access::Token("s3cr3t".into());
        assert!(allowed(&access, &[("authorization", "Bearer s3cr3t")]));
        let token = URL_SAFE_NO_PAD.encode("s3cr3t");
        let protocols = format!("pipeops.events, bearer.{token}");
        assert!(allowed(&access, &[("sec-websocket-protocol", &protocols)]));
        assert!(!allowed(&access, &[("authorization", "Bearer s3cr3t2")]));
        assert!(!allowed(&access, &[]));
        let empty = Access::Token("".into());
        assert!(!allowed(&empty, &[("authorization", "Bearer ")]));
    }
}
