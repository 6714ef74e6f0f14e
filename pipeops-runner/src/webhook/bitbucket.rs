//! Push events of Bitbucket Cloud (`repo:push`) and Bitbucket Data Center (`repo:refs_changed`).

use serde::Deserialize;

use super::body::{BodyError, from_json};
use super::payload::Payload;
use super::push::{PushEvent, RawPush};

/// The most changes of one event that are read.
const MAX_CHANGES: usize = 100;

pub(super) fn parse(event: &str, body: &[u8]) -> Result<Payload, BodyError> {
    let raw: Vec<RawPush> = match event {
        "repo:push" => from_json::<cloud::Push>(body)?.into_raw(),
        "repo:refs_changed" => from_json::<data_center::Push>(body)?.into_raw(),
        "diagnostics:ping" => return Ok(Payload::Ping),
        other => return Ok(Payload::Other(other.to_owned())),
    };
    let pushes: Result<Vec<PushEvent>, BodyError> = raw
        .into_iter()
        .take(MAX_CHANGES)
        .map(PushEvent::try_from)
        .collect();
    Ok(Payload::Push(pushes?))
}

/// <https://support.atlassian.com/bitbucket-cloud/docs/event-payloads/#Push>
mod cloud {
    use super::*;

    #[derive(Deserialize)]
    pub(super) struct Push {
        actor: Option<Actor>,
        repository: Repository,
        push: Changes,
    }

    #[derive(Deserialize)]
    struct Actor {
        nickname: Option<String>,
        display_name: Option<String>,
    }

    #[derive(Deserialize)]
    struct Repository {
        full_name: String,
    }

    #[derive(Deserialize)]
    struct Changes {
        changes: Vec<Change>,
    }

    #[derive(Deserialize)]
    struct Change {
        old: Option<RefState>,
        new: Option<RefState>,
    }

    #[derive(Deserialize)]
    struct RefState {
        #[serde(rename = "type")]
        kind: String,
        name: String,
        target: Target,
    }

    #[derive(Deserialize)]
    struct Target {
        hash: String,
        message: Option<String>,
    }

    impl Push {
        pub(super) fn into_raw(self) -> Vec<RawPush> {
            let pusher = self.actor.and_then(|a| a.nickname.or(a.display_name));
            let repository = self.repository.full_name;
            let changes = self.push.changes.into_iter();
            changes
                .filter_map(|change| change.into_raw(&repository, pusher.clone()))
                .collect()
        }
    }

    impl Change {
        fn into_raw(self, repository: &str, pusher: Option<String>) -> Option<RawPush> {
            let state = self.new.as_ref().or(self.old.as_ref())?;
            let folder = if state.kind == "branch" {
                "heads"
            } else {
                "tags"
            };
            Some(RawPush {
                repository: repository.to_owned(),
                reference: format!("refs/{folder}/{}", state.name),
                before: self.old.as_ref().map(|old| old.target.hash.clone()),
                message: self.new.as_ref().and_then(|new| new.target.message.clone()),
                after: self.new.map(|new| new.target.hash),
                pusher,
                ..RawPush::default()
            })
        }
    }
}

/// <https://confluence.atlassian.com/bitbucketserver/event-payload-938025882.html#Eventpayload-push>
mod data_center {
    use super::*;

    #[derive(Deserialize)]
    pub(super) struct Push {
        actor: Option<Actor>,
        repository: Repository,
        changes: Vec<Change>,
    }

    #[derive(Deserialize)]
    struct Actor {
        name: Option<String>,
    }

    #[derive(Deserialize)]
    struct Repository {
        slug: String,
        project: Project,
    }

    #[derive(Deserialize)]
    struct Project {
        key: String,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Change {
        #[serde(rename = "ref")]
        reference: Reference,
        from_hash: Option<String>,
        to_hash: Option<String>,
    }

    #[derive(Deserialize)]
    struct Reference {
        id: String,
    }

    impl Push {
        pub(super) fn into_raw(self) -> Vec<RawPush> {
            let repository = format!("{}/{}", self.repository.project.key, self.repository.slug);
            let pusher = self.actor.and_then(|actor| actor.name);
            let raw = |change: Change| RawPush {
                repository: repository.clone(),
                reference: change.reference.id,
                before: change.from_hash,
                after: change.to_hash,
                pusher: pusher.clone(),
                ..RawPush::default()
            };
            self.changes.into_iter().map(raw).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const OLD: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const NEW: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    fn pushes(event: &str, body: &Value) -> Vec<PushEvent> {
        match parse(event, body.to_string().as_bytes()).unwrap() {
            Payload::Push(pushes) => pushes,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_cloud_reports_several_refs_at_once() {
        let place = |kind: &str, name: &str, hash: &str| json!({"type": kind, "name": name, "target": {"hash": hash, "message": "M"}});
        let body = json!({
            "actor": {"display_name": "Ada L.", "nickname": "ada"},
            "repository": {"full_name": "team/shop"},
            "push": {"changes": [
                {"old": place("branch", "main", OLD), "new": place("branch", "main", NEW)},
                {"old": null, "new": place("tag", "v1", NEW)},
                {"old": place("branch", "gone", OLD), "new": null},
            ]},
        });
        let pushes = pushes("repo:push", &body);
        let refs: Vec<String> = pushes.iter().map(|p| p.reference.to_string()).collect();
        assert_eq!(refs, ["refs/heads/main", "refs/tags/v1", "refs/heads/gone"]);
        assert!(pushes[1].before.is_none() && pushes[2].after.is_none());
        assert_eq!(pushes[0].message.as_deref(), Some("M"));
    }

    #[test]
    fn the_data_center_names_repositories_by_project_key() {
        let body = json!({
            "actor": {"name": "ada"},
            "repository": {"slug": "shop", "project": {"key": "TEAM"}},
            "changes": [{"ref": {"id": "refs/heads/main"}, "fromHash": OLD, "toHash": NEW, "type": "UPDATE"}],
        });
        let pushes = pushes("repo:refs_changed", &body);
        assert_eq!(pushes[0].repository, "TEAM/shop");
        assert_eq!(pushes[0].after.as_ref().unwrap().as_str(), NEW);
        assert_eq!(
            parse("diagnostics:ping", b"{\"test\":true}").unwrap(),
            Payload::Ping
        );
    }
}
