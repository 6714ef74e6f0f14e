//! Rollouts from beginning to end, on a cluster in memory.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use pipeops_core::Code;
use pipeops_core::diagnosis::codes::rollout as codes;
use pipeops_core::event::EventKind;

use super::*;
use crate::fake::FakeCluster;
use crate::fixtures::{crashed, deployment, pod, replica_set, running, state, waiting};
use crate::{ObjectId, Rollout};

/// What becomes of the pods of a revision.
#[derive(Clone, Copy)]
enum Fate {
    Healthy,
    Broken,
    Crashing,
    /// Runs, and never becomes ready.
    Unready,
    /// Its registry is down.
    Unpullable,
    /// Its image is pulled at this moment.
    Pulling,
}

fn stack(revision: &str) -> Stack {
    let config = format!("web-env-{revision}");
    let object = |value| Object::new(value).unwrap();
    Stack::new(
        "web",
        "shop",
        revision.parse().unwrap(),
        vec![
            object(
                json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": config}, "immutable": true,
                      "data": {"REVISION": revision}}),
            ),
            object(
                json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "web-secret"},
                      "stringData": {"PASSWORD": "hunter22"}}),
            ),
            object(
                json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
                      "spec": {"replicas": 1, "template": {"spec": {"containers": [
                          {"name": "web", "image": format!("r/web:{revision}"), "envFrom": [{"configMapRef": {"name": config}}]}]}}}}),
            ),
        ],
    )
}

/// A cluster in which each revision has its fate.
fn cluster(fates: &'static [(&str, Fate)]) -> Arc<FakeCluster> {
    let cluster = Arc::new(FakeCluster::default());
    set_fates(&cluster, fates);
    cluster
}

fn set_fates(cluster: &FakeCluster, fates: &'static [(&str, Fate)]) {
    cluster.react(move |object, generation| {
        let value = object.value();
        let revision = value["metadata"]["annotations"]["pipeops.dev/revision"].as_str()?;
        let replicas = value["spec"]["replicas"].as_u64()?;
        let fate = fates.iter().find(|(name, _)| *name == revision)?.1;
        Some(app_state(fate, generation, u32::try_from(replicas).ok()?))
    });
}

fn app_state(fate: Fate, generation: i64, replicas: u32) -> AppState {
    let healthy = matches!(fate, Fate::Healthy) || replicas == 0;
    let count = u32::from(healthy) * replicas;
    let status = json!({"observedGeneration": generation, "replicas": replicas, "updatedReplicas": replicas,
        "readyReplicas": count, "availableReplicas": count});
    let pod_status = match fate {
        Fate::Healthy => running(true),
        Fate::Broken => waiting("InvalidImageName", "invalid reference format"),
        Fate::Crashing => crashed("Error", 1, 3),
        Fate::Unready => running(false),
        Fate::Unpullable => waiting("ErrImagePull", "dial tcp: connect: connection refused"),
        Fate::Pulling => waiting("ContainerCreating", ""),
    };
    state(
        Some(deployment(generation, replicas, status)),
        &[replica_set("web-2", 2)],
        &[pod("web-2-a", "web-2", pod_status)],
    )
}

#[derive(Default)]
struct Told(Mutex<Vec<EventKind>>);

impl EventSink for Told {
    fn emit(&self, kind: EventKind) {
        self.0.lock().unwrap().push(kind);
    }
}

impl Told {
    fn has(&self, matches: impl Fn(&EventKind) -> bool) -> bool {
        self.0.lock().unwrap().iter().any(matches)
    }
}

fn rollout(cluster: &Arc<FakeCluster>) -> Rollout {
    Rollout::on(cluster.clone(), RolloutOptions::default().holder("test"))
}

async fn run(cluster: &Arc<FakeCluster>, revision: &str) -> Result<Outcome, Error> {
    rollout(cluster)
        .run(&stack(revision), &Told::default())
        .await
}

/// Runs a revision that doesn't become healthy, and dies before the deadline.
async fn run_and_die(cluster: &Arc<FakeCluster>, revision: &str) {
    let cut = tokio::time::timeout(Duration::from_secs(60), run(cluster, revision)).await;
    assert!(cut.is_err());
    cluster.writes();
}

