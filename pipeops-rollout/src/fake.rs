//! A cluster in memory for unit tests. It stores applied objects and shows the state that a test sets.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use pipeops_core::Object;
use serde_json::json;
use tokio::sync::watch;

use crate::api_error::{Action, ApiError, ApiProblem, FieldConflict};
use crate::app_watch::{AppWatch, WatchHealth};
use crate::cluster::{ApplyMode, ClusterApi, ListQuery, LogQuery, ObjectId};
use crate::state::AppState;

/// Called after each apply with the object and its new generation; what it returns becomes the state.
type Controller = Box<dyn Fn(&Object, i64) -> Option<AppState> + Send + Sync>;

#[derive(Default)]
pub(crate) struct FakeCluster {
    objects: Mutex<BTreeMap<ObjectId, Object>>,
    conflict: Mutex<Option<FieldConflict>>,
    forced: Mutex<usize>,
    /// Every write in its order: `apply Deployment/web`.
    writes: Mutex<Vec<String>>,
    version: Mutex<u64>,
    pub(crate) state: watch::Sender<Arc<AppState>>,
    health: watch::Sender<WatchHealth>,
    controller: Mutex<Option<Controller>>,
    logs: Mutex<String>,
}

impl std::fmt::Debug for FakeCluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FakeCluster")
    }
}

impl FakeCluster {
    pub(crate) fn stored(&self, id: &ObjectId) -> Option<Object> {
        self.objects.lock().unwrap().get(id).cloned()
    }

    pub(crate) fn store(&self, id: &ObjectId, object: Object) -> Object {
        let mut version = self.version.lock().unwrap();
        *version += 1;
        let mut object = object;
        object.value_mut()["metadata"]["resourceVersion"] = version.to_string().into();
        self.objects
            .lock()
            .unwrap()
            .insert(id.clone(), object.clone());
        object
    }

    /// From now on another manager owns this field of everything.
    pub(crate) fn contest(&self, conflict: FieldConflict) {
        *self.conflict.lock().unwrap() = Some(conflict);
    }

    pub(crate) fn forced(&self) -> usize {
        *self.forced.lock().unwrap()
    }

    pub(crate) fn writes(&self) -> Vec<String> {
        std::mem::take(&mut *self.writes.lock().unwrap())
    }

    pub(crate) fn react(
        &self,
        controller: impl Fn(&Object, i64) -> Option<AppState> + Send + Sync + 'static,
    ) {
        *self.controller.lock().unwrap() = Some(Box::new(controller));
    }

    pub(crate) fn set_logs(&self, logs: &str) {
        *self.logs.lock().unwrap() = logs.to_owned();
    }

    fn wrote(&self, verb: &str, id: &ObjectId) {
        self.writes.lock().unwrap().push(format!("{verb} {id}"));
    }

    fn fail<T>(
        &self,
        verb: &'static str,
        id: &ObjectId,
        problem: ApiProblem,
    ) -> Result<T, ApiError> {
        Err(ApiError::new(
            Action::new(verb, &id.kind, &id.name, &id.namespace),
            problem,
        ))
    }
}

#[async_trait]
impl ClusterApi for FakeCluster {
    async fn get(&self, id: &ObjectId) -> Result<Option<Object>, ApiError> {
        Ok(self.stored(id))
    }

    async fn list(&self, query: &ListQuery<'_>) -> Result<Vec<Object>, ApiError> {
        let objects = self.objects.lock().unwrap();
        let of_kind = objects
            .iter()
            .filter(|(id, _)| id.kind == query.kind && id.namespace == query.namespace);
        Ok(of_kind.map(|(_, object)| object.clone()).collect())
    }

    async fn apply(
        &self,
        id: &ObjectId,
        object: &Object,
        mode: ApplyMode,
    ) -> Result<Object, ApiError> {
        match (mode, self.conflict.lock().unwrap().clone()) {
            (ApplyMode::Force, _) => *self.forced.lock().unwrap() += 1,
            (_, Some(conflict)) => {
                return self.fail("patch", id, ApiProblem::Conflict(vec![conflict]));
            }
            _ => {}
        }
        let before = self.stored(id);
        let mut new = object.clone();
        let metadata = &mut new.value_mut()["metadata"];
        metadata["uid"] = id.name.clone().into();
        metadata["managedFields"] = json!([{"manager": "pipeops", "operation": "Apply"}]);
        let generation = before.as_ref().map_or(0, |b| {
            b.value()["metadata"]["generation"].as_i64().unwrap_or(0)
        });
        let changed = before.is_none_or(|before| before.value()["spec"] != object.value()["spec"]);
        let generation = generation + i64::from(changed);
        metadata["generation"] = generation.into();
        if mode == ApplyMode::DryRun {
            return Ok(new);
        }
        self.wrote("apply", id);
        let stored = self.store(id, new);
        if let Some(controller) = &*self.controller.lock().unwrap()
            && let Some(state) = controller(&stored, generation)
        {
            self.state.send_replace(Arc::new(state));
        }
        Ok(stored)
    }

    async fn create(&self, id: &ObjectId, object: &Object) -> Result<Object, ApiError> {
        if self.stored(id).is_some() {
            return self.fail("create", id, ApiProblem::AlreadyExists);
        }
        Ok(self.store(id, object.clone()))
    }

    async fn replace(&self, id: &ObjectId, object: &Object) -> Result<Object, ApiError> {
        let version = |object: &Object| object.value()["metadata"]["resourceVersion"].clone();
        match self.stored(id) {
            None => self.fail("update", id, ApiProblem::NotFound),
            Some(stored) if version(&stored) != version(object) => {
                self.fail("update", id, ApiProblem::Stale)
            }
            Some(_) => Ok(self.store(id, object.clone())),
        }
    }

    async fn delete(&self, id: &ObjectId, _uid: &str) -> Result<(), ApiError> {
        self.wrote("delete", id);
        self.objects.lock().unwrap().remove(id);
        Ok(())
    }

    async fn logs(&self, _: &str, _: &LogQuery) -> Result<String, ApiError> {
        Ok(self.logs.lock().unwrap().clone())
    }

    fn watch(&self, _: &str, _: &str) -> AppWatch {
        self.health.send_modify(|health| health.synced = true);
        AppWatch::new(
            self.state.subscribe(),
            self.health.subscribe(),
            Arc::new(()),
        )
    }
}
