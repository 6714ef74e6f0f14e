//! SSH agents for `RUN --mount=type=ssh`. Forwards bytes between a step and an agent's socket or an agent in this process. Keys
//! never leave the agent.

#[cfg(feature = "ssh-keys")]
pub(crate) mod keys;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::pin::Pin;

use async_trait::async_trait;
use bollard_buildkit_proto::moby::sshforward::v1 as proto;
use futures::Stream;
use tonic::{Request, Response, Status, Streaming};

/// Which agent a connection is for.
const ID: &str = "buildkit.ssh.id";

/// Who signs.
#[derive(Debug, Clone)]
pub(crate) enum Agent {
    /// The agent that listens at this socket.
    Socket(PathBuf),
    /// This process, with these keys.
    #[cfg(feature = "ssh-keys")]
    Keys(Vec<std::sync::Arc<keys::Key>>),
}

/// The service: agents by id.
#[derive(Debug)]
pub(crate) struct Ssh(BTreeMap<String, Agent>);

impl Ssh {
    pub(crate) fn new(agents: BTreeMap<String, Agent>) -> Self {
        Self(agents)
    }

    fn agent(&self, id: &str) -> Result<&Agent, Status> {
        // What a Dockerfile that names none asks for.
        let id = if id.is_empty() { "default" } else { id };
        // As the daemon's own client words it: the daemon tells an optional mount by the code.
        self.0
            .get(id)
            .ok_or_else(|| Status::not_found(format!("unset ssh forward key {id}")))
    }
}

type Answer = Pin<Box<dyn Stream<Item = Result<proto::BytesMessage, Status>> + Send>>;

#[async_trait]
impl proto::ssh_server::Ssh for Ssh {
    async fn check_agent(
        &self,
        request: Request<proto::CheckAgentRequest>,
    ) -> Result<Response<proto::CheckAgentResponse>, Status> {
        self.agent(&request.get_ref().id)?;
        Ok(Response::new(proto::CheckAgentResponse {}))
    }

    type ForwardAgentStream = Answer;

    async fn forward_agent(
        &self,
        request: Request<Streaming<proto::BytesMessage>>,
    ) -> Result<Response<Answer>, Status> {
        let id = request
            .metadata()
            .get(ID)
            .and_then(|id| id.to_str().ok())
            .unwrap_or_default();
        let agent = self.agent(id)?.clone();
        let incoming = request.into_inner();
        let answer = match agent {
            Agent::Socket(socket) => imp::forward(socket, incoming).await?,
            #[cfg(feature = "ssh-keys")]
            Agent::Keys(keys) => answer(keys, incoming),
        };
        Ok(Response::new(answer))
    }
}

/// Answers what a step asks, until it hangs up.
#[cfg(feature = "ssh-keys")]
fn answer(
    keys: Vec<std::sync::Arc<keys::Key>>,
    incoming: impl Stream<Item = Result<proto::BytesMessage, Status>> + Send + 'static,
) -> Answer {
    use futures::StreamExt as _;

    let mut conversation = keys::Conversation::new(keys);
    let answers = incoming.map(move |message| {
        let data = conversation
            .hear(&message?.data)
            .map_err(|keys::NoAgentMessage| {
                Status::invalid_argument("this is not a message of the agent protocol")
            })?;
        Ok(proto::BytesMessage { data })
    });
    Box::pin(answers)
}

#[cfg(unix)]
mod imp {
    use std::path::PathBuf;

    use bollard_buildkit_proto::moby::sshforward::v1::BytesMessage;
    use futures::{Stream, StreamExt};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixStream;
    use tokio_util::task::AbortOnDropHandle;
    use tonic::Status;

    use super::Answer;

    /// The size of the read buffer.
    const PIECE: usize = 32 << 10;

    /// Connects to the agent. When the step has said all, only that direction is closed: the agent's answer may be on its way.
    pub(super) async fn forward(
        socket: PathBuf,
        mut incoming: impl Stream<Item = Result<BytesMessage, Status>> + Send + Unpin + 'static,
    ) -> Result<Answer, Status> {
        let fail = |error| {
            Status::unavailable(format!(
                "cannot reach the SSH agent at {}: {error}",
                socket.display()
            ))
        };
        let (reader, mut writer) = UnixStream::connect(&socket)
            .await
            .map_err(fail)?
            .into_split();
        let asking = AbortOnDropHandle::new(tokio::spawn(async move {
            while let Some(Ok(message)) = incoming.next().await {
                if writer.write_all(&message.data).await.is_err() {
                    return;
                }
            }
            let _ = writer.shutdown().await;
        }));
        // The task lives as long as the answer.
        let state = (reader, asking);
        let answers = futures::stream::try_unfold(state, |(mut reader, asking)| async move {
            let mut data = vec![0; PIECE];
            let length = reader
                .read(&mut data)
                .await
                .map_err(|error| Status::aborted(error.to_string()))?;
            data.truncate(length);
            Ok((length > 0).then_some((BytesMessage { data }, (reader, asking))))
        });
        Ok(Box::pin(answers))
    }
}

#[cfg(not(unix))]
mod imp {
    use std::path::PathBuf;

    use bollard_buildkit_proto::moby::sshforward::v1::BytesMessage;
    use futures::Stream;
    use tonic::Status;

    use super::Answer;

    pub(super) async fn forward(
        _socket: PathBuf,
        _incoming: impl Stream<Item = Result<BytesMessage, Status>> + Send + Unpin + 'static,
    ) -> Result<Answer, Status> {
        Err(Status::unimplemented(
            "SSH agents are supported on Unix only",
        ))
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use bollard_buildkit_proto::moby::sshforward::v1::BytesMessage;
    use futures::{StreamExt, TryStreamExt};
    use proto::ssh_server::Ssh as _;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn an_agent_that_nobody_named_is_absent() {
        let ssh = Ssh::new([("default".to_owned(), Agent::Socket("/s".into()))].into());
        let check = async |id: &str| {
            let request = proto::CheckAgentRequest { id: id.to_owned() };
            ssh.check_agent(Request::new(request))
                .await
                .map(drop)
                .map_err(|status| status.code())
        };
        assert_eq!(check("").await, Ok(()));
        assert_eq!(check("default").await, Ok(()));
        assert_eq!(check("other").await, Err(tonic::Code::NotFound));
    }

    /// An agent that answers only when it has heard everything: it hears the end because one direction is closed.
    #[tokio::test]
    async fn an_answer_arrives_after_the_question_has_ended() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("agent.sock");
        let listener = tokio::net::UnixListener::bind(&socket).unwrap();
        let agent = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut heard = Vec::new();
            stream.read_to_end(&mut heard).await.unwrap();
            heard.reverse();
            stream.write_all(&heard).await.unwrap();
        });
        let message = |data: &[u8]| {
            Ok(BytesMessage {
                data: data.to_vec(),
            })
        };
        let question = futures::stream::iter([message(b"ab"), message(b"c")]);
        let answer = imp::forward(socket.clone(), question).await.unwrap();
        let answer: Vec<u8> = answer
            .map_ok(|message| message.data)
            .try_concat()
            .await
            .unwrap();
        assert_eq!(answer, b"cba");
        agent.await.unwrap();

        std::fs::remove_file(&socket).unwrap();
        let error = imp::forward(socket, futures::stream::empty().boxed())
            .await
            .err()
            .unwrap();
        assert!(error.message().contains("agent.sock"), "{error}");
    }
}
