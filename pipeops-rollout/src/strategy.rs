//! Strategies: the steps by which one revision replaces another.

use std::fmt;

use pipeops_core::{Object, Stack};
use serde_json::Value;

/// One step of a rollout. A step may run twice: after a crash, the next process starts it again.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum PlanStep {
    /// Apply these objects in this order.
    Apply(Vec<Object>),
    /// Wait until the application's Deployment runs what was applied, and nothing else.
    AwaitComplete,
}

/// Plans the steps by which one revision replaces another.
///
/// A strategy only plans. The rollout executes the plan, records the current step, watches, and rolls back if a step fails.
/// The default is [`DeploymentUpdate`].
///
/// ```
/// use pipeops_core::{Object, Stack};
/// use pipeops_rollout::{PlanStep, RolloutOptions, RolloutStrategy};
///
/// /// Applies everything in the order of the stack.
/// #[derive(Debug)]
/// struct InOrder;
///
/// impl RolloutStrategy for InOrder {
///     fn name(&self) -> &'static str {
///         "inOrder"
///     }
///
///     fn plan(&self, stack: &Stack) -> Vec<PlanStep> {
///         vec![PlanStep::Apply(stack.objects.clone()), PlanStep::AwaitComplete]
///     }
/// }
///
/// let options = RolloutOptions::default().strategy(InOrder);
/// assert_eq!(options.strategy.name(), "inOrder");
/// ```
pub trait RolloutStrategy: fmt::Debug + Send + Sync {
    /// The name of the strategy in records and logs.
    fn name(&self) -> &'static str;

    /// Warnings to show before the rollout starts. Default: none.
    fn warnings(&self, stack: &Stack) -> Vec<String> {
        let _ = stack;
        Vec::new()
    }

    /// The steps in order. The same stack must give the same steps, because a resumed rollout starts at the recorded step.
    fn plan(&self, stack: &Stack) -> Vec<PlanStep>;
}

/// Applies all objects, the Deployment last, and lets Kubernetes replace the pods.
///
/// The Deployment's `spec.strategy`, `RollingUpdate` or `Recreate`, decides how it replaces them (`App::strategy` in
/// `pipeops-manifest`). If that causes an outage, the rollout warns before it starts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeploymentUpdate;

impl RolloutStrategy for DeploymentUpdate {
    fn name(&self) -> &'static str {
        "deploymentUpdate"
    }

    fn warnings(&self, stack: &Stack) -> Vec<String> {
        let spec = stack.workload().map(|workload| &workload.value()["spec"]);
        Vec::from_iter(spec.and_then(|spec| outage(&stack.app, spec)))
    }

    fn plan(&self, stack: &Stack) -> Vec<PlanStep> {
        let (workload, others): (Vec<_>, Vec<_>) = stack
            .objects
            .iter()
            .cloned()
            .partition(|object| stack.workload().is_some_and(|workload| workload == object));
        vec![
            PlanStep::Apply(others),
            PlanStep::Apply(workload),
            PlanStep::AwaitComplete,
        ]
    }
}

/// The warning for a Deployment that causes an outage with every update.
fn outage(app: &str, spec: &Value) -> Option<String> {
    if spec["strategy"]["type"] == "Recreate" {
        return Some(format!(
            "strategy Recreate: \"{app}\" is down from the time its old pods stop until new ones are ready"
        ));
    }
    // Without `replicas`, an autoscaler decides. Kubernetes' default for `maxUnavailable` is 25 %, rounded down.
    let replicas = spec["replicas"].as_u64()?;
    let limit = &spec["strategy"]["rollingUpdate"]["maxUnavailable"];
    let unavailable = share(limit, replicas).unwrap_or(replicas / 4);
    (replicas > 0 && unavailable >= replicas).then(|| {
        format!("maxUnavailable is {unavailable} of {replicas} replicas: all old pods may stop before a new one is ready")
    })
}

/// A number, or a percentage of `replicas` rounded down, as Kubernetes reads `maxUnavailable`.
fn share(value: &Value, replicas: u64) -> Option<u64> {
    if let Some(number) = value.as_u64() {
        return Some(number);
    }
    let percent: u64 = value.as_str()?.strip_suffix('%')?.parse().ok()?;
    Some(replicas.saturating_mul(percent) / 100)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_outage_is_announced() {
        let warns = |replicas: Value, max_unavailable: Value| {
            let strategy = json!({"rollingUpdate": {"maxUnavailable": max_unavailable}});
            outage("web", &json!({"replicas": replicas, "strategy": strategy})).is_some()
        };
        assert!(warns(json!(1), json!(1)));
        assert!(warns(json!(2), json!("100%")));
        assert!(!warns(json!(1), json!(0)) && !warns(json!(3), json!(1)));
        assert!(!warns(json!(1), json!("25%")) && !warns(json!(1), Value::Null));
        assert!(!warns(Value::Null, json!(1)), "an autoscaler decides");
        assert!(outage("web", &json!({"strategy": {"type": "Recreate"}})).is_some());
    }
}
