//! Causes that a container shows: why it waits, why it ended, why it is not ready.

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
            "RunContainerError" => Some(self.not_run(reason, message)),
            "CreateContainerError" => Some(self.not_run(reason, message)),
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
        // Kubelets before 1.33 say only that they try again; the cause is in an event.
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

    /// The runtime could not create or start the process.
    fn not_run(&self, reason: &str, message: &str) -> Finding {
        let finding = self.named(not_run_cause(message), reason, message);
        if message.is_empty() {
            return finding;
        }
        finding.error(message)
    }

    fn crashed(&self) -> Option<Finding> {
        let container = self.container;
        // Between two runs it is in `state`, during and after the next one in `lastState`.
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
            "Container {name} ended with {} (started {} times)",
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
            // What shells answer; programs of their own hardly use these two.
            (_, 127) => Cause::CommandNotFound,
            (_, 126) => Cause::CommandNotExecutable,
            (_, code) if self.ended_by("Startup probe failed", code) => Cause::StartupProbe,
            (_, code) if self.ended_by("Liveness probe failed", code) => Cause::LivenessProbe,
            (_, 0) => Cause::Exited,
            _ => Cause::Crashed,
        }
    }

    /// Whether the kubelet ended the container because of a probe: with SIGTERM (143), SIGKILL (137) or a clean exit (0). A
    /// container that crashes fails its probes too.
    fn ended_by(&self, probe: &str, exit_code: i32) -> bool {
        matches!(exit_code, 0 | 137 | 143) && self.event("Unhealthy", probe).is_some()
    }

    /// Applications that wait for one another crash a few times and then run. So a crash alone proves nothing, and a
    /// container that runs again is given time.
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
        // A container that has just begun and was not asked yet shows nothing.
        let answer = match (answer, starting) {
            (None, true) => return None,
            (None, false) => format!("container {} runs and is not ready", container.name),
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

    /// The message of the latest event of this reason that begins so.
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

/// Sorts what runc and containerd say when a process cannot be started.
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

    #[test]
    fn the_messages_of_a_real_kubelet_are_explained() {
        let missing = found(waiting(
            "CreateContainerConfigError",
            "configmap \"nothere\" not found",
        ));
        assert_eq!(missing.cause, Cause::ConfigMissing);
        assert_eq!(
            missing.diagnosis("shop", "web").fixes[0],
            "Create the missing ConfigMap \"nothere\" in namespace shop"
        );
        let key = found(waiting(
            "CreateContainerConfigError",
            "couldn't find key PORT in ConfigMap shop/web-config",
        ));
        assert_eq!(
            key.diagnosis("shop", "web").fixes[0],
            "Create the missing key PORT of ConfigMap \"web-config\" in namespace shop"
        );
        let command = found(waiting(
            "RunContainerError",
            "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: \"/nope\": stat /nope: no such file or directory: unknown",
        ));
        assert_eq!(
            (command.cause, command.grace),
            (Cause::CommandNotFound, Grace::None)
        );
        let name = found(waiting(
            "InvalidImageName",
            "Failed to apply default image tag \"r/App\": couldn't parse image name \"r/App\": invalid reference format: repository name (App) must be lowercase",
        ));
        assert_eq!(
            (name.cause, name.grace),
            (Cause::InvalidImageName, Grace::None)
        );
        let root = found(waiting(
            "CreateContainerConfigError",
            "container has runAsNonRoot and image will run as root (pod: \"web_shop(u)\", container: web)",
        ));
        assert_eq!(root.cause, Cause::RunsAsRoot);
    }

    #[test]
    fn every_waiting_reason_has_its_own_cause() {
        let cases = [
            ("ErrImageNeverPull", Cause::ImageNeverPulled),
            ("ImageInspectError", Cause::ImageInspect),
            ("CreateContainerError", Cause::ContainerOther),
            ("PostStartHookError", Cause::StartHook),
            ("PreStartHookError", Cause::StartHook),
            ("CreatePodSandboxError", Cause::Sandbox),
            ("ConfigPodSandboxError", Cause::Sandbox),
            ("RegistryUnavailable", Cause::ImageOther),
        ];
        for (reason, cause) in cases {
            assert_eq!(found(waiting(reason, "m")).cause, cause, "{reason}");
        }
        assert!(found_with(waiting("ContainerCreating", ""), &[]).is_none());
    }

    #[test]
    fn an_older_kubelet_tells_the_cause_in_an_event() {
        let image = "registry.example.com/web:def456";
        let back_off = waiting(
            "ImagePullBackOff",
            &format!("Back-off pulling image \"{image}\""),
        );
        let events = [
            ("Failed", "Error: ErrImagePull".to_owned()),
            (
                "Failed",
                format!(
                    "Failed to pull image \"{image}\": rpc error: code = Unknown desc = pull access denied: authorization failed"
                ),
            ),
            ("Failed", "Error: ImagePullBackOff".to_owned()),
        ];
        let events: Vec<_> = events.iter().map(|(r, m)| (*r, m.as_str())).collect();
        assert_eq!(
            found_with(back_off.clone(), &events).unwrap().cause,
            Cause::ImageAuthentication
        );
        let unknown = found_with(back_off, &[]).unwrap();
        assert_eq!(unknown.cause, Cause::ImageOther);
        assert!(matches!(unknown.grace, Grace::For(_)));
    }

    #[test]
    fn a_crash_fails_only_after_its_restarts() {
        let first = found(crashed("Error", 3, 1));
        assert_eq!(
            (first.cause, first.grace),
            (Cause::Crashed, Grace::UntilDeadline)
        );
        let third = found(crashed("Error", 3, 3));
        assert_eq!(third.grace, Grace::None);
        assert_eq!(
            third.error,
            "Container web ended with exit code 3 (started 4 times)"
        );
        assert!(
            third.log.unwrap().previous,
            "the run that crashed is the one before"
        );
    }

    #[test]
    fn a_container_that_runs_again_has_its_chance() {
        let mut status = crashed("Error", 3, 3);
        status["containerStatuses"][0]["state"] =
            json!({"running": {"startedAt": "2026-11-01T10:00:02Z"}});
        assert_eq!(found(status).grace, Grace::UntilDeadline);
    }

    #[test]
    fn the_ways_to_end_are_told_apart() {
        assert_eq!(
            found(crashed("OOMKilled", 137, 1)).cause,
            Cause::OutOfMemory
        );
        assert_eq!(found(crashed("Completed", 0, 1)).cause, Cause::Exited);
        let not_found = found(crashed("Error", 127, 0));
        assert_eq!(
            (not_found.cause, not_found.grace),
            (Cause::CommandNotFound, Grace::None)
        );
        let probe = [(
            "Unhealthy",
            "Liveness probe failed: HTTP probe failed with statuscode: 500",
        )];
        let killed = found_with(crashed("Error", 137, 3), &probe).unwrap();
        assert_eq!(killed.cause, Cause::LivenessProbe);
        assert!(
            killed
                .diagnosis("shop", "web")
                .reason
                .ends_with("HTTP probe failed with statuscode: 500")
        );
    }

    #[test]
    fn a_crash_is_not_the_probes_fault() {
        let refused = "Startup probe failed: dial tcp 10.88.0.7:8080: connect: connection refused";
        let asked = [("Unhealthy", refused)];
        let cause = |code, events: &[(&str, &str)]| {
            found_with(crashed("Error", code, 3), events).unwrap().cause
        };
        assert_eq!(cause(1, &asked), Cause::Crashed);
        assert_eq!(cause(143, &asked), Cause::StartupProbe);
    }

    #[test]
    fn a_container_that_is_between_two_runs_is_read_from_its_current_state() {
        let mut status = crashed("Error", 1, 0);
        let ended = status["containerStatuses"][0]["lastState"].take();
        status["containerStatuses"][0]["lastState"] = json!({});
        status["containerStatuses"][0]["state"] = ended;
        let found = found(status);
        assert_eq!(found.cause, Cause::Crashed);
        assert!(!found.log.unwrap().previous);
    }

    #[test]
    fn readiness_repeats_the_probe_s_answer() {
        let probe = [(
            "Unhealthy",
            "Readiness probe failed: HTTP probe failed with statuscode: 503",
        )];
        let found = found_with(running(false), &probe).unwrap();
        assert_eq!(
            (found.cause, found.grace),
            (Cause::ReadinessProbe, Grace::UntilDeadline)
        );
        assert_eq!(
            found.error,
            "Readiness probe failed: HTTP probe failed with statuscode: 503"
        );
        assert!(
            found
                .diagnosis("shop", "web")
                .reason
                .ends_with("HTTP probe failed with statuscode: 503")
        );
        assert!(found_with(running(true), &probe).is_none());
    }

    #[test]
    fn a_container_that_starts_is_not_blamed_before_it_was_asked() {
        let mut status = running(false);
        status["containerStatuses"][0]["started"] = json!(false);
        assert!(found_with(status.clone(), &[]).is_none());
        let probe = [(
            "Unhealthy",
            "Startup probe failed: dial tcp 10.88.0.7:8080: connect: connection refused",
        )];
        assert_eq!(
            found_with(status, &probe).unwrap().cause,
            Cause::StartupProbe
        );
    }

    #[test]
    fn an_init_container_that_is_done_is_fine_and_one_that_fails_is_not() {
        let ended = |code: i32, restarts: u32| {
            json!({"phase": "Pending", "containerStatuses": [], "initContainerStatuses": [
                {"name": "migrate", "ready": code == 0, "restartCount": restarts,
                 "state": {"terminated": {"reason": "x", "exitCode": code}}}]})
        };
        assert!(found_with(ended(0, 0), &[]).is_none());
        assert_eq!(found_with(ended(1, 3), &[]).unwrap().cause, Cause::Crashed);
    }
}
