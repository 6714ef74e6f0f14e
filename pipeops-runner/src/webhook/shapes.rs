//! Payloads as the forges document and send them, and what they mean.

use serde_json::{Map, Value};

use super::*;

/// Each payload with the forge that sends it, the event, and what it says: who moves which ref from where to where, the message,
/// and the changed paths.
#[rustfmt::skip]
const SHAPES: &[(&str, Forge, &str, &str)] = &[
    (include_str!("shapes/github-push.json"), Forge::GitHub, "push", "team/shop: ada moves refs/heads/main 1f7a7a4 → 8c3d1f0 (Sell umbrellas) README.md api/umbrella.go"),
    (include_str!("shapes/github-tag.json"), Forge::GitHub, "push", "team/shop: ada moves refs/tags/v1 - → 8c3d1f0 (Sell umbrellas) ?"),
    (include_str!("shapes/github-branch-deleted.json"), Forge::GitHub, "push", "team/shop: ada moves refs/heads/gone 1f7a7a4 → - () ?"),
    (include_str!("shapes/github-ping.json"), Forge::GitHub, "ping", "a test"),
    (include_str!("shapes/gitea-push.json"), Forge::Gitea, "push", "team/shop: ada moves refs/heads/main 1f7a7a4 → 8c3d1f0 (Sell umbrellas) README.md api/umbrella.go"),
    (include_str!("shapes/gitea-merge-without-paths.json"), Forge::Gitea, "push", "team/shop: ada moves refs/heads/main 1f7a7a4 → 8c3d1f0 (Merge branch 'umbrellas') ?"),
    (include_str!("shapes/gitea-test-of-empty-repository.json"), Forge::Gitea, "push", "a test"),
    (include_str!("shapes/gitea-test.json"), Forge::Gitea, "push", "a test"),
    (include_str!("shapes/forgejo-push.json"), Forge::Forgejo, "push", "team/shop: ada moves refs/heads/main 1f7a7a4 → 8c3d1f0 (Sell umbrellas) README.md api/umbrella.go"),
    (include_str!("shapes/forgejo-tag.json"), Forge::Forgejo, "push", "team/shop: ada moves refs/tags/v1 - → 8c3d1f0 () ?"),
    (include_str!("shapes/forgejo-branch-deleted.json"), Forge::Forgejo, "push", "team/shop: ada moves refs/heads/gone 1f7a7a4 → - () ?"),
    (include_str!("shapes/forgejo-test.json"), Forge::Forgejo, "push", "a test"),
    (include_str!("shapes/gitlab-push.json"), Forge::GitLab, "Push Hook", "team/sub/shop: ada moves refs/heads/main 1f7a7a4 → 8c3d1f0 (Sell umbrellas) README.md api/umbrella.go"),
    (include_str!("shapes/gitlab-tag.json"), Forge::GitLab, "Tag Push Hook", "team/sub/shop: ada moves refs/tags/v1 - → 8c3d1f0 () ?"),
    (include_str!("shapes/gitlab-tag-deleted.json"), Forge::GitLab, "Tag Push Hook", "team/sub/shop: ada moves refs/tags/v1 9d1f0b5 → - () ?"),
    (include_str!("shapes/gitlab-branch-deleted.json"), Forge::GitLab, "Push Hook", "team/sub/shop: ada moves refs/heads/gone 1f7a7a4 → - () ?"),
    (include_str!("shapes/gitlab-test-of-one-commit.json"), Forge::GitLab, "Push Hook", "a test"),
    (include_str!("shapes/bitbucket-cloud-push.json"), Forge::Bitbucket, "repo:push", "team/shop: ada moves refs/heads/main 1f7a7a4 → 8c3d1f0 (Sell umbrellas) ?"),
    (include_str!("shapes/bitbucket-cloud-tag.json"), Forge::Bitbucket, "repo:push", "team/shop: ada moves refs/tags/v1 - → 8c3d1f0 (Sell umbrellas) ?"),
    (include_str!("shapes/bitbucket-cloud-branch-deleted.json"), Forge::Bitbucket, "repo:push", "team/shop: ada moves refs/heads/gone 1f7a7a4 → - () ?"),
    (include_str!("shapes/bitbucket-cloud-nothing.json"), Forge::Bitbucket, "repo:push", "nothing"),
    (include_str!("shapes/bitbucket-data-center-push.json"), Forge::Bitbucket, "repo:refs_changed", "TEAM/shop: ada moves refs/heads/main 1f7a7a4 → 8c3d1f0 () ?"),
    (include_str!("shapes/bitbucket-data-center-tag.json"), Forge::Bitbucket, "repo:refs_changed", "TEAM/shop: ada moves refs/tags/v1 - → 8c3d1f0 () ?"),
    (include_str!("shapes/bitbucket-data-center-branch-deleted.json"), Forge::Bitbucket, "repo:refs_changed", "TEAM/shop: ada moves refs/heads/gone 1f7a7a4 → - () ?"),
    (include_str!("shapes/bitbucket-data-center-test.json"), Forge::Bitbucket, "diagnostics:ping", "a test"),
];

