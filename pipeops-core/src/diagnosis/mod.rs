//! Errors that name their fix.
//!
//! Every error of the PipeOps crates implements [`Diagnose`]. It explains itself as a [`Diagnosis`]: the block that a person
//! reads when a deployment fails. A diagnosis has a stable [`Code`], and [`codes`] documents each code on a [`Page`].

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::retry::class::RetryClass;
use crate::text::clean;

mod code;
pub mod codes;
mod page;

pub use code::Code;
pub use page::Page;

/// What went wrong, why, and what to do about it.
///
/// Its `Display` is the block that people see, without characters that control a terminal:
///
/// ```
/// use pipeops_core::Diagnosis;
/// use pipeops_core::diagnosis::Page;
///
/// static IMAGE_PULL_AUTH: Page = Page {
///     code: "image-pull/auth",
///     title: "Image pull failed: authentication required",
///     meaning: "The cluster could not log in to the registry.",
///     fixes: &["Verify registry credentials in project settings"],
/// };
///
/// let mut diagnosis = Diagnosis::new(&IMAGE_PULL_AUTH)
///     .title("Deployment failed: ImagePullBackOff")
///     .error("Failed to pull image \"registry/app:abc123\"")
///     .reason("authentication required");
/// // The embedding program adds its own command.
/// diagnosis.run = Some("pipeops project registry update".to_owned());
/// assert_eq!(
///     diagnosis.to_string(),
///     "❌ Deployment failed: ImagePullBackOff\n\n\
///      Error: Failed to pull image \"registry/app:abc123\"\n\
///      Reason: authentication required\n\n\
///      Fix:\n1. Verify registry credentials in project settings\n\n\
///      Run: pipeops project registry update\n"
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Diagnosis {
    /// The stable name of the cause. Programs compare it; texts may change.
    #[serde(default)]
    pub code: Code,
    /// One line: what failed, and the short name of the cause.
    pub title: String,
    /// The failing system's own message, with secrets redacted.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub error: String,
    /// Why it happened, if known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// What to do, most likely fix first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fixes: Vec<String>,
    /// A command that starts the first fix. PipeOps' libraries leave it empty. The embedding program fills it with one of its
    /// own commands, chosen by [`code`](Self::code) and [`context`](Self::context).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// What the diagnosis is about: values for `app`, `namespace`, `project`, `revision`, `host` and the like.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub context: BTreeMap<String, String>,
    /// The last lines that the failing part printed, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<String>,
    /// Whether a retry can help.
    #[serde(default)]
    pub class: RetryClass,
}

impl Diagnosis {
    /// A diagnosis with the code, title and fixes of `page`, and [`RetryClass::Permanent`].
    pub fn new(page: &Page) -> Self {
        Self {
            code: Code::from(page),
            title: page.title.to_owned(),
            error: String::new(),
            reason: String::new(),
            fixes: page.fixes.iter().copied().map(str::to_owned).collect(),
            run: None,
            context: BTreeMap::new(),
            log: Vec::new(),
            class: RetryClass::Permanent,
        }
    }

    /// Replaces the page's title.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    /// Sets the failing system's own message.
    #[must_use]
    pub fn error(mut self, error: impl Into<String>) -> Self {
        self.error = error.into();
        self
    }

    /// Sets why it happened.
    #[must_use]
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = reason.into();
        self
    }

    /// Replaces the page's fixes.
    #[must_use]
    pub fn fixes(mut self, fixes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.fixes = fixes.into_iter().map(Into::into).collect();
        self
    }

    /// Adds a fix after the existing ones.
    #[must_use]
    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fixes.push(fix.into());
        self
    }

    /// Sets the command that starts the first fix.
    #[must_use]
    pub fn run(mut self, command: impl Into<String>) -> Self {
        self.run = Some(command.into());
        self
    }

    /// Sets the last lines that the failing part printed, oldest first.
    #[must_use]
    pub fn log(mut self, lines: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.log = lines.into_iter().map(Into::into).collect();
        self
    }

    /// Adds a value that the diagnosis is about, such as `("app", "shop")`.
    #[must_use]
    pub fn context(mut self, kind: impl Into<String>, value: impl Into<String>) -> Self {
        self.context.insert(kind.into(), value.into());
        self
    }

    /// Sets whether a retry can help.
    #[must_use]
    pub fn class(mut self, class: RetryClass) -> Self {
        self.class = class;
        self
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "❌ {}", clean(&self.title))?;
        if !self.error.is_empty() || !self.reason.is_empty() {
            writeln!(f)?;
        }
        if !self.error.is_empty() {
            writeln!(f, "Error: {}", clean(&self.error))?;
        }
        if !self.reason.is_empty() {
            writeln!(f, "Reason: {}", clean(&self.reason))?;
        }
        if !self.log.is_empty() {
            writeln!(f, "\nLast output:")?;
            for line in &self.log {
                writeln!(f, "    {}", clean(line))?;
            }
        }
        if !self.fixes.is_empty() {
            writeln!(f, "\nFix:")?;
            for (index, fix) in self.fixes.iter().enumerate() {
                writeln!(f, "{}. {}", index + 1, clean(fix))?;
            }
        }
        if let Some(command) = &self.run {
            writeln!(f, "\nRun: {}", clean(command))?;
        }
        Ok(())
    }
}

