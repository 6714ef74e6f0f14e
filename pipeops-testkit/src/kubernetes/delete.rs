//! Deletes objects: immediately, gracefully, or after their finalizers are removed.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::request::{Query, Target};
use super::status::{ApiError, ApiResult, FieldError, details};
use super::store::Store;

/// How to delete an object: `DeleteOptions` from the body or the query.
#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    grace: Option<i64>,
    uid: Option<String>,
    resource_version: Option<String>,
    pub(crate) dry_run: bool,
}

impl Options {
    /// Reads the options of a request.
    pub(crate) fn read(query: &Query, body: &Value) -> ApiResult<Self> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let mut options = Self {
            grace: body["gracePeriodSeconds"].as_i64(),
            uid: text(&body["preconditions"]["uid"]),
            resource_version: text(&body["preconditions"]["resourceVersion"]),
            dry_run: body["dryRun"] == json!(["All"]) || query.text("dryRun") == "All",
        };
        if let Some(seconds) = query.number("gracePeriodSeconds")? {
            options.grace = i64::try_from(seconds).ok();
        }
        let policy = match query.text("propagationPolicy") {
            "" => body["propagationPolicy"].as_str().unwrap_or_default(),
            policy => policy,
        };
        let orphans = body["orphanDependents"] == true;
        if orphans || !matches!(policy, "" | "Background") {
            let what = "a deletion in the foreground or one that leaves orphans";
            return Err(ApiError::not_implemented(what));
        }
        Ok(options)
    }

    /// Deletes immediately.
    pub(crate) fn now() -> Self {
        Self {
            grace: Some(0),
            ..Self::default()
        }
    }
}

/// Deletes an object, or starts to. Returns the object if it still exists, otherwise a `Status` of success.
pub(crate) fn delete(
    store: &mut Store,
    target: &Target,
    options: &Options,
) -> ApiResult<Arc<Value>> {
    let resource = target.resource;
    let old = store
        .get(&target.key())
        .cloned()
        .ok_or_else(|| ApiError::not_found(resource, &target.name))?;
    check_preconditions(target, options, &old["metadata"])?;
    let mut doomed = (*old).clone();
    let wait = prepare(target, options, &mut doomed);
    if options.dry_run {
        return Ok(old);
    }
    if wait {
        return Ok(if doomed == *old {
            old
        } else {
            store.put(target.key(), doomed)
        });
    }
    let last = store.remove(&target.key()).unwrap_or(old);
    if matches!(resource.kind, "Pod" | "Service" | "ServiceAccount") {
        return Ok(last);
    }
    let mut details = details(&target.name, resource.group, resource.plural, &[]);
    details["uid"] = last["metadata"]["uid"].clone();
    Ok(Arc::new(json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details,
    })))
}

/// Marks the object as being deleted if its deletion has to wait.
fn prepare(target: &Target, options: &Options, object: &mut Value) -> bool {
    if target.resource.kind == "Pod" {
        return prepare_pod(options, object);
    }
    let wait = has_finalizers(object);
    if wait {
        mark(object, 0);
    }
    wait
}

fn prepare_pod(options: &Options, pod: &mut Value) -> bool {
    let unscheduled = pod["spec"]["nodeName"].as_str().is_none_or(str::is_empty);
    let ended = matches!(
        pod["status"]["phase"].as_str(),
        Some("Succeeded" | "Failed")
    );
    let own = pod["spec"]["terminationGracePeriodSeconds"]
        .as_i64()
        .unwrap_or(30);
    let grace = match options.grace {
        _ if unscheduled || ended => 0,
        Some(seconds) => seconds.max(0),
        None => own,
    };
    if grace == 0 {
        if has_finalizers(pod) {
            mark(pod, 0);
            return true;
        }
        return false;
    }
    let present = pod["metadata"]["deletionGracePeriodSeconds"].as_i64();
    if present.is_none_or(|present| grace < present) {
        if let Value::Object(metadata) = &mut pod["metadata"] {
            metadata.remove("deletionTimestamp");
        }
        mark(pod, grace);
    }
    true
}

