//! Causes that a container shows: why it waits, ended or isn't ready.

use super::causes::{Cause, Grace};
use super::exit;
use super::finding::Finding;
use super::image;
use super::limits::Limits;
use super::missing::{missing_key, missing_source};
use crate::cluster::LogQuery;
use crate::state::{AppState, ContainerStatus, PodState, Terminated, Waiting};

/// The cause that this container shows, if any.
pub(super) fn finding(
    state: &AppState,
    pod: &PodState,
    container: &ContainerStatus,
    limits: &Limits,
) -> Option<Finding> {
    let one = One {
        state,
        pod,
        container,
        limits,
    };
    let finding = one
        .waiting()
        .or_else(|| one.crashed())
        .or_else(|| one.unready())?;
    Some(
        finding
            .context("container", &container.name)
            .context("image", &container.image),
    )
}

/// One container and what is known around it.
struct One<'a> {
    state: &'a AppState,
    pod: &'a PodState,
    container: &'a ContainerStatus,
    limits: &'a Limits,
}

impl One<'_> {
    fn waiting(&self) -> Option<Finding> {
        let waiting = self.container.state.waiting.as_ref()?;
        let Waiting { reason, message } = waiting;
        let named = |cause| Some(self.named(cause, reason, message));
        match reason.as_str() {
            "ErrImagePull" | "ImagePullBackOff" | "RegistryUnavailable" => {
                Some(self.image(message))
            }
            "InvalidImageName" => named(Cause::InvalidImageName),
            "ErrImageNeverPull" => named(Cause::ImageNeverPulled),
            "ImageInspectError" => named(Cause::ImageInspect),
            "CreateContainerConfigError" => Some(self.config(message)),
            "RunContainerError" | "CreateContainerError" => Some(self.not_run(reason, message)),
            "PostStartHookError" | "PreStartHookError" | "PreCreateHookError" => {
                named(Cause::StartHook)
            }
            "CreatePodSandboxError" | "ConfigPodSandboxError" | "KillPodSandboxError" => {
                named(Cause::Sandbox)
            }
            _ => None,
        }
    }

    /// `Container web: <reason>`, with the message as detail.
    fn named(&self, cause: Cause, reason: &str, message: &str) -> Finding {
        let name = &self.container.name;
        Finding::new(cause, format!("Container {name}: {reason}")).detail(message)
    }

    fn image(&self, message: &str) -> Finding {
        let reference = self.container.image.as_str();
        // Kubelets before 1.33 only say that they retry. The cause is in an event.
        let from_event = || {
            self.state
                .events_of(&self.pod.name)
                .rev()
                .filter(|event| event.reason == "Failed" && event.message.contains(reference))
                .map(|event| event.message.as_str())
                .find(|message| message.starts_with("Failed to pull"))
        };
        let message = if image::says_why(reference, message) {
            message
        } else {
            from_event().unwrap_or(message)
        };
        let (cause, detail) = image::explain(reference, message);
        let registry = reference.split('/').next().unwrap_or_default();
        Finding::new(cause, format!("Failed to pull image \"{reference}\""))
            .detail(detail)
            .context("host", registry)
    }

    fn config(&self, message: &str) -> Finding {
        let lower = message.to_lowercase();
        if lower.contains("runasnonroot") || lower.contains("run_as_non_root") {
            return self.named(Cause::RunsAsRoot, "CreateContainerConfigError", message);
        }
        match missing_source(message).or_else(|| missing_key(message)) {
            Some(source) => self
                .named(Cause::ConfigMissing, "CreateContainerConfigError", message)
                .missing(source),
            None => self.named(Cause::ConfigOther, "CreateContainerConfigError", message),
        }
    }

    /// The runtime couldn't create or start the process.
    fn not_run(&self, reason: &str, message: &str) -> Finding {
        let finding = self.named(not_run_cause(message), reason, message);
        if message.is_empty() {
            return finding;
        }
        finding.error(message)
    }

    fn crashed(&self) -> Option<Finding> {
        let container = self.container;
        // Between two runs, it's in `state`; during and after the next one, in `lastState`.
        let ended_now = container.state.terminated.as_ref();
        let ended = ended_now.or(container.last_state.terminated.as_ref())?;
        let was_init = ended.exit_code == 0 && ended_now.is_some() && container.restart_count == 0;
        if was_init || container.ready {
            return None;
        }
        let cause = self.crash_cause(ended);
        let detail = match probe_cause(cause) {
            true => self.probe_answer().unwrap_or_default().to_owned(),
            false => exit::describe(ended),
        };
        let name = &container.name;
        let mut error = format!(
            "Container {name} terminated with {} (started {} times)",
            exit::describe(ended),
            container.restart_count + 1,
        );
        if matches!(ended.reason.as_str(), "StartError" | "ContainerCannotRun")
            && !ended.message.is_empty()
        {
            error = ended.message.clone();
        }
        let finding = Finding::new(cause, error).detail(detail);
        Some(
            finding
                .grace(self.crash_grace(cause))
                .log(self.log(ended_now.is_none())),
        )
    }

    fn crash_cause(&self, ended: &Terminated) -> Cause {
        match (ended.reason.as_str(), ended.exit_code) {
            ("OOMKilled", _) => Cause::OutOfMemory,
            ("StartError" | "ContainerCannotRun", _) => not_run_cause(&ended.message),
            ("DeadlineExceeded", _) => Cause::PodDeadline,
            // The codes of shells. Other programs hardly use them.
            (_, 127) => Cause::CommandNotFound,
            (_, 126) => Cause::CommandNotExecutable,
            (_, code) if self.ended_by("Startup probe failed", code) => Cause::StartupProbe,
            (_, code) if self.ended_by("Liveness probe failed", code) => Cause::LivenessProbe,
            (_, 0) => Cause::Exited,
            _ => Cause::Crashed,
        }
    }

    /// Whether the kubelet stopped the container because of a probe: by SIGTERM (143), SIGKILL (137) or a clean exit (0). A
    /// crashing container fails its probes too.
    fn ended_by(&self, probe: &str, exit_code: i32) -> bool {
        matches!(exit_code, 0 | 137 | 143) && self.event("Unhealthy", probe).is_some()
    }

    /// Applications that wait for one another may crash a few times before they run. So one crash isn't a failure, and a
    /// container that runs again gets time.
    fn crash_grace(&self, cause: Cause) -> Grace {
        let hopeless = cause.rule().grace == Grace::None;
        let runs = self.container.state.running.is_some();
        if hopeless || (!runs && self.container.restart_count >= self.limits.max_restarts) {
            Grace::None
        } else {
            Grace::UntilDeadline
        }
    }

    fn unready(&self) -> Option<Finding> {
        let container = self.container;
        let is_init = !self
            .pod
            .status
            .container_statuses
            .iter()
            .any(|one| one.name == container.name);
        if container.ready || is_init || container.state.running.is_none() {
            return None;
        }
        let starting = container.started == Some(false);
        let (cause, probe) = match starting {
            true => (Cause::StartupProbe, "Startup probe failed"),
            false => (Cause::ReadinessProbe, "Readiness probe failed"),
        };
        let answer = self.event("Unhealthy", probe);
        // A container that has just started and wasn't probed yet shows nothing.
        let answer = match (answer, starting) {
            (None, true) => return None,
            (None, false) => format!("container {} runs but isn't ready", container.name),
            (Some(answer), _) => answer.to_owned(),
        };
        let detail = answer.split_once(": ").map_or("", |(_, tail)| tail);
        let finding = Finding::new(cause, &answer).detail(detail);
        Some(finding.grace(Grace::UntilDeadline).log(self.log(false)))
    }

    fn probe_answer(&self) -> Option<&str> {
        let answer = self
            .event("Unhealthy", "Startup probe failed")
            .or_else(|| self.event("Unhealthy", "Liveness probe failed"))?;
        answer.split_once(": ").map(|(_, tail)| tail)
    }

    /// The message of the latest event with this reason and prefix.
    fn event(&self, reason: &str, begins: &str) -> Option<&str> {
        self.state
            .events_of(&self.pod.name)
            .rev()
            .find(|event| event.reason == reason && event.message.starts_with(begins))
            .map(|event| event.message.as_str())
    }

    fn log(&self, previous: bool) -> LogQuery {
        LogQuery {
            pod: self.pod.name.clone(),
            container: self.container.name.clone(),
            previous,
            lines: self.limits.log_lines,
        }
    }
}

