//! What `RUN --mount` needs from the client's session: secrets and SSH agents.

use bollard_buildkit_proto::moby::buildkit::secrets::v1::GetSecretRequest;
use bollard_buildkit_proto::moby::buildkit::secrets::v1::secrets_client::SecretsClient;
use bollard_buildkit_proto::moby::sshforward::v1::CheckAgentRequest;
use bollard_buildkit_proto::moby::sshforward::v1::ssh_client::SshClient;
use tonic::{Code, Status};

use super::build::Build;
use super::error::{BuildError, BuildResult};

/// A mount that the client's session provides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    kind: Kind,
    id: String,
    required: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Secret,
    Ssh,
}

impl Mount {
    /// Reads the value of `--mount`. `None` for types that need nothing from the client.
    pub(super) fn parse(
        value: &str,
        expand: impl Fn(&str) -> BuildResult<String>,
    ) -> BuildResult<Option<Self>> {
        if value.contains('"') {
            return Err(BuildError::unsupported(format!(
                "the quoted --mount={value}"
            )));
        }
        let (mut kind, mut id, mut source, mut target) = Default::default();
        let mut required = false;
        for field in value.split(',') {
            let (key, text) = field.split_once('=').unwrap_or((field, "true"));
            let text = expand(text)?;
            match key.to_ascii_lowercase().as_str() {
                "type" => kind = text.to_ascii_lowercase(),
                "id" => id = text,
                "source" | "src" => source = text,
                "target" | "dst" | "destination" => target = text,
                "required" => required = boolean(&text)?,
                _ => {}
            }
        }
        let file = |path: &str| path.rsplit('/').next().map(str::to_owned);
        let known = |names: [String; 2]| names.into_iter().find(|name| !name.is_empty());
        let (kind, id) = match kind.as_str() {
            "secret" => (Kind::Secret, known([source, id]).or_else(|| file(&target))),
            "ssh" => (Kind::Ssh, known([id, "default".to_owned()])),
            _ => return Ok(None),
        };
        let id = id.filter(|id| !id.is_empty());
        let id = id.ok_or_else(|| BuildError::new("one of source, target required"))?;
        Ok(Some(Self { kind, id, required }))
    }
}

/// A boolean as Go reads it.
fn boolean(text: &str) -> BuildResult<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(BuildError::new(format!(
            "invalid value for required: {text}"
        ))),
    }
}

impl Build {
    /// Asks the client for what the mounts of a step need, as a daemon does before it runs the command.
    pub(super) async fn prepare(&self, mounts: &[Mount]) -> BuildResult<()> {
        for mount in mounts {
            let found = match mount.kind {
                Kind::Secret => self.has_secret(&mount.id).await?,
                Kind::Ssh => self.has_agent(&mount.id).await?,
            };
            match found {
                Ok(()) => self.daemon.note(&self.request.id, |seen| match mount.kind {
                    Kind::Secret => seen.secrets.push(mount.id.clone()),
                    Kind::Ssh => seen.ssh_agents.push(mount.id.clone()),
                }),
                Err(missing) if mount.required => return Err(missing),
                Err(_) => {}
            }
        }
        Ok(())
    }

    /// The inner error says that the client doesn't have this secret.
    async fn has_secret(&self, id: &str) -> BuildResult<Result<(), BuildError>> {
        let request = GetSecretRequest {
            id: id.to_owned(),
            ..Default::default()
        };
        let mut client = SecretsClient::new(self.session()?.channel.clone());
        match client.get_secret(request).await {
            Ok(_) => Ok(Ok(())),
            Err(status) if matches!(status.code(), Code::NotFound | Code::Unimplemented) => {
                Ok(Err(BuildError::new(format!("secret {id}: not found"))))
            }
            Err(status) => Err(status.into()),
        }
    }

    /// The inner error says why the client doesn't forward this agent.
    async fn has_agent(&self, id: &str) -> BuildResult<Result<(), BuildError>> {
        let missing = |status: Status| match status.code() {
            Code::Unimplemented => {
                BuildError::new(format!("no SSH key {id:?} forwarded from the client"))
            }
            _ => BuildError::from(status),
        };
        let mut client = SshClient::new(self.session()?.channel.clone());
        let request = CheckAgentRequest { id: id.to_owned() };
        let asked = client.check_agent(request).await;
        Ok(asked.map(|_| ()).map_err(missing))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(value: &str) -> Result<Option<(Kind, String, bool)>, String> {
        let mount = Mount::parse(value, |text| Ok(text.replace("$ID", "expanded")));
        let mount = mount.map_err(|error| error.vertex_message().to_owned())?;
        Ok(mount.map(|mount| (mount.kind, mount.id, mount.required)))
    }

    #[test]
    fn ids_have_the_defaults_of_buildkit() {
        for (value, kind, id, required) in [
            ("type=secret,id=tok", Kind::Secret, "tok", false),
            ("type=secret,id=tok,required", Kind::Secret, "tok", true),
            (
                "TYPE=Secret,ID=tok,required=TRUE",
                Kind::Secret,
                "tok",
                true,
            ),
            (
                "type=secret,id=tok,required=false",
                Kind::Secret,
                "tok",
                false,
            ),
            ("id=tok,env=TOKEN,type=secret", Kind::Secret, "tok", false),
            (
                "type=secret,target=/root/.npmrc",
                Kind::Secret,
                ".npmrc",
                false,
            ),
            ("type=secret,src=a,dst=/b", Kind::Secret, "a", false),
            ("type=secret,id=$ID", Kind::Secret, "expanded", false),
            ("type=ssh", Kind::Ssh, "default", false),
            ("type=ssh,id=deploy,required", Kind::Ssh, "deploy", true),
        ] {
            assert_eq!(
                parse(value),
                Ok(Some((kind, id.to_owned(), required))),
                "{value}"
            );
        }
        for value in [
            "type=cache,target=/c",
            "type=bind,from=a,target=/x",
            "target=/x",
        ] {
            assert_eq!(parse(value), Ok(None), "{value}");
        }
    }

    #[test]
    fn mounts_without_a_meaning_are_refused() {
        assert_eq!(
            parse("type=secret,required").unwrap_err(),
            "one of source, target required"
        );
        assert_eq!(
            parse("type=secret,id=a,required=yes").unwrap_err(),
            "invalid value for required: yes"
        );
        assert!(
            parse("\"type=secret\",id=a")
                .unwrap_err()
                .starts_with("stand-in: ")
        );
    }
}