fn read(forge: Forge, event: &str, body: &str) -> Result<String, ParseError> {
    let verified = Verified {
        forge,
        event: event.to_owned(),
        delivery: None,
    };
    Ok(match parse(&verified, None, body.as_bytes())? {
        Payload::Push(pushes) if pushes.is_empty() => "nothing".to_owned(),
        Payload::Push(pushes) => pushes.iter().map(told).collect::<Vec<_>>().join("\n"),
        Payload::Ping => "a test".to_owned(),
        Payload::Other(event) => event,
    })
}

fn told(push: &PushEvent) -> String {
    let short = |commit: &Option<pipeops_core::CommitSha>| match commit {
        Some(commit) => commit.as_str()[..7].to_owned(),
        None => "-".to_owned(),
    };
    let changed = push.changed.as_ref().map(|paths| paths.join(" "));
    format!(
        "{}: {} moves {} {} → {} ({}) {}",
        push.repository,
        push.pusher.as_deref().unwrap_or("somebody"),
        push.reference,
        short(&push.before),
        short(&push.after),
        push.message.as_deref().unwrap_or_default(),
        changed.unwrap_or_else(|| "?".to_owned()),
    )
}

#[test]
fn every_payload_of_every_forge_is_read() {
    for (body, forge, event, expected) in SHAPES {
        assert_eq!(read(*forge, event, body).unwrap(), *expected, "{body}");
    }
}

/// The forges disagree with each other, and with their older versions, on how to write nothing.
#[test]
fn null_missing_and_empty_mean_the_same_in_every_field() {
    for (body, forge, event, _) in SHAPES {
        let payload: Value = serde_json::from_str(body).unwrap();
        let read = |payload: &Value| read(*forge, event, &payload.to_string()).ok();
        for path in fields(&payload, "") {
            let missing = read(&with(&payload, &path, None));
            let null = read(&with(&payload, &path, Some(Value::Null)));
            assert_eq!(null, missing, "{path} is null in {body}");
            if let Some(empty) = emptied(payload.pointer(&path).unwrap()) {
                let empty = read(&with(&payload, &path, Some(empty)));
                assert_eq!(empty, missing, "{path} is empty in {body}");
            }
        }
    }
}

#[test]
fn all_lists_and_objects_that_may_be_null_can_be_null_together() {
    for (body, forge, event, _) in SHAPES {
        let payload: Value = serde_json::from_str(body).unwrap();
        let mut all = payload.clone();
        for path in fields(&payload, "") {
            let nulled = with(&all, &path, Some(Value::Null));
            if all.pointer(&path).is_some() && read(*forge, event, &nulled.to_string()).is_ok() {
                all = nulled;
            }
        }
        assert!(read(*forge, event, &all.to_string()).is_ok(), "{all}");
    }
}

/// The JSON pointers of all fields of all objects, outer ones last.
fn fields(value: &Value, at: &str) -> Vec<String> {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (key.clone(), value))
            .collect(),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(n, value)| (n.to_string(), value))
            .collect(),
        _ => Vec::new(),
    };
    let mut all = Vec::new();
    for (key, child) in children {
        let path = format!("{at}/{key}");
        all.extend(fields(child, &path));
        if value.is_object() {
            all.push(path);
        }
    }
    all
}

fn with(payload: &Value, path: &str, value: Option<Value>) -> Value {
    let mut payload = payload.clone();
    let (parent, key) = path.rsplit_once('/').unwrap();
    let parent = payload
        .pointer_mut(parent)
        .unwrap()
        .as_object_mut()
        .unwrap();
    match value {
        Some(value) => parent.insert(key.to_owned(), value),
        None => parent.remove(key),
    };
    payload
}

/// The same kind of value without content; `None` for numbers and booleans.
fn emptied(value: &Value) -> Option<Value> {
    match value {
        Value::String(_) => Some(Value::String(String::new())),
        Value::Array(_) => Some(Value::Array(Vec::new())),
        Value::Object(_) => Some(Value::Object(Map::new())),
        _ => None,
    }
}