fn probe_cause(cause: Cause) -> bool {
    matches!(cause, Cause::StartupProbe | Cause::LivenessProbe)
}

/// Classifies the message of runc or containerd about a process that can't be started.
fn not_run_cause(message: &str) -> Cause {
    let lower = message.to_lowercase();
    let says = |needle: &str| lower.contains(needle);
    if says("executable file not found") || (says("exec") && says("no such file or directory")) {
        Cause::CommandNotFound
    } else if says("exec format error") {
        Cause::CommandPlatform
    } else if says("exec") && (says("permission denied") || says("is a directory")) {
        Cause::CommandNotExecutable
    } else if says("no command specified") {
        Cause::CommandNotFound
    } else {
        Cause::ContainerOther
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{crashed, event, pod, running, state, waiting};
    use serde_json::{Value, json};

    fn found_with(status: Value, events: &[(&str, &str)]) -> Option<Finding> {
        let mut state = state(None, &[], &[pod("web-2-a", "web-2", status)]);
        for (reason, message) in events {
            state.add_event(event("web-2-a", reason, message));
        }
        let pod = state.pods["web-2-a"].clone();
        let container = pod.containers().next().unwrap();
        finding(&state, &pod, container, &Limits::default())
    }

    fn found(status: Value) -> Finding {
        found_with(status, &[]).unwrap()
    }

    /// Reasons and messages of a real kubelet, and their cause.
    const WAITING: &str = r#"
CreateContainerConfigError | configmap "nothere" not found | ConfigMissing
CreateContainerConfigError | couldn't find key PORT in ConfigMap shop/web-config | ConfigMissing
CreateContainerConfigError | container has runAsNonRoot and image will run as root (pod: "web_shop(u)", container: web) | RunsAsRoot
RunContainerError | failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: "/nope": stat /nope: no such file or directory: unknown | CommandNotFound
InvalidImageName | Failed to apply default image tag "r/App": couldn't parse image name "r/App": invalid reference format: repository name (App) must be lowercase | InvalidImageName
ErrImageNeverPull | m | ImageNeverPulled
ImageInspectError | m | ImageInspect
CreateContainerError | m | ContainerOther
PostStartHookError | m | StartHook
PreStartHookError | m | StartHook
CreatePodSandboxError | m | Sandbox
ConfigPodSandboxError | m | Sandbox
RegistryUnavailable | m | ImageOther
"#;

    #[test]
    fn every_reason_to_wait_has_its_cause() {
        for line in WAITING.trim().lines() {
            let fields: Vec<&str> = line.split(" | ").collect();
            let found = found(waiting(fields[0], fields[1]));
            assert_eq!(format!("{:?}", found.cause), fields[2], "{line}");
        }
        assert!(found_with(waiting("ContainerCreating", ""), &[]).is_none());
    }

    #[test]
    fn missing_configuration_is_named() {
        let fix = |message: &str| {
            let found = found(waiting("CreateContainerConfigError", message));
            found.diagnosis("shop", "web").fixes[0].clone()
        };
        assert_eq!(
            fix("configmap \"nothere\" not found"),
            "Create the missing ConfigMap \"nothere\" in namespace shop"
        );
        assert_eq!(
            fix("couldn't find key PORT in ConfigMap shop/web-config"),
            "Create the missing key PORT of ConfigMap \"web-config\" in namespace shop"
        );
    }

    #[test]
    fn an_older_kubelet_reports_the_cause_in_an_event() {
        let image = "registry.example.com/web:def456";
        let message = format!("Back-off pulling image \"{image}\"");
        let back_off = waiting("ImagePullBackOff", &message);
        let denied = format!(
            "Failed to pull image \"{image}\": rpc error: code = Unknown desc = pull access denied: authorization failed"
        );
        let events = [
            ("Failed", "Error: ErrImagePull"),
            ("Failed", &*denied),
            ("Failed", "Error: ImagePullBackOff"),
        ];
        let known = found_with(back_off.clone(), &events).unwrap();
        assert_eq!(known.cause, Cause::ImageAuthentication);
        let unknown = found_with(back_off, &[]).unwrap();
        assert_eq!(unknown.cause, Cause::ImageOther);
        assert!(matches!(unknown.grace, Grace::For(_)));
    }

    #[test]
    fn a_crash_fails_only_after_its_restarts_and_while_the_container_is_down() {
        let grace = |restarts| found(crashed("Error", 3, restarts)).grace;
        assert_eq!((grace(1), grace(3)), (Grace::UntilDeadline, Grace::None));
        let hopeless = found(crashed("Error", 127, 0));
        assert_eq!(hopeless.grace, Grace::None);
        let mut status = crashed("Error", 3, 3);
        let third = found(status.clone());
        assert_eq!(
            third.error,
            "Container web terminated with exit code 3 (started 4 times)"
        );
        assert!(third.log.unwrap().previous, "the run that crashed");
        status["containerStatuses"][0]["state"] =
            json!({"running": {"startedAt": "2026-11-01T10:00:02Z"}});
        assert_eq!(found(status).grace, Grace::UntilDeadline, "it runs again");
    }

    #[test]
    fn the_ways_to_end_are_told_apart() {
        let liveness = "Liveness probe failed: HTTP probe failed with statuscode: 500";
        let startup = "Startup probe failed: dial tcp 10.88.0.7:8080: connect: connection refused";
        let cause = |reason: &str, code, event: &str| {
            let found = found_with(crashed(reason, code, 3), &[("Unhealthy", event)]);
            found.unwrap().cause
        };
        assert_eq!(cause("OOMKilled", 137, ""), Cause::OutOfMemory);
        assert_eq!(cause("Completed", 0, ""), Cause::Exited);
        assert_eq!(cause("Error", 127, ""), Cause::CommandNotFound);
        assert_eq!(cause("Error", 137, liveness), Cause::LivenessProbe);
        assert_eq!(cause("Error", 143, startup), Cause::StartupProbe);
        // A container that crashes fails its probes too.
        assert_eq!(cause("Error", 1, startup), Cause::Crashed);
    }

    #[test]
    fn a_container_between_two_runs_is_read_from_its_current_state() {
        let mut status = crashed("Error", 1, 0);
        let ended = status["containerStatuses"][0]["lastState"].take();
        status["containerStatuses"][0]["lastState"] = json!({});
        status["containerStatuses"][0]["state"] = ended;
        let found = found(status);
        assert_eq!(found.cause, Cause::Crashed);
        assert!(!found.log.unwrap().previous);
    }

    #[test]
    fn probes_are_quoted_but_only_once_they_have_failed() {
        let readiness = "Readiness probe failed: HTTP probe failed with statuscode: 503";
        let event = [("Unhealthy", readiness)];
        let unready = found_with(running(false), &event).unwrap();
        assert_eq!(unready.cause, Cause::ReadinessProbe);
        assert_eq!(unready.error, readiness);
        let reason = unready.diagnosis("shop", "web").reason;
        assert!(reason.ends_with(": HTTP probe failed with statuscode: 503"));
        assert!(found_with(running(true), &event).is_none());

        let mut starting = running(false);
        starting["containerStatuses"][0]["started"] = json!(false);
        assert!(found_with(starting.clone(), &[]).is_none());
        let event = [("Unhealthy", "Startup probe failed: connection refused")];
        let found = found_with(starting, &event).unwrap();
        assert_eq!(found.cause, Cause::StartupProbe);
    }

    #[test]
    fn an_init_container_may_end_but_not_fail() {
        let ended = |code: i32, restarts: u32| {
            json!({"phase": "Pending", "containerStatuses": [], "initContainerStatuses": [
                {"name": "migrate", "ready": code == 0, "restartCount": restarts,
                 "state": {"terminated": {"reason": "x", "exitCode": code}}}]})
        };
        assert!(found_with(ended(0, 0), &[]).is_none());
        assert_eq!(found_with(ended(1, 3), &[]).unwrap().cause, Cause::Crashed);
    }
}
