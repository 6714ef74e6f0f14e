//! Asks a registry of this process whether an image exists, as a container runtime does before it pulls.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, HOST, WWW_AUTHENTICATE};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;

use crate::kubernetes::behaviour::parts;
use crate::kubernetes::resources::SECRETS;
use crate::kubernetes::store::{Key, Store};
use crate::kubernetes::value::{items, text};
use crate::registry::Source;
use crate::serve::full;

/// A registry that does not answer in this time is down.
const LIMIT: Duration = Duration::from_secs(10);

/// The answer about one container's image.
#[derive(Debug)]
pub(crate) struct PullDone {
    pub(crate) namespace: String,
    pub(crate) pod: String,
    pub(crate) uid: String,
    pub(crate) container: String,
    pub(crate) result: Result<(), String>,
}

/// The login of a registry, from the pod's pull secrets: `user:password`, encoded.
pub(super) fn login(store: &Store, pod: &Value, host: &str) -> Option<String> {
    let namespace = text(pod, "/metadata/namespace");
    items(pod, "/spec/imagePullSecrets")
        .iter()
        .find_map(|reference| {
            let secret = store.get(&Key::new(&SECRETS, namespace, text(reference, "/name")))?;
            let config = STANDARD
                .decode(text(secret, "/data/.dockerconfigjson"))
                .ok()?;
            let config: Value = serde_json::from_slice(&config).ok()?;
            let entry = config["auths"].as_object()?.iter().find(|(name, _)| {
                let name = name
                    .trim_start_matches("https://")
                    .trim_start_matches("http://");
                name.split('/').next() == Some(host)
            })?;
            let of = |name: &str| entry.1[name].as_str().filter(|text| !text.is_empty());
            match (of("auth"), of("username"), of("password")) {
                (Some(auth), _, _) => Some(auth.to_owned()),
                (None, Some(user), Some(password)) => {
                    Some(STANDARD.encode(format!("{user}:{password}")))
                }
                _ => None,
            }
        })
}

/// Whether an image can be pulled; if not, why, in the words of containerd.
pub(super) async fn check(
    registry: &Source,
    image: &str,
    login: Option<&str>,
) -> Result<(), String> {
    let (host, repository, reference) = parts(image);
    let url = format!("http://{host}/v2/{repository}/manifests/{reference}");
    let wrap = |why: String| {
        format!(
            "failed to pull and unpack image \"{image}\": failed to resolve reference \"{image}\": {why}"
        )
    };
    let unreachable = |why: String| wrap(format!("failed to do request: Head \"{url}\": {why}"));
    let head = async |authorization: Option<&str>| {
        let answer = send(registry, Method::HEAD, &url, authorization).await;
        answer.map_err(&unreachable)
    };
    let basic = login.map(|login| format!("Basic {login}"));
    let mut answer = head(None).await?;
    if answer.status == StatusCode::UNAUTHORIZED {
        let authorization = match bearer(&answer.headers) {
            Some(challenge) => fetch_token(registry, &challenge, basic.as_deref()).await,
            None => basic.ok_or_else(|| "pull access denied, repository does not exist or may require authorization: authorization failed: no basic auth credentials".to_owned()),
        };
        answer = head(Some(&authorization.map_err(wrap)?)).await?;
    }
    match answer.status {
        status if status.is_success() => Ok(()),
        StatusCode::NOT_FOUND => {
            let why = wrap(format!("{image}: not found"));
            Err(format!("rpc error: code = NotFound desc = {why}"))
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(wrap(format!(
            "pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed ({})",
            answer.status
        ))),
        status => Err(wrap(format!(
            "unexpected status from HEAD request to {url}: {status}"
        ))),
    }
}

/// The challenge to bring a token, if that is what the registry wants.
fn bearer(headers: &HeaderMap) -> Option<String> {
    let challenge = headers.get(WWW_AUTHENTICATE)?.to_str().ok()?;
    challenge.strip_prefix("Bearer ").map(str::to_owned)
}

/// The `Authorization` with a token of the registry's own token server.
async fn fetch_token(
    registry: &Source,
    challenge: &str,
    login: Option<&str>,
) -> Result<String, String> {
    let parameter = |name: &str| {
        challenge.split(',').find_map(|part| {
            let (key, value) = part.split_once('=')?;
            (key.trim() == name).then(|| value.trim_matches('"'))
        })
    };
    let [realm, service, scope] =
        ["realm", "service", "scope"].map(|name| parameter(name).unwrap_or_default());
    let url = format!("{realm}?service={service}&scope={scope}");
    let failed =
        |why: String| format!("failed to authorize: failed to fetch anonymous token: {why}");
    let answer = send(registry, Method::GET, &url, login).await;
    let answer = answer.map_err(failed)?;
    if !answer.status.is_success() {
        let status = answer.status;
        return Err(failed(format!(
            "unexpected status from GET request to {url}: {status}"
        )));
    }
    let token: Value =
        serde_json::from_slice(&answer.body).map_err(|error| failed(error.to_string()))?;
    let token = token["token"].as_str();
    token
        .map(|token| format!("Bearer {token}"))
        .ok_or_else(|| failed("no token in the answer".into()))
}

/// What a registry or its token server said.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

/// One request; the reason of a failure is in the words of the Go runtime.
async fn send(
    registry: &Source,
    method: Method,
    url: &str,
    authorization: Option<&str>,
) -> Result<Answer, String> {
    let host = &registry.host;
    let mut request = Request::builder()
        .method(method)
        .uri(url)
        .header(HOST, host)
        .header(ACCEPT, "*/*");
    if let Some(authorization) = authorization {
        request = request.header(AUTHORIZATION, authorization);
    }
    let request = request
        .body(full(Bytes::new()))
        .map_err(|error| format!("parse {url:?}: {error}"))?;
    let exchange = async {
        let answer = registry.send(request).await;
        let answer = answer.ok_or_else(|| format!("dial tcp {host}: connect: connection refused"));
        let (parts, body) = answer?.map_err(|_| "EOF".to_owned())?.into_parts();
        let body = body.collect().await;
        Ok(Answer {
            status: parts.status,
            headers: parts.headers,
            body: body.map_err(|_| "unexpected EOF".to_owned())?.to_bytes(),
        })
    };
    let answer = tokio::time::timeout(LIMIT, exchange).await;
    answer.unwrap_or_else(|_| Err(format!("dial tcp {host}: i/o timeout")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn logins_come_from_pull_secrets() {
        let config =
            json!({"auths": {"http://127.0.0.1:5000/v1": {"username": "u", "password": "p"}}});
        let mut store = Store::default();
        store.put(
            Key::new(&SECRETS, "a", "pull"),
            json!({"metadata": {}, "data": {".dockerconfigjson": STANDARD.encode(config.to_string())}}),
        );
        let pod = json!({"metadata": {"namespace": "a"}, "spec": {"imagePullSecrets": [{"name": "pull"}]}});
        assert_eq!(
            login(&store, &pod, "127.0.0.1:5000"),
            Some(STANDARD.encode("u:p"))
        );
        assert_eq!(login(&store, &pod, "other"), None);
    }
}
