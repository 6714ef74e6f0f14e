//! A cause in the state of an application, with its evidence.

use std::collections::BTreeMap;

use pipeops_core::Diagnosis;
use pipeops_core::diagnosis::Page;

use super::causes::{Cause, Grace};
use crate::cluster::LogQuery;
use crate::text;

/// A cause in the state of an application, with its evidence: see [`findings`](super::findings).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    pub(crate) cause: Cause,
    /// The cluster's error message.
    pub error: String,
    /// How long the cause may last before it fails a rollout.
    pub grace: Grace,
    /// The container output that may explain it.
    pub log: Option<LogQuery>,
    /// The cluster's message about the reason; may be empty.
    detail: String,
    /// The object that doesn't exist: `Secret "web-env"`.
    missing: Option<String>,
    /// The context of the diagnosis.
    context: BTreeMap<&'static str, String>,
}

impl Finding {
    pub(super) fn new(cause: Cause, error: impl AsRef<str>) -> Self {
        Self {
            cause,
            error: text::clean(error.as_ref()),
            grace: cause.rule().grace,
            log: None,
            detail: String::new(),
            missing: None,
            context: BTreeMap::new(),
        }
    }

    /// Kubernetes reported a stall.
    pub(crate) fn progress_deadline(message: &str) -> Self {
        Self::new(Cause::ProgressDeadline, message)
    }

    /// The rollout as a whole didn't complete in time.
    pub(crate) fn deadline(error: impl AsRef<str>, detail: impl AsRef<str>) -> Self {
        Self::new(Cause::Deadline, error).detail(detail)
    }

    pub(super) fn error(mut self, error: impl AsRef<str>) -> Self {
        self.error = text::clean(error.as_ref());
        self
    }

    pub(super) fn detail(mut self, detail: impl AsRef<str>) -> Self {
        self.detail = text::clean(detail.as_ref());
        self
    }

    pub(super) fn missing(mut self, object: impl AsRef<str>) -> Self {
        self.missing = Some(text::clean(object.as_ref()));
        self
    }

    pub(super) fn context(mut self, kind: &'static str, value: impl AsRef<str>) -> Self {
        self.context.insert(kind, text::clean(value.as_ref()));
        self
    }

    pub(super) fn grace(mut self, grace: Grace) -> Self {
        self.grace = grace;
        self
    }

    pub(super) fn log(mut self, query: LogQuery) -> Self {
        self.log = Some(query);
        self
    }

    /// The pod that shows the cause.
    pub(crate) fn pod(&self) -> Option<&str> {
        self.context.get("pod").map(String::as_str)
    }

    /// Whether the cause is that of this container, or of its pod as a whole.
    pub(crate) fn is_about(&self, container: &str) -> bool {
        let own = self.context.get("container");
        own.is_none_or(|own| own == container)
    }

    /// The page that documents the cause.
    pub fn page(&self) -> &'static Page {
        self.cause.rule().page
    }

    /// The diagnosis for this application. Its `log` is empty.
    pub fn diagnosis(&self, namespace: &str, app: &str) -> Diagnosis {
        let rule = self.cause.rule();
        let reason = match rule.reason.strip_suffix("{detail}") {
            Some(reason) if self.detail.is_empty() => reason.trim_end_matches(": ").to_owned(),
            Some(reason) => format!("{reason}{}", self.detail),
            None => rule.reason.to_owned(),
        };
        let mut diagnosis = Diagnosis::new(rule.page)
            .error(&self.error)
            .reason(reason)
            .class(rule.class)
            .context("app", app)
            .context("namespace", namespace);
        if let (Some(missing), Some(first)) = (&self.missing, diagnosis.fixes.first_mut()) {
            *first = format!("Create the missing {missing} in namespace {namespace}");
        }
        for (kind, value) in self.context.iter().filter(|(_, value)| !value.is_empty()) {
            diagnosis = diagnosis.context(*kind, value);
        }
        diagnosis
    }
}
