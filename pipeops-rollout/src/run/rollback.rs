//! What a rollout does with a revision that failed.

use pipeops_core::event::EventKind;
use pipeops_core::{Diagnose, Diagnosis};

use super::{Run, WaitResult};
use crate::error::Error;
use crate::options::FirstFailure;
use crate::outcome::Outcome;
use crate::record::AttemptPhase;
use crate::snapshot::Snapshot;

impl Run<'_> {
    /// Handles a stack that was applied in part. After a permanent error, that part is rolled back; a transient one is
    /// returned, and the next run resumes.
    pub(super) async fn fail_applying(self, error: Error) -> Result<Outcome, Error> {
        let attempted = self.store.record.attempted().map(|a| &a.fingerprint);
        let healthy = self.store.record.healthy.as_ref().map(|h| &h.fingerprint);
        match error {
            Error::Api(error)
                if !error.is_transient() && healthy.is_some() && healthy != attempted =>
            {
                let diagnosis = self.explainer.without_secrets(error.diagnosis());
                self.fail(diagnosis).await
            }
            error => Err(error),
        }
    }

    /// Records the failure, then rolls back.
    pub(super) async fn fail(mut self, diagnosis: Diagnosis) -> Result<Outcome, Error> {
        if let Some(attempt) = &mut self.store.record.attempt {
            attempt.phase = AttemptPhase::RollingBack {
                diagnosis: diagnosis.clone(),
            };
        }
        self.store.save().await?;
        self.roll_back(diagnosis).await
    }

    /// Restores the last healthy revision. If there is none, the attempt ends as failed.
    pub(super) async fn roll_back(self, diagnosis: Diagnosis) -> Result<Outcome, Error> {
        let attempted = self.store.record.attempted().cloned();
        match (self.store.record.healthy.clone(), attempted) {
            (Some(healthy), Some(attempted)) if healthy.fingerprint == attempted.fingerprint => {
                // This revision was healthy before. There is no other one to roll back to, and its pods may still serve.
                self.finish_failed(diagnosis).await
            }
            (Some(healthy), _) => self.restore(healthy, diagnosis).await,
            (None, Some(attempted)) => {
                if self.options.first_failure == FirstFailure::ScaleToZero {
                    self.scale_to_zero(&attempted).await?;
                }
                self.finish_failed(diagnosis).await
            }
            (None, None) => self.finish_failed(diagnosis).await,
        }
    }

    async fn restore(mut self, healthy: Snapshot, diagnosis: Diagnosis) -> Result<Outcome, Error> {
        let to = healthy.revision.clone();
        self.reporter.rolling_back(format!("Rolled back to {to}"));
        self.reporter.emit(EventKind::RollingBack {
            diagnosis: diagnosis.clone(),
            to: to.clone(),
        });
        let applied = self.apply(&healthy.objects).await?;
        let applied = match applied {
            Some(applied) => applied,
            None => self.live().await?,
        };
        self.sync().await?;
        let mut objects = healthy.objects.iter();
        let workload = objects.find(|object| self.target.is_workload(object));
        let limit = self.options.rollback_deadline_of(workload);
        if let WaitResult::Failed(finding) = self
            .wait_until_complete(applied.generation, limit, None)
            .await?
        {
            return Err(Error::RollbackIncomplete {
                namespace: self.target.namespace.clone(),
                app: self.target.app.clone(),
                to,
                state: finding.error,
                diagnosis: Box::new(diagnosis),
            });
        }
        let phase = AttemptPhase::RolledBack {
            diagnosis: diagnosis.clone(),
            to: to.clone(),
        };
        self.store.record.abandon(phase);
        self.store.save().await?;
        Ok(Outcome::RolledBack { diagnosis, to })
    }

    async fn scale_to_zero(&self, attempted: &Snapshot) -> Result<(), Error> {
        let mut objects = attempted.objects.iter();
        let workload = objects.find(|object| self.target.is_workload(object));
        if let Some(workload) = workload {
            let mut workload = workload.clone();
            workload.value_mut()["spec"]["replicas"] = 0.into();
            self.apply(&[workload]).await?;
        }
        Ok(())
    }

    async fn finish_failed(mut self, diagnosis: Diagnosis) -> Result<Outcome, Error> {
        let phase = AttemptPhase::Failed {
            diagnosis: diagnosis.clone(),
        };
        self.store.record.abandon(phase);
        self.store.save().await?;
        Ok(Outcome::Failed { diagnosis })
    }
}
