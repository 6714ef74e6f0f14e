//! Asking a registry whether an image is there, as a container runtime does before it pulls.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, HOST, WWW_AUTHENTICATE};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::container::Surroundings;
use crate::kubernetes::behaviour::parts;
use crate::kubernetes::options::ImageCheck;
use crate::kubernetes::resources::SECRETS;
use crate::kubernetes::shared::Shared;
use crate::kubernetes::store::{Key, Store};
use crate::kubernetes::value::{items, text};

/// A registry that does not answer in this time is down.
const LIMIT: Duration = Duration::from_secs(10);

const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json, */*";

/// The answer about one container's image.
#[derive(Debug)]
pub(crate) struct PullDone {
    pub(crate) namespace: String,
    pub(crate) pod: String,
    pub(crate) uid: String,
    pub(crate) container: String,
    pub(crate) result: Result<(), String>,
}

/// Whether the registry of an image is asked.
pub(super) fn is_asked_for(shared: &Shared, image: &str) -> bool {
    shared.options.image_check == ImageCheck::Loopback && loopback(&parts(image).0).is_some()
}

fn loopback(host: &str) -> Option<SocketAddr> {
    let (name, port) = host.rsplit_once(':').unwrap_or((host, "80"));
    let address: IpAddr = if name == "localhost" {
        IpAddr::from([127, 0, 0, 1])
    } else {
        name.trim_matches(['[', ']']).parse().ok()?
    };
    let port = port.parse().ok()?;
    address
        .is_loopback()
        .then(|| SocketAddr::new(address, port))
}

/// Asks, and sends the answer to the controllers.
pub(super) fn ask(around: &mut Surroundings<'_>, container: &str, image: &str) {
    let login = around
        .shared
        .read(|store| login(store, around.pod, &parts(image).0));
    let image = image.to_owned();
    let answers = around.answers.clone();
    let mut done = PullDone {
        namespace: text(around.pod, "/metadata/namespace").to_owned(),
        pod: text(around.pod, "/metadata/name").to_owned(),
        uid: around.uid.to_owned(),
        container: container.to_owned(),
        result: Ok(()),
    };
    while around.asking.try_join_next().is_some() {}
    around.asking.spawn(async move {
        done.result = check(&image, login.as_deref()).await;
        // Nobody listens any more when the cluster is gone.
        let _ = answers.send(done);
    });
}

/// The login of a registry, from the pod's pull secrets: `user:password`, encoded.
fn login(store: &Store, pod: &Value, host: &str) -> Option<String> {
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
async fn check(image: &str, login: Option<&str>) -> Result<(), String> {
    let (host, repository, reference) = parts(image);
    let url = format!("http://{host}/v2/{repository}/manifests/{reference}");
    let wrap = |why: String| {
        format!(
            "failed to pull and unpack image \"{image}\": failed to resolve reference \"{image}\": {why}"
        )
    };
    let unreachable = |why: String| wrap(format!("failed to do request: Head \"{url}\": {why}"));
    let mut answer = head(&url, None).await.map_err(&unreachable)?;
    if answer.status == StatusCode::UNAUTHORIZED {
        let authorization = authorize(&answer, login).await.map_err(wrap)?;
        answer = head(&url, Some(&authorization))
            .await
            .map_err(&unreachable)?;
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

/// The `Authorization` that answers a challenge.
async fn authorize(challenge: &Answer, login: Option<&str>) -> Result<String, String> {
    let challenges: Vec<&str> = challenge
        .headers
        .get_all(WWW_AUTHENTICATE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect();
    if let Some(bearer) = challenges
        .iter()
        .find_map(|text| text.strip_prefix("Bearer "))
    {
        return fetch_token(bearer, login)
            .await
            .map(|token| format!("Bearer {token}"));
    }
    match login {
        Some(login) => Ok(format!("Basic {login}")),
        None => Err("pull access denied, repository does not exist or may require authorization: authorization failed: no basic auth credentials".into()),
    }
}

async fn fetch_token(challenge: &str, login: Option<&str>) -> Result<String, String> {
    let parameter = |name: &str| {
        challenge.split(',').find_map(|part| {
            let (key, value) = part.split_once('=')?;
            (key.trim() == name).then(|| value.trim_matches('"').to_owned())
        })
    };
    let realm = parameter("realm").unwrap_or_default();
    let query: Vec<String> = ["service", "scope"]
        .iter()
        .filter_map(|name| Some(format!("{name}={}", parameter(name)?)))
        .collect();
    let url = format!("{realm}?{}", query.join("&"));
    let failed =
        |why: String| format!("failed to authorize: failed to fetch anonymous token: {why}");
    let authorization = login.map(|login| format!("Basic {login}"));
    let answer = send(Method::GET, &url, authorization.as_deref())
        .await
        .map_err(failed)?;
    if !answer.status.is_success() {
        let status = answer.status;
        return Err(failed(format!(
            "unexpected status from GET request to {url}: {status}"
        )));
    }
    let token: Value =
        serde_json::from_slice(&answer.body).map_err(|error| failed(error.to_string()))?;
    ["token", "access_token"]
        .iter()
        .find_map(|name| token[*name].as_str())
        .map(str::to_owned)
        .ok_or_else(|| failed("no token in the answer".into()))
}

async fn head(url: &str, authorization: Option<&str>) -> Result<Answer, String> {
    send(Method::HEAD, url, authorization).await
}

/// What a registry or its token server said.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

/// One request to a loopback address; the reason of a failure is in the words of the Go runtime.
async fn send(method: Method, url: &str, authorization: Option<&str>) -> Result<Answer, String> {
    let uri: http::Uri = url
        .parse()
        .map_err(|error| format!("parse {url:?}: {error}"))?;
    let host = uri.authority().map(ToString::to_string).unwrap_or_default();
    let address =
        loopback(&host).ok_or_else(|| format!("dial tcp: lookup {host}: no such host"))?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, &host)
        .header(ACCEPT, MANIFESTS);
    if let Some(authorization) = authorization {
        request = request.header(AUTHORIZATION, authorization);
    }
    let request = request
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
    match tokio::time::timeout(LIMIT, exchange(address, request)).await {
        Ok(result) => result,
        Err(_) => Err(format!("dial tcp {address}: i/o timeout")),
    }
}

async fn exchange(address: SocketAddr, request: Request<Empty<Bytes>>) -> Result<Answer, String> {
    let stream = TcpStream::connect(address).await.map_err(|error| {
        let refused = error.kind() == std::io::ErrorKind::ConnectionRefused;
        let why = if refused {
            "connect: connection refused".into()
        } else {
            error.to_string()
        };
        format!("dial tcp {address}: {why}")
    })?;
    let cut = |_| "EOF".to_owned();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(cut)?;
    // The connection's task ends with this function.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let (parts, body) = sender
        .send_request(request)
        .await
        .map_err(cut)?
        .into_parts();
    let body = Limited::new(body, 1 << 20).collect().await;
    Ok(Answer {
        status: parts.status,
        headers: parts.headers,
        body: body.map_err(|_| "unexpected EOF".to_owned())?.to_bytes(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_loopback_registries_are_asked() {
        assert_eq!(
            loopback("127.0.0.1:5000"),
            Some(([127, 0, 0, 1], 5000).into())
        );
        assert_eq!(loopback("localhost:1"), Some(([127, 0, 0, 1], 1).into()));
        assert_eq!(loopback("registry.example.com"), None);
        assert_eq!(loopback("10.0.0.1:5000"), None);
    }

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

    #[tokio::test]
    async fn a_registry_that_is_down_is_named() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let error = check(&format!("{address}/app:1"), None).await.unwrap_err();
        assert!(
            error.ends_with(&format!("dial tcp {address}: connect: connection refused")),
            "{error}"
        );
    }
}
