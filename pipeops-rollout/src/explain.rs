//! Turns a finding into a diagnosis: adds the failing container's last output, and redacts secrets.

use pipeops_core::{Diagnosis, Redactor};

use crate::api_error::ApiProblem;
use crate::cluster::{ClusterApi, LogQuery};
use crate::diagnose::Finding;
use crate::progress::Reporter;
use crate::target::Target;
use crate::text;

pub(crate) struct Explainer<'a> {
    pub(crate) cluster: &'a dyn ClusterApi,
    pub(crate) target: &'a Target,
    /// For the secrets of the options and of the stack.
    pub(crate) redactors: [Redactor; 2],
}

impl Explainer<'_> {
    /// The diagnosis with the last output of the failing container, without secrets.
    pub(crate) async fn explain(&self, finding: &Finding, reporter: &Reporter<'_>) -> Diagnosis {
        let Target { namespace, app } = self.target;
        let mut diagnosis = finding.diagnosis(namespace, app);
        if let Some(query) = &finding.log {
            diagnosis = diagnosis.log(self.last_lines(query, reporter).await);
        }
        self.without_secrets(diagnosis)
    }

    pub(crate) fn without_secrets(&self, mut diagnosis: Diagnosis) -> Diagnosis {
        let redact = |text: &mut String| *text = self.redact(text);
        redact(&mut diagnosis.error);
        redact(&mut diagnosis.reason);
        diagnosis.fixes.iter_mut().for_each(redact);
        diagnosis.log.iter_mut().for_each(redact);
        diagnosis.context.values_mut().for_each(redact);
        diagnosis
    }

    async fn last_lines(&self, query: &LogQuery, reporter: &Reporter<'_>) -> Vec<String> {
        // The container may have restarted meanwhile. Then its output is that of the other run.
        for previous in [query.previous, !query.previous] {
            let query = LogQuery {
                previous,
                ..query.clone()
            };
            match self.cluster.logs(&self.target.namespace, &query).await {
                Ok(output) => {
                    // Redact before lines are cut: half a secret would not be found.
                    let lines = text::last_lines(&self.redact(&output), query.lines);
                    if !lines.is_empty() {
                        return lines;
                    }
                }
                Err(error) if matches!(error.problem, ApiProblem::Forbidden { .. }) => {
                    reporter.warn(format!(
                        "the failing container's output is unavailable: {error}"
                    ));
                    return Vec::new();
                }
                Err(error) => tracing::debug!(%error, "no output of the failing container"),
            }
        }
        Vec::new()
    }

    fn redact(&self, text: &str) -> String {
        let [first, second] = &self.redactors;
        second.redact(&first.redact(text)).into_owned()
    }
}
