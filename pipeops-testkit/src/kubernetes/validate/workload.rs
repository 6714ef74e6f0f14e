//! Rules for workloads: Deployment, ReplicaSet and PodDisruptionBudget.

use serde_json::Value;

use super::super::selector::LabelSelector;
use super::super::status::FieldError;
use super::rules::{Errors, entries, labels, non_negative};
use super::{names, pod};

/// A Deployment.
pub(super) fn deployment(object: &Value, errors: &mut Errors) {
    let spec = &object["spec"];
    template_owner(object, errors);
    non_negative(
        &spec["revisionHistoryLimit"],
        "spec.revisionHistoryLimit",
        errors,
    );
    strategy(&spec["strategy"], errors);
    let deadline = &spec["progressDeadlineSeconds"];
    let ready = spec["minReadySeconds"].as_i64().unwrap_or(0);
    if deadline.as_i64().is_some_and(|deadline| deadline <= ready) {
        errors.push(FieldError::invalid(
            "spec.progressDeadlineSeconds",
            deadline,
            "must be greater than minReadySeconds",
        ));
    }
}

/// What all owners of a pod template share: the count, the selector, the template.
pub(super) fn template_owner(object: &Value, errors: &mut Errors) {
    let spec = &object["spec"];
    non_negative(&spec["replicas"], "spec.replicas", errors);
    non_negative(&spec["minReadySeconds"], "spec.minReadySeconds", errors);
    selector(&spec["selector"], "spec.selector", true, errors);
    let template = &spec["template"];
    let own = &template["metadata"]["labels"];
    // No selector selects nothing.
    let matches = spec["selector"].is_object()
        && LabelSelector::of_object(&spec["selector"]).is_ok_and(|selector| selector.matches(own));
    if !matches {
        errors.push(FieldError::invalid(
            "spec.template.metadata.labels",
            own,
            "`selector` does not match template `labels`",
        ));
    }
    labels(
        &template["metadata"]["labels"],
        "spec.template.labels",
        errors,
    );
    pod::spec(&template["spec"], "spec.template.spec", errors);
    let restart = &template["spec"]["restartPolicy"];
    if restart.as_str().is_some_and(|policy| policy != "Always") {
        errors.push(FieldError::not_supported(
            "spec.template.spec.restartPolicy",
            restart,
            &["Always"],
        ));
    }
}

fn selector(selector: &Value, path: &str, needed: bool, errors: &mut Errors) {
    if selector.is_null() {
        if needed {
            errors.push(FieldError::required(path, ""));
        }
        return;
    }
    let empty = entries(&selector["matchLabels"]).next().is_none()
        && selector["matchExpressions"]
            .as_array()
            .is_none_or(Vec::is_empty);
    if empty && needed {
        let detail = "empty selector is invalid for deployment";
        errors.push(FieldError::invalid(path, selector, detail));
    }
    for (key, value) in entries(&selector["matchLabels"]) {
        let path = format!("{path}.matchLabels");
        let error = names::qualified(key);
        errors.extend(error.map(|why| FieldError::invalid(&path, &key.as_str().into(), &why)));
        let error = names::label_value(value.as_str().unwrap_or_default());
        errors.extend(error.map(|why| FieldError::invalid(&path, value, &why)));
    }
}

fn strategy(strategy: &Value, errors: &mut Errors) {
    const PATH: &str = "spec.strategy";
    match strategy["type"].as_str() {
        Some("Recreate") => {
            if !strategy["rollingUpdate"].is_null() {
                errors.push(FieldError::forbidden(
                    format!("{PATH}.rollingUpdate"),
                    "may not be specified when strategy `type` is 'Recreate'",
                ));
            }
        }
        Some("RollingUpdate") => {
            let rolling = &strategy["rollingUpdate"];
            for field in ["maxUnavailable", "maxSurge"] {
                count_or_percent(
                    &rolling[field],
                    &format!("{PATH}.rollingUpdate.{field}"),
                    errors,
                );
            }
            if is_zero(&rolling["maxUnavailable"]) && is_zero(&rolling["maxSurge"]) {
                errors.push(FieldError::invalid(
                    format!("{PATH}.rollingUpdate.maxUnavailable"),
                    &rolling["maxUnavailable"],
                    "may not be 0 when `maxSurge` is 0",
                ));
            }
        }
        _ => {
            let shown = format!("{{\"Type\":{},\"RollingUpdate\":null}}", strategy["type"]);
            let known = ["Recreate", "RollingUpdate"];
            errors.push(FieldError::not_supported_text(PATH, &shown, &known));
        }
    }
}

