//! The token server: `GET /token` with HTTP Basic, and `POST /token` as in OAuth 2.
//!
//! Both are described in the distribution project's [token specification].
//!
//! [token specification]: https://distribution.github.io/distribution/spec/auth/oauth/

use http::header::AUTHORIZATION;
use http::{Method, Response, StatusCode};
use jiff::Timestamp;
use serde_json::json;

use super::auth::{IssuedToken, Login, SERVICE, unauthorized};
use super::error::ApiError;
use super::request::{Exchange, JSON, Stop};
use crate::serve::{Body, basic_credentials, full, query_pairs, with_type};

/// The largest form that is read.
const FORM_LIMIT: usize = 64 << 10;

pub(super) async fn serve(exchange: &mut Exchange) -> Result<Response<Body>, Stop> {
    match exchange.parts.method {
        Method::GET => Ok(get(exchange)?),
        Method::POST => post(exchange).await,
        _ => Err(ApiError::unsupported("the token server accepts GET and POST").into()),
    }
}

fn get(exchange: &Exchange) -> Result<Response<Body>, ApiError> {
    let pairs = query_pairs(exchange.parts.uri.query().unwrap_or_default());
    check_service(&pairs)?;
    let headers = &exchange.parts.headers;
    let credentials = basic_credentials(headers);
    let login = match &credentials {
        Some((name, password)) => Login::Password(name, password),
        None if headers.contains_key(AUTHORIZATION) => {
            return Err(unauthorized("the authorization is not Basic"));
        }
        None => Login::Anonymous,
    };
    let token = exchange.shared.gate.issue(login, &scopes(&pairs));
    let token = token.ok_or_else(|| unauthorized("incorrect username or password"))?;
    let offline = value(&pairs, "offline_token") == Some("true");
    Ok(answer(token, offline))
}

async fn post(exchange: &mut Exchange) -> Result<Response<Body>, Stop> {
    exchange.read(FORM_LIMIT).await?;
    let pairs = query_pairs(&String::from_utf8_lossy(&exchange.body));
    check_service(&pairs)?;
    let field = |name: &str| value(&pairs, name).unwrap_or_default();
    let login = match field("grant_type") {
        "password" => Login::Password(field("username"), field("password")),
        "refresh_token" => Login::Refresh(field("refresh_token")),
        other => return Err(bad_request(format!("unsupported grant_type {other:?}")).into()),
    };
    let token = exchange.shared.gate.issue(login, &scopes(&pairs));
    let token = token.ok_or_else(|| unauthorized("incorrect username or password"))?;
    Ok(answer(token, field("access_type") == "offline"))
}

fn answer(token: IssuedToken, offline: bool) -> Response<Body> {
    let mut body = json!({
        "token": token.token,
        "access_token": token.token,
        "expires_in": token.lifetime.as_secs(),
        "issued_at": Timestamp::now().to_string(),
    });
    if let Some(refresh) = token.refresh.filter(|_| offline) {
        body["refresh_token"] = refresh.into();
    }
    with_type(StatusCode::OK, JSON, full(body.to_string()))
}

fn value<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let pair = pairs.iter().find(|(key, _)| key == name);
    pair.map(|(_, value)| value.as_str())
}

/// Each `scope` parameter holds one scope, or several with spaces between them.
fn scopes(pairs: &[(String, String)]) -> Vec<String> {
    let scopes = pairs.iter().filter(|(key, _)| key == "scope");
    scopes
        .flat_map(|(_, value)| value.split(' '))
        .map(str::to_owned)
        .collect()
}

fn check_service(pairs: &[(String, String)]) -> Result<(), ApiError> {
    match value(pairs, "service") {
        Some(SERVICE) | None => Ok(()),
        Some(other) => Err(bad_request(format!("unknown service {other:?}"))),
    }
}

fn bad_request(message: String) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, "UNSUPPORTED", message)
}
