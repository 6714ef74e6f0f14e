//! Server-side apply. PipeOps takes back fields of its own objects, and leaves other objects alone.

use pipeops_core::Object;
use pipeops_core::names::{MANAGED_BY_LABEL, MANAGER};

use crate::api_error::{ApiError, ApiProblem};
use crate::cluster::{ApplyMode, ClusterApi, ObjectId};
use crate::progress::Reporter;
use crate::target::{Target, is_own};

/// Applies one object and returns the stored object.
///
/// If another field manager owns a field of an object that PipeOps created, PipeOps takes the field back and warns. An object
/// that PipeOps didn't create is left alone.
///
/// # Errors
/// [`ApiProblem::Conflict`] if PipeOps didn't create the object; any other problem.
pub(crate) async fn apply(
    cluster: &dyn ClusterApi,
    target: &Target,
    object: &Object,
    reporter: &Reporter<'_>,
) -> Result<Object, ApiError> {
    let id = ObjectId::of(object, &target.namespace);
    let error = match cluster.apply(&id, object, ApplyMode::FailOnConflict).await {
        Err(error) if matches!(error.problem, ApiProblem::Conflict(_)) => error,
        result => return result,
    };
    if !cluster.get(&id).await?.is_some_and(|live| is_own(&live)) {
        return Err(error);
    }
    reporter.warn(format!("taking back fields of {id}: {}", error.problem));
    cluster.apply(&id, object, ApplyMode::Force).await
}

/// Validates all objects by a dry run, so that a stack with an invalid object changes nothing.
///
/// # Errors
/// As [`apply`].
pub(crate) async fn check(
    cluster: &dyn ClusterApi,
    target: &Target,
    objects: &[Object],
) -> Result<(), ApiError> {
    for object in objects {
        let id = ObjectId::of(object, &target.namespace);
        match cluster.apply(&id, object, ApplyMode::DryRun).await {
            Ok(_) => {}
            Err(error) if matches!(error.problem, ApiProblem::Conflict(_)) => {
                if !cluster.get(&id).await?.is_some_and(|live| is_own(&live)) {
                    return Err(error);
                }
            }
            // An admission webhook with side effects: the object is validated when it's applied.
            Err(error) if error.to_string().contains("does not support dry run") => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Creates the namespace unless it exists.
pub(crate) async fn ensure_namespace(
    cluster: &dyn ClusterApi,
    namespace: &str,
) -> Result<(), ApiError> {
    let id = ObjectId::new("v1", "Namespace", "", namespace);
    if cluster.get(&id).await?.is_some() {
        return Ok(());
    }
    let labels = serde_json::json!({"metadata": {"labels": {MANAGED_BY_LABEL: MANAGER}}});
    match cluster.create(&id, &id.object(labels)?).await {
        Err(error) if error.problem != ApiProblem::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use pipeops_core::event::{Discard, EventKind};
    use serde_json::json;

    use super::*;
    use crate::api_error::FieldConflict;
    use crate::fake::FakeCluster;

    fn service(label: &str, manager: &str) -> Object {
        Object::new(
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web",
            "labels": {MANAGED_BY_LABEL: label},
            "managedFields": [{"manager": manager, "operation": "Apply"}]}}),
        )
        .unwrap()
    }

    fn contested(live: Object) -> (FakeCluster, Target) {
        let cluster = FakeCluster::default();
        let target = Target::new("shop", "web").unwrap();
        let id = ObjectId::of(&live, "shop");
        cluster.store(&id, live);
        cluster.contest(FieldConflict {
            manager: "kubectl".into(),
            field: ".spec.ports".into(),
        });
        (cluster, target)
    }

    #[tokio::test]
    async fn a_foreign_object_is_respected_and_its_manager_named() {
        let (cluster, target) = contested(service("Helm", "helm"));
        let reporter = Reporter::new(&Discard);
        let object = service("pipeops", "pipeops");
        let error = apply(&cluster, &target, &object, &reporter)
            .await
            .unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with(".spec.ports is managed by \"kubectl\"")
        );
        assert!(check(&cluster, &target, &[object]).await.is_err());
        assert_eq!(cluster.forced(), 0);
    }

    #[tokio::test]
    async fn an_own_object_is_taken_back_with_a_warning() {
        let (cluster, target) = contested(service("pipeops", "pipeops"));
        let warnings = Mutex::new(Vec::new());
        let sink = |event| {
            if let EventKind::Warning { message } = event {
                warnings.lock().unwrap().push(message);
            }
        };
        let object = service("pipeops", "pipeops");
        check(&cluster, &target, std::slice::from_ref(&object))
            .await
            .unwrap();
        apply(&cluster, &target, &object, &Reporter::new(&sink))
            .await
            .unwrap();
        assert_eq!(cluster.forced(), 1);
        assert_eq!(
            *warnings.lock().unwrap(),
            ["taking back fields of Service/web: .spec.ports is managed by \"kubectl\""]
        );
    }
}
