//! The gRPC service `moby.buildkit.v1.Control`.

use std::pin::Pin;
use std::sync::Arc;

use bollard_buildkit_proto::health::health_check_response::ServingStatus;
use bollard_buildkit_proto::health::health_server::{Health, HealthServer};
use bollard_buildkit_proto::health::{
    HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse,
};
use bollard_buildkit_proto::moby::buildkit::v1::control_server::{Control, ControlServer};
use bollard_buildkit_proto::moby::buildkit::v1::types::{BuildkitVersion, WorkerRecord};
use bollard_buildkit_proto::moby::buildkit::v1::{
    BuildHistoryEvent, BuildHistoryRequest, BytesMessage, DiskUsageRequest, DiskUsageResponse,
    InfoRequest, InfoResponse, ListWorkersRequest, ListWorkersResponse, PruneRequest, SolveRequest,
    SolveResponse, StatusRequest, StatusResponse, UpdateBuildHistoryRequest,
    UpdateBuildHistoryResponse, UsageRecord,
};
use bollard_buildkit_proto::pb::Platform;
use futures::{Stream, StreamExt};
use http_body_util::BodyExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use tower::ServiceExt;

use super::build::Build;
use super::daemon::Daemon;
use super::error::{BuildError, BuildResult, code_of};
use super::progress::Progress;
use super::request::BuildRequest;
use super::session::MAX_MESSAGE;
use crate::fault::Fault;
use crate::serve::{Answer, Body, Exchange, Service};

type ResponseStream<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send + 'static>>;

impl Service for Daemon {
    async fn operation(exchange: &mut Exchange<Self>) -> String {
        operation(&exchange.path)
    }

    async fn answer(exchange: &mut Exchange<Self>) -> Answer {
        let request = exchange.take().map(tonic::body::Body::new);
        let api = Api(exchange.shared.clone());
        let response = if exchange.path.starts_with("/grpc.health.v1.Health/") {
            HealthServer::new(api).oneshot(request).await
        } else {
            let server = ControlServer::new(api)
                .max_decoding_message_size(MAX_MESSAGE)
                .max_encoding_message_size(MAX_MESSAGE);
            server.oneshot(request).await
        };
        let response = response.unwrap_or_else(|never| match never {});
        Ok(response.map(|body| body.map_err(Into::into).boxed_unsync()))
    }

    /// The gRPC answer that stands for an HTTP status.
    fn refusal(_: &Exchange<Self>, status: http::StatusCode, _: &Fault) -> http::Response<Body> {
        let message = format!("scripted fault: {status}");
        let status = Status::new(code_of(status.as_u16()), message);
        let response = status.into_http::<tonic::body::Body>();
        response.map(|body| body.map_err(Into::into).boxed_unsync())
    }
}

/// The word for fault rules: the method's name.
fn operation(path: &str) -> String {
    let method = path.rsplit('/').next().unwrap_or_default();
    let mut word = String::new();
    for letter in method.chars() {
        if letter.is_uppercase() && !word.is_empty() {
            word.push('-');
        }
        word.extend(letter.to_lowercase());
    }
    word
}

struct Api(Arc<Daemon>);

/// Ends the progress of a build, however the build ends.
struct Ending(Progress);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Api {
    async fn solve(&self, request: SolveRequest) -> BuildResult<SolveResponse> {
        let daemon = self.0.clone();
        let progress = daemon.begin(&request)?;
        let _ending = Ending(progress.clone());
        let request = BuildRequest::new(request)?;
        let session = match request.session.as_str() {
            "" => None,
            id => Some(daemon.sessions.get(id).await?),
        };
        let build = Build::new(daemon, request, session, progress);
        let response = build.run().await?;
        Ok(SolveResponse {
            exporter_response: response.into_iter().collect(),
        })
    }
}

#[tonic::async_trait]
impl Control for Api {
    type PruneStream = ResponseStream<UsageRecord>;
    type StatusStream = ResponseStream<StatusResponse>;
    type SessionStream = ReceiverStream<Result<BytesMessage, Status>>;
    type ListenBuildHistoryStream = ResponseStream<BuildHistoryEvent>;

