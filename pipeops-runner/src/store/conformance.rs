//! What every store must do.

use std::time::Duration;

use jiff::Timestamp;
use pipeops_core::diagnosis::codes;
use pipeops_core::{Diagnosis, EventKind, Step};
use serde_json::json;

use super::{DeploymentFilter, NewEvent, Store};
use crate::deployment::{
    Deployment, Ending, Fence, JournalEntry, NewDeployment, Status, Submitted,
};
use crate::project::{Environment, Project};
use crate::queue::{Claim, Queue};
use pipeops_core::CommitSha;

const LEASE: Duration = Duration::from_secs(60);

/// A complete project.
pub(crate) fn shop(name: &str) -> Project {
    let environment = Environment::new("production")
        .unwrap()
        .branch("main")
        .cluster("default");
    Project::new(name)
        .unwrap()
        .repository("https://git.example.com/team/shop.git".parse().unwrap())
        .image("registry.example.com/team/shop".parse().unwrap())
        .webhook_secret("hunter22")
        .registry_login("ci", "registry-password")
        .environment(environment)
}

/// A commit whose SHA is one digit, repeated.
pub(crate) fn commit(digit: char) -> CommitSha {
    digit.to_string().repeat(40).parse().unwrap()
}

/// A push to main that moves it from one commit to another.
pub(crate) fn push(project: Project, before: char, after: char) -> NewDeployment {
    let reference = "refs/heads/main".parse().unwrap();
    NewDeployment {
        before: Some(commit(before)),
        deduplicate: true,
        ..NewDeployment::new(project, "production", reference, commit(after))
    }
}

async fn submit(store: &dyn Store, new: NewDeployment) -> Submitted {
    store.submit(vec![new]).await.unwrap().remove(0)
}

async fn queued(store: &dyn Store, new: NewDeployment) -> Deployment {
    match submit(store, new).await {
        Submitted::Queued(deployment) => deployment,
        Submitted::Duplicate(first) => panic!("a duplicate of {first:?}"),
    }
}

async fn claimed(store: &dyn Store, queue: &dyn Queue) -> Claim {
    queued(store, push(shop("shop"), '1', '2')).await;
    queue.claim("r1", LEASE).await.unwrap().unwrap()
}

pub(crate) async fn a_project_comes_back_with_its_secrets(store: &dyn Store, _queue: &dyn Queue) {
    assert_eq!(store.project("shop").await.unwrap(), None);
    store.put_project(&shop("shop")).await.unwrap();
    let changed = shop("shop").webhook_secret("another");
    store.put_project(&changed).await.unwrap();
    assert_eq!(store.project("shop").await.unwrap(), Some(changed));

    store.put_project(&shop("bakery")).await.unwrap();
    let projects = store.projects().await.unwrap();
    let names: Vec<&str> = projects.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, ["bakery", "shop"]);
    let listed = projects[0].secrets.all();
    assert!(listed.is_empty(), "a list contains no secrets");
}

pub(crate) async fn the_same_push_is_one_deployment(store: &dyn Store, _queue: &dyn Queue) {
    let mut new = push(shop("shop"), '1', '2');
    new.delivery = Some("delivery-1".into());
    let first = queued(store, new.clone()).await;
    let duplicate = Submitted::Duplicate(first.clone());
    assert_eq!(submit(store, new.clone()).await, duplicate, "same delivery");

    new.delivery = Some("delivery-2".into());
    assert_eq!(submit(store, new.clone()).await, duplicate, "same push");
    new.before = Some(commit('9'));
    assert_eq!(submit(store, new.clone()).await, duplicate, "same newest");

    queued(store, push(shop("shop"), '2', '3')).await;
    let late = submit(store, push(shop("shop"), '1', '2')).await;
    assert_eq!(late.deployment().id, first.id, "a late replay");
    assert!(matches!(late, Submitted::Duplicate(_)));

    let mut elsewhere = push(shop("shop"), '1', '2');
    elsewhere.environment = "staging".into();
    queued(store, elsewhere).await;
    queued(store, push(shop("other"), '1', '2')).await;
}

pub(crate) async fn a_branch_that_is_set_back_is_deployed_again(
    store: &dyn Store,
    _queue: &dyn Queue,
) {
    for (before, after) in [('1', '2'), ('2', '3'), ('3', '2'), ('2', '3')] {
        queued(store, push(shop("shop"), before, after)).await;
    }
}

pub(crate) async fn a_newer_commit_replaces_a_queued_one(store: &dyn Store, queue: &dyn Queue) {
    let old = queued(store, push(shop("shop"), '1', '2')).await;
    let new = queued(store, push(shop("shop"), '2', '3')).await;
    let old = store.deployment(&old.id).await.unwrap().unwrap();
    assert_eq!(old.status, Status::Cancelled);
    assert!(old.finished.is_some());
    let events = store.events_after(0, Some(&old.id), 10).await.unwrap();
    assert!(matches!(
        &events[1].kind,
        EventKind::Cancelled { reason } if reason == "replaced by commit 3333333"
    ));
    let claim = queue.claim("r1", LEASE).await.unwrap().unwrap();
    assert_eq!(claim.deployment.id, new.id);
}

