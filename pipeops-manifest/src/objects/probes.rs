//! The container's probes.

use k8s_openapi::api::core::v1::{ExecAction, GRPCAction, HTTPGetAction, Probe, TCPSocketAction};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::command::words;
use crate::app::App;
use crate::health::HealthCheck;
use crate::timing::{seconds_i32, whole_seconds};

/// Often, so that a started pod becomes ready at once.
const STARTUP_PERIOD: u64 = 2;
const READINESS_PERIOD: i32 = 5;
const READINESS_FAILURES: i32 = 3;
const LIVENESS_PERIOD: i32 = 10;
/// A restart is the last resort: after a minute, while readiness removes a pod from the Service after 15 s.
const LIVENESS_FAILURES: i32 = 6;

/// The readiness check at short intervals, until the start-up budget is used up. The other probes wait for it.
pub(super) fn startup(app: &App) -> Option<Probe> {
    let budget = whole_seconds(app.timing.startup_budget(app.language));
    let tries = i32::try_from(budget.div_ceil(STARTUP_PERIOD).max(1)).unwrap_or(i32::MAX);
    let timeout = seconds_i32(app.timing.probe_timeout);
    probe(app, &app.health, STARTUP_PERIOD as i32, tries, timeout)
}

/// Removes a pod from the Service while it isn't ready.
pub(super) fn readiness(app: &App) -> Option<Probe> {
    let timeout = seconds_i32(app.timing.probe_timeout);
    let (period, failures) = (READINESS_PERIOD, READINESS_FAILURES);
    probe(app, &app.health, period, failures, timeout)
}

/// Restarts a container that hangs.
pub(super) fn liveness(app: &App) -> Option<Probe> {
    let timeout = seconds_i32(app.timing.probe_timeout).saturating_mul(2);
    let (check, period, failures) = (app.effective_liveness(), LIVENESS_PERIOD, LIVENESS_FAILURES);
    probe(app, &check, period, failures, timeout)
}

fn probe(
    app: &App,
    check: &HealthCheck,
    period: i32,
    failures: i32,
    timeout: i32,
) -> Option<Probe> {
    let mut probe = Probe {
        period_seconds: Some(period),
        failure_threshold: Some(failures),
        timeout_seconds: Some(timeout),
        ..Probe::default()
    };
    let port = || IntOrString::String(app.health.port_name().to_owned());
    match check {
        HealthCheck::Http { path } => {
            probe.http_get = Some(HTTPGetAction {
                path: Some(path.clone()),
                port: port(),
                ..HTTPGetAction::default()
            });
        }
        HealthCheck::Tcp => {
            probe.tcp_socket = Some(TCPSocketAction {
                port: port(),
                ..TCPSocketAction::default()
            });
        }
        HealthCheck::Grpc { service } => {
            #[allow(clippy::needless_update, reason = "Kubernetes 1.37 has more fields")]
            let action = GRPCAction {
                port: i32::from(app.port),
                service: (!service.is_empty()).then(|| service.clone()),
                ..GRPCAction::default()
            };
            probe.grpc = Some(action);
        }
        HealthCheck::Exec { command } => {
            probe.exec = Some(ExecAction {
                command: Some(words(app, command)),
            });
        }
        HealthCheck::None => return None,
    }
    Some(probe)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::fixtures;
    use crate::timing::Timing;
    use pipeops_core::detection::Language;

    #[test]
    fn the_startup_budget_is_the_languages_unless_set() {
        let budget = |app: &App| {
            let probe = startup(app).unwrap();
            probe.period_seconds.unwrap() * probe.failure_threshold.unwrap()
        };
        let app = fixtures::app();
        assert_eq!(budget(&app), 60);
        assert_eq!(budget(&app.clone().language(Language::Go)), 30);
        assert_eq!(budget(&app.clone().language(Language::Java)), 180);
        let timing = Timing::default().with_startup_budget(Duration::from_millis(4100));
        assert_eq!(
            budget(&app.timing(timing)),
            6,
            "4.1 s are 5 s are three tries"
        );
    }

    #[test]
    fn liveness_is_shallow_and_more_patient_than_readiness() {
        let app = fixtures::app();
        let (ready, live) = (readiness(&app).unwrap(), liveness(&app).unwrap());
        assert_eq!(ready.http_get.unwrap().path.as_deref(), Some("/health"));
        assert!(live.http_get.is_none() && live.tcp_socket.is_some());
        assert!(live.failure_threshold.unwrap() * live.period_seconds.unwrap() > 3 * 5);
    }

    #[test]
    fn every_kind_of_check_is_one_action() {
        let live = fixtures::app().liveness(HealthCheck::http("/livez"));
        let http = liveness(&live).unwrap().http_get.unwrap();
        assert_eq!(http.path.as_deref(), Some("/livez"));
        let service = String::new();
        let grpc = fixtures::app().health(HealthCheck::Grpc { service });
        assert_eq!(readiness(&grpc).unwrap().grpc.unwrap().port, 8080);
        let check = HealthCheck::exec(["/bin/check", "-q"]);
        let exec = fixtures::app().worker().health(check);
        let exec = liveness(&exec).unwrap().exec.unwrap();
        assert_eq!(exec.command.unwrap(), ["/bin/check", "-q"]);
        assert!(startup(&fixtures::app().worker()).is_none());
    }
}