    async fn solve(
        &self,
        request: Request<SolveRequest>,
    ) -> Result<Response<SolveResponse>, Status> {
        let request = request.into_inner();
        let id = request.r#ref.clone();
        let result = self.solve(request).await.map_err(BuildError::into_status);
        self.0.note(&id, |seen| {
            seen.outcome = Some(match &result {
                Ok(response) => {
                    let digest = response.exporter_response.get("containerimage.digest");
                    Ok(digest.cloned().unwrap_or_default())
                }
                Err(status) => Err(status.message().to_owned()),
            });
        });
        result.map(Response::new)
    }

    async fn status(
        &self,
        request: Request<StatusRequest>,
    ) -> Result<Response<Self::StatusStream>, Status> {
        let id = request.into_inner().r#ref;
        let progress = self.0.progress(&id).await;
        let progress = progress.ok_or_else(|| Status::not_found(format!("no such job {id}")))?;
        Ok(Response::new(progress.subscribe().map(Ok).boxed()))
    }

    async fn session(
        &self,
        request: Request<Streaming<BytesMessage>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let (metadata, _, inbound) = request.into_parts();
        let daemon = &self.0;
        let outbound =
            daemon
                .sessions
                .open(&metadata, inbound, &daemon.base.faults, &daemon.base.switch)?;
        Ok(Response::new(outbound))
    }

    async fn info(&self, _: Request<InfoRequest>) -> Result<Response<InfoResponse>, Status> {
        Ok(Response::new(InfoResponse {
            buildkit_version: Some(version()),
        }))
    }

    async fn list_workers(
        &self,
        _: Request<ListWorkersRequest>,
    ) -> Result<Response<ListWorkersResponse>, Status> {
        let label = ("org.mobyproject.buildkit.worker.executor", "none");
        let worker = WorkerRecord {
            id: "pipeops-testkit".to_owned(),
            labels: [(label.0.to_owned(), label.1.to_owned())].into(),
            platforms: self
                .0
                .options
                .platforms
                .iter()
                .map(|name| platform(name))
                .collect(),
            buildkit_version: Some(version()),
            ..WorkerRecord::default()
        };
        Ok(Response::new(ListWorkersResponse {
            record: vec![worker],
        }))
    }

    async fn disk_usage(
        &self,
        _: Request<DiskUsageRequest>,
    ) -> Result<Response<DiskUsageResponse>, Status> {
        unsupported("DiskUsage")
    }

    async fn prune(&self, _: Request<PruneRequest>) -> Result<Response<Self::PruneStream>, Status> {
        unsupported("Prune")
    }

    async fn listen_build_history(
        &self,
        _: Request<BuildHistoryRequest>,
    ) -> Result<Response<Self::ListenBuildHistoryStream>, Status> {
        unsupported("ListenBuildHistory")
    }

    async fn update_build_history(
        &self,
        _: Request<UpdateBuildHistoryRequest>,
    ) -> Result<Response<UpdateBuildHistoryResponse>, Status> {
        unsupported("UpdateBuildHistory")
    }
}

#[tonic::async_trait]
impl Health for Api {
    type WatchStream = ResponseStream<HealthCheckResponse>;

    async fn check(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        Ok(Response::new(HealthCheckResponse {
            status: ServingStatus::Serving.into(),
        }))
    }

    async fn list(
        &self,
        _: Request<HealthListRequest>,
    ) -> Result<Response<HealthListResponse>, Status> {
        unsupported("Health.List")
    }

    async fn watch(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        unsupported("Health.Watch")
    }
}

/// The answer to a call that the stand-in does not serve.
fn unsupported<T>(call: &str) -> Result<T, Status> {
    Err(BuildError::unsupported(call).into_status())
}

/// `os/architecture[/variant]`.
fn platform(name: &str) -> Platform {
    let mut parts = name.splitn(3, '/').map(str::to_owned);
    let mut next = || parts.next().unwrap_or_default();
    Platform {
        os: next(),
        architecture: next(),
        variant: next(),
        ..Platform::default()
    }
}

/// The version of BuildKit whose protocol is spoken, marked as a stand-in.
fn version() -> BuildkitVersion {
    BuildkitVersion {
        package: "pipeops-testkit".to_owned(),
        version: concat!("v0.29.0+pipeops-testkit.", env!("CARGO_PKG_VERSION")).to_owned(),
        revision: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_the_methods_in_small_letters() {
        assert_eq!(operation("/moby.buildkit.v1.Control/Solve"), "solve");
        assert_eq!(
            operation("/moby.buildkit.v1.Control/ListWorkers"),
            "list-workers"
        );
    }
}