fn live(cluster: &FakeCluster) -> Value {
    cluster
        .stored(&ObjectId::deployment("shop", "web"))
        .unwrap()
        .value()
        .clone()
}

fn revision(cluster: &FakeCluster) -> String {
    live(cluster)["metadata"]["annotations"]["pipeops.dev/revision"]
        .as_str()
        .unwrap()
        .to_owned()
}

fn rolled_back_to(outcome: Outcome) -> (Code, String) {
    match outcome {
        Outcome::RolledBack { diagnosis, to } => (diagnosis.code, to.to_string()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_healthy_revision_completes_and_the_workload_comes_last() {
    let cluster = cluster(&[("a", Fate::Healthy)]);
    let outcome = run(&cluster, "a").await.unwrap();
    assert!(outcome.is_complete());
    assert_eq!(
        cluster.writes(),
        [
            "apply ConfigMap/web-env-a",
            "apply Secret/web-secret",
            "apply Deployment/web"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_broken_revision_goes_back_with_its_configuration_kept() {
    let cluster = cluster(&[("a", Fate::Healthy), ("b", Fate::Broken)]);
    run(&cluster, "a").await.unwrap();
    let told = Told::default();
    let outcome = rollout(&cluster).run(&stack("b"), &told).await.unwrap();
    let (code, to) = rolled_back_to(outcome);
    assert_eq!(code, codes::IMAGE_PULL_INVALID_NAME);
    assert_eq!((to.as_str(), revision(&cluster).as_str()), ("a", "a"));
    let config = ObjectId::config_map("shop", "web-env-a");
    assert!(cluster.stored(&config).is_some());
    let back = |event: &EventKind| matches!(event, EventKind::RollingBack { to, .. } if to.as_str() == "a");
    assert!(told.has(back));
    let says = |text: &str| {
        told.has(|event| matches!(event, EventKind::Rollout { message, .. } if message == text))
    };
    assert!(says("Rolled back to a") && !says("Rollout complete"));
}

#[tokio::test(start_paused = true)]
async fn configuration_is_pruned_only_outside_of_the_rollback_window() {
    let cluster = cluster(&[
        ("a", Fate::Healthy),
        ("b", Fate::Healthy),
        ("c", Fate::Healthy),
    ]);
    for revision in ["a", "b", "c"] {
        run(&cluster, revision).await.unwrap();
    }
    let config = |name| cluster.stored(&ObjectId::config_map("shop", name));
    let exists = |name| config(name).is_some();
    assert!(!exists("web-env-a") && exists("web-env-b") && exists("web-env-c"));
    assert!(exists("pipeops-web"), "the record is not pruned");
}

#[tokio::test(start_paused = true)]
async fn a_failed_first_deployment_leaves_no_pods_and_the_next_one_brings_them_back() {
    let cluster = cluster(&[("a", Fate::Broken), ("b", Fate::Healthy)]);
    assert!(matches!(
        run(&cluster, "a").await.unwrap(),
        Outcome::Failed { .. }
    ));
    assert_eq!(live(&cluster)["spec"]["replicas"], 0);
    assert!(run(&cluster, "b").await.unwrap().is_complete());
    assert_eq!(live(&cluster)["spec"]["replicas"], 1);
    assert!(
        matches!(run(&cluster, "a").await.unwrap(), Outcome::RolledBack { to, .. } if to.as_str() == "b")
    );
}

#[tokio::test(start_paused = true)]
async fn the_same_stack_again_changes_nothing() {
    let cluster = cluster(&[("a", Fate::Healthy)]);
    run(&cluster, "a").await.unwrap();
    let before = live(&cluster)["metadata"]["generation"].clone();
    assert!(run(&cluster, "a").await.unwrap().is_complete());
    assert_eq!(live(&cluster)["metadata"]["generation"], before);
}

#[tokio::test(start_paused = true)]
async fn a_try_that_has_ended_is_not_acted_on_again_but_a_new_one_is() {
    let cluster = cluster(&[("a", Fate::Healthy), ("b", Fate::Broken)]);
    run(&cluster, "a").await.unwrap();
    let (rollout, stack, told) = (rollout(&cluster), stack("b"), Told::default());
    let once = async |id: &'static str| rollout.run_once(id, &stack, &told).await.unwrap();
    let first = once("d1").await;
    cluster.writes();
    assert_eq!(once("d1").await, first);
    assert!(cluster.writes().is_empty());
    set_fates(&cluster, &[("b", Fate::Healthy)]);
    assert!(once("d2").await.is_complete());
}

#[tokio::test(start_paused = true)]
async fn a_rollback_that_was_cut_off_is_continued() {
    let cluster = cluster(&[("a", Fate::Healthy), ("b", Fate::Broken)]);
    run(&cluster, "a").await.unwrap();
    // The way back hangs, and the process dies in it.
    set_fates(&cluster, &[("a", Fate::Unready), ("b", Fate::Broken)]);
    run_and_die(&cluster, "b").await;
    set_fates(&cluster, &[("a", Fate::Healthy)]);
    let (code, to) = rolled_back_to(run(&cluster, "b").await.unwrap());
    assert_eq!(code, codes::IMAGE_PULL_INVALID_NAME);
    assert_eq!(to, "a");
    assert_eq!(cluster.writes(), ["apply Deployment/web"], "of \"a\" only");
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_was_cut_off_is_continued() {
    let cluster = cluster(&[("a", Fate::Unready)]);
    run_and_die(&cluster, "a").await;
    let generation = live(&cluster)["metadata"]["generation"].as_i64().unwrap();
    cluster
        .state
        .send_replace(Arc::new(app_state(Fate::Healthy, generation, 1)));
    assert!(run(&cluster, "a").await.unwrap().is_complete());
    assert!(cluster.writes().is_empty(), "it was applied before");
}

#[tokio::test(start_paused = true)]
async fn the_steps_of_another_strategy_are_not_skipped() {
    let cluster = cluster(&[("a", Fate::Unready)]);
    run_and_die(&cluster, "a").await;
    let record = ObjectId::config_map("shop", "pipeops-web");
    let mut stored = cluster.stored(&record).unwrap();
    let text = stored.value()["data"]["record.json"].as_str().unwrap();
    let other = text
        .replace("deploymentUpdate", "other")
        .replace("\"step\":2", "\"step\":9");
    assert_ne!(other, text);
    stored.value_mut()["data"]["record.json"] = other.into();
    cluster.store(&record, stored);
    set_fates(&cluster, &[("a", Fate::Healthy)]);
    assert!(run(&cluster, "a").await.unwrap().is_complete());
    assert_eq!(cluster.writes().last().unwrap(), "apply Deployment/web");
}

#[tokio::test(start_paused = true)]
async fn a_revision_that_became_healthy_unwatched_is_where_the_next_one_goes_back() {
    let cluster = cluster(&[
        ("a", Fate::Healthy),
        ("b", Fate::Unready),
        ("c", Fate::Broken),
    ]);
    run(&cluster, "a").await.unwrap();
    run_and_die(&cluster, "b").await;
    let id = ObjectId::deployment("shop", "web");
    let mut healthy = cluster.stored(&id).unwrap();
    let generation = healthy.value()["metadata"]["generation"].clone();
    healthy.value_mut()["status"] = json!({"observedGeneration": generation, "replicas": 1,
        "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1});
    cluster.store(&id, healthy);
    set_fates(&cluster, &[("b", Fate::Healthy), ("c", Fate::Broken)]);
    assert_eq!(rolled_back_to(run(&cluster, "c").await.unwrap()).1, "b");
}

#[tokio::test(start_paused = true)]
async fn readiness_that_never_comes_ends_at_the_deadline() {
    let cluster = cluster(&[("a", Fate::Healthy), ("b", Fate::Unready)]);
    run(&cluster, "a").await.unwrap();
    let began = Instant::now();
    let (code, _) = rolled_back_to(run(&cluster, "b").await.unwrap());
    assert_eq!(code, codes::POD_READINESS_PROBE);
    assert_eq!(began.elapsed(), Duration::from_secs(300));
}

#[tokio::test(start_paused = true)]
async fn a_pull_that_is_retried_at_the_deadline_is_the_reason() {
    let cluster = cluster(&[("a", Fate::Unpullable)]);
    let options = RolloutOptions::default().deadline(Duration::from_secs(60));
    let (rollout, stack, told) = (
        Rollout::on(cluster.clone(), options),
        stack("a"),
        Told::default(),
    );
    let retry = async {
        tokio::time::sleep(Duration::from_secs(50)).await;
        let pulling = app_state(Fate::Pulling, 1, 1);
        cluster.state.send_replace(Arc::new(pulling));
    };
    let (outcome, ()) = tokio::join!(rollout.run(&stack, &told), retry);
    let outcome = outcome.unwrap();
    let code = &outcome.diagnosis().unwrap().code;
    assert_eq!(*code, codes::IMAGE_PULL_REGISTRY_DOWN);
}

#[tokio::test(start_paused = true)]
async fn a_rollback_that_does_not_complete_is_an_error_that_tells_both() {
    let cluster = cluster(&[("a", Fate::Healthy), ("b", Fate::Broken)]);
    run(&cluster, "a").await.unwrap();
    set_fates(&cluster, &[("a", Fate::Unready), ("b", Fate::Broken)]);
    let error = run(&cluster, "b").await.unwrap_err();
    assert!(
        matches!(&error, Error::RollbackIncomplete { to, diagnosis, .. }
        if to.as_str() == "a" && diagnosis.code == codes::IMAGE_PULL_INVALID_NAME)
    );
}

#[tokio::test(start_paused = true)]
async fn the_last_output_is_shown_without_secrets() {
    let cluster = cluster(&[("a", Fate::Crashing)]);
    cluster.set_logs("connecting with hunter22\npanic: no database\n");
    let outcome = run(&cluster, "a").await.unwrap();
    let diagnosis = outcome.diagnosis().unwrap();
    assert_eq!(diagnosis.code, codes::POD_CRASHED);
    assert_eq!(
        diagnosis.log,
        ["connecting with [redacted]", "panic: no database"]
    );
    let record = cluster
        .stored(&ObjectId::config_map("shop", "pipeops-web"))
        .unwrap();
    assert!(!record.value().to_string().contains("hunter22"));
}

#[tokio::test(start_paused = true)]
async fn undo_returns_to_the_revision_before_and_back() {
    let cluster = cluster(&[("a", Fate::Healthy), ("b", Fate::Healthy)]);
    let (rollout, told) = (rollout(&cluster), Told::default());
    let undo = async || rollout.undo("shop", "web", &told).await;
    run(&cluster, "a").await.unwrap();
    assert!(matches!(undo().await, Err(Error::NothingToUndo { .. })));
    run(&cluster, "b").await.unwrap();
    assert!(undo().await.unwrap().is_complete());
    assert_eq!(revision(&cluster), "a");
    assert!(undo().await.unwrap().is_complete());
    assert_eq!(revision(&cluster), "b");
}

#[tokio::test(start_paused = true)]
async fn undo_refuses_a_revision_whose_configuration_is_gone() {
    let cluster = cluster(&[("a", Fate::Healthy), ("b", Fate::Healthy)]);
    run(&cluster, "a").await.unwrap();
    run(&cluster, "b").await.unwrap();
    cluster
        .delete(&ObjectId::config_map("shop", "web-env-a"), "")
        .await
        .unwrap();
    let (rollout, told) = (rollout(&cluster), Told::default());
    let undone = rollout.undo("shop", "web", &told).await;
    let error = undone.unwrap_err().to_string();
    assert!(error.contains("needs ConfigMap/web-env-a"), "{error}");
    assert_eq!(revision(&cluster), "b");
}

#[tokio::test(start_paused = true)]
async fn what_runs_already_is_adopted_as_the_way_back() {
    let cluster = cluster(&[("old", Fate::Healthy), ("b", Fate::Broken)]);
    let id = ObjectId::deployment("shop", "web");
    let by_hand = json!({
        "metadata": {"generation": 1, "annotations": {"pipeops.dev/revision": "old"},
                     "managedFields": [{"manager": "pipeops", "fieldsV1": {"f:spec": {"f:replicas": {}}}}]},
        "spec": {"replicas": 1, "template": {"spec": {"containers": [{"name": "web", "image": "r/web:old"}]}}},
        "status": {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1}});
    cluster.store(&id, id.object(by_hand).unwrap());
    assert_eq!(rolled_back_to(run(&cluster, "b").await.unwrap()).1, "old");
    assert_eq!(
        live(&cluster)["spec"]["template"]["spec"]["containers"][0]["image"],
        "r/web:old"
    );
}
