//! Push events of Bitbucket Cloud (`repo:push`) and Bitbucket Data Center (`repo:refs_changed`).

use serde::Deserialize;

use super::body::{BodyError, from_json, or, or_default};
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

    #[derive(Default, Deserialize)]
    #[serde(default)]
    pub(super) struct Push {
        #[serde(deserialize_with = "or_default")]
        actor: Actor,
        #[serde(deserialize_with = "or_default")]
        repository: Repository,
        #[serde(deserialize_with = "or_default")]
        push: Changes,
    }

    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Actor {
        #[serde(deserialize_with = "or_default")]
        nickname: String,
        #[serde(deserialize_with = "or_default")]
        display_name: String,
    }

    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Repository {
        #[serde(deserialize_with = "or_default")]
        full_name: String,
    }

    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Changes {
        #[serde(deserialize_with = "or_default")]
        changes: Vec<Change>,
    }

    /// A ref before and after the push. It has no name where it doesn't exist.
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Change {
        #[serde(deserialize_with = "or_default")]
        old: RefState,
        #[serde(deserialize_with = "or_default")]
        new: RefState,
    }

    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct RefState {
        #[serde(rename = "type", deserialize_with = "or_default")]
        kind: String,
        #[serde(deserialize_with = "or_default")]
        name: String,
        #[serde(deserialize_with = "or_default")]
        target: Target,
    }

    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Target {
        #[serde(deserialize_with = "or_default")]
        hash: String,
        #[serde(deserialize_with = "or_default")]
        message: String,
    }

    impl Push {
        pub(super) fn into_raw(self) -> Vec<RawPush> {
            let pusher = or(self.actor.nickname, self.actor.display_name);
            let repository = self.repository.full_name;
            let changes = self.push.changes.into_iter();
            changes
                .filter(|change| !change.old.name.is_empty() || !change.new.name.is_empty())
                .map(|change| change.into_raw(&repository, &pusher))
                .collect()
        }
    }

    impl Change {
        fn into_raw(self, repository: &str, pusher: &str) -> RawPush {
            let state = if self.new.name.is_empty() {
                &self.old
            } else {
                &self.new
            };
            RawPush {
                repository: repository.to_owned(),
                reference: state.reference(),
                before: self.old.target.hash,
                message: self.new.target.message,
                after: self.new.target.hash,
                pusher: pusher.to_owned(),
                ..RawPush::default()
            }
        }
    }

    impl RefState {
        /// Empty if the ref isn't named.
        fn reference(&self) -> String {
            let folder = match self.kind.as_str() {
                "branch" => "heads",
                _ => "tags",
            };
            if self.kind.is_empty() || self.name.is_empty() {
                return String::new();
            }
            format!("refs/{folder}/{}", self.name)
        }
    }
}

/// <https://confluence.atlassian.com/bitbucketserver/event-payload-938025882.html#Eventpayload-push>
mod data_center {
    use super::*;

    #[derive(Default, Deserialize)]
    #[serde(default)]
    pub(super) struct Push {
        #[serde(deserialize_with = "or_default")]
        actor: Actor,
        #[serde(deserialize_with = "or_default")]
        repository: Repository,
        #[serde(deserialize_with = "or_default")]
        changes: Vec<Change>,
    }

    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Actor {
        #[serde(deserialize_with = "or_default")]
        name: String,
    }

    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Repository {
        #[serde(deserialize_with = "or_default")]
        slug: String,
        #[serde(deserialize_with = "or_default")]
        project: Project,
    }

    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Project {
        #[serde(deserialize_with = "or_default")]
        key: String,
    }

    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct Change {
        #[serde(rename = "ref", deserialize_with = "or_default")]
        reference: Reference,
        #[serde(deserialize_with = "or_default")]
        from_hash: String,
        #[serde(deserialize_with = "or_default")]
        to_hash: String,
    }

    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Reference {
        #[serde(deserialize_with = "or_default")]
        id: String,
    }

    impl Push {
        pub(super) fn into_raw(self) -> Vec<RawPush> {
            let repository = self.repository.full_name();
            let pusher = self.actor.name;
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

    impl Repository {
        /// Empty if a part of it is missing.
        fn full_name(&self) -> String {
            let (key, slug) = (&self.project.key, &self.slug);
            if key.is_empty() || slug.is_empty() {
                return String::new();
            }
            format!("{key}/{slug}")
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
