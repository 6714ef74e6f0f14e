//! Causes that the Deployment itself shows: pods that can't even be created.

use super::causes::Cause;
use super::finding::Finding;
use crate::state::{AppState, Condition};

/// Every cause that the Deployment's conditions show.
pub(super) fn findings(state: &AppState) -> Vec<Finding> {
    let Some(deployment) = &state.deployment else {
        return Vec::new();
    };
    // Conditions of an earlier generation say nothing about this one.
    if deployment.status.observed_generation < deployment.generation {
        return Vec::new();
    }
    let mut findings = Vec::new();
    if let Some(failure) = deployment
        .condition("ReplicaFailure")
        .filter(|c| c.is_true())
    {
        findings.push(not_created(&failure.message));
    }
    if let Some(progressing) = deployment.condition("Progressing") {
        findings.extend(not_progressing(progressing));
    }
    if deployment.spec.paused {
        findings.push(Finding::new(Cause::Paused, "the Deployment is paused"));
    }
    findings
}

fn not_progressing(progressing: &Condition) -> Option<Finding> {
    (progressing.reason == "ReplicaSetCreateError").then(|| not_created(&progressing.message))
}

/// Classifies the API server's response to the controller that wanted to create pods.
fn not_created(message: &str) -> Finding {
    let lower = message.to_lowercase();
    let says = |needle: &str| lower.contains(needle);
    let cause = if says("exceeded quota") || says("failed quota") {
        Cause::Quota
    } else if says("violates podsecurity") {
        Cause::PodSecurity
    } else if says("error looking up service account") {
        Cause::ServiceAccountMissing
    } else if says("failed calling webhook") {
        Cause::AdmissionDown
    } else if says("denied the request") || says("validatingadmissionpolicy") {
        Cause::AdmissionDenied
    } else if says("usage per container") || says("usage per pod") || says("limit to request ratio")
    {
        Cause::LimitRange
    } else {
        Cause::CreateOther
    };
    Finding::new(cause, message).detail(after_forbidden(message))
}

/// `pods "web-1-x" is forbidden: exceeded quota: …` without the part that names a pod that never existed.
fn after_forbidden(message: &str) -> &str {
    message
        .split_once("is forbidden: ")
        .map_or(message, |(_, why)| why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::Grace;
    use crate::fixtures::{deployment, state};
    use serde_json::json;

    fn found(generation: i64, message: &str) -> Vec<Finding> {
        let status = json!({"observedGeneration": 2, "conditions": [
            {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message}]});
        findings(&state(Some(deployment(generation, 1, status)), &[], &[]))
    }

    const MESSAGES: &str = r#"
Quota: exceeded quota: small, requested: limits.memory=512Mi, used: limits.memory=1Gi, limited: limits.memory=1Gi
PodSecurity: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false
ServiceAccountMissing: error looking up service account shop/web: serviceaccount "web" not found
LimitRange: maximum memory usage per Container is 256Mi, but limit is 512Mi
AdmissionDenied: admission webhook "policy.example.com" denied the request: no latest tag
AdmissionDown: Internal error occurred: failed calling webhook "policy.example.com": dial tcp: connection refused
CreateOther: something new
"#;

    #[test]
    fn messages_of_the_api_server_are_told_apart() {
        for line in MESSAGES.trim().lines() {
            let (cause, message) = line.split_once(": ").unwrap();
            let found = found(2, &format!("pods \"web-2-\" is forbidden: {message}"));
            assert_eq!(format!("{:?}", found[0].cause), cause, "{message}");
            assert!(found[0].diagnosis("shop", "web").reason.ends_with(message));
        }
    }

    #[test]
    fn a_quota_may_be_released() {
        assert!(matches!(
            found(2, "exceeded quota: q")[0].grace,
            Grace::For(_)
        ));
    }

    #[test]
    fn conditions_of_the_generation_before_tell_nothing() {
        assert!(found(3, "exceeded quota: q").is_empty());
    }
}
