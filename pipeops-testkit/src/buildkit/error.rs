//! Build errors in the form that a daemon sends: a gRPC status whose details are JSON in `Any` messages.

use std::ops::RangeInclusive;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bollard_buildkit_proto::google::protobuf::Any;
use bollard_buildkit_proto::google::rpc;
use prost::Message;
use serde_json::{Value, json};
use tonic::{Code, Status};

/// The Dockerfile of a build, for errors that point into it.
#[derive(Debug, Clone)]
pub(super) struct SourceFile {
    pub(super) name: String,
    pub(super) data: Vec<u8>,
}

/// Why a build failed.
#[derive(Debug, Clone)]
pub(super) struct BuildError {
    code: Code,
    message: String,
    /// What the vertex says, where that differs from the whole message.
    vertex_message: Option<String>,
    details: Vec<(&'static str, Value)>,
}

/// The result of a step of a build.
pub(super) type BuildResult<T> = Result<T, BuildError>;

impl BuildError {
    /// An error as most are: code `Unknown`.
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self {
            code: Code::Unknown,
            message: message.into(),
            vertex_message: None,
            details: Vec::new(),
        }
    }

    /// Something that a real daemon does and this one does not.
    pub(super) fn unsupported(what: impl std::fmt::Display) -> Self {
        Self::new(format!("stand-in: {what} is not implemented")).code(Code::Unimplemented)
    }

    pub(super) fn code(mut self, code: Code) -> Self {
        self.code = code;
        self
    }

    /// Puts what was being done before the message; the vertex keeps the message as it was.
    pub(super) fn context(mut self, context: impl std::fmt::Display) -> Self {
        let message = format!("{context}: {}", self.message);
        let before = std::mem::replace(&mut self.message, message);
        self.vertex_message.get_or_insert(before);
        self
    }

    /// Puts what was being done before the message, for the vertex as well.
    pub(super) fn wrap(mut self, context: impl std::fmt::Display) -> Self {
        self.message = format!("{context}: {}", self.message);
        self.vertex_message = None;
        self
    }

    /// Points to these lines. The first pointer wins: it is the nearest.
    pub(super) fn at(mut self, file: &SourceFile, lines: &RangeInclusive<usize>) -> Self {
        if !self.has("Source") {
            let range = json!({"start": {"line": lines.start()}, "end": {"line": lines.end()}});
            let info = json!({
                "filename": file.name,
                "data": STANDARD.encode(&file.data),
                "language": "Dockerfile",
            });
            let source = json!({"info": info, "ranges": [range]});
            self.details
                .push(("github.com/moby/buildkit/errdefs.Source+json", source));
        }
        self
    }

    /// Names the vertex that failed.
    pub(super) fn vertex(mut self, digest: &str) -> Self {
        if !self.has("Vertex") {
            let vertex = json!({"digest": digest});
            self.details
                .push(("github.com/moby/buildkit/errdefs.Vertex+json", vertex));
        }
        self
    }

    /// Adds the exit code of a command.
    pub(super) fn exit_code(mut self, code: u32) -> Self {
        let message = json!({"Code": code});
        let url = "github.com/moby/buildkit/gatewayapi.ExitMessage+json";
        self.details.push((url, message));
        self
    }

    /// What the failed vertex shows.
    pub(super) fn vertex_message(&self) -> &str {
        self.vertex_message.as_deref().unwrap_or(&self.message)
    }

    pub(super) fn into_status(self) -> Status {
        let details = self.details.into_iter().map(|(url, value)| Any {
            type_url: url.to_owned(),
            value: value.to_string().into_bytes(),
        });
        let status = rpc::Status {
            code: self.code as i32,
            message: self.message.clone(),
            details: details.collect(),
        };
        Status::with_details(self.code, self.message, status.encode_to_vec().into())
    }

    fn has(&self, kind: &str) -> bool {
        let end = format!("{kind}+json");
        self.details.iter().any(|(url, _)| url.ends_with(&end))
    }
}

impl From<Status> for BuildError {
    /// An error of the client's session.
    fn from(status: Status) -> Self {
        Self::new(status.message()).code(status.code())
    }
}

/// The code that stands for an HTTP status, by the table of gRPC.
pub(super) fn code_of(status: u16) -> Code {
    match status {
        400 => Code::InvalidArgument,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 | 410 => Code::NotFound,
        408 | 504 => Code::DeadlineExceeded,
        409 => Code::AlreadyExists,
        429 => Code::ResourceExhausted,
        500 => Code::Internal,
        501 => Code::Unimplemented,
        502 | 503 => Code::Unavailable,
        _ => Code::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_are_json_in_any() {
        let file = SourceFile {
            name: "Dockerfile".to_owned(),
            data: b"FROM scratch\nRUN false\n".to_vec(),
        };
        let status = BuildError::new("exit code: 1")
            .exit_code(1)
            .at(&file, &(2..=2))
            .at(&file, &(1..=1))
            .context("failed")
            .into_status();
        assert_eq!(
            (status.code(), status.message()),
            (Code::Unknown, "failed: exit code: 1")
        );
        let decoded = rpc::Status::decode(status.details()).unwrap();
        assert_eq!(decoded.details.len(), 2);
        let source: Value = serde_json::from_slice(&decoded.details[1].value).unwrap();
        assert_eq!(source["ranges"][0]["start"]["line"], 2);
    }
}