/// Sets the time of the deletion, once. This counts as a change of the desired state.
fn mark(object: &mut Value, grace: i64) {
    let metadata = &mut object["metadata"];
    if metadata.get("deletionTimestamp").is_some() {
        return;
    }
    let end = Timestamp::now() + SignedDuration::from_secs(grace);
    metadata["deletionTimestamp"] = end.strftime("%Y-%m-%dT%H:%M:%SZ").to_string().into();
    metadata["deletionGracePeriodSeconds"] = grace.into();
    if let Some(generation) = metadata["generation"].as_i64() {
        metadata["generation"] = (generation + 1).into();
    }
}

/// Whether an object that is being deleted can be removed now.
pub(crate) fn is_finished(object: &Value) -> bool {
    let metadata = &object["metadata"];
    metadata["deletionTimestamp"].is_string()
        && !has_finalizers(object)
        && metadata["deletionGracePeriodSeconds"].as_i64().unwrap_or(0) == 0
}

fn has_finalizers(object: &Value) -> bool {
    object["metadata"]["finalizers"]
        .as_array()
        .is_some_and(|all| !all.is_empty())
}

/// Rejects new finalizers on an object that is being deleted.
pub(crate) fn check_finalizers(target: &Target, old: &Value, new: &Value) -> ApiResult<()> {
    if old.get("deletionTimestamp").is_none() {
        return Ok(());
    }
    let of = |metadata: &Value| {
        metadata["finalizers"]
            .as_array()
            .cloned()
            .unwrap_or_default()
    };
    let before = of(old);
    let added: Vec<Value> = of(new)
        .into_iter()
        .filter(|name| !before.contains(name))
        .collect();
    if added.is_empty() {
        return Ok(());
    }
    let added: Vec<String> = added.iter().map(Value::to_string).collect();
    let detail = format!(
        "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
        added.join(", ")
    );
    let error = FieldError::forbidden("metadata.finalizers", &detail);
    Err(ApiError::invalid(target.resource, &target.name, &[error]))
}

fn check_preconditions(target: &Target, options: &Options, metadata: &Value) -> ApiResult<()> {
    for (wanted, field, name, guess) in [
        (&options.uid, "uid", "UID", "deleted and then recreated"),
        (
            &options.resource_version,
            "resourceVersion",
            "ResourceVersion",
            "modified",
        ),
    ] {
        let present = metadata[field].as_str().unwrap_or_default();
        if let Some(wanted) = wanted
            && wanted != present
        {
            let why = format!(
                "the {name} in the precondition ({wanted}) does not match the {name} in record ({present}). The object might have been {guess}"
            );
            return Err(ApiError::precondition(target.resource, &target.name, &why));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::resources::{DEPLOYMENTS, PODS};
    use super::super::store::Key;
    use super::*;

    fn stored(
        resource: &'static super::super::resources::Resource,
        object: Value,
    ) -> (Store, Target) {
        let mut store = Store::default();
        store.put(Key::new(resource, "a", "x"), object);
        (store, Target::new(resource, "a", "x"))
    }

    #[test]
    fn a_running_pod_gets_its_grace() {
        let pod = json!({"metadata": {"name": "x"}, "spec": {"nodeName": "n", "terminationGracePeriodSeconds": 30}});
        let (mut store, target) = stored(&PODS, pod);
        let left = delete(&mut store, &target, &Options::default()).unwrap();
        assert_eq!(left["metadata"]["deletionGracePeriodSeconds"], 30);
        assert!(!is_finished(&left));
        delete(&mut store, &target, &Options::now()).unwrap();
        assert!(store.get(&target.key()).is_none());
    }

    #[test]
    fn preconditions_are_checked() {
        let (mut store, target) = stored(&DEPLOYMENTS, json!({"metadata": {"uid": "1"}}));
        let body = json!({"preconditions": {"uid": "2"}});
        let options = Options::read(&Query::default(), &body).unwrap();
        assert_eq!(delete(&mut store, &target, &options).unwrap_err().code, 409);
    }
}
