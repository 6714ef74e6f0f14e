//! Strategies: how the pods of one revision are replaced by those of the next.

use std::fmt;

use pipeops_core::{Object, Stack};
use serde_json::{Value, json};

/// One step of a rollout. A step may run twice: when a process dies in it, the next process starts it again.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum PlanStep {
    /// Apply these objects in this order.
    Apply(Vec<Object>),
    /// Wait until the Deployment of the application's name runs what was applied, and nothing else.
    AwaitComplete,
}

/// How the pods of one revision are replaced by those of the next.
///
/// A strategy plans. The rollout executes the plan, records the current step, watches, and rolls back when a step fails.
/// [`RollingUpdate`] is the default.
///
/// ```
/// use pipeops_core::Stack;
/// use pipeops_rollout::{PlanStep, Recreate, RolloutStrategy};
///
/// let stack = Stack::new("web", "shop", "4f2c9ab".parse()?, vec![]);
/// assert!(Recreate.plan(&stack).contains(&PlanStep::AwaitComplete));
/// assert!(Recreate.warnings(&stack)[0].contains("does not answer"));
/// # Ok::<(), pipeops_core::revision::InvalidRevision>(())
/// ```
pub trait RolloutStrategy: fmt::Debug + Send + Sync {
    /// The name of the strategy in records and logs.
    fn name(&self) -> &'static str;

    /// Changes the stack before anything is planned. Default: leaves it as it is.
    fn prepare(&self, stack: &mut Stack) {
        let _ = stack;
    }

    /// Warnings to show before the rollout begins.
    fn warnings(&self, stack: &Stack) -> Vec<String>;

    /// The steps in order. The same stack must give the same steps: a resumed rollout starts at the recorded step.
    fn plan(&self, stack: &Stack) -> Vec<PlanStep>;
}

/// Pods are replaced a few at a time, by the Deployment's own `RollingUpdate`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RollingUpdate;

impl RolloutStrategy for RollingUpdate {
    fn name(&self) -> &'static str {
        "rollingUpdate"
    }

    fn warnings(&self, stack: &Stack) -> Vec<String> {
        let Some(spec) = stack.workload().map(|workload| &workload.value()["spec"]) else {
            return Vec::new();
        };
        if spec["strategy"]["type"] == "Recreate" {
            return Recreate.warnings(stack);
        }
        // An autoscaler decides when `replicas` is not written; Kubernetes' default is 25 %, rounded down.
        let Some(replicas) = spec["replicas"].as_u64() else {
            return Vec::new();
        };
        let limit = &spec["strategy"]["rollingUpdate"]["maxUnavailable"];
        let unavailable = share(limit, replicas).unwrap_or(replicas / 4);
        let outage = replicas > 0 && unavailable >= replicas;
        Vec::from_iter(outage.then(|| {
            format!(
                "maxUnavailable {unavailable} of {replicas} replicas: all old pods may stop before a new one is ready"
            )
        }))
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

/// All old pods stop before new ones start: for applications that must not run twice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recreate;

impl RolloutStrategy for Recreate {
    fn name(&self) -> &'static str {
        "recreate"
    }

    fn prepare(&self, stack: &mut Stack) {
        let app = stack.app.clone();
        let workload = stack
            .objects
            .iter_mut()
            .find(|object| object.kind() == "Deployment" && object.name() == app);
        if let Some(spec) = workload.and_then(|w| w.value_mut().get_mut("spec")?.as_object_mut()) {
            spec.insert("strategy".to_owned(), json!({"type": "Recreate"}));
        }
    }

    fn warnings(&self, stack: &Stack) -> Vec<String> {
        let app = &stack.app;
        vec![format!(
            "all pods of \"{app}\" stop before new ones start: it does not answer meanwhile"
        )]
    }

    fn plan(&self, stack: &Stack) -> Vec<PlanStep> {
        RollingUpdate.plan(stack)
    }
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
    use super::*;

    fn stack(spec: Value) -> Stack {
        let object = |value| Object::new(value).unwrap();
        Stack::new(
            "web",
            "shop",
            "abc".parse().unwrap(),
            vec![
                object(json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}})),
                object(
                    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}),
                ),
            ],
        )
    }

    fn warns(replicas: Value, max_unavailable: Value) -> bool {
        let spec = json!({"replicas": replicas, "strategy": {"type": "RollingUpdate",
            "rollingUpdate": {"maxUnavailable": max_unavailable}}});
        !RollingUpdate.warnings(&stack(spec)).is_empty()
    }

    #[test]
    fn an_outage_is_said_in_advance() {
        assert!(warns(json!(1), json!(1)));
        assert!(warns(json!(2), json!("100%")));
        assert!(!warns(json!(1), json!(0)) && !warns(json!(3), json!(1)));
        assert!(!warns(json!(1), json!("25%")) && !warns(json!(1), Value::Null));
        assert!(!warns(Value::Null, json!(1)), "an autoscaler decides");
        assert_eq!(
            RollingUpdate
                .warnings(&stack(json!({"strategy": {"type": "Recreate"}})))
                .len(),
            1
        );
    }

    #[test]
    fn the_workload_is_applied_after_all_it_needs() {
        let steps = RollingUpdate.plan(&stack(json!({})));
        let kinds: Vec<Vec<&str>> = steps
            .iter()
            .map(|step| match step {
                PlanStep::Apply(objects) => objects.iter().map(Object::kind).collect(),
                PlanStep::AwaitComplete => vec!["…"],
            })
            .collect();
        assert_eq!(kinds, [vec!["Service"], vec!["Deployment"], vec!["…"]]);
    }

    #[test]
    fn recreate_replaces_the_whole_strategy() {
        let mut stack =
            stack(json!({"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}));
        Recreate.prepare(&mut stack);
        let spec = &stack.workload().unwrap().value()["spec"];
        assert_eq!(spec["strategy"], json!({"type": "Recreate"}));
    }
}