/// An error that explains itself.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say how to fix itself",
    note = "implement `pipeops_core::Diagnose` for the error: title, error, reason, fixes and retry class"
)]
pub trait Diagnose: std::error::Error + Send + Sync + 'static {
    /// The explanation. It never contains secrets.
    fn diagnosis(&self) -> Diagnosis;
}

/// Any error that explains itself: the error type of the traits that connect the crates.
///
/// Every [`Diagnose`] error converts into it with `?`, and it converts into `Box<dyn Error>`, which can be downcast to the
/// original error. `{}` is the error's own message, `{:?}` adds its causes, `{:#?}` is the original error's `Debug`.
///
/// ```
/// use pipeops_core::diagnosis::{Diagnosis, Failure, codes};
///
/// fn deploy() -> Result<(), Failure> {
///     let diagnosis = Diagnosis::new(&codes::UNKNOWN).title("Deployment failed");
///     Err(Failure::from_diagnosis(diagnosis))
/// }
///
/// fn run() -> Result<(), Box<dyn std::error::Error>> {
///     Ok(deploy()?)
/// }
///
/// assert_eq!(run().unwrap_err().to_string(), "Deployment failed");
/// ```
pub struct Failure(Box<dyn Diagnose>);

impl Failure {
    /// A failure with this diagnosis and no underlying error.
    pub fn from_diagnosis(diagnosis: Diagnosis) -> Self {
        Self(Box::new(DiagnosisError(diagnosis)))
    }

    /// The explanation.
    pub fn diagnosis(&self) -> Diagnosis {
        self.0.diagnosis()
    }

    /// Whether a retry can help.
    pub fn retry_class(&self) -> RetryClass {
        self.0.diagnosis().class
    }

    /// The underlying error, with its chain of sources.
    pub fn as_error(&self) -> &(dyn std::error::Error + Send + Sync + 'static) {
        &*self.0
    }
}

impl<E: Diagnose> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(Box::new(error))
    }
}

impl From<Failure> for Box<dyn std::error::Error + Send + Sync> {
    fn from(failure: Failure) -> Self {
        failure.0
    }
}

impl From<Failure> for Box<dyn std::error::Error> {
    fn from(failure: Failure) -> Self {
        failure.0
    }
}

/// What `main` prints when it returns the failure.
impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() {
            return fmt::Debug::fmt(&self.0, f);
        }
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        if source.is_some() {
            write!(f, "\n\nCaused by:")?;
        }
        while let Some(cause) = source {
            write!(f, "\n    {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A diagnosis from a journal or another process, without its error.
#[derive(Debug)]
struct DiagnosisError(Diagnosis);

impl fmt::Display for DiagnosisError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.title)
    }
}

impl std::error::Error for DiagnosisError {}

impl Diagnose for DiagnosisError {
    fn diagnosis(&self) -> Diagnosis {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diagnosis() -> Diagnosis {
        Diagnosis::new(&codes::UNKNOWN).fixes([""; 0])
    }

    #[test]
    fn an_empty_diagnosis_is_its_title() {
        assert_eq!(
            diagnosis().title("Build failed").to_string(),
            "❌ Build failed\n"
        );
    }

    #[test]
    fn no_text_of_others_controls_the_terminal() {
        let text = diagnosis()
            .title("T\u{1b}[2J")
            .error("no file a\u{202e}b")
            .log(["\u{1b}]0;x\u{7}c\u{2028}d"])
            .to_string();
        assert_eq!(text, "❌ T\n\nError: no file ab\n\nLast output:\n    c d\n");
    }

    #[test]
    fn last_output_stands_between_reason_and_fixes() {
        let text = diagnosis()
            .title("T")
            .reason("R")
            .log(["a", "b"])
            .fix("F")
            .to_string();
        assert_eq!(
            text,
            "❌ T\n\nReason: R\n\nLast output:\n    a\n    b\n\nFix:\n1. F\n"
        );
    }

    #[test]
    fn a_failure_is_readable_and_becomes_a_boxed_error() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot read the settings")]
        struct Unreadable(#[source] std::io::Error);
        impl Diagnose for Unreadable {
            fn diagnosis(&self) -> Diagnosis {
                diagnosis()
            }
        }
        let failure = || Failure::from(Unreadable(std::io::Error::other("disk full")));
        assert_eq!(
            format!("{:?}", failure()),
            "cannot read the settings\n\nCaused by:\n    disk full"
        );
        assert!(format!("{:#?}", failure()).starts_with("Unreadable("));
        let boxed: Box<dyn std::error::Error> = failure().into();
        assert!(boxed.is::<Unreadable>());
        let boxed: Box<dyn std::error::Error + Send + Sync> = failure().into();
        assert!(boxed.is::<Unreadable>());
    }

    #[test]
    fn json_round_trips_and_old_json_without_class_is_permanent() {
        let diagnosis = diagnosis()
            .title("T")
            .fix("F")
            .class(RetryClass::NeedsCredential);
        let json = serde_json::to_string(&diagnosis).unwrap();
        assert_eq!(serde_json::from_str::<Diagnosis>(&json).unwrap(), diagnosis);
        let old: Diagnosis = serde_json::from_str(r#"{"title":"T"}"#).unwrap();
        assert_eq!(old.class, RetryClass::Permanent);
    }
}