pub(crate) async fn a_manual_deployment_is_never_a_duplicate(
    store: &dyn Store,
    _queue: &dyn Queue,
) {
    queued(store, push(shop("shop"), '1', '2')).await;
    let mut manual = push(shop("shop"), '1', '2');
    manual.deduplicate = false;
    queued(store, manual).await;
    let filter = DeploymentFilter::default().project("shop");
    assert_eq!(store.deployments(&filter).await.unwrap().len(), 2);
    let limited = store.deployments(&filter.limit(1)).await.unwrap();
    assert_eq!(limited[0].status, Status::Queued, "newest first");
}

pub(crate) async fn a_lost_lease_cannot_write(store: &dyn Store, queue: &dyn Queue) {
    queued(store, push(shop("shop"), '1', '2')).await;
    let dead = queue.claim("dead", Duration::ZERO).await.unwrap().unwrap();
    let heir = queue.claim("heir", LEASE).await.unwrap().unwrap();

    let ending = Ending::Succeeded { image: "i".into() };
    let refused = [
        store.record_step(&dead.fence, &entry("zombie")).await,
        store.finish(&dead.fence, &ending).await,
    ];
    for answer in refused {
        assert!(answer.unwrap_err().is_lease_lost());
    }
    let last = store.last_event().await.unwrap();
    let events = vec![warning(&dead.fence, "zombie"), warning(&heir.fence, "heir")];
    let written = store.append_events(events).await.unwrap();
    assert_eq!(written.len(), 1);
    assert_eq!(written[0].seq, last + 1);
    assert!(store.journal(&dead.deployment.id).await.unwrap().is_empty());
    store.finish(&heir.fence, &ending).await.unwrap();
}

pub(crate) async fn the_journal_keeps_typed_outputs(store: &dyn Store, queue: &dyn Queue) {
    let claim = claimed(store, queue).await;
    let build = JournalEntry {
        step: Step::Build,
        ..entry("built")
    };
    for entry in [&entry("first"), &entry("again"), &build] {
        store.record_step(&claim.fence, entry).await.unwrap();
    }
    let journal = store.journal(&claim.deployment.id).await.unwrap();
    assert_eq!(journal, [entry("again"), build]);
    let events = store.events_after(0, None, 10).await.unwrap();
    let last = EventKind::StepFinished {
        step: Step::Build,
        millis: 12,
        summary: "built".into(),
    };
    assert_eq!(events.last().unwrap().kind, last);
}

pub(crate) async fn events_are_numbered_without_gaps(store: &dyn Store, queue: &dyn Queue) {
    let claim = claimed(store, queue).await;
    let first = store.last_event().await.unwrap();
    let events = (0..5)
        .map(|n| warning(&claim.fence, &n.to_string()))
        .collect();
    let written = store.append_events(events).await.unwrap();
    let numbers: Vec<u64> = written.iter().map(|event| event.seq).collect();
    let expected: Vec<u64> = (first + 1..=first + 5).collect();
    assert_eq!(numbers, expected);
    assert_eq!(store.events_after(first, None, 100).await.unwrap(), written);
    let id = claim.deployment.id.as_str();
    let middle = store.events_after(first + 2, Some(id), 2).await;
    assert_eq!(middle.unwrap(), written[2..4]);
    let other = store.events_after(0, Some("other"), 9).await;
    assert_eq!(other.unwrap(), []);
}

pub(crate) async fn a_deployment_ends_once(store: &dyn Store, queue: &dyn Queue) {
    let claim = claimed(store, queue).await;
    let diagnosis = Diagnosis::new(&codes::UNKNOWN);
    let ending = Ending::Failed {
        diagnosis: diagnosis.clone(),
        rolled_back: true,
    };
    store.finish(&claim.fence, &ending).await.unwrap();
    let again = store.finish(&claim.fence, &ending).await;
    assert!(again.unwrap_err().is_lease_lost());

    let deployment = store.deployment(&claim.deployment.id).await;
    let deployment = deployment.unwrap().unwrap();
    assert_eq!(deployment.status, Status::Failed);
    assert_eq!(deployment.diagnosis, Some(diagnosis));
    assert!(deployment.rolled_back && deployment.finished.is_some());
    let events = store.events_after(0, None, 100).await.unwrap();
    assert!(events.last().unwrap().kind.is_final());
    assert!(queue.claim("r2", LEASE).await.unwrap().is_none());
}

fn entry(summary: &str) -> JournalEntry {
    JournalEntry {
        step: Step::Clone,
        millis: 12,
        summary: summary.to_owned(),
        output: json!({"files": 3, "secret": "in a stack"}),
    }
}

fn warning(fence: &Fence, message: &str) -> NewEvent {
    let message = message.to_owned();
    // Whole microseconds: that is what stores keep.
    let at = Timestamp::from_microsecond(Timestamp::now().as_microsecond()).unwrap();
    NewEvent::new(fence.clone(), at, EventKind::Warning { message })
}