fn is_zero(value: &Value) -> bool {
    value.as_i64() == Some(0) || value == "0%"
}

fn count_or_percent(value: &Value, path: &str, errors: &mut Errors) {
    non_negative(value, path, errors);
    let Some(text) = value.as_str() else { return };
    let number = text.strip_suffix('%');
    if !number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit())) {
        errors.push(FieldError::invalid(
            path,
            value,
            "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')",
        ));
    }
}

/// A PodDisruptionBudget.
pub(super) fn disruption_budget(spec: &Value, errors: &mut Errors) {
    if !spec["minAvailable"].is_null() && !spec["maxUnavailable"].is_null() {
        let shown = format!(
            "{{\"MinAvailable\":{},\"Selector\":{},\"MaxUnavailable\":{},\"UnhealthyPodEvictionPolicy\":{}}}",
            spec["minAvailable"],
            spec["selector"],
            spec["maxUnavailable"],
            spec["unhealthyPodEvictionPolicy"],
        );
        let detail = "minAvailable and maxUnavailable cannot be both set";
        errors.push(FieldError::invalid_text("spec", &shown, detail));
    }
    for field in ["minAvailable", "maxUnavailable"] {
        if !spec[field].is_null() {
            count_or_percent(&spec[field], &format!("spec.{field}"), errors);
        }
    }
    selector(&spec["selector"], "spec.selector", false, errors);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::resources::DEPLOYMENTS;
    use super::*;

    fn good() -> Value {
        let mut object = json!({"metadata": {"name": "app"}, "spec": {
            "selector": {"matchLabels": {"app": "a"}},
            "template": {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [
                {"name": "app", "image": "i:1"}
            ]}},
        }});
        super::super::super::defaults::apply(&DEPLOYMENTS, &mut object);
        object
    }

    fn broken(change: impl FnOnce(&mut Value)) -> Vec<FieldError> {
        let mut object = good();
        change(&mut object["spec"]);
        super::super::create(&DEPLOYMENTS, &object)
    }

    #[test]
    fn a_plain_deployment_is_good() {
        assert_eq!(broken(|_| {}), []);
    }

    #[test]
    fn the_selector_is_needed_and_must_match() {
        let errors = broken(|spec| drop(spec.as_object_mut().unwrap().remove("selector")));
        assert_eq!(
            errors.first(),
            Some(&FieldError::required("spec.selector", ""))
        );
        let errors = broken(|spec| spec["template"]["metadata"]["labels"]["app"] = "b".into());
        assert_eq!(
            errors,
            [FieldError::invalid(
                "spec.template.metadata.labels",
                &json!({"app": "b"}),
                "`selector` does not match template `labels`"
            )]
        );
    }

    #[test]
    fn nothing_may_be_neither_surged_nor_unavailable() {
        let errors = broken(|spec| {
            spec["strategy"]["rollingUpdate"] = json!({"maxSurge": 0, "maxUnavailable": "0%"});
        });
        assert_eq!(errors.len(), 1);
        let errors = broken(|spec| spec["strategy"]["rollingUpdate"]["maxSurge"] = "x".into());
        assert_eq!(errors.len(), 1);
    }

    #[test]
    fn the_deadline_outlasts_min_ready_seconds() {
        let errors = broken(|spec| spec["minReadySeconds"] = 600.into());
        assert_eq!(errors.len(), 1);
    }
}
